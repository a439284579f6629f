//! How the servers reach the supervisor: they read the status it publishes and send it requests.

use std::{path::PathBuf, sync::Arc, time::Duration};

use kobel_plan::{
    Status, Wanted, WorkerId,
    api::{DrillRequest, ScaleRequest, StopRequest, Struck},
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};

use crate::{election::Storage, snapshots::SnapshotKeeper};

/// More workers of one role than this is a slip of the finger.
const MOST_WORKERS: u32 = 10_000;

/// How long the JobManager may take to be asked how it stands before what was known must do.
const A_LOOK: Duration = Duration::from_millis(300);

/// The supervisor, seen from its servers.
#[derive(Debug, Clone)]
pub(crate) struct Handle {
    /// The present status and every change.
    pub(crate) status: watch::Receiver<Arc<Status>>,
    /// Where requests go.
    pub(crate) requests: mpsc::Sender<Request>,
    /// The file of the timeline.
    pub(crate) events: PathBuf,
    /// Where Flink writes down how jobs ended: only with high availability, and where it can be read.
    pub(crate) results: Option<Storage>,
    /// Who knows what jobs can be started from.
    pub(crate) snapshots: SnapshotKeeper,
}

/// Something asked of the supervisor; the answer comes through the channel in it.
#[derive(Debug)]
pub(crate) enum Request {
    /// End the cluster; answered when it is ending.
    Stop(StopRequest, oneshot::Sender<()>),
    /// Ask the JobManager at once; answered when what it said is in the status.
    Look(oneshot::Sender<()>),
    /// Change the number of workers; answered with what is wanted now.
    Scale(ScaleRequest, oneshot::Sender<Result<Wanted, Refusal>>),
    /// Do something bad to a worker's process; answered when it is done.
    Drill(DrillRequest, oneshot::Sender<Result<Struck, Refusal>>),
    /// Replace a worker's process; answered when the present one is leaving.
    Restart(WorkerId, oneshot::Sender<Result<(), Refusal>>),
}

/// Why a request was not granted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The cluster is ending or over.
    #[error("the cluster is ending")]
    Ending,
    /// There is no such worker.
    #[error("there is no {0}")]
    NoSuchWorker(WorkerId),
    /// The provider did not take the order.
    #[error("{0} could not be told to go; the agent's log says why")]
    NotReleased(WorkerId),
    /// Its jobs would be lost with it.
    #[error("without high availability the jobs would be gone with {0}")]
    NotHighlyAvailable(WorkerId),
    /// The signal did not get there.
    #[error("{0}")]
    NotStruck(String),
    /// Several JobManagers without high availability would be several clusters.
    #[error("{0} JobManagers need high availability: one is the most without")]
    TooManyMasters(u32),
    /// More stand in each other's way, and in ZooKeeper's.
    #[error("{0} JobManagers are too many: {most} is the most", most = Wanted::MOST_JOB_MANAGERS)]
    TooManyStandbys(u32),
    /// So many are not meant.
    #[error("{0} TaskManagers are too many: {MOST_WORKERS} is the most")]
    TooManyWorkers(u32),
}

impl Handle {
    /// Brings the status up to date; for a JobManager that takes its time, as far as it is known.
    pub(crate) async fn look(&self) {
        let (reply, answer) = oneshot::channel();
        let looked = async {
            let _ = self.requests.send(Request::Look(reply)).await;
            let _ = answer.await;
        };
        let _ = timeout(A_LOOK, looked).await;
    }

    /// Somebody changed something at the JobManager: what follows is not to be noticed late. Does not wait.
    pub(crate) fn hint(&self) {
        // With so many requests before this one the JobManager is asked anyway.
        let _ = self.requests.try_send(Request::Look(oneshot::channel().0));
    }

