//! Looks after JobManagers in containers. Their ends reach the ResourceManager with their node's next heartbeat, and this
//! master with its own: two seconds, when a standby could lead after one. So their nodes are asked.

use std::time::Duration;

use kobel_hadoop_rpc::yarn::{Completed, ContainerId, NodeStatus};
use kobel_plan::Role;

use super::{Effect, Step, Task};

/// Between two questions.
pub(super) const PACE: Duration = Duration::from_millis(250);

impl Task {
    /// Whether there is anybody to be looked after.
    pub(super) fn has_charges(&self) -> bool {
        self.fleet.running(Role::JobManager).next().is_some()
    }

    /// Asks the node of each, unless it owes an answer.
    pub(super) fn look_after(&mut self) {
        let charges: Vec<_> =
            self.fleet.running(Role::JobManager).map(|(container, node)| (container, node.clone())).collect();
        for (container, node) in charges {
            let Some(node) = self.nodes.get(&node).filter(|_| self.looking.insert(container)) else {
                continue;
            };
            self.steps.spawn(async move {
                // What a node does not tell, the ResourceManager will.
                let told = node.statuses(&[container]).await.ok();
                Step::Looked(container, told.and_then(|mut told| told.remove(&container)?.ok()))
            });
        }
    }

    /// What a node answered.
    pub(super) fn looked(&mut self, id: ContainerId, status: Option<NodeStatus>) -> Vec<Effect> {
        self.looking.remove(&id);
        match status {
            Some(NodeStatus::Ended { exit, diagnostics }) => {
                self.fleet.completed(&Completed { id, exit, diagnostics })
            }
            _ => Vec::new(),
        }
    }
}
