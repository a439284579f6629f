//! `kobel job savepoint` and `kobel job stop`.

use std::{process::ExitCode, time::Duration};

use kobel_conf::Category;
use kobel_flink::rest::{JobState, SavepointKind};
use kobel_plan::{ClusterName, JobId};
use kobel_session::job::{self, Target};

use super::{ended_badly, session, state_name};
use crate::{
    args::{JobStopArgs, SavepointArgs},
    commands::wait::within,
    context::Ctx,
    failure::Failure,
    ui::Signals,
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

struct Wish {
    job: JobId,
    cluster: Option<ClusterName>,
    kind: SavepointKind,
    directory: Option<String>,
    timeout: Duration,
}

async fn make(ctx: &Ctx, wish: Wish) -> Result<ExitCode, Failure> {
    let directory = wish.directory.as_deref().map(job::savepoint_directory).transpose().map_err(|e| {
        Failure::new(Category::Environment, "cannot find the savepoint's directory").because(&e)
    })?;
    let (cluster, target) = session(&ctx.session()?, wish.cluster.as_ref()).await?;
    let progress = ctx.ui.progress();
    progress.now(format!("making a savepoint of job {}", wish.job));
    let mut signals = Signals::catch()?;
    let work = async {
        let made = job::savepoint(&target.rest, wish.job, wish.kind, directory.as_deref(), wish.timeout);
        let location = made.await?;
        if wish.kind != SavepointKind::GoOn {
            progress.now(format!("stopping job {}", wish.job));
            stopped(&target, &cluster.name, &wish).await?;
        }
        Ok::<_, Failure>(location)
    };
    let location = tokio::select! {
        made = work => made?,
        caught = signals.next() => {
            drop(progress);
            ctx.ui.note(format_args!("the savepoint goes on; look at it with: kobel job checkpoints {}", wish.job));
            return Ok(caught.exit_code());
        }
    };
    drop(progress);
    match wish.kind {
        SavepointKind::GoOn => ctx.ui.note(format_args!("job {} goes on; its savepoint is", wish.job)),
        SavepointKind::Stop { .. } => {
            ctx.ui.note(format_args!("job {} is stopped; its savepoint is", wish.job))
        }
    }
    ctx.ui.line(location);
    Ok(ExitCode::SUCCESS)
}

/// Waits for the end of a job whose savepoint is there: it is near.
async fn stopped(target: &Target, cluster: &ClusterName, wish: &Wish) -> Result<(), Failure> {
    let too_late = || {
        Failure::new(Category::Timeout, format!("job {} has its savepoint and does not end", wish.job))
            .hint(format!("kobel job status {}", wish.job))
    };
    let following = async { Ok(job::follow(target, wish.job, None, &mut |_| {}).await?) };
    let ended = within(Some(wish.timeout), following, too_late).await?;
    match ended.state {
        JobState::Finished => Ok(()),
        JobState::Failed => Err(ended_badly(&ended, cluster)),
        other => Err(Failure::new(
            Category::FailedEnd,
            format!("job {} ended otherwise than stopped: {}", wish.job, state_name(other)),
        )),
    }
}
