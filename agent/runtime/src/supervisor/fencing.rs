//! JobManagers that are over are removed from ZooKeeper: those whose ends were seen, and those that a former agent had.

use std::time::Duration;

use kobel_conf::chain;
use kobel_flink::ha::{Fenced, ZkError};
use kobel_plan::{Death, EventKind, Exit, Role};

use super::Supervisor;
use crate::election::{Former, Master, Obituary};

impl Supervisor {
    /// Has a JobManager that is over removed from ZooKeeper, if how it ended proves its death.
    pub(super) fn fence(&self, of: Master, exit: &Exit) {
        let (Some(election), Some(rest)) = (&self.outputs.election, self.rest_address(of)) else { return };
        election.fence(Obituary {
            of,
            death: self.provider.death(of.0, of.1, exit),
            rest,
            observed: self.lead.published(of).and_then(|published| published.session),
            known: Vec::new(),
            logs: self.plan.log_dir.clone(),
            alive: self.living_masters(),
            alive_logs: self.plan.log_dir.clone(),
        });
    }

    /// What became of it.
    pub(super) fn on_fenced(
        &mut self,
        (id, attempt): Master,
        outcome: Result<Fenced, ZkError>,
        took: Duration,
    ) {
        let name = id.attempt_name(attempt);
        let message = match outcome {
            Ok(Fenced::Done(fence)) => {
                let others = fence.election.len() - 1;
                format!("{name}'s latch and {others} more znodes were removed within {took:.0?}")
            }
            Ok(Fenced::Refused(kobel_flink::ha::Refusal::NothingLeft)) => return,
            Ok(Fenced::Refused(refusal)) => format!("{name} was not fenced: {refusal}; its session decides"),
            Err(error) => format!("{name} was not fenced: {}; its session decides", chain(&error)),
        };
        self.event(EventKind::Fenced, Some(id), message);
    }

    /// Writes down what the next agent must know of the JobManagers here.
    pub(super) fn note_formers(&mut self) {
        if self.plan.ha.is_some() {
            let masters = self.living_masters();
            self.record.formers = masters.into_iter().filter_map(|master| self.as_former(master)).collect();
        }
    }

    fn as_former(&self, master: Master) -> Option<Former> {
        let pid = self.table.get(master.0)?.place()?.pid?;
        let rest = self.rest_address(master)?;
        let container = self.outputs.coroner.as_ref().map(|coroner| coroner.here());
        let former = Former::of(master, pid, rest, &self.plan.log_dir).unwrap_or_else(|error| {
            tracing::warn!(%error, "a next agent will not know its sessions");
            None
        });
        former.map(|former| former.in_container(container))
    }

    /// The JobManagers of a former agent that are gone: nobody saw them die, and nobody has fenced them. One that only
    /// stood by would be waited for like one that led, should its turn come.
    pub(super) fn fence_formers(&self) {
        let Some(election) = &self.outputs.election else { return };
        let alive = self.living_masters();
        for former in self.record.formers.iter().filter(|former| !alive.contains(&former.master)) {
            let obituary = Obituary {
                of: former.master,
                death: Death::Unproven,
                rest: former.rest.clone(),
                observed: None,
                known: former.sessions(),
                logs: former.logs.clone(),
                alive: alive.clone(),
                alive_logs: self.plan.log_dir.clone(),
            };
            election.fence_former(former.clone(), self.outputs.coroner.clone(), obituary);
        }
    }

    /// All whose ends were not seen.
    pub(super) fn living_masters(&self) -> Vec<Master> {
        let masters = self.table.live().filter(|(id, _)| id.role == Role::JobManager);
        masters.map(|(id, worker)| (id, worker.attempt)).collect()
    }
}
