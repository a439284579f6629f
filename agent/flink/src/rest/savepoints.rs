//! Savepoints, asked for under an id of kobel's choice: Flink starts no second operation for an id
//! that it knows, so a lost reply is settled by asking again.

use std::fmt;

use kobel_plan::{JobId, job::Failure};
use reqwest::Method;
use serde::{Deserialize, Serialize};

use super::{
    cause,
    error::{Call, RestError},
    transport::{FlinkRest, PROMPT},
};

/// The id of an operation that was asked for (`TriggerId`): 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TriggerId([u8; 16]);

impl TriggerId {
    /// The id of these bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for TriggerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A savepoint to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SavepointKind {
    /// The job goes on.
    GoOn,
    /// The job stops with it.
    Stop {
        /// Whether the end of time is announced to the operators first: windows and timers fire, and
        /// the job is not to be resumed.
        drain: bool,
    },
    /// The job is canceled once it is there. Flink itself advises to stop the job instead.
    Cancel,
}

/// How a savepoint is written (`SavepointFormatType`), since Flink 1.15.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SavepointFormat {
    /// So that any state backend reads it; Flink's default.
    Canonical,
    /// As the job's own state backend has it.
    Native,
}

/// A savepoint to be made, and in which form; Flink's default form unless it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SavepointWish {
    /// What becomes of the job.
    pub kind: SavepointKind,
    /// Its form; a Flink before 1.15 knows of none.
    pub format: Option<SavepointFormat>,
}

impl From<SavepointKind> for SavepointWish {
    fn from(kind: SavepointKind) -> Self {
        Self { kind, format: None }
    }
}

/// How a savepoint stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SavepointState {
    /// Being written.
    InProgress,
    /// It is there.
    Completed {
        /// Where.
        location: String,
    },
    /// It could not be made.
    Failed(Failure),
}

/// The body of `POST /jobs/:id/savepoints`.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct TriggerBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    target_directory: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cancel_job: bool,
    #[serde(rename = "formatType", skip_serializing_if = "Option::is_none")]
    format: Option<SavepointFormat>,
    #[serde(rename = "triggerId")]
    trigger_id: String,
}

/// The body of `POST /jobs/:id/stop`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StopBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    target_directory: Option<&'a str>,
    drain: bool,
    #[serde(rename = "formatType", skip_serializing_if = "Option::is_none")]
    format: Option<SavepointFormat>,
    trigger_id: String,
}

#[derive(Deserialize)]
struct Accepted {
    #[serde(rename = "request-id")]
    _request_id: String,
}

#[derive(Deserialize)]
struct Answer {
    status: Progress,
    operation: Option<Operation>,
}

#[derive(Deserialize)]
struct Progress {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Operation {
    location: Option<String>,
    failure_cause: Option<Thrown>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Thrown {
    stack_trace: String,
}

impl FlinkRest {
    /// Asks for a savepoint in this directory, or in the configured one; returns when it is under way.
    pub async fn trigger_savepoint(
        &self,
        job: JobId,
        wish: impl Into<SavepointWish>,
        directory: Option<&str>,
        trigger: TriggerId,
    ) -> Result<(), RestError> {
        let (id, trigger_id) = (job.to_string(), trigger.to_string());
        let SavepointWish { kind, format } = wish.into();
        let (call, request) = match kind {
            SavepointKind::GoOn | SavepointKind::Cancel => {
                let cancel_job = kind == SavepointKind::Cancel;
                let body = TriggerBody { target_directory: directory, cancel_job, format, trigger_id };
                let request = self.request(Method::POST, &["jobs", &id, "savepoints"]).json(&body);
                (format!("trigger a savepoint of job {job}"), request)
            }
            SavepointKind::Stop { drain } => {
                let body = StopBody { target_directory: directory, drain, format, trigger_id };
                let request = self.request(Method::POST, &["jobs", &id, "stop"]).json(&body);
                (format!("stop job {job} with a savepoint"), request)
            }
        };
        let _: Accepted = self.send(Call::changes(call), request, PROMPT).await?;
        Ok(())
    }

    /// How a savepoint stands that was asked for, of either kind.
    pub async fn savepoint_state(&self, job: JobId, trigger: TriggerId) -> Result<SavepointState, RestError> {
        let call = Call::reads(format!("read how the savepoint of job {job} stands"));
        let path = ["jobs", &job.to_string(), "savepoints", &trigger.to_string()];
        let answer: Answer = self.get(call, &path).await?;
        let operation = answer.operation.unwrap_or(Operation { location: None, failure_cause: None });
        Ok(match (operation.location, operation.failure_cause) {
            (Some(location), _) => SavepointState::Completed { location },
            (None, Some(Thrown { stack_trace })) => {
                let cause = cause::of_trace(&stack_trace);
                SavepointState::Failed(Failure { cause, trace: stack_trace })
            }
            (None, None) if answer.status.id == "COMPLETED" => {
                let cause = "Flink tells neither where it is nor why there is none".to_string();
                SavepointState::Failed(Failure { trace: cause.clone(), cause })
            }
            (None, None) => SavepointState::InProgress,
        })
    }
}
