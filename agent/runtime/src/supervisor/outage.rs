//! ZooKeeper does not answer: nobody knows who leads, nobody is fenced, and what ends is not blamed for it. Neither is it
//! where Flink's files are out of reach.

use std::time::{Duration, Instant};

use kobel_conf::chain;
use kobel_flink::ha::ZkError;
use kobel_plan::EventKind;

use super::Supervisor;

/// Without ZooKeeper Flink's processes end themselves, some only a while after it has answered again.
const AFTERMATH: Duration = Duration::from_secs(60);

/// ZooKeeper did not answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outage {
    since: Instant,
    /// When it answered again.
    over: Option<Instant>,
}

impl Outage {
    /// Whether a process that ends now ends for want of ZooKeeper.
    pub(super) fn is_to_blame(self) -> bool {
        self.over.is_none_or(|over| over.elapsed() < AFTERMATH)
    }
}

impl Supervisor {
    /// It may have been so before.
    pub(super) fn zookeeper_is_silent(&mut self, error: Option<&ZkError>) {
        if self.lead.outage.is_some_and(|outage| outage.over.is_none()) {
            return;
        }
        self.lead.outage = Some(Outage { since: Instant::now(), over: None });
        let error = error.map(|error| format!(": {}", chain(error))).unwrap_or_default();
        let message = format!("ZooKeeper does not answer: whoever led is taken to lead on{error}");
        self.event(EventKind::ZookeeperLost, None, message);
    }

    /// It may have done so before.
    pub(super) fn zookeeper_answers(&mut self) {
        let Some(outage @ Outage { since, over: None }) = self.lead.outage else { return };
        self.lead.outage = Some(Outage { over: Some(Instant::now()), ..outage });
        let message = format!("ZooKeeper answers again after {:.1?}", since.elapsed());
        self.event(EventKind::ZookeeperBack, None, message);
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
