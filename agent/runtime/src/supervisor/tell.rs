//! What the supervisor tells: the status to whoever watches, and to the record; where to forward to
//! the front; whom to ask to the observer.

use std::sync::Arc;

use kobel_conf::chain;
use kobel_plan::{ClusterState, EventKind, Status, status::Slots};
use kobel_provider::Outcome;

use super::Supervisor;
use crate::{
    observe::Question,
    record::{EndKind, Ending},
    standing,
};

impl Supervisor {
    /// Tells everyone what changed.
    pub(super) async fn publish(&mut self) {
        self.watch_over_masters();
        let (status, needs) = (self.status(), self.needs());
        let steady = status.state == ClusterState::Ready;
        let jobs = self.lead.awaits_jobs();
        let question = Question {
            target: self.target(),
            hurry: !steady || jobs || self.needs_are_unclear(),
            serial: self.looks.asked,
            jobs,
            needs,
        };
        self.outputs.questions.send_if_modified(|asked| std::mem::replace(asked, question) != question);
        let upstream = self.upstream();
        self.outputs.upstream.send_if_modified(|known| std::mem::replace(known, upstream) != upstream);
        self.tell(status).await;
    }

    /// The cluster's last words, when no worker is left.
    pub(crate) async fn finish(&mut self) {
        let Some(ending) = self.record.ending.clone() else { return };
        let left: Vec<_> = self.table.live().map(|(id, worker)| id.attempt_name(worker.attempt)).collect();
        if !left.is_empty() {
            tracing::error!(workers = left.join(" "), "gave up waiting for workers to go");
        }
        let outcome = match ending.kind {
            // What is stopped has not done what it was for.
            EndKind::Stopped if self.plan.job.is_some() && !self.is_job_over() => Outcome::Killed,
            EndKind::Stopped => Outcome::Succeeded,
            EndKind::Killed => Outcome::Killed,
            EndKind::Failed => Outcome::Failed,
        };
        self.clean_up_ha(&ending).await;
        self.job_ends_with(&ending).await;
        if let Err(error) = self.provider.finish(outcome, &ending.reason).await {
            tracing::warn!(error = chain(&error), "the provider could not finish");
        }
        let mut status = Status { state: ending.state(), reason: Some(ending.reason), ..self.status() };
        (status.rest_url, status.agent) = (None, None);
        status.jobs.running = 0;
        self.tell(status).await;
    }

    pub(super) async fn tell(&mut self, status: Status) {
        if self.record.status.state != status.state {
            let reason = status.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            self.event(EventKind::StateChanged, None, format!("{}{reason}", status.state));
        }
        let changed = self.record.status != status;
        if status.state == ClusterState::Ready {
            self.record.starts.clear();
        }
        self.record.status = status;
        self.record.ever_ready = self.table.ever_ready();
        if changed {
            // The disk first: what was told must be true for the agent that comes after this one.
            self.record.save(&self.dir).await;
            self.outputs.status.send_replace(Arc::new(self.record.status.clone()));
        }
    }

    pub(super) fn status(&mut self) -> Status {
        let (pinned, observed) = (self.record.wanted, self.observed.as_ref());
        let missing = standing::missing(pinned, &self.table, observed);
        let lacking = if self.table.ever_ready() { ClusterState::Degraded } else { ClusterState::Starting };
        let (state, reason) = match &self.record.ending {
            Some(Ending { kind: EndKind::Failed, reason, .. }) => (lacking, Some(reason.clone())),
            Some(ending) => (ClusterState::Stopping, Some(ending.reason.clone())),
            None if missing.is_none() => (ClusterState::Ready, None),
            None => (lacking, missing),
        };
        let status = Status {
            state,
            reason,
            masters: standing::masters(&self.table, observed, self.record.leading_since),
            task_managers: standing::task_managers(
                self.record.present(),
                pinned.task_managers,
                &self.table,
                observed,
            ),
            slots: observed.map_or(Slots::default(), |observed| observed.slots),
            job: self.job.clone(),
            jobs: observed.map_or(self.record.status.jobs, |observed| observed.jobs),
            ..self.record.status.clone()
        };
        if state == ClusterState::Ready {
            self.table.was_ready();
        }
        status
    }
}
