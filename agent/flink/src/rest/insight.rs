//! What a job's checkpoints and exceptions tell. Times are milliseconds since 1970, durations
//! milliseconds, sizes bytes; -1 stands for "not yet".

use kobel_plan::JobId;
use serde::{Deserialize, Serialize};

use super::{
    error::{Call, RestError},
    transport::FlinkRest,
};

/// `GET /jobs/:id/checkpoints`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Checkpoints {
    /// How many there were.
    pub counts: CheckpointCounts,
    /// The last ones, the newest first.
    #[serde(default)]
    pub history: Vec<Checkpoint>,
    /// The last of each kind.
    #[serde(default)]
    pub latest: LatestCheckpoints,
}

/// The last of each kind, as far as kobel asks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct LatestCheckpoints {
    /// The last checkpoint that was completed; savepoints are told apart.
    #[serde(default)]
    pub completed: Option<Checkpoint>,
    /// The last savepoint that was completed.
    #[serde(default)]
    pub savepoint: Option<Checkpoint>,
    /// What the job was restored from, since its present JobMaster has it.
    #[serde(default)]
    pub restored: Option<RestoredCheckpoint>,
}

/// A checkpoint or savepoint that a job was restored from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RestoredCheckpoint {
    /// Its number within the job.
    pub id: i64,
    /// When it was restored.
    pub restore_timestamp: i64,
    /// Whether it is a savepoint.
    pub is_savepoint: bool,
    /// Where it is.
    #[serde(default)]
    pub external_path: Option<String>,
}

/// Checkpoints and savepoints by how they ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointCounts {
    /// Times that the job began from one.
    pub restored: i64,
    /// All.
    pub total: i64,
    /// Being made.
    pub in_progress: i64,
    /// Made.
    pub completed: i64,
    /// Not made.
    pub failed: i64,
}

/// A checkpoint or savepoint.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Checkpoint {
    /// Its number within the job.
    pub id: i64,
    /// `IN_PROGRESS`, `COMPLETED` or `FAILED`.
    pub status: String,
    /// Whether it is a savepoint.
    pub is_savepoint: bool,
    /// When it was asked for.
    pub trigger_timestamp: i64,
    /// When the last of its tasks had its part done.
    #[serde(default)]
    pub latest_ack_timestamp: i64,
    /// How long it took, or has taken.
    pub end_to_end_duration: i64,
    /// Its size.
    pub state_size: i64,
    /// How many tasks have a part in it.
    #[serde(default)]
    pub num_subtasks: i64,
    /// How many of them have theirs done.
    #[serde(default)]
    pub num_acknowledged_subtasks: i64,
    /// Where it is, if it was made.
    #[serde(default)]
    pub external_path: Option<String>,
    /// Why it was not made.
    #[serde(default)]
    pub failure_message: Option<String>,
}

/// An exception that failed a job, or a task of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobException {
    /// Java's trace.
    pub stacktrace: String,
    /// When.
    pub timestamp: i64,
    /// In which task; none where the whole job failed.
    #[serde(default)]
    pub task_name: Option<String>,
    /// On which TaskManager, `tm-0.1`.
    #[serde(default)]
    pub task_manager_id: Option<String>,
}

impl JobException {
    /// The innermost cause: what it all began with.
    pub fn root_cause(&self) -> &str {
        let first = self.stacktrace.lines().find(|line| !line.trim().is_empty());
        let mut causes = self.stacktrace.lines().filter_map(|line| line.strip_prefix("Caused by: "));
        causes.next_back().or(first).unwrap_or("no reason given").trim()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    exception_history: History,
}

#[derive(Deserialize)]
struct History {
    entries: Vec<JobException>,
}

impl FlinkRest {
    /// A job's checkpoints; none where checkpointing is not enabled, which Flink says by 404 in some
    /// versions.
    pub async fn checkpoints(&self, job: JobId) -> Result<Option<Checkpoints>, RestError> {
        let call = Call::reads(format!("list the checkpoints of job {job}"));
        match self.get(call, &["jobs", &job.to_string(), "checkpoints"]).await {
            Ok(found) => Ok(Some(found)),
            Err(RestError::NotFound { cause, .. }) if cause.contains("heckpointing") => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// What failed a job or its tasks, the newest first.
    pub async fn job_exceptions(&self, job: JobId) -> Result<Vec<JobException>, RestError> {
        let call = Call::reads(format!("read the exceptions of job {job}"));
        let answer: Answer = self.get(call, &["jobs", &job.to_string(), "exceptions"]).await?;
        Ok(answer.exception_history.entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_cause_is_what_it_began_with() {
        let of = |trace: &str| {
            let exception = JobException {
                stacktrace: trace.into(),
                timestamp: 0,
                task_name: None,
                task_manager_id: None,
            };
            exception.root_cause().to_string()
        };
        assert_eq!(
            of("a.B: outer\n\tat x\nCaused by: c.D: middle\nCaused by: e.F: inner\n\tat y"),
            "e.F: inner"
        );
        assert_eq!(of("a.B: alone\n\tat x"), "a.B: alone");
        assert_eq!(of(""), "no reason given");
    }
}
