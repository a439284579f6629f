//! `kobel describe`: all that is known of one cluster, as kubectl describes a pod.

use std::path::PathBuf;

use jiff::Timestamp;
use kobel_plan::{ClusterEvent, ClusterPlan, Status, status::MasterStatus};
use kobel_session::registry::{Setting, WorkerHistory};
use serde::Serialize;

use super::{
    Events, JobRow, Jobs, Table, View, age,
    clusters::jobs,
    plan::{Chosen, Fact, kind, section},
    status::registered,
};

/// One cluster at `now`.
#[derive(Serialize)]
pub(crate) struct Description {
    #[serde(flatten)]
    pub(crate) status: Status,
    /// Without secrets.
    pub(crate) plan: ClusterPlan,
    pub(crate) workers: Vec<WorkerHistory>,
    #[serde(rename = "jobList")]
    pub(crate) jobs: Vec<JobRow>,
    pub(crate) settings: Vec<Setting>,
    pub(crate) events: Vec<ClusterEvent>,
    pub(crate) files: Places,
    #[serde(skip)]
    pub(crate) now: Timestamp,
}

/// Files and directories.
#[derive(Serialize)]
pub(crate) struct Places(pub(crate) Vec<Place>);

/// A file or directory, and what it is.
#[derive(Serialize)]
pub(crate) struct Place {
    pub(crate) what: String,
    pub(crate) path: PathBuf,
}

/// How many of the last events are shown; `wide` shows all.
const EVENTS: usize = 10;

impl View for Description {
    type Document = Self;

    fn document(&self) -> &Self {
        self
    }

    fn table(&self, wide: bool) -> String {
        let mut text = Fact::lines(&self.facts());
        section(&mut text, "Workers", &self.worker_table());
        if !self.jobs.is_empty() {
            let list = self.jobs.clone();
            section(&mut text, "Jobs", &Jobs { list }.table(wide));
        }
        let last = if wide { self.events.len() } else { EVENTS.min(self.events.len()) };
        let list = self.events[self.events.len() - last..].to_vec();
        let title = match self.events.len() - last {
            0 => "Events".into(),
            more => format!("Events (and {more} before: kobel events {})", self.status.name),
        };
        section(&mut text, &title, &Events { list }.table(wide));
        self.chosen().section(&mut text, wide, &format!("kobel config show {}", self.status.name));
        section(&mut text, "Files", &self.files.table());
        text
    }

    fn names(&self) -> Vec<String> {
        vec![self.status.name.to_string()]
    }
}

impl Description {
    fn chosen(&self) -> Chosen<'_> {
        Chosen { plan: &self.plan, settings: &self.settings }
    }

    fn facts(&self) -> Vec<Fact> {
        let s = &self.status;
        let fact = Fact::new;
        let mut facts = vec![
            fact("Name", s.name.to_string()),
            fact("Kind", format!("{} on {}", kind(s.kind), s.provider)),
            fact(
                "State",
                format!("{}, started {} ago ({:.0})", s.state, age(s.started_at, self.now), s.started_at),
            ),
        ];
        facts.extend(s.reason.clone().map(|reason| fact("Reason", reason)));
        facts.extend(s.rest_url.clone().map(|url| fact("Web UI", url)));
        facts.extend(
            s.agent.as_ref().map(|agent| fact("Agent", format!("pid {} on {}", agent.pid, agent.host))),
        );
        facts.extend(self.chosen().facts());
        facts.extend(self.chosen().high_availability());
        facts.extend(self.leader());
        facts.push(fact("TaskManagers", registered(&s.task_managers)));
        facts.push(self.slots());
        let count = jobs(&s.jobs);
        facts.push(fact("Jobs", if count.is_empty() { "none".into() } else { count }));
        facts.push(fact("Failovers", s.failovers.to_string()));
        facts.extend(self.chosen().port("Front port", "rest.port", self.plan.front.port));
        facts.extend(self.chosen().port("RPC port", "jobmanager.rpc.port", self.plan.rpc_port));
        facts
    }

    /// Who leads of several.
    fn leader(&self) -> Option<Fact> {
        self.plan.ha.as_ref()?;
        let leader = self.status.masters.iter().find(|master| master.leader);
        let told = |jm: &MasterStatus| {
            let since = jm.leading_since.unwrap_or(jm.since);
            format!("{}, for {} ({since:.0})", jm.id, age(since, self.now))
        };
        let leader = leader.map_or_else(|| "none".into(), told);
        let others = self.status.masters.iter().filter(|master| !master.leader).count();
        Some(Fact::new("Leader", format!("{leader}; {others} on standby")))
    }

    fn slots(&self) -> Fact {
        let slots = &self.status.slots;
        let chosen = self.chosen();
        let setting = chosen.setting("taskmanager.numberOfTaskSlots");
        let each = setting.map(|setting| format!(", {} each", setting.value)).unwrap_or_default();
        let value = format!("{} of {} free{each}", slots.free, slots.total);
        Fact { name: "Slots", value, origin: setting.map(|setting| setting.origin.clone()) }
    }

    fn worker_table(&self) -> String {
        let mut table = Table::new(&["ID", "ATTEMPT", "PID", "HOST", "RUNS FOR", "RESTARTS", "LAST EXIT"]);
        for worker in &self.workers {
            let process = worker.process.as_ref();
            let since = process.and_then(|process| process.since);
            let last = worker.last_exit.as_ref().map(|exit| {
                let name = worker.id.attempt_name(exit.attempt);
                format!("{} ago: {name} {}", age(exit.at, self.now), exit.cause)
            });
            table.row([
                worker.id.to_string(),
                worker.attempt.to_string(),
                process.and_then(|process| process.pid).map(|pid| pid.to_string()).unwrap_or_default(),
                process.map(|process| process.host.clone()).unwrap_or_default(),
                since.map(|since| age(since, self.now)).unwrap_or_default(),
                worker.restarts.to_string(),
                last.unwrap_or_default(),
            ]);
        }
        table.text()
    }
}

impl Places {
    fn table(&self) -> String {
        let mut table = Table::new(&["WHAT", "WHERE"]);
        for place in &self.0 {
            table.row([place.what.clone(), place.path.display().to_string()]);
        }
        table.text()
    }
}

#[cfg(test)]
pub(super) mod tests;
