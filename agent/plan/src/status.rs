//! The status of a cluster: the JSON that `kobel status -o json` prints, field for field.

use std::{fmt, path::PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    API_VERSION,
    ha::{HaPlan, ZooKeeper},
    ids::{ClusterName, WorkerId},
    job::JobStatus,
    plan::{ClusterKind, ClusterPlan, ProviderKind},
};

/// One cluster, as its agent last knew it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Always [`crate::API_VERSION`].
    pub api_version: String,
    /// The cluster's name.
    pub name: ClusterName,
    /// Where its workers come from.
    pub provider: ProviderKind,
    /// Session or per-job.
    pub kind: ClusterKind,
    /// Where it stands.
    pub state: ClusterState,
    /// The Flink version it runs.
    pub flink_version: String,
    /// The front: kobel's page, Flink's REST API and web UI. Absent until it is bound.
    pub rest_url: Option<String>,
    /// The JobManagers.
    pub masters: Vec<MasterStatus>,
    /// The TaskManagers.
    pub task_managers: TaskManagersStatus,
    /// Slots over all registered TaskManagers.
    pub slots: Slots,
    /// Jobs by how they stand.
    pub jobs: Jobs,
    /// The job that the cluster belongs to; null of a session.
    #[serde(default)]
    pub job: Option<JobStatus>,
    /// The agent's process; absent when none runs.
    pub agent: Option<AgentStatus>,
    /// How often a JobManager was replaced.
    pub failovers: u32,
    /// Where it is in ZooKeeper; null without high availability.
    #[serde(default)]
    pub ha: Option<HaStatus>,
    /// What YARN knows it by; null elsewhere.
    pub yarn: Option<YarnStatus>,
    /// Where the logs are.
    pub log_dir: PathBuf,
    /// When the cluster was started.
    pub started_at: Timestamp,
    /// Why it is degraded, stopped or failed, in one line.
    pub reason: Option<String>,
}

impl Status {
    /// A cluster of which nothing runs yet.
    pub fn starting(plan: &ClusterPlan, started_at: Timestamp) -> Self {
        Self {
            api_version: API_VERSION.into(),
            name: plan.name.clone(),
            provider: plan.provider,
            kind: plan.kind(),
            state: ClusterState::Starting,
            flink_version: plan.flink.version.to_string(),
            rest_url: None,
            masters: Vec::new(),
            task_managers: TaskManagersStatus {
                wanted: plan.wanted.task_managers,
                pinned: plan.wanted.task_managers,
                running: 0,
                list: Vec::new(),
            },
            slots: Slots::default(),
            jobs: Jobs::default(),
            job: plan.job.as_ref().map(JobStatus::planned),
            agent: None,
            failovers: 0,
            ha: plan.ha.as_ref().map(HaStatus::of),
            yarn: None,
            log_dir: plan.log_dir.clone(),
            started_at,
            reason: None,
        }
    }

    /// Whether YARN has yet to begin it.
    pub fn is_queued(&self) -> bool {
        self.state == ClusterState::Starting && self.agent.is_none() && self.yarn.is_some()
    }
}

/// Where a cluster stands.
///
/// ```text
/// Starting ──► Ready ◄──► Degraded
///    │           │            │
///    ├───────────┴────────────┴──► Stopping ──► Stopped
///    └───────────┴────────────┴──► Failed
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClusterState {
    /// Not yet ready for the first time.
    Starting,
    /// REST answers, a leader is known, every pinned TaskManager is registered.
    Ready,
    /// Was ready; something is missing now.
    Degraded,
    /// Being taken down on request.
    Stopping,
    /// Ended on request; terminal.
    Stopped,
    /// Ended by a fault; terminal.
    Failed,
}

impl ClusterState {
    /// Whether the cluster is over.
    pub fn is_terminal(self) -> bool {
        matches!(self, ClusterState::Stopped | ClusterState::Failed)
    }
}

impl fmt::Display for ClusterState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            ClusterState::Starting => "Starting",
            ClusterState::Ready => "Ready",
            ClusterState::Degraded => "Degraded",
            ClusterState::Stopping => "Stopping",
            ClusterState::Stopped => "Stopped",
            ClusterState::Failed => "Failed",
        })
    }
}

/// A JobManager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MasterStatus {
    /// `jm-0`.
    pub id: WorkerId,
    /// Its host.
    pub host: String,
    /// Its process id, where known.
    pub pid: Option<u32>,
    /// YARN's container id.
    pub container: Option<String>,
    /// Whether it leads.
    pub leader: bool,
    /// Since when it leads, if it does.
    #[serde(default)]
    pub leading_since: Option<Timestamp>,
    /// Since when it runs.
    pub since: Timestamp,
}

/// The TaskManagers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskManagersStatus {
    /// How many there shall be now.
    pub wanted: u32,
    /// How many of them stay although no job needs them.
    #[serde(default)]
    pub pinned: u32,
    /// How many are registered at the leader.
    pub running: u32,
    /// Their processes.
    pub list: Vec<TaskManagerStatus>,
}

/// A TaskManager's process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskManagerStatus {
    /// `tm-0`.
    pub id: WorkerId,
    /// Its host.
    pub host: String,
    /// Its process id, where known.
    pub pid: Option<u32>,
    /// YARN's container id.
    pub container: Option<String>,
}

/// Slots.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slots {
    /// Of all registered TaskManagers.
    pub total: u32,
    /// Not in use.
    pub free: u32,
}

/// Jobs by how they stand, as Flink's `/overview` counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jobs {
    /// Not ended.
    pub running: u32,
    /// Ended well.
    pub finished: u32,
    /// Ended by a fault.
    pub failed: u32,
    /// Ended on request.
    pub canceled: u32,
}

/// The agent's process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentStatus {
    /// Its host.
    pub host: String,
    /// Its process id.
    pub pid: u32,
}

/// Where a cluster is in ZooKeeper: what Flink's own client finds it by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HaStatus {
    /// Flink's `high-availability.cluster-id`.
    pub cluster_id: String,
    /// Flink's `high-availability.zookeeper.path.root`.
    pub root: String,
    /// Flink's `high-availability.zookeeper.quorum`; null until a ZooKeeper of the cluster's own has a port.
    pub quorum: Option<String>,
}

impl HaStatus {
    /// As the plan has it.
    pub fn of(plan: &HaPlan) -> Self {
        let quorum = match &plan.zookeeper {
            ZooKeeper::Quorum(quorum) => Some(quorum.clone()),
            ZooKeeper::Embedded(_) => None,
        };
        Self { cluster_id: plan.cluster_id.clone(), root: plan.root.clone(), quorum }
    }
}

/// What YARN knows a cluster by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct YarnStatus {
    /// `application_…`.
    pub application_id: String,
    /// The queue it runs in.
    pub queue: String,
    /// YARN's proxy URL.
    pub tracking_url: Option<String>,
}
