//! A provider whose workers are entries of a table, with a JobManager whose REST server is real.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use axum::{
    Json, Router,
    extract::Path,
    routing::{get, post},
};
use futures_util::{StreamExt, stream, stream::BoxStream};
use jiff::Timestamp;
use kobel_plan::{
    Attempt, Death, Exit, Fault, JobId, JobState, Launch, Phase, ProviderKind, Resources, Role, WorkerEvent,
    WorkerId, WorkerSpec,
};
use kobel_provider::{Outcome, Provider, ProviderError, Recovered};
use serde_json::json;
use tokio::{sync::mpsc, task::JoinHandle};

type Key = (WorkerId, Attempt);

/// What lives, and what was asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct World(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    live: BTreeMap<Key, Worker>,
    watchers: Vec<mpsc::UnboundedSender<WorkerEvent>>,
    asked: Vec<String>,
    finished: Option<Outcome>,
    doomed: Option<(WorkerId, Exit)>,
    stubborn: bool,
    /// The job that the JobManager knows, and where it stands.
    own_job: Option<(JobId, JobState)>,
    job: Option<Job>,
    results_asked: u32,
}

/// A job of one vertex, which has the first slots there are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job {
    /// Tasks that want a slot each.
    pub(crate) tasks: u32,
    /// Tasks that have ended, on every TaskManager.
    pub(crate) finished: u32,
    /// Slots that it needs beside, which nothing tells.
    pub(crate) hidden: u32,
}

impl Job {
    fn slots(self) -> u32 {
        self.tasks + self.hidden
    }
}

/// Of every TaskManager.
const SLOTS: u32 = 2;
const JOB: &str = "00112233445566778899aabbccddeeff";

/// A living worker.
#[derive(Debug)]
struct Worker {
    /// The REST server of a JobManager.
    server: Option<JoinHandle<()>>,
    note: Option<String>,
}

impl World {
    /// From now on every attempt of this worker ends like this as soon as it runs.
    pub(crate) fn doom(&self, id: WorkerId, exit: Exit) {
        self.lock().doomed = Some((id, exit));
    }

    /// From now on only a release without grace is heeded.
    pub(crate) fn be_stubborn(&self) {
        self.lock().stubborn = true;
    }

    /// From now on there is this job.
    pub(crate) fn have_job(&self, job: Option<Job>) {
        self.lock().job = job;
    }

    /// How often somebody asked where the job's tasks ran.
    pub(crate) fn results_asked(&self) -> u32 {
        self.lock().results_asked
    }

    /// A worker's process dies.
    pub(crate) fn die(&self, id: WorkerId, exit: Exit) {
        let mut inner = self.lock();
        let key = *inner.live.keys().find(|key| key.0 == id).unwrap();
        inner.end(self, key, exit);
    }

    /// From now on the JobManager knows this job.
    pub(crate) fn job_is(&self, id: JobId, state: JobState) {
        self.lock().own_job = Some((id, state));
    }

    /// Names of the living attempts.
    pub(crate) fn live(&self) -> Vec<String> {
        self.lock().live.keys().map(|(id, attempt)| id.attempt_name(*attempt)).collect()
    }

