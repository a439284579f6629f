//! One installation at a time: the second waits for the first, and then finds what it left.

use std::{
    fs::{self, File, TryLockError},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    time::Duration,
};

use super::{DistError, progress::Progress};

/// Names of what is unfinished or being deleted. While the lock is held, whatever bears such a name
/// belongs to nobody.
pub(crate) const UNFINISHED: &str = ".tmp-";

/// A directory of which this process is the only writer, until this is dropped or the process dies.
pub(super) struct Locked {
    _file: File,
}

impl Locked {
    /// Creates the directory if need be, waits until nobody else holds it, and clears what a killed
    /// installation left in it.
    pub(super) async fn acquire(dir: &Path, progress: &dyn Progress) -> Result<Self, DistError> {
        private_dir(dir)?;
        let path = dir.join(".lock");
        let mut options = File::options();
        let file = options.create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = file.map_err(DistError::io("open", &path))?;
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {
                    if !std::mem::replace(&mut told, true) {
                        progress.note("another kobel is installing a Flink here; waiting for it");
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(TryLockError::Error(e)) => return Err(DistError::io("lock", path)(e)),
            }
        }
        sweep(dir)?;
        Ok(Self { _file: file })
    }
}

/// Creates a directory and its parents, 0700 where they are new.
pub(super) fn private_dir(dir: &Path) -> Result<(), DistError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(DistError::io("create", dir))
}

fn sweep(dir: &Path) -> Result<(), DistError> {
    for name in super::home::names(dir).iter().filter(|n| n.starts_with(UNFINISHED)) {
        let path = dir.join(name);
        tracing::info!(path = %path.display(), "removing what an unfinished installation left");
        gone(fs::remove_dir_all(&path)).map_err(DistError::io("remove", path))?;
    }
    Ok(())
}

/// Success also when there was nothing to remove: somebody else was faster.
pub(super) fn gone(result: std::io::Result<()>) -> std::io::Result<()> {
    match result {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
