//! Why no plan can be made of what was asked.

use kobel_conf::{Category, Explain, flink::ConfError, memory::MemoryError, units::MemorySize};
use kobel_plan::Role;

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
        role: Role,
        /// Why.
        source: MemoryError,
    },
    /// A worker is larger than the machine.
    #[error("a {} of {size} does not fit: this machine has {machine}", role.noun())]
    TooLarge {
        /// Whose memory.
        role: Role,
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
    /// JVM options cannot be split into words.
    #[error("cannot split {name} into options")]
    Words {
        /// The key or variable.
        name: String,
        /// Why not.
        source: WordError,
    },
    /// Standby JobManagers are asked for.
    #[error(
        "high-availability.type is {mode} ({origin}), and kobel does not run JobManagers with high availability yet"
    )]
    HighAvailability {
        /// What is asked for.
        mode: String,
        /// Where.
        origin: String,
    },
    /// One port for many processes.
    #[error("{key} ({origin}) pins one port for {count} TaskManagers of one machine")]
    OnePort {
        /// The key.
        key: &'static str,
        /// Where.
        origin: String,
        /// How many would share it.
        count: u32,
    },
}

impl Explain for CompileError {
    fn category(&self) -> Category {
        Category::Environment
    }

    fn hint(&self) -> Option<String> {
        match self {
            CompileError::Conf(e) => e.hint(),
            CompileError::Memory { source, .. } => source.hint(),
            CompileError::TooLarge { role, .. } => Some(match role {
                Role::JobManager => "--jm-mem 1g".into(),
                Role::TaskManager => "--tm-mem 1g".into(),
            }),
            CompileError::Owned { key, .. } => Some(format!("leave out -D {key}=…")),
            CompileError::Value { key, .. } => Some(format!("-D {key}=VALUE wins over every file")),
            CompileError::Words { .. } => Some("close every quote; commands are never run".into()),
            CompileError::HighAvailability { .. } => Some(
                "kobel start -D high-availability.type=NONE   (or remove high-availability from the file)"
                    .into(),
            ),
            CompileError::OnePort { key, .. } => Some(format!("-D {key}=0")),
        }
    }
}
