//! `kobel status`: one cluster in a few facts, as systemctl shows a unit.

use std::fmt::Write;

use jiff::Timestamp;
use kobel_plan::{
    ClusterState, Status,
    status::{HaStatus, MasterStatus, TaskManagersStatus},
};

use super::{View, age, clusters::jobs, plan::kind};
use crate::failure::printable;

/// One cluster at `now`, and the last lines of its log.
pub(crate) struct StatusView {
    pub(crate) status: Status,
    pub(crate) log: Vec<String>,
    pub(crate) now: Timestamp,
}

impl View for StatusView {
    type Document = Status;

    fn document(&self) -> &Status {
        &self.status
    }

    fn table(&self, wide: bool) -> String {
        let s = &self.status;
        let kind = kind(s.kind);
        let mark = if s.state == ClusterState::Ready { "●" } else { "○" };
        let mut text = format!("{mark} {} - Flink {} {kind} on {}\n", s.name, s.flink_version, s.provider);
        for (name, value) in self.facts(wide) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name:>13}: {}", printable(&value));
        }
        if !self.log.is_empty() {
            text.push('\n');
            self.log.iter().for_each(|line| text.extend([printable(line), "\n".into()]));
        }
        text
    }

    fn names(&self) -> Vec<String> {
        vec![self.status.name.to_string()]
    }
}

impl StatusView {
    fn facts(&self, wide: bool) -> Vec<(&'static str, String)> {
        let s = &self.status;
        let mut facts = vec![("state", self.state())];
        facts.extend(s.reason.clone().map(|reason| ("reason", reason)));
        facts.extend(s.rest_url.clone().map(|url| ("web UI", url)));
        facts.extend(
            s.yarn
                .as_ref()
                .map(|yarn| ("application", format!("{} in queue {}", yarn.application_id, yarn.queue))),
        );
        facts.extend(s.masters.iter().map(|jm| ("JobManager", self.master(jm))));
        facts.extend(s.ha.as_ref().map(|ha| ("ZooKeeper", in_zookeeper(ha))));
        let tms = &s.task_managers;
        facts.push(("TaskManagers", registered(tms)));
        if wide {
            facts.extend(
                tms.list.iter().map(|tm| ("", format!("{} on {}{}", tm.id, tm.host, process(tm.pid)))),
            );
        }
        facts.push(("slots", format!("{} of {} free", s.slots.free, s.slots.total)));
        let jobs = jobs(&s.jobs);
        facts.push(("jobs", if jobs.is_empty() { "none".into() } else { jobs }));
        if s.failovers > 0 {
            facts.push(("failovers", s.failovers.to_string()));
        }
        facts.extend(s.agent.as_ref().map(|a| ("agent", format!("on {}{}", a.host, process(Some(a.pid))))));
        facts.push(("logs", s.log_dir.display().to_string()));
        facts
    }

    /// One that leads no longer than it runs need not tell both.
    fn master(&self, jm: &MasterStatus) -> String {
        let (leading, runs) = (jm.leading_since.filter(|_| jm.leader), age(jm.since, self.now));
        let role = match (jm.leader, leading.map(|since| age(since, self.now))) {
            (true, Some(leads)) if leads != runs => format!("leading for {leads}, running for {runs}"),
            (true, _) => format!("leading, for {runs}"),
            (false, _) if self.status.ha.is_some() => format!("standby, for {runs}"),
            (false, _) => format!("for {runs}"),
        };
        format!("{} on {}{}, {role}", jm.id, jm.host, process(jm.pid))
    }

    fn state(&self) -> String {
        let started = self.status.started_at;
        format!("{}, started {} ago ({started:.0})", self.status.state, age(started, self.now))
    }
}

/// How many TaskManagers there are of how many, and how many of those are there for jobs only.
pub(super) fn registered(tms: &TaskManagersStatus) -> String {
    let for_jobs = match tms.wanted.saturating_sub(tms.pinned) {
        0 => String::new(),
        extra => format!(", {extra} for jobs that need more"),
    };
    format!("{} of {} registered{for_jobs}", tms.running, tms.wanted)
}

