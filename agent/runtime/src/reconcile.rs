//! Decides, and does nothing: which workers to ask for, which to let go, when to give up.
//!
//! The table is what is known of every worker; [`Table::decide`] compares it with what is wanted.
//! Deciding twice without news in between asks for nothing new, so the supervisor decides after
//! every event.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use kobel_plan::{Attempt, Exit, Phase, Role, Wanted, WorkerEvent, WorkerId};

/// Failures further apart than this have nothing to do with each other.
const WINDOW: Duration = Duration::from_secs(10 * 60);
/// So many failures of one worker within [`WINDOW`] are a crash loop.
const CRASH_LOOP: usize = 5;
/// The same before the cluster was ever ready: what dies twice at the start is configured wrongly,
/// and somebody is waiting for the answer.
const CRASH_LOOP_AT_START: usize = 2;
/// A process that ran this long works: that a signal from outside ended it is not its own failure. Neither is it once
/// the cluster was ready.
const WORKS: Duration = Duration::from_secs(5);
/// So many of those within [`WINDOW`] end the cluster all the same: nothing may start processes for ever.
const KILL_LOOP: usize = 50;
/// Kills within this time are one storm: who is killed before it works waits longer each time.
const STORM: Duration = Duration::from_secs(30);
/// But no longer than this: by then it may be over.
const STORM_DELAY: Duration = Duration::from_secs(8);
/// The first restart comes at once, because most failures do not repeat: whoever watches is told why before.
const FIRST_DELAY: Duration = Duration::from_millis(10);
/// The second restart waits so long; every further one twice as long as the one before.
const SECOND_DELAY: Duration = Duration::from_secs(1);

/// Signals that no process gets by a fault of its own; the kernel's for want of memory is told apart.
const KILL: i32 = 9;
const TERM: i32 = 15;

/// Every worker the cluster ever had.
#[derive(Debug, Default)]
pub(crate) struct Table {
    workers: BTreeMap<WorkerId, Worker>,
    /// Whether the cluster has a ZooKeeper of its own.
    zookeeper: bool,
    ever_ready: bool,
}

/// What is known of one worker.
#[derive(Debug)]
pub(crate) struct Worker {
    /// The newest attempt ever asked for.
    pub(crate) attempt: Attempt,
    /// Where that attempt stands.
    pub(crate) standing: Standing,
    /// Exits that nobody asked for, within [`WINDOW`].
    failures: Vec<Instant>,
    /// When it was killed from outside though it worked, within [`WINDOW`].
    kills: Vec<Instant>,
}

/// Where a worker's newest attempt stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Asked for, and not known to be gone.
    Live {
        /// Where it runs, once it does.
        place: Option<Place>,
        /// Whether its release was asked for.
        leaving: bool,
    },
    /// Gone, or never there.
    Down {
        /// Why.
        exit: Exit,
        /// When the next attempt may start.
        retry_at: Instant,
    },
}

/// Where a worker's process runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) host: String,
    pub(crate) pid: Option<u32>,
    pub(crate) container: Option<String>,
    pub(crate) since: Timestamp,
}

/// Something for the provider to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Make this attempt exist.
    Ensure(WorkerId, Attempt),
    /// Let this attempt go.
    Release(WorkerId, Attempt),
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// These, in this order.
    Act(Vec<Action>),
    /// The cluster is to end.
    End(End),
}

/// Why a cluster ends by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// The last worker was scaled away.
    NoneWanted,
    /// A JobManager exited by itself with code 0: its cluster is over.
    JobManagerEnded,
    /// A worker fails again and again.
    CrashLoop {
        /// Which.
        id: WorkerId,
        /// The attempt that failed last.
        attempt: Attempt,
        /// How it ended.
        exit: Exit,
        /// How often it failed.
        times: usize,
    },
}

/// What an event told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// Nothing that was not known.
    Nothing,
    /// The worker runs.
    Running,
    /// The worker is gone as asked.
    Released,
    /// The worker is gone and nobody asked for it.
    Failed,
    /// An attempt that was taken for dead lives: it is to be let go.
    Ghost,
}

impl Table {
    /// The cluster has a ZooKeeper of its own, wanted for as long as there is anything else.
    pub(crate) fn with_zookeeper(self) -> Self {
        Self { zookeeper: true, ..self }
    }

