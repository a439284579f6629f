//! The client against a real ZooKeeper: what it grants, what it refuses, and what it tells of.

use std::time::{Duration, Instant};

use kobel_conf::{Category, Explain};
use kobel_flink::ha::{
    Access, ConnectionInfo, Death, Evidence, Fenced, HaClient, Latches, LeaderNode, LeaderView, LeaderWatch,
    Refusal, SessionId, Sessions,
};
use kobel_kit::hadoop::{self, Cluster, Hadoop};
use zookeeper_client::{Acls, Client, CreateMode};

use super::{DEADLINE, SESSION, connect, quorum, root, setup, wait_for};

const LATCH: &str = "_c_2a7bfb4f-0c5e-4b8a-9d3e-0f1e2d3c4b5a-latch-";

fn raw(server: &str) -> Client {
    wait_for(Client::connector().with_session_timeout(SESSION).connect(server)).expect("a session")
}

fn make(client: &Client, path: &str, data: &[u8], mode: CreateMode) {
    let parent = path.rsplit_once('/').expect("a path").0;
    let persistent = CreateMode::Persistent.with_acls(Acls::anyone_all());
    wait_for(client.mkdir(parent, &persistent)).expect("a parent");
    wait_for(client.create(path, data, &mode.with_acls(Acls::anyone_all()))).expect("a znode");
}

#[test]
fn sessions_are_granted_within_the_servers_bounds() {
    let Some(cluster) = hadoop::shared(setup) else { return };
    let server = quorum(&cluster.zookeeper().address);
    for (asked, granted) in [(1, 4), (10, 10), (60, 40)] {
        let asked = Duration::from_secs(asked);
        let client = wait_for(HaClient::connect(&server, &Access::default(), asked, DEADLINE)).unwrap();
        assert_eq!(client.granted(), Duration::from_secs(granted));
        assert!(client.session().is_some());
    }
}

#[test]
fn a_chroot_that_is_not_there_is_told_with_what_makes_it() {
    let Some(cluster) = hadoop::shared(setup) else { return };
    let address = cluster.zookeeper().address.as_str();
    let with_chroot = quorum(&format!("{address}/kobel/chroot"));
    let connected = || wait_for(HaClient::connect(&with_chroot, &Access::default(), SESSION, DEADLINE));
    let error = connected().unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the chroot /kobel/chroot does not exist in ZooKeeper at {address}")
    );
    assert_eq!(error.category(), Category::Environment);
    assert_eq!(error.hint(), Some(format!("zkCli.sh -server {address} create /kobel/chroot")));
    make(&raw(address), "/kobel/chroot", b"", CreateMode::Persistent);
    connected().unwrap();
}

#[test]
fn who_may_not_is_told_so() {
    let Some(cluster) = hadoop::shared(setup) else { return };
    let address = cluster.zookeeper().address.as_str();
    let nobody = Access::default().with("no-such-scheme", "hunter2");
    let error = wait_for(HaClient::connect(&quorum(address), &nobody, SESSION, DEADLINE)).unwrap_err();
    assert_eq!(error.category(), Category::Denied, "{error:?}");
    assert!(!format!("{error} {error:?}").contains("hunter2"));

    let root = root(address, "private");
    let owner = wait_for(Client::connector().with_auth("digest", b"flink:secret").connect(address)).unwrap();
    let dir = root.latch_dir();
    make(&owner, &dir, b"", CreateMode::Persistent);
    wait_for(owner.set_acl(&dir, &Acls::creator_all(), None)).unwrap();
    let error = wait_for(connect(address).election(&root)).unwrap_err();
    assert_eq!(error.category(), Category::Denied, "{error:?}");
    assert_eq!(error.to_string(), format!("could not list {dir} in ZooKeeper at {address}"));
    let flink = Access::default().with("digest", "flink:secret");
    let client = wait_for(HaClient::connect(&quorum(address), &flink, SESSION, DEADLINE)).unwrap();
    assert_eq!(
        wait_for(client.latches(&root)).unwrap(),
        Latches::Present { latches: Vec::new(), foreign: None }
    );
}

/// What a JobManager with this session left, dead beyond doubt.
fn dead(session: i64) -> Evidence {
    Evidence {
        death: Death::Reaped,
        sessions: Sessions::Logged(vec![SessionId::new(session).unwrap()]),
        rest_address: "http://nm1:8081".into(),
        alive: Vec::new(),
    }
}

