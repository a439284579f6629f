//! Waiting until a cluster is ready.

use std::time::Duration;

use futures_util::StreamExt;
use kobel_conf::{Category, Explain};
use kobel_plan::{ClusterName, ClusterState, Status};
use tokio::time::Instant;

use super::Patience;
use crate::{
    control::{Control, ControlError},
    logs,
    registry::{Cluster, RegistryError},
};

/// How long an agent may take to go when its cluster is over.
const LEAVING: Duration = Duration::from_secs(10);

/// A cluster that did not get ready.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// Its record is of no use.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// It ended before.
    #[error("cluster {name} {}: {}", verb(*state), reason.as_deref().unwrap_or("no reason is known"))]
    Ended {
        /// The cluster.
        name: ClusterName,
        /// Stopped or failed.
        state: ClusterState,
        /// Why.
        reason: Option<String>,
        /// The last lines of the log that explains it.
        tail: Option<String>,
    },
    /// The time ran out.
    #[error("cluster {name} is not ready after {} s: {missing}", after.as_secs())]
    Timeout {
        /// The cluster.
        name: ClusterName,
        /// The time allowed.
        after: Duration,
        /// What it still lacks.
        missing: String,
        /// The last lines of the log that explains it.
        tail: Option<String>,
    },
    /// Its agent died.
    #[error("the agent of cluster {name} died before the cluster was ready")]
    AgentDied {
        /// The cluster.
        name: ClusterName,
        /// What was noticed, if more than its absence.
        source: Option<ControlError>,
        /// The last lines of its log.
        tail: Option<String>,
    },
}

fn verb(state: ClusterState) -> &'static str {
    if state == ClusterState::Failed { "failed" } else { "was stopped" }
}

impl Explain for WaitError {
    fn category(&self) -> Category {
        match self {
            WaitError::Registry(e) => e.category(),
            WaitError::Ended { .. } => Category::FailedEnd,
            WaitError::Timeout { .. } => Category::Timeout,
            WaitError::AgentDied { .. } => Category::Other,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            WaitError::Registry(e) => return e.hint(),
            WaitError::Ended { name, .. } => format!("kobel logs {name} --all"),
            WaitError::Timeout { name, .. } => format!("kobel start {name} --timeout 5m"),
            WaitError::AgentDied { name, .. } => format!("kobel logs {name} --agent"),
        })
    }

    fn log_tail(&self) -> Option<String> {
        match self {
            WaitError::Registry(_) => None,
            WaitError::Ended { tail, .. }
            | WaitError::Timeout { tail, .. }
            | WaitError::AgentDied { tail, .. } => tail.clone(),
        }
    }
}

/// Waits until the cluster is ready, while there is patience; ends early when it never will be. Every status
/// on the way is told.
pub async fn wait_ready(
    cluster: &Cluster,
    patience: &Patience,
    on_status: &mut dyn FnMut(&Status),
) -> Result<Status, WaitError> {
    let mut last = None;
    let watching = watch(cluster, |status| {
        patience.heard(status);
        on_status(status);
        last = Some(status.clone());
    });
    tokio::select! {
        ready = watching => return ready,
        () = patience.ends() => {}
    }
    Err(timed_out(cluster, patience.within(), last))
}

/// On YARN nobody knows how long an agent takes to come, nor whether it comes again.
async fn watch_on_yarn(cluster: &Cluster, mut on_status: impl FnMut(&Status)) -> Result<Status, WaitError> {
    loop {
        let status = cluster.status().await?;
        on_status(&status);
        match status.state {
            ClusterState::Ready => return Ok(status),
            state if state.is_terminal() => {
                if let Err(error) = cluster.sweep().await {
                    tracing::warn!(%error, "what the cluster left on HDFS is for gc");
                }
                return Err(ended(cluster, status).await);
            }
            _ => {}
        }
        if status.agent.is_some()
            && let Ok(control) = Control::open(&cluster.dir)
            && let Ok(mut statuses) = control.watch().await
        {
            while let Some(Ok(status)) = statuses.next().await {
                on_status(&status);
                if status.state == ClusterState::Ready || status.state.is_terminal() {
                    break;
                }
            }
        }
        tokio::time::sleep(super::LOOK).await;
    }
}

async fn watch(cluster: &Cluster, mut on_status: impl FnMut(&Status)) -> Result<Status, WaitError> {
    if cluster.is_on_yarn() {
        return watch_on_yarn(cluster, on_status).await;
    }
    let died = |source| WaitError::AgentDied {
        name: cluster.name.clone(),
        source,
        tail: cluster.plan().ok().and_then(|plan| logs::explaining(&plan.log_dir, None)),
    };
    let control = Control::open(&cluster.dir).map_err(|e| died(Some(e)))?;
    let mut broken = None;
    // The stream ends when the cluster is over; what ended it is in the record then.
    match control.watch().await {
        Ok(mut statuses) => {
            while let Some(status) = statuses.next().await {
                match status {
                    Ok(status) if status.state == ClusterState::Ready => {
                        on_status(&status);
                        return Ok(status);
                    }
                    Ok(status) if status.state.is_terminal() => return Err(ended(cluster, status).await),
                    Ok(status) => on_status(&status),
                    Err(e) => {
                        broken = Some(e);
                        break;
                    }
                }
            }
        }
        Err(e) => broken = Some(e),
    }
    let status = cluster.status().await?;
    if status.state.is_terminal() { Err(ended(cluster, status).await) } else { Err(died(broken)) }
}

/// The cluster is over; its agent goes right after it said so, and then nothing of it runs.
async fn ended(cluster: &Cluster, status: Status) -> WaitError {
    let deadline = Instant::now() + LEAVING;
    while cluster.agent_lives().unwrap_or(false) && Instant::now() < deadline {
        tokio::time::sleep(super::LOOK).await;
    }
    WaitError::Ended {
        name: cluster.name.clone(),
        state: status.state,
        tail: logs::explaining(&status.log_dir, status.reason.as_deref()),
        reason: status.reason,
    }
}

fn timed_out(cluster: &Cluster, after: Duration, last: Option<Status>) -> WaitError {
    let missing = last.as_ref().map_or("nothing is known of it".into(), missing);
    // A TaskManager that does not find its JobManager says so itself; whatever else is missing is the
    // JobManager's matter.
    let about = match &last {
        Some(status) if lacks_task_managers(status) => "tm-0",
        _ => "jm-0",
    };
    let log_dir = last.map(|s| s.log_dir);
    WaitError::Timeout {
        name: cluster.name.clone(),
        after,
        tail: log_dir.and_then(|dir| logs::explaining(&dir, Some(about))),
        missing,
    }
}

/// What a cluster lacks to be ready.
fn missing(status: &Status) -> String {
    if let Some(reason) = &status.reason {
        return reason.clone();
    }
    if status.rest_url.is_none() {
        "it has no address yet".into()
    } else if !status.masters.iter().any(|m| m.leader) {
        "no JobManager leads yet".into()
    } else if lacks_task_managers(status) {
        let managers = &status.task_managers;
        format!("{} of {} TaskManagers are registered", managers.running, managers.wanted)
    } else {
        format!("it is {}", status.state)
    }
}

fn lacks_task_managers(status: &Status) -> bool {
    let led = status.masters.iter().any(|master| master.leader);
    led && status.task_managers.running < status.task_managers.wanted
}
