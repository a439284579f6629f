//! One cluster: what it has in its directory, and what its agent tells.

use std::{
    collections::BTreeMap,
    fs::{File, TryLockError},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
    time::{Duration, Instant, SystemTime},
};

use kobel_plan::{
    Attempt, ClusterDir, ClusterEvent, ClusterName, ClusterPlan, ClusterState, Snapshots, Status, WorkerId,
    snapshot::Note,
};
use serde::Deserialize;

use super::{RegistryError, Setting, SweepError, WorkerHistory, file_error, settings, workers};
use crate::{
    control::Control,
    fsx, logs,
    yarn::{self, Application, LogsError},
};

/// Longer than asking for a lock takes, shorter than anyone notices.
const A_MOMENT: Duration = Duration::from_millis(100);

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
    ports: BTreeMap<WorkerId, JobManagerPorts>,
}

/// Where the JobManager listens.
#[derive(Deserialize)]
struct JobManagerPorts {
    rpc: u16,
}

/// Ports that a cluster uses, or used last, as far as they are known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Ports {
    /// The front's.
    pub(super) front: Option<u16>,
    /// The JobManager's RPC port.
    pub(super) rpc: Option<u16>,
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
        yarn::copy_logs(&self.dir, &application, None).await
    }

    /// Brings here what the processes of a cluster on YARN have printed so far, and nothing else.
    pub async fn fetch_output(&self) -> Result<(), LogsError> {
        match Application::of(&self.dir)? {
            Some(application) => yarn::copy_logs(&self.dir, &application, Some(logs::Stream::Out)).await,
            None => Ok(()),
        }
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

    /// What its jobs, and those of former clusters of its name, can be started from, as far as anybody knows.
    pub async fn snapshots(&self) -> Snapshots {
        if let Err(error) = self.refresh().await {
            tracing::debug!(cluster = %self.name, %error, "what its agent wrote elsewhere cannot be had");
        }
        let mut known = self.kept_snapshots();
        if self.agent_lives().unwrap_or(false) {
            let told = match Control::open(&self.dir) {
                Ok(control) => control.snapshots().await,
                Err(error) => Err(error),
            };
            match told {
                Ok(told) => known.merge(told),
                Err(error) => tracing::debug!(cluster = %self.name, %error, "its agent does not tell"),
            }
        }
        known
    }

    /// What was written down here of what its jobs can be started from.
    fn kept_snapshots(&self) -> Snapshots {
        let path = self.dir.snapshots();
        if !path.exists() {
            return Snapshots::default();
        }
        read_json(&path).unwrap_or_else(|error| {
            tracing::warn!(cluster = %self.name, %error, "what its jobs can be started from is not known");
            Snapshots::default()
        })
    }

    /// Adds what its agent, which writes elsewhere, knew of what its jobs can be started from.
    pub(crate) fn bring_snapshots(&self, theirs: Snapshots) -> Result<(), RegistryError> {
        let (path, mut known) = (self.dir.snapshots(), self.kept_snapshots());
        known.merge(theirs);
        let json = serde_json::to_vec_pretty(&known.lasting()).unwrap_or_default();
        fsx::write_whole(&path, &json).map_err(file_error("write", path))
    }

    /// Has the agent note something of a job. That it does not is no failure of what is noted.
    pub async fn note(&self, note: Note) {
        let noted = match Control::open(&self.dir) {
            Ok(control) => control.note(&note).await,
            Err(error) => Err(error),
        };
        if let Err(error) = noted {
            tracing::info!(cluster = %self.name, %error, "`--from latest` may not know of this");
        }
    }

    /// Its effective Flink configuration, secrets hidden.
    pub fn settings(&self) -> Result<Vec<Setting>, RegistryError> {
        let ports = self.record()?.map_or_else(Ports::default, |record| Ports {
            front: (record.front_port != 0).then_some(record.front_port),
            rpc: record.ports.get(&WorkerId::jm(0)).map(|ports| ports.rpc),
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

    /// Removes what a former run left, except the lock, the logs, and what its jobs can be started from.
    pub(super) fn clear(&self) -> io::Result<()> {
        let dir = &self.dir;
        let kept = [yarn::recalled(dir), yarn::collected(dir)];
        for file in [dir.plan(), dir.record(), dir.events(), dir.socket()].into_iter().chain(kept) {
            absent_is_fine(std::fs::remove_file(file))?;
        }
        Application::forget(dir)?;
        absent_is_fine(std::fs::remove_dir_all(dir.usrlib()))?;
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
