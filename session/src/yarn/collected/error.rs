//! What bringing collected logs can come to.

use kobel_conf::{Category, Explain};
use kobel_hadoop_rpc::yarn::ApplicationId;
use kobel_plan::ClusterName;
use kobel_staging::FsError;

use super::TFileError;
use crate::registry::RegistryError;

/// What YARN collected cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum CollectedError {
    /// The files are of another form.
    #[error("YARN collects logs as {format} (yarn.log-aggregation.file-formats), and kobel reads TFile")]
    Format {
        /// The application.
        id: ApplicationId,
        /// The form.
        format: String,
    },
    /// The nodes are still at it.
    #[error("YARN is still collecting the logs of {id}")]
    NotYet {
        /// The application.
        id: ApplicationId,
        /// The cluster.
        name: ClusterName,
    },
    /// HDFS does not hand them out.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// A file is not what it should be.
    #[error("cannot read the collected logs in {url}")]
    File {
        /// The file.
        url: String,
        /// Why not.
        source: TFileError,
    },
    /// They cannot be written down.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl Explain for CollectedError {
    fn category(&self) -> Category {
        match self {
            CollectedError::Format { .. } => Category::Environment,
            CollectedError::NotYet { .. } => Category::NotReady,
            CollectedError::Fs(e) => e.category(),
            CollectedError::File { .. } => Category::Other,
            CollectedError::Registry(e) => e.category(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            CollectedError::Format { id, .. } => Some(format!("yarn logs -applicationId {id}")),
            CollectedError::NotYet { name, .. } => Some(format!("kobel logs {name}   (a little later)")),
            CollectedError::Fs(e) => e.hint(),
            CollectedError::File { .. } => None,
            CollectedError::Registry(e) => e.hint(),
        }
    }
}

/// What stopped the reading of a file.
#[derive(Debug)]
pub(super) enum Stopped {
    File(TFileError),
    Registry(RegistryError),
}

impl From<TFileError> for Stopped {
    fn from(error: TFileError) -> Self {
        Stopped::File(error)
    }
}

impl From<RegistryError> for Stopped {
    fn from(error: RegistryError) -> Self {
        Stopped::Registry(error)
    }
}

impl Stopped {
    /// The same with the file's place.
    pub(super) fn at(self, url: String) -> CollectedError {
        match self {
            Stopped::File(source) => CollectedError::File { url, source },
            Stopped::Registry(error) => CollectedError::Registry(error),
        }
    }
}
