//! Where a cluster keeps its things: one directory, 0700, whose layout is known here only.

use std::path::{Path, PathBuf};

use crate::job::JobPlan;

/// The directory of one cluster, `<state>/clusters/<name>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterDir(PathBuf);

impl ClusterDir {
    /// The cluster that lives in this directory.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Held locked by the living agent, as its standard input: who gets the lock knows that no
    /// agent runs.
    pub fn lock(&self) -> PathBuf {
        self.0.join("agent.lock")
    }

    /// The [`crate::ClusterPlan`].
    pub fn plan(&self) -> PathBuf {
        self.0.join("plan.json")
    }

    /// What the agent must remember across its own death: ports, attempts, the last status.
    pub fn record(&self) -> PathBuf {
        self.0.join("record.json")
    }

    /// The timeline, one [`crate::ClusterEvent`] a line.
    pub fn events(&self) -> PathBuf {
        self.0.join("events.jsonl")
    }

    /// What its jobs can be started from, [`crate::Snapshots`]. The next cluster of the name goes on with it.
    pub fn snapshots(&self) -> PathBuf {
        self.0.join("snapshots.json")
    }

    /// File name of the agent's Unix socket within the directory. Reach it by way of
    /// `/proc/self/fd/<fd of the directory>/agent.sock`: a socket address holds 108 bytes only.
    pub const SOCKET: &'static str = "agent.sock";

    /// The agent's Unix socket.
    pub fn socket(&self) -> PathBuf {
        self.0.join(Self::SOCKET)
    }

    /// Logs, unless the user's `env.log.dir` moves them.
    pub fn logs(&self) -> PathBuf {
        self.0.join("log")
    }

    /// The jar of the job that the cluster belongs to.
    pub fn program(&self) -> PathBuf {
        self.0.join(JobPlan::JAR)
    }

    /// Where that jar is.
    pub fn usrlib(&self) -> PathBuf {
        self.0.join(JobPlan::DIR)
    }

    /// The way to this directory from one of the [`Self::workers`], where their processes work.
    pub const FROM_WORKER: &'static str = "../..";

    /// The local provider's directories of workers, one per attempt.
    pub fn workers(&self) -> PathBuf {
        self.0.join("workers")
    }
}
