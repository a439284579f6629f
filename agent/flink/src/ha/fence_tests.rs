use proptest::prelude::*;

use super::*;
use crate::ha::{ConnectionInfo, Quorum};

const URL: &str = "http://nm1:8081";

fn session(id: i64) -> SessionId {
    SessionId::new(id).unwrap()
}

fn root() -> ClusterRoot {
    ClusterRoot::new(&Quorum::parse("zk").unwrap(), "/flink", "etl").unwrap()
}

fn znode(path: &str, owner: i64) -> Znode {
    Znode { path: path.into(), owner: SessionId::owner(owner), created: 7, version: 0 }
}

fn latch(number: u32, owner: i64) -> Znode {
    znode(
        &format!("{}/_c_2a7bfb4f-0c5e-4b8a-9d3e-0f1e2d3c4b5a-latch-{number:010}", root().latch_dir()),
        owner,
    )
}

fn leader(owner: i64, address: &str) -> LeaderNode {
    let info = ConnectionInfo { address: address.into(), leadership: 1 };
    LeaderNode::Known { znode: znode(&root().rest_server(), owner), info }
}

/// Session 1 leads, session 2 stands by.
fn election() -> Election {
    let infos =
        ["dispatcher", "resource_manager", "rest_server"].map(|c| znode(&root().connection_info(c), 1));
    Election {
        root: root(),
        is_local: false,
        latches: Latches::Present { latches: vec![latch(1, 1), latch(2, 2)], foreign: None },
        leader: leader(1, URL),
        infos: infos.into(),
    }
}

/// The leader was reaped, and its log tells of its session.
fn evidence() -> Evidence {
    Evidence {
        death: Death::Reaped,
        sessions: Sessions::Logged(vec![session(9), session(1)]),
        rest_address: URL.into(),
        alive: vec![session(2)],
    }
}

fn observed(id: i64) -> Evidence {
    Evidence { sessions: Sessions::Observed(session(id)), ..evidence() }
}

#[test]
fn a_dead_leaders_latch_goes_first_and_what_it_published_with_it() {
    let fence = fence(&evidence(), &election()).unwrap();
    let paths = fence.paths();
    assert_eq!(paths[0], latch(1, 1).path);
    assert_eq!(paths.len(), 4);
    assert!(paths[1..].iter().all(|path| path.ends_with("/connection_info")), "{paths:?}");
    let by_address = super::fence(&observed(1), &election()).unwrap();
    assert_eq!(by_address.election, fence.election);
}

#[test]
fn a_dead_standbys_latch_goes_alone() {
    let standby = Evidence {
        sessions: Sessions::Logged(vec![session(2)]),
        rest_address: "http://nm2:8081".into(),
        alive: vec![session(1)],
        ..evidence()
    };
    assert_eq!(fence(&standby, &election()).unwrap().paths(), [latch(2, 2).path]);
}

#[test]
fn only_a_death_that_somebody_saw_is_proven() {
    let container = |status, node_alive| Death::Container { status, node_alive };
    for proven in
        [Death::Reaped, Death::PidfdReadable, Death::ProcessGone, container(0, true), container(137, true)]
    {
        assert!(fence(&Evidence { death: proven, ..evidence() }, &election()).is_ok(), "{proven:?}");
    }
    let mut doubts = vec![Death::Unproven, container(137, false), container(154, true), container(256, true)];
    doubts.extend(
        [-100, -101, -102, -103, -104, -105, -106, -107, -1000].map(|status| container(status, true)),
    );
    for doubt in doubts {
        let refused = fence(&Evidence { death: doubt, ..evidence() }, &election());
        assert_eq!(refused, Err(Refusal::NotProvenDead(doubt)));
    }
}

#[test]
fn without_a_session_that_is_surely_its_own_nothing_goes() {
    for sessions in [Sessions::Unknown, Sessions::Logged(Vec::new())] {
        let refused = fence(&Evidence { sessions, ..evidence() }, &election());
        assert_eq!(refused, Err(Refusal::UnknownSession));
    }
    let shared = Evidence { alive: vec![session(1)], ..evidence() };
    assert_eq!(fence(&shared, &election()), Err(Refusal::SharedSession(session(1))));
    let long_gone = Evidence {
        sessions: Sessions::Logged(vec![session(9)]),
        rest_address: "http://nm3:1".into(),
        ..evidence()
    };
    assert_eq!(fence(&long_gone, &election()), Err(Refusal::NothingLeft));
}

#[test]
fn a_leader_must_be_who_the_log_says() {
    let disagrees = |evidence: &Evidence, election: &Election| {
        assert!(matches!(fence(evidence, election), Err(Refusal::LeaderDisagrees { .. })), "{evidence:?}");
    };
    // The next attempt leads at the same address, with a session of its own.
    disagrees(&evidence(), &Election { leader: leader(3, URL), ..election() });
    disagrees(&observed(1), &Election { leader: leader(3, URL), ..election() });
    // The log is that of another process.
    disagrees(&evidence(), &Election { leader: leader(1, "http://nm2:8081"), ..election() });
    disagrees(&observed(1), &Election { leader: leader(1, "http://nm2:8081"), ..election() });
    // Nobody's, or unreadable.
    disagrees(&observed(1), &Election { leader: leader(0, URL), ..election() });
    let unknown = LeaderNode::Unknown(znode(&root().rest_server(), 1));
    disagrees(&observed(1), &Election { leader: unknown.clone(), ..election() });
    let absent = fence(&observed(1), &Election { leader: LeaderNode::Absent, ..election() });
    assert_eq!(absent, Err(Refusal::NothingLeft));
    // The log alone is enough where nothing contradicts it.
    for leader in [unknown, LeaderNode::Absent] {
        assert!(fence(&evidence(), &Election { leader, ..election() }).is_ok());
    }
}

