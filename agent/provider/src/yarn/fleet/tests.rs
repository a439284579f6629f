//! The fleet's decisions, one by one and in any order.

mod never_lost;

use kobel_hadoop_rpc::{
    Token,
    yarn::{ApplicationId, AttemptId, Beat, ContainerExit, ResourceKind, Visibility},
};

use super::*;

pub(super) fn key(index: u32, attempt: u32) -> Key {
    let attempt = (1..attempt).fold(Attempt::FIRST, |attempt, _| attempt.next());
    (WorkerId::tm(index), attempt)
}

pub(super) fn size(mib: u64) -> Resources {
    Resources { memory_bytes: mib << 20, vcores: 1 }
}

pub(super) fn id(number: i64) -> ContainerId {
    let application = ApplicationId { cluster_timestamp: 1, number: 1 };
    ContainerId { attempt: AttemptId { application, number: 1 }, id: number }
}

pub(super) fn container(priority: i32, number: i64) -> Container {
    Container {
        id: id(number),
        node: NodeId { host: "a".into(), port: 1 },
        node_http: String::new(),
        size: Resource::new(1024, 1),
        priority,
        allocation_id: None,
    }
}

pub(super) fn grants(priority: i32, numbers: impl IntoIterator<Item = i64>) -> Allocated {
    let granted = |number| Granted { container: container(priority, number), token: Token::default() };
    Allocated { granted: numbers.into_iter().map(granted).collect(), ..Default::default() }
}

pub(super) fn ends(number: i64, status: i32) -> Allocated {
    let exit = ContainerExit::from_status(status);
    let completed = Completed { id: id(number), exit, diagnostics: String::new() };
    Allocated { completed: vec![completed], ..Default::default() }
}

pub(super) fn file() -> Result<LocalResource, String> {
    Ok(LocalResource {
        url: "hdfs://nn/app/worker.json".parse().unwrap(),
        size: 1,
        modified_ms: 1,
        kind: ResourceKind::File,
        visibility: Visibility::Application,
    })
}

/// What the next heartbeat says, which is then answered.
pub(super) fn said(fleet: &mut Fleet) -> Beat {
    let beat = fleet.outbox.beat(0.0, None);
    fleet.answered(Allocated::default());
    beat
}

pub(super) fn asked(beat: &Beat) -> Vec<(i32, i64, i32)> {
    beat.asks.iter().map(|ask| (ask.priority, ask.size.memory_mib, ask.count)).collect()
}

/// The keys that these effects start.
pub(super) fn starts(effects: &[Effect]) -> Vec<Key> {
    let key = |effect: &Effect| match effect {
        Effect::Start(key, ..) => Some(*key),
        _ => None,
    };
    effects.iter().filter_map(key).collect()
}

/// The ends that these effects tell.
fn told_ends(effects: &[Effect]) -> Vec<(Key, Exit)> {
    let end = |effect: &Effect| match effect {
        Effect::Tell(WorkerEvent { id, attempt, phase: Phase::Exited(exit), .. }) => {
            Some(((*id, *attempt), exit.clone()))
        }
        _ => None,
    };
    effects.iter().filter_map(end).collect()
}

/// A worker in the container of this number, running.
fn runs(fleet: &mut Fleet, key: Key, number: i64) {
    fleet.want(key, size(1024)).unwrap();
    said(fleet);
    fleet.shipped(key, file());
    assert_eq!(starts(&fleet.answered(grants(1, [number]))), [key]);
    let effects = fleet.started(key, Ok(()));
    assert!(
        matches!(&effects[..], [Effect::Tell(WorkerEvent { phase: Phase::Running { .. }, .. })]),
        "{effects:?}"
    );
}

#[test]
fn asks_count_all_that_wait_and_each_size_has_its_priority() {
    let mut fleet = Fleet::default();
    for (index, mib) in [(0, 1024), (1, 1024), (2, 2048)] {
        fleet.want(key(index, 1), size(mib)).unwrap();
    }
    assert_eq!(asked(&said(&mut fleet)), [(1, 1024, 2), (2, 2048, 1)]);
    fleet.answered(grants(1, [1]));
    assert!(!fleet.outbox.has_news(), "the scheduler has counted it down itself");
    fleet.want(key(3, 1), size(1024)).unwrap();
    assert_eq!(asked(&said(&mut fleet)), [(1, 1024, 2)]);
    fleet.release(key(3, 1));
    assert_eq!(asked(&said(&mut fleet)), [(1, 1024, 1)]);
}

#[test]
fn a_part_of_a_mebibyte_is_one_more() {
    let odd = Resources { memory_bytes: (1 << 20) + 1, vcores: 3 };
    assert_eq!(container_size(odd), Resource::new(2, 3));
}

