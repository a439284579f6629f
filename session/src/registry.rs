//! The clusters of this user: a directory each, told apart by who holds its lock.

mod error;
mod settings;
mod workers;

use std::{
    collections::BTreeMap,
    fs::{File, TryLockError},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use kobel_conf::dirs::{Dirs, ensure_private};
use kobel_hadoop_rpc::yarn::ApplicationId;
use kobel_plan::{
    Attempt, ClusterDir, ClusterEvent, ClusterName, ClusterPlan, ClusterState, Status, WorkerId,
};
use serde::Deserialize;

use crate::{
    control::Control,
    fsx, logs,
    yarn::{self, Application, LogsError},
};

pub(crate) use error::file_error;
pub use error::{RegistryError, SweepError};
pub use settings::Setting;
pub use workers::{LastExit, Process, WorkerHistory};

/// What the name of a directory begins with that is being removed; it ends in the process id of who
/// does it.
pub(crate) const REMOVED: &str = ".removed-";
/// What names of files begin with that are being written (`tempfile`).
pub(crate) const TEMPORARY: &str = ".tmp";
/// Longer than asking for a lock takes, shorter than anyone notices.
const A_MOMENT: Duration = Duration::from_millis(100);

/// The directory of all clusters.
#[derive(Debug, Clone)]
pub struct Registry {
    clusters: PathBuf,
}

impl Registry {
    /// The registry below the state directory.
    pub fn new(dirs: &Dirs) -> Self {
        Self { clusters: dirs.state.join("clusters") }
    }

    /// Where a cluster of this name lives or would live.
    pub fn dir(&self, name: &ClusterName) -> ClusterDir {
        ClusterDir::new(self.clusters.join(name.as_str()))
    }

    /// Every cluster, by name.
    pub fn list(&self) -> Result<Vec<Cluster>, RegistryError> {
        let read = match std::fs::read_dir(&self.clusters) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(file_error("read", &self.clusters))?,
        };
        let mut clusters = Vec::new();
        for entry in read {
            let entry = entry.map_err(file_error("read", &self.clusters))?;
            let Ok(name) = entry.file_name().to_string_lossy().parse::<ClusterName>() else { continue };
            let dir = ClusterDir::new(entry.path());
            if dir.plan().exists() {
                clusters.push(Cluster { name, dir });
            }
        }
        clusters.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(clusters)
    }

    /// The cluster of this name.
    pub fn find(&self, name: &ClusterName) -> Result<Cluster, RegistryError> {
        let dir = self.dir(name);
        if dir.plan().exists() {
            return Ok(Cluster { name: name.clone(), dir });
        }
        let known = self.list()?.into_iter().map(|c| c.name).collect();
        Err(RegistryError::NoSuchCluster { name: name.clone(), known })
    }

    /// The cluster that runs, or ran, as this application of YARN, if it is known here.
    pub fn of_application(&self, id: ApplicationId) -> Result<Option<Cluster>, RegistryError> {
        // What cannot be read of one cluster says nothing of the others.
        let is_it = |cluster: &Cluster| matches!(Application::of(&cluster.dir), Ok(Some(it)) if it.id == id);
        Ok(self.list()?.into_iter().find(is_it))
    }

    /// The cluster that was started last and is not over; where all are over, the last of those.
    pub fn newest(&self) -> Result<Cluster, RegistryError> {
        let age = |cluster: &Cluster| {
            let started = std::fs::metadata(cluster.dir.plan()).and_then(|m| m.modified());
            let over = cluster.remembered().is_ok_and(|s| s.state.is_terminal());
            (!over, started.unwrap_or(SystemTime::UNIX_EPOCH))
        };
        self.list()?.into_iter().max_by_key(age).ok_or(RegistryError::NoCluster)
    }

    /// Takes the name for a new cluster: its directory is there, locked, and empty but for the logs
    /// of a former run.
    pub fn claim(&self, name: &ClusterName) -> Result<Claim, RegistryError> {
        // Who may change the state directory can put another one in the place of ours.
        self.clusters.parent().map_or(Ok(()), ensure_private)?;
        ensure_private(&self.clusters)?;
        let cluster = Cluster { name: name.clone(), dir: self.dir(name) };
        let path = cluster.dir.path();
        ensure_private(path)?;
        let Some(lock) = cluster.try_lock()? else {
            let state = cluster.remembered().map_or(ClusterState::Starting, |s| s.state);
            return Err(RegistryError::Exists { name: name.clone(), state });
        };
        if cluster.is_unfinished()? {
            return Err(match cluster.is_on_yarn() {
                true => RegistryError::Exists { name: name.clone(), state: cluster.remembered()?.state },
                false => RegistryError::AgentGone { name: name.clone() },
            });
        }
        cluster.clear().map_err(file_error("clear", path))?;
        Ok(Claim { name: name.clone(), dir: cluster.dir, lock })
    }

    /// Forgets a cluster that is over: its record, its logs, its directory.
    pub fn remove(&self, cluster: &Cluster) -> Result<(), RegistryError> {
        let not_over = |state| RegistryError::NotOver { name: cluster.name.clone(), state };
        let remembered = cluster.remembered();
        let Some(_lock) = cluster.try_lock()? else {
            return Err(not_over(remembered.map_or(ClusterState::Starting, |s| s.state)));
        };
        // A record that cannot be read tells nothing of living processes: refuse that too.
        let state = remembered?.state;
        if cluster.is_unfinished()? {
            return Err(not_over(state));
        }
        self.take_away(cluster)
    }

    /// Removes all of a cluster; the caller holds its lock.
    pub(crate) fn take_away(&self, cluster: &Cluster) -> Result<(), RegistryError> {
        // Out of sight first, so that a removal that is interrupted leaves no half cluster.
        let hidden = self.clusters.join(format!("{REMOVED}{}-{}", cluster.name, std::process::id()));
        std::fs::rename(cluster.dir.path(), &hidden).map_err(file_error("remove", cluster.dir.path()))?;
        std::fs::remove_dir_all(&hidden).map_err(file_error("remove", hidden))
    }
}

