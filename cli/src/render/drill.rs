//! `kobel failover`: what failed, and how long it took until all was well again.

use std::fmt::Write;

use jiff::Timestamp;
use kobel_plan::{ClusterName, Fault, JobId, WorkerId};
use serde::Serialize;

use super::{Table, View};
use crate::failure::printable;

/// A drill as far as it has come. Times are milliseconds since the fault, and absent as long as they are not reached.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Drill {
    pub(crate) cluster: ClusterName,
    pub(crate) fault: Fault,
    pub(crate) victim: VictimRow,
    /// When it was done; absent if it was not.
    pub(crate) at: Option<Timestamp>,
    /// Who leads since.
    pub(crate) leader: Option<WorkerId>,
    pub(crate) leading_ms: Option<u64>,
    /// Of the last job.
    pub(crate) running_ms: Option<u64>,
    /// Of the last job that makes checkpoints.
    pub(crate) checkpoint_ms: Option<u64>,
    /// The same by the cluster's own timeline.
    pub(crate) timeline: Told,
    pub(crate) jobs: Vec<DrilledJob>,
}

/// A process that fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VictimRow {
    pub(crate) id: WorkerId,
    pub(crate) host: String,
    pub(crate) pid: Option<u32>,
    pub(crate) container: Option<String>,
}

/// What the cluster's timeline has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Told {
    pub(crate) leading_ms: Option<u64>,
    pub(crate) running_ms: Option<u64>,
}

/// A job that ran before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DrilledJob {
    pub(crate) id: JobId,
    pub(crate) name: String,
    /// Whether it makes checkpoints.
    pub(crate) checkpointed: bool,
    pub(crate) running_ms: Option<u64>,
    pub(crate) restored: Option<Restored>,
    /// The first that was completed since.
    pub(crate) checkpoint: Option<Completed>,
}

/// What a job was restored from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Restored {
    pub(crate) id: i64,
    pub(crate) savepoint: bool,
    pub(crate) path: Option<String>,
}

/// A checkpoint that was completed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Completed {
    pub(crate) id: i64,
    pub(crate) after_ms: u64,
}

impl View for Drill {
    type Document = Self;

    fn document(&self) -> &Self {
        self
    }

    fn table(&self, wide: bool) -> String {
        let mut text = String::new();
        for (name, value) in self.facts() {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name:>11}: {value}");
        }
        if self.jobs.is_empty() || self.at.is_none() {
            return text;
        }
        let mut headers = vec!["JOB", "NAME", "RUNNING", "RESTORED FROM", "NEXT CHECKPOINT"];
        if wide {
            headers.push("PATH");
        }
        let mut table = Table::new(&headers);
        for job in &self.jobs {
            let mut cells = vec![job.id.to_string(), printable(&job.name), after(job.running_ms)];
            cells.push(job.restored.as_ref().map_or("nothing".into(), restored));
            cells.push(job.next());
            if wide {
                cells.push(job.restored.as_ref().and_then(|from| from.path.clone()).unwrap_or_default());
            }
            table.row(cells);
        }
        text + "\n" + &table.text()
    }

    fn names(&self) -> Vec<String> {
        vec![self.victim.id.to_string()]
    }
}

impl Drill {
    fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = vec![("cluster", self.cluster.to_string())];
        let Some(at) = self.at else {
            facts.push(("would be", format!("{} {}", self.victim.words(), self.fault)));
            return facts;
        };
        facts.push(("fault", format!("{} was {} at {at:.3}", self.victim.words(), self.fault)));
        if self.hits_leader() {
            let who = self.leader.map(|id| format!("{id} ")).unwrap_or_default();
            let told = by_events(self.timeline.leading_ms);
            facts.push(("leading", format!("{who}{}{told}", after(self.leading_ms))));
        }
        let told = by_events(self.timeline.running_ms);
        facts.push((
            "running",
            match self.jobs.len() {
                0 => "no job was hit".into(),
                1 => format!("the job {}{told}", after(self.running_ms)),
                n => format!("all {n} jobs {}{told}", after(self.running_ms)),
            },
        ));
        if self.jobs.iter().any(|job| job.checkpointed) {
            facts.push(("checkpoint", after(self.checkpoint_ms)));
        }
        facts
    }

    /// Whether there is another leader afterwards.
    pub(crate) fn hits_leader(&self) -> bool {
        self.victim.id.role == kobel_plan::Role::JobManager
    }
}

impl VictimRow {
    /// `jm-0 on host (pid 4711)`.
    pub(crate) fn words(&self) -> String {
        let pid = self.pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
        format!("{} on {}{pid}", self.id, self.host)
    }
}

impl DrilledJob {
    fn next(&self) -> String {
        match &self.checkpoint {
            Some(Completed { id, after_ms }) => format!("{id} {}", after(Some(*after_ms))),
            None if self.checkpointed => after(None),
            None => "makes none".into(),
        }
    }
}

fn restored(from: &Restored) -> String {
    format!("{} {}", if from.savepoint { "savepoint" } else { "checkpoint" }, from.id)
}

/// `after 1.23 s`.
fn after(millis: Option<u64>) -> String {
    match millis {
        Some(millis) => format!("after {}.{:02} s", millis / 1000, millis % 1000 / 10),
        None => "not yet".into(),
    }
}

fn by_events(millis: Option<u64>) -> String {
    millis.map(|_| format!(" ({} by its events)", after(millis))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drill() -> Drill {
        let job = |id: &str, checkpointed| DrilledJob {
            id: id.parse().unwrap(),
            name: "etl".into(),
            checkpointed,
            running_ms: Some(1309),
            restored: checkpointed.then(|| Restored {
                id: 41,
                savepoint: false,
                path: Some("file:/ha/chk-41".into()),
            }),
            checkpoint: checkpointed.then_some(Completed { id: 42, after_ms: 1500 }),
        };
        Drill {
            cluster: "ha".parse().unwrap(),
            fault: Fault::Kill,
            victim: VictimRow { id: WorkerId::jm(0), host: "here".into(), pid: Some(4711), container: None },
            at: Some("2026-11-21T12:00:00.123456Z".parse().unwrap()),
            leader: Some(WorkerId::jm(1)),
            leading_ms: Some(812),
            running_ms: Some(1309),
            checkpoint_ms: Some(1500),
            timeline: Told { leading_ms: Some(790), running_ms: Some(1320) },
            jobs: vec![
                job("00ff10203040506070809000a0b0c0d0", true),
                job("00ff10203040506070809000a0b0c0d1", false),
            ],
        }
    }

    #[test]
    fn a_drill_with_its_figures_and_what_each_job_was_restored_from() {
        insta::assert_snapshot!(drill().table(true));
        insta::assert_snapshot!(crate::render::json(drill().document()).unwrap());
    }

    #[test]
    fn what_is_not_reached_is_said_so() {
        let mut drill = drill();
        (drill.leader, drill.leading_ms, drill.running_ms, drill.checkpoint_ms) = (None, None, None, None);
        drill.timeline = Told::default();
        drill.jobs.truncate(1);
        (drill.jobs[0].running_ms, drill.jobs[0].restored, drill.jobs[0].checkpoint) = (None, None, None);
        insta::assert_snapshot!(drill.table(false));
        drill.at = None;
        insta::assert_snapshot!(drill.table(false));
    }
}