#[test]
fn an_address_that_every_machine_has_proves_nothing_to_others() {
    for url in ["http://127.0.0.1:8081", "http://localhost:8081", "http://[::1]:8081"] {
        let evidence = Evidence { rest_address: url.into(), ..observed(1) };
        let election = Election { leader: leader(1, url), ..election() };
        assert_eq!(fence(&evidence, &election), Err(Refusal::AmbiguousAddress(url.into())));
        assert!(fence(&evidence, &Election { is_local: true, ..election.clone() }).is_ok());
        let logged = Evidence { rest_address: url.into(), ..super::tests::evidence() };
        assert!(fence(&logged, &election).is_ok(), "the log needs no address");
    }
}

#[test]
fn what_is_no_election_of_flinks_is_left_alone() {
    let with = |latches| fence(&evidence(), &Election { latches, ..election() });
    assert_eq!(with(Latches::Absent), Err(Refusal::NoElection));
    assert_eq!(with(Latches::TooMany(10_000)), Err(Refusal::TooMany(10_000)));
    let foreign = Latches::Present { latches: vec![latch(1, 1)], foreign: Some("lock-1".into()) };
    assert_eq!(with(foreign), Err(Refusal::ForeignLatch("lock-1".into())));
    assert_eq!(with(Latches::Present { latches: Vec::new(), foreign: None }), Err(Refusal::NothingLeft));
}

#[test]
fn a_persistent_znode_is_nobodys() {
    for owner in [0, i64::MIN, -1] {
        let latches = Latches::Present { latches: vec![latch(1, owner)], foreign: None };
        assert_eq!(
            fence(&evidence(), &Election { latches, ..election() }),
            Err(Refusal::NothingLeft),
            "{owner}"
        );
    }
    let infos = vec![znode(&root().connection_info("dispatcher"), 0)];
    assert_eq!(fence(&evidence(), &Election { infos, ..election() }).unwrap().paths().len(), 1);
}

#[test]
fn another_clusters_znodes_are_not_ours_whoever_owns_them() {
    let infos = vec![znode("/flink/etl2/leader/dispatcher/connection_info", 1), znode("/flink/etl", 1)];
    let fence = fence(&evidence(), &Election { infos, ..election() }).unwrap();
    assert_eq!(fence.paths(), [latch(1, 1).path]);
    let locks = [
        znode("/flink/etl/jobs/a/checkpoints/1/locks/x", 1),
        znode("/flink/etl/jobgraphs/a/locks/y", 2),
        znode("/flink/other/jobgraphs/a/locks/z", 1),
        znode("/flink/etl/jobgraphs/b/locks/p", 0),
    ];
    assert_eq!(fence.locks(&root(), &locks), locks[..1]);
}

#[test]
fn every_refusal_tells_why() {
    let all = [
        Refusal::NotProvenDead(Death::Unproven),
        Refusal::UnknownSession,
        Refusal::SharedSession(session(1)),
        Refusal::LeaderDisagrees { owner: None, address: None },
        Refusal::LeaderDisagrees { owner: Some(session(1)), address: None },
        Refusal::AmbiguousAddress(URL.into()),
        Refusal::NoElection,
        Refusal::TooMany(9),
        Refusal::ForeignLatch("x\ny".into()),
        Refusal::NothingLeft,
    ];
    for refusal in all {
        let text = refusal.to_string();
        assert!(text.len() > 20 && !text.contains('\n'), "{text}");
    }
}

proptest! {
    /// Whatever ZooKeeper holds and whoever died: what goes is a dead session's, ephemeral, below the root, and
    /// with a latch of it at its head.
    #[test]
    fn nothing_of_the_living_ever_goes(
        latches in prop::collection::vec(-1i64..5, 0..6),
        infos in prop::collection::vec(-1i64..5, 0..4),
        owner in -1i64..5,
        own_address: bool,
        death in prop::sample::select(vec![Death::Reaped, Death::Unproven, Death::Container { status: -100, node_alive: true }]),
        logged in prop::collection::vec(1i64..5, 0..3),
        by_log: bool,
        alive in prop::collection::vec(1i64..5, 0..3),
        is_local: bool,
    ) {
        let alive: Vec<SessionId> = alive.into_iter().map(session).collect();
        let dead: Vec<SessionId> = logged.iter().map(|id| session(*id)).collect();
        let sessions = match (by_log, dead.first()) {
            (false, Some(first)) => Sessions::Observed(*first),
            _ => Sessions::Logged(dead.clone()),
        };
        let evidence = Evidence { death, sessions, rest_address: URL.into(), alive: alive.clone() };
        let latches = latches.iter().enumerate().map(|(n, owner)| latch(n as u32, *owner)).collect();
        let infos = infos.iter().enumerate().map(|(n, owner)| znode(&root().connection_info(&format!("c{n}")), *owner));
        let election = Election {
            root: root(),
            is_local,
            latches: Latches::Present { latches, foreign: None },
            leader: leader(owner, if own_address { URL } else { "http://nm9:1" }),
            infos: infos.collect(),
        };
        if let Ok(fence) = fence(&evidence, &election) {
            prop_assert!(death.is_proven());
            prop_assert!(fence.election[0].path.contains("-latch-"));
            for znode in &fence.election {
                let owner = znode.owner.unwrap();
                prop_assert!(dead.contains(&owner) && !alive.contains(&owner));
                prop_assert!(root().contains(&znode.path));
            }
        }
    }
}
