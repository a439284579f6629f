//! Jobs and checkpoints as Flink tells of them in the course of a failover.

use kobel_flink::rest::{LatestCheckpoints, TaskCounts};
use kobel_plan::Attempt;

use super::*;

fn id() -> JobId {
    "00ff10203040506070809000a0b0c0d0".parse().unwrap()
}

fn job(state: JobState, running: u32) -> JobSummary {
    let tasks = TaskCounts { running, scheduled: 2 - running, ..TaskCounts::default() };
    JobSummary { jid: id(), name: "etl".into(), state, start_time: 1, end_time: -1, duration: 1, tasks }
}

fn made(id: i64, trigger: i64, ack: i64) -> Checkpoint {
    Checkpoint {
        id,
        status: "COMPLETED".into(),
        is_savepoint: false,
        trigger_timestamp: trigger,
        latest_ack_timestamp: ack,
        end_to_end_duration: ack - trigger,
        state_size: 1,
        num_subtasks: 1,
        num_acknowledged_subtasks: 1,
        external_path: None,
        failure_message: None,
    }
}

fn restored(id: i64, at: i64) -> RestoredCheckpoint {
    RestoredCheckpoint { id, restore_timestamp: at, is_savepoint: false, external_path: None }
}

fn checkpoints(restored: Option<RestoredCheckpoint>, history: Vec<Checkpoint>) -> Checkpoints {
    Checkpoints {
        history,
        latest: LatestCheckpoints { restored, ..Default::default() },
        ..Checkpoints::default()
    }
}

fn at() -> Timestamp {
    Timestamp::from_millisecond(1000).unwrap()
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn a_job_is_back_when_it_was_down_and_runs_with_all_its_tasks() {
    let mut watched = Watched::new(id(), "etl".into(), None);
    watched.see(&job(JobState::Running, 2), ms(10));
    assert!(!watched.is_done(), "nobody has noticed the fault yet");
    watched.see(&job(JobState::Restarting, 0), ms(20));
    watched.see(&job(JobState::Running, 1), ms(30));
    assert!(!watched.is_done());
    watched.see(&job(JobState::Running, 2), ms(40));
    watched.see(&job(JobState::Running, 2), ms(50));
    assert!(watched.is_done(), "it makes no checkpoints");
    assert_eq!(watched.row.running_ms, Some(40));
}

#[test]
fn a_job_that_ended_is_done() {
    let mut watched = Watched::new(id(), "etl".into(), Some(&checkpoints(None, vec![])));
    watched.has_moved();
    watched.see(&job(JobState::Finished, 0), ms(20));
    assert!(watched.is_done());
    assert_eq!(watched.row.running_ms, None);
}

#[test]
fn the_first_checkpoint_above_the_restored_one_counts_by_flinks_clock() {
    let before = checkpoints(Some(restored(3, 10)), vec![made(7, 900, 910)]);
    let mut watched = Watched::new(id(), "etl".into(), Some(&before));
    watched.has_moved();
    watched.see(&job(JobState::Running, 2), ms(500));
    // Flink's answer from before.
    watched.see_checkpoints(&before, at(), ms(550));
    assert_eq!(watched.row.checkpoint, None);
    // One that was completed before the fault, and had not been told yet, is what was restored.
    watched.see_checkpoints(&checkpoints(Some(restored(8, 1400)), vec![made(8, 980, 990)]), at(), ms(600));
    assert_eq!((watched.row.restored.as_ref().unwrap().id, &watched.row.checkpoint), (8, &None));
    let history = vec![made(11, 2000, 2010), made(10, 1800, 1820), made(8, 980, 990)];
    watched.see_checkpoints(&checkpoints(Some(restored(8, 1400)), history), at(), ms(3000));
    assert_eq!(watched.row.checkpoint, Some(Completed { id: 10, after_ms: 820 }));
    assert!(watched.is_done());
}

#[test]
fn a_clock_that_cannot_be_right_is_not_believed() {
    let mut watched = Watched::new(id(), "etl".into(), Some(&checkpoints(None, vec![])));
    watched.has_moved();
    watched.see_checkpoints(&checkpoints(Some(restored(8, 9)), vec![made(9, 90_000, 90_010)]), at(), ms(600));
    assert_eq!(watched.row.checkpoint, Some(Completed { id: 9, after_ms: 600 }));
}

#[test]
fn a_job_without_a_former_checkpoint_needs_one_that_began_after_the_fault() {
    let mut watched = Watched::new(id(), "etl".into(), Some(&checkpoints(None, vec![])));
    watched.see_checkpoints(&checkpoints(None, vec![made(1, 1100, 1200)]), at(), ms(300));
    assert_eq!(watched.row.checkpoint, None, "the fault was not noticed yet");
    watched.see(&job(JobState::Restarting, 0), ms(400));
    watched.see_checkpoints(&checkpoints(None, vec![made(1, 900, 1010)]), at(), ms(500));
    assert_eq!(watched.row.checkpoint, None);
    watched.see_checkpoints(&checkpoints(None, vec![made(2, 1500, 1600)]), at(), ms(700));
    assert_eq!(watched.row.checkpoint, Some(Completed { id: 2, after_ms: 600 }));
}

#[test]
fn the_timeline_is_read_from_the_drill_on() {
    let struck = Struck { worker: WorkerId::jm(0), attempt: Attempt::FIRST, at: at() };
    let event = |millis, kind, worker| ClusterEvent {
        at: Timestamp::from_millisecond(millis).unwrap(),
        kind,
        worker: Some(worker),
        message: String::new(),
    };
    let events = [
        event(100, EventKind::Drill, WorkerId::jm(0)),
        event(200, EventKind::LeaderElected, WorkerId::jm(1)),
        event(300, EventKind::JobsRunning, WorkerId::jm(1)),
        event(1001, EventKind::Drill, WorkerId::jm(0)),
        event(1700, EventKind::LeaderElected, WorkerId::jm(1)),
    ];
    assert_eq!(told(&events, &struck), Told { leading_ms: Some(700), running_ms: None });
}
