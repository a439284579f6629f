//! What an agent has to know of its cluster's high availability. What Flink has to know is in the plan's
//! configuration.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// High availability by ZooKeeper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HaPlan {
    /// Where ZooKeeper is.
    pub zookeeper: ZooKeeper,
    /// Flink's `high-availability.zookeeper.path.root`.
    pub root: String,
    /// Flink's `high-availability.cluster-id`.
    pub cluster_id: String,
    /// Flink's `high-availability.storageDir`: the cluster's files lie in its directory `cluster_id`.
    pub storage_dir: String,
    /// For how long a session without a sign of life is asked for, in milliseconds. ZooKeeper may grant
    /// another time.
    pub session_timeout_ms: u64,
    /// After how long without an answer a JobManager counts as hung, in milliseconds.
    pub silence_ms: u64,
    /// Whether what is in ZooKeeper and in the storage directory stays when the cluster is stopped, for
    /// the next one of this id to recover its jobs.
    pub keep: bool,
    /// Where the REST servers of JobManagers are to listen, by their numbers, as the `masters` file has it; 0, as
    /// for those beyond, is any free port. The first one's is the front's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub web_ports: Vec<u16>,
}

/// Where ZooKeeper is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ZooKeeper {
    /// These servers, `host:port,…[/chroot]`: Flink's `high-availability.zookeeper.quorum`.
    Quorum(String),
    /// One of the cluster's own, beside its workers; its data lie in this directory.
    Embedded(std::path::PathBuf),
}

impl HaPlan {
    /// Whether the cluster has a ZooKeeper of its own.
    pub fn is_embedded(&self) -> bool {
        matches!(self.zookeeper, ZooKeeper::Embedded(_))
    }

    /// For how long a session is asked for.
    pub fn session_timeout(&self) -> Duration {
        Duration::from_millis(self.session_timeout_ms)
    }

    /// After how long without an answer a JobManager counts as hung.
    pub fn silence(&self) -> Duration {
        Duration::from_millis(self.silence_ms)
    }
}

/// What was seen of the end of a JobManager's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// Our own child, whose exit status was taken.
    Reaped,
    /// A pidfd of it, opened and then checked against pid, start time and boot id, became readable: the kernel
    /// lets that happen only when all threads are gone.
    PidfdReadable,
    /// On the node where it ran there is no process of its pid and start time any more, or the node has booted
    /// since.
    ProcessGone,
    /// YARN reported its container complete.
    Container {
        /// YARN's exit status.
        status: i32,
        /// Whether the node's manager lives and is where that came from.
        node_alive: bool,
    },
    /// Anything else: it is silent, stopped or a zombie, its node is lost, its attempt was failed by hand.
    Unproven,
}

impl Death {
    /// Whether no thread of the process can run any more.
    ///
    /// YARN's negative statuses are decisions, which the ResourceManager may tell before they are carried out; 154
    /// (`ExitCode.LOST`) is what a NodeManager says that does not know.
    pub fn is_proven(self) -> bool {
        match self {
            Death::Reaped | Death::PidfdReadable | Death::ProcessGone => true,
            Death::Container { status, node_alive } => {
                node_alive && (0..=255).contains(&status) && status != 154
            }
            Death::Unproven => false,
        }
    }
}
