//! Savepoints: made, and disposed of.

use kobel_plan::JobId;
use reqwest::Method;
use serde::{Deserialize, Serialize};

use super::{
    error::{Call, RestError},
    operations::{Accepted, Answer, Operation, TriggerId},
    transport::{FlinkRest, PROMPT},
};

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

/// The disposal of a savepoint, by the id that Flink gave it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Disposal {
    #[serde(rename = "request-id")]
    id: String,
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

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct DisposalBody<'a> {
    savepoint_path: &'a str,
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

    /// How a savepoint stands that was asked for, of either kind; done, it has its address.
    pub async fn savepoint_state(
        &self,
        job: JobId,
        trigger: TriggerId,
    ) -> Result<Operation<String>, RestError> {
        let call = Call::reads(format!("read how the savepoint of job {job} stands"));
        let path = ["jobs", &job.to_string(), "savepoints", &trigger.to_string()];
        let answer: Answer = self.get(call, &path).await?;
        Ok(answer.stands("where it is", |outcome| outcome.location))
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
        let answer: Answer = self.get(call, &["savepoint-disposal", &disposal.id]).await?;
        Ok(answer.stands("its end", |_| Some(())))
    }
}
