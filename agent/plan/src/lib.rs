//! What the submitting side and the agent share: typed ids, the plan of a cluster, worker
//! specifications and events, the status that people and scripts read, and the wire types of the
//! agent's API. No I/O happens here, so every provider and both ends of every call agree by type.

pub mod api;
pub mod deputy;
pub mod dirs;
pub mod event;
pub mod ha;
pub mod ids;
pub mod job;
pub mod kept;
pub mod plan;
pub mod snapshot;
pub mod status;
pub mod worker;
pub mod yarn;

pub use deputy::DeputyPlan;
pub use dirs::ClusterDir;
pub use event::{ClusterEvent, EventKind};
pub use ha::{Death, HaPlan, ZooKeeper};
pub use ids::{Attempt, ClusterName, FlinkRole, IdError, JobId, Role, WorkerId};
pub use job::{ClaimMode, JobPlan, JobState, JobStatus, Restore};
pub use kept::Kept;
pub use plan::{
    ClusterKind, ClusterPlan, FlinkHome, FlinkVersion, FrontPlan, HadoopPlan, JavaHome, PortChoice,
    ProviderKind, RolePlan, SLOTS_KEY, Wanted, needed_task_managers, slots_of_task_manager,
};
pub use snapshot::Snapshots;
pub use status::{ClusterState, Status};
pub use worker::{Exit, Fault, Launch, Phase, Resources, WorkerEvent, WorkerFile, WorkerSpec};

/// Version of every JSON document and endpoint that kobel writes or serves.
pub const API_VERSION: &str = "kobel/v1";
