//! The timeline of a cluster: `events.jsonl`, a line each.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::WorkerId;

/// Something that happened to a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterEvent {
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: EventKind,
    /// To which worker, if to one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub worker: Option<WorkerId>,
    /// In words.
    pub message: String,
}

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// An agent took charge.
    AgentStarted,
    /// The cluster's state changed.
    StateChanged,
    /// A worker's process was asked for.
    WorkerStarting,
    /// A worker's process runs.
    WorkerRunning,
    /// A worker's process is gone.
    WorkerExited,
    /// A worker of a former agent was taken over.
    WorkerAdopted,
    /// Somebody asked for another number of workers.
    Scaled,
    /// Somebody asked for a worker's process to be replaced.
    RestartRequested,
    /// Somebody had something bad done to a worker's process, to see what follows.
    Drill,
    /// A worker's process lives and does nothing.
    WorkerHangs,
    /// ZooKeeper does not answer, so that nobody knows who leads.
    ZookeeperLost,
    /// ZooKeeper answers again.
    ZookeeperBack,
    /// Where Flink keeps its files of high availability does not answer.
    StorageLost,
    /// The JobManager that led is gone.
    LeaderLost,
    /// Another JobManager leads, though the one that led lives.
    LeaderDeposed,
    /// What became of removing a dead JobManager from ZooKeeper.
    Fenced,
    /// Another JobManager leads.
    LeaderElected,
    /// After a change of leaders all jobs run again.
    JobsRunning,
    /// The job of a per-job cluster got further.
    JobState,
    /// The job of a per-job cluster is over.
    JobEnded,
    /// Something of high availability is left of a cluster that ended well.
    HaLeft,
    /// The cluster's HTTP address is another one than before.
    FrontMoved,
    /// What became of making archives of classes.
    Training,
    /// Somebody asked for the end.
    StopRequested,
}
