//! One file a verb.

mod attach;
mod completions;
mod config;
mod describe;
mod doctor;
mod events;
mod exec;
mod failover;
mod flink;
mod gc;
mod growing;
mod job;
mod kill;
mod logs;
mod news;
mod ps;
mod queue;
mod restart;
mod rm;
mod run;
mod scale;
mod start;
mod status;
mod stop;
mod version;
mod wait;

use std::{ffi::OsString, process::ExitCode};

use clap::{
    Parser,
    error::{ContextKind, ContextValue},
};
use kobel_conf::Category;
use tracing::level_filters::LevelFilter;

use crate::{
    args::{Cli, Command, ConfigCommand, FlinkCommand, JobCommand, escaped},
    compat,
    context::Ctx,
    failure::Failure,
    ui::Ui,
};

// What Flink's own commands, in `compat`, are made of.
pub(crate) use job::session;
pub(crate) use news::follow;
pub(crate) use queue::look as capacity;
pub(crate) use run::run as run_job;
pub(crate) use start::{spec as cluster_spec, start as start_cluster};
pub(crate) use stop::run as stop_cluster;
pub(crate) use version::run as version;
pub(crate) use wait::failed_end;

/// Reads the command line. What is wrong with it, or the help that was asked for, is printed, and the
/// exit code told.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, ExitCode> {
    let args: Vec<_> = args.into_iter().collect();
    // Clap would refuse it too, but without telling which one.
    if let Some(bad) = args.iter().find(|arg| arg.to_str().is_none()) {
        let failure = Failure::new(Category::Usage, format!("argument '{}' is not UTF-8", escaped(bad)));
        Ui::default().failure(&failure);
        return Err(failure.exit_code());
    }
    Cli::try_parse_from(args).map_err(|error| {
        let error = without_secrets(error);
        // Nobody is left to be told that the stream is closed.
        let _ = error.print();
        ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1))
    })
}

/// Clap shows the value that it refuses; that of a `-D` may be a password.
fn without_secrets(mut error: clap::Error) -> clap::Error {
    if let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue)
        && let Some(ContextValue::String(arg)) = error.get(ContextKind::InvalidArg)
        && arg.starts_with("-D")
        && let Some((key, _)) = value.split_once('=')
    {
        let shown = ContextValue::String(format!("{key}=…"));
        error.insert(ContextKind::InvalidValue, shown);
    }
    error
}

/// Runs the command to its end.
pub(crate) fn run(cli: Cli) -> ExitCode {
    let ctx = Ctx::new(&cli.global);
    let result = match cli.command {
        Command::Agent(args) => return kobel_agent::run(args.dir),
        Command::Am => return kobel_agent::run_master(),
        Command::Exec(args) => return exec::run(&args),
        command => log_to_stderr(cli.global.verbose, || on_runtime(&ctx, command)),
    };
    match result.and_then(|code| ctx.ui.finish().map(|()| code)) {
        Ok(code) => code,
        Err(failure) => {
            Ui::new(&cli.global).failure(&failure);
            failure.exit_code()
        }
    }
}

/// One thread does: a command mostly waits.
fn on_runtime(ctx: &Ctx, command: Command) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| {
        Failure::new(Category::Environment, "cannot start the asynchronous runtime").because(&e)
    })?;
    runtime.block_on(dispatch(ctx, command))
}

async fn dispatch(ctx: &Ctx, command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Start(args) => start::run(ctx, args).await,
        Command::Run(args) => run::run(ctx, args).await,
        Command::Ps(args) => ps::run(ctx, args).await,
        Command::Status(args) => status::run(ctx, args).await,
        Command::Describe(args) => describe::run(ctx, args).await,
        Command::Events(args) => events::run(ctx, args).await,
        Command::Attach(args) => attach::run(ctx, args).await,
        Command::Scale(args) => scale::run(ctx, args).await,
        Command::Restart(args) => restart::run(ctx, args).await,
        Command::Failover(args) => failover::run(ctx, args).await,
        Command::Gc(args) => gc::run(ctx, args).await,
        Command::Logs(args) => logs::run(ctx, args).await,
        Command::Wait(args) => wait::run(ctx, args).await,
        Command::Stop(args) => stop::run(ctx, args).await,
        Command::Kill(args) => kill::run(ctx, args).await,
        Command::Rm(args) => rm::run(ctx, args).await,
        Command::Job(JobCommand::List(args)) => job::list(ctx, args).await,
        Command::Job(JobCommand::Cancel(args)) => job::cancel(ctx, args).await,
        Command::Job(JobCommand::Status(args)) => job::status(ctx, args).await,
        Command::Job(JobCommand::Stop(args)) => job::stop(ctx, args).await,
        Command::Job(JobCommand::Savepoint(args)) => job::savepoint(ctx, args).await,
        Command::Job(JobCommand::Checkpoints(args)) => job::checkpoints(ctx, args).await,
        Command::Job(JobCommand::Exceptions(args)) => job::exceptions(ctx, args).await,
        Command::Flink(FlinkCommand::Install(args)) => flink::install(ctx, args).await,
        Command::Flink(FlinkCommand::List(args)) => flink::list(ctx, args).await,
        Command::Flink(FlinkCommand::Which(args)) => flink::which(ctx, args).await,
        Command::Flink(FlinkCommand::Remove(args)) => flink::remove(ctx, args).await,
        Command::Config(ConfigCommand::Show(args)) => config::show(ctx, args).await,
        Command::Config(ConfigCommand::Explain(args)) => config::explain(ctx, args).await,
        Command::Queue(args) => queue::run(ctx, args).await,
        Command::Doctor(args) => doctor::run(ctx, args).await,
        Command::Version(args) => version::run(ctx, args).await,
        Command::Completions(args) => completions::run(ctx, args).await,
        Command::Man(args) => completions::man(ctx, args).await,
        Command::Compat(args) => compat::run(ctx, args).await,
        Command::Train(args) => {
            kobel_session::train::run(&args.dir, std::io::stdin()).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Agent(_) | Command::Am | Command::Exec(_) => {
            Err(Failure::new(Category::Usage, "the agent runs without this runtime"))
        }
    }
}

/// kobel's own log, for those who ask for it; nothing is set up for the others.
fn log_to_stderr<T>(verbose: u8, work: impl FnOnce() -> T) -> T {
    let level = match verbose {
        0 => return work(),
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let subscriber = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).finish();
    tracing::subscriber::with_default(subscriber, work)
}