/// A name taken for a new cluster: nobody else can start one as long as the lock is held.
#[derive(Debug)]
pub struct Claim {
    /// The name.
    pub name: ClusterName,
    /// Its directory, 0700.
    pub dir: ClusterDir,
    /// The locked file, to be the agent's standard input.
    pub lock: File,
}

/// One cluster, living or over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Its name.
    pub name: ClusterName,
    /// Its directory.
    pub dir: ClusterDir,
}

/// What of `record.json` this side reads.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    status: Status,
    #[serde(default)]
    attempts: BTreeMap<WorkerId, Attempt>,
    /// 0 before the front was bound.
    #[serde(default)]
    front_port: u16,
    #[serde(default)]
    job_manager_ports: Option<JobManagerPorts>,
}

/// Where the JobManager listens.
#[derive(Deserialize)]
struct JobManagerPorts {
    rpc: u16,
}

/// Ports that a cluster uses, or used last, as far as they are known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Ports {
    /// The front's.
    front: Option<u16>,
    /// The JobManager's RPC port.
    rpc: Option<u16>,
}

impl Cluster {
    /// Where it stands, from its agent or, when that is gone, from what it left behind.
    pub async fn status(&self) -> Result<Status, RegistryError> {
        if let Some(application) = Application::of(&self.dir)? {
            return Box::pin(yarn::status(self, &application)).await;
        }
        if self.agent_lives()? {
            if let Ok(control) = Control::open(&self.dir)
                && let Ok(status) = control.status().await
            {
                return Ok(status);
            }
            if self.agent_lives()? {
                return Ok(self.with_silent_agent(self.remembered()?));
            }
        }
        Ok(self.without_agent(self.remembered()?))
    }

    /// Brings what its agent wrote elsewhere up to date here: record and timeline. Of an agent that
    /// cannot be asked, what was seen last is left.
    pub async fn refresh(&self) -> Result<(), RegistryError> {
        let Some(application) = Application::of(&self.dir)? else { return Ok(()) };
        let status = Box::pin(yarn::status(self, &application)).await?;
        if status.state.is_terminal() {
            yarn::recall(self, &application).await;
            return Ok(());
        }
        yarn::copy_events(self).await
    }

    /// Brings the logs of a cluster on YARN here: of its containers as far as they run, and what was kept of
    /// one that is over, by its master or, when that could not, by YARN.
    pub async fn fetch_logs(&self) -> Result<(), LogsError> {
        let Some(application) = Application::of(&self.dir)? else { return Ok(()) };
        if Box::pin(yarn::status(self, &application)).await?.state.is_terminal() {
            yarn::recall(self, &application).await;
            if !yarn::recalled(&self.dir).exists() {
                Box::pin(yarn::collect(self, &application)).await?;
            }
            return Ok(());
        }
        yarn::copy_logs(&self.dir, &application).await
    }

    /// Removes what a cluster on YARN that is over left on HDFS: a master that was killed could not.
    pub async fn sweep(&self) -> Result<(), SweepError> {
        match Application::of(&self.dir)? {
            Some(application) if !self.is_unfinished()? => Ok(application.remove_files().await?),
            _ => Ok(()),
        }
    }

    /// Whether an agent holds the cluster's lock; on YARN, whether there was one when last looked.
    pub fn agent_lives(&self) -> Result<bool, RegistryError> {
        if self.is_on_yarn() {
            return self.is_unfinished();
        }
        self.is_locked()
    }

    /// Whether this is a cluster on YARN, which has no agent on this machine.
    pub fn is_on_yarn(&self) -> bool {
        Application::is_of(&self.dir)
    }