    /// What the provider was asked since the last look: "ensure tm-0.1", "release tm-0.1 10s".
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().asked)
    }

    /// What `finish` was told.
    pub(crate) fn finished(&self) -> Option<Outcome> {
        self.lock().finished
    }

    /// The workers lose what they know, as if a version before this one had launched them.
    pub(crate) fn forget_notes(&self) {
        self.lock().live.values_mut().for_each(|worker| worker.note = None);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    /// The JobManager's REST server, on the port that its configuration says.
    async fn serve(self, port: u16) {
        let overview = json!({
            "taskmanagers": 0, "slots-total": 4, "slots-available": 3, "jobs-running": 1, "jobs-finished": 0,
            "jobs-cancelled": 0, "jobs-failed": 0, "flink-version": "1.20.5", "flink-commit": "x"
        });
        let [jobs, result, job, ran, tms, slots] = std::array::from_fn(|_| self.clone());
        let routes = Router::new()
            .route("/overview", get(async move || Json(overview)))
            .route("/jobs/overview", get(async move || Json(jobs.jobs())))
            .route("/jobs/{job}/execution-result", get(async move || Json(result.result())))
            .route("/jobs/{job}", get(async move || Json(job.job())))
            .route("/jobs/{job}/vertices/{vertex}/taskmanagers", get(async move || Json(ran.ran_on())))
            .route("/taskmanagers", get(async move || Json(tms.registered())))
            .route("/taskmanagers/{tm}", get(async move |Path(tm): Path<String>| Json(slots.slots(&tm))))
            .route("/jars/{jar}/run", post(async || Json(json!({ "jobid": JOB }))))
            .route("/hello", get(async || "hello from Flink"));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        axum::serve(listener, routes).await.unwrap();
    }

    fn result(&self) -> serde_json::Value {
        let Some((id, state)) = self.lock().own_job.filter(|(_, state)| state.is_terminal()) else {
            return json!({"status": {"id": "IN_PROGRESS"}});
        };
        let (status, failure) = match state {
            JobState::Finished => ("SUCCEEDED", None),
            JobState::Failed => {
                ("FAILED", Some(json!({"class": "x", "stack-trace": "a.B: it broke\n\tat x"})))
            }
            _ => ("CANCELED", None),
        };
        let result =
            json!({"id": id, "application-status": status, "net-runtime": 7, "failure-cause": failure});
        json!({"status": {"id": "COMPLETED"}, "job-execution-result": result})
    }

    /// The living TaskManagers, each with how many of its slots are the job's; without a job, one.
    fn task_managers(&self) -> Vec<(String, u32)> {
        let (live, job) = (self.live(), self.lock().job);
        let tms = live.into_iter().filter(|name| name.starts_with("tm"));
        let used = |nth: usize| match job {
            Some(job) => job.slots().saturating_sub(nth as u32 * SLOTS).min(SLOTS),
            None => 1,
        };
        tms.enumerate().map(|(nth, name)| (name, used(nth))).collect()
    }

    fn registered(&self) -> serde_json::Value {
        let tms = self.task_managers().into_iter().map(|(id, used)| {
            json!({"id": id, "slotsNumber": SLOTS, "freeSlots": SLOTS - used, "timeSinceLastHeartbeat": 1, "path": "x"})
        });
        json!({ "taskmanagers": tms.collect::<Vec<_>>() })
    }

    fn slots(&self, tm: &str) -> serde_json::Value {
        let used = self.task_managers().into_iter().find(|(name, _)| name == tm).map_or(0, |(_, used)| used);
        let slots: Vec<_> = (0..used).map(|_| json!({ "jobId": JOB, "resource": {} })).collect();
        json!({ "allocatedSlots": slots })
    }

    fn ran_on(&self) -> serde_json::Value {
        self.lock().results_asked += 1;
        let tms = self.task_managers().into_iter().map(|(name, _)| json!({ "taskmanager-id": name }));
        json!({ "taskmanagers": tms.collect::<Vec<_>>() })
    }

    /// Tasks by state, which Flink writes in small letters for all of a job and in capitals for a vertex.
    fn tasks(&self, job: Job) -> (&'static str, u32) {
        let held: u32 = self.task_managers().into_iter().map(|(_, used)| used).sum();
        (if held < job.slots() { "scheduled" } else { "running" }, job.tasks)
    }

    fn jobs(&self) -> serde_json::Value {
        let job = self.lock().job;
        let jobs = job.into_iter().map(|job| {
            let (state, tasks) = self.tasks(job);
            json!({
                "jid": JOB, "name": "job", "state": "RUNNING", "start-time": 0, "end-time": -1, "duration": 1,
                "tasks": { state: tasks, "finished": job.finished }
            })
        });
        let own = self.lock().own_job.into_iter().map(|(id, state)| {
            json!({
                "jid": id, "name": "own", "state": state, "start-time": 1, "end-time": 2, "duration": 1, "tasks": {}
            })
        });
        json!({ "jobs": jobs.chain(own).collect::<Vec<_>>() })
    }

    fn job(&self) -> serde_json::Value {
        let job = self.lock().job.unwrap();
        let (state, tasks) = self.tasks(job);
        let vertex = json!({
            "id": "v", "name": "v", "parallelism": job.tasks, "slotSharingGroupId": "g",
            "tasks": { state.to_uppercase(): tasks, "FINISHED": job.finished }
        });
        json!({
            "jid": JOB, "name": "job", "state": "RUNNING", "start-time": 0, "end-time": -1, "duration": 1,
            "vertices": [vertex]
        })
    }
}

