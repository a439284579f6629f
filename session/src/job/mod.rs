//! Jobs of a running cluster, over Flink's REST API by way of the front.

mod cancel;
mod claim;
mod follow;
mod jar;
mod latest;
mod list;
mod operations;
mod output;
mod plan;
mod savepoint;
mod submit;

use std::{path::PathBuf, time::Duration};

use jiff::Timestamp;
use kobel_conf::{Category, Explain};
use kobel_flink::{FlinkRest, RestError, rest::JobResult};
use kobel_plan::{ClusterName, ClusterState, JobId, Status, WorkerId};
use tokio::time::{Instant, sleep};

use crate::control::{Control, ControlError};

pub use cancel::{CancelError, cancel};
pub use claim::{NoLegacy, check_claim_mode};
pub use follow::{FollowError, JobEnded, News, Progress, follow};
pub use jar::{JarError, JarFile};
pub use latest::{Latest, LatestError, latest};
pub use list::{find, list};
pub use operations::{OperationError, checkpoint, dispose, trigger_savepoint};
pub use output::Output;
pub use plan::plan;
pub use savepoint::{SavepointError, SavepointRequest, directory as savepoint_directory, savepoint};
pub use submit::{JobRequest, Outcome, Stage, SubmitError, submit};

/// The cluster that jobs are sent to.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its REST API.
    pub rest: FlinkRest,
    /// Its logs, where they can be read from here.
    pub log_dir: PathBuf,
    /// With high availability, who knows of jobs that the leader does not know any more.
    pub agent: Option<Control>,
}

/// A JobManager, and since when it has led.
type Leader = (WorkerId, Option<Timestamp>);

/// What is known of a job's end beside what the leader says.
#[derive(Debug)]
enum Written {
    /// Flink has written it down: so it stays, whoever leads.
    Down(JobResult),
    /// It has not, or cannot be asked at the moment.
    NotYet,
    /// Nobody can tell.
    Nowhere,
}

/// How long a cluster with high availability may be without a leader that answers.
const LEADERLESS: Duration = Duration::from_secs(60);
/// Between two questions to a cluster without one.
const AGAIN: Duration = Duration::from_millis(250);

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
        // An address that Flink can be asked at is one for the agent, too.
        let agent = status.ha.as_ref().and_then(|_| Control::at(rest.address()).ok());
        Ok(Self { rest, log_dir: status.log_dir.clone(), agent })
    }

    /// Whether another JobManager takes over when the leader is lost.
    fn fails_over(&self) -> bool {
        self.agent.is_some()
    }

    /// Waits for a leader, where another one comes after one that is lost.
    pub async fn wait_for_leader(&self) -> Result<(), RestError> {
        match self.fails_over() {
            true => self.ask(async |rest| rest.overview().await).await.map(drop),
            false => Ok(()),
        }
    }

    /// What the cluster says to a question that may be asked twice. Where another leader comes after one that is
    /// lost, it is waited for.
    async fn ask<T>(
        &self,
        question: impl AsyncFn(&FlinkRest) -> Result<T, RestError>,
    ) -> Result<T, RestError> {
        let deadline = Instant::now() + LEADERLESS;
        loop {
            match question(&self.rest).await {
                Err(error) if self.fails_over() && error.is_passing() && Instant::now() < deadline => {
                    tracing::debug!(%error, "no leader answers");
                    sleep(AGAIN).await;
                }
                settled => return settled,
            }
        }
    }

    /// Who leads, where it may be another one later and the agent tells.
    async fn leader(&self) -> Option<Leader> {
        let status = self.agent.as_ref()?.status().await.ok()?;
        status
            .masters
            .into_iter()
            .find(|master| master.leader)
            .map(|master| (master.id, master.leading_since))
    }

    /// What Flink wrote down of a job's end.
    async fn written(&self, job: JobId) -> Written {
        let Some(agent) = &self.agent else { return Written::Nowhere };
        match agent.job_result(job).await {
            Ok(Some(result)) => Written::Down(result),
            Ok(None) => Written::NotYet,
            Err(ControlError::Refused { why, .. }) => {
                tracing::debug!(%job, why, "results of jobs cannot be read");
                Written::Nowhere
            }
            Err(error) => {
                tracing::debug!(%job, %error, "the agent does not answer");
                Written::NotYet
            }
        }
    }
}

/// A job id that nobody else has.
pub fn random_job_id() -> Result<JobId, std::io::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(JobId::from_bytes(bytes))
}

#[cfg(test)]
mod failover_tests;
#[cfg(test)]
mod tests;
