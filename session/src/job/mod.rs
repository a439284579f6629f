//! Jobs of a running cluster, over Flink's REST API by way of the front.

mod cancel;
mod follow;
mod jar;
mod list;
mod output;
mod savepoint;
mod submit;

use std::path::PathBuf;

use kobel_conf::{Category, Explain};
use kobel_flink::{FlinkRest, RestError};
use kobel_plan::{ClusterName, ClusterState, JobId, Status};

pub use cancel::{CancelError, cancel};
pub use follow::{FollowError, JobEnded, News, Progress, follow};
pub use jar::{JarError, JarFile};
pub use list::{find, list};
pub use output::Output;
pub use savepoint::{SavepointError, directory as savepoint_directory, savepoint};
pub use submit::{JobRequest, Outcome, Stage, SubmitError, submit};

/// The cluster that jobs are sent to.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its REST API.
    pub rest: FlinkRest,
    /// Its logs, where they can be read from here.
    pub log_dir: PathBuf,
}

/// A cluster that cannot take jobs now.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// It is not up, or no longer.
    #[error("cluster {name} takes no jobs: it is {state}{}", why(reason.as_deref()))]
    NotReady {
        /// The cluster.
        name: ClusterName,
        /// Where it stands.
        state: ClusterState,
        /// Why it stands there.
        reason: Option<String>,
    },
    /// Its address is none.
    #[error("cannot use the address of cluster {name}")]
    Address {
        /// The cluster.
        name: ClusterName,
        /// Why not.
        source: RestError,
    },
}

fn why(reason: Option<&str>) -> String {
    reason.map(|r| format!(" ({r})")).unwrap_or_default()
}

impl Explain for TargetError {
    fn category(&self) -> Category {
        match self {
            TargetError::NotReady { .. } => Category::NotReady,
            TargetError::Address { .. } => Category::Other,
        }
    }

    fn hint(&self) -> Option<String> {
        let TargetError::NotReady { name, state, .. } = self else { return None };
        Some(match state {
            state if state.is_terminal() => format!("kobel start {name}"),
            _ => format!("kobel wait {name} --for ready"),
        })
    }
}

impl Target {
    /// The cluster with this status. One that is degraded takes jobs as long as its agent answers.
    pub fn of(status: &Status) -> Result<Self, TargetError> {
        let open =
            matches!(status.state, ClusterState::Ready | ClusterState::Degraded) && status.agent.is_some();
        let Some(url) = status.rest_url.as_ref().filter(|_| open) else {
            let reason = status.reason.clone();
            return Err(TargetError::NotReady { name: status.name.clone(), state: status.state, reason });
        };
        let rest = FlinkRest::new(url)
            .map_err(|source| TargetError::Address { name: status.name.clone(), source })?;
        Ok(Self { rest, log_dir: status.log_dir.clone() })
    }
}

/// A job id that nobody else has.
pub fn random_job_id() -> Result<JobId, std::io::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(JobId::from_bytes(bytes))
}

#[cfg(test)]
mod tests;
