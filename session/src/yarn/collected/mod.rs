//! Logs that YARN has collected from its nodes: of an application that is over and whose master could keep
//! nothing, for it was killed. NodeManagers write them to HDFS, a file each, when all is over.

mod error;
mod file;
mod place;
mod records;
mod tfile;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use jiff::Timestamp;
use kobel_hadoop_rpc::yarn::{AppReport, ContainerId, LogStatus};
use kobel_plan::ClusterDir;
use kobel_staging::{Deadlines, FileSystem, Hdfs, Kind};
use tokio::time::Instant;

use self::{file::Remote, records::Log};
use super::{Application, manager::Sighting};
use crate::{
    fsx,
    logs::{LogFile, bring},
    registry::{Cluster, RegistryError, file_error},
};

pub use error::CollectedError;
pub use place::Collection;
pub use tfile::TFileError;

/// How long somebody waits for nodes that are still at it.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(300);
/// Reading all of it may take so long.
const WITHIN: Duration = Duration::from_secs(120);
/// The ResourceManager waits no longer for the nodes
/// (`yarn.log-aggregation-status.time-out.ms`), and says nothing of it once it was started anew.
const GIVEN_UP_MS: i64 = 600_000;

/// Its file says that all that YARN collected is here.
pub(crate) fn collected(dir: &ClusterDir) -> PathBuf {
    dir.path().join("collected")
}

/// How far the nodes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Going,
    Over,
    /// Nobody tells.
    Unknown,
}

/// Brings here what YARN collected of a cluster that is over, once it is all.
pub(crate) async fn collect(cluster: &Cluster, application: &Application) -> Result<(), CollectedError> {
    let Some(collection) = &application.collection else { return Ok(()) };
    let done = collected(&cluster.dir);
    if done.exists() {
        return Ok(());
    }
    if !collection.is_known() {
        return Err(CollectedError::Format { id: application.id, format: collection.format.clone() });
    }
    let mut collecting = Collecting::new(cluster, application, collection)?;
    let patience = Instant::now() + PATIENCE;
    loop {
        // Asked before it is looked: what is said to be all is there by then.
        let progress = progress(application).await;
        let whole = collecting.look().await?;
        match progress {
            Progress::Over if whole => {
                let dirs = collecting.directories.join("\n");
                return Ok(fsx::write_whole(&done, dirs.as_bytes()).map_err(file_error("write", done))?);
            }
            Progress::Unknown if whole => return Ok(()),
            _ if Instant::now() >= patience => {
                return Err(CollectedError::NotYet { id: application.id, name: cluster.name.clone() });
            }
            _ => tokio::time::sleep(LOOK).await,
        }
    }
}

async fn progress(application: &Application) -> Progress {
    match application.report().await {
        Ok(Sighting::Seen(report)) => progress_of(&report, Timestamp::now().as_millisecond()),
        _ => Progress::Unknown,
    }
}

fn progress_of(report: &AppReport, now_ms: i64) -> Progress {
    let given_up = report.finished_ms.is_some_and(|at| now_ms.saturating_sub(at) > GIVEN_UP_MS);
    match report.logs {
        LogStatus::Other => Progress::Unknown,
        LogStatus::Disabled | LogStatus::Succeeded | LogStatus::Failed | LogStatus::TimedOut => {
            Progress::Over
        }
        _ if given_up => Progress::Over,
        LogStatus::NotStarted | LogStatus::Running | LogStatus::RunningWithFailure => Progress::Going,
    }
}

/// What was brought so far.
struct Collecting<'a> {
    cluster: &'a Cluster,
    hdfs: Hdfs,
    directories: [String; 3],
    files: BTreeSet<String>,
    /// Of which container a log is: that of a later one takes the name of an earlier one's.
    logs: BTreeMap<String, ContainerId>,
}

impl<'a> Collecting<'a> {
    fn new(
        cluster: &'a Cluster,
        application: &Application,
        collection: &Collection,
    ) -> Result<Self, CollectedError> {
        let user = &application.user;
        let (file_system, _) = collection.split_root();
        let hdfs = Hdfs::new(file_system, &application.hadoop, user, Deadlines::default())?;
        let directories = collection.directories(user, application.id);
        kobel_conf::dirs::ensure_private(&cluster.dir.logs()).map_err(RegistryError::from)?;
        Ok(Self { cluster, hdfs, directories, files: BTreeSet::new(), logs: BTreeMap::new() })
    }

    /// Brings what is new; whether no node is seen to be writing.
    async fn look(&mut self) -> Result<bool, CollectedError> {
        let mut whole = true;
        for directory in self.directories.clone() {
            for entry in self.hdfs.list(&directory).await? {
                if entry.kind != Kind::File {
                    continue;
                }
                // As long as it is being written.
                if entry.path.ends_with(".tmp") {
                    whole = false;
                } else if self.files.insert(entry.path.clone()) {
                    self.bring(&entry.path, entry.size).await?;
                }
            }
        }
        Ok(whole)
    }

    /// Brings the logs of a node's file.
    async fn bring(&mut self, path: &str, length: u64) -> Result<(), CollectedError> {
        let url = self.hdfs.url(path);
        tracing::info!(url, length, "brings collected logs");
        let until = std::time::Instant::now() + WITHIN;
        let remote = Remote::new(self.hdfs.clone(), path, length, until);
        let (dir, mut logs) = (self.cluster.dir.logs(), std::mem::take(&mut self.logs));
        // Reading waits, and so does writing.
        let read = tokio::task::spawn_blocking(move || {
            let taken = file::read(&remote, LogFile::is_name, |log: Log| {
                if logs.get(&log.name).is_some_and(|container| *container > log.container) {
                    return Ok(());
                }
                logs.insert(log.name.clone(), log.container);
                let path = dir.join(&log.name);
                Ok(bring(&path, log.length, &log.tail).map_err(file_error("write", path))?)
            });
            (taken, logs)
        });
        let (taken, logs) = read.await.map_err(|e| CollectedError::File {
            url: url.clone(),
            source: TFileError::Read(std::io::Error::other(e)),
        })?;
        self.logs = logs;
        taken.map_err(|failed| failed.at(url))
    }
}

#[cfg(test)]
mod tests;
