//! Savepoints of a job, with or without its end.

use std::{path::Path, time::Duration};

use kobel_conf::{Category, Explain};
use kobel_flink::{
    Effect, RestError,
    rest::{JobState, Operation, SavepointWish, TriggerId},
};
use kobel_plan::JobId;
use tokio::time::{Instant, sleep};

use super::{LEADERLESS, Leader, Target};

/// Between two looks at a savepoint that is being made.
const LOOK: Duration = Duration::from_millis(100);
/// Flink's words for a job some of whose tasks do not run yet (`CheckpointFailureReason.NOT_ALL_REQUIRED_TASKS_RUNNING`).
const DEPLOYING: &str = "Not all required tasks are currently running";
/// How long tasks may take to run. Of some jobs they never all do: those that end early belonged to them, too.
const DEPLOYED: Duration = Duration::from_secs(30);
/// Between two requests to a job whose tasks do not all run.
const AGAIN: Duration = Duration::from_millis(500);

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
    #[error("job {job} is over already: {state}")]
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
        /// Where it would be, if that was said.
        directory: Option<Box<str>>,
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

impl SavepointError {
    fn is_too_early(&self) -> bool {
        matches!(self, Self::Failed { cause, .. } if cause.contains(DEPLOYING))
    }
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
            Self::Unknown { job, directory: Some(directory), .. } => {
                let directory = directory.trim_end_matches('/');
                let prefix = &job.to_string()[..6];
                format!(
                    "kobel job checkpoints {job}   (if it was made, it is {directory}/savepoint-{prefix}-…)"
                )
            }
            Self::Rest { job, .. }
            | Self::Unknown { job, .. }
            | Self::Failed { job, .. }
            | Self::Timeout { job, .. } => format!("kobel job checkpoints {job}"),
        })
    }
}

/// A savepoint to be made.
#[derive(Debug, Clone, Copy)]
pub struct SavepointRequest<'a> {
    /// Of which job.
    pub job: JobId,
    /// With or without its end, and in which form.
    pub wish: SavepointWish,
    /// Where to; none leaves it to Flink's configuration.
    pub directory: Option<&'a str>,
    /// How long it may take.
    pub within: Duration,
}

/// Makes a savepoint, and waits until it is there. Returns where. A job that has only begun to run gets the time for
/// that: Flink takes none of tasks that are still deployed.
pub async fn savepoint(target: &Target, request: SavepointRequest<'_>) -> Result<String, SavepointError> {
    let since = Instant::now();
    loop {
        match make(target, request).await {
            Err(error) if error.is_too_early() && since.elapsed() < DEPLOYED.min(request.within) => {
                tracing::debug!(job = %request.job, %error, "asked for too early");
                sleep(AGAIN).await;
            }
            settled => return settled,
        }
    }
}

/// One savepoint, or none.
///
/// The operation has an id of kobel's choice, and a JobManager that knows an id begins nothing for it a second time. So
/// a request whose reply was lost is sent again as long as the same JobManager leads, and by that id the savepoint is
/// found again however many replies are lost. Another leader knows nothing of what the one before was asked for: then
/// it is left at that, for a second savepoint could come of it.
async fn make(target: &Target, request: SavepointRequest<'_>) -> Result<String, SavepointError> {
    let SavepointRequest { job, within, .. } = request;
    let trigger = random_trigger().map_err(SavepointError::Random)?;
    let state = target.ask(async |rest| rest.job_state(job).await).await.map_err(|e| refused(job, e))?;
    if state.is_terminal() {
        return Err(SavepointError::Over { job, state });
    }
    let now = Instant::now();
    let mut making = Making {
        target,
        request,
        trigger,
        asked: Asked::No,
        leader: target.leader().await,
        before: last_number(target, job).await,
        answered_at: now,
        silence: None,
    };
    loop {
        if let Some(location) = making.step().await? {
            return Ok(location);
        }
        if now.elapsed() >= within {
            return Err(match making.silence.take() {
                Some(source) => making.lost(source),
                None => SavepointError::Timeout { job, after: within },
            });
        }
        sleep(LOOK).await;
    }
}

/// An id that no other operation has.
pub(super) fn random_trigger() -> std::io::Result<TriggerId> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(TriggerId::from_bytes(bytes))
}

/// The number of the job's last checkpoint, by which those that come after it are known.
async fn last_number(target: &Target, job: JobId) -> Option<i64> {
    let known = target.rest.checkpoints(job).await.ok()?.unwrap_or_default();
    Some(known.history.first().map_or(0, |last| last.id))
}

