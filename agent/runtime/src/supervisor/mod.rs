//! One task owns the cluster: it hears of workers, of the JobManager's answers, of requests and of
//! time, decides after each what to do, does it, and tells the world how the cluster stands.

mod act;
mod addresses;
mod drill;
mod fencing;
mod job;
mod lead;
mod outage;
mod scaling;
mod tell;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream::BoxStream};
use jiff::Timestamp;
use kobel_plan::{
    ClusterDir, ClusterEvent, ClusterPlan, EventKind, HaPlan, JobStatus, Phase, Role, Status, WorkerEvent,
    WorkerId, api::StopRequest, yarn::is_masters_own,
};
use kobel_provider::{Provider, Recovered};
use tokio::sync::{mpsc, oneshot, watch};

use self::{lead::Lead, outage::Outage, scaling::Scaling};
use crate::{
    election::{Coroner, Election, News, Storage},
    handle::{Refusal, Request, scaled},
    job::JobNews,
    observe::{Heard, Observation, Question},
    ports::Reservation,
    recall::{Note, PlanStamp},
    reconcile::{Table, Told, Worker},
    record::{EndKind, Ending, Record, Timeline},
};

/// So long after the grace a worker that was not seen to go is given up: SIGKILL was sent before.
const GIVE_UP: Duration = Duration::from_secs(15);

/// So many events are dealt with before the world is told.
const AT_ONCE: usize = 1000;

/// The cluster's owner.
pub(crate) struct Supervisor {
    plan: ClusterPlan,
    dir: ClusterDir,
    provider: Arc<dyn Provider>,
    record: Record,
    table: Table,
    timeline: Timeline,
    /// The living JobManager's last answer.
    observed: Option<Observation>,
    /// What became of the cluster's job; none of a session.
    job: Option<JobStatus>,
    /// Of the plan, for the workers to know whose they are.
    stamp: PlanStamp,
    /// Holds JobManagers' ports against other agents.
    reserved: BTreeMap<WorkerId, Vec<Reservation>>,
    /// Who leads, and what follows from it.
    lead: Lead,
    /// What jobs need.
    scaling: Scaling,
    /// When an action that the provider refused is to be tried again.
    retry_at: Option<Instant>,
    /// When the cluster ends: until when the others wait for those to be gone that stand by.
    head_start: Option<Instant>,
    /// When the end is declared although workers were not seen to go.
    give_up_at: Option<Instant>,
    looks: Looks,
    outputs: Outputs,
}

/// Who waits for the JobManager to be asked at once.
#[derive(Debug, Default)]
struct Looks {
    /// The number of the last question.
    asked: u64,
    /// The number of the last question that was answered, or was not in time.
    heard: u64,
    waiting: Vec<(u64, oneshot::Sender<()>)>,
}

impl Looks {
    fn ask(&mut self, reply: oneshot::Sender<()>) {
        self.asked += 1;
        self.waiting.push((self.asked, reply));
    }

    /// Tells those whose question was answered, once the status is published.
    fn tell(&mut self) {
        let heard = self.heard;
        for (_, reply) in self.waiting.extract_if(.., |(asked, _)| *asked <= heard) {
            // Who asked may have given up.
            let _ = reply.send(());
        }
    }
}

/// Whom the supervisor tells.
#[derive(Debug)]
pub(crate) struct Outputs {
    /// How the cluster stands.
    pub(crate) status: watch::Sender<Arc<Status>>,
    /// Where the front forwards to.
    pub(crate) upstream: watch::Sender<Option<SocketAddr>>,
    /// What the observer is to ask.
    pub(crate) questions: watch::Sender<Question>,
    /// With high availability, the cluster's place in ZooKeeper.
    pub(crate) election: Option<Election>,
    /// With high availability, Flink's files.
    pub(crate) storage: Option<Storage>,
    /// Who knows how masters ended on other machines.
    pub(crate) coroner: Option<Arc<dyn Coroner>>,
}

/// What the supervisor hears.
pub(crate) struct Inputs {
    /// The provider's events.
    pub(crate) workers: BoxStream<'static, WorkerEvent>,
    /// What the observer heard.
    pub(crate) heard: watch::Receiver<Heard>,
    /// What the servers are asked.
    pub(crate) requests: mpsc::Receiver<Request>,
    /// What becomes of the job; nothing of a session.
    pub(crate) jobs: Option<mpsc::Receiver<JobNews>>,
    /// What happens in ZooKeeper; nothing without high availability.
    pub(crate) elections: Option<mpsc::Receiver<News>>,
}

