//! Why an agent could not take charge of its cluster. Once it has, nothing is an error any more:
//! faults become the cluster's state.

use std::{io, path::PathBuf};

use kobel_conf::{Category, Explain};
use kobel_plan::ProviderKind;
use kobel_provider::ProviderError;

use crate::{FrontError, PortError, handle::Refusal};

/// The agent could not start.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Started by hand, or twice.
    #[error("{} is not locked by who started this agent", dir.display())]
    NotLocked {
        /// The cluster's directory.
        dir: PathBuf,
    },
    /// A file or directory of the cluster is not usable.
    #[error("could not {attempt} {}", path.display())]
    Io {
        /// What was tried: "read", "open".
        attempt: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The plan is not one that this version understands.
    #[error("could not understand {}", path.display())]
    Plan {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The plan asks for workers that cannot be.
    #[error("the plan cannot be carried out: {0}")]
    Wanted(String),
    /// The plan's provider is not part of this version.
    #[error("this agent has no provider {0}")]
    NoProvider(ProviderKind),
    /// The provider did not come up.
    #[error("could not set up the provider")]
    Provider(#[from] ProviderError),
    /// Another agent may be in charge: this one has let go of the cluster.
    #[error("not in charge any more: {why}")]
    Fenced {
        /// How that was heard of.
        why: String,
    },
    /// What an ApplicationMaster finds in its container is not what it needs.
    #[error("could not use the container: {0}")]
    Container(String),
    /// The plan's place in ZooKeeper is none.
    #[error("could not follow the election in ZooKeeper")]
    Election(#[from] kobel_flink::ha::LayoutError),
    /// No archives of classes were made.
    #[error("could not make archives of classes")]
    Training(#[source] Box<kobel_flink::train::TrainError>),
    /// YARN would not have this ApplicationMaster.
    #[error("could not register at YARN")]
    Register(#[from] kobel_hadoop_rpc::yarn::MasterError),
    /// HDFS refused, or does not answer.
    #[error("could not use the application's directory")]
    Staging(#[from] kobel_staging::StagingError),
    /// No port for the cluster's own ZooKeeper.
    #[error(transparent)]
    Port(#[from] PortError),
    /// No address to serve the cluster at.
    #[error(transparent)]
    Front(#[from] FrontError),
    /// The runtime refused something.
    #[error("could not {attempt}")]
    Runtime {
        /// What was tried.
        attempt: &'static str,
        /// Why not.
        source: io::Error,
    },
}

impl From<Refusal> for AgentError {
    fn from(refusal: Refusal) -> Self {
        Self::Wanted(refusal.to_string())
    }
}

impl Explain for AgentError {
    fn category(&self) -> Category {
        match self {
            Self::NotLocked { .. } => Category::Usage,
            Self::Provider(error) => error.category(),
            _ => Category::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotLocked { .. } => Some("kobel start".into()),
            Self::Provider(error) => error.hint(),
            Self::Front(FrontError::Bind(PortError::Pinned { .. })) => {
                Some("choose another rest.port, or leave it out: kobel then takes a free one".into())
            }
            _ => None,
        }
    }
}
