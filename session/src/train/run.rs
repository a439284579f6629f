//! The training itself: a process of its own, as unobtrusive as can be.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::Duration,
};

use kobel_conf::dirs::ensure_private;
use kobel_flink::{
    launch::cds::archive_name,
    train::{Ground, UNFINISHED, at, train},
};
use kobel_plan::{ClusterDir, FlinkRole, Launch};

use super::{Errand, FAILED, TrainError};
use crate::{
    launch::{Patience, wait_ready},
    registry::Cluster,
};

/// The file in a directory of archives that who makes them holds locked.
pub(crate) const LOCK: &str = "lock";
/// How long the cluster may take that is started first.
const START: Duration = Duration::from_secs(600);
/// Archives for other jars and Javas that are kept, the newest ones.
const KEPT: usize = 8;

/// Makes the archives of this directory, as the errand says. Nothing happens where another process
/// does so or has done so, or where the cluster that is to come first does not get ready.
pub async fn run(dir: &Path, errand: impl io::Read) -> Result<(), TrainError> {
    // The shell that started kobel may go, and its jobs come first.
    let _ = rustix::process::setsid();
    let _ = rustix::process::nice(10);
    let Errand { cluster, cluster_dir, plan } = serde_json::from_reader(errand).map_err(TrainError::Plan)?;
    let cluster = Cluster { name: cluster, dir: ClusterDir::new(cluster_dir) };
    if let Err(error) = wait_ready(&cluster, &Patience::new(Some(START), START), &mut |_| {}).await {
        tracing::info!(%error, "no training");
        return Ok(());
    }
    ensure_private(dir).map_err(|e| at(dir)(io::Error::other(e)))?;
    let Some(_lock) = lock(dir)? else { return Ok(()) };
    if [FlinkRole::JobManager, FlinkRole::TaskManager]
        .iter()
        .all(|role| dir.join(archive_name(*role)).is_file())
    {
        return Ok(());
    }
    sweep(dir)?;
    let failed = dir.join(FAILED);
    let ground = Ground { dir, work_dir: None, output: None, fill: &in_place };
    let outcome = train(&plan, &ground).await;
    match &outcome {
        Ok(()) => prune(dir),
        Err(_) => fs::write(&failed, "").map_err(at(&failed))?,
    }
    sweep(dir)?;
    Ok(outcome?)
}

/// Fills in the directories, as a provider does.
fn in_place(text: &str, place: &Path) -> String {
    let place = place.to_string_lossy();
    text.replace(Launch::WORKER_DIR, &place).replace(Launch::LOG_DIR, &place)
}

/// Held for the life of this process; none if another one holds it.
fn lock(dir: &Path) -> Result<Option<File>, TrainError> {
    let path = dir.join(LOCK);
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).mode(0o600).open(&path).map_err(at(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(at(&path)(error).into()),
    }
}

/// Removes what is unfinished: while the lock is held, it belongs to nobody else.
fn sweep(dir: &Path) -> Result<(), TrainError> {
    for entry in fs::read_dir(dir).map_err(at(dir))?.flatten() {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            fs::remove_dir_all(entry.path()).map_err(at(&entry.path()))?;
        }
    }
    Ok(())
}

/// Removes the archives that were made longest ago, beyond [`KEPT`]; who maps one keeps it.
fn prune(dir: &Path) {
    let Some(all) = dir.parent().and_then(|base| fs::read_dir(base).ok()) else { return };
    let mut found: Vec<_> =
        all.flatten().filter_map(|e| Some((e.metadata().ok()?.modified().ok()?, e.path()))).collect();
    found.sort();
    let surplus = found.len().saturating_sub(KEPT);
    for (_, old) in found.into_iter().take(surplus).filter(|(_, path)| path != dir) {
        if let Err(error) = fs::remove_dir_all(&old) {
            tracing::warn!(%error, path = %old.display(), "cannot remove an old archive of classes");
        }
    }
}
