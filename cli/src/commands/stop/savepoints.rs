//! Stopping every job of a cluster with a savepoint, before the cluster itself.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use kobel_conf::Category;
use kobel_flink::rest::{JobSummary, SavepointKind};
use kobel_plan::{JobId, JobStatus, Status};
use kobel_session::{
    Cluster,
    job::{self, SavepointError, SavepointRequest, Target},
};

use crate::{
    args::StopArgs,
    commands::job::{directory, note, stopped},
    context::Ctx,
    failure::Failure,
    ui::Progress,
};

/// How long a job's savepoint may take, where nothing else was said.
const WITHIN: Duration = Duration::from_secs(600);
/// Jobs that are stopped at once: each writes its state to the same storage.
const AT_ONCE: usize = 8;

/// Stops all jobs that have not ended, each with a savepoint, and prints a line with id and savepoint of each. Fails if
/// one of them could not be stopped so: then the cluster is to go on, with that job in it. Tells whether there were any.
pub(super) async fn stop_jobs(
    ctx: &Ctx,
    cluster: &Cluster,
    args: &StopArgs,
    progress: &Progress,
) -> Result<bool, Failure> {
    let target = Target::of(&cluster.status().await?)?;
    target.wait_for_leader().await?;
    let given = args.savepoint.as_ref().and_then(Option::as_deref);
    let directory = directory(given)?;
    let within = args.timeout.unwrap_or(WITHIN);
    let stopping = Stopping { ctx, cluster, target: &target, directory, drain: args.drain, within, progress };
    let mut had_jobs = false;
    loop {
        let mut jobs = match job::list(&target.rest).await {
            // Its only job was stopped, and it went along.
            Err(_) if cluster.status().await.is_ok_and(|status| ends_with_job(&status)) => {
                return Ok(true);
            }
            listed => listed?,
        };
        had_jobs |= !jobs.is_empty();
        jobs.retain(|job| !job.state.is_terminal());
        if jobs.is_empty() {
            return Ok(had_jobs);
        }
        // Those that are submitted meanwhile are found by the next look.
        stopping.all(jobs).await?;
    }
}

/// Whether this cluster was there for one job, and that is over.
pub(super) fn ends_with_job(status: &Status) -> bool {
    status.job.as_ref().is_some_and(JobStatus::is_over)
}

struct Stopping<'a> {
    ctx: &'a Ctx,
    cluster: &'a Cluster,
    target: &'a Target,
    directory: Option<String>,
    drain: bool,
    within: Duration,
    progress: &'a Progress,
}

impl Stopping<'_> {
    async fn all(&self, jobs: Vec<JobSummary>) -> Result<(), Failure> {
        let count = jobs.len();
        self.progress
            .now(format!("stopping {count} job{} with a savepoint", if count == 1 { "" } else { "s" }));
        let stops = jobs.into_iter().map(|job| async move { (job.jid, self.one(job.jid).await) });
        let ended: Vec<_> = stream::iter(stops).buffered(AT_ONCE).collect().await;
        let failed = ended.into_iter().filter_map(|(job, end)| Some((job, end.err()?))).collect();
        self.goes_on(failed, count).map_or(Ok(()), Err)
    }

    /// Stops one job, and tells its savepoint as soon as that is there.
    async fn one(&self, job: JobId) -> Result<(), Failure> {
        let kind = SavepointKind::Stop { drain: self.drain };
        let directory = self.directory.as_deref();
        let request = SavepointRequest { job, wish: kind.into(), directory, within: self.within };
        match job::savepoint(self.target, request).await {
            Ok(location) => {
                self.progress.aside(|| self.ctx.ui.line(format_args!("{job} {location}")));
                note(self.cluster, job, location).await;
            }
            // It has nothing more to lose.
            Err(SavepointError::Over { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        stopped(self.target, self.cluster, job, self.within).await
    }

    /// What is told of a cluster that is not to be stopped, for these jobs could not.
    fn goes_on(&self, failed: Vec<(JobId, Failure)>, count: usize) -> Option<Failure> {
        let name = &self.cluster.name;
        let what = match count {
            1 => format!("cluster {name} goes on: its job could not be stopped"),
            _ => format!("cluster {name} goes on: {} of its {count} jobs could not be stopped", failed.len()),
        };
        let mut failed = failed.into_iter();
        let (_, first) = failed.next()?;
        self.progress.aside(|| {
            failed.for_each(|(job, failure)| self.ctx.ui.warn(format_args!("job {job}: {}", failure.what())));
        });
        let hint = match first.category() {
            Category::Environment => format!("kobel stop {name} --savepoint DIR"),
            _ => format!("kobel job list --cluster {name}"),
        };
        Some(first.explaining(what).hint(hint))
    }
}
