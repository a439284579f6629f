//! Sending a program to a session: its `main` runs inside the JobManager. The job's id is ours, so
//! a reply that is lost, or that refuses what was done all the same, is settled by asking for the
//! job and never by running the program again.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use kobel_conf::{Category, Explain};
use kobel_flink::{
    Effect, FlinkRest, RestError,
    rest::{ClaimMode, JarId, JobState, RunRequest},
};
use kobel_plan::JobId;
use tokio::time::{Instant, sleep};

use super::{
    AGAIN, LEADERLESS, Target,
    jar::{JarError, JarFile},
};
use crate::spec::Override;

/// How long `main` may take to put its job together.
pub(super) const MAIN: Duration = Duration::from_secs(600);
/// After a lost reply, how long the job may take to show up: `main` may still be running.
const SETTLE: Duration = Duration::from_secs(20);
/// What is wrong with a program that submitted a second job without an answer that said so.
const SEVERAL: &str = "it has several jobs, of which a session runs only the first";
/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);

/// A program to run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobRequest {
    /// Its jar.
    pub jar: PathBuf,
    /// The class to start: `-c`.
    pub class: Option<String>,
    /// What `main` gets.
    pub args: Vec<String>,
    /// Default parallelism: `-p`.
    pub parallelism: Option<u32>,
    /// Savepoint or checkpoint to start from: `-s`.
    pub savepoint: Option<String>,
    /// Whether state that the program no longer has may be dropped.
    pub allow_non_restored: bool,
    /// Who owns the savepoint afterwards.
    pub claim_mode: Option<ClaimMode>,
    /// Flink's options for this job alone: `-D`.
    pub configuration: Vec<Override>,
    /// Where on this machine the cluster keeps the jar, if it is this machine: there must be room.
    pub kept_in: Option<PathBuf>,
}

/// How far a submission is.
#[derive(Debug, Clone)]
pub enum Stage {
    /// The jar is being sent.
    Uploading {
        /// Its size in bytes.
        size: u64,
        /// How many of them are sent.
        sent: Arc<AtomicU64>,
    },
    /// `main` runs.
    Running,
    /// The reply was lost: the cluster is asked what became of the job.
    Settling,
}

/// What became of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The job is the cluster's.
    Submitted(JobId),
    /// The job is the cluster's, though `main` failed after it submitted it: most often because the
    /// program wants the result where `main` runs (`print()`, `collect()` of a DataSet), or has several jobs.
    ClientResult {
        /// The job.
        job: JobId,
        /// Flink's words.
        cause: String,
    },
}

impl Outcome {
    /// The job.
    pub fn job(&self) -> JobId {
        match self {
            Outcome::Submitted(job) | Outcome::ClientResult { job, .. } => *job,
        }
    }
}

/// A program that could not be run.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The jar is of no use.
    #[error(transparent)]
    Jar(#[from] JarError),
    /// The jar could not be sent.
    #[error("cannot send {} to the cluster", jar.display())]
    Upload {
        /// The jar.
        jar: PathBuf,
        /// Why not.
        source: RestError,
    },
    /// The program failed before it submitted a job; there is no job.
    #[error("the program in {} failed before it submitted a job: {cause}", jar.display())]
    Program {
        /// The jar.
        jar: PathBuf,
        /// The one line that says why.
        cause: String,
        /// All that Flink said.
        trace: String,
    },
    /// Its job is there, and failed before it ran: most often it cannot start from where it should.
    #[error("job {job} of {} failed before it ran: {cause}", jar.display())]
    Failed {
        /// The jar.
        jar: PathBuf,
        /// The job.
        job: JobId,
        /// The one line that says why.
        cause: String,
        /// All that Flink said.
        trace: String,
    },
    /// The request to run it did not get through; there is no job.
    #[error("cannot run {}", jar.display())]
    NotApplied {
        /// The jar.
        jar: PathBuf,
        /// Why not.
        source: RestError,
    },
    /// The reply was lost, and the cluster does not know the job, at least not yet.
    #[error("the reply to running {} was lost, and the cluster does not know job {job} yet", jar.display())]
    Unknown {
        /// The jar.
        jar: PathBuf,
        /// The id that the job has if it comes.
        job: JobId,
        /// What happened.
        source: RestError,
    },
}

impl SubmitError {
    /// Whether a job runs.
    pub fn effect(&self) -> Effect {
        match self {
            SubmitError::Unknown { .. } => Effect::Unknown,
            _ => Effect::NotApplied,
        }
    }

    /// Whether there was no leader for it, or one that did not have the jar.
    fn came_to_no_leader(&self) -> bool {
        match self {
            SubmitError::Upload { source, .. } => source.is_passing(),
            SubmitError::NotApplied { source, .. } => {
                source.is_passing() || matches!(source, RestError::NotFound { .. })
            }
            _ => false,
        }
    }

    /// All that Flink said about a failed program, Java's trace included.
    pub fn trace(&self) -> Option<&str> {
        match self {
            SubmitError::Program { trace, .. } | SubmitError::Failed { trace, .. } => Some(trace),
            _ => None,
        }
    }
}

impl Explain for SubmitError {
    fn category(&self) -> Category {
        match self {
            SubmitError::Jar(e) => e.category(),
            SubmitError::Program { .. } | SubmitError::Failed { .. } => Category::FailedEnd,
            SubmitError::Upload { source, .. } | SubmitError::NotApplied { source, .. } => source.category(),
            SubmitError::Unknown { .. } => Category::Other,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            SubmitError::Jar(e) => e.hint(),
            SubmitError::Unknown { job, .. } => {
                Some(format!("kobel job list   (run the program again only when {job} does not come up)"))
            }
            SubmitError::Upload { source, .. } | SubmitError::NotApplied { source, .. } => source.hint(),
            _ => None,
        }
    }
}

