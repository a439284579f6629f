//! `kobel job list` and `kobel job cancel`, and what all verbs on jobs share.

mod facts;
mod savepoint;

pub(crate) use facts::{checkpoints, exceptions, status};
pub(crate) use savepoint::{directory, note, savepoint, stop, stopped};

use std::process::ExitCode;

use kobel_conf::Category;
use kobel_flink::rest::{JobState, JobSummary};
use kobel_plan::ClusterName;
use kobel_session::{
    Cluster, Context,
    job::{self, JobEnded, Target},
};

use crate::{
    args::{CancelArgs, JobListArgs},
    context::Ctx,
    failure::Failure,
    render::{JobRow, Jobs, print},
    ui::Signals,
};

/// The session that is named, or the newest one, and the way to its jobs.
pub(crate) async fn session(
    context: &Context,
    name: Option<&ClusterName>,
) -> Result<(Cluster, Target), Failure> {
    let cluster = context.find(name).await?;
    let target = Target::of(&cluster.status().await?)?;
    target.wait_for_leader().await?;
    Ok((cluster, target))
}

/// Lists a session's jobs.
pub(crate) async fn list(ctx: &Ctx, args: JobListArgs) -> Result<ExitCode, Failure> {
    let (_, target) = session(&ctx.session()?, args.cluster.as_ref()).await?;
    let list = job::list(&target.rest).await?.into_iter().map(row).collect();
    print(&ctx.ui, &Jobs { list }, args.output.format)?;
    Ok(ExitCode::SUCCESS)
}

/// Cancels a job, and waits for its end.
pub(crate) async fn cancel(ctx: &Ctx, args: CancelArgs) -> Result<ExitCode, Failure> {
    let (_, target) = session(&ctx.session()?, args.cluster.as_ref()).await?;
    let progress = ctx.ui.progress();
    progress.now(format!("canceling job {}", args.job));
    let mut signals = Signals::catch()?;
    let state = tokio::select! {
        state = job::cancel(&target, args.job, args.timeout) => state?,
        caught = signals.next() => return Ok(caught.exit_code()),
    };
    drop(progress);
    ctx.ui.note(match state {
        JobState::Canceled => format!("canceled job {}", args.job),
        other => format!("job {} was {other} before it could be canceled", args.job),
    });
    Ok(ExitCode::SUCCESS)
}

/// A job that ended, but did not finish.
pub(super) fn ended_badly(ended: &JobEnded, cluster: &ClusterName) -> Failure {
    let job = ended.job;
    let what = match ended.state {
        JobState::Canceled => format!("job {job} was canceled"),
        _ => format!("job {job} failed"),
    };
    let failure = Failure::new(Category::FailedEnd, what);
    match &ended.failure {
        Some(why) => because(failure, why).trace(why.trace.clone()).hint(format!("kobel logs {cluster}")),
        None => failure,
    }
}

/// What Flink says first, and what it all began with.
fn because(failure: Failure, why: &kobel_flink::rest::Failure) -> Failure {
    let failure = failure.why(why.cause.clone());
    let root = why.trace.lines().filter_map(|line| line.strip_prefix("Caused by: ")).next_back();
    match root.filter(|root| !root.contains(&why.cause)) {
        Some(root) => failure.why(root),
        None => failure,
    }
}

/// A job as it is listed.
pub(super) fn row(job: JobSummary) -> JobRow {
    let time = |millis: i64| (millis > 0).then(|| jiff::Timestamp::from_millisecond(millis).ok()).flatten();
    JobRow {
        id: job.jid,
        name: job.name,
        state: job.state.to_string(),
        started_at: time(job.start_time),
        ended_at: time(job.end_time),
        duration_ms: job.duration,
        tasks: job.tasks.total(),
        tasks_running: job.tasks.running,
        tasks_finished: job.tasks.finished,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_job_is_told_with_what_it_began_with() {
        let why = |cause: &str, trace: &str| {
            let failure = kobel_flink::rest::Failure { cause: cause.into(), trace: trace.into() };
            let told = because(Failure::new(Category::FailedEnd, "job 1 failed"), &failure).render(false);
            anstream::adapter::strip_str(&told).to_string()
        };
        let trace = "x.JobException: a\n\tat x.Y\nCaused by: x.Z: b\nCaused by: java.io.IOException: no disk\n\tat z\n";
        assert_eq!(why("b", trace), "error: job 1 failed\n  why:  b: java.io.IOException: no disk");
        assert_eq!(why("no disk", trace), "error: job 1 failed\n  why:  no disk");
        assert_eq!(why("a", "x.JobException: a"), "error: job 1 failed\n  why:  a");
    }
}