    /// Asks for the end; false if the supervisor is gone already. What is remembered of the jobs, and of what they
    /// can be started from, is as of this moment, unless there is no time for it.
    pub(crate) async fn stop(&self, request: StopRequest) -> bool {
        if request.grace_ms > 0 {
            tokio::join!(self.look(), self.snapshots.look());
        }
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::Stop(request, reply)).await.is_ok() && answer.await.is_ok()
    }

    /// Asks for another number of workers.
    pub(crate) async fn scale(&self, request: ScaleRequest) -> Result<Wanted, Refusal> {
        let (reply, answer) = oneshot::channel();
        let sent = self.requests.send(Request::Scale(request, reply)).await;
        sent.map_err(|_| Refusal::Ending)?;
        answer.await.unwrap_or(Err(Refusal::Ending))
    }

    /// Asks for something bad to be done to a worker's process.
    pub(crate) async fn drill(&self, request: DrillRequest) -> Result<Struck, Refusal> {
        let (reply, answer) = oneshot::channel();
        let sent = self.requests.send(Request::Drill(request, reply)).await;
        sent.map_err(|_| Refusal::Ending)?;
        answer.await.unwrap_or(Err(Refusal::Ending))
    }

    /// Asks for a worker's process to be replaced.
    pub(crate) async fn restart(&self, worker: WorkerId) -> Result<(), Refusal> {
        let (reply, answer) = oneshot::channel();
        let sent = self.requests.send(Request::Restart(worker, reply)).await;
        sent.map_err(|_| Refusal::Ending)?;
        answer.await.unwrap_or(Err(Refusal::Ending))
    }
}

/// What is wanted after a request to scale a cluster, with high availability or without.
pub(crate) fn scaled(now: Wanted, request: ScaleRequest, ha: bool) -> Result<Wanted, Refusal> {
    let mut wanted = now;
    match request {
        ScaleRequest::To(to) => wanted = to,
        ScaleRequest::TaskManagersTo(to) => wanted.task_managers = to,
        ScaleRequest::JobManagers(by) => wanted.job_managers = wanted.job_managers.saturating_add_signed(by),
        ScaleRequest::TaskManagers(by) => {
            wanted.task_managers = wanted.task_managers.saturating_add_signed(by)
        }
    }
    check(wanted, ha)?;
    Ok(wanted)
}

/// Whether a cluster, with high availability or without, can have so many workers.
pub(crate) fn check(wanted: Wanted, ha: bool) -> Result<(), Refusal> {
    match wanted {
        Wanted { job_managers, .. } if job_managers > 1 && !ha => Err(Refusal::TooManyMasters(job_managers)),
        Wanted { job_managers, .. } if job_managers > Wanted::MOST_JOB_MANAGERS => {
            Err(Refusal::TooManyStandbys(job_managers))
        }
        Wanted { task_managers, .. } if task_managers > MOST_WORKERS => {
            Err(Refusal::TooManyWorkers(task_managers))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scaling_is_absolute_or_relative_and_never_below_nothing() {
        let now = Wanted { job_managers: 1, task_managers: 2 };
        let wanted = |job_managers, task_managers| Ok(Wanted { job_managers, task_managers });
        let cases = [
            (ScaleRequest::To(Wanted { job_managers: 0, task_managers: 5 }), wanted(0, 5)),
            (ScaleRequest::TaskManagersTo(7), wanted(1, 7)),
            (ScaleRequest::TaskManagers(1), wanted(1, 3)),
            (ScaleRequest::TaskManagers(-9), wanted(1, 0)),
            (ScaleRequest::JobManagers(-1), wanted(0, 2)),
            (ScaleRequest::JobManagers(1), Err(Refusal::TooManyMasters(2))),
            (ScaleRequest::TaskManagers(i32::MAX), Err(Refusal::TooManyWorkers(i32::MAX as u32 + 2))),
        ];
        for (request, expected) in cases {
            assert_eq!(scaled(now, request, false), expected, "{request:?}");
        }
    }
}
