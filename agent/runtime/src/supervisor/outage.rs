//! ZooKeeper does not answer: nobody knows who leads, nobody is fenced, and what ends is not blamed for it. Neither is it
//! where Flink's files are out of reach.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use kobel_conf::chain;
use kobel_flink::ha::ZkError;
use kobel_plan::{EventKind, Role, WorkerId};

use super::Supervisor;
use crate::{
    election::Master,
    observe::Observation,
    reconcile::{Table, Worker},
};

/// Without ZooKeeper Flink's processes end themselves, some only a while after it has answered again.
const AFTERMATH: Duration = Duration::from_secs(60);
/// After this long some may be in one of the last pauses between their attempts to reach it, each twice as long as the
/// one before (Curator's `ExponentialBackoffRetry`): up to a minute.
const LONG: Duration = Duration::from_secs(30);
/// So long after such an outage they may take to be back by themselves.
const RETURN: Duration = Duration::from_secs(5);
/// So long TaskManagers may take to register with who leads after it.
const REGISTER: Duration = Duration::from_secs(2);

/// ZooKeeper did not answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outage {
    since: Instant,
    /// When it answered again.
    over: Option<Instant>,
    /// Since when a leader has answered after that.
    led: Option<Instant>,
    /// Whether those who were not back were looked for.
    looked: bool,
}

impl Outage {
    /// Whether a process that ends now ends for want of ZooKeeper.
    pub(super) fn is_to_blame(self) -> bool {
        self.over.is_none_or(|over| over.elapsed() < AFTERMATH)
    }

    /// When to look for those who are not back. A leader that is named and does not answer yet is waited for.
    fn look_at(self, named: bool) -> Option<Instant> {
        let over = self.over.filter(|over| !self.looked && over.duration_since(self.since) >= LONG)?;
        match named {
            true => self.led.map(|led| (led + REGISTER).max(over + RETURN)),
            false => Some(over + RETURN),
        }
    }
}

/// Who ran all through the last of an outage and is not back: the TaskManagers that the leader does not know; where
/// nobody leads, everybody.
fn left_behind(table: &Table, leader: Option<&Observation>, over: Duration) -> Vec<Master> {
    let now = Timestamp::now();
    let was_there = |worker: &Worker| {
        worker.stays() && worker.place().is_some_and(|at| now.duration_since(at.since).unsigned_abs() > over)
    };
    let is_back = |id: WorkerId, worker: &Worker| match leader {
        Some(leader) => {
            id.role != Role::TaskManager || leader.registered.contains_key(&id.attempt_name(worker.attempt))
        }
        None => id.role == Role::ZooKeeper,
    };
    let left = table.live().filter(|(id, worker)| was_there(worker) && !is_back(*id, worker));
    left.map(|(id, worker)| (id, worker.attempt)).collect()
}

impl Supervisor {
    /// It may have been so before.
    pub(super) fn zookeeper_is_silent(&mut self, error: Option<&ZkError>) {
        if self.lead.outage.is_some_and(|outage| outage.over.is_none()) {
            return;
        }
        self.lead.outage = Some(Outage { since: Instant::now(), over: None, led: None, looked: false });
        let error = error.map(|error| format!(": {}", chain(error))).unwrap_or_default();
        let message = format!("ZooKeeper does not answer: whoever led is taken to lead on{error}");
        self.event(EventKind::ZookeeperLost, None, message);
    }

    /// It may have done so before.
    pub(super) fn zookeeper_answers(&mut self) {
        let Some(outage @ Outage { since, over: None, .. }) = self.lead.outage else { return };
        self.lead.outage = Some(Outage { over: Some(Instant::now()), ..outage });
        let message = format!("ZooKeeper answers again after {:.1?}", since.elapsed());
        self.event(EventKind::ZookeeperBack, None, message);
    }

    /// When to look for those who are not back.
    pub(super) fn outage_wake(&self) -> Option<Instant> {
        // A cluster that ends replaces nobody.
        let outage = self.lead.outage.filter(|_| self.record.ending.is_none() && !self.is_job_over())?;
        outage.look_at(self.target().is_some())
    }