#[test]
fn a_container_is_started_once_the_file_is_there_and_only_once() {
    let mut fleet = Fleet::default();
    fleet.want(key(0, 1), size(1024)).unwrap();
    fleet.want(key(1, 1), size(1024)).unwrap();
    assert!(starts(&fleet.answered(grants(1, [1]))).is_empty());
    assert!(fleet.is_waiting());
    assert_eq!(starts(&fleet.shipped(key(0, 1), file())), [key(0, 1)]);
    assert!(starts(&fleet.shipped(key(0, 1), file())).is_empty());
    assert!(starts(&fleet.shipped(key(1, 1), file())).is_empty());
    assert_eq!(starts(&fleet.answered(grants(1, [2]))), [key(1, 1)]);
    assert!(!fleet.is_waiting());
}

#[test]
fn a_file_that_cannot_be_brought_there_gives_the_container_back() {
    let mut fleet = Fleet::default();
    fleet.want(key(0, 1), size(1024)).unwrap();
    said(&mut fleet);
    fleet.answered(grants(1, [1]));
    let ends = told_ends(&fleet.shipped(key(0, 1), Err("no space".into())));
    assert_eq!(ends, [(key(0, 1), Exit::LaunchFailed { diagnostics: "no space".into() })]);
    assert_eq!(said(&mut fleet).releases, [id(1)]);
}

#[test]
fn what_nobody_waits_for_is_given_back_at_once() {
    let mut fleet = Fleet::default();
    fleet.want(key(0, 1), size(1024)).unwrap();
    said(&mut fleet);
    fleet.answered(grants(1, [1, 2]));
    fleet.answered(grants(7, [3]));
    let beat = said(&mut fleet);
    assert_eq!((beat.asks, beat.releases), (vec![], vec![id(2), id(3)]));
}

#[test]
fn a_container_granted_again_stays_with_its_worker() {
    let mut fleet = Fleet::default();
    runs(&mut fleet, key(0, 1), 1);
    assert!(fleet.answered(grants(1, [1])).is_empty());
    assert!(!fleet.outbox.has_news());
}

#[test]
fn release_is_heeded_at_every_stage() {
    let mut fleet = Fleet::default();
    let released = |key| vec![(key, Exit::Released)];
    // While it waits: the ask is taken back.
    fleet.want(key(0, 1), size(1024)).unwrap();
    said(&mut fleet);
    assert_eq!(told_ends(&fleet.release(key(0, 1))), released(key(0, 1)));
    assert_eq!(said(&mut fleet).asks[0].count, 0);
    // With a container and no file: it is given back.
    fleet.want(key(1, 1), size(1024)).unwrap();
    fleet.answered(grants(1, [1]));
    assert_eq!(told_ends(&fleet.release(key(1, 1))), released(key(1, 1)));
    assert_eq!(said(&mut fleet).releases, [id(1)]);
    assert!(fleet.shipped(key(1, 1), file()).is_empty());
    // While the node is asked to start it: as soon as it has, it is asked to go.
    fleet.want(key(2, 1), size(1024)).unwrap();
    fleet.shipped(key(2, 1), file());
    fleet.answered(grants(1, [2]));
    assert!(fleet.release(key(2, 1)).is_empty());
    let effects = fleet.started(key(2, 1), Ok(()));
    assert!(matches!(&effects[..], [Effect::Terminate(k, _, c)] if (*k, *c) == (key(2, 1), id(2))));
    assert_eq!(told_ends(&fleet.answered(ends(2, -105))), released(key(2, 1)));
    // While it runs, once.
    runs(&mut fleet, key(3, 1), 3);
    assert!(matches!(fleet.release(key(3, 1))[..], [Effect::Terminate(..)]));
    assert!(fleet.release(key(3, 1)).is_empty());
    assert!(matches!(fleet.hasten(key(3, 1)), Some(Effect::Terminate(..))));
    assert_eq!(told_ends(&fleet.answered(ends(3, 143))), released(key(3, 1)));
    // When it is gone, or never was.
    assert!(fleet.release(key(3, 1)).is_empty());
    assert!(fleet.release(key(9, 1)).is_empty());
    assert!(fleet.hasten(key(3, 1)).is_none());
}

#[test]
fn a_released_worker_that_the_node_then_refuses_was_released() {
    let mut fleet = Fleet::default();
    fleet.want(key(0, 1), size(1024)).unwrap();
    fleet.shipped(key(0, 1), file());
    fleet.answered(grants(1, [1]));
    fleet.release(key(0, 1));
    let ends = told_ends(&fleet.started(key(0, 1), Err("no disk".into())));
    assert_eq!(ends, [(key(0, 1), Exit::Released)]);
    assert_eq!(said(&mut fleet).releases, [id(1)]);
}

