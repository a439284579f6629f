//! What Flink answers, as far as kobel reads it. Fields that are not named here are ignored, so the
//! types hold for Flink 1.17 to 2.3 alike. Times are milliseconds since 1970, durations
//! milliseconds; -1 stands for "not yet".

use kobel_plan::{ClaimMode, JobId, JobState, job::Failure};
use serde::{Deserialize, Serialize};

/// `GET /overview`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Overview {
    /// Registered TaskManagers.
    pub taskmanagers: u32,
    /// Their slots.
    pub slots_total: u32,
    /// Their slots not in use.
    pub slots_available: u32,
    /// Jobs that have not ended.
    pub jobs_running: u32,
    /// Jobs that ended well.
    pub jobs_finished: u32,
    /// Jobs that were cancelled.
    pub jobs_cancelled: u32,
    /// Jobs that failed.
    pub jobs_failed: u32,
    /// Flink's version.
    pub flink_version: String,
}

/// One of `GET /taskmanagers`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskManager {
    /// Its `taskmanager.resource-id`: worker and attempt, `tm-0.1`.
    pub id: String,
    /// Its slots.
    pub slots_number: u32,
    /// Its slots not in use.
    pub free_slots: u32,
    /// When the JobManager last heard from it.
    pub time_since_last_heartbeat: i64,
}

/// Tasks by state. A state that Flink did not name counts none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase", default)]
pub struct TaskCounts {
    /// Waiting to be scheduled.
    pub created: u32,
    /// Waiting for a slot.
    pub scheduled: u32,
    /// Being sent to a TaskManager.
    pub deploying: u32,
    /// Restoring their state.
    pub initializing: u32,
    /// Running.
    pub running: u32,
    /// Ended well.
    pub finished: u32,
    /// Being cancelled.
    pub canceling: u32,
    /// Cancelled.
    pub canceled: u32,
    /// Failed.
    pub failed: u32,
    /// Matched with what runs already.
    pub reconciling: u32,
}

impl TaskCounts {
    /// All of them.
    pub fn total(&self) -> u32 {
        let Self { created, scheduled, deploying, initializing, running, .. } = self;
        let Self { finished, canceling, canceled, failed, reconciling, .. } = self;
        let counts = [created, scheduled, deploying, initializing, running, finished, canceling, canceled];
        counts.into_iter().chain([failed, reconciling]).fold(0, |sum, n| sum.saturating_add(*n))
    }
}

impl std::ops::Add for TaskCounts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            created: self.created.saturating_add(other.created),
            scheduled: self.scheduled.saturating_add(other.scheduled),
            deploying: self.deploying.saturating_add(other.deploying),
            initializing: self.initializing.saturating_add(other.initializing),
            running: self.running.saturating_add(other.running),
            finished: self.finished.saturating_add(other.finished),
            canceling: self.canceling.saturating_add(other.canceling),
            canceled: self.canceled.saturating_add(other.canceled),
            failed: self.failed.saturating_add(other.failed),
            reconciling: self.reconciling.saturating_add(other.reconciling),
        }
    }
}

/// One of `GET /jobs/overview`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct JobSummary {
    /// Its id.
    pub jid: JobId,
    /// The name that the program gave it.
    pub name: String,
    /// Where it stands.
    pub state: JobState,
    /// When it was submitted.
    pub start_time: i64,
    /// When it ended, or -1.
    pub end_time: i64,
    /// How long it has run.
    pub duration: i64,
    /// Its tasks.
    pub tasks: TaskCounts,
}

impl JobSummary {
    /// Whether it runs with all its tasks, but for those that have ended well.
    pub fn runs(&self) -> bool {
        let TaskCounts { running, finished, .. } = self.tasks;
        self.state == JobState::Running && running + finished == self.tasks.total()
    }
}

