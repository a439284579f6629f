//! What the supervisor does: asks the provider for workers, lets workers go, ends the cluster.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use kobel_conf::chain;
use kobel_flink::{JobManagerPorts, worker_spec};
use kobel_plan::{Attempt, EventKind, Exit, Phase, Role, WorkerEvent, WorkerId, WorkerSpec};
use kobel_provider::last_words;

use super::{GIVE_UP, Supervisor};
use crate::{
    handle::Refusal,
    ports::{PortError, Ports},
    recall::Note,
    reconcile::{Action, Decision, End, Worker, is_wanted},
    record::{EndKind, Ending},
};

/// How long a worker that is not wanted any more may take after SIGTERM: it may finish what it writes.
const GRACE: Duration = Duration::from_secs(10);
/// How long the others may take when one worker's failure ends the cluster.
const GRACE_AFTER_FAILURE: Duration = Duration::from_secs(5);
/// When the provider refused something, it is asked again after this.
const RETRY: Duration = Duration::from_secs(1);

impl Supervisor {
    /// Brings the workers nearer to what is wanted.
    pub(super) async fn act(&mut self) {
        let now = Instant::now();
        self.retry_at = self.retry_at.filter(|at| *at > now);
        if self.record.ending.is_none() {
            match self.table.decide(self.record.wanted, now) {
                Decision::Act(actions) => self.perform(actions).await,
                Decision::End(end) => self.end(self.explained(end)),
            }
        }
        if let Some(Ending { grace, .. }) = self.record.ending {
            self.release_all(grace).await;
        }
    }

    /// Ends the cluster: from now on workers are only let go.
    pub(super) fn end(&mut self, ending: Ending) {
        tracing::info!(kind = ?ending.kind, reason = ending.reason, "the cluster ends");
        self.give_up_at = Some(Instant::now() + ending.grace + GIVE_UP);
        self.record.ending = Some(ending);
    }

    /// Shortens the grace of workers that are leaving.
    pub(super) async fn hasten(&mut self, grace: Duration) {
        let living: Vec<_> = self.table.live().map(|(id, worker)| (id, worker.attempt)).collect();
        for (id, attempt) in living {
            self.release(id, attempt, grace).await;
        }
        self.give_up_at = Some(Instant::now() + grace + GIVE_UP);
    }

    /// Asks the provider to let a worker go.
    pub(super) async fn release(&mut self, id: WorkerId, attempt: Attempt, grace: Duration) {
        match self.provider.release(id, attempt, grace).await {
            Ok(()) => self.table.acted(Action::Release(id, attempt)),
            Err(error) => {
                tracing::warn!(worker = %id, %attempt, error = chain(&error), "could not release a worker");
                self.retry_at = Some(Instant::now() + RETRY);
            }
        }
    }

    /// Lets a worker's process go, so that the next one comes; what failed of it before is forgiven.
    pub(super) async fn restart(&mut self, id: WorkerId) -> Result<(), Refusal> {
        if self.record.ending.is_some() {
            return Err(Refusal::Ending);
        }
        let worker = self.table.get(id).filter(|_| is_wanted(self.record.wanted, id));
        let Some(worker) = worker else { return Err(Refusal::NoSuchWorker(id)) };
        let attempt = worker.attempt;
        self.event(EventKind::RestartRequested, Some(id), format!("{id} is to be replaced"));
        self.table.forgive(id);
        self.table.hasten(id, Instant::now());
        let lives = |worker: &Worker| worker.exit().is_none();
        if self.table.get(id).is_some_and(lives) {
            self.release(id, attempt, GRACE).await;
        }
        match self.table.get(id).is_some_and(|worker| lives(worker) && !worker.leaving()) {
            true => Err(Refusal::NotReleased(id)),
            false => Ok(()),
        }
    }

    /// A process that was taken for dead is alive: two of one id must not stay.
    pub(super) async fn let_ghost_go(&mut self, event: &WorkerEvent) {
        tracing::warn!(worker = %event.id, attempt = %event.attempt, "a worker taken for dead lives: fencing it");
        if let Err(error) = self.provider.release(event.id, event.attempt, Duration::ZERO).await {
            tracing::error!(worker = %event.id, error = chain(&error), "could not fence a worker taken for dead");
        }
    }

    async fn release_all(&mut self, grace: Duration) {
        let staying = self.table.live().filter(|(_, worker)| !worker.leaving());
        let staying: Vec<_> = staying.map(|(id, worker)| (id, worker.attempt)).collect();
        for (id, attempt) in staying {
            self.release(id, attempt, grace).await;
        }
    }

