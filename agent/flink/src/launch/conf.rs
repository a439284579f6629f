//! The configuration file of one process: the plan's, its role's, and what only the agent knows.

use std::collections::BTreeMap;

use kobel_plan::{Launch, Role, SLOTS_KEY};

use super::{Peers, REST_HOST, Worker, ha};

/// Directories that lie in the worker's own unless the user chose: the key, and the older names that
/// Flink still reads for it (`CoreOptions`, `WebOptions`, `ClusterOptions`).
const TMP_DIRS: [&[&str]; 4] = [
    &["io.tmp.dirs", "taskmanager.tmp.dirs"],
    &["web.tmpdir", "jobmanager.web.tmpdir"],
    &["web.upload.dir", "jobmanager.web.upload.dir"],
    &["process.working-dir"],
];

/// The worker's temporary directory, which its provider made.
pub(super) fn tmp_dir() -> String {
    format!("{}/tmp", Launch::WORKER_DIR)
}

/// All keys of the worker's configuration file.
pub(super) fn of_worker(worker: &Worker<'_>, peers: &Peers) -> BTreeMap<String, String> {
    let mut conf = worker.plan.conf.clone();
    conf.extend(worker.role.conf.clone());
    let spread = worker.plan.spreads_masters();
    let rpc_address = if spread { Launch::HOST } else { &worker.plan.rpc_address };
    conf.insert("jobmanager.rpc.address".into(), rpc_address.into());
    if let Some(ports) = peers.job_manager {
        conf.insert("jobmanager.rpc.port".into(), ports.rpc.to_string());
        if worker.id.role == Role::JobManager {
            rest_server(&mut conf, if spread { Launch::HOST } else { REST_HOST }, ports.rest);
        }
    }
    if worker.id.role == Role::TaskManager {
        conf.insert("taskmanager.resource-id".into(), worker.name());
    }
    if let Some(plan) = &worker.plan.ha {
        ha::complete(&mut conf, plan, peers);
    }
    for names in TMP_DIRS {
        if !names.iter().any(|name| conf.contains_key(*name)) {
            conf.insert(names[0].into(), tmp_dir());
        }
    }
    conf
}

/// Flink's own REST server listens behind the front: what the user set for it became the front's.
fn rest_server(conf: &mut BTreeMap<String, String>, host: &str, port: u16) {
    for key in ["rest.address", "rest.bind-address"] {
        conf.insert(key.into(), host.into());
    }
    for key in ["rest.port", "rest.bind-port"] {
        conf.insert(key.into(), port.to_string());
    }
}

/// Virtual cores: `yarn.containers.vcores`, else a TaskManager's slots, as Flink's own YARN support asks for.
pub(super) fn vcores(worker: &Worker<'_>) -> u32 {
    let set = |key| -> Option<u32> {
        worker.role.conf.get(key).or_else(|| worker.plan.conf.get(key))?.trim().parse().ok()
    };
    let keys = ["yarn.containers.vcores", SLOTS_KEY];
    match worker.id.role {
        Role::JobManager | Role::ZooKeeper => 1,
        Role::TaskManager => keys.into_iter().filter_map(set).find(|number| *number > 0).unwrap_or(1),
    }
}
