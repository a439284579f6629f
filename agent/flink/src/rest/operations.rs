//! Flink's other operations that take a while: a checkpoint on request, and the end of a savepoint.

use kobel_plan::{JobId, job::Failure};
use reqwest::Method;
use serde::{Deserialize, Serialize};

use super::{
    cause,
    error::{Call, RestError},
    savepoints::TriggerId,
    transport::{FlinkRest, PROMPT},
};

/// How a checkpoint is made (`CheckpointType`), since Flink 1.17.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CheckpointKind {
    /// As the job is configured.
    Configured,
    /// Whole, even where the job makes incremental ones.
    Full,
}

/// How an operation stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation<T> {
    /// Under way.
    InProgress,
    /// Done, with this to show for it.
    Done(T),
    /// It failed.
    Failed(Failure),
}

/// The disposal of a savepoint, by the id that Flink gave it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Disposal {
    #[serde(rename = "request-id")]
    id: String,
}

/// The body of `POST /jobs/:id/checkpoints`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CheckpointBody {
    checkpoint_type: CheckpointKind,
    trigger_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct DisposalBody<'a> {
    savepoint_path: &'a str,
}

#[derive(Deserialize)]
struct Accepted {
    #[serde(rename = "request-id")]
    _request_id: String,
}

#[derive(Deserialize)]
struct Answer {
    status: Progress,
    operation: Option<Outcome>,
}

#[derive(Deserialize)]
struct Progress {
    id: String,
}

/// Checkpoints have their fields in camel case, disposals in kebab case.
#[derive(Deserialize, Default)]
struct Outcome {
    #[serde(rename = "checkpointId")]
    checkpoint_id: Option<u64>,
    #[serde(rename = "failureCause", alias = "failure-cause")]
    failure: Option<Thrown>,
}

#[derive(Deserialize)]
struct Thrown {
    #[serde(rename = "stack-trace")]
    stack_trace: String,
}

impl FlinkRest {
    /// Asks for a checkpoint under an id of kobel's choice; returns when it is under way.
    pub async fn trigger_checkpoint(
        &self,
        job: JobId,
        kind: CheckpointKind,
        trigger: TriggerId,
    ) -> Result<(), RestError> {
        let body = CheckpointBody { checkpoint_type: kind, trigger_id: trigger.to_string() };
        let request = self.request(Method::POST, &["jobs", &job.to_string(), "checkpoints"]).json(&body);
        let call = Call::changes(format!("trigger a checkpoint of job {job}"));
        let _: Accepted = self.send(call, request, PROMPT).await?;
        Ok(())
    }

    /// How a checkpoint stands that was asked for; done, it has its number.
    pub async fn checkpoint_state(
        &self,
        job: JobId,
        trigger: TriggerId,
    ) -> Result<Operation<u64>, RestError> {
        let call = Call::reads(format!("read how the checkpoint of job {job} stands"));
        let path = ["jobs", &job.to_string(), "checkpoints", &trigger.to_string()];
        let (answer, id) = outcome(self.get(call, &path).await?);
        Ok(match (answer, id) {
            (Operation::InProgress, _) => Operation::InProgress,
            (Operation::Failed(failure), _) => Operation::Failed(failure),
            (Operation::Done(()), Some(id)) => Operation::Done(id),
            (Operation::Done(()), None) => {
                let cause = "Flink tells neither its number nor why there is none".to_string();
                Operation::Failed(Failure { trace: cause.clone(), cause })
            }
        })
    }

    /// Asks for the end of a savepoint: all of its files.
    pub async fn dispose_savepoint(&self, path: &str) -> Result<Disposal, RestError> {
        let body = DisposalBody { savepoint_path: path };
        let request = self.request(Method::POST, &["savepoint-disposal"]).json(&body);
        self.send(Call::changes(format!("dispose of savepoint {path}")), request, PROMPT).await
    }

    /// How the disposal of a savepoint stands.
    pub async fn disposal_state(&self, disposal: &Disposal) -> Result<Operation<()>, RestError> {
        let call = Call::reads("read how the disposal of a savepoint stands");
        Ok(outcome(self.get(call, &["savepoint-disposal", &disposal.id]).await?).0)
    }
}

/// How it stands, and the number of the checkpoint if it has one.
fn outcome(answer: Answer) -> (Operation<()>, Option<u64>) {
    let Outcome { checkpoint_id, failure } = answer.operation.unwrap_or_default();
    let stands = match failure {
        Some(Thrown { stack_trace }) => {
            Operation::Failed(Failure { cause: cause::of_trace(&stack_trace), trace: stack_trace })
        }
        None if answer.status.id == "COMPLETED" => Operation::Done(()),
        None => Operation::InProgress,
    };
    (stands, checkpoint_id)
}