    /// Every worker, JobManagers first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (WorkerId, &Worker)> {
        self.workers.iter().map(|(id, worker)| (*id, worker))
    }

    /// One worker.
    pub(crate) fn get(&self, id: WorkerId) -> Option<&Worker> {
        self.workers.get(&id)
    }

    /// The cluster was ready once: from now on a failing worker is given more chances.
    pub(crate) fn was_ready(&mut self) {
        self.ever_ready = true;
    }

    /// Whether [`Table::was_ready`] was said.
    pub(crate) fn ever_ready(&self) -> bool {
        self.ever_ready
    }

    /// Enters a worker of which only the number of its last attempt is known: it is gone, and its
    /// next attempt may start at once.
    pub(crate) fn remember(&mut self, id: WorkerId, attempt: Attempt, now: Instant) {
        let exit = Exit::Unknown("it ended while no agent watched".into());
        self.workers.insert(
            id,
            Worker { standing: Standing::Down { exit, retry_at: now }, ..Worker::asked(attempt) },
        );
    }

    /// Takes in one event of the provider.
    pub(crate) fn saw(&mut self, event: &WorkerEvent, now: Instant) -> Told {
        let ever_ready = self.ever_ready;
        let worker = self.workers.entry(event.id).or_insert_with(|| Worker::asked(event.attempt));
        if event.attempt < worker.attempt {
            return if matches!(event.phase, Phase::Running { .. }) { Told::Ghost } else { Told::Nothing };
        }
        if event.attempt > worker.attempt {
            worker.attempt = event.attempt;
            worker.standing = Standing::Live { place: None, leaving: false };
        }
        match &event.phase {
            Phase::Pending => Told::Nothing,
            Phase::Running { host, pid, container } => worker.runs(Place {
                host: host.clone(),
                pid: *pid,
                container: container.clone(),
                since: event.at,
            }),
            Phase::Exited(exit) => worker.exited(exit, event.at, now, ever_ready),
        }
    }

    /// Notes that an action was handed to the provider.
    pub(crate) fn acted(&mut self, action: Action) {
        match action {
            Action::Ensure(id, attempt) => {
                let worker = self.workers.entry(id).or_insert_with(|| Worker::asked(attempt));
                worker.attempt = attempt;
                worker.standing = Standing::Live { place: None, leaving: false };
            }
            Action::Release(id, _) => {
                if let Some(Worker { standing: Standing::Live { leaving, .. }, .. }) =
                    self.workers.get_mut(&id)
                {
                    *leaving = true;
                }
            }
        }
    }

    /// Forgets a worker's failures: they were not its own.
    pub(crate) fn forgive(&mut self, id: WorkerId) {
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.failures.clear();
            worker.kills.clear();
        }
    }

    /// Sets when a worker that is gone may come again.
    pub(crate) fn come_at(&mut self, id: WorkerId, at: Instant) {
        if let Some(Worker { standing: Standing::Down { retry_at, .. }, .. }) = self.workers.get_mut(&id) {
            *retry_at = at;
        }
    }

    /// Has a worker that is gone come again not before this, and gives when it would have come.
    pub(crate) fn put_off(&mut self, id: WorkerId, until: Instant) -> Option<Instant> {
        match &mut self.workers.get_mut(&id)?.standing {
            Standing::Down { retry_at, .. } if *retry_at < until => Some(std::mem::replace(retry_at, until)),
            _ => None,
        }
    }

    /// What to do so that the workers become those that are wanted.
    pub(crate) fn decide(&self, wanted: Wanted, now: Instant) -> Decision {
        if wanted.job_managers == 0 && wanted.task_managers == 0 {
            return Decision::End(End::NoneWanted);
        }
        if let Some(end) = self.wanted_ids(wanted).find_map(|id| self.end_by(id)) {
            return Decision::End(end);
        }
        // Highest index first: that is what scaling down gives up.
        let releases = self.live().rev().filter(|(id, _)| !is_wanted(wanted, *id));
        let releases = releases.filter(|(_, worker)| worker.stays());
        let releases = releases.map(|(id, worker)| Action::Release(id, worker.attempt));
        let ensures = self.wanted_ids(wanted).filter_map(|id| match self.workers.get(&id) {
            None => Some(Action::Ensure(id, Attempt::FIRST)),
            Some(worker) => worker.may_restart(now).then(|| Action::Ensure(id, worker.attempt.next())),
        });
        Decision::Act(releases.chain(ensures).collect())
    }

    /// When to decide again although nothing happened.
    pub(crate) fn next_wake(&self, wanted: Wanted) -> Option<Instant> {
        let down = self.wanted_ids(wanted).filter_map(|id| match self.workers.get(&id)?.standing {
            Standing::Down { retry_at, .. } => Some(retry_at),
            Standing::Live { .. } => None,
        });
        down.min()
    }

    /// The workers that are not known to be gone.
    pub(crate) fn live(&self) -> impl DoubleEndedIterator<Item = (WorkerId, &Worker)> {
        let live = |worker: &&Worker| matches!(worker.standing, Standing::Live { .. });
        self.workers.iter().map(|(id, worker)| (*id, worker)).filter(move |(_, worker)| live(worker))
    }

    /// Those who others need come first.
    fn wanted_ids(&self, wanted: Wanted) -> impl Iterator<Item = WorkerId> + use<> {
        let zookeeper = self.zookeeper.then(WorkerId::zookeeper);
        let masters = (0..wanted.job_managers).map(WorkerId::jm);
        zookeeper.into_iter().chain(masters).chain((0..wanted.task_managers).map(WorkerId::tm))
    }

    /// Whether this worker's exit is the end of the cluster.
    fn end_by(&self, id: WorkerId) -> Option<End> {
        let worker = self.workers.get(&id)?;
        let Standing::Down { exit, .. } = &worker.standing else { return None };
        if id.role == Role::JobManager && *exit == Exit::Code(0) {
            return Some(End::JobManagerEnded);
        }
        let limit = if self.ever_ready { CRASH_LOOP } else { CRASH_LOOP_AT_START };
        let (failures, kills) = (worker.failures.len(), worker.kills.len());
        let times = failures.max(kills);
        (failures >= limit || kills >= KILL_LOOP).then(|| End::CrashLoop {
            id,
            attempt: worker.attempt,
            exit: exit.clone(),
            times,
        })
    }
}

