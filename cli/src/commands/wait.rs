//! `kobel wait`.

use std::{ops::ControlFlow, process::ExitCode, time::Duration};

use kobel_conf::Category;
use kobel_flink::rest::JobState;
use kobel_plan::{ClusterState, JobId, Status};
use kobel_session::{
    Cluster,
    job::{self, JobEnded, Target},
    logs,
};

use super::{job::ended_badly, news};
use crate::{
    args::{Condition, WaitArgs},
    context::Ctx,
    failure::Failure,
    ui::{Progress, Signals},
};

/// Waits until the condition holds, cannot hold any more, or the time is over.
pub(crate) async fn run(ctx: &Ctx, args: WaitArgs) -> Result<ExitCode, Failure> {
    let cluster = ctx.session()?.find(Some(&args.name)).await?;
    let progress = ctx.ui.progress();
    let mut signals = Signals::catch()?;
    let waiting = async {
        match args.condition {
            Condition::Ready => until(&cluster, ClusterState::Ready, &progress).await,
            Condition::Stopped => until(&cluster, ClusterState::Stopped, &progress).await,
            Condition::JobFinished(job) => finished(&cluster, job, &progress).await,
        }
    };
    tokio::select! {
        done = within(args.timeout, waiting, || too_late(&args)) => done.map(|()| ExitCode::SUCCESS),
        caught = signals.next() => Ok(caught.exit_code()),
    }
}

/// The outcome of the work, or what is told when it takes longer than allowed.
pub(super) async fn within<T>(
    limit: Option<Duration>,
    work: impl Future<Output = Result<T, Failure>>,
    too_late: impl FnOnce() -> Failure,
) -> Result<T, Failure> {
    match limit {
        Some(limit) => tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(too_late())),
        None => work.await,
    }
}

fn too_late(args: &WaitArgs) -> Failure {
    let after = args.timeout.unwrap_or_default().as_secs_f32();
    Failure::new(Category::Timeout, format!("still waiting for cluster {} after {after} s", args.name))
        .hint(format!("kobel status {}", args.name))
}

/// Waits until the cluster is in this state.
pub(super) async fn until(cluster: &Cluster, goal: ClusterState, progress: &Progress) -> Result<(), Failure> {
    news::follow(cluster, |status| {
        progress.now(news::line(status));
        verdict(goal, status).map_or(ControlFlow::Continue(()), ControlFlow::Break)
    })
    .await?
}

/// Whether the goal is reached, or never will be.
fn verdict(goal: ClusterState, status: &Status) -> Option<Result<(), Failure>> {
    if status.state == goal {
        return Some(Ok(()));
    }
    let over = status.state.is_terminal() || news::is_abandoned(status);
    over.then(|| Err(failed_end(status)))
}

/// A cluster that is over, or abandoned, though something else was wanted of it.
pub(crate) fn failed_end(status: &Status) -> Failure {
    let name = &status.name;
    let failed = status.state == ClusterState::Failed;
    let log = failed.then(|| logs::explaining(&status.log_dir, status.reason.as_deref())).flatten();
    let (what, hint) = match status.state {
        ClusterState::Failed => (format!("cluster {name} failed"), format!("kobel logs {name} --all")),
        ClusterState::Stopped => (format!("cluster {name} was stopped"), format!("kobel start {name}")),
        _ => (format!("cluster {name} has no agent any more"), format!("kobel stop {name}")),
    };
    let failure = Failure::new(Category::FailedEnd, what).hint(hint).log_tail(log);
    match &status.reason {
        Some(reason) => failure.why(reason),
        None => failure,
    }
}

async fn finished(cluster: &Cluster, id: JobId, progress: &Progress) -> Result<(), Failure> {
    let status = cluster.status().await?;
    if status.job.as_ref().is_some_and(|own| own.id == id) {
        return well(own_job(cluster, progress).await?, cluster);
    }
    let target = Target::of(&status)?;
    let ended = job::follow(&target, id, None, &mut |news| {
        if let job::News::Progress(now) = news {
            progress.now(format!("job {id} {}", now.state));
        }
    })
    .await?;
    well(ended, cluster)
}

fn well(ended: JobEnded, cluster: &Cluster) -> Result<(), Failure> {
    if ended.state == JobState::Finished { Ok(()) } else { Err(ended_badly(&ended, &cluster.name)) }
}

/// The end of the job that has the cluster for itself: its agent tells, and the record of one that is over.
async fn own_job(cluster: &Cluster, progress: &Progress) -> Result<JobEnded, Failure> {
    news::follow(cluster, |status| {
        if let Some(ended) = status.job.as_ref().and_then(JobEnded::of) {
            return ControlFlow::Break(Ok(ended));
        }
        if status.state.is_terminal() || news::is_abandoned(status) {
            return ControlFlow::Break(Err(failed_end(status)));
        }
        progress.now(news::line(status));
        ControlFlow::Continue(())
    })
    .await?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::status::tests::ready;

    fn told(goal: ClusterState, state: ClusterState, agent: bool) -> Option<bool> {
        let mut status = Status { state, log_dir: "/nowhere".into(), ..ready() };
        if !agent {
            status.agent = None;
        }
        verdict(goal, &status).map(|verdict| verdict.is_ok())
    }

    #[test]
    fn waiting_ends_when_the_goal_is_reached_or_never_will_be() {
        use ClusterState::*;
        for goal in [Ready, Stopped] {
            assert_eq!(told(goal, goal, true), Some(true));
            assert_eq!(told(goal, Starting, true), None);
            assert_eq!(told(goal, Degraded, true), None);
            assert_eq!(told(goal, Degraded, false), Some(false), "nobody is left to bring it about");
            assert_eq!(told(goal, Failed, false), Some(false));
        }
        assert_eq!(told(Ready, Stopped, false), Some(false));
        assert_eq!(told(Stopped, Ready, true), None);
    }
}
