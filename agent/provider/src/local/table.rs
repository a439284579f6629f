//! The task that owns the table of workers. It is asked by message and runs until the provider is
//! dropped; the workers' processes live on then.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use kobel_conf::chain;
use kobel_plan::{Attempt, Exit, Fault, Phase, WorkerEvent, WorkerId, WorkerSpec};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::{JoinError, JoinSet},
    time::Instant,
};
use tracing::{error, info};

use super::{
    Key, ProcessIdentity, Surroundings, Whereabouts,
    launch::launch,
    places::Places,
    process::{PidFd, Process},
    supervise::{Belongings, Deadline, supervise},
};
use crate::{ProviderError, Recovered};

/// A longer grace is no different from this one, and this one can be added to any instant.
const LONGEST_GRACE: Duration = Duration::from_secs(365 * 24 * 3600);

/// What the task may be asked for.
#[derive(Debug)]
pub(super) enum Ask {
    /// [`crate::Provider::ensure`].
    Ensure(Box<WorkerSpec>, oneshot::Sender<Result<(), ProviderError>>),
    /// [`crate::Provider::release`].
    Release(Key, Duration, oneshot::Sender<()>),
    /// [`crate::Provider::strike`].
    Strike(Key, Fault, oneshot::Sender<Result<(), ProviderError>>),
    /// [`crate::Provider::recover`].
    Recovered(oneshot::Sender<Vec<Recovered>>),
    /// [`crate::Provider::watch`].
    Watch(mpsc::UnboundedSender<WorkerEvent>),
}

/// The [`kobel_plan::Launch::NOTE`] of an adopted worker, if it has one.
pub(super) type Note = Option<String>;

/// What a worker's own task has done.
enum Step {
    Launched(Key, Result<Process, String>),
    Ended(Key, Exit),
}

#[derive(Debug)]
struct Worker {
    /// The last thing that happened to it.
    last: WorkerEvent,
    adopted: Option<Note>,
    /// Its process, once there is one.
    process: Option<ProcessIdentity>,
    deadline: watch::Sender<Deadline>,
}

impl Worker {
    fn is_gone(&self) -> bool {
        matches!(self.last.phase, Phase::Exited(_))
    }

    fn is_leaving(&self) -> bool {
        self.deadline.borrow().is_some()
    }
}

/// The workers, who is told of them, and the tasks that are with them.
pub(super) struct Table {
    places: Places,
    whereabouts: Whereabouts,
    /// A gone worker stays until its next attempt is asked for, so that late watchers hear of it.
    workers: BTreeMap<Key, Worker>,
    watchers: Vec<mpsc::UnboundedSender<WorkerEvent>>,
    tasks: JoinSet<Step>,
}

impl Table {
    /// A table of these adopted workers.
    pub(super) fn new(places: Places, whereabouts: Whereabouts, adopted: Vec<(Key, Process, Note)>) -> Self {
        let mut table = Self {
            places,
            whereabouts,
            workers: BTreeMap::new(),
            watchers: Vec::new(),
            tasks: JoinSet::new(),
        };
        for (key, process, note) in adopted {
            table.enter(key, Some(note));
            table.follow(key, process);
        }
        table
    }

    /// Answers until nobody can ask any more.
    pub(super) async fn run(mut self, mut asks: mpsc::UnboundedReceiver<Ask>) {
        loop {
            tokio::select! {
                ask = asks.recv() => match ask {
                    Some(ask) => self.answer(ask),
                    None => return,
                },
                Some(step) = self.tasks.join_next() => self.advance(step),
            }
        }
    }

    /// Who asked may have gone meanwhile; what was asked for is done all the same.
    fn answer(&mut self, ask: Ask) {
        match ask {
            Ask::Ensure(spec, reply) => drop(reply.send(self.ensure(*spec))),
            Ask::Release(key, grace, reply) => {
                self.release(key, grace);
                let _ = reply.send(());
            }
            Ask::Strike(key, fault, reply) => drop(reply.send(self.strike(key, fault))),
            Ask::Recovered(reply) => drop(reply.send(self.recovered())),
            Ask::Watch(watcher) => {
                let listens = self.workers.values().all(|worker| watcher.send(worker.last.clone()).is_ok());
                self.watchers.extend(listens.then_some(watcher));
            }
        }
    }

