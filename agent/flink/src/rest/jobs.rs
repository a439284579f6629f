//! The cluster and its jobs.

use std::collections::BTreeSet;

use kobel_plan::{JobId, JobState, job::Failure};
use reqwest::Method;
use serde::Deserialize;

use super::{
    cause,
    error::{Call, RestError},
    transport::{FlinkRest, PROMPT},
    types::{JobDetails, JobEnd, JobResult, JobSummary, Overview, TaskManager},
};

impl FlinkRest {
    /// Whether the leading JobManager has logged these words, however long ago. Of a log that is large nobody knows: it
    /// would have to be brought here as a whole.
    pub async fn log_says(&self, words: &str) -> Result<bool, RestError> {
        let request = self.request(Method::GET, &["jobmanager", "log"]);
        self.says(Call::reads("read the JobManager's log"), request, words, PROMPT).await
    }

    /// The cluster in numbers.
    pub async fn overview(&self) -> Result<Overview, RestError> {
        self.get(Call::reads("read the cluster's overview"), &["overview"]).await
    }

    /// The registered TaskManagers.
    pub async fn task_managers(&self) -> Result<Vec<TaskManager>, RestError> {
        #[derive(Deserialize)]
        struct Answer {
            taskmanagers: Vec<TaskManager>,
        }
        let answer: Answer = self.get(Call::reads("list the TaskManagers"), &["taskmanagers"]).await?;
        Ok(answer.taskmanagers)
    }

    /// For each slot of a TaskManager that is given away, the job that has it.
    pub async fn slot_owners(&self, task_manager: &str) -> Result<Vec<JobId>, RestError> {
        let call = Call::reads(format!("read the slots of {task_manager}"));
        let answer: TaskManagerSlots = self.get(call, &["taskmanagers", task_manager]).await?;
        Ok(answer.allocated_slots.into_iter().map(|slot| slot.job_id).collect())
    }

    /// All jobs that the JobManager remembers.
    pub async fn jobs(&self) -> Result<Vec<JobSummary>, RestError> {
        #[derive(Deserialize)]
        struct Answer {
            jobs: Vec<JobSummary>,
        }
        let answer: Answer = self.get(Call::reads("list the jobs"), &["jobs", "overview"]).await?;
        Ok(answer.jobs)
    }

    /// A job and its vertices. Flink answers from a cache of `web.refresh-interval`, 3 s: use
    /// [`FlinkRest::job_state`] to see a job end.
    pub async fn job(&self, job: JobId) -> Result<JobDetails, RestError> {
        self.get(Call::reads(format!("read job {job}")), &["jobs", &job.to_string()]).await
    }

    /// Where a job stands at this moment.
    pub async fn job_state(&self, job: JobId) -> Result<JobState, RestError> {
        #[derive(Deserialize)]
        struct Answer {
            status: JobState,
        }
        let call = Call::reads(format!("read the state of job {job}"));
        let answer: Answer = self.get(call, &["jobs", &job.to_string(), "status"]).await?;
        Ok(answer.status)
    }

    /// The result of a job, or `None` while it is not over.
    pub async fn job_result(&self, job: JobId) -> Result<Option<JobResult>, RestError> {
        let call = Call::reads(format!("read the result of job {job}"));
        let answer: ExecutionResult = self.get(call, &["jobs", &job.to_string(), "execution-result"]).await?;
        Ok(answer.job_execution_result.map(JobResult::from))
    }

    /// What failed a job last, if anything did.
    pub async fn job_failure(&self, job: JobId) -> Result<Option<Failure>, RestError> {
        let call = Call::reads(format!("read the exceptions of job {job}"));
        let answer: Exceptions = self.get(call, &["jobs", &job.to_string(), "exceptions"]).await?;
        let newest = answer.exception_history.entries.into_iter().next();
        Ok(newest.map(|entry| failure(entry.stacktrace)))
    }

    /// Asks for a job to be cancelled; returns when that is under way.
    pub async fn cancel_job(&self, job: JobId) -> Result<(), RestError> {
        let request = self.request(Method::PATCH, &["jobs", &job.to_string()]).query(&[("mode", "cancel")]);
        let _: Nothing = self.send(Call::changes(format!("cancel job {job}")), request, PROMPT).await?;
        Ok(())
    }

    /// The ids of the TaskManagers that run, or ran, tasks of a job.
    pub async fn job_task_managers(&self, job: JobId) -> Result<BTreeSet<String>, RestError> {
        let mut ids = BTreeSet::new();
        for vertex in self.job(job).await?.vertices {
            let call = Call::reads(format!("list the TaskManagers of job {job}"));
            let path = ["jobs", &job.to_string(), "vertices", &vertex.id, "taskmanagers"];
            let answer: VertexTaskManagers = self.get(call, &path).await?;
            ids.extend(answer.taskmanagers.into_iter().filter_map(|tm| tm.id).filter(|id| id != UNASSIGNED));
        }
        Ok(ids)
    }
}

/// What Flink puts for the TaskManager of tasks that have none yet.
const UNASSIGNED: &str = "(unassigned)";

/// `{}`, or whatever else comes with a good status.
#[derive(Deserialize)]
pub(super) struct Nothing {}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ExecutionResult {
    job_execution_result: Option<ExecutionResultBody>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ExecutionResultBody {
    application_status: JobEnd,
    net_runtime: u64,
    failure_cause: Option<SerializedThrowable>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct SerializedThrowable {
    stack_trace: String,
}

/// A file of Flink's `FileSystemJobResultStore`.
#[derive(Deserialize)]
struct StoredResult {
    result: ExecutionResultBody,
}

impl JobResult {
    /// The result in a file of Flink's job result store; none as long as the file is not whole.
    pub fn stored(file: &[u8]) -> Option<Self> {
        serde_json::from_slice::<StoredResult>(file).ok().map(|stored| stored.result.into())
    }
}

impl From<ExecutionResultBody> for JobResult {
    fn from(body: ExecutionResultBody) -> Self {
        JobResult {
            end: body.application_status,
            net_runtime: body.net_runtime,
            failure: body.failure_cause.map(|throwable| failure(throwable.stack_trace)),
        }
    }
}

/// A trace, and the line of it that says why.
pub(crate) fn failure(trace: String) -> Failure {
    Failure { cause: cause::of_trace(&trace), trace }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Exceptions {
    exception_history: ExceptionHistory,
}

#[derive(Deserialize)]
struct ExceptionHistory {
    entries: Vec<ExceptionEntry>,
}

#[derive(Deserialize)]
struct ExceptionEntry {
    stacktrace: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TaskManagerSlots {
    allocated_slots: Vec<AllocatedSlot>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AllocatedSlot {
    job_id: JobId,
}

#[derive(Deserialize)]
struct VertexTaskManagers {
    taskmanagers: Vec<VertexTaskManager>,
}

#[derive(Deserialize)]
struct VertexTaskManager {
    #[serde(rename = "taskmanager-id")]
    id: Option<String>,
}
