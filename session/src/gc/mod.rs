//! Finding and removing what kobel left and nobody uses.
//!
//! Each [`Source`] looks after one kind of place. What it finds it puts into the [`Bin`] while it
//! holds the lock by which the place's users exclude each other, so nothing is taken from under an
//! agent, an installation or a training.

mod archives;
mod clusters;
mod installs;
mod running;
mod staging;
#[cfg(test)]
mod tests;

use std::{
    error::Error,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use futures_util::future::BoxFuture;
use kobel_conf::{Category, Explain, chain};
use kobel_staging::StagingError;
use serde::Serialize;

use crate::{Context, fsx, registry::RegistryError, yarn::SiteError};

use running::Running;

/// What is younger may just be coming about.
const YOUNG: Duration = Duration::from_secs(60);

/// What a leftover is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The record and the logs of a cluster that is over.
    Record,
    /// A name taken for a cluster that never came about.
    Claim,
    /// What a `kobel rm` did not get to remove.
    Removal,
    /// The directory of a worker that is gone.
    WorkerDir,
    /// A file that was never brought to its end.
    TempFile,
    /// A download that stopped half way.
    Download,
    /// An installation that stopped half way.
    Installation,
    /// Archives of Flink's classes that no JVM would take.
    Archive,
    /// What a training of such archives left.
    Training,
    /// The directory on HDFS of an application that is over.
    Application,
    /// A file on HDFS for all applications, which none uses.
    Staged,
    /// An upload to HDFS that stopped half way.
    Upload,
    /// The mark on HDFS that an application that is over uses a file.
    Lease,
    /// What is kept on HDFS of a cluster that is over.
    History,
}

/// A thing that nobody uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leftover {
    /// What it is.
    pub kind: Kind,
    /// Where: a path, or an address on another file system.
    pub location: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Why nobody needs it.
    pub why: String,
    /// Whether it is gone now.
    pub removed: bool,
    /// Why it could not be removed.
    pub error: Option<String>,
}

/// A thing that would be a leftover if nobody used it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spared {
    /// Where.
    pub location: String,
    /// Who uses it.
    pub why: &'static str,
}

/// What was found, and what became of it.
#[derive(Debug)]
pub struct Bin {
    dry: bool,
    /// In the order of the sources.
    pub leftovers: Vec<Leftover>,
    /// What was left alone.
    pub spared: Vec<Spared>,
    /// Why a source could not look everywhere.
    pub errors: Vec<GcError>,
}

impl Bin {
    /// An empty one; a dry one removes nothing.
    fn new(dry: bool) -> Self {
        Self { dry, leftovers: Vec::new(), spared: Vec::new(), errors: Vec::new() }
    }

    /// Takes a leftover in, and has it removed unless this is a dry run: `removal` is not begun then.
    pub async fn put<E: Error>(
        &mut self,
        kind: Kind,
        location: String,
        bytes: u64,
        why: impl Into<String>,
        removal: impl Future<Output = Result<(), E>>,
    ) {
        let error = if self.dry { None } else { removal.await.err().map(|error| chain(&error)) };
        let removed = !self.dry && error.is_none();
        self.leftovers.push(Leftover { kind, location, bytes, why: why.into(), removed, error });
    }

    /// Takes in a file or directory of this machine.
    async fn put_path(&mut self, kind: Kind, path: &Path, why: impl Into<String>) {
        let bytes = size(path);
        self.put(kind, path.display().to_string(), bytes, why, async { remove(path) }).await;
    }

    /// Notes what is left alone.
    pub fn spare(&mut self, location: impl Into<String>, why: &'static str) {
        self.spared.push(Spared { location: location.into(), why });
    }
}

/// A kind of place where things are left.
pub trait Source {
    /// Puts what nobody uses into the bin.
    fn sweep<'a>(&'a self, bin: &'a mut Bin) -> BoxFuture<'a, Result<(), GcError>>;
}

/// What to look for, and what to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct How {
    /// Remove nothing.
    pub dry_run: bool,
    /// Also forget clusters that have been over for so long, with their logs.
    pub ended_for: Option<Duration>,
}

/// A place that could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum GcError {
    /// A file or directory.
    #[error("cannot look at {}", path.display())]
    Look {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A cluster.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Hadoop's configuration.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// A staging directory.
    #[error(transparent)]
    Staging(#[from] StagingError),
}

impl Explain for GcError {
    fn category(&self) -> Category {
        match self {
            GcError::Look { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Category::Denied
            }
            GcError::Look { .. } => Category::Environment,
            GcError::Registry(error) => error.category(),
            GcError::Site(error) => error.category(),
            GcError::Staging(error) => error.category(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            GcError::Look { .. } => None,
            GcError::Registry(error) => error.hint(),
            GcError::Site(error) => error.hint(),
            GcError::Staging(error) => error.hint(),
        }
    }
}

/// `path` could not be looked at.
fn look(path: &Path) -> impl FnOnce(io::Error) -> GcError {
    let path = path.to_path_buf();
    move |source| GcError::Look { path, source }
}

/// Goes through everything of this user's. What goes wrong at one place hides no other.
pub async fn run(ctx: &Context, how: How) -> Bin {
    let mut bin = Bin::new(how.dry_run);
    let running = match Running::look() {
        Ok(running) => running,
        Err(error) => {
            // Without knowing who runs, everything could be in use.
            bin.errors.push(error);
            return bin;
        }
    };
    let sources: [Box<dyn Source + '_>; 4] = [
        // Before the records, which may be all that names a staging directory.
        Box::new(staging::Staging { ctx }),
        Box::new(clusters::Clusters { ctx, running: &running, ended_for: how.ended_for }),
        Box::new(installs::Installs { ctx }),
        Box::new(archives::Archives { ctx, running: &running }),
    ];
    for source in &sources {
        if let Err(error) = source.sweep(&mut bin).await {
            bin.errors.push(error);
        }
    }
    bin
}

/// The entries of a directory by name; none of one that is not there.
fn entries(dir: &Path) -> Result<Vec<PathBuf>, GcError> {
    let read = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(look(dir))?,
    };
    let mut paths = read.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>().map_err(look(dir))?;
    paths.sort();
    Ok(paths)
}

/// The last part of a path; ours are all text.
fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// For how long a file or directory has not changed; not at all, if that cannot be told.
fn idle(path: &Path) -> Duration {
    let changed = fs::symlink_metadata(path).and_then(|found| found.modified());
    changed.ok().and_then(|at| SystemTime::now().duration_since(at).ok()).unwrap_or_default()
}

/// The bytes in a file or below a directory; what cannot be read counts nothing.
fn size(path: &Path) -> u64 {
    let Ok(found) = fs::symlink_metadata(path) else { return 0 };
    if !found.is_dir() {
        return found.len();
    }
    fs::read_dir(path).into_iter().flatten().flatten().map(|entry| size(&entry.path())).sum()
}

/// Removes a file or a directory. That somebody else was faster is fine.
fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The lock of a place, held; none while somebody else holds it. A dry run makes no file for it.
fn hold(path: &Path, dry: bool) -> Result<Option<Held>, GcError> {
    if dry && !path.exists() {
        return Ok(Some(Held { _file: None }));
    }
    let file = fsx::private_file(path).map_err(look(path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Held { _file: Some(file) })),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => Err(look(path)(error)),
    }
}

/// A place is ours until this is dropped.
struct Held {
    _file: Option<fs::File>,
}