    fn ensure(&mut self, spec: WorkerSpec) -> Result<(), ProviderError> {
        let key @ (id, attempt) = (spec.id, spec.attempt);
        if self.workers.contains_key(&key) {
            return Ok(());
        }
        self.may_follow(id, attempt)?;
        self.workers.retain(|former, worker| former.0 != id || !worker.is_gone());
        self.enter(key, None);
        let places = self.places.clone();
        let on_leash = matches!(places.surroundings(), Surroundings::Container { .. });
        let start = move || launch(&places, &spec).map_err(|error| chain(&error));
        if on_leash {
            // What is on a leash dies with the thread that started it: this one stays.
            self.tasks.spawn(async move { Step::Launched(key, start()) });
            return Ok(());
        }
        // Not waited for when the provider is dropped meanwhile: the next one will adopt the process.
        let launched = tokio::task::spawn_blocking(start);
        self.tasks.spawn(async move {
            Step::Launched(key, launched.await.unwrap_or_else(|error| Err(error.to_string())))
        });
        Ok(())
    }

    /// Attempts only rise, and one at a time is wanted.
    fn may_follow(&self, id: WorkerId, attempt: Attempt) -> Result<(), ProviderError> {
        for (&(_, former), worker) in self.workers.iter().filter(|(key, _)| key.0 == id) {
            if former > attempt {
                return Err(ProviderError::Superseded { id, attempt, newer: former });
            }
            if !worker.is_gone() && !worker.is_leaving() {
                return Err(ProviderError::NotReleased { id, attempt, living: former });
            }
        }
        Ok(())
    }

    fn release(&mut self, key: Key, grace: Duration) {
        let Some(worker) = self.workers.get(&key).filter(|worker| !worker.is_gone()) else { return };
        let at = Instant::now() + grace.min(LONGEST_GRACE);
        worker.deadline.send_if_modified(|deadline| {
            let sooner = deadline.is_none_or(|former| at < former);
            if sooner {
                *deadline = Some(at);
            }
            sooner
        });
    }

    fn strike(&self, key @ (id, attempt): Key, fault: Fault) -> Result<(), ProviderError> {
        let living = self.workers.get(&key).filter(|worker| !worker.is_gone());
        let gone = ProviderError::NotAlive { id, attempt };
        let Some(identity) = living.and_then(|worker| worker.process.as_ref()) else { return Err(gone) };
        let io = |attempt| ProviderError::io(attempt, identity);
        let process = PidFd::of(identity).map_err(io("look for"))?.ok_or(gone)?;
        process.strike(fault).map_err(io("signal"))
    }

    fn recovered(&self) -> Vec<Recovered> {
        let recovered = |(&(id, attempt), worker): (&Key, &Worker)| {
            let note = worker.adopted.clone()?;
            Some(Recovered { id, attempt, phase: worker.last.phase.clone(), note })
        };
        self.workers.iter().filter_map(recovered).collect()
    }

    fn advance(&mut self, step: Result<Step, JoinError>) {
        match step {
            Ok(Step::Launched(key, Ok(process))) => self.follow(key, process),
            Ok(Step::Launched(key, Err(diagnostics))) => {
                self.tell(key, Phase::Exited(Exit::LaunchFailed { diagnostics }));
            }
            Ok(Step::Ended(key, exit)) => self.tell(key, Phase::Exited(exit)),
            Err(error) => error!(%error, "the task of a worker broke, nobody follows that worker"),
        }
    }

    fn enter(&mut self, key: Key, adopted: Option<Note>) {
        let (last, is_new) = (event(key, Phase::Pending), adopted.is_none());
        self.workers.insert(key, Worker { last, adopted, process: None, deadline: watch::Sender::new(None) });
        if is_new {
            self.tell(key, Phase::Pending);
        }
    }

    /// Stays with a process that was launched or adopted.
    fn follow(&mut self, key @ (id, attempt): Key, process: Process) {
        let Some(worker) = self.workers.get_mut(&key) else { return };
        worker.process = Some(process.identity().clone());
        let name = id.attempt_name(attempt);
        let belongings = Belongings { dir: self.places.worker(&name), marker: self.places.marker(&name) };
        let (deadline, pid) = (worker.deadline.subscribe(), process.identity().pid);
        self.tasks.spawn(async move { Step::Ended(key, supervise(process, belongings, deadline).await) });
        let pid = u32::try_from(pid).ok();
        let Whereabouts { host, container } = self.whereabouts.clone();
        self.tell(key, Phase::Running { host, pid, container });
    }

    fn tell(&mut self, key: Key, phase: Phase) {
        let Some(worker) = self.workers.get_mut(&key) else { return };
        worker.last = event(key, phase);
        let last = &worker.last;
        if let Phase::Exited(exit) = &last.phase {
            info!(worker = %last.id, attempt = %last.attempt, %exit, "gone");
        }
        self.watchers.retain(|watcher| watcher.send(last.clone()).is_ok());
        let is_replaced = self.workers.keys().any(|other| other.0 == key.0 && other.1 > key.1);
        if is_replaced {
            self.workers.retain(|other, worker| *other != key || !worker.is_gone());
        }
    }
}

fn event((id, attempt): Key, phase: Phase) -> WorkerEvent {
    WorkerEvent { id, attempt, at: Timestamp::now(), phase }
}
