//! Why an application could not be submitted.

use std::path::PathBuf;

use kobel_conf::{Category, Explain, units::MemorySize};
use kobel_hadoop_rpc::yarn::UrlError;
use kobel_plan::FlinkRole;
use kobel_staging::{BlobError, StagingError};

use super::super::{
    KeyError,
    manager::{RmError, SubmitError},
};
use crate::registry::RegistryError;

/// An application could not be submitted.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The cluster's directory is of no use.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A file of the cluster cannot be written.
    #[error("cannot write {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The ResourceManager gave no id.
    #[error(transparent)]
    Rm(#[from] RmError),
    /// The ResourceManager did not take it.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// What is to be uploaded cannot be read.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// HDFS did not take what the nodes need.
    #[error(transparent)]
    Staging(#[from] StagingError),
    /// A node cannot be told where a file is.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// A container is larger than YARN gives out.
    #[error("a {} of {size} does not fit: YARN gives out containers up to {largest}", role.noun())]
    TooLarge {
        /// Whose.
        role: FlinkRole,
        /// Its container.
        size: MemorySize,
        /// The largest.
        largest: MemorySize,
    },
    /// What is asked of YARN is not to be had.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// There is no randomness for a secret.
    #[error("the system gives no random numbers")]
    Random(#[source] std::io::Error),
}

impl Explain for StartError {
    fn category(&self) -> Category {
        match self {
            StartError::Registry(e) => e.category(),
            StartError::Rm(e) => e.category(),
            StartError::Submit(e) => e.category(),
            StartError::Blob(e) => e.category(),
            StartError::Staging(e) => e.category(),
            StartError::Key(e) => e.category(),
            _ => Category::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            StartError::Registry(e) => e.hint(),
            StartError::Rm(e) => e.hint(),
            StartError::Submit(e) => e.hint(),
            StartError::Blob(e) => e.hint(),
            StartError::Staging(e) => e.hint(),
            StartError::Key(e) => e.hint(),
            StartError::TooLarge { role: FlinkRole::JobManager, .. } => Some("--jm-mem 1g".into()),
            StartError::TooLarge { role: FlinkRole::TaskManager, .. } => Some("--tm-mem 1g".into()),
            _ => None,
        }
    }
}