    async fn perform(&mut self, actions: Vec<Action>) {
        let mut ensures = vec![];
        for action in actions {
            match action {
                Action::Release(id, attempt) => self.release(id, attempt, GRACE).await,
                Action::Ensure(id, attempt) => ensures.push((id, attempt)),
            }
        }
        if ensures.is_empty() {
            return;
        }
        let ports = match self.ports_for(&ensures).await {
            Ok(ports) => ports,
            Err(error) => return self.fail(chain(&error)),
        };
        // Before the provider is asked: an agent that dies here must not count an attempt twice.
        self.record.attempts.extend(ensures.iter().copied());
        self.record.save(&self.dir).await;
        for (id, attempt) in ensures {
            match self.spec(&ports, id, attempt) {
                Ok(spec) => self.ensure(spec).await,
                Err(error) => return self.fail(chain(&error)),
            }
        }
    }

    async fn ensure(&mut self, spec: WorkerSpec) {
        let (id, attempt) = (spec.id, spec.attempt);
        self.event(EventKind::WorkerStarting, Some(id), format!("{} starts", spec.name()));
        self.table.acted(Action::Ensure(id, attempt));
        if let Err(error) = self.provider.ensure(spec).await {
            let diagnostics = chain(&error);
            tracing::warn!(worker = %id, %attempt, error = diagnostics, "the provider refused a worker");
            let phase = Phase::Exited(Exit::LaunchFailed { diagnostics });
            self.on_worker(&WorkerEvent { id, attempt, at: Timestamp::now(), phase }).await;
        }
    }

    fn spec(
        &self,
        ports: &Ports,
        id: WorkerId,
        attempt: Attempt,
    ) -> Result<WorkerSpec, kobel_flink::LaunchError> {
        let note = Note { plan: self.stamp, ports: *ports, front: self.record.front_port };
        let ports = JobManagerPorts { rpc: ports.rpc, rest: ports.rest };
        let marker = format!("{}/{}", self.dir.path().display(), id.attempt_name(attempt));
        let mut spec = worker_spec(&self.plan, &ports, id, attempt, &marker)?;
        note.leave_with(&mut spec);
        Ok(spec)
    }

    /// The JobManager's ports: those it had. If another process took them while it was down, or from
    /// under it before it listened, it gets others, and the TaskManagers, which know the old ones
    /// only, are replaced.
    async fn ports_for(&mut self, ensures: &[(WorkerId, Attempt)]) -> Result<Ports, PortError> {
        let starts_master = ensures.iter().any(|(id, _)| id.role == Role::JobManager);
        let (host, former) = (self.rpc_host(), self.record.job_manager_ports);
        if let Some(ports) = former {
            let still_free = blocking(move || ports.are_free(&host));
            if !starts_master || still_free.await? {
                return Ok(ports);
            }
        }
        self.reserved.clear();
        let (host, choice) = (self.rpc_host(), self.plan.rpc_port);
        let (ports, reserved) = blocking(move || Ports::choose(&host, choice)).await??;
        self.reserved = reserved;
        self.record.job_manager_ports = Some(ports);
        if let Some(former) = former {
            tracing::warn!(?former, now = ?ports, "the JobManager's ports were taken: it gets others");
            self.replace_those_who_know_the_old_ports().await;
        }
        Ok(ports)
    }

    async fn replace_those_who_know_the_old_ports(&mut self) {
        let (masters, workers): (Vec<_>, Vec<_>) = self
            .table
            .iter()
            .map(|(id, worker)| (id, worker.attempt))
            .partition(|(id, _)| id.role == Role::JobManager);
        for (id, _) in masters {
            self.table.forgive(id);
        }
        for (id, attempt) in workers {
            self.release(id, attempt, GRACE).await;
        }
    }

    /// Where the JobManager binds its RPC port.
    fn rpc_host(&self) -> String {
        self.plan.conf.get("jobmanager.bind-host").unwrap_or(&self.plan.rpc_address).clone()
    }

    fn fail(&mut self, reason: String) {
        self.end(Ending { kind: EndKind::Failed, reason, grace: GRACE_AFTER_FAILURE });
    }

    fn explained(&self, end: End) -> Ending {
        let stopped = |reason: &str| Ending { kind: EndKind::Stopped, reason: reason.into(), grace: GRACE };
        match end {
            End::NoneWanted => stopped("scaled to nothing"),
            End::JobManagerEnded => stopped("the JobManager ended by itself"),
            End::CrashLoop { id, attempt, exit, times } => {
                let name = id.attempt_name(attempt);
                let words = match last_words(&self.plan.log_dir, id, attempt) {
                    Some((line, file)) => format!(": {line} ({file})"),
                    None => String::new(),
                };
                let reason = format!("{name} {exit}, {times} failures in a row{words}");
                Ending { kind: EndKind::Failed, reason, grace: GRACE_AFTER_FAILURE }
            }
        }
    }
}

/// Looking up a host name blocks.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, PortError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| PortError::Broken(error.to_string()))
}
