//! What the agent must remember across its own death, and the cluster's timeline.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use kobel_plan::{
    API_VERSION, Attempt, ClusterDir, ClusterEvent, ClusterPlan, ClusterState, Role, Status, Wanted,
    WorkerId,
    api::{StopCause, StopRequest},
    status::AgentStatus,
};
use serde::{Deserialize, Serialize};

use kobel_provider::Recovered;

use crate::{
    election::Former,
    front,
    ports::Ports,
    recall::{Note, PlanStamp, Recalled, recall},
};

/// So many agents in a row, started within [`LOOP`], that ended before the cluster was ready are a crash loop.
const IN_A_ROW: usize = 5;
/// See [`IN_A_ROW`].
const LOOP: SignedDuration = SignedDuration::from_mins(10);

/// `record.json`. Its `status` is what the submitting side shows when no agent lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    /// Always [`API_VERSION`].
    pub(crate) api_version: String,
    /// How many agents have had charge of this cluster.
    pub(crate) epoch: u32,
    /// When the agents since the cluster was ready last took charge.
    #[serde(default)]
    pub(crate) starts: Vec<Timestamp>,
    /// How many workers there shall be in any case, by the plan or the last scaling.
    pub(crate) wanted: Wanted,
    /// How many TaskManagers there shall be beyond those, while jobs need them.
    #[serde(default)]
    pub(crate) extra_task_managers: u32,
    /// Where the front listens.
    pub(crate) front_port: u16,
    /// Where each JobManager listens; none is there before the first is started.
    pub(crate) ports: BTreeMap<WorkerId, Ports>,
    /// Where the cluster's own ZooKeeper listens, if it has one.
    pub(crate) zookeeper_port: Option<u16>,
    /// Every worker's newest attempt, written before the provider is asked for it.
    pub(crate) attempts: BTreeMap<WorkerId, Attempt>,
    /// YARN's containers in which workers run: an attempt of the master that comes after this one knows them by it.
    #[serde(default)]
    pub(crate) containers: BTreeMap<String, (WorkerId, Attempt)>,
    /// The JobManager that led last, to tell a failover from a first start.
    pub(crate) leader: Option<(WorkerId, Attempt)>,
    /// The JobManagers of this machine, for an agent that comes after this one.
    #[serde(default)]
    pub(crate) formers: Vec<Former>,
    /// Since when that one leads.
    pub(crate) leading_since: Option<Timestamp>,
    /// Whether the cluster was ever ready.
    pub(crate) ever_ready: bool,
    /// How the cluster is being ended, once it is.
    pub(crate) ending: Option<Ending>,
    /// The last status.
    pub(crate) status: Status,
}

/// A cluster's end: decided, perhaps not reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ending {
    /// What kind.
    pub(crate) kind: EndKind,
    /// Why, in one line.
    pub(crate) reason: String,
    /// How long workers may take after SIGTERM.
    pub(crate) grace: Duration,
    /// Whether what high availability leaves is asked to stay.
    #[serde(default)]
    pub(crate) keep_ha: bool,
}

/// The kinds of end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum EndKind {
    /// On request, or because nothing was left to do.
    Stopped,
    /// On request, and impatiently.
    Killed,
    /// By a fault.
    Failed,
}

impl Ending {
    /// An end that leaves nothing, of a cluster that ends well.
    pub(crate) fn new(kind: EndKind, reason: impl Into<String>, grace: Duration) -> Self {
        Self { kind, reason: reason.into(), grace, keep_ha: false }
    }

    /// The end that somebody asked for.
    pub(crate) fn requested(request: StopRequest) -> Self {
        let (kind, reason) = match request.by {
            StopCause::Stop => (EndKind::Stopped, "stopped by `kobel stop`"),
            StopCause::Kill => (EndKind::Killed, "killed by `kobel kill`"),
            StopCause::RolledBack => (EndKind::Killed, "taken back by an unfinished `kobel start`"),
            StopCause::RestApi => (EndKind::Stopped, "stopped by DELETE /cluster"),
            StopCause::Signal => (EndKind::Stopped, "stopped by a signal to the agent"),
        };
        Self { keep_ha: request.keep_ha, ..Self::new(kind, reason, request.grace()) }
    }

    /// The state that it leads to.
    pub(crate) fn state(&self) -> ClusterState {
        match self.kind {
            EndKind::Stopped | EndKind::Killed => ClusterState::Stopped,
            EndKind::Failed => ClusterState::Failed,
        }
    }
}

