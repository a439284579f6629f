//! A provider whose workers are entries of a table, with a JobManager whose REST server is real.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use axum::{Json, Router, routing::get};
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
    job: Option<(JobId, JobState)>,
}

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

    /// A worker's process dies.
    pub(crate) fn die(&self, id: WorkerId, exit: Exit) {
        let mut inner = self.lock();
        let key = *inner.live.keys().find(|key| key.0 == id).unwrap();
        inner.end(self, key, exit);
    }

    /// From now on the JobManager knows this job.
    pub(crate) fn job_is(&self, id: JobId, state: JobState) {
        self.lock().job = Some((id, state));
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
        let (world, jobs, result) = (self.clone(), self.clone(), self.clone());
        let overview = json!({
            "taskmanagers": 0, "slots-total": 4, "slots-available": 3, "jobs-running": 1, "jobs-finished": 0,
            "jobs-cancelled": 0, "jobs-failed": 0, "flink-version": "1.20.5", "flink-commit": "x"
        });
        let routes = Router::new()
            .route("/overview", get(async move || Json(overview)))
            .route("/jobs/overview", get(async move || Json(jobs.jobs())))
            .route("/jobs/{id}/execution-result", get(async move || Json(result.result())))
            .route("/taskmanagers", get(async move || Json(world.registered())))
            .route("/hello", get(async || "hello from Flink"));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        axum::serve(listener, routes).await.unwrap();
    }

    fn jobs(&self) -> serde_json::Value {
        let job = |(id, state): (JobId, JobState)| json!({"jid": id, "name": "j", "state": state, "start-time": 1, "end-time": 2, "duration": 1, "tasks": {}});
        json!({"jobs": self.lock().job.into_iter().map(job).collect::<Vec<_>>()})
    }

    fn result(&self) -> serde_json::Value {
        let Some((id, state)) = self.lock().job.filter(|(_, state)| state.is_terminal()) else {
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

    fn registered(&self) -> serde_json::Value {
        let live = self.live();
        let tms = live.iter().filter(|name| name.starts_with("tm"));
        let tms = tms.map(|id| {
            json!({"id": id, "slotsNumber": 2, "freeSlots": 1, "timeSinceLastHeartbeat": 1, "path": "x"})
        });
        json!({ "taskmanagers": tms.collect::<Vec<_>>() })
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
