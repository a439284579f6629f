//! Verbs on jobs.

use std::time::Duration;

use clap::{Args, Subcommand};
use kobel_plan::{ClusterName, JobId};

use super::{
    ClusterArgs, Output,
    values::{ClaimMode, RestoreFrom, duration},
};

/// Runs a program's job, in a session or in a cluster of its own, and follows it to its end
#[derive(Debug, Clone, Default, Args)]
#[command(override_usage = "kobel run [OPTIONS] <JAR> [ARGS]...")]
pub(crate) struct RunArgs {
    /// The program's jar; everything after it goes to the program
    #[arg(value_names = ["JAR", "ARGS"], num_args = 1.., required = true, trailing_var_arg = true)]
    pub(crate) program: Vec<String>,
    /// The session [default: the newest one]; with --per-job the name of the new cluster
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Option<ClusterName>,
    /// Give the job a cluster of its own, which ends with it
    #[arg(long)]
    pub(crate) per_job: bool,
    /// The program's class, where the jar's manifest names none
    #[arg(short, long)]
    pub(crate) class: Option<String>,
    /// Parallelism of the job
    #[arg(short, long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=32768))]
    pub(crate) parallelism: Option<u32>,
    /// Savepoint or checkpoint to start from
    #[arg(short = 's', long, value_name = "PATH", group = "restore")]
    pub(crate) from_savepoint: Option<String>,
    /// Start from the newest savepoint or retained checkpoint of this program that kobel knows of
    #[arg(long, value_name = "latest", value_enum, group = "restore")]
    pub(crate) from: Option<RestoreFrom>,
    /// What becomes of that savepoint
    #[arg(long, value_name = "MODE", value_enum, requires = "restore")]
    pub(crate) claim_mode: Option<ClaimMode>,
    /// Start even if the savepoint has state that the program no longer has
    #[arg(long, requires = "restore")]
    pub(crate) allow_non_restored_state: bool,
    /// Do not show what the job prints on the TaskManagers
    #[arg(long)]
    pub(crate) no_output: bool,
    /// Return as soon as the job is submitted
    #[arg(short, long)]
    pub(crate) detach: bool,
    /// With --per-job: give up, and take back what was begun, if the job does not run after this time, YARN's queue
    /// included; without it, after 120s beyond the queue
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "per_job")]
    pub(crate) timeout: Option<Duration>,
    /// With --per-job: print the plan of the cluster and start nothing
    #[arg(long, requires = "per_job")]
    pub(crate) dry_run: bool,
    /// What the job's own cluster shall be like.
    #[command(flatten)]
    pub(crate) own: ClusterArgs,
    /// What Ctrl-C does to the job: nothing, unless Flink's `-sae` asks for its end.
    #[arg(skip)]
    pub(crate) cancel_on_interrupt: bool,
}

impl RunArgs {
    /// The jar, and what goes to the program.
    pub(crate) fn jar_and_args(&self) -> (&str, &[String]) {
        match self.program.split_first() {
            Some((jar, args)) => (jar, args),
            None => ("", &[]),
        }
    }
}

/// Verbs on the jobs of a session.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum JobCommand {
    #[command(visible_alias = "ls")]
    List(JobListArgs),
    /// Shows a job with its operators
    Status(JobFactArgs),
    Cancel(CancelArgs),
    Stop(JobStopArgs),
    Savepoint(SavepointArgs),
    /// Lists a job's checkpoints and savepoints, the newest first
    Checkpoints(JobFactArgs),
    /// Shows what failed a job, what it began with first; with -v, Java's traces
    Exceptions(JobFactArgs),
}

/// What is to be known of one job.
#[derive(Debug, Clone, Args)]
pub(crate) struct JobFactArgs {
    /// The job's id
    #[arg(value_name = "ID")]
    pub(crate) job: JobId,
    /// The session [default: the newest one]
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Option<ClusterName>,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Makes a savepoint of a job that goes on, and prints where it is
#[derive(Debug, Clone, Args)]
pub(crate) struct SavepointArgs {
    /// The job's id
    #[arg(value_name = "ID")]
    pub(crate) job: JobId,
    /// Directory or URI to make it in [default: Flink's configured one]
    #[arg(value_name = "DIR")]
    pub(crate) directory: Option<String>,
    /// Give up waiting after this time, with 124; the savepoint goes on
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "10m")]
    pub(crate) timeout: Duration,
    /// The session [default: the newest one]
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Option<ClusterName>,
}

/// Stops a job with a savepoint, and prints where that is
#[derive(Debug, Clone, Args)]
pub(crate) struct JobStopArgs {
    /// The job's id
    #[arg(value_name = "ID")]
    pub(crate) job: JobId,
    /// Directory or URI to make the savepoint in [default: Flink's configured one]
    #[arg(long, value_name = "DIR")]
    pub(crate) savepoint: Option<String>,
    /// Tell the operators first that no more data comes: windows and timers fire; not to be resumed
    #[arg(long)]
    pub(crate) drain: bool,
    /// Give up waiting after this time, with 124; the stopping goes on
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "10m")]
    pub(crate) timeout: Duration,
    /// The session [default: the newest one]
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Option<ClusterName>,
}

/// Lists a session's jobs
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct JobListArgs {
    /// The session [default: the newest one]
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Option<ClusterName>,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Cancels a job, and returns when it is canceled
#[derive(Debug, Clone, Args)]
pub(crate) struct CancelArgs {
    /// The job's id
    #[arg(value_name = "ID")]
    pub(crate) job: JobId,
    /// Give up waiting after this time, with 124
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "60s")]
    pub(crate) timeout: Duration,
    /// The session [default: the newest one]
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Option<ClusterName>,
}
