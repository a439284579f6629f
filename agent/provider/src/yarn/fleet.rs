//! The workers that live in containers and what YARN has given for them: pure decisions, no I/O.
//!
//! ```text
//!            granted, file there         the node took it
//! Waiting ──────────────────────► Starting ──────────────► Running
//!    │ released                       │ released               │ released
//!    ▼                                ▼                        ▼
//!   gone                           Leaving ──completed──► gone (Released)
//! ```
//! A worker that is gone stays in the table until its next attempt is asked for, so that late watchers
//! hear of it.

mod apart;
mod errand;
mod shun;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use jiff::Timestamp;
use kobel_hadoop_rpc::yarn::{
    Allocated, Ask, Completed, Container, ContainerId, Granted, LocalResource, NodeId, Outbox, Place,
    Resource,
};
use kobel_plan::{Attempt, Exit, Phase, Resources, Role, WorkerEvent, WorkerId};

use super::exit;
use crate::ProviderError;

/// One process of a worker.
pub(super) type Key = (WorkerId, Attempt);

/// What is to be done next, in order.
#[derive(Debug, PartialEq)]
pub(super) enum Effect {
    /// Start the worker in its container.
    Start(Key, Box<Granted>, LocalResource),
    /// Ask the process of a container to go.
    Terminate(Key, NodeId, ContainerId),
    /// Tell who watches.
    Tell(WorkerEvent),
    /// Start what the errand is for.
    StartErrand(Box<Granted>),
    /// Tell who sent it out how it ended.
    ErrandOver(Exit),
}

/// The workers and their containers.
#[derive(Debug, Default)]
pub(super) struct Fleet {
    workers: BTreeMap<Key, Worker>,
    /// Who waits for a container, by priority.
    waiting: BTreeMap<i32, BTreeSet<Key>>,
    /// Who has which container.
    holders: BTreeMap<ContainerId, Key>,
    /// Who waits for a container, for the file to start it with, or for its end.
    unsettled: BTreeSet<Key>,
    profiles: Vec<Profile>,
    /// The label that the nodes of TaskManagers must have.
    node_label: Option<String>,
    errand: Option<errand::Errand>,
    /// Nodes that are avoided, and until when.
    shunned: BTreeMap<String, Instant>,
    /// Where this master is.
    host: String,
    /// While a JobManager waits for a node of its own.
    apart: Option<apart::Apart>,
    /// How many nodes there are.
    cluster_nodes: u32,
    /// What is to be said to the ResourceManager.
    pub(super) outbox: Outbox,
}

/// What makes containers alike.
type Profile = (Role, Resources);

#[derive(Debug)]
struct Worker {
    priority: i32,
    /// The file that tells the container what to run, once it lies where the node can fetch it.
    spec: Option<LocalResource>,
    stage: Stage,
    last: WorkerEvent,
}

#[derive(Debug)]
enum Stage {
    /// No container yet.
    Waiting,
    /// A container, and no file yet to start it with.
    Granted(Box<Granted>),
    /// The node was asked to start it, or has done so.
    Placed { container: ContainerId, node: NodeId, leaving: bool },
    /// Over.
    Gone,
}

impl Stage {
    /// The container that the worker has.
    fn container(&self) -> Option<ContainerId> {
        match self {
            Stage::Granted(granted) => Some(granted.container.id),
            Stage::Placed { container, .. } => Some(*container),
            Stage::Waiting | Stage::Gone => None,
        }
    }
}

impl Fleet {
    /// One whose TaskManagers are to be on nodes with this label, of a master on this host.
    pub(super) fn on(node_label: Option<String>, host: &str) -> Self {
        Self { node_label, host: host.into(), ..Self::default() }
    }

    /// Makes room for a worker: its container is asked for with the next heartbeat.
    pub(super) fn want(&mut self, key: Key, size: Resources) -> Result<Vec<Effect>, ProviderError> {
        if self.workers.contains_key(&key) {
            return Ok(Vec::new());
        }
        self.may_follow(key)?;
        let gone = self.attempts(key.0).filter(|(_, worker)| matches!(worker.stage, Stage::Gone));
        for former in gone.map(|(former, _)| *former).collect::<Vec<_>>() {
            self.workers.remove(&former);
        }
        let priority = self.priority((key.0.role, size));
        let last = event(key, Phase::Pending);
        self.workers.insert(key, Worker { priority, spec: None, stage: Stage::Gone, last: last.clone() });
        self.move_to(key, Stage::Waiting);
        self.ask(priority);
        if key.0.role == Role::JobManager {
            self.keep_apart(Instant::now());
        }
        Ok(vec![Effect::Tell(last)])
    }

