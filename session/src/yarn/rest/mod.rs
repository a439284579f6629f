//! The ResourceManager's REST API: one method a call, each with its deadline, typed answers, typed errors.

mod apps;
mod cluster;
mod error;
mod submission;
#[cfg(test)]
mod tests;
mod transport;
mod types;
mod waits;

pub use apps::{Sighting, SubmitError};
pub use cluster::QueueUse;
pub use error::{Call, RmError};
pub use transport::RmRest;
pub use types::{AttemptInfo, ClusterInfo, ContainerInfo};
pub use waits::{Wait, Wanted};
