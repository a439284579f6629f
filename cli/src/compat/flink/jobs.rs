//! `flink list`, `cancel`, `stop`, `savepoint` and `checkpoint`.

use std::{process::ExitCode, time::Duration};

use kobel_conf::Category;
use kobel_flink::rest::{CheckpointKind, JobState, SavepointFormat, SavepointKind, SavepointWish, TriggerId};
use kobel_plan::JobId;
use kobel_session::job::{self, CancelError, SavepointRequest, Target};

use super::{
    super::commons_cli::Parsed,
    messages::{self, Section},
    options::Action,
    session, usage,
};
use crate::{context::Ctx, failure::Failure};

/// How long a cancelled job may take to end.
const CANCEL_WITHIN: Duration = Duration::from_secs(60);
/// How long a savepoint or checkpoint may take.
const SAVEPOINT_WITHIN: Duration = Duration::from_secs(600);

/// `flink list`: by default all jobs that are not over, as with `-r -s`.
pub(super) async fn list(ctx: &Ctx, parsed: &Parsed) -> Result<ExitCode, Failure> {
    let target = session::of_jobs(ctx, Action::List, parsed).await?;
    ctx.ui.line(messages::WAITING);
    let mut jobs = job::list(&target.rest).await?;
    // As Flink has them, the oldest first.
    jobs.reverse();
    let (all, running, scheduled) = (parsed.has("all"), parsed.has("running"), parsed.has("scheduled"));
    let both = all || running == scheduled;
    let sections = [
        (both || running, Section::Running),
        (both || scheduled, Section::Scheduled),
        (all, Section::Terminated),
    ];
    for (_, section) in sections.into_iter().filter(|(shown, _)| *shown) {
        messages::section(&jobs, section).iter().for_each(|line| ctx.ui.line(line));
    }
    Ok(ExitCode::SUCCESS)
}

/// `flink cancel`. To cancel a job that is canceled is no error.
pub(super) async fn cancel(ctx: &Ctx, parsed: &Parsed) -> Result<ExitCode, Failure> {
    if parsed.has("withSavepoint") {
        return cancel_with_savepoint(ctx, parsed).await;
    }
    let id = job_id(Action::Cancel, parsed.rest.first().map(String::as_str))?;
    ctx.ui.line(format_args!("Cancelling job {id}."));
    let target = session::of_jobs(ctx, Action::Cancel, parsed).await?;
    match job::cancel(&target, id, CANCEL_WITHIN).await {
        Ok(_) | Err(CancelError::Over { state: JobState::Canceled, .. }) => {}
        Err(other) => return Err(other.into()),
    }
    ctx.ui.line(format_args!("Cancelled job {id}."));
    Ok(ExitCode::SUCCESS)
}

async fn cancel_with_savepoint(ctx: &Ctx, parsed: &Parsed) -> Result<ExitCode, Failure> {
    let (id, given) = job_and_directory(Action::Cancel, parsed, "withSavepoint")?;
    let format = format(parsed)?;
    ctx.ui.line("DEPRECATION WARNING: Cancelling a job with savepoint is deprecated. Use \"stop\" instead.");
    let place = given.as_deref().unwrap_or("default savepoint directory");
    let form = messages::form(format);
    ctx.ui.line(format_args!("Cancelling job {id} with {form} savepoint to {place}."));
    let target = session::of_jobs(ctx, Action::Cancel, parsed).await?;
    let location = savepoint_of(&target, id, SavepointKind::Cancel, format, given.as_deref()).await?;
    ended(&target, id, JobState::Canceled).await?;
    ctx.ui.line(format_args!("Cancelled job {id}. Savepoint stored in {location}."));
    Ok(ExitCode::SUCCESS)
}

/// `flink stop`: with a savepoint, always.
pub(super) async fn stop(ctx: &Ctx, parsed: &Parsed) -> Result<ExitCode, Failure> {
    let (id, given) = job_and_directory(Action::Stop, parsed, "savepointPath")?;
    let (format, drain) = (format(parsed)?, parsed.has("drain"));
    let verb = if drain { "Draining" } else { "Suspending" };
    ctx.ui.line(format_args!("{verb} job \"{id}\" with a {} savepoint.", messages::form(format)));
    let target = session::of_jobs(ctx, Action::Stop, parsed).await?;
    let kind = SavepointKind::Stop { drain };
    if parsed.has("detached") {
        ctx.ui.line(format_args!("Triggering stop-with-savepoint in detached mode for job {id}."));
        let trigger = trigger(&target, id, kind, format, given.as_deref()).await?;
        ctx.ui.line(format_args!(
            "Successfully trigger stop-with-savepoint in detached mode, triggerId: {trigger}"
        ));
        return Ok(ExitCode::SUCCESS);
    }
    ctx.ui.line(format_args!("Triggering stop-with-savepoint for job {id}."));
    ctx.ui.line(messages::WAITING);
    let location = savepoint_of(&target, id, kind, format, given.as_deref()).await?;
    ended(&target, id, JobState::Finished).await?;
    ctx.ui.line(format_args!("Savepoint completed. Path: {location}"));
    Ok(ExitCode::SUCCESS)
}