    /// Takes over a worker in a former attempt's container.
    pub(super) fn adopt(&mut self, key: Key, container: &Container) {
        let Container { id, node, priority, .. } = container;
        let phase = Phase::Running { host: node.host.clone(), pid: None, container: Some(id.to_string()) };
        let last = event(key, phase);
        self.workers.insert(key, Worker { priority: *priority, spec: None, stage: Stage::Gone, last });
        self.move_to(key, Stage::Placed { container: *id, node: node.clone(), leaving: false });
    }

    /// The attempts of a worker that are in the table, in their order.
    fn attempts(&self, id: WorkerId) -> impl Iterator<Item = (&Key, &Worker)> {
        self.workers.range((id, Attempt::FIRST)..).take_while(move |(key, _)| key.0 == id)
    }

    /// Has a worker stand there. Thousands of workers must not be looked through for each container, so
    /// what is asked of all of them is kept by the answer.
    fn move_to(&mut self, key: Key, stage: Stage) {
        let Some(worker) = self.workers.get_mut(&key) else { return };
        if let Some(container) = worker.stage.container() {
            self.holders.remove(&container);
        }
        if let Some(container) = stage.container() {
            self.holders.insert(container, key);
        }
        let waiting = self.waiting.entry(worker.priority).or_default();
        match stage {
            Stage::Waiting => waiting.insert(key),
            _ => waiting.remove(&key),
        };
        match stage {
            Stage::Gone | Stage::Placed { leaving: false, .. } => self.unsettled.remove(&key),
            _ => self.unsettled.insert(key),
        };
        worker.stage = stage;
    }

    /// Attempts only rise, and one at a time is wanted.
    fn may_follow(&self, (id, attempt): Key) -> Result<(), ProviderError> {
        for (&(_, former), worker) in self.attempts(id) {
            if former > attempt {
                return Err(ProviderError::Superseded { id, attempt, newer: former });
            }
            if !matches!(worker.stage, Stage::Gone | Stage::Placed { leaving: true, .. }) {
                return Err(ProviderError::NotReleased { id, attempt, living: former });
            }
        }
        Ok(())
    }

    /// The size is no part of what the scheduler tells asks apart by, so each has a priority of its own.
    fn priority(&mut self, profile: Profile) -> i32 {
        let known = self.profiles.iter().position(|known| *known == profile);
        let index = known.unwrap_or_else(|| {
            self.profiles.push(profile);
            self.profiles.len() - 1
        });
        i32::try_from(index).unwrap_or(i32::MAX - 1) + 1
    }

    /// Says how many containers of a profile are still wanted.
    fn ask(&mut self, priority: i32) {
        let count = self.waiting.get(&priority).map_or(0, BTreeSet::len);
        if count == 0 && self.outbox.wanted(priority, None) == 0 {
            return;
        }
        let profile = usize::try_from(priority - 1).ok().and_then(|index| self.profiles.get(index));
        let Some((role, size)) = profile else { return };
        // Where nothing is said, that of the application holds.
        let node_label = if *role == Role::JobManager { None } else { self.node_label.clone() };
        self.outbox.ask(Ask {
            priority,
            allocation_id: None,
            place: Place::Any,
            // To take back what was too large is refused as well if it says how large.
            size: if count == 0 { Resource::new(1, 1) } else { container_size(*size) },
            count: i32::try_from(count).unwrap_or(i32::MAX),
            node_label,
        });
    }

    /// The file of a worker lies ready, or could not be put there.
    pub(super) fn shipped(&mut self, key: Key, file: Result<LocalResource, String>) -> Vec<Effect> {
        let Some(worker) = self.workers.get_mut(&key) else { return Vec::new() };
        match file {
            Ok(file) => {
                worker.spec = Some(file);
                self.start_if_ready(key)
            }
            Err(diagnostics) => self.give_up(key, Exit::LaunchFailed { diagnostics }),
        }
    }

