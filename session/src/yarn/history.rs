//! What the master kept of a cluster that is over, in a history directory on HDFS, brought here.

use std::{fs, path::PathBuf, time::Duration};

use kobel_plan::{ClusterDir, Kept, Status};
use kobel_staging::{Directory, StagingError};

use super::Application;
use crate::{
    fsx,
    logs::{self, LogFile},
    registry::{Cluster, RegistryError, file_error},
};

/// How long it may take, where somebody waits for a status.
const WITHIN: Duration = Duration::from_secs(10);
/// So many histories of one name are looked through.
const MOST: usize = 20;

/// What was kept could not be had.
#[derive(Debug, thiserror::Error)]
enum RecallError {
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Staging(#[from] StagingError),
    #[error("HDFS did not tell within {} s what was kept", WITHIN.as_secs())]
    Late,
}

/// Its file says that what was kept is here, and where it was.
pub(crate) fn recalled(dir: &ClusterDir) -> PathBuf {
    dir.path().join("recalled")
}

/// Brings here what was kept of a cluster that is over: once, and what is newer here stays.
pub(crate) async fn recall(cluster: &Cluster, application: &Application) {
    if recalled(&cluster.dir).exists() {
        return;
    }
    if let Err(error) = try_to(cluster, application).await {
        let error = &error as &dyn std::error::Error;
        tracing::warn!(cluster = %cluster.name, error, "what was kept of the cluster cannot be had");
    }
}

async fn try_to(cluster: &Cluster, application: &Application) -> Result<(), RecallError> {
    let recalled = async {
        let Some((directory, kept)) = find(cluster, application).await? else { return Ok(()) };
        let name = cluster.name.clone();
        bring(cluster, &directory, &kept).await?;
        let last = cluster.remembered()?;
        let Status { state, reason, log_dir, yarn, .. } = last;
        cluster.remember(&Status { name, state, reason, log_dir, yarn, ..kept.status })?;
        let path = recalled(&cluster.dir);
        Ok(fsx::write_whole(&path, directory.url().as_bytes()).map_err(file_error("write", path))?)
    };
    tokio::time::timeout(WITHIN, recalled).await.unwrap_or(Err(RecallError::Late))
}

/// The history of this application, if its master wrote one: a master that was killed has not.
async fn find(
    cluster: &Cluster,
    application: &Application,
) -> Result<Option<(Directory, Kept)>, StagingError> {
    let called = application.called.as_ref().unwrap_or(&cluster.name);
    for directory in application.staging()?.histories(called).await?.into_iter().take(MOST) {
        // One that was cut, or that another version wrote, is passed over.
        let read = directory.read(Kept::FILE).await;
        if let Ok(kept) = read.map(|json| serde_json::from_slice::<Kept>(&json))
            && let Ok(kept) = kept
            && kept.application_id == application.id.to_string()
        {
            return Ok(Some((directory, kept)));
        }
    }
    Ok(None)
}

async fn bring(cluster: &Cluster, directory: &Directory, kept: &Kept) -> Result<(), RecallError> {
    kobel_conf::dirs::ensure_private(&cluster.dir.logs()).map_err(RegistryError::from)?;
    let write =
        |path: PathBuf, bytes: &[u8]| fsx::write_whole(&path, bytes).map_err(file_error("write", path));
    let events = directory.read(Kept::EVENTS).await?;
    // The file only grows, for those who follow it.
    if fs::metadata(cluster.dir.events()).map_or(0, |meta| meta.len()) < events.len() as u64 {
        write(cluster.dir.events(), &events)?;
    }
    // Masters before this version did not write it, and there may be nothing to write.
    if let Ok(json) = directory.read(Kept::SNAPSHOTS).await {
        cluster.bring_snapshots(serde_json::from_slice(&json).unwrap_or_default())?;
    }
    for (name, length) in kept.logs.iter().filter(|(name, _)| LogFile::is_name(name)) {
        let path = cluster.dir.logs().join(name);
        let tail = directory.read(name).await?;
        logs::bring(&path, *length, &tail).map_err(file_error("write", path))?;
    }
    Ok(())
}
