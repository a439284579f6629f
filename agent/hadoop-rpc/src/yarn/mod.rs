//! YARN's protocols: typed clients of the ResourceManager's two ports and of the NodeManagers, plain types
//! outside, messages inside. No policy: what to ask for, and when, is the caller's.

mod app;
mod client;
mod compose;
mod convert;
mod error;
mod exit;
#[cfg(test)]
pub(crate) mod fuzz;
mod ids;
mod launch;
mod log;
mod master;
mod node;
mod outbox;
mod resource;
#[cfg(test)]
mod tests;

pub use app::{
    AppReport, AppState, ClusterMetrics, ContainerReport, FinalStatus, LogCollection, LogStatus, Master,
    NewApplication, NodeReport, NodeState, Queue, QueueState, Submission,
};
pub use client::{AppFilter, ResourceManager};
pub use convert::Malformed;
pub use error::{ClientError, MasterError, NodeError};
pub use exit::ContainerExit;
pub use ids::{ApplicationId, AttemptId, ContainerId, IdError, NodeId};
pub use launch::{Launch, LocalResource, ResourceKind, ResourceUrl, UrlError, Visibility};
pub use log::ContainerLog;
pub use master::{Allocated, Beat, Completed, Registered, Registration, Scheduler};
pub use node::{NodeManager, NodeStatus, Outcomes, Refusal, Signal};
pub use outbox::Outbox;
pub use resource::{Ask, Container, Granted, Place, Resource};