/// `flink savepoint`: makes one, or disposes of one.
pub(super) async fn savepoint(ctx: &Ctx, parsed: &Parsed) -> Result<ExitCode, Failure> {
    if let Some(path) = parsed.value("dispose") {
        return dispose(ctx, parsed, path).await;
    }
    let id = job_id(Action::Savepoint, parsed.rest.first().map(String::as_str))?;
    let given = directory(parsed.rest.get(1))?;
    let format = format(parsed)?;
    let target = session::of_jobs(ctx, Action::Savepoint, parsed).await?;
    if parsed.has("detached") {
        ctx.ui.line(format_args!("Triggering savepoint in detached mode for job {id}."));
        let trigger = trigger(&target, id, SavepointKind::GoOn, format, given.as_deref()).await?;
        ctx.ui.line(format_args!("Successfully trigger manual savepoint, triggerId: {trigger}"));
        return Ok(ExitCode::SUCCESS);
    }
    ctx.ui.line(format_args!("Triggering savepoint for job {id}."));
    ctx.ui.line(messages::WAITING);
    let location = savepoint_of(&target, id, SavepointKind::GoOn, format, given.as_deref()).await?;
    ctx.ui.line(format_args!("Savepoint completed. Path: {location}"));
    ctx.ui.line("You can resume your program from this savepoint with the run command.");
    Ok(ExitCode::SUCCESS)
}

async fn dispose(ctx: &Ctx, parsed: &Parsed, path: &str) -> Result<ExitCode, Failure> {
    let target = session::of_jobs(ctx, Action::Savepoint, parsed).await?;
    ctx.ui.line(format_args!("Disposing savepoint '{path}'."));
    ctx.ui.line(messages::WAITING);
    job::dispose(&target.rest, path, SAVEPOINT_WITHIN).await?;
    ctx.ui.line(format_args!("Savepoint '{path}' disposed."));
    Ok(ExitCode::SUCCESS)
}

/// `flink checkpoint`.
pub(super) async fn checkpoint(ctx: &Ctx, parsed: &Parsed) -> Result<ExitCode, Failure> {
    let id = job_id(Action::Checkpoint, parsed.rest.first().map(String::as_str))?;
    let kind = if parsed.has("full") { CheckpointKind::Full } else { CheckpointKind::Configured };
    let target = session::of_jobs(ctx, Action::Checkpoint, parsed).await?;
    ctx.ui.line(format_args!("Triggering checkpoint for job {id}."));
    ctx.ui.line(messages::WAITING);
    let number = job::checkpoint(&target.rest, id, kind, SAVEPOINT_WITHIN).await?;
    let kind = if parsed.has("full") { "(FULL)" } else { "" };
    ctx.ui.line(format_args!("Checkpoint{kind} {number} for job {id} completed."));
    ctx.ui.line("You can resume your program from this checkpoint with the run command.");
    Ok(ExitCode::SUCCESS)
}

async fn savepoint_of(
    target: &Target,
    id: JobId,
    kind: SavepointKind,
    format: Option<SavepointFormat>,
    directory: Option<&str>,
) -> Result<String, Failure> {
    let wish = SavepointWish { kind, format };
    let request = SavepointRequest { job: id, wish, directory, within: SAVEPOINT_WITHIN };
    Ok(job::savepoint(target, request).await?)
}

async fn trigger(
    target: &Target,
    id: JobId,
    kind: SavepointKind,
    format: Option<SavepointFormat>,
    directory: Option<&str>,
) -> Result<TriggerId, Failure> {
    let wish = SavepointWish { kind, format };
    Ok(job::trigger_savepoint(&target.rest, id, wish, directory).await?)
}

/// Waits for the end of a job whose savepoint is there.
async fn ended(target: &Target, id: JobId, wanted: JobState) -> Result<(), Failure> {
    let late = || Failure::new(Category::Timeout, format!("job {id} has its savepoint and does not end"));
    let mut unheard = |_| {};
    let following = job::follow(target, id, None, &mut unheard);
    let ended = tokio::time::timeout(SAVEPOINT_WITHIN, following).await.map_err(|_| late())??;
    if ended.state == wanted {
        return Ok(());
    }
    let state = messages::state(ended.state);
    Err(Failure::new(Category::FailedEnd, format!("job {id} has its savepoint, and ended as {state}")))
}

/// The job, and where its savepoint goes by the option of this key. That option may be given without a directory, and
/// then has taken the job's id for one.
fn job_and_directory(action: Action, parsed: &Parsed, key: &str) -> Result<(JobId, Option<String>), Failure> {
    match (parsed.rest.first(), parsed.value(key)) {
        (None, taken) => Ok((job_id(action, taken)?, None)),
        (Some(id), given) => Ok((job_id(action, Some(id))?, directory(given)?)),
    }
}

/// A job's id, as Flink asks for it.
fn job_id(action: Action, given: Option<&str>) -> Result<JobId, Failure> {
    let Some(text) = given else {
        return Err(usage(messages::missing_job(action)).hint(messages::help_of(action)));
    };
    text.parse().map_err(|_| {
        let what = format!("Cannot parse JobID from \"{text}\". The expected format is [0-9a-fA-F]{{32}}, e.g. fd72014d4c864993a2e5a9287b4a9c5d.");
        usage(what).hint("flink list")
    })
}

/// A directory without a scheme is one of the machine on which the person is.
fn directory(given: Option<impl AsRef<str>>) -> Result<Option<String>, Failure> {
    given
        .map(|given| job::savepoint_directory(given.as_ref()))
        .transpose()
        .map_err(|e| Failure::new(Category::Environment, "cannot find the savepoint's directory").because(&e))
}

fn format(parsed: &Parsed) -> Result<Option<SavepointFormat>, Failure> {
    match parsed.value("type").map(str::to_ascii_lowercase).as_deref() {
        None => Ok(None),
        Some("canonical") => Ok(Some(SavepointFormat::Canonical)),
        Some("native") => Ok(Some(SavepointFormat::Native)),
        Some(other) => Err(usage(format!("-type {other}: a savepoint's type is canonical or native"))),
    }
}
