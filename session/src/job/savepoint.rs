//! Savepoints of a job, with or without its end.

use std::{path::Path, time::Duration};

use kobel_conf::{Category, Explain};
use kobel_flink::{
    Effect, FlinkRest, RestError,
    rest::{JobState, SavepointKind, SavepointState, TriggerId},
};
use kobel_plan::JobId;
use tokio::time::Instant;

/// Between two looks at a savepoint that is being made.
const LOOK: Duration = Duration::from_millis(100);

/// A savepoint that was not made.
#[derive(Debug, thiserror::Error)]
pub enum SavepointError {
    /// No id could be chosen.
    #[error("cannot choose an id for the savepoint")]
    Random(#[source] std::io::Error),
    /// The cluster does not know the job.
    #[error("the cluster does not know job {job}")]
    NoSuchJob {
        /// The job.
        job: JobId,
        /// What Flink said.
        source: RestError,
    },
    /// The job is over.
    #[error("job {job} is over already: {state:?}")]
    Over {
        /// The job.
        job: JobId,
        /// How it ended.
        state: JobState,
    },
    /// Nobody says where savepoints go.
    #[error("the savepoint of job {job} has no directory to go to")]
    NoDirectory {
        /// The job.
        job: JobId,
        /// What Flink said.
        source: RestError,
    },
    /// A request failed, and no savepoint is under way.
    #[error("cannot make a savepoint of job {job}")]
    Rest {
        /// The job.
        job: JobId,
        /// Why not.
        source: RestError,
    },
    /// The cluster does not answer any more: the savepoint may be made or not.
    #[error("lost sight of the savepoint of job {job}: whether it was made is unknown")]
    Unknown {
        /// The job.
        job: JobId,
        /// The last failure.
        source: RestError,
    },
    /// Flink could not make it.
    #[error("the savepoint of job {job} failed: {cause}")]
    Failed {
        /// The job.
        job: JobId,
        /// Why.
        cause: String,
    },
    /// It takes longer than allowed.
    #[error("the savepoint of job {job} is not there after {} s, and goes on", after.as_secs())]
    Timeout {
        /// The job.
        job: JobId,
        /// The time allowed.
        after: Duration,
    },
}

impl Explain for SavepointError {
    fn category(&self) -> Category {
        match self {
            Self::NoSuchJob { .. } => Category::NotFound,
            Self::NoDirectory { .. } => Category::Environment,
            Self::Rest { source, .. } => source.category(),
            Self::Failed { .. } => Category::FailedEnd,
            Self::Timeout { .. } => Category::Timeout,
            Self::Random(_) | Self::Over { .. } | Self::Unknown { .. } => Category::Other,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoSuchJob { .. } | Self::Over { .. } => "kobel job list".into(),
            Self::NoDirectory { job, .. } => {
                format!("kobel job savepoint {job} DIR   (or kobel job stop {job} --savepoint DIR)")
            }
            Self::Random(_) => return None,
            Self::Rest { job, .. }
            | Self::Unknown { job, .. }
            | Self::Failed { job, .. }
            | Self::Timeout { job, .. } => format!("kobel job checkpoints {job}"),
        })
    }
}

/// Makes a savepoint, and waits until it is there. Returns where.
pub async fn savepoint(
    rest: &FlinkRest,
    job: JobId,
    kind: SavepointKind,
    directory: Option<&str>,
    within: Duration,
) -> Result<String, SavepointError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|e| SavepointError::Random(std::io::Error::other(e)))?;
    let trigger = TriggerId::from_bytes(bytes);
    let deadline = Instant::now() + within;
    let state = rest.job_state(job).await.map_err(|source| refused(job, source))?;
    if state.is_terminal() {
        return Err(SavepointError::Over { job, state });
    }
    let unsettled = match rest.trigger_savepoint(job, kind, directory, trigger).await {
        Ok(()) => None,
        Err(lost) if lost.effect() == Effect::Unknown => Some(lost),
        Err(lost) if lost.effect() == Effect::Applied => None,
        Err(source) => return Err(refused(job, source)),
    };
    let made = made(rest, job, trigger, deadline, unsettled).await?;
    made.ok_or(SavepointError::Timeout { job, after: within })
}

/// Waits for the savepoint; none when the time is over. `unsettled` is why it is not known to be
/// under way.
async fn made(
    rest: &FlinkRest,
    job: JobId,
    trigger: TriggerId,
    deadline: Instant,
    mut unsettled: Option<RestError>,
) -> Result<Option<String>, SavepointError> {
    loop {
        match rest.savepoint_state(job, trigger).await {
            Ok(SavepointState::Completed { location }) => return Ok(Some(location)),
            Ok(SavepointState::Failed(failure)) => {
                return Err(SavepointError::Failed { job, cause: failure.cause });
            }
            Ok(SavepointState::InProgress) => unsettled = None,
            Err(source @ RestError::NotFound { .. }) => {
                return Err(match unsettled {
                    // Flink does not know our id: the request whose reply was lost never came.
                    Some(source) => SavepointError::Rest { job, source },
                    None => SavepointError::Unknown { job, source },
                });
            }
            Err(source) if Instant::now() >= deadline => return Err(SavepointError::Unknown { job, source }),
            Err(error) => tracing::debug!(%job, %error, "how the savepoint stands is unknown for the moment"),
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn refused(job: JobId, source: RestError) -> SavepointError {
    match source {
        source @ RestError::NotFound { .. } => SavepointError::NoSuchJob { job, source },
        // "Property [target-directory] must be provided", or [targetDirectory] of a stop.
        source @ RestError::Rejected { .. } if source.to_string().contains("must be provided") => {
            SavepointError::NoDirectory { job, source }
        }
        source => SavepointError::Rest { job, source },
    }
}

/// A directory as Flink is to know it: a path without a scheme is one of the machine on which the
/// person is, so it must not be relative.
pub fn directory(given: &str) -> std::io::Result<String> {
    if given.contains("://") || given.starts_with("file:") {
        return Ok(given.into());
    }
    Ok(std::path::absolute(Path::new(given))?.display().to_string())
}

#[cfg(test)]
mod tests;