impl Record {
    /// The record that an agent begins with: a former agent's carried on, or a new one.
    pub(crate) fn of_agent(former: Option<Self>, plan: &ClusterPlan, front_port: u16) -> Self {
        let agent = AgentStatus { host: kobel_provider::local::host_name(), pid: std::process::id() };
        let mut record = former.unwrap_or_else(|| Self::first(plan));
        record.epoch += 1;
        let now = Timestamp::now();
        record.starts.retain(|start| now.duration_since(*start) < LOOP);
        record.starts.push(now);
        record.front_port = front_port;
        record.status.rest_url = Some(front::url(&plan.front, front_port));
        record.status.agent = Some(agent);
        record
    }

    fn first(plan: &ClusterPlan) -> Self {
        Self {
            api_version: API_VERSION.into(),
            epoch: 0,
            starts: vec![],
            wanted: plan.wanted,
            extra_task_managers: 0,
            front_port: 0,
            ports: BTreeMap::new(),
            zookeeper_port: None,
            attempts: BTreeMap::new(),
            containers: BTreeMap::new(),
            leader: None,
            formers: vec![],
            leading_since: None,
            ever_ready: false,
            ending: None,
            status: Status::starting(plan, Timestamp::now()),
        }
    }

    /// How many workers there shall be now.
    pub(crate) fn present(&self) -> Wanted {
        let task_managers = self.wanted.task_managers.saturating_add(self.extra_task_managers);
        Wanted { task_managers, ..self.wanted }
    }

    /// The end of a cluster whose agents end again and again, and others start them.
    pub(crate) fn agents_in_a_loop(&self) -> Option<Ending> {
        let ended = self.starts.len().saturating_sub(1);
        let reason = || {
            format!(
                "{ended} masters in a row ended before the cluster was ready, within {} minutes",
                LOOP.as_mins()
            )
        };
        (ended >= IN_A_ROW).then(|| Ending::new(EndKind::Failed, reason(), Duration::ZERO))
    }

    /// What a former agent left of a living cluster: its record, or what the workers tell when that is
    /// gone. Of the ports they know better in any case; none are left without workers.
    pub(crate) fn former(plan: &ClusterPlan, dir: &ClusterDir, recovered: &[Recovered]) -> Option<Self> {
        let stamp = PlanStamp::of(dir);
        let recalled = recall(stamp, recovered);
        let mut record = match Self::load(dir) {
            Some(record) => record,
            None => Self::retold(plan, stamp, recovered, recalled.as_ref()?),
        };
        if let Some(Recalled { front: _, ports, zookeeper }) = recalled {
            record.ports.extend(ports);
            record.zookeeper_port = zookeeper.or(record.zookeeper_port);
        }
        Some(record)
    }

    /// The record as far as the workers of this plan can tell it again. No worker that lives is
    /// one too many: the cluster may have been scaled, or jobs may need it.
    fn retold(plan: &ClusterPlan, stamp: PlanStamp, recovered: &[Recovered], known: &Recalled) -> Self {
        let mut record = Self { front_port: known.front, ..Self::first(plan) };
        if let Ok(started_at) = stamp.written_at().try_into() {
            record.status.started_at = started_at;
        }
        for Recovered { id, attempt, .. } in recovered.iter().filter(|worker| knows(worker, stamp)) {
            let newest = record.attempts.entry(*id).or_insert(*attempt);
            *newest = (*newest).max(*attempt);
            let wanted = match id.role {
                Role::JobManager => &mut record.wanted.job_managers,
                Role::TaskManager => &mut record.wanted.task_managers,
                Role::ZooKeeper => continue,
            };
            *wanted = (*wanted).max(id.index + 1);
        }
        if plan.max_task_managers.is_some() {
            let pinned = &mut record.wanted.task_managers;
            record.extra_task_managers = pinned.saturating_sub(plan.wanted.task_managers);
            *pinned -= record.extra_task_managers;
        }
        record
    }

    /// The record of a living cluster that an agent left behind; none if there is none, or none that
    /// can be read, or its cluster is over.
    fn load(dir: &ClusterDir) -> Option<Self> {
        let bytes = fs::read(dir.record()).ok()?;
        match serde_json::from_slice::<Self>(&bytes) {
            Ok(record) if record.api_version != API_VERSION => {
                tracing::warn!(version = record.api_version, "the record is another version's");
                None
            }
            Ok(record) => (!record.status.state.is_terminal()).then_some(record),
            Err(error) => {
                tracing::warn!(%error, "could not read the record of a former agent");
                None
            }
        }
    }

