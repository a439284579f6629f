//! What high availability adds to a process.

use std::collections::BTreeMap;

use kobel_conf::ha::{QUORUM_KEY, RPC_PORT_KEY};
use kobel_plan::{HaPlan, ZooKeeper};

use super::Peers;

/// Adds the keys that only the agent knows the values of.
pub(super) fn complete(conf: &mut BTreeMap<String, String>, plan: &HaPlan, peers: &Peers) {
    if let (ZooKeeper::Embedded(_), Some(port)) = (&plan.zookeeper, peers.zookeeper) {
        conf.insert(QUORUM_KEY.into(), crate::ha::embedded_quorum(port));
    }
    if let Some(ports) = peers.job_manager
        && !conf.contains_key(RPC_PORT_KEY)
    {
        conf.insert(RPC_PORT_KEY.into(), ports.rpc.to_string());
    }
}
