//! What several tests need: a plan, a scripted provider and a scripted JobManager.

mod http;
mod world;

use std::{path::Path, sync::Arc, time::Duration};

use kobel_conf::flink::Dialect;
use kobel_plan::{
    API_VERSION, ClusterDir, ClusterName, ClusterPlan, FlinkHome, FrontPlan, JavaHome, PortChoice,
    ProviderKind, RolePlan, Wanted,
};

pub(crate) use http::{call, call_unix};
use tokio::sync::{mpsc, watch};
pub(crate) use world::{Job, World};

use crate::{
    handle::{Handle, Request},
    record::Record,
    snapshots::SnapshotKeeper,
};

/// How long a condition may take to come true.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for the future, not for ever.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {PATIENCE:?} in vain: {what}"),
    }
}

/// A handle with nobody behind it but the test.
pub(crate) fn handle(
    dir: &Path,
) -> (Handle, watch::Sender<Arc<kobel_plan::Status>>, mpsc::Receiver<Request>) {
    let (status, statuses) = watch::channel(Arc::new(Record::of_agent(None, &plan(dir), 8081).status));
    let (requests, requested) = mpsc::channel(1);
    let (_, upstream) = watch::channel(None);
    let (snapshots, keeping) = SnapshotKeeper::of(&ClusterDir::new(dir), upstream, statuses.clone());
    tokio::spawn(keeping);
    (
        Handle { status: statuses, requests, events: dir.join("events.jsonl"), results: None, snapshots },
        status,
        requested,
    )
}

/// A cluster of one JobManager and two TaskManagers in this directory.
pub(crate) fn plan(dir: &Path) -> ClusterPlan {
    ClusterPlan {
        api_version: API_VERSION.into(),
        name: ClusterName::default(),
        provider: ProviderKind::Local,
        flink: FlinkHome {
            home: "/nowhere/flink".into(),
            version: String::from("1.20.5").try_into().unwrap(),
            class_path: vec!["/nowhere/flink/lib/flink-dist-1.20.5.jar".into()],
        },
        java: JavaHome { home: "/nowhere/java".into(), version: 17 },
        wanted: Wanted { job_managers: 1, task_managers: 2 },
        max_task_managers: None,
        conf: Default::default(),
        origins: Default::default(),
        hadoop: Default::default(),
        dialect: Dialect::Standard,
        job_manager: RolePlan::default(),
        task_manager: RolePlan::default(),
        logging_conf_dir: "/nowhere/conf".into(),
        log_dir: dir.join("log"),
        front: FrontPlan { bind: "localhost".into(), address: "localhost".into(), port: PortChoice::Free },
        rpc_address: "localhost".into(),
        rpc_port: PortChoice::Free,
        ha: None,
        job: None,
        yarn: None,
    }
}
