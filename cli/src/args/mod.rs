//! The command line as types: what may be typed, and nothing of what it does.

mod cluster;
mod config;
mod flink;
mod job;
mod upkeep;
mod values;

pub(crate) use cluster::{
    ClusterArgs, DescribeArgs, KillArgs, LogSource, LogsArgs, PsArgs, RmArgs, StartArgs, StartHow,
    StatusArgs, StopArgs, WaitArgs,
};
pub(crate) use config::{ConfigCommand, ConfigExplainArgs, ConfigShowArgs};
pub(crate) use flink::{FlinkCommand, InstallArgs, ListArgs, RemoveArgs, Site, WhichArgs};
pub(crate) use job::{CancelArgs, JobCommand, JobFactArgs, JobListArgs, JobStopArgs, RunArgs, SavepointArgs};
pub(crate) use upkeep::{
    AttachArgs, EventsArgs, FailoverArgs, GcArgs, QueueArgs, RestartArgs, RoleName, ScaleArgs, Victim,
};
pub(crate) use values::{ClaimMode, Condition, Provider, RestoreFrom, escaped, memory};

use std::path::PathBuf;

use crate::compat::CompatArgs;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

/// Starts, feeds, watches and fails over Apache Flink clusters.
#[derive(Debug, Parser)]
#[command(name = "kobel", version, max_term_width = 100, propagate_version = false)]
#[command(after_help = "First steps:
  kobel flink install 1.20.5                       get a Flink distribution
  kobel start                                      start a local session named default
  kobel run -c CLASS JOB.jar --input F --output G  run a job in it
  kobel stop                                       end it")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every verb takes.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN", default_value_t, value_enum)]
    pub(crate) color: Color,
    /// Say more: Java traces, kobel's own log (-vv: debug, -vvv: the wire)
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Say nothing but data and errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Answer yes to every question
    #[arg(long, global = true)]
    pub(crate) yes: bool,
}

// The variants of these two have no texts of their own, so that help shows each list on one line.

/// When output has colour; `Auto` is on a terminal, unless NO_COLOR is set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

/// The form of the data that a verb prints; `Wide` is a table with more columns, `Name` the names
/// alone, one a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Table,
    Wide,
    Json,
    Yaml,
    Name,
}

/// `-o`, of the verbs that read.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct Output {
    /// Form of the output
    #[arg(short = 'o', long = "output", value_name = "FORMAT", default_value_t, value_enum)]
    pub(crate) format: Format,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Start(StartArgs),
    Run(RunArgs),
    #[command(visible_alias = "list")]
    Ps(PsArgs),
    Status(StatusArgs),
    Describe(DescribeArgs),
    Events(EventsArgs),
    Logs(LogsArgs),
    Attach(AttachArgs),
    Wait(WaitArgs),
    Stop(StopArgs),
    Kill(KillArgs),
    Rm(RmArgs),
    Scale(ScaleArgs),
    Restart(RestartArgs),
    Failover(FailoverArgs),
    Gc(GcArgs),
    Queue(QueueArgs),
    /// Jobs of a session
    #[command(subcommand)]
    Job(JobCommand),
    /// Flink distributions
    #[command(subcommand)]
    Flink(FlinkCommand),
    /// Flink's effective configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    Doctor(DoctorArgs),
    Version(VersionArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
    /// Runs a cluster; started by kobel itself
    #[command(hide = true)]
    Agent(AgentArgs),
    /// Runs a cluster in a container; started by YARN
    #[command(hide = true)]
    Am,
    /// Runs a worker's process; started by kobel itself
    #[command(hide = true)]
    Exec(ExecArgs),
    /// Makes archives of Flink's classes; started by kobel itself
    #[command(hide = true)]
    Train(TrainArgs),
    #[command(hide = true)]
    Compat(CompatArgs),
}

/// Checks the environment, and says how to mend what is wrong
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Prints kobel's version
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct VersionArgs {
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Prints a completion script for a shell
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example: source <(kobel completions bash)")]
pub(crate) struct CompletionsArgs {
    /// Which shell
    pub(crate) shell: clap_complete::Shell,
}

/// Prints the manual page, or writes the pages of all verbs
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ManArgs {
    /// Directory to write a page per verb into
    pub(crate) dir: Option<PathBuf>,
}

/// Runs the agent of one cluster.
#[derive(Debug, Clone, Args)]
pub(crate) struct AgentArgs {
    /// The cluster's directory
    pub(crate) dir: PathBuf,
}

/// Runs a worker's process: that of a file, in a container, or a program that dies with its parent; or
/// makes archives of classes in a container.
#[derive(Debug, Clone, Args)]
pub(crate) struct ExecArgs {
    /// The number of the process to die with
    #[arg(long, value_name = "PID")]
    pub(crate) leash: Option<i32>,
    /// Make archives of classes by the plan in the file
    #[arg(long, conflicts_with = "leash")]
    pub(crate) train: bool,
    /// The worker's file; with --leash, a program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) what: Vec<std::ffi::OsString>,
}

/// Makes archives of Flink's classes by the plan on standard input.
#[derive(Debug, Clone, Args)]
pub(crate) struct TrainArgs {
    /// The directory of the archives
    pub(crate) dir: PathBuf,
}