impl Worker {
    fn asked(attempt: Attempt) -> Self {
        let standing = Standing::Live { place: None, leaving: false };
        Self { attempt, standing, failures: vec![], kills: vec![] }
    }

    /// Where it runs, if it does.
    pub(crate) fn place(&self) -> Option<&Place> {
        match &self.standing {
            Standing::Live { place, .. } => place.as_ref(),
            Standing::Down { .. } => None,
        }
    }

    /// Why it is gone, if it is.
    pub(crate) fn exit(&self) -> Option<&Exit> {
        match &self.standing {
            Standing::Live { .. } => None,
            Standing::Down { exit, .. } => Some(exit),
        }
    }

    /// Whether it lives and its release was asked for.
    pub(crate) fn leaving(&self) -> bool {
        matches!(self.standing, Standing::Live { leaving: true, .. })
    }

    /// Whether it lives and was not told to go.
    pub(crate) fn stays(&self) -> bool {
        matches!(self.standing, Standing::Live { leaving: false, .. })
    }

    fn may_restart(&self, now: Instant) -> bool {
        matches!(self.standing, Standing::Down { retry_at, .. } if retry_at <= now)
    }

    fn runs(&mut self, at: Place) -> Told {
        let leaving = self.leaving();
        if self.place().is_some_and(|place| place.is_same(&at)) {
            return Told::Nothing;
        }
        self.standing = Standing::Live { place: Some(at), leaving };
        Told::Running
    }

    fn exited(&mut self, exit: &Exit, at: Timestamp, now: Instant, ever_ready: bool) -> Told {
        let worked = self.place().is_some_and(|place| at.duration_since(place.since).unsigned_abs() >= WORKS);
        let (exit, retry_at, news) = match &self.standing {
            Standing::Down { .. } => return Told::Nothing,
            Standing::Live { leaving: true, .. } => (Exit::Released, now, Told::Released),
            Standing::Live { leaving: false, .. } => {
                let delay = match exit {
                    Exit::Preempted | Exit::NodeLost | Exit::Released => SECOND_DELAY,
                    Exit::Signal(KILL | TERM) if worked || ever_ready => self.killed(worked, now),
                    _ => self.failed(now),
                };
                (exit.clone(), now + delay, Told::Failed)
            }
        };
        self.standing = Standing::Down { exit, retry_at };
        news
    }

    /// Counts somebody's signal, and says how long to wait.
    fn killed(&mut self, worked: bool, now: Instant) -> Duration {
        self.kills.retain(|at| now.duration_since(*at) < WINDOW);
        self.kills.push(now);
        let storm = self.kills.iter().filter(|at| now.duration_since(**at) < STORM).count();
        if worked { FIRST_DELAY } else { delay(storm).min(STORM_DELAY) }
    }

    /// Counts a failure of its own, and says how long to wait.
    fn failed(&mut self, now: Instant) -> Duration {
        self.failures.retain(|at| now.duration_since(*at) < WINDOW);
        self.failures.push(now);
        delay(self.failures.len())
    }
}

/// How long to wait after so many failures.
fn delay(failures: usize) -> Duration {
    match failures {
        0 | 1 => FIRST_DELAY,
        n => SECOND_DELAY * 2u32.saturating_pow(n as u32 - 2),
    }
}

impl Place {
    fn is_same(&self, other: &Self) -> bool {
        (&self.host, self.pid, &self.container) == (&other.host, other.pid, &other.container)
    }
}

/// Whether there shall be a worker of this id.
pub(crate) fn is_wanted(wanted: Wanted, id: WorkerId) -> bool {
    id.index
        < match id.role {
            Role::JobManager => wanted.job_managers,
            Role::TaskManager => wanted.task_managers,
            Role::ZooKeeper => 1,
        }
}

#[cfg(test)]
mod tests;
