//! Flink's operations that take a while, asked for under an id of kobel's choice: Flink starts no second one for an
//! id that it knows, so a lost reply is settled by asking again.

use std::fmt;

use kobel_plan::job::Failure;
use serde::Deserialize;

use super::cause;

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

/// The answer to what asks for an operation.
#[derive(Deserialize)]
pub(super) struct Accepted {
    #[serde(rename = "request-id")]
    _request_id: String,
}

/// The answer to how an operation stands (`AsynchronousOperationResult`).
#[derive(Deserialize)]
pub(super) struct Answer {
    status: Progress,
    operation: Option<Outcome>,
}

#[derive(Deserialize)]
struct Progress {
    id: String,
}

/// What an operation has to show. Checkpoints have their fields in camel case, the others in kebab case.
#[derive(Deserialize, Default)]
pub(super) struct Outcome {
    pub(super) location: Option<String>,
    #[serde(rename = "checkpointId")]
    pub(super) checkpoint_id: Option<u64>,
    #[serde(rename = "failureCause", alias = "failure-cause")]
    failure: Option<Thrown>,
}

#[derive(Deserialize)]
struct Thrown {
    #[serde(rename = "stack-trace")]
    stack_trace: String,
}

impl Answer {
    /// How the operation stands; `found` takes out of it what is called `what`.
    pub(super) fn stands<T>(self, what: &str, found: impl FnOnce(Outcome) -> Option<T>) -> Operation<T> {
        let mut outcome = self.operation.unwrap_or_default();
        if let Some(Thrown { stack_trace }) = outcome.failure.take() {
            return Operation::Failed(Failure { cause: cause::of_trace(&stack_trace), trace: stack_trace });
        }
        if self.status.id != "COMPLETED" {
            return Operation::InProgress;
        }
        match found(outcome) {
            Some(shown) => Operation::Done(shown),
            None => {
                let cause = format!("Flink tells neither {what} nor why there is none");
                Operation::Failed(Failure { trace: cause.clone(), cause })
            }
        }
    }
}
