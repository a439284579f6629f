//! What the supervisor does: asks the provider for workers, lets workers go, ends the cluster.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use kobel_conf::chain;
use kobel_plan::{Attempt, EventKind, Exit, Phase, Role, WorkerEvent, WorkerId, WorkerSpec};
use kobel_provider::last_words;

use super::{GIVE_UP, Supervisor};
use crate::{
    election::Master,
    handle::Refusal,
    reconcile::{Action, Decision, End, Worker, is_wanted},
    record::{EndKind, Ending},
};

/// How long a worker that is not wanted any more may take after SIGTERM: it may finish what it writes.
pub(super) const GRACE: Duration = Duration::from_secs(10);
/// How long the others may take when one worker's failure ends the cluster.
pub(super) const GRACE_AFTER_FAILURE: Duration = Duration::from_secs(5);
/// So long everybody else waits, when the cluster ends, for JobManagers that stand by to be gone. YARN's nodes kill a
/// quarter of a second after the first word (`yarn.nodemanager.sleep-delay-before-sigkill.ms`).
const HEAD_START: Duration = Duration::from_millis(300);
/// When the provider refused something, it is asked again after this.
const RETRY: Duration = Duration::from_secs(1);

impl Supervisor {
    /// Brings the workers nearer to what is wanted.
    pub(super) async fn act(&mut self) {
        let now = Instant::now();
        self.retry_at = self.retry_at.filter(|at| *at > now);
        if self.is_job_over() {
            self.end_without_master();
        } else if self.record.ending.is_none() {
            self.bring_what_jobs_lack(now);
            self.replace_left_behind(now).await;
            match self.table.decide(self.record.present(), now) {
                Decision::Act(actions) => self.perform(actions).await,
                Decision::End(End::CrashLoop { id, .. }) if self.lacks_storage().await => {
                    self.table.forgive(id)
                }
                Decision::End(end) => self.end(self.explained(end)),
            }
        }
        if let Some(Ending { grace, .. }) = self.record.ending {
            self.release_all(grace).await;
        }
    }

    /// Ends the cluster: from now on workers are only let go.
    pub(crate) fn end(&mut self, ending: Ending) {
        tracing::info!(kind = ?ending.kind, reason = ending.reason, "the cluster ends");
        let now = Instant::now();
        self.give_up_at = Some(now + ending.grace + GIVE_UP);
        self.head_start = Some(now + HEAD_START);
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
        if id.role == Role::JobManager && self.plan.job.is_some() && self.plan.ha.is_none() {
            return Err(Refusal::NotHighlyAvailable(id));
        }
        let worker = self.table.get(id).filter(|_| is_wanted(self.record.present(), id));
        let Some(worker) = worker else { return Err(Refusal::NoSuchWorker(id)) };
        let attempt = worker.attempt;
        self.event(EventKind::RestartRequested, Some(id), format!("{id} is to be replaced"));
        self.table.forgive(id);
        self.table.come_at(id, Instant::now());
        if self.table.get(id).is_some_and(|worker| worker.exit().is_none()) {
            self.release(id, attempt, GRACE).await;
        }
        match self.table.get(id).is_some_and(Worker::stays) {
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
        let standbys = self.standbys();
        self.head_start = self.head_start.filter(|end| !standbys.is_empty() && Instant::now() < *end);
        if self.head_start.is_some() {
            return self.release_standbys(standbys).await;
        }
        // ZooKeeper goes last: who leaves its election has something to tell it.
        let others = self.table.live().any(|(id, _)| id.role != Role::ZooKeeper);
        let may_go =
            |(id, worker): &(WorkerId, &Worker)| worker.stays() && !(others && id.role == Role::ZooKeeper);
        let staying = self.table.live().filter(may_go);
        let staying: Vec<_> = staying.map(|(id, worker)| (id, worker.attempt)).collect();
        for (id, attempt) in staying {
            self.release(id, attempt, grace).await;
        }
    }

    /// They have nothing to finish, and were the leader gone before them, one of them would take up its jobs for a
    /// moment. What the killed leave in ZooKeeper is removed while the others go.
    async fn release_standbys(&mut self, standbys: Vec<Master>) {
        for (id, attempt) in standbys {
            if self.table.get(id).is_some_and(Worker::stays) {
                self.release(id, attempt, Duration::ZERO).await;
            }
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
        if let Err(error) = self.choose_ports(&ensures).await {
            return self.fail(chain(&error));
        }
        // Before the provider is asked: an agent that dies here must not count an attempt twice.
        self.record.attempts.extend(ensures.iter().copied());
        self.record.save(&self.dir).await;
        for (id, attempt) in ensures {
            match self.spec(id, attempt) {
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

    fn fail(&mut self, reason: String) {
        self.end(Ending::new(EndKind::Failed, reason, GRACE_AFTER_FAILURE));
    }

    fn explained(&self, end: End) -> Ending {
        let stopped = |reason: &str| Ending::new(EndKind::Stopped, reason, GRACE);
        match end {
            End::NoneWanted => stopped("scaled to nothing"),
            // How it ended says nothing of its job.
            End::JobManagerEnded if self.plan.job.is_some() => {
                let reason = "the JobManager ended by itself before its job was over";
                Ending::new(EndKind::Failed, reason, GRACE_AFTER_FAILURE)
            }
            End::JobManagerEnded => stopped("the JobManager ended by itself"),
            End::CrashLoop { id, attempt, exit, times } => {
                let name = id.attempt_name(attempt);
                let words = match last_words(&self.plan.log_dir, id, attempt) {
                    Some((line, file)) => format!(": {line} ({file})"),
                    None => String::new(),
                };
                let reason = format!("{name} {exit}, {times} failures in a row{words}");
                Ending::new(EndKind::Failed, reason, GRACE_AFTER_FAILURE)
            }
        }
    }
}
