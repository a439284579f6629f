//! `kobel stop`.

mod savepoints;

use std::{convert::Infallible, ops::ControlFlow, process::ExitCode, time::Duration};

use kobel_conf::Category;
use kobel_plan::{
    ClusterName, ClusterState, EventKind,
    api::{StopCause, StopRequest},
};
use kobel_session::{Cluster, launch, timeline::Timeline};
use tokio::time::timeout;

use super::{news, wait::within};
use crate::{
    args::StopArgs,
    context::Ctx,
    failure::Failure,
    ui::{Progress, Signals},
};

/// How long a cluster may take to end with its job: its processes are let go with 10 s of grace.
const WITH_ITS_JOB: Duration = Duration::from_secs(30);

/// Between two looks for an agent that goes.
const LOOK: Duration = Duration::from_millis(50);

/// Stops a cluster, and returns when it is gone.
pub(crate) async fn run(ctx: &Ctx, args: StopArgs) -> Result<ExitCode, Failure> {
    let grace = ctx.session()?.settings.stop_grace.value;
    let too_late = |limit: Duration| {
        Failure::new(Category::Timeout, format!("cluster {} is still stopping after {limit:?}", args.name))
            .hint(format!("kobel wait {} --for stopped", args.name))
    };
    let request = StopRequest::new(StopCause::Stop, grace).keeping_ha(args.keep_ha);
    let ending = async {
        if args.savepoint.is_some()
            && let Some(left) = jobs_first(ctx, &args).await?
        {
            return Ok(left);
        }
        end(ctx, &args.name, request).await
    };
    within(args.timeout, ending, || too_late(args.timeout.unwrap_or_default())).await
}

/// Stops the jobs with savepoints; tells the exit code of who does not want to wait for that.
async fn jobs_first(ctx: &Ctx, args: &StopArgs) -> Result<Option<ExitCode>, Failure> {
    let name = &args.name;
    let cluster = ctx.session()?.find(Some(name)).await?;
    let status = cluster.status().await?;
    if status.state.is_terminal() {
        return Ok(None);
    }
    let progress = ctx.ui.progress();
    let mut signals = Signals::catch()?;
    let stopping = async {
        let had_jobs = savepoints::ends_with_job(&status)
            || savepoints::stop_jobs(ctx, &cluster, args, &progress).await?;
        let over = had_jobs && status.job.is_some() && ends_by_itself(&cluster, &progress).await;
        Ok(over.then_some(ExitCode::SUCCESS))
    };
    tokio::select! {
        stopped = stopping => stopped,
        caught = signals.next() => {
            drop(progress);
            ctx.ui.note(format_args!(
                "the savepoints go on, and cluster {name} too; look at its jobs with: kobel job list --cluster {name}"
            ));
            Ok(Some(caught.exit_code()))
        }
    }
}

/// Waits for a cluster to end with its job, as that did: were it told to end, the job would be taken for canceled.
async fn ends_by_itself(cluster: &Cluster, progress: &Progress) -> bool {
    let over = async {
        let told = news::follow(cluster, |status| {
            progress.now(news::line(status));
            if status.state.is_terminal() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        told.await?;
        while cluster.agent_lives()? {
            tokio::time::sleep(LOOK).await;
        }
        Ok::<_, Failure>(())
    };
    let over = timeout(WITH_ITS_JOB, over).await;
    over.is_ok_and(|told| {
        told.inspect_err(|error| tracing::debug!(why = error.what(), "not followed")).is_ok()
    })
}

/// Ends a cluster, telling how it goes.
pub(super) async fn end(ctx: &Ctx, name: &ClusterName, request: StopRequest) -> Result<ExitCode, Failure> {
    let context = ctx.session()?;
    let cluster = context.find(Some(name)).await?;
    let before = cluster.status().await?.state;
    if before.is_terminal() && !cluster.agent_lives()? {
        ctx.ui.note(format_args!("cluster {name} is over already ({before})"));
        return Ok(ExitCode::SUCCESS);
    }
    let progress = ctx.ui.progress();
    let mut signals = Signals::catch()?;
    let status = tokio::select! {
        status = launch::end(&context.agent, &cluster, request) => status?,
        caught = signals.next() => {
            drop(progress);
            ctx.ui.note(format_args!("cluster {name} goes on stopping; watch it with: kobel wait {name} --for stopped"));
            return Ok(caught.exit_code());
        }
        never = tell(&cluster, &progress) => match never? {},
    };
    drop(progress);
    warn_of_what_is_left(ctx, &cluster);
    match (status.state, status.reason) {
        (ClusterState::Failed, Some(reason)) => ctx.ui.note(format_args!("cluster {name} is over: {reason}")),
        _ => ctx.ui.note(format_args!("cluster {name} is stopped")),
    }
    Ok(ExitCode::SUCCESS)
}

/// What high availability left although it was to leave nothing: somebody may have to remove it.
fn warn_of_what_is_left(ctx: &Ctx, cluster: &Cluster) {
    // That there is no timeline says nothing of what is left.
    let events = Timeline::of(&cluster.dir).added().unwrap_or_default();
    for event in events.into_iter().filter(|event| event.kind == EventKind::HaLeft) {
        ctx.ui.warn(event.message);
    }
}

/// Shows how the cluster goes down, for as long as it is asked.
async fn tell(cluster: &Cluster, progress: &Progress) -> Result<Infallible, Failure> {
    news::follow(cluster, |status| {
        if !status.state.is_terminal() {
            progress.now(news::line(status));
        }
        ControlFlow::Continue(())
    })
    .await
}