impl Inner {
    fn tell(&mut self, (id, attempt): Key, phase: Phase) {
        let event = WorkerEvent { id, attempt, at: Timestamp::now(), phase };
        self.watchers.retain(|watcher| watcher.send(event.clone()).is_ok());
    }

    fn end(&mut self, world: &World, key: Key, exit: Exit) {
        let Some(worker) = self.live.remove(&key) else { return };
        let Some(server) = worker.server else { return self.tell(key, Phase::Exited(exit)) };
        server.abort();
        let world = world.clone();
        // As with a real process, its port is free before its end is told.
        tokio::spawn(async move {
            let _ = server.await;
            world.lock().tell(key, Phase::Exited(exit));
        });
    }
}

fn running() -> Phase {
    Phase::Running { host: "here".into(), pid: Some(4711), container: None }
}

/// The REST port in a worker's configuration file.
fn rest_port(spec: &WorkerSpec) -> u16 {
    let conf = &spec.files[0].contents;
    let line =
        conf.lines().find(|line| line.trim().starts_with("bind-port:") || line.starts_with("rest.bind-port"));
    let digits: String = line.unwrap().chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

#[async_trait]
impl Provider for World {
    fn kind(&self) -> ProviderKind {
        ProviderKind::Local
    }

    async fn limits(&self) -> Result<Resources, ProviderError> {
        Ok(Resources { memory_bytes: 1 << 40, vcores: 64 })
    }

    async fn recover(&self) -> Result<Vec<Recovered>, ProviderError> {
        let recovered = |(&(id, attempt), worker): (&Key, &Worker)| Recovered {
            id,
            attempt,
            phase: running(),
            note: worker.note.clone(),
        };
        Ok(self.lock().live.iter().map(recovered).collect())
    }

    async fn ensure(&self, spec: WorkerSpec) -> Result<(), ProviderError> {
        let key = (spec.id, spec.attempt);
        let server =
            (spec.id.role == Role::JobManager).then(|| tokio::spawn(self.clone().serve(rest_port(&spec))));
        let note = spec.launch.env.get(Launch::NOTE).cloned();
        let mut inner = self.lock();
        inner.asked.push(format!("ensure {}", spec.name()));
        assert!(!inner.live.keys().any(|live| live.0 == spec.id), "{} has a living sibling", spec.name());
        inner.live.insert(key, Worker { server, note });
        inner.tell(key, Phase::Pending);
        inner.tell(key, running());
        if let Some((_, exit)) = inner.doomed.clone().filter(|(id, _)| *id == spec.id) {
            inner.end(self, key, exit);
        }
        Ok(())
    }

    async fn release(&self, id: WorkerId, attempt: Attempt, grace: Duration) -> Result<(), ProviderError> {
        let mut inner = self.lock();
        inner.asked.push(format!("release {} {grace:?}", id.attempt_name(attempt)));
        if !inner.stubborn || grace.is_zero() {
            inner.end(self, (id, attempt), Exit::Released);
        }
        Ok(())
    }

    async fn strike(&self, id: WorkerId, attempt: Attempt, fault: Fault) -> Result<(), ProviderError> {
        let mut inner = self.lock();
        inner.asked.push(format!("strike {} {fault:?}", id.attempt_name(attempt)));
        if fault == Fault::Kill {
            inner.end(self, (id, attempt), Exit::Signal(9));
        }
        Ok(())
    }

    fn watch(&self) -> BoxStream<'static, WorkerEvent> {
        let (watcher, events) = mpsc::unbounded_channel();
        let mut inner = self.lock();
        for (id, attempt) in inner.live.keys().copied() {
            let event = WorkerEvent { id, attempt, at: Timestamp::now(), phase: running() };
            watcher.send(event).unwrap();
        }
        inner.watchers.push(watcher);
        stream::unfold(events, |mut events| async move { Some((events.recv().await?, events)) }).boxed()
    }

    fn death(&self, _id: WorkerId, _attempt: Attempt, _exit: &Exit) -> Death {
        Death::Reaped
    }

    async fn finish(&self, outcome: Outcome, _reason: &str) -> Result<(), ProviderError> {
        self.lock().finished = Some(outcome);
        Ok(())
    }
}