#[test]
fn odd_znodes_are_never_removed() {
    let Some(cluster) = hadoop::shared(setup) else { return };
    let address = cluster.zookeeper().address.as_str();
    let (client, raw) = (connect(address), raw(address));
    let evidence = dead(raw.session_id().0);
    let refused = |cluster: &str| match wait_for(client.fence(&root(address, cluster), &evidence)).unwrap() {
        Fenced::Refused(refusal) => refusal,
        done => panic!("{cluster}: {done:?}"),
    };
    assert_eq!(refused("nothing"), Refusal::NoElection);

    let dir = root(address, "persistent").latch_dir();
    make(&raw, &format!("{dir}/{LATCH}0000000001"), b"", CreateMode::Persistent);
    assert_eq!(refused("persistent"), Refusal::NothingLeft);

    let dir = root(address, "foreign").latch_dir();
    make(&raw, &format!("{dir}/{LATCH}0000000001"), b"", CreateMode::Ephemeral);
    make(&raw, &format!("{dir}/lock-0000000002"), b"", CreateMode::Ephemeral);
    assert_eq!(refused("foreign"), Refusal::ForeignLatch("lock-0000000002".into()));

    let dir = root(address, "many").latch_dir();
    make(&raw, &format!("{dir}/{LATCH}0000000000"), b"", CreateMode::Ephemeral);
    wait_for(async {
        for chunk in 0..10 {
            let mut writer = raw.new_multi_writer();
            for n in 0..1000 {
                let options = CreateMode::Ephemeral.with_acls(Acls::anyone_all());
                writer
                    .add_create(&format!("{dir}/{LATCH}{:010}", 1 + chunk * 1000 + n), b"", &options)
                    .unwrap();
            }
            writer.commit().await.unwrap();
        }
    });
    assert_eq!(refused("many"), Refusal::TooMany(10_001));
    assert_eq!(wait_for(raw.list_children(&dir)).unwrap().len(), 10_001);
}

#[test]
fn a_leader_that_cannot_be_read_is_unknown_and_hinders_nobody() {
    let Some(cluster) = hadoop::shared(setup) else { return };
    let address = cluster.zookeeper().address.as_str();
    let (client, raw, root) = (connect(address), raw(address), root(address, "unreadable"));
    make(&raw, &format!("{}/{LATCH}0000000001", root.latch_dir()), b"", CreateMode::Ephemeral);
    make(&raw, &root.rest_server(), &vec![0xac; 1_000_000], CreateMode::Ephemeral);
    let election = wait_for(client.election(&root)).unwrap();
    assert!(
        matches!(&election.leader, LeaderNode::Unknown(znode) if znode.owner.is_some()),
        "{:?}",
        election.leader
    );
    let done = wait_for(client.fence(&root, &dead(raw.session_id().0))).unwrap();
    assert!(matches!(&done, Fenced::Done(fence) if fence.election.len() == 2), "{done:?}");
}

#[test]
fn locks_of_the_dead_go_and_those_of_others_stay() {
    let Some(cluster) = hadoop::shared(setup) else { return };
    let address = cluster.zookeeper().address.as_str();
    let (client, dying, living, root) =
        (connect(address), raw(address), raw(address), root(address, "locks"));
    make(&dying, &format!("{}/{LATCH}0000000001", root.latch_dir()), b"", CreateMode::Ephemeral);
    let places =
        ["jobgraphs/a", "execution-plans/b", "applications/c", "jobs/a/checkpoints/0000000000000000001"];
    for place in places {
        make(&dying, &format!("{}/{place}/locks/dying", root.path()), b"", CreateMode::Ephemeral);
        make(&living, &format!("{}/{place}/locks/living", root.path()), b"", CreateMode::Ephemeral);
    }
    let Fenced::Done(fence) = wait_for(client.fence(&root, &dead(dying.session_id().0))).unwrap() else {
        panic!("a proven death")
    };
    let released = wait_for(client.release_locks(&root, &fence)).unwrap();
    assert_eq!(released.len(), places.len(), "{released:?}");
    for place in places {
        let left = wait_for(living.list_children(&format!("{}/{place}/locks", root.path()))).unwrap();
        assert_eq!(left, ["living"]);
    }
}

/// Changes come at once, a restart of ZooKeeper is bridged, and what changed meanwhile is told.
#[test]
fn the_watch_survives_a_restart_of_zookeeper() {
    let Some(hadoop) = Hadoop::from_env() else { return };
    let cluster = Cluster::start(&hadoop, setup());
    let zookeeper = cluster.zookeeper();
    let (address, root) = (zookeeper.address.as_str(), root(&zookeeper.address, "watched"));
    let mut watch = wait_for(async {
        LeaderWatch::start(quorum(address), Access::default(), root.clone(), SESSION, DEADLINE)
    });
    let mut next =
        || wait_for(async { tokio::time::timeout(3 * DEADLINE, watch.next()).await }).unwrap().unwrap();
    assert!(matches!(next(), LeaderView::Seen(LeaderNode::Absent)));
    let (leader, url) = (raw(address), "http://nm1:8081");
    let data = ConnectionInfo { address: url.into(), leadership: 1 }.encode().unwrap();
    let since = Instant::now();
    make(&leader, &root.rest_server(), &data, CreateMode::Ephemeral);
    let seen = next();
    println!("a new leader is seen {:.0} ms after it is there", since.elapsed().as_secs_f32() * 1000.0);
    let is_leader = |view: &LeaderView| matches!(view, LeaderView::Seen(LeaderNode::Known { info, .. }) if info.address == url);
    assert!(is_leader(&seen), "{seen:?}");

    zookeeper.daemon.kill9();
    let gone = next();
    assert!(matches!(gone, LeaderView::Unknown(_)), "{gone:?}");
    zookeeper.daemon.start();
    zookeeper.daemon.wait_ready();
    let (since, back) = (Instant::now(), next());
    println!("the same leader is seen {:.1} s after ZooKeeper serves again", since.elapsed().as_secs_f32());
    assert!(is_leader(&back), "{back:?}");

    drop(leader);
    let absent = next();
    assert!(matches!(absent, LeaderView::Seen(LeaderNode::Absent)), "{absent:?}");
}