impl Supervisor {
    /// The owner of a cluster that starts with this record, or returns with it.
    pub(crate) fn new(
        plan: ClusterPlan,
        dir: ClusterDir,
        provider: Arc<dyn Provider>,
        record: Record,
        outputs: Outputs,
    ) -> Self {
        let embedded = plan.ha.as_ref().is_some_and(HaPlan::is_embedded);
        let mut table = if embedded { Table::default().with_zookeeper() } else { Table::default() };
        for (id, attempt) in &record.attempts {
            table.remember(*id, *attempt, Instant::now());
        }
        if record.ever_ready {
            table.was_ready();
        }
        let (timeline, stamp) = (Timeline::new(&dir), PlanStamp::of(&dir));
        // A former agent may have died over the end.
        let give_up_at = record.ending.as_ref().map(|ending| Instant::now() + ending.grace + GIVE_UP);
        let job = record.status.job.clone();
        let (observed, reserved, retry_at, head_start) = (None, BTreeMap::new(), None, None);
        Self {
            plan,
            dir,
            provider,
            record,
            table,
            timeline,
            stamp,
            observed,
            job,
            reserved,
            lead: Lead::default(),
            scaling: Scaling::default(),
            retry_at,
            head_start,
            give_up_at,
            looks: Looks::default(),
            outputs,
        }
    }

    /// Holds ports that are for a worker.
    pub(crate) fn reserve(&mut self, id: WorkerId, ports: Vec<Reservation>) {
        self.reserved.insert(id, ports);
    }

    /// Takes over workers that a former agent left, whose front had this port. Workers that do not
    /// know the cluster's ports are of no use: they are let go, and new ones come in their place.
    pub(crate) async fn adopt(&mut self, recovered: Vec<Recovered>, former_port: Option<u16>) {
        self.event(EventKind::AgentStarted, None, format!("agent {} took charge", std::process::id()));
        if let Some(former) = former_port.filter(|former| *former != self.record.front_port) {
            let now = self.record.status.rest_url.clone().unwrap_or_default();
            tracing::warn!(former, now, "another process has taken the front's port");
            self.event(
                EventKind::FrontMoved,
                None,
                format!("port {former} was taken by another process: the cluster's address is now {now}"),
            );
        }
        for worker in recovered {
            let fits = self.has_use_for(&worker);
            let Recovered { id, attempt, phase, note: _ } = worker;
            let (name, event) =
                (id.attempt_name(attempt), WorkerEvent { id, attempt, at: Timestamp::now(), phase });
            let told = self.table.saw(&event, Instant::now());
            if let Phase::Exited(exit) = &event.phase {
                self.event(EventKind::WorkerExited, Some(id), format!("{name} {exit}"));
            } else if told == Told::Ghost {
                self.let_ghost_go(&event).await;
            } else if fits {
                self.event(EventKind::WorkerAdopted, Some(id), format!("{name} was taken over"));
            } else {
                tracing::warn!(worker = name, "it does not know the cluster's ports: replacing it");
                self.release(id, attempt, Duration::ZERO).await;
            }
        }
        self.fence_formers();
        self.note_formers();
        if self.living_masters().is_empty() {
            self.job_is_lost("its former agent's JobManager");
        }
        self.publish().await;
    }

    /// Whether a worker that was found knows this cluster's ports. One that a former version launched
    /// does not say; it has those in the record, if there was one.
    fn has_use_for(&self, worker: &Recovered) -> bool {
        let (now, known) = (self.note(worker.id), self.record.attempts.contains_key(&worker.id));
        match Note::of(worker) {
            Some(note) => note.fits(now),
            // Of a container nothing but its worker is known.
            None => known && (now.ports.is_some() || self.plan.ha.is_some()),
        }
    }

    /// Runs the cluster until it is over: no worker is left. What then is to be told, [`Self::finish`]
    /// tells.
    pub(crate) async fn run(&mut self, mut inputs: Inputs) {
        // What comes while the last news was dealt with is dealt with together: with thousands of workers
        // each look at them all, and each record, is dear.
        let mut workers = inputs.workers.ready_chunks(AT_ONCE);
        loop {
            self.act().await;
            self.publish().await;
            self.looks.tell();
            if self.is_over() {
                return;
            }
            let wake = self.next_wake();
            tokio::select! {
                Some(events) = workers.next() => {
                    for event in &events {
                        self.on_worker(event).await;
                    }
                }
                Ok(()) = inputs.heard.changed() => {
                    let (serial, answer) = {
                        let heard = inputs.heard.borrow_and_update();
                        (heard.serial, heard.answer.clone())
                    };
                    self.looks.heard = serial;
                    self.on_answer(answer);
                    self.let_go_what_no_job_needs();
                }
                Some(request) = inputs.requests.recv() => self.on_request(request).await,
                Some(news) = next(&mut inputs.elections) => self.on_election(news).await,
                Some(news) = next(&mut inputs.jobs) => self.on_job(news).await,
                () = sleep_until(wake) => {}
            }
        }
    }

