//! What to tell of a cluster while waiting for it, and when the waiting is over.

use std::{
    ops::ControlFlow,
    time::{Duration, Instant},
};

use futures_util::TryStreamExt;
use kobel_plan::{ClusterState, Status};
use kobel_session::{Cluster, Control};

use crate::failure::Failure;

/// How soon to look again at a cluster whose agent does not answer: it is coming or going.
const AGAIN: Duration = Duration::from_millis(100);
/// The same, of one that has long been in YARN's queue, as hundreds of others may be.
const AGAIN_AT_LAST: Duration = Duration::from_secs(1);

/// Tells each status of the cluster, the present one first, until `on_status` has enough. Lives
/// through the coming and going of the cluster's agent.
pub(crate) async fn follow<T>(
    cluster: &Cluster,
    mut on_status: impl FnMut(&Status) -> ControlFlow<T>,
) -> Result<T, Failure> {
    let since = Instant::now();
    loop {
        let status = cluster.status().await?;
        if let ControlFlow::Break(enough) = on_status(&status) {
            return Ok(enough);
        }
        // Until the agent serves its socket, and when it is gone, the record is all there is.
        if let Ok(mut statuses) = watch(cluster).await {
            while let Ok(Some(status)) = statuses.try_next().await {
                // One that was started elsewhere may have another name there.
                let status = Status { name: cluster.name.clone(), ..status };
                if let ControlFlow::Break(enough) = on_status(&status) {
                    return Ok(enough);
                }
            }
        }
        tokio::time::sleep(pause(&status, since.elapsed())).await;
    }
}

/// How soon to look again at a cluster without an agent, after so long.
fn pause(status: &Status, waited: Duration) -> Duration {
    if status.is_queued() { (waited / 20).clamp(AGAIN, AGAIN_AT_LAST) } else { AGAIN }
}

type Statuses =
    futures_util::stream::BoxStream<'static, Result<Status, kobel_session::control::ControlError>>;

async fn watch(cluster: &Cluster) -> Result<Statuses, kobel_session::control::ControlError> {
    Control::open(&cluster.dir)?.watch().await
}

/// Whether the cluster's agent died and left it: nothing changes any more by itself.
pub(super) fn is_abandoned(status: &Status) -> bool {
    status.state == ClusterState::Degraded && status.agent.is_none()
}

/// Where a cluster stands on its way, in one line. The line changes when there is news.
pub(super) fn line(status: &Status) -> String {
    let name = &status.name;
    match status.state {
        ClusterState::Starting | ClusterState::Degraded => {
            let processes = status
                .masters
                .iter()
                .filter_map(|jm| jm.pid.map(|pid| format!("JobManager {} running (pid {pid})", jm.id)));
            let tms = &status.task_managers;
            let tms = format!("TaskManagers {}/{}", tms.running, tms.wanted);
            // Before there is an agent, nothing else is to be told.
            let telling = status.state == ClusterState::Degraded || status.agent.is_none();
            let reason = status.reason.clone().filter(|_| telling);
            let parts: Vec<_> = processes.chain([tms]).chain(reason).collect();
            format!("{name} {}: {}", status.state.to_string().to_lowercase(), parts.join(", "))
        }
        ClusterState::Ready => format!("{name} ready"),
        ClusterState::Stopping => {
            let left = status.masters.len() + status.task_managers.list.len();
            format!("{name} stopping: {left} {} left", plural(left, "process", "processes"))
        }
        ClusterState::Stopped => format!("{name} stopped"),
        ClusterState::Failed => format!("{name} failed"),
    }
}

/// The word that goes with the number.
pub(super) fn plural<'a>(n: usize, one: &'a str, many: &'a str) -> &'a str {
    if n == 1 { one } else { many }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::status::tests::ready;

    #[test]
    fn a_line_tells_what_a_cluster_still_lacks() {
        let mut status = ready();
        assert_eq!(line(&status), "default ready");
        status.state = ClusterState::Starting;
        status.task_managers.running = 1;
        assert_eq!(line(&status), "default starting: JobManager jm-0 running (pid 4711), TaskManagers 1/2");
        status.state = ClusterState::Degraded;
        status.reason = Some("tm-1 exited with code 1".into());
        assert!(line(&status).ends_with("TaskManagers 1/2, tm-1 exited with code 1"), "{}", line(&status));
        status.state = ClusterState::Stopping;
        status.task_managers.list.clear();
        assert_eq!(line(&status), "default stopping: 1 process left");
    }
}
