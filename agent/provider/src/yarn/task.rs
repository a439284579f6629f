//! The task that owns the fleet: it is asked by message, beats at the ResourceManager, and has containers
//! started and stopped.

mod life;
mod look;
mod messages;
mod unregister;

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use kobel_conf::chain;
use kobel_hadoop_rpc::{
    Retry,
    yarn::{
        Allocated, Container, ContainerId, Granted, Launch, LocalResource, MasterError, NodeId, Registered,
        Registration, Scheduler,
    },
};
use kobel_plan::{WorkerEvent, WorkerSpec};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::{JoinError, JoinSet},
    time::{Instant, MissedTickBehavior, interval},
};

use super::{
    Courier, Historian, Master, Pace, Placed,
    errand::UnderWay,
    fleet::{Effect, Fleet, Key},
    nodes::{Nodes, kill, start, stop},
};
use crate::ProviderError;
use life::sign_of_life;
pub(super) use messages::{Ask, Step};

/// So many containers are remembered for whoever wants their logs.
const REMEMBERED: usize = 64;

pub(super) struct Task {
    pub(super) fleet: Fleet,
    pub(super) nodes: Nodes,
    /// With a heartbeat under way it is there, not here.
    scheduler: Option<Box<Scheduler>>,
    registration: Registration,
    pub(super) launch: Arc<Launch>,
    courier: Arc<dyn Courier>,
    historian: Arc<dyn Historian>,
    /// Where workers were placed last, the newest at the end.
    placed: VecDeque<Placed>,
    patience: Duration,
    pace: Pace,
    heard: Instant,
    beats: u16,
    next_beat: Instant,
    register_again: bool,
    unregistered: bool,
    graces: std::collections::BTreeMap<Key, Duration>,
    watchers: Vec<mpsc::UnboundedSender<WorkerEvent>>,
    /// Containers of which their nodes are being asked.
    looking: BTreeSet<ContainerId>,
    pub(super) steps: JoinSet<Step>,
    fence: watch::Sender<Option<String>>,
    pub(super) errand: Option<UnderWay>,
}

impl Task {
    /// The task of a master that has registered.
    pub(super) fn new(master: Master, registered: Registered, fence: watch::Sender<Option<String>>) -> Self {
        let Master {
            scheduler,
            protection,
            registration,
            launch,
            courier,
            former,
            historian,
            patience,
            pace,
            node_label,
        } = master;
        let mut task = Self {
            fleet: Fleet::on(node_label, &registration.host),
            nodes: Nodes::new(protection),
            scheduler: Some(Box::new(scheduler)),
            registration,
            launch: Arc::new(launch),
            courier,
            historian,
            placed: VecDeque::new(),
            // Who asks seldom hears seldom.
            patience: patience.max(2 * pace.calm),
            pace,
            heard: Instant::now(),
            beats: 0,
            next_beat: Instant::now(),
            register_again: false,
            unregistered: false,
            graces: Default::default(),
            watchers: Vec::new(),
            looking: BTreeSet::new(),
            steps: JoinSet::new(),
            fence,
            errand: None,
        };
        for container in &registered.running {
            if let Some(key) = former.get(&container.id) {
                task.fleet.adopt(*key, container);
            }
        }
        task.take_in(registered);
        task
    }

