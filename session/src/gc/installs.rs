//! Downloads and installations of Flink that stopped half way.

use std::path::Path;

use futures_util::{FutureExt, future::BoxFuture};

use super::{Bin, GcError, Kind, Source, entries, hold, name, remove, size};
use crate::{Context, dist::UNFINISHED};

/// The store of Flinks and its cache of downloads.
pub(super) struct Installs<'a> {
    pub(super) ctx: &'a Context,
}

impl Source for Installs<'_> {
    fn sweep<'a>(&'a self, bin: &'a mut Bin) -> BoxFuture<'a, Result<(), GcError>> {
        let dirs = &self.ctx.dirs;
        async {
            sweep(&dirs.cache.join("flink"), bin).await?;
            sweep(&dirs.data.join("flink"), bin).await
        }
        .boxed()
    }
}

/// Both places have the same lock and the same names; only the cache holds downloads.
async fn sweep(dir: &Path, bin: &mut Bin) -> Result<(), GcError> {
    let found: Vec<_> = entries(dir)?.into_iter().filter(|path| is_unfinished(name(path))).collect();
    if found.is_empty() {
        return Ok(());
    }
    let Some(_held) = hold(&dir.join(".lock"), bin.dry)? else {
        bin.spare(dir.display().to_string(), "an installation is running");
        return Ok(());
    };
    for path in found {
        if name(&path).starts_with(UNFINISHED) {
            bin.put_path(Kind::Installation, &path, "an installation that did not get to its end").await;
            continue;
        }
        // The note beside it goes with it.
        let note = path.with_extension("part.json");
        let bytes = size(&path) + size(&note);
        let removal = async { remove(&path).and_then(|()| remove(&note)) };
        let why = "a download that stopped; an installation would go on with it";
        bin.put(Kind::Download, path.display().to_string(), bytes, why, removal).await;
    }
    Ok(())
}

fn is_unfinished(name: &str) -> bool {
    name.starts_with(UNFINISHED) || name.ends_with(".part")
}
