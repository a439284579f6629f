//! Watches the job of a per-job cluster from its first sight to its end, and to that of the `main` that runs beside
//! it, and tells the supervisor.
//!
//! A JobManager of such a cluster is told to stay when its application is over (`execution.shutdown-on-application-finish`):
//! it goes when what it knows has been written down here.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use kobel_flink::{
    FlinkRest,
    main_log::{Main, Thrown},
    own_log,
    rest::JobResult,
};
use kobel_plan::{JobId, JobState, JobStatus, job::Failure};
use tokio::{
    sync::{mpsc, watch},
    time::{sleep, timeout},
};

use crate::{
    election::{Master, Storage},
    observe::{self, Question, Target},
    snapshots::SnapshotKeeper,
};

/// Between two questions, the shortest time: a short job's end is seen as it happens.
const SHORTEST: Duration = Duration::from_millis(25);
/// And the longest.
const LONGEST: Duration = Duration::from_secs(1);
/// In between it is this part of the time that the job took so far.
const PART: u32 = 20;
/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// How long a job that is over may have no result.
const NO_RESULT: Duration = Duration::from_secs(5);
/// Where nobody tells of `main`, it has this long after its job to print what it collected.
const UNTOLD: Duration = Duration::from_secs(1);
/// Between two looks for the end of `main`.
const LOOK: Duration = Duration::from_millis(25);

/// What there is to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JobNews {
    /// It got here, and is not over.
    State(JobState),
    /// It is over; `main` may not be.
    Over(JobStatus),
    /// `main` is over, too. What it threw though its job had finished comes with it.
    MainOver(Option<Thrown>),
}

/// The job, and who knows how it ended.
#[derive(Debug)]
pub(crate) struct Job {
    /// Its id.
    pub(crate) id: JobId,
    /// With high availability, where Flink writes down how jobs ended.
    pub(crate) storage: Option<Storage>,
}

/// Whom to watch, and by what.
#[derive(Debug)]
pub(crate) struct JobWatch {
    /// The job.
    pub(crate) job: Job,
    /// Where JobManagers of this machine log.
    pub(crate) log_dir: PathBuf,
    /// Who leads.
    pub(crate) asked: watch::Receiver<Question>,
    /// Who knows what the job leaves.
    pub(crate) snapshots: SnapshotKeeper,
    /// Who is told.
    pub(crate) news: mpsc::Sender<JobNews>,
}

impl JobWatch {
    /// Watches until job and `main` are over, or nobody listens.
    pub(crate) async fn run(mut self) {
        let Some((over, master)) = self.job_over().await else { return };
        let state = over.state;
        if self.news.send(JobNews::Over(over)).await.is_err() {
            return;
        }
        // Its savepoints and checkpoints, too, are told by a JobManager that is there.
        let snapshots = self.snapshots.clone();
        let (main, _) = tokio::join!(self.main_over(master), snapshots.look());
        // What else failed a program is told by its job.
        let thrown = match (main, state) {
            (Some(Main::Threw(thrown)), Some(JobState::Finished | JobState::Canceled)) => Some(thrown),
            (Some(Main::BrokenOff(failure)), Some(JobState::Finished)) => Some(failure.into()),
            _ => None,
        };
        let _ = self.news.send(JobNews::MainOver(thrown)).await;
    }

    /// Asks whoever leads until the job is over.
    async fn job_over(&mut self) -> Option<(JobStatus, Master)> {
        let (began, mut told) = (Instant::now(), None);
        let mut asking: Option<(Target, FlinkRest)> = None;
        loop {
            let target = self.asked.borrow_and_update().target;
            if asking.as_ref().map(|(target, _)| *target) != target {
                asking = target.and_then(observe::client);
            }
            let Some((target, rest)) = &asking else {
                self.asked.changed().await.ok()?;
                continue;
            };
            match self.job.state(rest).await {
                Some(state) if state.is_terminal() => {
                    if let Some(over) = self.job.result(rest, state).await {
                        return Some((over, target.of));
                    }
                }
                Some(state) if told != Some(state) => {
                    told = Some(state);
                    self.news.send(JobNews::State(state)).await.ok()?;
                }
                // A leader that never knew it: it ended while another one led.
                None if told.is_some() => {
                    if let Some(result) = self.job.written().await {
                        return Some((self.job.told(result), target.of));
                    }
                }
                Some(_) | None => {}
            }
            if self.news.is_closed() {
                return None;
            }
            sleep((began.elapsed() / PART).clamp(SHORTEST, LONGEST)).await;
        }
    }

