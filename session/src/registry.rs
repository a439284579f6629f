//! The clusters of this user: a directory each, told apart by who holds its lock.

mod cluster;
mod error;
mod settings;
mod workers;

use std::{fs::File, io, path::PathBuf, time::SystemTime};

use kobel_conf::dirs::{Dirs, ensure_private};
use kobel_hadoop_rpc::yarn::ApplicationId;
use kobel_plan::{ClusterDir, ClusterName, ClusterState};

use crate::yarn::Application;

pub use cluster::Cluster;
#[cfg(test)]
pub(crate) use cluster::never_started;
pub(crate) use error::file_error;
pub use error::{RegistryError, SweepError};
pub use settings::Setting;
pub use workers::{LastExit, Process, WorkerHistory};

/// What the name of a directory begins with that is being removed; it ends in the process id of who
/// does it.
pub(crate) const REMOVED: &str = ".removed-";
/// What names of files begin with that are being written (`tempfile`).
pub(crate) const TEMPORARY: &str = ".tmp";

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

    /// The cluster of this name in ZooKeeper that is not over: the one started last, if several were.
    pub fn of_cluster_id(&self, id: &str) -> Result<Option<Cluster>, RegistryError> {
        let id = id.trim_matches('/');
        let is_it = |cluster: &Cluster| {
            let plan = cluster.plan().ok().and_then(|plan| plan.ha);
            plan.is_some_and(|ha| ha.cluster_id == id) && cluster.is_unfinished().unwrap_or(false)
        };
        let started =
            |cluster: &Cluster| std::fs::metadata(cluster.dir.plan()).and_then(|m| m.modified()).ok();
        Ok(self.list()?.into_iter().filter(is_it).max_by_key(started))
    }

    /// The cluster that is not over and has its front, or on this machine a JobManager its own web UI, at the address
    /// that is meant.
    pub fn of_address(&self, is_meant: impl Fn(&str) -> bool) -> Result<Option<Cluster>, RegistryError> {
        let is_it = |cluster: &Cluster| {
            let front = cluster.remembered().ok().and_then(|status| status.rest_url);
            let own = cluster.plan().ok().filter(|_| !cluster.is_on_yarn()).and_then(|plan| plan.ha);
            let own =
                own.into_iter().flat_map(|ha| ha.web_ports).map(|port| format!("http://localhost:{port}"));
            cluster.is_unfinished().unwrap_or(false) && front.into_iter().chain(own).any(|url| is_meant(&url))
        };
        Ok(self.list()?.into_iter().find(is_it))
    }

    /// The session that was started last and is not over; where all are over, the last of those.
    pub fn newest_session(&self) -> Result<Cluster, RegistryError> {
        let is_per_job = |cluster: &Cluster| cluster.plan().is_ok_and(|plan| plan.job.is_some());
        let age = |cluster: &Cluster| {
            let started = std::fs::metadata(cluster.dir.plan()).and_then(|m| m.modified());
            let over = cluster.remembered().is_ok_and(|s| s.state.is_terminal());
            (!over, started.unwrap_or(SystemTime::UNIX_EPOCH))
        };
        let sessions = self.list()?.into_iter().filter(|cluster| !is_per_job(cluster));
        sessions.max_by_key(age).ok_or(RegistryError::NoSession)
    }

    /// Takes the name for a new cluster: its directory is there, locked, and empty but for the logs
    /// of a former run and what that one's jobs can be started from.
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

#[cfg(test)]
pub(crate) mod tests;