    async fn on_worker(&mut self, event: &WorkerEvent) {
        let name = event.id.attempt_name(event.attempt);
        match self.table.saw(event, Instant::now()) {
            Told::Nothing => return,
            Told::Ghost => return self.let_ghost_go(event).await,
            Told::Running => {
                self.note_container(event);
                if event.id.role == Role::JobManager {
                    self.note_formers();
                }
                self.event(EventKind::WorkerRunning, Some(event.id), format!("{name} runs"));
            }
            told @ (Told::Released | Told::Failed) => {
                self.record.containers.retain(|_, key| *key != (event.id, event.attempt));
                let exit = self.table.get(event.id).and_then(Worker::exit).map(ToString::to_string);
                let message = format!("{name} {}", exit.unwrap_or_default());
                self.event(EventKind::WorkerExited, Some(event.id), message);
                if event.id.role != Role::ZooKeeper && self.lead.outage.is_some_and(Outage::is_to_blame) {
                    self.table.forgive(event.id);
                }
                if event.id.role == Role::JobManager {
                    self.master_gone(event, told);
                    self.job_is_lost(&name);
                }
            }
        }
        // Whatever happened, the JobManager may have news of it.
        self.outputs.questions.send_modify(|_| {});
    }

    /// The master's own is not for another one to take over.
    fn note_container(&mut self, event: &WorkerEvent) {
        if let Phase::Running { container: Some(container), .. } = &event.phase
            && !is_masters_own(event.id)
        {
            self.record.containers.insert(container.clone(), (event.id, event.attempt));
        }
    }

    async fn on_request(&mut self, request: Request) {
        // Who asked may be gone; what was asked for is done all the same.
        match request {
            Request::Stop(request, reply) => {
                self.stop(request).await;
                let _ = reply.send(());
            }
            Request::Look(reply) => self.looks.ask(reply),
            Request::Restart(id, reply) => {
                let _ = reply.send(self.restart(id).await);
            }
            Request::Drill(request, reply) => self.drill(request, reply),
            Request::Scale(request, reply) => {
                let granted = match self.record.ending {
                    Some(_) => Err(Refusal::Ending),
                    None => scaled(self.record.wanted, request, self.plan.ha.is_some()),
                };
                if let Ok(wanted) = granted {
                    let (jms, tms) = (wanted.job_managers, wanted.task_managers);
                    self.pin(wanted);
                    self.event(
                        EventKind::Scaled,
                        None,
                        format!("scaled to {jms} JobManagers, {tms} TaskManagers"),
                    );
                }
                let _ = reply.send(granted);
            }
        }
    }

    /// Begins the end, or shortens the grace of one that has begun.
    async fn stop(&mut self, request: StopRequest) {
        let (asked, grace) = (Ending::requested(request), request.grace());
        self.event(EventKind::StopRequested, None, asked.reason.clone());
        self.look_for_end().await;
        match &mut self.record.ending {
            None => self.end(asked),
            Some(ending) if grace < ending.grace => {
                ending.grace = grace;
                ending.keep_ha |= asked.keep_ha;
                if ending.kind == EndKind::Stopped {
                    (ending.kind, ending.reason) = (asked.kind, asked.reason);
                }
                self.hasten(grace).await;
            }
            Some(_) => {}
        }
        self.publish().await;
    }

    fn is_over(&self) -> bool {
        let given_up = self.give_up_at.is_some_and(|at| at <= Instant::now());
        self.record.ending.is_some() && (given_up || self.table.live().next().is_none())
    }

    fn next_wake(&self) -> Option<Instant> {
        let restart = match self.record.ending {
            Some(_) => self.give_up_at,
            None => self.table.next_wake(self.record.present()),
        };
        let wakes = [self.retry_at, self.head_start, self.scaling_wake(), self.outage_wake()];
        restart.into_iter().chain(wakes.into_iter().flatten()).min()
    }

    fn event(&self, kind: EventKind, worker: Option<WorkerId>, message: String) {
        tracing::info!(?kind, worker = worker.map(tracing::field::display), "{message}");
        self.timeline.append(&ClusterEvent { at: Timestamp::now(), kind, worker, message });
    }
}

async fn next<T>(news: &mut Option<mpsc::Receiver<T>>) -> Option<T> {
    match news {
        Some(news) => news.recv().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