    /// It without what the next agent sees for itself: how the cluster stands.
    pub(crate) fn lasting(&self) -> Self {
        let mut lasting = self.clone();
        let status = &mut lasting.status;
        (status.state, status.reason) = (ClusterState::Starting, None);
        status.masters.clear();
        status.task_managers.list.clear();
        status.task_managers.running = 0;
        (status.slots, status.jobs) = Default::default();
        lasting
    }

    /// Writes it so that a reader finds the old or the new one, whole, whatever dies in between.
    /// Failing is survivable (a full disk must not end a cluster), so it is only logged.
    pub(crate) async fn save(&self, dir: &ClusterDir) {
        let path = dir.record();
        let written = match serde_json::to_vec_pretty(self) {
            Ok(bytes) => tokio::task::spawn_blocking(move || write_atomically(&path, &bytes)).await,
            Err(error) => Ok(Err(error.into())),
        };
        if let Err(error) = written.unwrap_or_else(|join| Err(io::Error::other(join))) {
            tracing::error!(%error, "could not write the record: a next agent may not know this one's workers");
        }
    }
}

/// Whether a worker was launched by this plan.
fn knows(worker: &Recovered, plan: PlanStamp) -> bool {
    Note::of(worker).is_some_and(|note| note.plan == plan)
}

/// Writes a file of mode 0600 by way of a temporary one beside it.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(dir)?.sync_all()
}

/// `events.jsonl`: what happened to the cluster, appended line by line.
#[derive(Debug)]
pub(crate) struct Timeline(PathBuf);

impl Timeline {
    pub(crate) fn new(dir: &ClusterDir) -> Self {
        Self(dir.events())
    }

    /// Appends an event. As with the record, failing is survivable.
    pub(crate) fn append(&self, event: &ClusterEvent) {
        let appended = serde_json::to_vec(event).map_err(io::Error::from).and_then(|mut line| {
            line.push(b'\n');
            OpenOptions::new().create(true).append(true).mode(0o600).open(&self.0)?.write_all(&line)
        });
        if let Err(error) = appended {
            tracing::warn!(%error, "could not write to the timeline");
        }
    }
}

/// The last events of a timeline; a torn last line is left out.
pub(crate) fn last_events(text: &str, count: usize) -> Vec<ClusterEvent> {
    let mut events: Vec<_> =
        text.lines().rev().filter_map(|line| serde_json::from_str(line).ok()).take(count).collect();
    events.reverse();
    events
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use kobel_plan::EventKind;

    use super::*;
    use crate::testing::plan;

    #[tokio::test]
    async fn a_record_comes_back_as_it_went() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = ClusterDir::new(tmp.path());
        let mut record = Record::of_agent(None, &plan(tmp.path()), 8081);
        record.attempts.insert(WorkerId::tm(3), Attempt::FIRST.next());
        record.leader = Some((WorkerId::jm(0), Attempt::FIRST));
        record.ending = Some(Ending::requested(StopRequest::new(StopCause::Stop, Duration::from_secs(3))));
        record.save(&dir).await;
        assert_eq!(Record::load(&dir), Some(record.clone()));
        let mode = fs::metadata(dir.record()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        record.status.state = ClusterState::Stopped;
        record.save(&dir).await;
        assert_eq!(Record::load(&dir), None, "a cluster that is over is not taken up again");
        fs::write(dir.record(), &serde_json::to_vec(&record).unwrap()[..40]).unwrap();
        assert_eq!(Record::load(&dir), None, "half a record is none");
    }

    #[test]
    fn the_timeline_survives_a_torn_line() {
        let tmp = tempfile::tempdir().unwrap();
        let timeline = Timeline::new(&ClusterDir::new(tmp.path()));
        for n in 0..3 {
            timeline.append(&ClusterEvent {
                at: Timestamp::UNIX_EPOCH,
                kind: EventKind::WorkerRunning,
                worker: Some(WorkerId::tm(n)),
                message: "runs".into(),
            });
        }
        let text = fs::read_to_string(&timeline.0).unwrap() + "{\"at\":\"19";
        let workers: Vec<_> = last_events(&text, 2).into_iter().map(|event| event.worker).collect();
        assert_eq!(workers, [Some(WorkerId::tm(1)), Some(WorkerId::tm(2))]);
    }
}
