//! Verbs that look after a cluster.

use std::time::Duration;

use clap::{Args, ValueEnum};
use kobel_plan::ClusterName;

use super::{
    Output,
    values::{Provider, duration},
};

/// Shows what happened to a cluster, also to one that is over
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct EventsArgs {
    /// The cluster's name
    #[arg(default_value_t)]
    pub(crate) name: ClusterName,
    /// Go on as things happen, until Ctrl-C or the end of the cluster
    #[arg(short, long)]
    pub(crate) follow: bool,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Follows a cluster until it is over, or until Ctrl-C, which leaves it running
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct AttachArgs {
    /// The cluster's name
    #[arg(default_value_t)]
    pub(crate) name: ClusterName,
}

/// Changes the number of TaskManagers, and returns when so many are registered
#[derive(Debug, Clone, Args)]
pub(crate) struct ScaleArgs {
    /// The cluster's name
    #[arg(default_value_t)]
    pub(crate) name: ClusterName,
    /// TaskManagers that there shall be
    #[arg(long, value_name = "N", required = true, allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub(crate) tm: u32,
    /// Give up waiting after this time, with 124; what was asked for goes on
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
}

/// Replaces processes of a cluster, and returns when it is ready again
#[derive(Debug, Clone, Args)]
#[command(after_help = "Without a role: every TaskManager, then the JobManager.
Jobs fall back to their last checkpoint when a TaskManager goes; when the JobManager of a session goes, its jobs are gone.")]
pub(crate) struct RestartArgs {
    /// The cluster's name
    pub(crate) name: ClusterName,
    /// Only processes of this role
    #[arg(value_name = "jm|tm", value_enum, hide_possible_values = true)]
    pub(crate) role: Option<RoleName>,
    /// Only the one of this number
    #[arg(value_name = "N", requires = "role")]
    pub(crate) index: Option<u32>,
    /// Give up waiting after this time, with 124; what was asked for goes on
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
}

/// Has a process fail on purpose, and measures how long it takes until all is well again
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "It is over when another JobManager leads, every job that ran runs with all its tasks, and each one
that makes checkpoints has completed one since. As much is printed as was reached in time."
)]
pub(crate) struct FailoverArgs {
    /// The cluster's name
    pub(crate) name: ClusterName,
    #[command(flatten)]
    pub(crate) victim: Victim,
    /// Show which process it would be, and leave it alone
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Give up waiting after this time, with 124
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "5m")]
    pub(crate) timeout: Duration,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// What fails, and how; without any, the leader is killed.
#[derive(Debug, Clone, Default, Args)]
#[group(multiple = false)]
pub(crate) struct Victim {
    /// Kill the leading JobManager (SIGKILL); so it is without any of these
    #[arg(long)]
    pub(crate) kill: bool,
    /// Freeze the leading JobManager (SIGSTOP): it lives, and does nothing any more
    #[arg(long)]
    pub(crate) freeze: bool,
    /// Kill TaskManager N, or one that has tasks
    #[arg(long, value_name = "N", num_args = 0..=1, allow_negative_numbers = true)]
    pub(crate) tm: Option<Option<u32>>,
}

/// Finds and removes what kobel left on this machine and nobody uses
#[derive(Debug, Clone, Default, Args)]
#[command(
    after_help = "Half downloads and installations, directories of workers that are gone, archives of classes whose
Flink or Java is gone. What a running cluster, installation or training uses is left alone; so are
clusters that are over, unless --ended-for says otherwise: kobel rm forgets one."
)]
pub(crate) struct GcArgs {
    /// Show what there is, and remove nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Also forget clusters, with their logs, that have been over for this time, for example 7d
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) ended_for: Option<Duration>,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Shows what YARN has to give: memory and cores of its queues and nodes
#[derive(Debug, Clone, Args)]
pub(crate) struct QueueArgs {
    /// Whose queues: YARN's alone has them
    #[arg(long = "on", value_name = "PROVIDER", default_value = "yarn", value_enum)]
    pub(crate) provider: Provider,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// A role, in two letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleName {
    /// JobManagers
    Jm,
    /// TaskManagers
    Tm,
}