    /// The ResourceManager answered a heartbeat.
    pub(super) fn answered(&mut self, answer: Allocated) -> Vec<Effect> {
        self.outbox.answered(&answer);
        self.cluster_nodes = answer.cluster_nodes;
        let mut effects = Vec::new();
        for granted in answer.granted {
            effects.extend(self.granted(granted));
        }
        for completed in answer.completed {
            effects.extend(self.completed(&completed));
        }
        for container in answer.running {
            self.stray(&container);
        }
        self.review_apart(Instant::now());
        effects
    }

    /// A container goes to the first worker that waits for one like it. One that nobody waits for goes
    /// back at once.
    fn granted(&mut self, granted: Granted) -> Vec<Effect> {
        if self.is_for_errand(&granted) {
            return self.errand_granted(granted);
        }
        let container = &granted.container;
        if self.holder(container.id).is_some() {
            return Vec::new();
        }
        let waiting = self.waiting.get(&container.priority);
        let Some(key) = waiting.and_then(|waiting| waiting.first()).copied() else {
            tracing::info!(container = %container.id, "gives back a container that nobody waits for");
            self.outbox.release(container.id);
            return Vec::new();
        };
        self.move_to(key, Stage::Granted(Box::new(granted)));
        self.start_if_ready(key)
    }

    fn start_if_ready(&mut self, key: Key) -> Vec<Effect> {
        let Some(worker) = self.workers.get(&key) else { return Vec::new() };
        let (Stage::Granted(granted), Some(spec)) = (&worker.stage, &worker.spec) else { return Vec::new() };
        let (granted, spec) = (granted.clone(), spec.clone());
        let Container { id, node, .. } = &granted.container;
        self.move_to(key, Stage::Placed { container: *id, node: node.clone(), leaving: false });
        vec![Effect::Start(key, granted, spec)]
    }

    /// The node took the container on, or refused it.
    pub(super) fn started(&mut self, key: Key, outcome: Result<(), String>) -> Vec<Effect> {
        let Some(worker) = self.workers.get_mut(&key) else { return Vec::new() };
        let Stage::Placed { container, node, leaving } = &worker.stage else { return Vec::new() };
        match outcome {
            Ok(()) if *leaving => vec![Effect::Terminate(key, node.clone(), *container)],
            Ok(()) => {
                let (host, container) = (node.host.clone(), Some(container.to_string()));
                let last = event(key, Phase::Running { host, pid: None, container });
                worker.last = last.clone();
                vec![Effect::Tell(last)]
            }
            Err(_) if *leaving => self.give_up(key, Exit::Released),
            Err(diagnostics) => self.give_up(key, Exit::LaunchFailed { diagnostics }),
        }
    }

    /// A container ended; the same end may be told twice.
    pub(super) fn completed(&mut self, completed: &Completed) -> Vec<Effect> {
        if self.is_errand(completed.id) {
            return self.errand_completed(completed);
        }
        let Some((key, worker)) = self.holder(completed.id) else { return Vec::new() };
        let leaving = matches!(worker.stage, Stage::Placed { leaving: true, .. });
        let exit = if leaving { Exit::Released } else { exit::of_container(completed) };
        self.gone(key, exit)
    }

    /// Who has this container.
    fn holder(&self, id: ContainerId) -> Option<(Key, &Worker)> {
        let key = *self.holders.get(&id)?;
        Some((key, self.workers.get(&key)?))
    }

    /// A container that runs and belongs to no worker of ours: a former attempt's.
    pub(super) fn stray(&mut self, container: &Container) {
        if self.holder(container.id).is_none() && !self.is_errand(container.id) {
            tracing::info!(container = %container.id, node = %container.node, "lets a former attempt's container go");
            self.outbox.release(container.id);
        }
    }

    /// A worker is not wanted any more.
    pub(super) fn release(&mut self, key: Key) -> Vec<Effect> {
        let Some(worker) = self.workers.get(&key) else { return Vec::new() };
        match &worker.stage {
            Stage::Waiting | Stage::Granted(_) => self.give_up(key, Exit::Released),
            Stage::Placed { container, node, leaving: false } => {
                // One that the node has not taken on yet is asked to go as soon as it is.
                let runs = matches!(worker.last.phase, Phase::Running { .. });
                let (container, node) = (*container, node.clone());
                self.move_to(key, Stage::Placed { container, node: node.clone(), leaving: true });
                runs.then_some(Effect::Terminate(key, node, container)).into_iter().collect()
            }
            Stage::Placed { .. } | Stage::Gone => Vec::new(),
        }
    }

