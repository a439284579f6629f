//! Where the cluster stands, told from its workers and from what the JobManager says. Decides
//! nothing, does nothing.

use jiff::Timestamp;
use kobel_plan::{
    Role, Wanted, WorkerId,
    status::{MasterStatus, TaskManagerStatus, TaskManagersStatus},
};

use crate::{
    observe::Observation,
    reconcile::{Table, Worker, is_wanted},
};

/// What is missing for the cluster to be ready, in one line; none when it is ready. Wanted are those that are pinned.
pub(crate) fn missing(wanted: Wanted, table: &Table, observed: Option<&Observation>) -> Option<String> {
    if wanted.job_managers == 0 {
        return Some("no JobManager is wanted".into());
    }
    let Some(observed) = observed else {
        let gone = down(wanted, table, Role::JobManager);
        return Some(gone.unwrap_or_else(|| "the JobManager does not answer yet".into()));
    };
    let registered = registered(wanted, table, observed);
    if registered >= wanted.task_managers {
        return None;
    }
    let gone = down(wanted, table, Role::TaskManager).map(|gone| format!("; {gone}")).unwrap_or_default();
    Some(format!("{registered} of {} TaskManagers registered{gone}", wanted.task_managers))
}

/// How many of the wanted TaskManagers the JobManager knows, by the attempt that lives now.
pub(crate) fn registered(wanted: Wanted, table: &Table, observed: &Observation) -> u32 {
    let known = |(id, worker): (WorkerId, &Worker)| {
        id.role == Role::TaskManager
            && is_wanted(wanted, id)
            && observed.registered.contains_key(&id.attempt_name(worker.attempt))
    };
    table.live().filter(|(id, worker)| known((*id, worker))).count().try_into().unwrap_or(u32::MAX)
}

/// The first wanted worker of a role that is gone, and why.
fn down(wanted: Wanted, table: &Table, role: Role) -> Option<String> {
    let workers = table.iter().filter(|(id, _)| id.role == role && is_wanted(wanted, *id));
    let gone = |(id, worker): (WorkerId, &Worker)| {
        Some(format!("{} {}", id.attempt_name(worker.attempt), worker.exit()?))
    };
    workers.into_iter().find_map(gone)
}

/// The JobManagers' processes.
pub(crate) fn masters(
    table: &Table,
    observed: Option<&Observation>,
    leading_since: Option<Timestamp>,
) -> Vec<MasterStatus> {
    let masters = table.live().filter(|(id, _)| id.role == Role::JobManager);
    let status = |(id, worker): (WorkerId, &Worker)| {
        let place = worker.place()?.clone();
        let leader = observed.is_some_and(|observed| observed.of == (id, worker.attempt));
        Some(MasterStatus {
            id,
            host: place.host,
            pid: place.pid,
            container: place.container,
            leader,
            leading_since: leading_since.filter(|_| leader),
            since: place.since,
        })
    };
    masters.filter_map(status).collect()
}

/// The TaskManagers' processes.
pub(crate) fn task_managers(
    wanted: Wanted,
    pinned: u32,
    table: &Table,
    observed: Option<&Observation>,
) -> TaskManagersStatus {
    let workers = table.live().filter(|(id, _)| id.role == Role::TaskManager);
    let status = |(id, worker): (WorkerId, &Worker)| {
        let place = worker.place()?.clone();
        Some(TaskManagerStatus { id, host: place.host, pid: place.pid, container: place.container })
    };
    TaskManagersStatus {
        wanted: wanted.task_managers,
        pinned,
        running: observed.map_or(0, |observed| registered(wanted, table, observed)),
        list: workers.filter_map(status).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use kobel_plan::{Attempt, Exit, Phase, WorkerEvent, status::Slots};

    use super::*;
    use crate::reconcile::Action;

    const WANTED: Wanted = Wanted { job_managers: 1, task_managers: 2 };

    fn table() -> Table {
        let mut table = Table::default();
        for id in [WorkerId::jm(0), WorkerId::tm(0), WorkerId::tm(1)] {
            table.acted(Action::Ensure(id, Attempt::FIRST));
            let phase = Phase::Running { host: "h".into(), pid: Some(7), container: None };
            saw(&mut table, id, phase);
        }
        table
    }

    fn saw(table: &mut Table, id: WorkerId, phase: Phase) {
        let event = WorkerEvent { id, attempt: Attempt::FIRST, at: Timestamp::UNIX_EPOCH, phase };
        table.saw(&event, Instant::now());
    }

    fn observed(registered: &[&str]) -> Observation {
        Observation {
            of: (WorkerId::jm(0), Attempt::FIRST),
            serial: 0,
            slots: Default::default(),
            jobs: Default::default(),
            registered: registered.iter().map(|id| (id.to_string(), Slots::default())).collect(),
            not_running: None,
            demand: None,
        }
    }

    #[test]
    fn ready_is_a_leader_and_every_wanted_taskmanager() {
        let table = table();
        let all = observed(&["tm-0.1", "tm-1.1"]);
        assert_eq!(missing(WANTED, &table, Some(&all)), None);
        let cases = [
            (None, "the JobManager does not answer yet"),
            (Some(observed(&["tm-0.1"])), "1 of 2 TaskManagers registered"),
            // Another attempt's registration, which the JobManager has not forgotten yet.
            (Some(observed(&["tm-0.1", "tm-1.9"])), "1 of 2 TaskManagers registered"),
        ];
        for (observed, expected) in cases {
            assert_eq!(missing(WANTED, &table, observed.as_ref()).as_deref(), Some(expected));
        }
        let none = Wanted { job_managers: 0, task_managers: 2 };
        assert_eq!(missing(none, &table, None).as_deref(), Some("no JobManager is wanted"));
    }

    #[test]
    fn a_worker_that_is_gone_is_named() {
        let mut table = table();
        saw(&mut table, WorkerId::tm(1), Phase::Exited(Exit::Signal(9)));
        let reason = missing(WANTED, &table, Some(&observed(&["tm-0.1", "tm-1.1"])));
        let expected = "1 of 2 TaskManagers registered; tm-1.1 killed by signal 9";
        assert_eq!(reason.as_deref(), Some(expected));
        saw(&mut table, WorkerId::jm(0), Phase::Exited(Exit::Code(1)));
        assert_eq!(missing(WANTED, &table, None).as_deref(), Some("jm-0.1 exited with code 1"));
    }

    #[test]
    fn processes_are_listed_with_the_leader_marked() {
        let mut table = table();
        saw(&mut table, WorkerId::tm(0), Phase::Exited(Exit::Signal(9)));
        let all = observed(&["tm-0.1", "tm-1.1"]);
        assert!(masters(&table, Some(&all), None)[0].leader);
        assert!(!masters(&table, None, None)[0].leader);
        let tms = task_managers(WANTED, 1, &table, Some(&all));
        assert_eq!((tms.wanted, tms.pinned, tms.running, tms.list.len()), (2, 1, 1, 1));
        assert_eq!(tms.list[0].id, WorkerId::tm(1));
    }
}
