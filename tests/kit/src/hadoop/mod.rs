//! Real Hadoop for the tests: HDFS, YARN and ZooKeeper as plain processes on a network of their own.
//!
//! [`Hadoop`] is the jars, [`Setup`] what is wanted of them, [`Cluster`] what runs. A suite whose tests leave the
//! daemons as they find them shares one cluster by [`shared`]; a test that kills them starts its own.
//!
//! ```no_run
//! use kobel_kit::hadoop::{self, Setup};
//!
//! let Some(cluster) = hadoop::shared(Setup::yarn) else { return };
//! cluster.hdfs().put("alice", "/user/alice/text", b"to be or not to be\n");
//! println!("HADOOP_CONF_DIR={}", cluster.conf_dir().display());
//! ```

mod cluster;
mod daemon;
mod hdfs;
mod network;
mod reaper;
mod shared;
mod sites;
mod wire;
mod yarn;

use std::{path::PathBuf, time::Duration};

pub use cluster::Cluster;
pub use daemon::Daemon;
pub use hdfs::Hdfs;
pub use shared::{Shared, shared};
pub use sites::Site;
pub use wire::Wire;
pub use yarn::Yarn;

/// Hadoop's jars, ZooKeeper's among them, all in one directory.
#[derive(Debug, Clone)]
pub struct Hadoop {
    lib: PathBuf,
}

impl Hadoop {
    /// The one named by `KOBEL_TEST_HADOOP`, which `scripts/test.sh` fetches; without the variable a test is
    /// skipped, and fails under CI.
    pub fn from_env() -> Option<Hadoop> {
        crate::artifacts::required("KOBEL_TEST_HADOOP").map(Hadoop::at)
    }

    /// The one in this directory, whose `lib` holds the jars.
    pub fn at(home: PathBuf) -> Hadoop {
        let lib = home.join("lib");
        assert!(lib.is_dir(), "{} has no lib with Hadoop's jars: run scripts/test.sh", home.display());
        Hadoop { lib }
    }

    /// Every jar of it, sorted: what a class path for a client is made of.
    pub fn jars(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.lib).expect("the jars");
        let mut jars: Vec<PathBuf> = entries.map(|entry| entry.expect("a jar").path()).collect();
        jars.sort();
        jars
    }

    /// All of its jars as Java's wildcard.
    pub fn class_path(&self) -> String {
        format!("{}/*", self.lib.display())
    }
}

/// What a cluster consists of, and how it is set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Setup {
    name_nodes: u8,
    resource_managers: u8,
    node_managers: u8,
    zookeeper: bool,
    far_node: bool,
    settings: Vec<(Site, String, String)>,
}

impl Setup {
    /// NameNode and DataNode.
    pub fn hdfs() -> Setup {
        Setup { name_nodes: 1, ..Setup::default() }
    }

    /// HDFS, a ResourceManager and two NodeManagers, each with 8 GB and 8 vcores to give.
    pub fn yarn() -> Setup {
        Setup { resource_managers: 1, node_managers: 2, ..Setup::hdfs() }
    }

    /// Another number of NodeManagers.
    pub fn node_managers(mut self, count: u8) -> Setup {
        self.node_managers = count;
        self
    }

    /// Several NameNodes of one nameservice, `nn1` and so on. The first is active; another one only when it is made
    /// so by [`Hdfs::activate`].
    pub fn name_nodes(mut self, count: u8) -> Setup {
        self.name_nodes = count;
        self
    }

    /// Several ResourceManagers, `rm1` and so on, of which one is active. They keep their state in a ZooKeeper
    /// and elect the active one there, by themselves.
    pub fn resource_managers(mut self, count: u8) -> Setup {
        self.resource_managers = count;
        self.zookeeper()
    }

    /// With a ZooKeeper.
    pub fn zookeeper(mut self) -> Setup {
        self.zookeeper = true;
        self
    }

    /// The last NodeManager is on a host of its own, which [`Wire::cut`] cuts off from all others: [`Cluster::wire`].
    /// `None` where this machine does not let us make one, which it says.
    pub fn far_node(mut self) -> Option<Setup> {
        self.far_node = true;
        Wire::can_be_laid().then_some(self)
    }

    /// Containers outlive a NodeManager that is killed, and it finds them again. Off in Hadoop unless set.
    pub fn node_recovery(self) -> Setup {
        self.set(Site::Yarn, "yarn.nodemanager.recovery.enabled", "true").set(
            Site::Yarn,
            "yarn.nodemanager.recovery.supervised",
            "true",
        )
    }

    /// Logs of ended applications are moved to HDFS, below `/tmp/logs`.
    pub fn log_aggregation(self) -> Setup {
        self.set(Site::Yarn, "yarn.log-aggregation-enable", "true")
    }

    /// The silence after which an ApplicationMaster or NodeManager counts as lost (15 and 10 minutes unless set).
    pub fn expiry(self, silence: Duration) -> Setup {
        let ms = silence.as_millis().to_string();
        self.set(Site::Yarn, "yarn.am.liveness-monitor.expiry-interval-ms", &ms).set(
            Site::Yarn,
            "yarn.nm.liveness-monitor.expiry-interval-ms",
            &ms,
        )
    }

    /// Any setting, over the kit's own.
    pub fn set(mut self, site: Site, key: &str, value: &str) -> Setup {
        self.settings.push((site, key.to_string(), value.to_string()));
        self
    }
}
