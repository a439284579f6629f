//! Nodes on which a worker came to nothing are avoided for a while, as long as there are others.

use std::time::{Duration, Instant};

use kobel_plan::Exit;

use super::Fleet;

/// For so long.
const WHILE: Duration = Duration::from_secs(60);

/// Whether an end may be the node's fault: it did not start the worker, or the worker did not get along there.
/// What was killed was not killed for the node's sake, and a lost node the ResourceManager knows itself.
pub(super) fn is_suspicious(exit: &Exit) -> bool {
    matches!(exit, Exit::LaunchFailed { .. } | Exit::Code(1..) | Exit::Failed { .. })
}

impl Fleet {
    /// Has the next containers come from other nodes. Never all of them are avoided: when the last one turns
    /// out no better, the others get another chance.
    pub(super) fn avoid(&mut self, host: &str, now: Instant) {
        let nodes = self.cluster_nodes as usize;
        if nodes < 2 {
            return;
        }
        if self.shunned.keys().filter(|known| *known != host).count() + 1 >= nodes {
            for (known, _) in std::mem::take(&mut self.shunned) {
                self.outbox.unshun(&known);
            }
        }
        tracing::info!(host, "avoids a node on which a worker came to nothing");
        self.shunned.insert(host.into(), now + WHILE);
        self.outbox.shun(host);
    }

    /// Comes back to nodes that were avoided for long enough. With every heartbeat.
    pub(in crate::yarn) fn come_back(&mut self, now: Instant) {
        for (host, _) in self.shunned.extract_if(.., |_, until| *until <= now) {
            self.outbox.unshun(&host);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::*, *};
    use kobel_hadoop_rpc::yarn::{Allocated, NodeId};

    fn on(host: &str, number: i64) -> Allocated {
        let mut answer = Allocated { cluster_nodes: 2, ..grants(1, [number]) };
        answer.granted[0].container.node = NodeId { host: host.into(), port: 1 };
        answer
    }

    /// A worker on this host that ends so.
    fn fails(fleet: &mut Fleet, index: u32, host: &str, status: i32) {
        fleet.want(key(index, 1), size(1024)).unwrap();
        fleet.shipped(key(index, 1), file());
        fleet.answered(on(host, i64::from(index)));
        fleet.started(key(index, 1), Ok(()));
        fleet.answered(Allocated { cluster_nodes: 2, ..ends(i64::from(index), status) });
    }

    #[test]
    fn a_node_on_which_a_worker_fails_is_avoided_for_a_while() {
        let mut fleet = Fleet::default();
        fails(&mut fleet, 1, "a", 1);
        assert_eq!(said(&mut fleet).shun, ["a"]);
        fails(&mut fleet, 2, "b", 1);
        let beat = said(&mut fleet);
        assert_eq!((beat.shun, beat.unshun), (vec!["b".to_string()], vec!["a".to_string()]), "never all");
        fleet.come_back(Instant::now());
        assert!(said(&mut fleet).unshun.is_empty());
        fleet.come_back(Instant::now() + WHILE);
        assert_eq!(said(&mut fleet).unshun, ["b"]);
    }

    #[test]
    fn a_node_that_does_not_start_a_container_is_avoided() {
        let mut fleet = Fleet::default();
        fleet.want(key(1, 1), size(1024)).unwrap();
        fleet.shipped(key(1, 1), file());
        fleet.answered(on("a", 1));
        fleet.started(key(1, 1), Err("no answer".into()));
        assert_eq!(said(&mut fleet).shun, ["a"]);
    }

    #[test]
    fn what_is_killed_or_taken_away_says_nothing_of_the_node() {
        let mut fleet = Fleet::default();
        for (index, status) in [137, 143, 0, -100, -102, -104, -106].into_iter().enumerate() {
            fails(&mut fleet, index as u32, "a", status);
        }
        assert!(said(&mut fleet).shun.is_empty());
    }
}
