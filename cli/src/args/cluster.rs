//! Verbs on clusters.

use std::{path::PathBuf, time::Duration};

use clap::{Args, builder::NonEmptyStringValueParser};
use kobel_conf::units::MemorySize;
use kobel_plan::{ClusterName, Wanted};
use kobel_session::spec::{FlinkChoice, Override, ZooKeeperChoice};

use super::{
    Format, Output,
    values::{Condition, Provider, duration, memory},
};

/// What a cluster shall be like; `None` leaves it to the configuration.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "The cluster")]
pub(crate) struct ClusterArgs {
    /// Where its processes run
    #[arg(long = "on", value_name = "PROVIDER", default_value_t, value_enum)]
    pub(crate) provider: Provider,
    /// Flink distribution: a directory, or a version that `kobel flink install` got
    #[arg(long, value_name = "DIR|VERSION")]
    pub(crate) flink: Option<FlinkChoice>,
    /// Directory with Flink's configuration [default: FLINK_CONF_DIR, or the distribution's own]
    #[arg(long, value_name = "DIR")]
    pub(crate) conf: Option<PathBuf>,
    /// TaskManagers [default: 1]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub(crate) tm: Option<u32>,
    /// TaskManagers that there may be when jobs need more [default: as many as --tm, for a
    /// cluster's own job as its parallelism needs]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub(crate) max_tm: Option<u32>,
    /// Slots of each TaskManager
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) slots: Option<u32>,
    /// Memory of each TaskManager's process, for example 800m or 2g
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true, value_parser = memory)]
    pub(crate) tm_mem: Option<MemorySize>,
    /// Memory of the JobManager's process
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true, value_parser = memory)]
    pub(crate) jm_mem: Option<MemorySize>,
    /// JobManagers: one leads, the others stand by, with high availability [default: 1]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=i64::from(Wanted::MOST_JOB_MANAGERS)))]
    pub(crate) masters: Option<u32>,
    /// High availability by ZooKeeper: HOST:PORT,...[/PATH], or embedded for one of the cluster's own
    #[arg(long, value_name = "QUORUM|embedded")]
    pub(crate) zookeeper: Option<ZooKeeperChoice>,
    /// Its name in ZooKeeper, by which it is started again with its jobs [default: its own name, on YARN the
    /// application's id]
    #[arg(short = 'z', long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) namespace: Option<String>,
    /// YARN's queue, with --on yarn [default: yarn.queue, or YARN's own choice]
    #[arg(long, value_name = "NAME")]
    pub(crate) queue: Option<String>,
    /// The application's name, with --on yarn [default: yarn.application.name, or the cluster's name]
    #[arg(long = "name", value_name = "NAME")]
    pub(crate) application_name: Option<String>,
    /// Only YARN's nodes with this label, with --on yarn [default: yarn.application.node-label]
    #[arg(long, value_name = "LABEL")]
    pub(crate) node_label: Option<String>,
    /// A file, directory, or archive to unpack, for every container, with --on yarn; repeatable
    #[arg(long, value_name = "PATH")]
    pub(crate) ship: Vec<PathBuf>,
    /// A Flink option; beats everything else, and may be repeated
    #[arg(short = 'D', value_name = "KEY=VALUE")]
    pub(crate) properties: Vec<Override>,
}

impl ClusterArgs {
    /// The first that was given, of those that describe a cluster and nothing else.
    pub(crate) fn first_given(&self) -> Option<&'static str> {
        let Self {
            provider,
            flink,
            conf,
            tm,
            max_tm,
            slots,
            tm_mem,
            jm_mem,
            masters,
            zookeeper,
            namespace,
            ..
        } = self;
        let Self { queue, application_name, node_label, ship, .. } = self;
        let given = [
            (*provider != Provider::default(), "--on"),
            (flink.is_some(), "--flink"),
            (conf.is_some(), "--conf"),
            (tm.is_some(), "--tm"),
            (max_tm.is_some(), "--max-tm"),
            (slots.is_some(), "--slots"),
            (tm_mem.is_some(), "--tm-mem"),
            (jm_mem.is_some(), "--jm-mem"),
            (masters.is_some(), "--masters"),
            (zookeeper.is_some(), "--zookeeper"),
            (namespace.is_some(), "-z"),
            (queue.is_some(), "--queue"),
            (application_name.is_some(), "--name"),
            (node_label.is_some(), "--node-label"),
            (!ship.is_empty(), "--ship"),
        ];
        given.into_iter().find(|(given, _)| *given).map(|(_, flag)| flag)
    }
}

