//! `kobel job status`, `job exceptions` and `job checkpoints`: what Flink knows of one job.

use std::{process::ExitCode, time::Duration};

use jiff::Timestamp;
use kobel_conf::Category;
use kobel_flink::{
    FlinkRest, RestError,
    rest::{Checkpoint, JobException, JobState},
};
use kobel_plan::JobId;

use super::session;
use crate::{
    args::JobFactArgs,
    context::Ctx,
    failure::Failure,
    render::{CheckpointRow, Checkpoints, ExceptionRow, Exceptions, JobStatus, VertexRow, print},
};

/// Somewhat longer than Flink keeps an answer: `web.refresh-interval`, 3 s.
const STALE: Duration = Duration::from_secs(4);
/// Between two looks at an answer that is too old.
const AGAIN: Duration = Duration::from_millis(200);

/// Shows one job with its operators.
pub(crate) async fn status(ctx: &Ctx, args: JobFactArgs) -> Result<ExitCode, Failure> {
    let rest = rest(ctx, &args).await?;
    // The details are from a cache of Flink's, the state is of this moment.
    let state = rest.job_state(args.job).await.map_err(|e| unknown(args.job, e))?;
    let details = rest.job(args.job).await.map_err(|e| unknown(args.job, e))?;
    let vertices = details.vertices.iter().map(|vertex| VertexRow {
        name: vertex.name.clone(),
        parallelism: vertex.parallelism,
        tasks: vertex.tasks.total(),
        tasks_running: vertex.tasks.running,
        tasks_finished: vertex.tasks.finished,
        tasks_failed: vertex.tasks.failed,
    });
    let view = JobStatus {
        id: details.jid,
        name: details.name.clone(),
        state: state.to_string(),
        started_at: time(details.start_time),
        ended_at: time(details.end_time),
        duration_ms: details.duration,
        vertices: vertices.collect(),
    };
    print(&ctx.ui, &view, args.output.format)?;
    Ok(ExitCode::SUCCESS)
}

/// Shows what failed a job, what it began with first.
pub(crate) async fn exceptions(ctx: &Ctx, args: JobFactArgs) -> Result<ExitCode, Failure> {
    let rest = rest(ctx, &args).await?;
    let found = fresh_exceptions(&rest, args.job).await.map_err(|e| unknown(args.job, e))?;
    if found.is_empty() {
        ctx.ui.note(format_args!("job {} has had no exceptions", args.job));
    }
    let list = found.into_iter().map(exception).collect();
    print(&ctx.ui, &Exceptions { list, traces: ctx.ui.verbose > 0 }, args.output.format)?;
    Ok(ExitCode::SUCCESS)
}

/// Flink answers from a cache, in which a job that has just failed has not: then it is asked again.
async fn fresh_exceptions(rest: &FlinkRest, job: JobId) -> Result<Vec<JobException>, RestError> {
    let deadline = tokio::time::Instant::now() + STALE;
    loop {
        let found = rest.job_exceptions(job).await?;
        let failed = matches!(rest.job_state(job).await?, JobState::Failed | JobState::Failing);
        if !found.is_empty() || !failed || tokio::time::Instant::now() >= deadline {
            return Ok(found);
        }
        tokio::time::sleep(AGAIN).await;
    }
}

fn exception(found: JobException) -> ExceptionRow {
    ExceptionRow {
        at: time(found.timestamp),
        root_cause: found.root_cause().to_string(),
        task: found.task_name,
        task_manager: found.task_manager_id,
        trace: found.stacktrace,
    }
}

/// Lists a job's checkpoints and savepoints.
pub(crate) async fn checkpoints(ctx: &Ctx, args: JobFactArgs) -> Result<ExitCode, Failure> {
    let rest = rest(ctx, &args).await?;
    rest.job_state(args.job).await.map_err(|e| unknown(args.job, e))?;
    let found = rest.checkpoints(args.job).await.map_err(|e| unknown(args.job, e))?.unwrap_or_default();
    if found.history.is_empty() {
        ctx.ui.note(format_args!("job {} has made no checkpoints", args.job));
    }
    let history = found.history.into_iter().map(checkpoint).collect();
    print(&ctx.ui, &Checkpoints { counts: found.counts, history }, args.output.format)?;
    Ok(ExitCode::SUCCESS)
}

fn checkpoint(found: Checkpoint) -> CheckpointRow {
    CheckpointRow {
        id: found.id,
        kind: if found.is_savepoint { "savepoint" } else { "checkpoint" },
        state: found.status,
        triggered_at: time(found.trigger_timestamp),
        duration_ms: found.end_to_end_duration,
        size_bytes: found.state_size,
        path: found.external_path.filter(|path| !path.starts_with('<')),
        failure: found.failure_message,
    }
}

async fn rest(ctx: &Ctx, args: &JobFactArgs) -> Result<FlinkRest, Failure> {
    Ok(session(&ctx.session()?, args.cluster.as_ref()).await?.1.rest)
}

/// A time of Flink's; -1 and 0 are none.
fn time(millis: i64) -> Option<Timestamp> {
    (millis > 0).then(|| Timestamp::from_millisecond(millis).ok()).flatten()
}

fn unknown(job: JobId, error: RestError) -> Failure {
    match error {
        RestError::NotFound { cause, .. } => {
            Failure::new(Category::NotFound, format!("the cluster does not know job {job}"))
                .why(cause)
                .hint("kobel job list")
        }
        other => other.into(),
    }
}