    /// Waits for the end of `main` in this JobManager, or of the JobManager.
    async fn main_over(&mut self, (id, attempt): Master) -> Option<Main> {
        let file = self.log_dir.join(own_log::MAIN.file_name(&id.attempt_name(attempt)));
        let began = Instant::now();
        loop {
            match Main::read(&file) {
                Ok(Main::Runs) => {}
                Ok(Main::Untold) | Err(_) if began.elapsed() >= UNTOLD => return None,
                Ok(Main::Untold) | Err(_) => {}
                Ok(over) => return Some(over),
            }
            if self.asked.borrow().target.is_none_or(|target| target.of != (id, attempt)) {
                return None;
            }
            sleep(LOOK).await;
        }
    }
}

impl Job {
    /// How it ended, if it has and this JobManager tells so now.
    pub(crate) async fn over(&self, target: Target) -> Option<JobStatus> {
        let (_, rest) = observe::client(target)?;
        let state = self.state(&rest).await.filter(|state| state.is_terminal())?;
        self.result(&rest, state).await
    }

    /// Where it stands; none while nobody knows it. Asked for by the list of jobs: asked for one that is not there yet,
    /// Flink logs an error.
    async fn state(&self, rest: &FlinkRest) -> Option<JobState> {
        let jobs = timeout(DEADLINE, rest.jobs()).await.ok()?.ok()?;
        jobs.iter().find(|known| known.jid == self.id).map(|known| known.state)
    }

    /// What became of the job; none if that is not for certain yet. With high availability it is when Flink has written
    /// it down: until then another leader may run the job again.
    async fn result(&self, rest: &FlinkRest, state: JobState) -> Option<JobStatus> {
        let deadline = Instant::now() + NO_RESULT;
        loop {
            let result = match self.storage {
                Some(_) => self.written().await,
                None => timeout(DEADLINE, rest.job_result(self.id)).await.ok()?.ok().flatten(),
            };
            match result {
                Some(result) => return Some(self.explained(rest, self.told(result)).await),
                None if self.storage.is_some() => return None,
                None if Instant::now() >= deadline => {
                    return Some(self.explained(rest, self.status(state, None, None)).await);
                }
                None => sleep(LOOK).await,
            }
        }
    }

    async fn written(&self) -> Option<JobResult> {
        let file = self.storage.as_ref()?.result(self.id).await;
        file.inspect_err(|error| tracing::debug!(%error, "the job's result cannot be read"))
            .ok()
            .flatten()
            .and_then(|file| JobResult::stored(&file))
    }

    fn told(&self, result: JobResult) -> JobStatus {
        self.status(result.end.into(), Some(result.net_runtime), result.failure)
    }

    fn status(&self, state: JobState, runtime_ms: Option<u64>, failure: Option<Failure>) -> JobStatus {
        JobStatus { id: self.id, state: Some(state), runtime_ms, failure, of_several: false }
    }

    /// A failed job's result may not say what failed it.
    async fn explained(&self, rest: &FlinkRest, over: JobStatus) -> JobStatus {
        if over.state != Some(JobState::Failed) || over.failure.is_some() {
            return over;
        }
        let failure = timeout(DEADLINE, rest.job_failure(self.id)).await;
        JobStatus { failure: failure.ok().and_then(Result::ok).flatten(), ..over }
    }
}