#[test]
fn an_end_is_told_once_and_stays_to_be_seen() {
    let mut fleet = Fleet::default();
    runs(&mut fleet, key(0, 1), 1);
    assert_eq!(told_ends(&fleet.answered(ends(1, -102))), [(key(0, 1), Exit::Preempted)]);
    assert!(fleet.answered(ends(1, -102)).is_empty());
    let present: Vec<_> = fleet.present().map(|event| event.phase.clone()).collect();
    assert_eq!(present, [Phase::Exited(Exit::Preempted)]);
    assert!(fleet.want(key(0, 1), size(1024)).unwrap().is_empty(), "a former attempt is not had again");
}

#[test]
fn a_container_that_is_lost_before_its_file_is_there_ends_its_worker() {
    let mut fleet = Fleet::default();
    fleet.want(key(0, 1), size(1024)).unwrap();
    fleet.answered(grants(1, [1]));
    assert_eq!(told_ends(&fleet.answered(ends(1, -100))), [(key(0, 1), Exit::NodeLost)]);
    assert!(fleet.shipped(key(0, 1), file()).is_empty());
}

#[test]
fn a_refused_heartbeat_ends_those_that_waited_and_nobody_else() {
    let mut fleet = Fleet::default();
    runs(&mut fleet, key(0, 1), 1);
    for index in [1, 2] {
        fleet.want(key(index, 1), size(1 << 30)).unwrap();
    }
    fleet.outbox.beat(0.0, None);
    fleet.want(key(3, 1), size(512)).unwrap();
    let refused = || Exit::LaunchFailed { diagnostics: "too large".into() };
    let ends = told_ends(&fleet.refused("too large"));
    assert_eq!(ends, [(key(1, 1), refused()), (key(2, 1), refused())]);
    // What would be refused again because of its size is not said again.
    assert_eq!(asked(&said(&mut fleet)), [(2, 1, 0), (3, 512, 1)]);
    assert!(!fleet.outbox.has_news());
}

#[test]
fn attempts_only_rise_and_the_next_may_come_while_the_former_leaves() {
    let mut fleet = Fleet::default();
    runs(&mut fleet, key(0, 2), 1);
    let refused = fleet.want(key(0, 1), size(1024));
    assert!(matches!(refused, Err(ProviderError::Superseded { .. })), "{refused:?}");
    let refused = fleet.want(key(0, 3), size(1024));
    assert!(matches!(refused, Err(ProviderError::NotReleased { .. })), "{refused:?}");
    fleet.release(key(0, 2));
    assert_eq!(fleet.want(key(0, 3), size(1024)).unwrap().len(), 1);
    assert_eq!(fleet.present().count(), 2);
    assert_eq!(told_ends(&fleet.answered(ends(1, 143))), [(key(0, 2), Exit::Released)]);
    assert_eq!(fleet.present().count(), 1, "who is gone and was followed is forgotten");
    let refused = fleet.want(key(0, 2), size(1024));
    assert!(matches!(refused, Err(ProviderError::Superseded { .. })), "{refused:?}");
}

#[test]
fn containers_of_a_former_attempt_are_let_go_and_our_own_are_not() {
    let mut fleet = Fleet::default();
    runs(&mut fleet, key(0, 1), 1);
    fleet.want(key(1, 1), size(1024)).unwrap();
    fleet.answered(grants(1, [2]));
    let running = [1, 2, 99].map(|number| container(1, number)).to_vec();
    fleet.answered(Allocated { running, ..Default::default() });
    assert_eq!(said(&mut fleet).releases, [id(99)]);
}

#[test]
fn all_that_stands_is_said_anew_after_the_resourcemanager_changed() {
    let mut fleet = Fleet::default();
    runs(&mut fleet, key(0, 1), 1);
    for index in [1, 2] {
        fleet.want(key(index, 1), size(1024)).unwrap();
    }
    said(&mut fleet);
    fleet.answered(grants(9, [5]));
    fleet.outbox.beat(0.0, None);
    fleet.outbox.start_over();
    let beat = said(&mut fleet);
    assert_eq!((asked(&beat), beat.releases), (vec![(1, 1024, 2)], vec![id(5)]));
}

#[test]
fn containers_are_asked_for_where_the_label_is() {
    let mut fleet = Fleet::on(Some("gpu".into()), "a");
    fleet.want(key(0, 1), size(1024)).unwrap();
    assert_eq!(said(&mut fleet).asks[0].node_label.as_deref(), Some("gpu"));
}
