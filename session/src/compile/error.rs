//! Why no plan can be made of what was asked.

use kobel_conf::{Category, Explain, flink::ConfError, memory::MemoryError, units::MemorySize};
use kobel_flink::ha::LayoutError;
use kobel_plan::{FlinkRole, ProviderKind};

use crate::words::WordError;

/// What was asked, or is configured, makes no cluster.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// A configuration is not what Flink reads.
    #[error(transparent)]
    Conf(#[from] ConfError),
    /// The memory of a role does not add up.
    #[error("the memory of a {} does not work out", role.noun())]
    Memory {
        /// Whose.
        role: FlinkRole,
        /// Why.
        source: MemoryError,
    },
    /// A worker is larger than the machine.
    #[error("a {} of {size} does not fit: this machine has {machine}", role.noun())]
    TooLarge {
        /// Whose memory.
        role: FlinkRole,
        /// How much it is.
        size: MemorySize,
        /// How much there is.
        machine: MemorySize,
    },
    /// The user set by `-D` what only kobel can know.
    #[error("{key} cannot be set: {owner}")]
    Owned {
        /// The key.
        key: String,
        /// Who decides it.
        owner: &'static str,
    },
    /// A value is of the wrong kind.
    #[error("{key} ({origin}) must be {expected}")]
    Value {
        /// The key.
        key: String,
        /// Where its value came from.
        origin: String,
        /// What it must be.
        expected: &'static str,
    },
    /// There shall be more TaskManagers at any time than at most.
    #[error("--max-tm {most} is less than the TaskManagers that there shall be always, {pinned}")]
    MaxBelowPinned {
        /// At most.
        most: u32,
        /// At any time.
        pinned: u32,
    },
    /// JVM options cannot be split into words.
    #[error("cannot split {name} into options")]
    Words {
        /// The key or variable.
        name: String,
        /// Why not.
        source: WordError,
    },
    /// High availability of a kind that is not kobel's.
    #[error("high-availability.type is {mode} ({origin}), and kobel's high availability is by ZooKeeper")]
    HighAvailability {
        /// What is asked for.
        mode: String,
        /// Where.
        origin: String,
    },
    /// Something is asked for that has no meaning without high availability.
    #[error("{what} needs high availability, and there is none")]
    NoHighAvailability {
        /// What.
        what: String,
    },
    /// Nothing says where ZooKeeper is.
    #[error(
        "high-availability.type is zookeeper ({origin}), and high-availability.zookeeper.quorum is not set"
    )]
    NoQuorum {
        /// Who asked for ZooKeeper.
        origin: String,
    },
    /// ZooKeeper's address, or a path in it, is of no use.
    #[error("{key} ({origin}) cannot be used")]
    ZooKeeper {
        /// The key.
        key: &'static str,
        /// Where its value came from.
        origin: String,
        /// Why not.
        source: LayoutError,
    },
    /// The nodes have no directory in common.
    #[error("high-availability.storageDir is not set, and YARN's nodes have no directory in common")]
    NoStorage,
    /// Not on this provider.
    #[error("{what} is not for provider {provider}: {why}")]
    NotThere {
        /// What.
        what: String,
        /// Where.
        provider: ProviderKind,
        /// Why not.
        why: &'static str,
    },
    /// One port for many processes.
    #[error("{key} ({origin}) pins one port for {count} {}s of one machine", role.noun())]
    OnePort {
        /// The key.
        key: &'static str,
        /// Where.
        origin: String,
        /// Whose.
        role: FlinkRole,
        /// How many would share it.
        count: u32,
    },
}

impl Explain for CompileError {
    fn category(&self) -> Category {
        match self {
            CompileError::NoHighAvailability { .. } | CompileError::MaxBelowPinned { .. } => Category::Usage,
            _ => Category::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            CompileError::Conf(e) => e.hint(),
            CompileError::Memory { source, .. } => source.hint(),
            CompileError::TooLarge { role, .. } => Some(match role {
                FlinkRole::JobManager => "--jm-mem 1g".into(),
                FlinkRole::TaskManager => "--tm-mem 1g".into(),
            }),
            CompileError::Owned { key, .. } => Some(format!("leave out -D {key}=…")),
            CompileError::Value { key, .. } => Some(format!("-D {key}=VALUE wins over every file")),
            CompileError::MaxBelowPinned { most, .. } => Some(format!("--tm {most} --max-tm {most}")),
            CompileError::Words { .. } => Some("close every quote; commands are never run".into()),
            CompileError::HighAvailability { .. } => Some(
                "-D high-availability.type=zookeeper   (or none at all: -D high-availability.type=NONE)"
                    .into(),
            ),
            CompileError::NoHighAvailability { .. } | CompileError::NoQuorum { .. } => Some(
                "--zookeeper HOST:PORT,HOST:PORT   (or, to try it on one machine: --zookeeper embedded)"
                    .into(),
            ),
            CompileError::ZooKeeper { source, .. } => source.hint(),
            CompileError::NoStorage => Some("-D high-availability.storageDir=hdfs:///flink/ha".into()),
            CompileError::NotThere { .. } => Some("kobel start --on local".into()),
            CompileError::OnePort { key, .. } => Some(format!("-D {key}=0")),
        }
    }
}
