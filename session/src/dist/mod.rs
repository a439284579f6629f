//! Flink distributions that kobel installs: `<data>/flink/<version>`, each a whole Flink home.
//!
//! ```text
//! Apache's sites ─► download ─┐ .part files in <cache>/flink, resumable
//! --from URL     ─► download ─┤
//! --from FILE ────────────────┼─► check SHA-512 ─► unpack ─┐
//! --from DIR ─────────────────┼─► copy ────────────────────┼─► settle modes, record ─► rename
//! Python index ─► pip ────────┴─► unpack twice, assemble ──┘
//!                                 all in <data>/flink/.tmp-*
//! ```
//!
//! An installation holds the lock of `<data>/flink`, so a second one waits and then finds the first
//! one's result; and whatever is called `.tmp-*` when the lock is free is rubbish. A home appears by
//! one rename, complete, or not at all.

mod apache;
mod copy;
mod download;
mod error;
mod home;
mod install;
mod lock;
mod progress;
mod pypi;
mod sha512;
mod unpack;
mod version;

#[cfg(test)]
mod tests;

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    time::Instant,
};

use jiff::Timestamp;
use kobel_plan::FlinkVersion;
use serde::{Deserialize, Serialize};

pub use apache::Sites;
pub use error::{Cause, DistError};
pub use install::{InstallRequest, Place, Source};
pub(crate) use lock::UNFINISHED;
pub use progress::Progress;
pub use sha512::Sha512;
pub use version::Wish;

/// The file in an installed home that tells where it came from.
const RECORD: &str = "kobel-install.json";

/// A Flink that kobel installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Installed {
    /// Its version.
    pub version: FlinkVersion,
    /// Its directory.
    pub home: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// Where it came from.
    pub source: Origin,
    /// When, if that is known.
    pub installed_at: Option<Timestamp>,
}

/// Where an installed Flink came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind", content = "from")]
pub enum Origin {
    /// A release from Apache's site or a mirror: its address.
    Apache(String),
    /// The Python package index.
    Pypi,
    /// An archive on this machine.
    Archive(PathBuf),
    /// A copy of a directory.
    Directory(PathBuf),
    /// Any other address.
    Url(String),
    /// Nobody wrote it down.
    Unknown,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Apache(url) | Origin::Url(url) => f.pad(url),
            Origin::Pypi => f.pad("pypi"),
            Origin::Archive(path) | Origin::Directory(path) => f.pad(&path.display().to_string()),
            Origin::Unknown => f.pad("unknown"),
        }
    }
}

/// What [`RECORD`] holds.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    source: Origin,
    sha512: Option<String>,
    bytes: u64,
    installed_at: Timestamp,
}

/// All Flinks that kobel installed for this user.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
    cache: PathBuf,
}

impl Store {
    /// The store below kobel's data directory, downloading by way of kobel's cache directory.
    /// Nothing is created until something is installed.
    pub fn new(data_dir: &Path, cache_dir: &Path) -> Self {
        Self { root: data_dir.join("flink"), cache: cache_dir.join("flink") }
    }

    /// What is installed, oldest version first.
    pub fn list(&self) -> Result<Vec<Installed>, DistError> {
        match fs::read_dir(&self.root) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(DistError::io("read", &self.root)(e)),
            _ => {
                let versions = home::names(&self.root).into_iter().filter_map(|name| version::exact(&name));
                let mut all: Vec<_> = versions.filter_map(|v| self.get(&v)).collect();
                all.sort_by(|a, b| version::by_age(&a.version, &b.version));
                Ok(all)
            }
        }
    }

    /// The installed Flink that a wish means: that very release, or the newest patch there is.
    pub fn which(&self, wish: &Wish) -> Result<Installed, DistError> {
        let all = self.list()?;
        let best = wish.best(all.iter().map(|i| i.version.clone()));
        match all.iter().find(|i| Some(&i.version) == best.as_ref()) {
            Some(found) => Ok(found.clone()),
            None => {
                let installed = all.iter().map(|i| i.version.to_string()).collect();
                Err(DistError::NotInstalled { wish: wish.clone(), installed })
            }
        }
    }

    /// Removes an installed Flink, which disappears at once; its files go after it.
    pub fn remove(&self, wish: &Wish) -> Result<Installed, DistError> {
        let found = self.which(wish)?;
        let aside = self.staging()?;
        fs::rename(&found.home, aside.path().join("removed"))
            .map_err(DistError::io("remove", &found.home))?;
        let path = aside.keep();
        lock::gone(fs::remove_dir_all(&path)).map_err(DistError::io("remove", path))?;
        Ok(found)
    }

    /// Installs a Flink, or finds it installed. When it is dropped or the deadline passes, nothing
    /// stays but what a later download can go on with.
    pub async fn install(
        &self,
        request: &InstallRequest,
        progress: &dyn Progress,
        deadline: Instant,
    ) -> Result<Installed, DistError> {
        let work = Box::pin(install::run(self, request, progress));
        let late = |_| DistError::TimedOut { wish: request.version.clone() };
        tokio::time::timeout_at(deadline.into(), work).await.map_err(late)?
    }

    /// The home of this very version, if it is a whole one.
    fn get(&self, version: &FlinkVersion) -> Option<Installed> {
        let home = self.root.join(version.to_string());
        let found = home::version_of(&home, &home.display()).ok().filter(|v| v == version)?;
        let record: Option<Record> =
            fs::read(home.join(RECORD)).ok().and_then(|json| serde_json::from_slice(&json).ok());
        Some(match record {
            Some(r) => Installed {
                version: found,
                home,
                size: r.bytes,
                source: r.source,
                installed_at: Some(r.installed_at),
            },
            None => {
                let size = copy::size(&home).unwrap_or_default();
                Installed { version: found, home, size, source: Origin::Unknown, installed_at: None }
            }
        })
    }

    /// A directory for what is unfinished, on the same file system as the homes.
    fn staging(&self) -> Result<tempfile::TempDir, DistError> {
        let made = tempfile::Builder::new().prefix(lock::UNFINISHED).tempdir_in(&self.root);
        made.map_err(DistError::io("create a directory in", &self.root))
    }
}
