//! Watching a job until it ends.

use std::time::Duration;

use kobel_conf::{Category, Explain};
use kobel_flink::{
    FlinkRest, RestError,
    rest::{Failure, JobState, TaskCounts},
};
use kobel_plan::JobId;
use tokio::time::Instant;

use super::{Target, output::Output};

/// Between two questions for the state, the shortest time: a short job's end is seen as it happens.
/// `/jobs/:id/status` is not cached by Flink.
const SHORTEST: Duration = Duration::from_millis(25);
/// And the longest.
const LONGEST: Duration = Duration::from_millis(500);
/// In between it is this part of the time that the job took so far: so much longer it seems at most.
const PART: u32 = 20;
/// Printed lines are looked for this often, and not before: who starts a job has other work to do.
const LINES: Duration = Duration::from_millis(200);
/// The details, which Flink caches for 3 s by default, are asked for this often.
const DETAILS: Duration = Duration::from_secs(1);
/// Between two questions for the result of a job that is over.
const RESULT: Duration = Duration::from_millis(50);
/// How long the cluster may not answer, as while a JobManager is replaced.
const PATIENCE: Duration = Duration::from_secs(60);

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Where it stands.
    pub state: JobState,
    /// Its tasks by state.
    pub tasks: TaskCounts,
}

/// What is worth telling of a job that is being followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// It got further.
    Progress(Progress),
    /// It, or its `main`, printed a line.
    Line(String),
    /// Other jobs run on its TaskManagers: the lines may be theirs.
    Shared,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobEnded {
    /// The job.
    pub job: JobId,
    /// FINISHED, CANCELED or FAILED.
    pub state: JobState,
    /// Flink's "Job Runtime" in milliseconds, where it still knows.
    pub net_runtime: Option<u64>,
    /// What failed it.
    pub failure: Option<Failure>,
}

/// A job that cannot be followed to its end.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The cluster no longer knows it, or never did.
    #[error("the cluster does not know job {job}")]
    NoSuchJob {
        /// The job.
        job: JobId,
        /// What Flink said.
        source: RestError,
    },
    /// The cluster does not answer any more.
    #[error("lost sight of job {job}")]
    Lost {
        /// The job.
        job: JobId,
        /// The last failure.
        source: RestError,
    },
}

impl Explain for FollowError {
    fn category(&self) -> Category {
        match self {
            FollowError::NoSuchJob { .. } => Category::NotFound,
            FollowError::Lost { .. } => Category::Other,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            FollowError::NoSuchJob { .. } => "kobel job list".into(),
            FollowError::Lost { .. } => "kobel ps".into(),
        })
    }
}

/// Waits for the job's end and tells what happens until then; with `output`, its printed lines too.
/// Dropping the future leaves the job as it is.
pub async fn follow(
    target: &Target,
    job: JobId,
    mut output: Option<Output>,
    on_news: &mut dyn FnMut(News),
) -> Result<JobEnded, FollowError> {
    let rest = &target.rest;
    let began = Instant::now();
    let (mut details_at, mut lines_at, mut answered_at) = (began + LINES, began + LINES, began);
    let state = loop {
        match rest.job_state(job).await {
            Ok(state) if state.is_terminal() => break state,
            Ok(state) => {
                answered_at = Instant::now();
                if answered_at >= details_at {
                    details_at = answered_at + DETAILS;
                    tell_progress(rest, job, state, on_news).await;
                }
                if let Some(output) = output.as_mut().filter(|_| answered_at >= lines_at) {
                    lines_at = answered_at + LINES;
                    output.poll(rest, job, on_news).await;
                }
            }
            Err(source @ RestError::NotFound { .. }) => return Err(FollowError::NoSuchJob { job, source }),
            Err(source) if answered_at.elapsed() > PATIENCE => return Err(FollowError::Lost { job, source }),
            Err(error) => tracing::debug!(%job, %error, "state unknown for the moment"),
        }
        tokio::time::sleep((began.elapsed() / PART).clamp(SHORTEST, LONGEST)).await;
    };
    if let Some(output) = output {
        output.finish(rest, job, on_news).await;
    }
    ended(rest, job, state).await
}

async fn tell_progress(rest: &FlinkRest, job: JobId, state: JobState, on_news: &mut dyn FnMut(News)) {
    match rest.job(job).await {
        Ok(details) => on_news(News::Progress(Progress { state, tasks: details.tasks() })),
        Err(error) => tracing::debug!(%job, %error, "no details for the moment"),
    }
}

/// The result of a job in a terminal state. The result may lag behind the state by a moment, and a
/// JobManager that ends with its job takes it along: then only the state is known.
async fn ended(rest: &FlinkRest, job: JobId, state: JobState) -> Result<JobEnded, FollowError> {
    let deadline = Instant::now() + Duration::from_secs(5);
    let result = loop {
        match rest.job_result(job).await {
            Ok(Some(result)) => break Some(result),
            Ok(None) if Instant::now() < deadline => tokio::time::sleep(RESULT).await,
            Ok(None) => break None,
            Err(error) => {
                tracing::debug!(%job, %error, "no result");
                break None;
            }
        }
    };
    let mut failure = result.as_ref().and_then(|r| r.failure.clone());
    if state == JobState::Failed && failure.is_none() {
        failure = rest.job_failure(job).await.ok().flatten();
    }
    Ok(JobEnded { job, state, net_runtime: result.map(|r| r.net_runtime), failure })
}
