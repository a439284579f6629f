//! Why a cluster could not be found, claimed or forgotten.

use std::{io, path::PathBuf};

use kobel_conf::{Category, Explain, dirs::DirsError};
use kobel_plan::{ClusterName, ClusterState};
use kobel_staging::StagingError;

/// Finding, claiming or forgetting a cluster failed.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Nobody knows it.
    #[error("there is no cluster {name}")]
    NoSuchCluster {
        /// The name asked for.
        name: ClusterName,
        /// Those that exist.
        known: Vec<ClusterName>,
    },
    /// No session exists at all.
    #[error("there is no session")]
    NoSession,
    /// The name is taken.
    #[error("cluster {name} exists already ({state})")]
    Exists {
        /// The name.
        name: ClusterName,
        /// Where that cluster stands.
        state: ClusterState,
    },
    /// The name is taken by a cluster whose agent died; its processes may be alive.
    #[error("cluster {name} exists already, though its agent is gone")]
    AgentGone {
        /// The name.
        name: ClusterName,
    },
    /// It cannot be forgotten while it lives.
    #[error("cluster {name} is not over ({state}), so its record cannot be removed")]
    NotOver {
        /// The name.
        name: ClusterName,
        /// Where it stands.
        state: ClusterState,
    },
    /// A directory is not ours alone.
    #[error(transparent)]
    Dirs(#[from] DirsError),
    /// A file of the cluster could not be used.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was attempted.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file of the cluster does not say what it should.
    #[error("{} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl Explain for RegistryError {
    fn category(&self) -> Category {
        match self {
            RegistryError::NoSuchCluster { .. } | RegistryError::NoSession => Category::NotFound,
            RegistryError::Dirs(e) => e.category(),
            RegistryError::File { source, .. } if source.kind() != io::ErrorKind::PermissionDenied => {
                Category::Environment
            }
            RegistryError::File { .. } => Category::Denied,
            RegistryError::Damaged { .. } => Category::Environment,
            _ => Category::Other,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            RegistryError::NoSuchCluster { known, .. } if !known.is_empty() => {
                let names: Vec<_> = known.iter().map(ClusterName::as_str).collect();
                format!("kobel ps   (known: {})", names.join(", "))
            }
            RegistryError::NoSuchCluster { name, .. } => format!("kobel start {name}"),
            RegistryError::NoSession => "kobel start".into(),
            RegistryError::Exists { name, .. } => {
                format!("kobel stop {name}   (or start another one: kobel start NAME)")
            }
            RegistryError::AgentGone { name } | RegistryError::NotOver { name, .. } => {
                format!("kobel stop {name}")
            }
            RegistryError::Dirs(e) => return e.hint(),
            RegistryError::File { .. } => "kobel doctor".into(),
            RegistryError::Damaged { path, .. } => {
                let dir = path.parent().unwrap_or(path).display();
                format!("rm -r {dir}   (when none of its processes runs: pgrep -f {dir})")
            }
        })
    }
}

/// What a cluster left on HDFS could not be removed.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// What is kept of it is of no use.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// HDFS did not do it.
    #[error(transparent)]
    Staging(#[from] StagingError),
}

/// For `map_err`: what was attempted on which path.
pub(crate) fn file_error(
    action: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(io::Error) -> RegistryError {
    let path = path.into();
    move |source| RegistryError::File { action, path, source }
}
