//! JobManagers are kept apart: what ends a node is to end one of them. It is a wish: where there is no other node, or
//! none has room in time, one node has to do for two.
//!
//! YARN lets a master shun a host for all its asks, not for one of them: so it is shunned only while a JobManager waits.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use kobel_plan::Role;

use super::{Fleet, Stage};

/// How long a JobManager may wait for a node of its own.
const PATIENCE: Duration = Duration::from_secs(5);

/// While a JobManager waits for a node of its own.
#[derive(Debug)]
pub(super) struct Apart {
    until: Instant,
    /// Where the others are.
    hosts: BTreeSet<String>,
}

impl Fleet {
    /// Has a JobManager that is asked for now come to none of the nodes where the others are.
    pub(super) fn keep_apart(&mut self, now: Instant) {
        let masters = self.workers.iter().filter(|(key, _)| key.0.role == Role::JobManager);
        let placed = masters.filter_map(|(_, worker)| match &worker.stage {
            Stage::Placed { node, .. } => Some(node.host.clone()),
            _ => None,
        });
        let hosts: BTreeSet<_> = placed.chain([self.host.clone()]).collect();
        hosts.iter().for_each(|host| self.outbox.shun(host));
        let earlier = self.apart.take().into_iter().flat_map(|apart| apart.hosts);
        let hosts = hosts.into_iter().chain(earlier).collect();
        self.apart = Some(Apart { until: now + PATIENCE, hosts });
    }

    /// Uses all nodes again as soon as no JobManager waits, or it has waited long enough, or there are no others.
    pub(super) fn review_apart(&mut self, now: Instant) {
        let Some(Apart { until, hosts }) = &self.apart else { return };
        let waits = self.waiting.values().flatten().any(|key| key.0.role == Role::JobManager);
        if waits && now < *until && hosts.len() < self.cluster_nodes as usize {
            return;
        }
        for host in self.apart.take().into_iter().flat_map(|apart| apart.hosts) {
            if !self.shunned.contains_key(&host) {
                self.outbox.unshun(&host);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use kobel_hadoop_rpc::yarn::{Allocated, Beat, NodeId};
    use kobel_plan::{Attempt, WorkerId};

    use super::{super::tests::*, *};

    fn of_nodes(cluster_nodes: u32) -> Allocated {
        Allocated { cluster_nodes, ..Default::default() }
    }

    /// What the next heartbeat says, which is then answered by a cluster of so many nodes.
    fn said_to(fleet: &mut Fleet, cluster_nodes: u32) -> Beat {
        let beat = fleet.outbox.beat(0.0, None);
        fleet.answered(of_nodes(cluster_nodes));
        beat
    }

    fn wants_master(fleet: &mut Fleet, index: u32) {
        fleet.want((WorkerId::jm(index), Attempt::FIRST), size(1024)).unwrap();
    }

    fn granted_on(host: &str, number: i64, cluster_nodes: u32) -> Allocated {
        let mut answer = Allocated { cluster_nodes, ..grants(1, [number]) };
        answer.granted[0].container.node = NodeId { host: host.into(), port: 1 };
        answer
    }

    #[test]
    fn a_jobmanager_comes_to_another_node_than_the_others() {
        let mut fleet = Fleet::on(Some("gpu".into()), "a");
        wants_master(&mut fleet, 1);
        let beat = said_to(&mut fleet, 3);
        assert_eq!((beat.shun, &beat.asks[0].node_label), (vec!["a".to_string()], &None));
        fleet.answered(granted_on("b", 1, 3));
        assert_eq!(said_to(&mut fleet, 3).unshun, ["a"], "it waits no more");
        fleet.shipped((WorkerId::jm(1), Attempt::FIRST), file());
        wants_master(&mut fleet, 2);
        assert_eq!(said_to(&mut fleet, 3).shun, ["a", "b"]);
    }

    #[test]
    fn where_there_is_no_other_node_one_has_to_do() {
        let mut fleet = Fleet::on(None, "a");
        wants_master(&mut fleet, 1);
        assert_eq!(said_to(&mut fleet, 1).shun, ["a"], "it is not known yet how many there are");
        assert_eq!(said_to(&mut fleet, 1).unshun, ["a"]);
        assert_eq!(starts(&fleet.shipped((WorkerId::jm(1), Attempt::FIRST), file())), []);
        assert_eq!(starts(&fleet.answered(granted_on("a", 1, 1))).len(), 1);
    }

    #[test]
    fn a_jobmanager_does_not_wait_for_ever() {
        let mut fleet = Fleet::on(None, "a");
        wants_master(&mut fleet, 1);
        said_to(&mut fleet, 2);
        fleet.review_apart(Instant::now());
        assert!(said_to(&mut fleet, 2).unshun.is_empty());
        fleet.review_apart(Instant::now() + PATIENCE);
        assert_eq!(said_to(&mut fleet, 2).unshun, ["a"]);
    }

    #[test]
    fn a_node_that_is_avoided_for_another_reason_stays_so() {
        let mut fleet = Fleet::on(None, "a");
        said_to(&mut fleet, 3);
        wants_master(&mut fleet, 1);
        fleet.avoid("a", Instant::now());
        said_to(&mut fleet, 3);
        fleet.review_apart(Instant::now() + PATIENCE);
        assert!(said_to(&mut fleet, 3).unshun.is_empty());
    }
}