    /// Answers until nobody can ask any more, or this master is not the application's any longer.
    pub(super) async fn run(mut self, mut asks: mpsc::UnboundedReceiver<Ask>) {
        let mut looks = interval(look::PACE);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                ask = asks.recv() => match ask {
                    Some(Ask::Finish(outcome, words, reply)) => {
                        if !self.unregistered {
                            self.historian.keep(outcome, &words, self.placed.make_contiguous()).await;
                        }
                        let _ = reply.send(self.unregister(outcome, &words).await);
                    }
                    Some(ask) => self.answer(ask),
                    None => return,
                },
                Some(step) = self.steps.join_next() => self.advance(step),
                _ = looks.tick(), if self.has_charges() => self.look_after(),
                () = tokio::time::sleep_until(self.next_beat), if self.scheduler.is_some() => self.beat(),
                // Not only when a call has failed: one that hangs takes its time.
                () = tokio::time::sleep_until(self.heard + self.patience), if !self.unregistered => {
                    let silent = self.heard.elapsed().as_secs();
                    self.be_fenced(format!("YARN has not answered for {silent} s"));
                }
            }
            if self.fence.borrow().is_some() {
                return;
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
            Ask::Kill(key, reply) => self.kill(key, reply),
            Ask::Watch(watcher) => {
                let listens = self.fleet.present().all(|event| watcher.send(event.clone()).is_ok());
                self.watchers.extend(listens.then_some(watcher));
            }
            Ask::Errand(errand, reply) => self.send_out(errand, reply),
            Ask::Finish(..) => {}
        }
    }

    fn ensure(&mut self, spec: WorkerSpec) -> Result<(), ProviderError> {
        if self.unregistered {
            return Err(ProviderError::Ended);
        }
        let key = (spec.id, spec.attempt);
        let effects = self.fleet.want(key, spec.resources)?;
        if effects.is_empty() {
            return Ok(());
        }
        let courier = self.courier.clone();
        self.steps.spawn(async move {
            let file = match serde_json::to_vec(&spec) {
                Ok(json) => courier.deliver(&file_name(key), json).await,
                Err(error) => Err(error.to_string()),
            };
            Step::Shipped(key, file)
        });
        self.perform(effects);
        self.hasten();
        Ok(())
    }

    /// Whether nothing may be asked for any more.
    pub(super) fn is_over(&self) -> bool {
        self.unregistered
    }

    /// Of several releases the one that ends it soonest counts.
    fn release(&mut self, key: Key, grace: Duration) {
        if !self.fleet.lives(key) {
            return;
        }
        let former = self.graces.get(&key).copied();
        self.graces.insert(key, former.map_or(grace, |former| former.min(grace)));
        let mut effects = self.fleet.release(key);
        if former.is_some_and(|former| grace < former) {
            effects.extend(self.fleet.hasten(key));
        }
        self.perform(effects);
        self.hasten();
    }

    /// Has the next heartbeat come soon.
    pub(super) fn hasten(&mut self) {
        self.next_beat = self.next_beat.min(Instant::now() + self.pace.eager);
    }

    fn beat(&mut self) {
        self.tend_errand();
        self.fleet.come_back(Instant::now().into_std());
        let Some(mut scheduler) = self.scheduler.take() else { return };
        if self.register_again {
            let registration = self.registration.clone();
            self.steps.spawn(async move {
                let registered = scheduler.register(&registration).await;
                Step::Registered(scheduler, registered)
            });
            return;
        }
        self.beats = self.beats.wrapping_add(1);
        let beat = self.fleet.outbox.beat(sign_of_life(self.beats), None);
        self.steps.spawn(async move {
            let answer = scheduler.allocate(&beat).await;
            Step::Beat(scheduler, answer)
        });
    }

    fn advance(&mut self, step: Result<Step, JoinError>) {
        let effects = match step {
            Ok(Step::Beat(scheduler, answer)) => {
                self.scheduler = Some(scheduler);
                self.beaten(answer)
            }
            Ok(Step::Registered(scheduler, registered)) => {
                self.scheduler = Some(scheduler);
                self.registered(registered)
            }
            Ok(Step::Shipped(key, file)) => {
                if !self.fleet.lives(key) {
                    self.discard(key);
                }
                self.fleet.shipped(key, file)
            }
            Ok(Step::Looked(container, status)) => self.looked(container, status),
            Ok(Step::Started(key, outcome)) => self.fleet.started(key, outcome),
            Ok(Step::Stopped(container, done)) => {
                if !done {
                    // The ResourceManager gets it stopped, or knows that its node is no more.
                    self.fleet.outbox.release(container);
                    self.hasten();
                }
                Vec::new()
            }
            Ok(Step::Discarded | Step::Killed | Step::ErrandStarted(Ok(()))) => Vec::new(),
            Ok(Step::ErrandStarted(Err(diagnostics))) => self.fleet.errand_failed(diagnostics),
            Err(error) => {
                tracing::error!(%error, "a step of the master broke");
                Vec::new()
            }
        };
        self.perform(effects);
    }

    fn beaten(&mut self, answer: Result<Allocated, MasterError>) -> Vec<Effect> {
        match answer {
            Ok(answer) => {
                self.heard = Instant::now();
                for (node, token) in &answer.node_tokens {
                    self.nodes.learn(node.clone(), token.clone());
                }
                let effects = self.fleet.answered(answer);
                let awaits = self.fleet.is_waiting() || self.fleet.outbox.has_news();
                let pause = if awaits { self.pace.eager } else { self.pace.calm };
                self.next_beat = Instant::now() + pause;
                effects
            }
            Err(MasterError::NotRegistered) => {
                tracing::info!("the ResourceManager changed: registers again");
                self.heard = Instant::now();
                self.register_again = true;
                self.next_beat = Instant::now();
                Vec::new()
            }
            Err(MasterError::Refused { message, .. }) => {
                tracing::warn!(message, "YARN refused what was asked for");
                self.heard = Instant::now();
                self.next_beat = Instant::now() + self.pace.calm;
                self.fleet.refused(&message)
            }
            Err(error) => {
                self.failed(&error);
                Vec::new()
            }
        }
    }

    fn registered(&mut self, registered: Result<Registered, MasterError>) -> Vec<Effect> {
        match registered {
            Ok(registered) => {
                self.register_again = false;
                self.fleet.outbox.start_over();
                self.take_in(registered);
            }
            // The answer to an earlier try was lost (`AMRMClientUtils.APP_ALREADY_REGISTERED_MESSAGE`).
            Err(MasterError::Refused { message, .. }) if message.contains("already registered") => {
                self.register_again = false;
                self.fleet.outbox.start_over();
                self.next_beat = Instant::now();
            }
            Err(error) => self.failed(&error),
        }
        Vec::new()
    }

    /// What the ResourceManager says runs already.
    fn take_in(&mut self, registered: Registered) {
        self.heard = Instant::now();
        self.next_beat = Instant::now();
        for (node, token) in registered.node_tokens {
            self.nodes.learn(node, token);
        }
        for container in &registered.running {
            self.fleet.stray(container);
        }
    }

    /// A call failed. That this attempt is over means that another master may be in charge; so does a
    /// silence that is longer than our patience.
    fn failed(&mut self, error: &MasterError) {
        self.next_beat = Instant::now() + self.pace.calm;
        match error.retry() {
            Retry::Fenced => self.be_fenced(chain(error)),
            _ => tracing::warn!(error = chain(error), "a heartbeat failed"),
        }
    }

    fn be_fenced(&mut self, why: String) {
        tracing::error!(why, "this master is not in charge any more");
        self.fence.send_replace(Some(why));
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Start(key, granted, spec) => self.start(key, *granted, spec),
                Effect::Terminate(key, node, container) => self.terminate(key, &node, container),
                Effect::StartErrand(granted) => self.start_errand(*granted),
                Effect::ErrandOver(exit) => self.errand_over(Ok(exit)),
                Effect::Tell(event) => {
                    if matches!(event.phase, kobel_plan::Phase::Exited(_)) {
                        self.discard((event.id, event.attempt));
                    }
                    self.watchers.retain(|watcher| watcher.send(event.clone()).is_ok());
                }
            }
        }
    }

    fn start(&mut self, key: Key, granted: Granted, spec: LocalResource) {
        let Container { id: container, node, node_http, .. } = &granted.container;
        let ((id, attempt), web) = (key, node_http.clone());
        self.placed.push_back(Placed { id, attempt, container: *container, web });
        self.placed.drain(..self.placed.len().saturating_sub(REMEMBERED));
        let node = self.nodes.get(node);
        let mut launch = Launch::clone(&self.launch);
        launch.files.insert(Master::SPEC.into(), spec);
        self.steps.spawn(async move { Step::Started(key, start(node, &granted, &launch).await) });
    }

    fn terminate(&mut self, key: Key, node: &NodeId, container: ContainerId) {
        let grace = self.graces.get(&key).copied().unwrap_or_default();
        let node = self.nodes.get(node);
        self.steps.spawn(async move {
            let done = stop(node, container, grace).await;
            Step::Stopped(container, done)
        });
    }

    fn kill(&mut self, (id, attempt): Key, reply: oneshot::Sender<Result<(), ProviderError>>) {
        let Some((container, node)) = self.fleet.runs_in((id, attempt)) else {
            let _ = reply.send(Err(ProviderError::NotAlive { id, attempt }));
            return;
        };
        let node = self.nodes.get(node);
        self.steps.spawn(async move {
            let killed = kill(node, container).await;
            let failed = |why| ProviderError::Yarn { attempt: "kill a container", why };
            let _ = reply.send(killed.map_err(failed));
            Step::Killed
        });
    }

    fn discard(&mut self, key: Key) {
        self.graces.remove(&key);
        let courier = self.courier.clone();
        self.steps.spawn(async move {
            courier.discard(&file_name(key)).await;
            Step::Discarded
        });
    }
}

/// The name of a worker's file, new for each attempt: YARN compares modification times.
fn file_name((id, attempt): Key) -> String {
    format!("{}.json", id.attempt_name(attempt))
}
