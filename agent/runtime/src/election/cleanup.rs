//! What high availability leaves when a cluster has ended for good: znodes, and files in the storage directory.

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use kobel_flink::ha::{Removed, ZkError};
use kobel_plan::{ClusterDir, ClusterPlan, HaPlan, ZooKeeper};
use tokio::time::sleep;

use super::{AGAIN, Election, Storage, storage::remove_empty};

/// A JobManager that had to be killed is seen in its election until it is fenced, or its session ends: this much later
/// than its timeout, for ZooKeeper looks for such sessions once in a tick, which is 2 s unless it is set.
const LATE: Duration = Duration::from_secs(4);
/// Nobody who stops a cluster waits longer for that.
const LINGERING: Duration = Duration::from_secs(30);

/// Why something is left.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CleanupError {
    /// ZooKeeper refused, or does not answer.
    #[error("could not remove the znodes below {0}")]
    ZooKeeper(String, #[source] ZkError),
    /// Another cluster of the same id lives.
    #[error("{1} JobManagers of the same cluster id stand for election: what is below {0} stays")]
    InUse(String, usize),
    /// The data of the cluster's own ZooKeeper are not there to be removed.
    #[error("could not remove {}", path.display())]
    Data {
        /// Their directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Flink's files are not there to be removed.
    #[error("could not remove the files in {0}")]
    Files(String, #[source] kobel_staging::PlaceError),
}

impl Election {
    /// Removes what the cluster has in ZooKeeper and in its storage directory, and tells what is left. Every
    /// JobManager is gone.
    pub(crate) async fn clean_up(
        &self,
        plan: &ClusterPlan,
        ha: &HaPlan,
        dir: &ClusterDir,
    ) -> Vec<CleanupError> {
        let znodes = match &ha.zookeeper {
            ZooKeeper::Quorum(_) => self.remove_znodes().await,
            // It goes with its data.
            ZooKeeper::Embedded(dir) => remove_dir(dir).await,
        };
        // While somebody uses the id, the files are theirs too.
        let files = match &znodes {
            Err(CleanupError::InUse(..)) => Ok(()),
            _ => remove_files(plan, ha).await,
        };
        // Where kobel puts them, beside its clusters.
        if let Some(state) = dir.path().ancestors().nth(2) {
            remove_empty(ha, &state.join("ha"));
        }
        [znodes, files].into_iter().filter_map(Result::err).collect()
    }

    async fn remove_znodes(&self) -> Result<(), CleanupError> {
        let give_up = Instant::now() + (self.place.session_timeout + LATE).min(LINGERING);
        let root = self.place.root.path().to_string();
        loop {
            let removed = async { self.place.connect().await?.remove_cluster(&self.place.root).await };
            match removed.await {
                Ok(Removed::All(znodes)) => {
                    tracing::info!(znodes, root, "removed from ZooKeeper");
                    return Ok(());
                }
                // One that died a moment ago has not been fenced yet.
                Ok(Removed::InUse(_)) | Err(_) if Instant::now() < give_up => sleep(AGAIN).await,
                Ok(Removed::InUse(count)) => return Err(CleanupError::InUse(root, count)),
                Err(error) => return Err(CleanupError::ZooKeeper(root, error)),
            }
        }
    }
}

async fn remove_files(plan: &ClusterPlan, ha: &HaPlan) -> Result<(), CleanupError> {
    let removed = async { Ok(Storage::of(plan, ha)?.remove().await?) };
    removed.await.map_err(|source| CleanupError::Files(ha.storage_dir.clone(), source))
}

async fn remove_dir(path: &Path) -> Result<(), CleanupError> {
    match tokio::fs::remove_dir_all(path).await {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(CleanupError::Data { path: path.into(), source })
        }
        _ => Ok(()),
    }
}