    /// A leaving worker is to go sooner than was said.
    pub(super) fn hasten(&self, key: Key) -> Option<Effect> {
        match &self.workers.get(&key)?.stage {
            Stage::Placed { container, node, leaving: true } => {
                Some(Effect::Terminate(key, node.clone(), *container))
            }
            _ => None,
        }
    }

    /// Gives back what a worker has and tells its end.
    fn give_up(&mut self, key: Key, exit: Exit) -> Vec<Effect> {
        let Some(worker) = self.workers.get(&key) else { return Vec::new() };
        if matches!(worker.stage, Stage::Gone) {
            return Vec::new();
        }
        if let Some(container) = worker.stage.container() {
            self.outbox.release(container);
        }
        self.gone(key, exit)
    }

    fn gone(&mut self, key: Key, exit: Exit) -> Vec<Effect> {
        let Some(worker) = self.workers.get_mut(&key) else { return Vec::new() };
        let suspicious = shun::is_suspicious(&exit);
        let last = event(key, Phase::Exited(exit));
        worker.last = last.clone();
        let priority = worker.priority;
        let failed_on = match &worker.stage {
            Stage::Placed { node, leaving: false, .. } if suspicious => Some(node.host.clone()),
            _ => None,
        };
        self.move_to(key, Stage::Gone);
        if let Some(host) = failed_on {
            self.avoid(&host, Instant::now());
        }
        let is_replaced = self.attempts(key.0).any(|(other, _)| other.1 > key.1);
        if is_replaced {
            self.workers.remove(&key);
        }
        self.ask(priority);
        vec![Effect::Tell(last)]
    }

    /// A heartbeat was refused as a whole, for these asks: who waits for such a container cannot have one.
    pub(super) fn refused(&mut self, why: &str) -> Vec<Effect> {
        let asks = self.outbox.refused();
        let waiting = asks.iter().filter_map(|ask| self.waiting.get(&ask.priority));
        let keys: Vec<Key> = waiting.flatten().copied().collect();
        let exit = || Exit::LaunchFailed { diagnostics: why.to_string() };
        let mut effects = self.errand_refused(&asks, why);
        effects.extend(keys.into_iter().flat_map(|key| self.give_up(key, exit())));
        effects
    }

    /// The container in which it runs, and its node.
    pub(super) fn runs_in(&self, key: Key) -> Option<(ContainerId, &NodeId)> {
        let Worker { stage, last, .. } = self.workers.get(&key)?;
        match (stage, &last.phase) {
            (Stage::Placed { container, node, leaving: false }, Phase::Running { .. }) => {
                Some((*container, node))
            }
            _ => None,
        }
    }

    /// The containers of a role's workers that run, or leave, and their nodes.
    pub(super) fn running(&self, role: Role) -> impl Iterator<Item = (ContainerId, &NodeId)> {
        let from = (WorkerId { role, index: 0 }, Attempt::FIRST);
        let of_role = self.workers.range(from..).take_while(move |(key, _)| key.0.role == role);
        of_role.filter_map(|(_, worker)| match (&worker.stage, &worker.last.phase) {
            (Stage::Placed { container, node, .. }, Phase::Running { .. }) => Some((*container, node)),
            _ => None,
        })
    }

    /// Whether this one is wanted, or not gone yet.
    pub(super) fn lives(&self, key: Key) -> bool {
        self.workers.get(&key).is_some_and(|worker| !matches!(worker.stage, Stage::Gone))
    }

    /// Whether a container is being waited for.
    pub(super) fn is_waiting(&self) -> bool {
        !self.unsettled.is_empty()
    }

    /// The last that happened to each worker.
    pub(super) fn present(&self) -> impl Iterator<Item = &WorkerEvent> {
        self.workers.values().map(|worker| &worker.last)
    }
}

fn event((id, attempt): Key, phase: Phase) -> WorkerEvent {
    WorkerEvent { id, attempt, at: Timestamp::now(), phase }
}

/// YARN counts memory in MiB; a part of one is one more.
fn container_size(size: Resources) -> Resource {
    let mib = size.memory_bytes.div_ceil(1 << 20);
    Resource::new(i64::try_from(mib).unwrap_or(i64::MAX), i32::try_from(size.vcores).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests;
