//! Flink's REST API: one method a call, each with its deadline, typed answers, typed errors.

mod cause;
mod checkpoints;
mod error;
mod insight;
mod jars;
mod jobs;
mod operations;
mod savepoints;
#[cfg(test)]
mod tests;
mod transport;
mod types;

pub use checkpoints::CheckpointKind;
pub use error::{Call, Effect, RestError};
pub use insight::{
    Checkpoint, CheckpointCounts, Checkpoints, JobException, LatestCheckpoints, RestoredCheckpoint,
};
pub(crate) use jobs::failure;
pub use kobel_plan::{ClaimMode, JobState, job::Failure};
pub use operations::{Operation, TriggerId};
pub use savepoints::{Disposal, SavepointFormat, SavepointKind, SavepointWish};
pub use transport::FlinkRest;
pub use types::{
    Jar, JarId, JobDetails, JobEnd, JobResult, JobSummary, Overview, RunRequest, TaskCounts, TaskManager,
    Vertex,
};