/// A savepoint on its way.
struct Making<'a> {
    target: &'a Target,
    request: SavepointRequest<'a>,
    trigger: TriggerId,
    asked: Asked,
    /// Who led when it was asked for, where it may be another one later.
    leader: Option<Leader>,
    /// The number of the job's last checkpoint before it, as far as Flink told.
    before: Option<i64>,
    /// When the cluster told of it last.
    answered_at: Instant,
    /// Why it has not told since.
    silence: Option<RestError>,
}

/// Whether Flink has been asked for it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// It has not.
    No,
    /// It may have: the reply was lost.
    Perhaps,
    /// It has.
    Yes,
}

impl Making<'_> {
    /// Asks for it, or how it stands; tells where it is once it is there.
    async fn step(&mut self) -> Result<Option<String>, SavepointError> {
        let job = self.request.job;
        if self.asked == Asked::No {
            return self.ask().await.map(|()| None);
        }
        match self.target.rest.savepoint_state(job, self.trigger).await {
            Ok(Operation::Done(location)) => return Ok(Some(location)),
            Ok(Operation::Failed(failure)) => {
                return Err(SavepointError::Failed { job, cause: failure.cause });
            }
            Ok(Operation::InProgress) => self.answered(),
            Err(source @ RestError::NotFound { .. }) => return self.not_known(source).await,
            Err(source) => self.bear(source)?,
        }
        Ok(None)
    }

    /// The request, which is nothing new to a JobManager that has it already.
    async fn ask(&mut self) -> Result<(), SavepointError> {
        let SavepointRequest { job, wish, directory, .. } = self.request;
        let lost = self.target.rest.trigger_savepoint(job, wish, directory, self.trigger).await.err();
        match lost.as_ref().map_or(Effect::Applied, RestError::effect) {
            Effect::Applied => self.answered(),
            Effect::Unknown => self.asked = Asked::Perhaps,
            Effect::NotApplied => {
                let Some(source) = lost else { return Ok(()) };
                if self.asked == Asked::No && !self.target.fails_over() {
                    return Err(refused(job, source));
                }
                self.bear(source)?;
                if self.asked == Asked::No {
                    // Nobody leads: whoever does next is asked.
                    self.leader = self.target.leader().await;
                }
            }
        }
        Ok(())
    }

    /// The JobManager does not know our id: the request never came, or came to another one, or it is so long ago that
    /// it is forgotten.
    async fn not_known(&mut self, source: RestError) -> Result<Option<String>, SavepointError> {
        match self.listed().await {
            Listed::Made(location) => return Ok(Some(location)),
            Listed::InProgress => return Ok(None),
            Listed::No => {}
        }
        let same_leader =
            !self.target.fails_over() || (self.leader.is_some() && self.leader == self.target.leader().await);
        if self.asked == Asked::Perhaps && same_leader {
            return self.ask().await.map(|()| None);
        }
        Err(self.unknown(source))
    }

    /// What the list of checkpoints has of it: a savepoint that came after ours was asked for is ours.
    async fn listed(&self) -> Listed {
        let Some(before) = self.before else { return Listed::No };
        let Ok(Some(list)) = self.target.rest.checkpoints(self.request.job).await else { return Listed::No };
        let ours = list.latest.savepoint.iter().chain(&list.history);
        let ours = ours.filter(|made| made.is_savepoint && made.id > before);
        let mut found = Listed::No;
        for made in ours {
            match (made.status.as_str(), &made.external_path) {
                ("COMPLETED", Some(path)) => return Listed::Made(path.clone()),
                ("IN_PROGRESS", _) => found = Listed::InProgress,
                _ => {}
            }
        }
        found
    }

    /// The cluster told of it.
    fn answered(&mut self) {
        (self.asked, self.answered_at, self.silence) = (Asked::Yes, Instant::now(), None);
    }

    /// An answer that did not come may come later, unless none has come for long.
    fn bear(&mut self, source: RestError) -> Result<(), SavepointError> {
        if source.is_passing() && self.answered_at.elapsed() < LEADERLESS.min(self.request.within) {
            tracing::debug!(job = %self.request.job, error = %source, "how the savepoint stands is unknown for the moment");
            self.silence = Some(source);
            return Ok(());
        }
        Err(self.lost(source))
    }

    /// What it is when no answer comes any more.
    fn lost(&self, source: RestError) -> SavepointError {
        match self.asked {
            Asked::No => refused(self.request.job, source),
            Asked::Perhaps | Asked::Yes => self.unknown(source),
        }
    }

    fn unknown(&self, source: RestError) -> SavepointError {
        let SavepointRequest { job, directory, .. } = self.request;
        SavepointError::Unknown { job, directory: directory.map(Into::into), source }
    }
}

/// What the list of checkpoints has of a savepoint.
enum Listed {
    Made(String),
    InProgress,
    No,
}

pub(super) fn refused(job: JobId, source: RestError) -> SavepointError {
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
