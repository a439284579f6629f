//! Ending a cluster on YARN: its master is asked first, then the ResourceManager.

use std::time::Duration;

use kobel_hadoop_rpc::yarn::AppState;
use kobel_plan::{
    ClusterState, Status,
    api::{StopCause, StopRequest},
};
use tokio::time::Instant;

use super::{
    Application,
    logs::copy_logs,
    seen::{copy_events, over},
};
use crate::{
    control::{Control, ControlError},
    launch::EndError,
    registry::Cluster,
};

/// Between two looks at an application.
const LOOK: Duration = Duration::from_millis(100);
/// What a master may take on top of the workers' grace, to give back its containers and take its leave.
const OVERHEAD: Duration = Duration::from_secs(20);

/// Ends the cluster and waits until YARN knows that it is over. Only who is in a hurry, or takes back a
/// start, has it killed by YARN where its master does not go.
pub(crate) async fn end(
    cluster: &Cluster,
    application: &Application,
    request: StopRequest,
) -> Result<Status, EndError> {
    let ending = Ending { cluster, application, request };
    let status = ending.run().await?;
    if let Err(error) = application.remove_files().await {
        tracing::warn!(id = %application.id, %error, "the application's directory is left for gc");
    }
    Ok(status)
}

struct Ending<'a> {
    cluster: &'a Cluster,
    application: &'a Application,
    request: StopRequest,
}

impl Ending<'_> {
    async fn run(&self) -> Result<Status, EndError> {
        let before = self.cluster.status().await?;
        if before.state.is_terminal() {
            // A submission that was broken off may arrive yet.
            if self.request.by == StopCause::RolledBack {
                self.ask_yarn().await?;
            }
            return Ok(before);
        }
        let patient = self.request.by == StopCause::Stop;
        if patient {
            // Of a master that is gone nobody hears its timeline any more.
            copy_events(self.cluster).await?;
            if let Err(error) = copy_logs(&self.cluster.dir, self.application, None).await {
                tracing::info!(%error, "the logs of the last minutes are YARN's alone");
            }
        }
        let control = Control::open(&self.cluster.dir).map_err(|e| self.failed(e))?;
        match control.stop(&self.request).await {
            Ok(()) => {}
            // A master that has not begun has nothing to lose.
            Err(ControlError::NoMaster { .. }) => return self.kill(before).await,
            // A reply that is lost changes nothing: what it came to is seen.
            Err(ControlError::Unknown(..)) if patient => {}
            Err(error) if patient => return Err(self.failed(error)),
            Err(_) => return self.kill(before).await,
        }
        let within = self.request.grace().saturating_add(OVERHEAD);
        let deadline = Instant::now() + within;
        loop {
            let status = self.cluster.status().await?;
            if status.state.is_terminal() {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        if patient {
            return Err(EndError::Timeout { name: self.cluster.name.clone(), after: within });
        }
        self.kill(before).await
    }

    fn words(&self) -> &'static str {
        match self.request.by {
            StopCause::RolledBack => "taken back by `kobel start`",
            StopCause::Kill => "killed by `kobel kill`",
            _ => "stopped by `kobel stop`",
        }
    }

    async fn ask_yarn(&self) -> Result<Option<AppState>, EndError> {
        self.application.kill(self.words()).await.map_err(|e| self.failed(ControlError::Lookup(e)))
    }

    async fn kill(&self, before: Status) -> Result<Status, EndError> {
        match self.ask_yarn().await? {
            Some(AppState::Finished | AppState::Failed) => Ok(self.cluster.status().await?),
            _ => {
                let status = over(&before, ClusterState::Stopped, self.words().into());
                self.cluster.remember(&status)?;
                Ok(status)
            }
        }
    }

    fn failed(&self, source: ControlError) -> EndError {
        EndError::Control { name: self.cluster.name.clone(), source }
    }
}