    /// After a long outage: has those replaced who are not back, rather than wait until they give up by themselves.
    pub(super) async fn replace_left_behind(&mut self, now: Instant) {
        let Some(Outage { over: Some(over), .. }) = self.lead.outage else { return };
        if let Some(outage) = &mut self.lead.outage {
            outage.led = self.observed.as_ref().map(|_| outage.led.unwrap_or(now));
        }
        if self.outage_wake().is_none_or(|at| at > now) {
            return;
        }
        if let Some(outage) = &mut self.lead.outage {
            outage.looked = true;
        }
        let over = now.duration_since(over);
        for (id, attempt) in left_behind(&self.table, self.observed.as_ref(), over) {
            let message = format!(
                "{} is not back {over:.1?} after ZooKeeper is, and is replaced",
                id.attempt_name(attempt)
            );
            self.event(EventKind::WorkerHangs, Some(id), message);
            match id.role {
                // It may hold the lead: its death is to be proven.
                Role::JobManager => self.strike((id, attempt)),
                _ => self.release(id, attempt, Duration::ZERO).await,
            }
        }
    }

    /// Whether Flink's files are out of reach: a JobManager that cannot read its jobs ends itself.
    pub(super) async fn lacks_storage(&self) -> bool {
        let Some(storage) = &self.outputs.storage else { return false };
        let Some(error) = storage.outage().await else { return false };
        let message = format!("what ends for want of Flink's files is started again: {error}");
        self.event(EventKind::StorageLost, None, message);
        true
    }
}

#[cfg(test)]
mod tests {
    use kobel_plan::{Attempt, Phase, WorkerEvent, status::Slots};

    use super::*;
    use crate::reconcile::Action;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn those_who_are_not_back_are_looked_for_once_after_a_long_outage() {
        let since = Instant::now();
        let lasted = |long| Outage { since, over: Some(since + long), led: None, looked: false };
        assert_eq!(lasted(LONG - SECOND).look_at(false), None, "they are back by themselves");
        assert_eq!(Outage { over: None, ..lasted(LONG) }.look_at(false), None, "it lasts");
        let long = lasted(LONG);
        let back = since + LONG + RETURN;
        assert_eq!(long.look_at(false), Some(back), "nobody leads");
        assert_eq!(long.look_at(true), None, "who leads does not answer yet");
        let led = |after| Outage { led: Some(since + LONG + after), ..long };
        assert_eq!(led(SECOND).look_at(true), Some(back));
        assert_eq!(led(RETURN + SECOND).look_at(true), Some(back + SECOND + REGISTER));
        assert_eq!(Outage { looked: true, ..led(SECOND) }.look_at(true), None);
    }

    /// A JobManager, ZooKeeper and a TaskManager that run since an hour, and one that runs since just now.
    fn table() -> Table {
        let mut table = Table::default().with_zookeeper();
        let (now, before) = (Timestamp::now(), Timestamp::now() - 3600 * SECOND);
        let since = [
            (WorkerId::zookeeper(), before),
            (WorkerId::jm(0), before),
            (WorkerId::tm(0), before),
            (WorkerId::tm(1), now),
        ];
        for (id, at) in since {
            table.acted(Action::Ensure(id, Attempt::FIRST));
            let phase = Phase::Running { host: "h".into(), pid: Some(7), container: None };
            table.saw(&WorkerEvent { id, attempt: Attempt::FIRST, at, phase }, Instant::now());
        }
        table
    }

    #[test]
    fn who_is_not_back_is_who_was_there_and_is_of_no_use() {
        let left = |leader: Option<&Observation>| {
            let left = left_behind(&table(), leader, 5 * SECOND);
            left.into_iter().map(|(id, _)| id).collect::<Vec<_>>()
        };
        assert_eq!(left(None), [WorkerId::jm(0), WorkerId::tm(0)]);
        let mut leader = Observation {
            of: (WorkerId::jm(0), Attempt::FIRST),
            serial: 0,
            slots: Slots::default(),
            jobs: Default::default(),
            registered: Default::default(),
            not_running: None,
            demand: None,
        };
        assert_eq!(left(Some(&leader)), [WorkerId::tm(0)]);
        leader.registered.insert("tm-0.1".into(), Slots::default());
        assert!(left(Some(&leader)).is_empty());
    }
}
