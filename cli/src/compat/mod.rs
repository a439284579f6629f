//! Flink's own commands, under their own names: `scripts/flink`, `start-cluster.sh` and their kin each
//! run `kobel compat NAME ARGS…`. Their grammar is commons-cli's, their exit codes are Flink's 0 and 1.

mod commons_cli;
mod daemons;
mod flink;
mod yarn_options;
mod yarn_properties;
mod yarn_session;

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use kobel_conf::Category;

use crate::{context::Ctx, failure::Failure};

/// Carries out one of Flink's own commands.
#[derive(Debug, Clone, Args)]
pub(crate) struct CompatArgs {
    /// The command's name, and its own arguments, untouched.
    #[arg(required = true, num_args = 1.., trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

/// The commands there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    Flink,
    StartCluster,
    StopCluster,
    Jobmanager,
    Taskmanager,
    YarnSession,
}

/// Runs the command. Whatever goes wrong is Flink's exit code 1, except an interruption.
pub(crate) async fn run(ctx: &Ctx, args: CompatArgs) -> Result<ExitCode, Failure> {
    let done = match args.command.split_first() {
        Some((name, rest)) => dispatch(ctx, name, rest).await,
        None => Err(Failure::new(Category::Usage, "no command is named")),
    };
    done.or_else(|failure| {
        ctx.ui.failure(&failure);
        Ok(ExitCode::FAILURE)
    })
}

async fn dispatch(ctx: &Ctx, name: &str, args: &[String]) -> Result<ExitCode, Failure> {
    let known = Name::from_str(name, false).map_err(|_| {
        Failure::new(Category::Usage, format!("{name} is none of Flink's commands that kobel knows"))
    })?;
    match known {
        Name::Flink => flink::run(ctx, args).await,
        Name::StartCluster => daemons::start_cluster(ctx, args).await,
        Name::StopCluster => daemons::stop_cluster(ctx, args).await,
        Name::Jobmanager => daemons::job_manager(ctx, args).await,
        Name::Taskmanager => daemons::task_manager(ctx, args).await,
        Name::YarnSession => yarn_session::run(ctx, args).await,
    }
}
