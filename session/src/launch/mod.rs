//! Starting a cluster's agent, waiting until the cluster is ready, and ending it.

pub mod local;
mod patience;
mod wait;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use kobel_conf::{Category, Explain};
use kobel_plan::{
    ClusterName, Status,
    api::{StopCause, StopRequest},
};
use tokio::time::Instant;

use crate::{
    control::{Control, ControlError},
    registry::{Cluster, RegistryError},
    yarn::{self, AdoptError, Application},
};

pub(crate) use local::INHERITED;
pub use local::{revive, start};
pub use patience::Patience;
pub use wait::{WaitError, wait_ready};

/// No agent could be started.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The record of the cluster is of no use.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// What YARN knows as this application could not be made known here.
    #[error(transparent)]
    Adopt(Box<AdoptError>),
    /// A file that the agent needs could not be written.
    #[error("cannot write {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The program of the agent could not be run.
    #[error("cannot run {} as the agent of cluster {name}", program.display())]
    Spawn {
        /// The cluster.
        name: ClusterName,
        /// The program.
        program: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The agent said why it cannot run.
    #[error("the agent of cluster {name} cannot run: {why}")]
    Refused {
        /// The cluster.
        name: ClusterName,
        /// What it said.
        why: String,
        /// Its last log lines.
        tail: Option<String>,
    },
    /// The agent ended without a word.
    #[error("the agent of cluster {name} died as it started ({how})")]
    Died {
        /// The cluster.
        name: ClusterName,
        /// Its exit status.
        how: String,
        /// Its last log lines.
        tail: Option<String>,
    },
    /// The agent did not get ready.
    #[error("the agent of cluster {name} said nothing within {} s", after.as_secs())]
    Silent {
        /// The cluster.
        name: ClusterName,
        /// The time allowed.
        after: Duration,
        /// Its last log lines.
        tail: Option<String>,
    },
}

impl Explain for LaunchError {
    fn category(&self) -> Category {
        match self {
            LaunchError::Registry(e) => e.category(),
            LaunchError::Adopt(e) => e.category(),
            LaunchError::File { .. } | LaunchError::Spawn { .. } | LaunchError::Refused { .. } => {
                Category::Environment
            }
            LaunchError::Died { .. } => Category::Other,
            LaunchError::Silent { .. } => Category::Timeout,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            LaunchError::Registry(e) => e.hint(),
            LaunchError::Adopt(e) => e.hint(),
            LaunchError::File { .. } | LaunchError::Spawn { .. } => Some("kobel doctor".into()),
            LaunchError::Refused { name, .. }
            | LaunchError::Died { name, .. }
            | LaunchError::Silent { name, .. } => Some(format!("kobel logs {name} --agent")),
        }
    }

    fn log_tail(&self) -> Option<String> {
        match self {
            LaunchError::Refused { tail, .. }
            | LaunchError::Died { tail, .. }
            | LaunchError::Silent { tail, .. } => tail.clone(),
            _ => None,
        }
    }
}

impl From<AdoptError> for LaunchError {
    fn from(error: AdoptError) -> Self {
        Self::Adopt(Box::new(error))
    }
}

/// A cluster that was not ended.
#[derive(Debug, thiserror::Error)]
pub enum EndError {
    /// Its record is of no use.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Its agent was gone and could not be started again.
    #[error("cluster {name} has lost its agent, which is needed to end it")]
    Revive {
        /// The cluster.
        name: ClusterName,
        /// Why not.
        source: LaunchError,
    },
    /// Its agent could not be asked.
    #[error("cannot ask cluster {name} to end")]
    Control {
        /// The cluster.
        name: ClusterName,
        /// Why not.
        source: ControlError,
    },
    /// It is still there.
    #[error("cluster {name} is being ended, and not over after {} s", after.as_secs())]
    Timeout {
        /// The cluster.
        name: ClusterName,
        /// The time allowed.
        after: Duration,
    },
}

impl Explain for EndError {
    fn category(&self) -> Category {
        match self {
            EndError::Registry(e) => e.category(),
            EndError::Revive { source, .. } => source.category(),
            EndError::Control { source, .. } => source.category(),
            EndError::Timeout { .. } => Category::Timeout,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            EndError::Registry(e) => e.hint(),
            EndError::Revive { source, .. } => source.hint(),
            EndError::Control { name, .. } => Some(format!("kobel logs {name} --agent")),
            EndError::Timeout { name, .. } => Some(format!("kobel kill {name}")),
        }
    }

    fn log_tail(&self) -> Option<String> {
        match self {
            EndError::Revive { source, .. } => source.log_tail(),
            _ => None,
        }
    }
}

/// Between two looks at a cluster that is coming or going.
const LOOK: Duration = Duration::from_millis(50);
/// How long an agent that is just starting may take to listen on its socket.
const LISTEN: Duration = Duration::from_secs(10);
/// What the agent may take on top of the workers' grace, to kill what did not go and to write it down.
const OVERHEAD: Duration = Duration::from_secs(15);

/// Ends a cluster and waits until nothing of it runs; an agent that died is started again first, so
/// that it finds the workers it left. A cluster that is over already stays as it is.
pub async fn end(agent: &Path, cluster: &Cluster, request: StopRequest) -> Result<Status, EndError> {
    if let Some(application) = Application::of(&cluster.dir)? {
        return Box::pin(yarn::end(cluster, &application, request)).await;
    }
    let name = cluster.name.clone();
    revive(agent, cluster).await.map_err(|source| EndError::Revive { name, source })?;
    if !cluster.agent_lives()? {
        return Ok(cluster.status().await?);
    }
    ask_to_end(cluster, &request).await?;
    let within = request.grace().saturating_add(OVERHEAD);
    let deadline = Instant::now() + within;
    while cluster.agent_lives()? {
        if Instant::now() >= deadline {
            return Err(EndError::Timeout { name: cluster.name.clone(), after: within });
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(cluster.status().await?)
}

/// Tells the agent; one that is only starting may not listen yet.
async fn ask_to_end(cluster: &Cluster, request: &StopRequest) -> Result<(), EndError> {
    let failed = |source| EndError::Control { name: cluster.name.clone(), source };
    let control = Control::open(&cluster.dir).map_err(failed)?;
    let deadline = Instant::now() + LISTEN;
    loop {
        match control.stop(request).await {
            Ok(()) => return Ok(()),
            // It ended by itself meanwhile.
            Err(_) if !cluster.agent_lives()? => return Ok(()),
            Err(ControlError::Unreachable(_)) if Instant::now() < deadline => {
                tokio::time::sleep(LOOK).await;
            }
            Err(other) => return Err(failed(other)),
        }
    }
}

/// Takes back a start that was interrupted or did not succeed: nothing of it goes on running.
pub async fn roll_back(agent: &Path, cluster: &Cluster) -> Result<Status, EndError> {
    end(agent, cluster, StopRequest::new(StopCause::RolledBack, Duration::from_secs(2))).await
}

#[cfg(test)]
mod tests;