/// By what Flink's own client finds the cluster.
pub(super) fn in_zookeeper(ha: &HaStatus) -> String {
    let quorum = ha.quorum.as_deref().unwrap_or("its own");
    format!("{quorum}, cluster id {} below {}", ha.cluster_id, ha.root)
}

fn process(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use kobel_plan::{ClusterKind, ProviderKind, WorkerId, status::*};

    /// A cluster that is ready, with everything in it.
    pub(crate) fn ready() -> Status {
        let tm = |n, pid| TaskManagerStatus {
            id: WorkerId::tm(n),
            host: "localhost".into(),
            pid,
            container: None,
        };
        Status {
            api_version: kobel_plan::API_VERSION.into(),
            name: "default".parse().unwrap(),
            provider: ProviderKind::Local,
            kind: ClusterKind::Session,
            state: ClusterState::Ready,
            flink_version: "1.20.5".into(),
            rest_url: Some("http://localhost:8081".into()),
            masters: vec![MasterStatus {
                id: WorkerId::jm(0),
                host: "localhost".into(),
                pid: Some(4711),
                container: None,
                leader: true,
                leading_since: None,
                since: "2026-11-21T12:00:01Z".parse().unwrap(),
            }],
            task_managers: TaskManagersStatus {
                wanted: 2,
                pinned: 2,
                running: 2,
                list: vec![tm(0, Some(4712)), tm(1, None)],
            },
            slots: Slots { total: 4, free: 3 },
            job: None,
            jobs: Jobs { running: 1, failed: 2, ..Jobs::default() },
            agent: Some(AgentStatus { host: "localhost".into(), pid: 4710 }),
            failovers: 1,
            ha: None,
            yarn: None,
            log_dir: "/home/me/.local/state/kobel/clusters/default/log".into(),
            started_at: "2026-11-21T12:00:00Z".parse().unwrap(),
            reason: None,
        }
    }

    /// The same with a standby that took over.
    pub(crate) fn with_standby() -> Status {
        let mut status = ready();
        status.masters[0].since = "2026-11-21T12:10:00Z".parse().unwrap();
        status.masters[0].leader = false;
        let mut second = status.masters[0].clone();
        second.id = WorkerId::jm(1);
        second.pid = Some(4720);
        second.since = "2026-11-21T12:00:01Z".parse().unwrap();
        second.leader = true;
        second.leading_since = Some("2026-11-21T12:09:59Z".parse().unwrap());
        status.masters.push(second);
        status.ha = Some(HaStatus {
            cluster_id: "etl".into(),
            root: "/flink".into(),
            quorum: Some("zk1:2181,zk2:2181/prod".into()),
        });
        status
    }

    fn view() -> StatusView {
        let log = vec!["2026-11-21 12:00:02 INFO  a line\tof the log".into()];
        StatusView { status: ready(), log, now: "2026-11-21T12:12:30Z".parse().unwrap() }
    }

    #[test]
    fn a_cluster_in_a_few_facts_and_its_last_log_lines() {
        insta::assert_snapshot!(view().table(false));
    }

    #[test]
    fn the_leader_is_told_from_standbys_and_since_when() {
        let view = StatusView { status: with_standby(), ..view() };
        insta::assert_snapshot!(view.table(false));
    }

    #[test]
    fn wide_lists_every_task_manager() {
        assert!(view().table(true).contains("tm-1 on localhost\n"), "{}", view().table(true));
    }

    #[test]
    fn task_managers_that_go_again_are_told_from_those_that_stay() {
        let mut tms = ready().task_managers;
        assert_eq!(registered(&tms), "2 of 2 registered");
        (tms.wanted, tms.pinned) = (3, 1);
        assert_eq!(registered(&tms), "2 of 3 registered, 2 for jobs that need more");
    }

    #[test]
    fn the_reason_of_a_failed_cluster_comes_first() {
        let mut view = view();
        view.status.state = ClusterState::Failed;
        view.status.reason = Some("jm-0 exited with code 1".into());
        view.log.clear();
        insta::assert_snapshot!(view.table(false));
    }
}
