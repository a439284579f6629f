//! Notices that a node has forgotten a container.
//!
//! A NodeManager without recovery that starts again knows nothing of the containers of its former life and
//! clears their directories away (`ResourceLocalizationService`). What still runs in one is an orphan: YARN
//! tells its master that it is gone, and will never stop it.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path, time::Duration};

/// Between two looks at the directory.
const LOOK: Duration = Duration::from_secs(1);

/// Ends when this directory, which is there now, has been taken away.
pub async fn evicted(dir: &Path) {
    let ours = identity(dir).ok();
    loop {
        tokio::time::sleep(LOOK).await;
        match identity(dir) {
            Ok(found) if Some(found) != ours => return,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            _ => {}
        }
    }
}

/// Which directory it is that has this name.
fn identity(dir: &Path) -> io::Result<(u64, u64)> {
    let found = fs::metadata(dir)?;
    Ok((found.dev(), found.ino()))
}
