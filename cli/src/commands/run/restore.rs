//! What a run starts from.

use kobel_plan::snapshot::Program;
use kobel_session::job::{self, JarFile, Latest, LatestError, Target};

use crate::{
    args::{RestoreFrom, RunArgs},
    context::Ctx,
    failure::Failure,
};

/// The program, as far as it tells programs apart. Fails on what is no jar that can be run.
pub(crate) fn program(args: &RunArgs) -> Result<Program, Failure> {
    let (jar, _) = args.jar_and_args();
    let file = JarFile::check(jar.as_ref(), args.class.as_deref())?;
    let name = file.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Program { class: args.class.clone().or(file.main_class).unwrap_or_default(), jar: name })
}

/// The savepoint or checkpoint to start from, if there is to be one; what `--from latest` comes to is told.
/// `target` is where the job goes, if that is there already.
pub(crate) async fn restored(
    ctx: &Ctx,
    args: &RunArgs,
    program: &Program,
    target: Option<&Target>,
) -> Result<Option<String>, Failure> {
    let Some(RestoreFrom::Latest) = args.from else { return Ok(args.from_savepoint.clone()) };
    let latest = job::latest(&ctx.session()?.registry(), args.cluster.as_ref(), &program.class).await;
    let latest = latest.map_err(|error| {
        if let LatestError::Ambiguous { candidates, .. } = &error {
            candidates.iter().for_each(|one| ctx.ui.note(described(one)));
        }
        Failure::from(error)
    })?;
    ctx.ui.note(format_args!("starting from the {}", described(&latest)));
    if !latest.seen {
        ctx.ui.note("  only Flink can tell whether it is still there");
    }
    if let Some(target) = target
        && target.rest.job_state(latest.job).await.is_ok_and(|state| !state.is_terminal())
    {
        ctx.ui.warn(format_args!("job {} goes on beside the one that starts from it", latest.job));
    }
    Ok(Some(latest.path))
}

/// One line: what, when, of what, where.
fn described(latest: &Latest) -> String {
    let Latest { path, is_savepoint, at, job, name, cluster, .. } = latest;
    let what = if *is_savepoint { "savepoint" } else { "checkpoint" };
    let name = name.as_deref().map(|name| format!(" {name:?}")).unwrap_or_default();
    format!("{what} of {at:.0}, job {job}{name} of cluster {cluster}: {path}")
}
