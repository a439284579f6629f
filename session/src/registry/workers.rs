//! What became of a cluster's workers: told together by its status, its record and its timeline.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kobel_plan::{Attempt, ClusterEvent, EventKind, Status, WorkerId};
use serde::Serialize;

/// A worker, and what is known of its processes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerHistory {
    /// Whose processes.
    pub id: WorkerId,
    /// The newest of them.
    pub attempt: Attempt,
    /// How many came before it.
    pub restarts: u32,
    /// Its process, if that runs.
    pub process: Option<Process>,
    /// How the last one that is gone ended.
    pub last_exit: Option<LastExit>,
}

/// A process that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Process {
    /// Its host.
    pub host: String,
    /// Its process id, where known.
    pub pid: Option<u32>,
    /// YARN's container id.
    pub container: Option<String>,
    /// Since when it runs, where known.
    pub since: Option<Timestamp>,
}

/// A process that is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastExit {
    /// When that was noticed.
    pub at: Timestamp,
    /// Which of the worker's processes it was.
    pub attempt: Attempt,
    /// Why, in words.
    pub cause: String,
}

/// Every worker that the cluster has or had, by id. `attempts` are the record's; where it lacks one,
/// the timeline tells.
pub(super) fn histories(
    status: &Status,
    attempts: &BTreeMap<WorkerId, Attempt>,
    events: &[ClusterEvent],
) -> Vec<WorkerHistory> {
    let told: Vec<_> = events.iter().filter_map(Told::of).collect();
    let mut newest = attempts.clone();
    for told in &told {
        let known = newest.entry(told.id).or_insert(told.attempt);
        *known = (*known).max(told.attempt);
    }
    let processes = processes(status);
    for id in processes.keys() {
        newest.entry(*id).or_insert(Attempt::FIRST);
    }
    let history = |(id, attempt): (WorkerId, Attempt)| {
        let of_it = || told.iter().rev().filter(|told| told.id == id);
        let last_exit = of_it().find(|told| told.kind == EventKind::WorkerExited);
        let ran = of_it().find(|told| told.attempt == attempt && told.kind == EventKind::WorkerRunning);
        let mut process = processes.get(&id).cloned();
        if let Some(process) = &mut process {
            process.since = process.since.or(ran.map(|told| told.at));
        }
        let restarts = attempt.0.get() - 1;
        WorkerHistory { id, attempt, restarts, process, last_exit: last_exit.map(Told::exit) }
    };
    newest.into_iter().map(history).collect()
}

/// The processes that run.
fn processes(status: &Status) -> BTreeMap<WorkerId, Process> {
    let jms = status.masters.iter().map(|jm| {
        let (host, container) = (jm.host.clone(), jm.container.clone());
        (jm.id, Process { host, pid: jm.pid, container, since: Some(jm.since) })
    });
    let tms = status.task_managers.list.iter().map(|tm| {
        let (host, container) = (tm.host.clone(), tm.container.clone());
        (tm.id, Process { host, pid: tm.pid, container, since: None })
    });
    jms.chain(tms).collect()
}

/// An event of one process: its message begins with the process's name, `tm-0.2`.
struct Told<'a> {
    at: Timestamp,
    kind: EventKind,
    id: WorkerId,
    attempt: Attempt,
    /// What comes after the name.
    rest: &'a str,
}

impl<'a> Told<'a> {
    fn of(event: &'a ClusterEvent) -> Option<Self> {
        let (name, rest) = event.message.split_once(' ')?;
        let (id, attempt) = WorkerId::parse_attempt_name(name).ok()?;
        Some(Self { at: event.at, kind: event.kind, id, attempt, rest })
    }

    fn exit(&self) -> LastExit {
        LastExit { at: self.at, attempt: self.attempt, cause: self.rest.into() }
    }
}

#[cfg(test)]
mod tests {
    use kobel_plan::status::{MasterStatus, TaskManagerStatus};

    use super::*;
    use crate::registry::tests::plan;

    fn event(second: i64, kind: EventKind, message: &str) -> ClusterEvent {
        ClusterEvent { at: at(second), kind, worker: None, message: message.into() }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn status() -> Status {
        let mut status = Status::starting(&plan("/log".as_ref()), at(0));
        status.masters.push(MasterStatus {
            id: WorkerId::jm(0),
            host: "h".into(),
            pid: Some(1),
            container: None,
            leader: true,
            leading_since: None,
            since: at(7),
        });
        status.task_managers.list.push(TaskManagerStatus {
            id: WorkerId::tm(0),
            host: "h".into(),
            pid: Some(2),
            container: None,
        });
        status
    }

    #[test]
    fn a_worker_is_told_with_its_attempts_and_how_the_last_one_ended() {
        let second = Attempt::FIRST.next();
        let attempts = BTreeMap::from([(WorkerId::jm(0), Attempt::FIRST), (WorkerId::tm(0), second)]);
        let events = [
            event(1, EventKind::WorkerRunning, "tm-0.1 runs"),
            event(2, EventKind::WorkerExited, "tm-0.1 killed by signal 9"),
            event(3, EventKind::WorkerRunning, "tm-0.2 runs"),
            event(4, EventKind::WorkerExited, "tm-1.1 released"),
            event(5, EventKind::StateChanged, "Ready"),
        ];
        let told = histories(&status(), &attempts, &events);
        let ids: Vec<_> = told.iter().map(|worker| worker.id).collect();
        assert_eq!(ids, [WorkerId::jm(0), WorkerId::tm(0), WorkerId::tm(1)]);
        assert_eq!(told[0].process.as_ref().unwrap().since, Some(at(7)));
        assert_eq!((told[0].restarts, &told[0].last_exit), (0, &None));
        let exit = LastExit { at: at(2), attempt: Attempt::FIRST, cause: "killed by signal 9".into() };
        assert_eq!((told[1].attempt, told[1].restarts), (second, 1));
        assert_eq!(told[1].last_exit, Some(exit));
        assert_eq!(told[1].process.as_ref().unwrap().since, Some(at(3)), "since its own process runs");
        assert_eq!(told[2].process, None, "one that was scaled away is known too");
    }

    #[test]
    fn without_a_record_the_timeline_and_the_status_tell() {
        let told =
            histories(&status(), &BTreeMap::new(), &[event(1, EventKind::WorkerStarting, "tm-0.3 starts")]);
        let attempts: Vec<_> = told.iter().map(|worker| (worker.id, worker.attempt.0.get())).collect();
        assert_eq!(attempts, [(WorkerId::jm(0), 1), (WorkerId::tm(0), 3)]);
    }
}
