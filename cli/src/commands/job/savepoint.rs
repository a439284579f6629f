//! `kobel job savepoint` and `kobel job stop`.

use std::{convert::Infallible, process::ExitCode, time::Duration};

use jiff::Timestamp;
use kobel_conf::Category;
use kobel_flink::rest::{JobState, SavepointKind};
use kobel_plan::{
    ClusterName, JobId,
    snapshot::{Note, Snapshot},
};
use kobel_session::{
    Cluster, Control,
    job::{self, SavepointRequest, Target},
};
use tokio::time::Instant;

use super::{ended_badly, session};
use crate::{
    args::{JobStopArgs, SavepointArgs},
    commands::wait::within,
    context::Ctx,
    failure::Failure,
    ui::{Progress, Signals},
};

/// Makes a savepoint of a job that goes on, and prints where it is.
pub(crate) async fn savepoint(ctx: &Ctx, args: SavepointArgs) -> Result<ExitCode, Failure> {
    let wish = Wish {
        job: args.job,
        cluster: args.cluster,
        kind: SavepointKind::GoOn,
        directory: args.directory,
        timeout: args.timeout,
    };
    make(ctx, wish).await
}

/// Stops a job with a savepoint, and prints where that is.
pub(crate) async fn stop(ctx: &Ctx, args: JobStopArgs) -> Result<ExitCode, Failure> {
    let wish = Wish {
        job: args.job,
        cluster: args.cluster,
        kind: SavepointKind::Stop { drain: args.drain },
        directory: args.savepoint,
        timeout: args.timeout,
    };
    make(ctx, wish).await
}

/// How often it is shown how far a savepoint is.
const NEWS: Duration = Duration::from_secs(5);

struct Wish {
    job: JobId,
    cluster: Option<ClusterName>,
    kind: SavepointKind,
    directory: Option<String>,
    timeout: Duration,
}

async fn make(ctx: &Ctx, wish: Wish) -> Result<ExitCode, Failure> {
    let directory = directory(wish.directory.as_deref())?;
    let (cluster, target) = session(&ctx.session()?, wish.cluster.as_ref()).await?;
    let progress = ctx.ui.progress();
    progress.now(format!("making a savepoint of job {}", wish.job));
    let mut signals = Signals::catch()?;
    let request = SavepointRequest {
        job: wish.job,
        wish: wish.kind.into(),
        directory: directory.as_deref(),
        within: wish.timeout,
    };
    let location = tokio::select! {
        made = job::savepoint(&target, request) => made?,
        never = tell(&target, wish.job, &progress) => match never {},
        caught = signals.next() => {
            drop(progress);
            ctx.ui.note(format_args!(
                "the savepoint goes on; look at it with: kobel job checkpoints {} --cluster {}",
                wish.job, cluster.name
            ));
            return Ok(caught.exit_code());
        }
    };
    // Whatever comes now, it is there.
    progress.aside(|| {
        ctx.ui.note(match wish.kind {
            SavepointKind::GoOn => format!("job {} goes on; its savepoint is", wish.job),
            SavepointKind::Stop { .. } | SavepointKind::Cancel => {
                format!("job {} stops; its savepoint is", wish.job)
            }
        });
        ctx.ui.line(&location);
    });
    note(&cluster, wish.job, location).await;
    if wish.kind != SavepointKind::GoOn {
        progress.now(format!("stopping job {}", wish.job));
        tokio::select! {
            stopped = stopped(&target, &cluster, wish.job, wish.timeout) => stopped?,
            caught = signals.next() => return Ok(caught.exit_code()),
        }
        drop(progress);
        ctx.ui.note(format_args!("job {} is stopped", wish.job));
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows how far a savepoint is that takes its time, for as long as it is asked.
async fn tell(target: &Target, job: JobId, progress: &Progress) -> Infallible {
    let began = Instant::now();
    loop {
        tokio::time::sleep(NEWS).await;
        let Ok(Some(list)) = target.rest.checkpoints(job).await else { continue };
        let under_way = list.history.iter().find(|one| one.is_savepoint && one.status == "IN_PROGRESS");
        if let Some(one) = under_way {
            let (done, all) = (one.num_acknowledged_subtasks, one.num_subtasks);
            let (megabytes, seconds) = (one.state_size.max(0) as f64 / 1e6, began.elapsed().as_secs());
            progress.now(format!(
                "making a savepoint of job {job}: {done} of {all} tasks are done, {megabytes:.1} MB, {seconds} s"
            ));
        }
    }
}

/// Lets the cluster's agent know of a savepoint.
pub(crate) async fn note(cluster: &Cluster, job: JobId, path: String) {
    let savepoint = Snapshot { at: Timestamp::now(), path };
    cluster.note(Note::Savepoint { job, savepoint }).await;
}

/// A directory for savepoints as Flink is to know it.
pub(crate) fn directory(given: Option<&str>) -> Result<Option<String>, Failure> {
    given
        .map(job::savepoint_directory)
        .transpose()
        .map_err(|e| Failure::new(Category::Environment, "cannot find the savepoint's directory").because(&e))
}

/// Waits for the end of a job whose savepoint is there: it is near. A cluster that ends with its job takes along
/// whoever knows of it.
pub(crate) async fn stopped(
    target: &Target,
    cluster: &Cluster,
    id: JobId,
    limit: Duration,
) -> Result<(), Failure> {
    let too_late = || {
        Failure::new(Category::Timeout, format!("job {id} has its savepoint and does not end"))
            .hint(format!("kobel job status {id} --cluster {}", cluster.name))
    };
    let following = async {
        let on_news = &mut |_| {};
        tokio::select! {
            ended = job::follow(target, id, None, on_news) => Ok(Some(ended?)),
            () = over(cluster) => Ok(None),
        }
    };
    let Some(ended) = within(Some(limit), following, too_late).await? else { return Ok(()) };
    match ended.state {
        JobState::Finished => Ok(()),
        JobState::Failed => Err(ended_badly(&ended, &cluster.name)),
        other => {
            Err(Failure::new(Category::FailedEnd, format!("job {id} ended otherwise than stopped: {other}")))
        }
    }
}

/// Waits for the end of the cluster; for ever, if its agent does not tell.
async fn over(cluster: &Cluster) {
    let told = match Control::open(&cluster.dir) {
        Ok(control) => control.wait_over().await,
        Err(error) => Err(error),
    };
    if let Err(error) = told {
        tracing::debug!(%error, "whether the cluster ends is not told");
        std::future::pending().await
    }
}