/// Starts a session cluster, and returns when it is ready
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct StartArgs {
    /// Its name
    #[arg(default_value_t)]
    pub(crate) name: ClusterName,
    #[command(flatten)]
    pub(crate) how: StartHow,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

/// How to start.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct StartHow {
    /// Stay and follow the cluster until Ctrl-C, which leaves it running
    #[arg(long, conflicts_with = "no_wait")]
    pub(crate) attach: bool,
    /// Return as soon as the agent runs
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Give up, and take back what was begun, after this time, for example 30s or 5m
    #[arg(long, value_name = "DURATION", value_parser = duration, conflicts_with = "no_wait")]
    pub(crate) timeout: Option<Duration>,
    /// Print the plan of the cluster and start nothing
    #[arg(long, conflicts_with_all = ["attach", "no_wait", "timeout"])]
    pub(crate) dry_run: bool,
    /// Print the status of the started cluster in this form
    #[arg(short = 'o', long = "output", value_name = "FORMAT", value_enum)]
    pub(crate) format: Option<Format>,
}

/// Lists all known clusters
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct PsArgs {
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Shows one cluster, with its last log lines
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct StatusArgs {
    /// The cluster's name
    #[arg(default_value_t)]
    pub(crate) name: ClusterName,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Shows all that is known of one cluster, living or over, and where it comes from
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct DescribeArgs {
    /// The cluster's name
    #[arg(default_value_t)]
    pub(crate) name: ClusterName,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Shows logs and standard output: of each process there is, or of those chosen, gone or not
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct LogsArgs {
    /// The cluster's name
    #[arg(default_value_t)]
    pub(crate) name: ClusterName,
    #[command(flatten)]
    pub(crate) source: LogSource,
    /// Go on as lines are written, until Ctrl-C or the end of the cluster
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Only the last N lines of each file
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) tail: Option<u32>,
}

/// Whose logs; without any, those of each worker's latest process.
#[derive(Debug, Clone, Default, Args)]
#[group(multiple = false)]
pub(crate) struct LogSource {
    /// Only the JobManager's
    #[arg(long)]
    pub(crate) jm: bool,
    /// Only TaskManager N's
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) tm: Option<u32>,
    /// Only the agent's
    #[arg(long)]
    pub(crate) agent: bool,
    /// Of every process there ever was, and of the agent
    #[arg(long)]
    pub(crate) all: bool,
}

/// Waits for a cluster or a job; ends early, with 7, when it cannot come about any more
#[derive(Debug, Clone, Args)]
pub(crate) struct WaitArgs {
    /// The cluster's name
    #[arg(default_value_t)]
    pub(crate) name: ClusterName,
    /// What for: ready, stopped or job=ID:finished
    #[arg(long = "for", value_name = "CONDITION", default_value = "ready")]
    pub(crate) condition: Condition,
    /// Give up after this time, with 124, for example 30s or 5m
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
}

/// Stops a cluster gracefully, and returns when it is gone
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct StopArgs {
    /// The cluster's name
    #[arg(default_value_t)]
    pub(crate) name: ClusterName,
    /// First stop each running job with a savepoint, in this directory or in Flink's configured one, and print where
    /// each is; the cluster goes on if one of them fails
    #[arg(long, value_name = "DIR")]
    pub(crate) savepoint: Option<Option<String>>,
    /// Tell the operators first that no more data comes: windows and timers fire; not to be resumed
    #[arg(long, requires = "savepoint")]
    pub(crate) drain: bool,
    /// Leave what is in ZooKeeper and in the storage directory: started again, the cluster recovers its jobs
    #[arg(long)]
    pub(crate) keep_ha: bool,
    /// Give up waiting after this time, with 124, for example 30s or 5m
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
}

/// Ends a cluster now
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct KillArgs {
    /// The cluster's name
    pub(crate) name: ClusterName,
}

/// Forgets a cluster that is over: its record and its logs
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct RmArgs {
    /// The clusters' names
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<ClusterName>,
}
