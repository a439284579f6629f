//! Watching a job until it ends.

use std::time::Duration;

use kobel_conf::{Category, Explain};
use kobel_flink::{
    FlinkRest, RestError,
    rest::{Failure, JobResult, JobState, TaskCounts},
};
use kobel_plan::{JobId, JobStatus};
use tokio::time::{Instant, sleep};

use super::{LEADERLESS, Target, Written, output::Output};

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
/// How long a job that is over may have no result.
const NO_RESULT: Duration = Duration::from_secs(5);
/// For so long a leader must say that it does not know a job, where it may have become the leader just now.
const UNKNOWN: Duration = Duration::from_secs(3);

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
    output: Option<Output>,
    on_news: &mut dyn FnMut(News),
) -> Result<JobEnded, FollowError> {
    let began = Instant::now();
    let mut following = Following {
        target,
        job,
        output,
        began,
        answered_at: began,
        unknown_since: None,
        details_at: began + LINES,
        lines_at: began + LINES,
    };
    let ended = loop {
        let seen = match target.rest.job_state(job).await {
            Ok(state) if state.is_terminal() => ended(target, job, state).await,
            Ok(state) => {
                following.goes_on(state, on_news).await;
                None
            }
            Err(error) => following.no_state(error).await?,
        };
        if let Some(ended) = seen {
            break ended;
        }
        sleep((began.elapsed() / PART).clamp(SHORTEST, LONGEST)).await;
    };
    if let Some(output) = following.output {
        output.finish(&target.rest, job, on_news).await;
    }
    Ok(ended)
}

/// A job on its way.
struct Following<'a> {
    target: &'a Target,
    job: JobId,
    output: Option<Output>,
    began: Instant,
    /// When the cluster told of it last.
    answered_at: Instant,
    /// Since when whoever leads does not know it.
    unknown_since: Option<Instant>,
    details_at: Instant,
    lines_at: Instant,
}

impl Following<'_> {
    async fn goes_on(&mut self, state: JobState, on_news: &mut dyn FnMut(News)) {
        let (rest, now) = (&self.target.rest, Instant::now());
        (self.answered_at, self.unknown_since) = (now, None);
        if now >= self.details_at {
            self.details_at = now + DETAILS;
            tell_progress(rest, self.job, state, on_news).await;
        }
        if let Some(output) = self.output.as_mut().filter(|_| now >= self.lines_at) {
            self.lines_at = now + LINES;
            output.poll(rest, self.job, on_news).await;
        }
    }

    /// The leader does not tell: it is gone, or it never knew this job, which ended while another one led. A leader
    /// answers when it has recovered the jobs that had not ended.
    async fn no_state(&mut self, error: RestError) -> Result<Option<JobEnded>, FollowError> {
        let Self { target, job, .. } = *self;
        if let Written::Down(result) = target.written(job).await {
            return Ok(Some(JobEnded::by(job, result)));
        }
        if let RestError::NotFound { .. } = error {
            let now = Instant::now();
            let since = *self.unknown_since.get_or_insert(now);
            self.answered_at = now;
            if !target.fails_over() || since.elapsed() >= UNKNOWN {
                return Err(FollowError::NoSuchJob { job, source: error });
            }
        } else {
            self.unknown_since = None;
            if self.answered_at.elapsed() > LEADERLESS {
                return Err(FollowError::Lost { job, source: error });
            }
        }
        tracing::debug!(%job, %error, since = ?self.began.elapsed(), "state unknown for the moment");
        Ok(None)
    }
}

async fn tell_progress(rest: &FlinkRest, job: JobId, state: JobState, on_news: &mut dyn FnMut(News)) {
    match rest.job(job).await {
        Ok(details) => on_news(News::Progress(Progress { state, tasks: details.tasks() })),
        Err(error) => tracing::debug!(%job, %error, "no details for the moment"),
    }
}

impl JobEnded {
    /// The end of a job that had a cluster of its own; none as long as it is not over.
    pub fn of(job: &JobStatus) -> Option<Self> {
        let state = job.state.filter(|state| state.is_terminal())?;
        Some(Self { job: job.id, state, net_runtime: job.runtime_ms, failure: job.failure.clone() })
    }

    fn by(job: JobId, result: JobResult) -> Self {
        let JobResult { end, net_runtime, failure } = result;
        Self { job, state: end.into(), net_runtime: Some(net_runtime), failure }
    }
}

/// The end of a job in a terminal state; none if it runs again: its leader was lost before the end was written down.
///
/// The result may lag behind the state by a moment, and a JobManager that ends with its job takes it along: then only
/// the state is known.
pub(super) async fn ended(target: &Target, job: JobId, state: JobState) -> Option<JobEnded> {
    let deadline = Instant::now() + NO_RESULT;
    let result = loop {
        match target.written(job).await {
            Written::Down(result) => return Some(JobEnded::by(job, result)),
            Written::Nowhere => match target.rest.job_result(job).await {
                Ok(Some(result)) => break Some(result),
                Err(error) if !target.fails_over() => {
                    tracing::debug!(%job, %error, "no result");
                    break None;
                }
                Ok(None) | Err(_) => {}
            },
            Written::NotYet => {
                if target.rest.job_state(job).await.is_ok_and(|state| !state.is_terminal()) {
                    return None;
                }
            }
        }
        if Instant::now() >= deadline {
            break target.rest.job_result(job).await.ok().flatten();
        }
        sleep(RESULT).await;
    };
    let mut failure = result.as_ref().and_then(|r| r.failure.clone());
    if state == JobState::Failed && failure.is_none() {
        failure = target.rest.job_failure(job).await.ok().flatten();
    }
    Some(JobEnded { job, state, net_runtime: result.map(|r| r.net_runtime), failure })
}
