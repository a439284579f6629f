//! Checkpoints on request.

use kobel_plan::JobId;
use reqwest::Method;
use serde::Serialize;

use super::{
    error::{Call, RestError},
    operations::{Accepted, Answer, Operation, TriggerId},
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

/// The body of `POST /jobs/:id/checkpoints`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CheckpointBody {
    checkpoint_type: CheckpointKind,
    trigger_id: String,
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
        let answer: Answer = self.get(call, &path).await?;
        Ok(answer.stands("its number", |outcome| outcome.checkpoint_id))
    }
}