/// Checks the jar, sends it, runs it once, and tells what came of it. The jar is taken away from
/// the cluster again: Flink ships a copy of its own to the TaskManagers. The job gets the caller's
/// id, so that the caller knows it however this ends.
///
/// A leader that is lost before it runs the program takes the jar along: with high availability the next one gets both.
pub async fn submit(
    target: &Target,
    job: JobId,
    request: &JobRequest,
    on_stage: &mut dyn FnMut(Stage),
) -> Result<Outcome, SubmitError> {
    let deadline = Instant::now() + LEADERLESS;
    loop {
        match submit_settling(&target.rest, job, request, SETTLE, on_stage).await {
            Err(error) if target.fails_over() && error.came_to_no_leader() && Instant::now() < deadline => {
                tracing::debug!(%job, %error, "the program did not get to a leader");
                sleep(AGAIN).await;
            }
            Ok(Outcome::Submitted(job)) => {
                return Ok(match has_a_second(&target.rest, job).await {
                    true => Outcome::ClientResult { job, cause: SEVERAL.into() },
                    false => Outcome::Submitted(job),
                });
            }
            settled => return settled,
        }
    }
}

/// Whether the program submitted a second job. In a session Flink gives that the first one's, as if it had been
/// recovered (`EmbeddedExecutor`), and answers as if all were well: only the log of the JobManager tells. It is asked
/// for it wherever it runs.
async fn has_a_second(rest: &FlinkRest, job: JobId) -> bool {
    let told = rest.log_says(&format!("Job {job} was recovered successfully")).await;
    told.inspect_err(|error| tracing::debug!(%job, %error, "nobody tells of further jobs")).unwrap_or(false)
}

/// The same with another patience for lost replies.
pub(super) async fn submit_settling(
    rest: &FlinkRest,
    job: JobId,
    request: &JobRequest,
    patience: Duration,
    on_stage: &mut dyn FnMut(Stage),
) -> Result<Outcome, SubmitError> {
    let jar = JarFile::check(&request.jar, request.class.as_deref())?;
    request.kept_in.as_ref().map_or(Ok(()), |dir| jar.fits(dir))?;
    let sent = Arc::new(AtomicU64::new(0));
    on_stage(Stage::Uploading { size: jar.size, sent: Arc::clone(&sent) });
    let id = rest
        .upload_jar(&jar.path, sent)
        .await
        .map_err(|source| SubmitError::Upload { jar: request.jar.clone(), source })?;
    tracing::debug!(jar = %id.0, %job, "jar uploaded");
    on_stage(Stage::Running);
    let reply = rest.run_jar(&id, &run_request(request, job), MAIN).await;
    let outcome = match reply {
        Ok(job) => Ok(Outcome::Submitted(job)),
        Err(e) => {
            if e.effect() != Effect::NotApplied {
                on_stage(Stage::Settling);
            }
            settle(rest, request, job, e, patience).await
        }
    };
    // As long as `main` may be running it may still load classes.
    if !matches!(outcome, Err(SubmitError::Unknown { .. })) {
        discard(rest, &id).await;
    }
    outcome
}

pub(super) fn run_request(request: &JobRequest, job: JobId) -> RunRequest {
    RunRequest {
        job_id: Some(job),
        entry_class: request.class.clone(),
        parallelism: request.parallelism,
        program_args: request.args.clone(),
        savepoint_path: request.savepoint.clone(),
        allow_non_restored_state: request.allow_non_restored,
        claim_mode: request.claim_mode,
        flink_configuration: request.configuration.iter().map(|o| (o.key.clone(), o.value.clone())).collect(),
    }
}

pub(super) async fn discard(rest: &FlinkRest, jar: &JarId) {
    if let Err(error) = rest.delete_jar(jar).await {
        tracing::warn!(jar = %jar.0, %error, "uploaded jar stays at the cluster");
    }
}

/// What a failed reply means, by whether the job exists.
async fn settle(
    rest: &FlinkRest,
    request: &JobRequest,
    job: JobId,
    error: RestError,
    patience: Duration,
) -> Result<Outcome, SubmitError> {
    let jar = request.jar.clone();
    if error.effect() == Effect::NotApplied {
        return Err(SubmitError::NotApplied { jar, source: error });
    }
    match error {
        RestError::Rejected { cause, trace, .. } => match shows_up(rest, job, patience, MainIs::Over).await {
            Some(JobState::Failed) => Err(SubmitError::Failed { jar, job, cause, trace }),
            Some(_) => Ok(Outcome::ClientResult { job, cause }),
            None => Err(SubmitError::Program { jar, cause, trace }),
        },
        lost => match shows_up(rest, job, patience, MainIs::Unknown).await {
            Some(_) => Ok(Outcome::Submitted(job)),
            None => Err(SubmitError::Unknown { jar, job, source: lost }),
        },
    }
}

/// What is known of the program when its job is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum MainIs {
    /// It has ended, so its job is there now or never will be.
    Over,
    /// It may still run, and submit its job later.
    Unknown,
}

/// Where the job stands, if it shows up within this time.
async fn shows_up(rest: &FlinkRest, job: JobId, within: Duration, main: MainIs) -> Option<JobState> {
    let deadline = Instant::now() + within;
    loop {
        match rest.job_state(job).await {
            Ok(state) => return Some(state),
            Err(RestError::NotFound { .. }) if main == MainIs::Over => return None,
            Err(error) => tracing::debug!(%job, %error, "job not there"),
        }
        if Instant::now() >= deadline {
            return None;
        }
        tokio::time::sleep(LOOK).await;
    }
}
