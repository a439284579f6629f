//! What a job is asked for beside savepoints: a checkpoint now, and the end of a savepoint.

use std::time::Duration;

use kobel_conf::{Category, Explain};
use kobel_flink::{
    Effect, FlinkRest, RestError,
    rest::{CheckpointKind, Operation, SavepointWish, TriggerId},
};
use kobel_plan::JobId;
use tokio::time::Instant;

use super::{
    SavepointError,
    savepoint::{random_trigger, refused},
};

/// Between two looks at an operation that is under way.
const LOOK: Duration = Duration::from_millis(100);

/// An operation that was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// No id could be chosen.
    #[error("cannot choose an id for the checkpoint")]
    Random(#[source] std::io::Error),
    /// The cluster does not know the job.
    #[error("the cluster does not know job {job}")]
    NoSuchJob {
        /// The job.
        job: JobId,
        /// What Flink said.
        source: RestError,
    },
    /// The request failed, and nothing is under way.
    #[error("{what} cannot be had")]
    Rest {
        /// The operation.
        what: String,
        /// Why not.
        source: RestError,
    },
    /// Flink could not do it.
    #[error("{what} failed: {cause}")]
    Failed {
        /// The operation.
        what: String,
        /// Why.
        cause: String,
    },
    /// The cluster does not answer any more.
    #[error("lost sight of {what}: whether it came about is unknown")]
    Unknown {
        /// The operation.
        what: String,
        /// The last failure.
        source: RestError,
    },
    /// It takes longer than allowed.
    #[error("{what} is not there after {} s, and goes on", after.as_secs())]
    Timeout {
        /// The operation.
        what: String,
        /// The time allowed.
        after: Duration,
    },
}

impl Explain for OperationError {
    fn category(&self) -> Category {
        match self {
            Self::NoSuchJob { .. } => Category::NotFound,
            Self::Rest { source, .. } => source.category(),
            Self::Failed { .. } => Category::FailedEnd,
            Self::Timeout { .. } => Category::Timeout,
            Self::Random(_) | Self::Unknown { .. } => Category::Other,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoSuchJob { .. } => Some("kobel job list".into()),
            Self::Rest { source, .. } => source.hint(),
            _ => None,
        }
    }
}

/// Makes a checkpoint, and waits until it is complete. Returns its number.
pub async fn checkpoint(
    rest: &FlinkRest,
    job: JobId,
    kind: CheckpointKind,
    within: Duration,
) -> Result<u64, OperationError> {
    let what = format!("the checkpoint of job {job}");
    let trigger = random_trigger().map_err(OperationError::Random)?;
    rest.trigger_checkpoint(job, kind, trigger).await.map_err(|source| match source {
        source @ RestError::NotFound { .. } => OperationError::NoSuchJob { job, source },
        source => OperationError::Rest { what: what.clone(), source },
    })?;
    done(what, within, async || rest.checkpoint_state(job, trigger).await).await
}

/// Asks for a savepoint of a job that is not over, and returns when it is under way.
pub async fn trigger_savepoint(
    rest: &FlinkRest,
    job: JobId,
    wish: SavepointWish,
    directory: Option<&str>,
) -> Result<TriggerId, SavepointError> {
    let trigger = random_trigger().map_err(SavepointError::Random)?;
    let state = rest.job_state(job).await.map_err(|source| refused(job, source))?;
    if state.is_terminal() {
        return Err(SavepointError::Over { job, state });
    }
    match rest.trigger_savepoint(job, wish, directory, trigger).await {
        Err(lost) if lost.effect() == Effect::Unknown => {
            Err(SavepointError::Unknown { job, directory: directory.map(Box::from), source: lost })
        }
        Err(lost) if lost.effect() == Effect::NotApplied => Err(refused(job, lost)),
        Ok(()) | Err(_) => Ok(trigger),
    }
}

/// Removes a savepoint with all of its files, and returns when they are gone.
pub async fn dispose(rest: &FlinkRest, path: &str, within: Duration) -> Result<(), OperationError> {
    let what = format!("the disposal of savepoint {path}");
    let disposal = rest
        .dispose_savepoint(path)
        .await
        .map_err(|source| OperationError::Rest { what: what.clone(), source })?;
    done(what, within, async || rest.disposal_state(&disposal).await).await
}

/// Waits for the end of an operation.
async fn done<T>(
    what: String,
    within: Duration,
    look: impl AsyncFn() -> Result<Operation<T>, RestError>,
) -> Result<T, OperationError> {
    let deadline = Instant::now() + within;
    loop {
        let over = Instant::now() >= deadline;
        match look().await {
            Ok(Operation::Done(done)) => return Ok(done),
            Ok(Operation::Failed(failure)) => {
                return Err(OperationError::Failed { what, cause: failure.cause });
            }
            Ok(Operation::InProgress) if over => {
                return Err(OperationError::Timeout { what, after: within });
            }
            Err(source) if over || !source.is_passing() => {
                return Err(OperationError::Unknown { what, source });
            }
            Ok(Operation::InProgress) => {}
            Err(error) => tracing::debug!(what, %error, "how it stands is unknown for the moment"),
        }
        tokio::time::sleep(LOOK).await;
    }
}
