//! Drills: something bad is done to a worker's process on request, and what follows is what would follow a fault.

use jiff::Timestamp;
use kobel_conf::chain;
use kobel_plan::{
    EventKind, Role,
    api::{DrillRequest, Struck},
};

use super::Supervisor;
use crate::handle::Refusal;

impl Supervisor {
    /// Hits a worker's living process. It counts as the first failure of its kind: who drills often is not
    /// taken for a worker that fails again and again.
    pub(super) async fn drill(&mut self, request: DrillRequest) -> Result<Struck, Refusal> {
        let DrillRequest { worker: id, fault } = request;
        if self.record.ending.is_some() {
            return Err(Refusal::Ending);
        }
        let worker = self.table.get(id).filter(|worker| worker.stays() && id.role != Role::ZooKeeper);
        let attempt = worker.ok_or(Refusal::NoSuchWorker(id))?.attempt;
        if id.role == Role::JobManager && self.plan.ha.is_none() {
            return Err(Refusal::NotHighlyAvailable(id));
        }
        self.table.forgive(id);
        let at = Timestamp::now();
        let struck = self.provider.strike(id, attempt, fault).await;
        struck.map_err(|error| Refusal::NotStruck(chain(&error)))?;
        let name = id.attempt_name(attempt);
        self.event(EventKind::Drill, Some(id), format!("{name} was {fault}, for a drill"));
        Ok(Struck { worker: id, attempt, at })
    }
}