/// `GET /jobs/:id`, which Flink answers from a cache of `web.refresh-interval`, 3 s.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct JobDetails {
    /// Its id.
    pub jid: JobId,
    /// The name that the program gave it.
    pub name: String,
    /// Where it stands.
    pub state: JobState,
    /// When it was submitted.
    pub start_time: i64,
    /// When it ended, or -1.
    pub end_time: i64,
    /// How long it has run.
    pub duration: i64,
    /// Its operators.
    pub vertices: Vec<Vertex>,
}

impl JobDetails {
    /// The tasks of all vertices together.
    pub fn tasks(&self) -> TaskCounts {
        self.vertices.iter().fold(TaskCounts::default(), |sum, vertex| sum + vertex.tasks)
    }
}

/// A chain of operators of a job.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Vertex {
    /// Its id within the job.
    pub id: String,
    /// Its name.
    pub name: String,
    /// How many tasks it has.
    pub parallelism: i64,
    /// With whose tasks its own may share slots; Flink tells since 1.20.
    #[serde(default, rename = "slotSharingGroupId")]
    pub slot_sharing_group: Option<String>,
    /// Its tasks.
    #[serde(deserialize_with = "upper_case_counts")]
    pub tasks: TaskCounts,
}

/// `/jobs/:id` writes the states in capitals, `/jobs/overview` in small letters.
fn upper_case_counts<'de, D: serde::Deserializer<'de>>(d: D) -> Result<TaskCounts, D::Error> {
    let counts = std::collections::BTreeMap::<String, serde_json::Value>::deserialize(d)?;
    let lower = counts.into_iter().map(|(state, n)| (state.to_lowercase(), n)).collect();
    serde_json::from_value(serde_json::Value::Object(lower)).map_err(serde::de::Error::custom)
}

/// How a job ended (`org.apache.flink.runtime.clusterframework.ApplicationStatus`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum JobEnd {
    /// Well.
    Succeeded,
    /// By a fault.
    Failed,
    /// On request.
    Canceled,
    /// Flink does not say.
    #[serde(other)]
    Unknown,
}

impl From<JobEnd> for JobState {
    fn from(end: JobEnd) -> Self {
        match end {
            JobEnd::Succeeded => JobState::Finished,
            JobEnd::Failed => JobState::Failed,
            JobEnd::Canceled => JobState::Canceled,
            JobEnd::Unknown => JobState::Other,
        }
    }
}

/// The result of a job that is over, from `GET /jobs/:id/execution-result`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobResult {
    /// How it ended.
    pub end: JobEnd,
    /// Flink's "Job Runtime", in milliseconds.
    pub net_runtime: u64,
    /// What failed it.
    pub failure: Option<Failure>,
}

/// A jar that lies at the JobManager.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Jar {
    /// What to run it by.
    pub id: JarId,
    /// The name it was uploaded by.
    pub name: String,
    /// When.
    pub uploaded: i64,
}

/// A jar's id: `<uuid>_<file name>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JarId(pub String);

/// How a program is to be run: the body of `POST /jars/:id/run`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunRequest {
    /// The id that the job shall have, so that a lost reply can be settled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_id: Option<JobId>,
    /// The class whose `main` is run; otherwise the jar's manifest names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry_class: Option<String>,
    /// Parallelism of operators that set none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallelism: Option<u32>,
    /// Arguments of `main`.
    #[serde(rename = "programArgsList", skip_serializing_if = "Vec::is_empty")]
    pub program_args: Vec<String>,
    /// Savepoint or checkpoint to start from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub savepoint_path: Option<String>,
    /// Whether state in it that no operator takes may be left behind.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub allow_non_restored_state: bool,
    /// How it is taken over. By its name of 1.17, which every Flink up to 2.3 takes; `claimMode`
    /// came with 1.20, and those before refuse it.
    #[serde(rename = "restoreMode", skip_serializing_if = "Option::is_none")]
    pub claim_mode: Option<ClaimMode>,
    /// Flink configuration for this job alone.
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub flink_configuration: std::collections::BTreeMap<String, String>,
}
