//! The ResourceManager's REST API: one method a call, each with its deadline, typed answers, typed errors.

mod apps;
mod cluster;
pub(super) mod submission;
#[cfg(test)]
pub(super) mod tests;
mod transport;
mod types;

pub use transport::RmRest;
pub use types::{AttemptInfo, ClusterInfo, ContainerInfo};
