//! What high availability adds to a process.

use std::collections::BTreeMap;

use kobel_conf::ha::{QUORUM_KEY, RPC_PORT_KEY};
use kobel_plan::{HaPlan, Launch, ProviderKind, Role, WorkerFile, ZooKeeper};

use super::{Peers, Worker};
use crate::ha::session_log;

/// The second log4j configuration of a JobManager, below its directory.
const LOG4J_FILE: &str = "conf/kobel-sessions.properties";

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

/// Whether this process tells of its sessions in ZooKeeper.
fn tells(worker: &Worker<'_>) -> bool {
    worker.plan.ha.is_some() && worker.id.role == Role::JobManager
}

/// The value of `log4j.configurationFile`: beside the user's own, for a JobManager, what writes down its
/// sessions. Relative to the working directory, the worker's own: a name in a URL could hold
/// characters that log4j reads otherwise. In YARN's containers, whose names hold none, not every worker works in its
/// directory.
pub(super) fn log4j_files(worker: &Worker<'_>, user: &str) -> String {
    let own = match worker.plan.provider {
        ProviderKind::Yarn => format!("{}/{LOG4J_FILE}", Launch::WORKER_DIR),
        ProviderKind::Local | ProviderKind::Hosts => LOG4J_FILE.into(),
    };
    if tells(worker) { session_log::composite(user, &own) } else { user.into() }
}

/// Where a JobManager's sessions are written down.
pub(super) fn session_log(worker: &Worker<'_>) -> Option<String> {
    let file = format!("{}/{}", Launch::LOG_DIR, session_log::file_name(&worker.name()));
    tells(worker).then(|| format!("-D{}={file}", session_log::FILE_PROPERTY))
}

/// Files for it.
pub(super) fn files(worker: &Worker<'_>) -> Option<WorkerFile> {
    let file = || WorkerFile { path: LOG4J_FILE.into(), contents: session_log::LOG4J.into() };
    tells(worker).then(file)
}
