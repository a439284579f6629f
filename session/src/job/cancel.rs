//! Cancelling a job.

use std::time::Duration;

use kobel_conf::{Category, Explain};
use kobel_flink::{Effect, RestError, rest::JobState};
use kobel_plan::JobId;
use tokio::time::Instant;

use super::{LEADERLESS, Target, Written, follow::ended};

/// Between two looks at the state of a job that is being cancelled.
const LOOK: Duration = Duration::from_millis(100);

/// A job that was not cancelled.
#[derive(Debug, thiserror::Error)]
pub enum CancelError {
    /// The cluster does not know it.
    #[error("the cluster does not know job {job}")]
    NoSuchJob {
        /// The job.
        job: JobId,
        /// What Flink said.
        source: RestError,
    },
    /// It ended before.
    #[error("job {job} is over already: {state}")]
    Over {
        /// The job.
        job: JobId,
        /// How it ended.
        state: JobState,
    },
    /// The request failed.
    #[error("cannot cancel job {job}")]
    Rest {
        /// The job.
        job: JobId,
        /// Why not.
        source: RestError,
    },
    /// The cluster does not answer any more: the job may be cancelled or not.
    #[error("lost sight of job {job}: whether it is cancelled is unknown")]
    Unknown {
        /// The job.
        job: JobId,
        /// The last failure.
        source: RestError,
    },
    /// It did not end in time.
    #[error("job {job} is being cancelled, and still {state} after {} s", after.as_secs())]
    Timeout {
        /// The job.
        job: JobId,
        /// Where it stands.
        state: JobState,
        /// The time allowed.
        after: Duration,
    },
}

impl Explain for CancelError {
    fn category(&self) -> Category {
        match self {
            CancelError::NoSuchJob { .. } => Category::NotFound,
            CancelError::Over { .. } | CancelError::Unknown { .. } => Category::Other,
            CancelError::Rest { source, .. } => source.category(),
            CancelError::Timeout { .. } => Category::Timeout,
        }
    }

    fn hint(&self) -> Option<String> {
        Some("kobel job list".into())
    }
}

/// Cancels the job and waits until it is over. Returns how it ended: a job may finish or fail
/// before the cancelling reaches it. To be asked twice for it is nothing to Flink, so where a reply is lost, or a leader
/// that takes the cancelling along, it is asked again.
pub async fn cancel(target: &Target, job: JobId, within: Duration) -> Result<JobState, CancelError> {
    let deadline = Instant::now() + within;
    let failed = |source| match source {
        source @ RestError::NotFound { .. } => CancelError::NoSuchJob { job, source },
        source => CancelError::Rest { job, source },
    };
    let state = target.ask(async |rest| rest.job_state(job).await).await.map_err(failed)?;
    if state.is_terminal() {
        return Err(CancelError::Over { job, state });
    }
    let mut taken = ask_for_it(target, job).await.map_err(failed)?;
    let mut answered_at = Instant::now();
    loop {
        let state = match target.ask(async |rest| rest.job_state(job).await).await {
            Ok(state) => state,
            Err(source) => match target.written(job).await {
                // It ended while another one led.
                Written::Down(result) => return Ok(result.end.into()),
                _ if source.is_passing() && answered_at.elapsed() < LEADERLESS.min(within) => {
                    tokio::time::sleep(LOOK).await;
                    continue;
                }
                _ if source.is_passing() => return Err(CancelError::Unknown { job, source }),
                Written::NotYet | Written::Nowhere => return Err(failed(source)),
            },
        };
        answered_at = Instant::now();
        if state.is_terminal()
            && let Some(ended) = ended(target, job, state).await
        {
            return Ok(ended.state);
        }
        if (target.fails_over() || !taken) && state != JobState::Cancelling {
            taken = ask_for_it(target, job).await.map_err(failed)?;
        }
        if Instant::now() >= deadline {
            return Err(CancelError::Timeout { job, state, after: within });
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Whether Flink has taken the request; false where its reply was lost.
async fn ask_for_it(target: &Target, job: JobId) -> Result<bool, RestError> {
    match target.ask(async |rest| rest.cancel_job(job).await).await {
        Ok(()) => Ok(true),
        Err(lost) if lost.effect() != Effect::NotApplied => Ok(lost.effect() == Effect::Applied),
        Err(refused) => Err(refused),
    }
}
