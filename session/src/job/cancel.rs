//! Cancelling a job.

use std::time::Duration;

use kobel_conf::{Category, Explain};
use kobel_flink::{RestError, rest::JobState};
use kobel_plan::JobId;
use tokio::time::Instant;

use super::{Target, Written, follow::ended};

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
    #[error("job {job} is over already: {state:?}")]
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
    /// It did not end in time.
    #[error("job {job} is being cancelled, and still {state:?} after {} s", after.as_secs())]
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
            CancelError::Over { .. } => Category::Other,
            CancelError::Rest { source, .. } => source.category(),
            CancelError::Timeout { .. } => Category::Timeout,
        }
    }

    fn hint(&self) -> Option<String> {
        Some("kobel job list".into())
    }
}

/// Cancels the job and waits until it is over. Returns how it ended: a job may finish or fail
/// before the cancelling reaches it. A leader that is lost meanwhile takes the cancelling along: the next one is asked
/// again.
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
    target.ask(async |rest| rest.cancel_job(job).await).await.map_err(failed)?;
    loop {
        let state = match target.ask(async |rest| rest.job_state(job).await).await {
            Ok(state) => state,
            // It ended while another one led.
            Err(source) => match target.written(job).await {
                Written::Down(result) => return Ok(result.end.into()),
                Written::NotYet | Written::Nowhere => return Err(failed(source)),
            },
        };
        if state.is_terminal()
            && let Some(ended) = ended(target, job, state).await
        {
            return Ok(ended.state);
        }
        if target.fails_over() && state != JobState::Cancelling {
            target.ask(async |rest| rest.cancel_job(job).await).await.map_err(failed)?;
        }
        if Instant::now() >= deadline {
            return Err(CancelError::Timeout { job, state, after: within });
        }
        tokio::time::sleep(LOOK).await;
    }
}
