//! `flink`, with the options and the lines of Flink's own (`CliFrontend`).

mod client;
mod goal;
mod jobs;
mod messages;
mod options;
mod run;
mod session;

use std::process::ExitCode;

use kobel_conf::Category;
use kobel_session::{FlinkChoice, prepare::find_flink};

use self::options::Action;
use crate::{args::VersionArgs, commands, context::Ctx, failure::Failure};

/// Runs one action of the `flink` command.
pub(super) async fn run(ctx: &Ctx, args: &[String]) -> Result<ExitCode, Failure> {
    let Some((name, rest)) = args.split_first() else {
        return Err(usage("Please specify an action.").hint("flink -h"));
    };
    if matches!(name.as_str(), "-h" | "--help") {
        Action::ALL.into_iter().for_each(|action| ctx.ui.line(messages::summary(action)));
        return Ok(ExitCode::SUCCESS);
    }
    if matches!(name.as_str(), "-v" | "--version") {
        return version(ctx).await;
    }
    let Some(action) = Action::named(name) else {
        let all = Action::ALL.map(Action::name).join(", ");
        let what = format!("\"{name}\" is not a valid action. Valid actions are: {all}");
        return Err(usage(what).hint("flink -h"));
    };
    let parsed = action.read(rest)?;
    if parsed.has("help") || parsed.has("yarnhelp") {
        ctx.ui.line(messages::help(action));
        return Ok(ExitCode::SUCCESS);
    }
    match action {
        Action::Run | Action::RunApplication => run::run(ctx, action, &parsed).await,
        Action::Info => run::info(ctx, &parsed).await,
        Action::List => jobs::list(ctx, &parsed).await,
        Action::Stop => jobs::stop(ctx, &parsed).await,
        Action::Cancel => jobs::cancel(ctx, &parsed).await,
        Action::Savepoint => jobs::savepoint(ctx, &parsed).await,
        Action::Checkpoint => jobs::checkpoint(ctx, &parsed).await,
    }
}

/// That of the Flink that would be used, as its own command says it; without one, kobel's.
async fn version(ctx: &Ctx) -> Result<ExitCode, Failure> {
    let Ok(flink) = find_flink(&ctx.session()?, &FlinkChoice::Default) else {
        return commands::version(ctx, VersionArgs::default()).await;
    };
    ctx.ui.line(format_args!("Version: {}, by kobel {}", flink.version, env!("CARGO_PKG_VERSION")));
    Ok(ExitCode::SUCCESS)
}

fn usage(what: impl Into<String>) -> Failure {
    Failure::new(Category::Usage, what)
}
