//! What of a drill is measured, from outside: over the cluster's one address, as its users see it.

use std::time::Duration;

use jiff::Timestamp;
use kobel_conf::units::millis;
use kobel_flink::{
    FlinkRest, RestError,
    rest::{Checkpoint, Checkpoints, JobState, JobSummary, RestoredCheckpoint},
};
use kobel_plan::{ClusterEvent, EventKind, JobId, WorkerId, api::Struck};

use crate::render::{Completed, DrilledJob, Restored, Told};

/// A job that ran before, and how it has fared.
#[derive(Debug, Clone)]
pub(super) struct Watched {
    pub(super) row: DrilledJob,
    /// What it was restored from before.
    restored_before: Option<RestoredCheckpoint>,
    /// The newest checkpoint that it had completed, as far as Flink told: its answers may be 3 s old.
    completed_before: i64,
    /// Whether it was seen not to run, or runs at another JobManager anyway.
    down: bool,
    /// Set when it has ended.
    pub(super) ended: Option<JobState>,
}

/// The jobs that run now, with what is known of their checkpoints.
pub(super) async fn watched(rest: &FlinkRest) -> Result<Vec<Watched>, RestError> {
    let mut jobs = vec![];
    for job in rest.jobs().await?.into_iter().filter(JobSummary::runs) {
        let checkpoints = rest.checkpoints(job.jid).await?;
        jobs.push(Watched::new(job.jid, job.name, checkpoints.as_ref()));
    }
    Ok(jobs)
}

impl Watched {
    fn new(id: JobId, name: String, checkpoints: Option<&Checkpoints>) -> Self {
        let completed = checkpoints.into_iter().flat_map(completed).map(|made| made.id);
        let row = DrilledJob {
            id,
            name,
            checkpointed: checkpoints.is_some(),
            running_ms: None,
            restored: None,
            checkpoint: None,
        };
        Self {
            row,
            completed_before: completed.max().unwrap_or_default(),
            restored_before: checkpoints.and_then(|found| found.latest.restored.clone()),
            down: false,
            ended: None,
        }
    }

    /// Another JobManager leads: whatever is told from now on is of its own.
    pub(super) fn has_moved(&mut self) {
        self.down = true;
    }

    /// Whether there is nothing more to wait for.
    pub(super) fn is_done(&self) -> bool {
        let is_back = self.row.running_ms.is_some();
        self.ended.is_some() || is_back && (self.row.checkpoint.is_some() || !self.row.checkpointed)
    }

    /// How it stands so long after the fault.
    pub(super) fn see(&mut self, job: &JobSummary, elapsed: Duration) {
        if job.state.is_terminal() {
            self.ended = Some(job.state);
        } else if !job.runs() {
            self.down = true;
        } else if self.down && self.row.running_ms.is_none() {
            self.row.running_ms = Some(millis(elapsed));
        }
    }

    /// What is told of its checkpoints so long after the fault, which was at this time.
    pub(super) fn see_checkpoints(&mut self, found: &Checkpoints, at: Timestamp, elapsed: Duration) {
        let restored = found.latest.restored.as_ref();
        let restored = restored.filter(|from| Some(*from) != self.restored_before.as_ref());
        if let Some(from) = restored {
            // It was too quick to be seen not to run.
            self.down = true;
            // Where it is in no file of its own, Flink says so in pointed brackets.
            let path = from.external_path.clone().filter(|path| !path.starts_with('<'));
            self.row.restored = Some(Restored { id: from.id, savepoint: from.is_savepoint, path });
        }
        if !self.down || self.row.checkpoint.is_some() {
            return;
        }
        // The ids of a job's checkpoints only rise.
        let (bound, at) = (restored.map_or(self.completed_before, |from| from.id), at.as_millisecond());
        let since =
            |made: &&Checkpoint| made.id > bound && (restored.is_some() || made.trigger_timestamp >= at);
        self.row.checkpoint = completed(found).filter(since).min_by_key(|made| made.id).map(|made| {
            // By Flink's clock if that can be: its answer may be 3 s old.
            let seen = millis(elapsed);
            let after = u64::try_from(made.latest_ack_timestamp - at).ok().filter(|after| *after <= seen);
            Completed { id: made.id, after_ms: after.unwrap_or(seen) }
        });
    }
}

fn completed(found: &Checkpoints) -> impl Iterator<Item = &Checkpoint> {
    found.history.iter().filter(|made| made.status == "COMPLETED" && !made.is_savepoint)
}

/// What the timeline has of the drill.
pub(super) fn told(events: &[ClusterEvent], struck: &Struck) -> Told {
    let is_it = |event: &&ClusterEvent| {
        event.kind == EventKind::Drill && event.worker == Some(struck.worker) && event.at >= struck.at
    };
    let since = events.iter().skip_while(|event| !is_it(event));
    let after = |kind: EventKind| {
        let event = since.clone().find(|event| event.kind == kind)?;
        u64::try_from((event.at.as_millisecond()) - struck.at.as_millisecond()).ok()
    };
    Told { leading_ms: after(EventKind::LeaderElected), running_ms: after(EventKind::JobsRunning) }
}

/// Which of these jobs have tasks on this TaskManager.
pub(super) async fn on_task_manager(
    rest: &FlinkRest,
    jobs: Vec<Watched>,
    tm: WorkerId,
) -> Result<Vec<Watched>, RestError> {
    let mut hit = vec![];
    for job in jobs {
        if task_managers(rest, job.row.id).await?.contains(&tm) {
            hit.push(job);
        }
    }
    Ok(hit)
}

/// The TaskManagers that have tasks of a job.
pub(super) async fn task_managers(rest: &FlinkRest, job: JobId) -> Result<Vec<WorkerId>, RestError> {
    let names = rest.job_task_managers(job).await?;
    Ok(names.iter().filter_map(|name| WorkerId::parse_attempt_name(name).ok()).map(|(id, _)| id).collect())
}

#[cfg(test)]
mod tests;