    /// Whether somebody holds the cluster's lock. Asked for by a shared lock, so that two who ask do
    /// not take each other for an agent.
    pub(crate) fn is_locked(&self) -> Result<bool, RegistryError> {
        let path = self.dir.lock();
        let file = fsx::private_file(&path).map_err(file_error("open", &path))?;
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(e)) => Err(file_error("lock", path)(e)),
        }
    }

    /// Whether it was begun and not brought to its end. If no agent lives then, processes may be left
    /// of it. Where the record is gone or damaged, the workers' own records tell.
    pub(crate) fn is_unfinished(&self) -> Result<bool, RegistryError> {
        if !self.dir.record().exists() {
            return Ok(self.is_on_yarn() || self.has_workers());
        }
        match self.remembered() {
            Err(RegistryError::Damaged { .. }) if self.has_workers() => Ok(true),
            remembered => Ok(!remembered?.state.is_terminal()),
        }
    }

    /// Whether workers were started and not seen to end.
    fn has_workers(&self) -> bool {
        std::fs::read_dir(self.dir.workers()).is_ok_and(|mut entries| entries.next().is_some())
    }

    /// The plan it was started with.
    pub fn plan(&self) -> Result<ClusterPlan, RegistryError> {
        read_json(&self.dir.plan())
    }

    /// Every worker that it has or had, as `status` and the timeline tell.
    pub fn workers(
        &self,
        status: &Status,
        events: &[ClusterEvent],
    ) -> Result<Vec<WorkerHistory>, RegistryError> {
        let attempts = self.record()?.map(|record| record.attempts).unwrap_or_default();
        Ok(workers::histories(status, &attempts, events))
    }

    /// Its effective Flink configuration, secrets hidden.
    pub fn settings(&self) -> Result<Vec<Setting>, RegistryError> {
        let ports = self.record()?.map_or_else(Ports::default, |record| Ports {
            front: (record.front_port != 0).then_some(record.front_port),
            rpc: record.job_manager_ports.map(|ports| ports.rpc),
        });
        Ok(settings::effective(&self.plan()?, ports))
    }

    /// What its agent wrote down, if it did.
    fn record(&self) -> Result<Option<Record>, RegistryError> {
        self.dir.record().exists().then(|| read_json(&self.dir.record())).transpose()
    }

    /// The lock, if no agent holds it. One who only asks holds it for a moment, which is waited out.
    pub(crate) fn try_lock(&self) -> Result<Option<File>, RegistryError> {
        let path = self.dir.lock();
        let deadline = Instant::now() + A_MOMENT;
        loop {
            let file = fsx::private_file(&path).map_err(file_error("open", &path))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return Ok(None),
                Err(TryLockError::WouldBlock) => {
                    std::thread::sleep(A_MOMENT / 10);
                    continue;
                }
                Err(TryLockError::Error(e)) => return Err(file_error("lock", path)(e)),
            }
            // Between the opening and the locking `kobel rm` may have taken the file away.
            if same_file(&file, &path) {
                return Ok(Some(file));
            }
        }
    }

    /// Writes down what was seen of a cluster whose agent writes elsewhere.
    pub(crate) fn remember(&self, status: &Status) -> Result<(), RegistryError> {
        let path = self.dir.record();
        let record = serde_json::json!({ "status": status }).to_string();
        fsx::write_whole(&path, record.as_bytes()).map_err(file_error("write", path))
    }

    /// The last status written down, or what the plan alone tells.
    pub(crate) fn remembered(&self) -> Result<Status, RegistryError> {
        match self.record()? {
            Some(record) => Ok(record.status),
            None => Ok(never_started(&self.plan()?, &self.dir)),
        }
    }

    /// What a status is worth while its agent does not answer: it is starting, going, or it hangs.
    fn with_silent_agent(&self, mut status: Status) -> Status {
        if self.dir.record().exists() && !status.state.is_terminal() {
            status.reason = Some(format!("its agent does not answer; the cluster was {} then", status.state));
            status.state = ClusterState::Degraded;
        }
        status
    }

    /// What a status is worth once the agent that wrote it is dead.
    fn without_agent(&self, mut status: Status) -> Status {
        status.agent = None;
        if !self.dir.record().exists() && !self.has_workers() {
            status.state = ClusterState::Failed;
            let last = logs::last_words(&status.log_dir);
            status.reason = Some(last.unwrap_or_else(|| "its agent never came up".into()));
        } else if !status.state.is_terminal() {
            status.reason = Some(format!("its agent is gone; the cluster was {} then", status.state));
            status.state = ClusterState::Degraded;
        }
        status
    }

    /// Removes what a former run left, except the lock and the logs.
    fn clear(&self) -> io::Result<()> {
        let dir = &self.dir;
        let kept = [yarn::recalled(dir), yarn::collected(dir)];
        for file in [dir.plan(), dir.record(), dir.events(), dir.socket()].into_iter().chain(kept) {
            absent_is_fine(std::fs::remove_file(file))?;
        }
        Application::forget(dir)?;
        absent_is_fine(std::fs::remove_dir_all(dir.workers()))
    }
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn same_file(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, RegistryError> {
    let text = std::fs::read(path).map_err(file_error("read", path))?;
    serde_json::from_slice(&text)
        .map_err(|source| RegistryError::Damaged { path: path.to_path_buf(), source })
}

/// The status of a cluster whose agent has not written one yet.
pub(crate) fn never_started(plan: &ClusterPlan, dir: &ClusterDir) -> Status {
    let started = std::fs::metadata(dir.plan()).and_then(|m| m.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    Status::starting(plan, started.try_into().unwrap_or_default())
}

#[cfg(test)]
pub(crate) mod tests;
