//! Drills: something bad is done to a worker's process on request, and what follows is what would follow a fault.

use std::sync::Arc;

use jiff::Timestamp;
use kobel_conf::chain;
use kobel_plan::{
    Attempt, ClusterEvent, EventKind, Role, WorkerId,
    api::{DrillRequest, Struck},
};
use tokio::sync::oneshot;

use super::Supervisor;
use crate::{handle::Refusal, record::Timeline};

impl Supervisor {
    /// Hits a worker's living process. It counts as the first failure of its kind: who drills often is not
    /// taken for a worker that fails again and again. The cluster does not wait for a node that may be out of reach.
    pub(super) fn drill(&mut self, request: DrillRequest, reply: oneshot::Sender<Result<Struck, Refusal>>) {
        let DrillRequest { worker: id, fault } = request;
        let attempt = match self.may_drill(id) {
            Ok(attempt) => attempt,
            Err(refusal) => return drop(reply.send(Err(refusal))),
        };
        self.table.forgive(id);
        let (provider, timeline) = (Arc::clone(&self.provider), Timeline::new(&self.dir));
        tokio::spawn(async move {
            let at = Timestamp::now();
            let struck = provider.strike(id, attempt, fault).await;
            if struck.is_ok() {
                let message = format!("{} was {fault}, for a drill", id.attempt_name(attempt));
                timeline.append(&ClusterEvent { at, kind: EventKind::Drill, worker: Some(id), message });
            }
            let struck = struck.map(|()| Struck { worker: id, attempt, at });
            // Who asked may be gone.
            let _ = reply.send(struck.map_err(|error| Refusal::NotStruck(chain(&error))));
        });
    }

    fn may_drill(&self, id: WorkerId) -> Result<Attempt, Refusal> {
        if self.record.ending.is_some() {
            return Err(Refusal::Ending);
        }
        let worker = self.table.get(id).filter(|worker| worker.stays() && id.role != Role::ZooKeeper);
        let attempt = worker.ok_or(Refusal::NoSuchWorker(id))?.attempt;
        match id.role == Role::JobManager && self.plan.ha.is_none() {
            true => Err(Refusal::NotHighlyAvailable(id)),
            false => Ok(attempt),
        }
    }
}
