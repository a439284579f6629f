//! The job of a per-job cluster: the cluster ends with it, and as it did.

use std::time::Duration;

use kobel_flink::{
    main_log::{Main, Thrown},
    own_log,
};
use kobel_plan::{EventKind, JobState, JobStatus, Status, job::Failure, status::Jobs};
use tokio::time::timeout;

use super::{
    Supervisor,
    act::{GRACE, GRACE_AFTER_FAILURE},
};
use crate::{
    job::{Job, JobNews},
    record::{EndKind, Ending},
};

/// How long a stop waits to hear whether the job has ended by itself.
const LAST_LOOK: Duration = Duration::from_secs(1);

impl Supervisor {
    /// What the watch of the job tells.
    pub(super) async fn on_job(&mut self, news: JobNews) {
        match news {
            JobNews::State(state) => self.job_goes_on(state),
            JobNews::Over(job) => self.job_is_over(job).await,
            JobNews::MainOver(thrown) => self.end_with_job(thrown),
        }
    }

    fn job_goes_on(&mut self, state: JobState) {
        let Some(job) = &mut self.job else { return };
        if !job.is_over() {
            job.state = Some(state);
            let message = format!("job {} is {state}", job.id);
            self.event(EventKind::JobState, None, message);
        }
    }

    /// Written down before anything else: from now on nothing may run it again.
    async fn job_is_over(&mut self, over: JobStatus) {
        if self.is_job_over() {
            return;
        }
        let message = told(&over);
        self.job = Some(over);
        self.publish().await;
        self.event(EventKind::JobEnded, None, message);
    }

    /// Ends a cluster whose job is over as the job ended. What `main` threw beside a job that finished, or that Flink
    /// canceled for it, is a failure of its program.
    pub(super) fn end_with_job(&mut self, thrown: Option<Thrown>) {
        let Some(job) = self.job.as_mut().filter(|job| job.is_over()) else { return };
        if self.record.ending.is_some() {
            return;
        }
        job.of_several = thrown.as_ref().is_some_and(|thrown| thrown.has_several_jobs);
        let (job, thrown) = (job.clone(), thrown.map(|thrown| thrown.failure));
        self.end(match (job.state, thrown) {
            (Some(JobState::Finished), None) => Ending::new(EndKind::Stopped, told(&job), GRACE),
            (Some(JobState::Finished), Some(thrown)) => {
                let reason =
                    format!("the program failed, though its job {} finished: {}", job.id, thrown.cause);
                Ending::new(EndKind::Failed, reason, GRACE_AFTER_FAILURE)
            }
            (Some(JobState::Canceled), Some(thrown)) => {
                Ending::new(EndKind::Failed, program_failed(&job, &thrown), GRACE_AFTER_FAILURE)
            }
            (Some(JobState::Canceled), None) => Ending::new(EndKind::Killed, told(&job), GRACE),
            _ => Ending::new(EndKind::Failed, told(&job), GRACE_AFTER_FAILURE),
        });
    }

    /// Before the first stop: what has ended meanwhile was not stopped, though its end was not seen yet. Who asks once
    /// more is in a hurry.
    pub(super) async fn look_for_end(&mut self) {
        if self.record.ending.is_some() {
            return;
        }
        let Some(id) = self.job.as_ref().filter(|job| !job.is_over()).map(|job| job.id) else { return };
        let Some(target) = self.outputs.questions.borrow().target else { return };
        let job = Job { id, storage: self.outputs.storage.clone() };
        if let Ok(Some(over)) = timeout(LAST_LOOK, job.over(target)).await {
            self.job_is_over(over).await;
            self.end_with_job(None);
        }
    }

    /// Nobody is left to tell of `main`.
    pub(super) fn end_without_master(&mut self) {
        if self.living_masters().is_empty() {
            self.end_with_job(None);
        }
    }

    /// The cluster is over, and with it its job, which nothing runs again: told before the provider keeps what is to be
    /// known of it.
    pub(super) async fn job_ends_with(&mut self, ending: &Ending) {
        let (Some(plan), Some(job)) = (&self.plan.job, &self.job) else { return };
        // In a container it goes with that.
        if plan.jar.is_absolute()
            && let Err(error) = std::fs::remove_file(&plan.jar)
                .and_then(|()| plan.jar.parent().map_or(Ok(()), std::fs::remove_dir))
        {
            tracing::warn!(%error, jar = %plan.jar.display(), "could not remove the program's jar");
        }
        let over = ended_with(job.clone(), ending);
        // Nobody is left to be asked.
        self.observed = None;
        let jobs = over.state.map(counted).unwrap_or_default();
        self.job = Some(over);
        let status = Status { jobs, ..self.status() };
        self.tell(status).await;
    }

    /// Whether the cluster's job is over.
    pub(super) fn is_job_over(&self) -> bool {
        self.job.as_ref().is_some_and(JobStatus::is_over)
    }

    /// Without high availability nobody remembers a job whose JobManager is gone, and to run it from its beginning would
    /// do twice what it had done. A JobManager may also have gone because `main` threw while the job ran.
    pub(super) fn job_is_lost(&mut self, master: &str) {
        let Some(job) = self.job.as_mut().filter(|job| !job.is_over()) else { return };
        if self.record.ending.is_some() {
            return;
        }
        let remembered = self.plan.ha.is_some();
        let reason = match Main::read(&self.plan.log_dir.join(own_log::MAIN.file_name(master))) {
            // Another one would be refused its second job, too; what else it threw may be by the JobManager's fault.
            Ok(Main::Threw(thrown)) if !remembered || thrown.has_several_jobs => {
                job.of_several = thrown.has_several_jobs;
                program_failed(job, &thrown.failure)
            }
            _ if remembered || job.state.is_none() => return,
            _ => format!(
                "job {} was lost with {master}: without high availability no other JobManager can go on with it",
                job.id
            ),
        };
        self.end(Ending::new(EndKind::Failed, reason, GRACE_AFTER_FAILURE));
    }
}

/// Why a cluster failed whose `main` threw while its job ran.
fn program_failed(job: &JobStatus, thrown: &Failure) -> String {
    format!("the program of job {} failed: {}", job.id, thrown.cause)
}

/// What a job is when its cluster is over: one that was not is over with it, unless another cluster may go on with it.
fn ended_with(job: JobStatus, ending: &Ending) -> JobStatus {
    if job.is_over() {
        return job;
    }
    let failure = || Failure { cause: ending.reason.clone(), trace: String::new() };
    match ending.kind {
        EndKind::Failed => JobStatus { state: Some(JobState::Failed), failure: Some(failure()), ..job },
        _ if ending.keep_ha => JobStatus { state: Some(JobState::Suspended), ..job },
        _ => JobStatus { state: Some(JobState::Canceled), ..job },
    }
}

/// The jobs of a cluster that had one.
fn counted(state: JobState) -> Jobs {
    let none = Jobs::default();
    match state {
        JobState::Finished => Jobs { finished: 1, ..none },
        JobState::Failed => Jobs { failed: 1, ..none },
        JobState::Canceled => Jobs { canceled: 1, ..none },
        _ => none,
    }
}

/// How a job ended, in a line.
fn told(job: &JobStatus) -> String {
    let state = job.state.map(|state| state.to_string()).unwrap_or_default();
    let cause = job.failure.as_ref().map(|failure| format!(": {}", failure.cause)).unwrap_or_default();
    format!("job {} is {state}{cause}", job.id)
}
