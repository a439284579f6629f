//! The agent's API: paths and bodies. Under [`PREFIX`] the TCP front serves what only reads; what
//! changes the cluster is served on the Unix socket alone (0600, in a directory 0700).

use std::time::Duration;

use jiff::Timestamp;
use kobel_conf::units::millis;
use serde::{Deserialize, Serialize};

use crate::{
    ids::{Attempt, WorkerId},
    plan::Wanted,
    worker::Fault,
};

/// Everything of kobel's own lives below this path; the rest of the front is Flink's.
pub const PREFIX: &str = "/kobel";
/// GET: the [`crate::Status`]. With `?watch=true`, a JSON line for the present and for every change
/// until the cluster is over.
pub const STATUS: &str = "/kobel/v1/status";
/// GET: the timeline, a [`crate::ClusterEvent`] per JSON line.
pub const EVENTS: &str = "/kobel/v1/events";
/// GET, with a job's id below it: with high availability, what Flink wrote down of the job's end; 204 as long as
/// there is nothing, 501 where it cannot be read.
pub const JOB_RESULTS: &str = "/kobel/v1/job-results";
/// GET: what jobs can be started from, [`crate::Snapshots`], as of this moment. POST, socket only:
/// [`crate::snapshot::Note`]; answers 204.
pub const SNAPSHOTS: &str = "/kobel/v1/snapshots";
/// POST, socket only: [`StopRequest`]; answers 202 as soon as the cluster is stopping.
pub const STOP: &str = "/kobel/v1/stop";
/// POST, socket only: [`ScaleRequest`]; answers the [`Wanted`] that now holds.
pub const SCALE: &str = "/kobel/v1/scale";

/// POST, socket only: [`RestartRequest`]; answers 202 as soon as the worker's process is leaving.
pub const RESTART: &str = "/kobel/v1/restart";
/// POST, socket only: [`DrillRequest`]; answers [`Struck`] as soon as the signal is sent.
pub const DRILL: &str = "/kobel/v1/drill";

/// How a cluster is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StopRequest {
    /// How long workers may take after SIGTERM before SIGKILL, in milliseconds; 0 kills at once.
    pub grace_ms: u64,
    /// Who asks, for the record's reason: "kobel stop", "DELETE /cluster".
    pub by: StopCause,
    /// Whether what is in ZooKeeper and in the storage directory stays, for the next cluster of this id to
    /// recover its jobs. It stays of a cluster that is killed in any case.
    #[serde(default)]
    pub keep_ha: bool,
}

impl StopRequest {
    /// Ends a cluster with this grace, and leaves nothing.
    pub fn new(by: StopCause, grace: Duration) -> Self {
        Self { grace_ms: millis(grace), by, keep_ha: false }
    }

    /// The same, with or without what high availability leaves.
    pub fn keeping_ha(self, keep_ha: bool) -> Self {
        Self { keep_ha, ..self }
    }

    /// How long workers may take after SIGTERM.
    pub fn grace(&self) -> Duration {
        Duration::from_millis(self.grace_ms)
    }
}

/// Who ended a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopCause {
    /// `kobel stop`.
    Stop,
    /// `kobel kill`.
    Kill,
    /// A start that was interrupted or failed takes back what it began.
    RolledBack,
    /// `DELETE /cluster` on the front, as Flink's own client asks.
    RestApi,
    /// A signal to the agent.
    Signal,
}

/// Changes the number of workers: absolute, or relative to what is wanted now, so that two
/// `taskmanager.sh start` at once make two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScaleRequest {
    /// Exactly so many.
    To(Wanted),
    /// Exactly so many TaskManagers, and as many JobManagers as there are.
    TaskManagersTo(u32),
    /// So many more or fewer JobManagers, at least 0.
    JobManagers(i32),
    /// So many more or fewer TaskManagers, at least 0.
    TaskManagers(i32),
}

/// Replaces a worker's process by a new one, politely: it is no failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartRequest {
    /// Which worker.
    pub worker: WorkerId,
}

/// Does something bad to a worker's process, to see what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillRequest {
    /// Which worker.
    pub worker: WorkerId,
    /// What.
    pub fault: Fault,
}

/// What a drill has hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Struck {
    /// Which worker.
    pub worker: WorkerId,
    /// Which of its processes.
    pub attempt: Attempt,
    /// When, by the agent's clock, which the timeline has too.
    pub at: Timestamp,
}

/// The body of every answer that is not 2xx.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiError {
    /// One line for a person.
    pub error: String,
}
