use std::{collections::BTreeMap, os::unix::fs::PermissionsExt, path::Path};

use kobel_conf::{Explain, flink::Dialect};
use kobel_plan::{
    ClusterPlan, FlinkHome, FlinkVersion, FrontPlan, JavaHome, PortChoice, ProviderKind, RolePlan, Status,
    Wanted,
};

use super::*;
use crate::fsx;

/// A plan with nothing special.
pub(crate) fn plan(log_dir: &Path) -> ClusterPlan {
    let version = FlinkVersion::try_from("1.20.5".to_string()).unwrap();
    ClusterPlan {
        api_version: kobel_plan::API_VERSION.into(),
        name: ClusterName::default(),
        provider: ProviderKind::Local,
        flink: FlinkHome { home: "/flink".into(), version, class_path: Vec::new() },
        java: JavaHome { home: "/java".into(), version: 17 },
        wanted: Wanted { job_managers: 1, task_managers: 2 },
        max_task_managers: None,
        conf: BTreeMap::new(),
        origins: BTreeMap::new(),
        hadoop: Default::default(),
        dialect: Dialect::Standard,
        job_manager: RolePlan::default(),
        task_manager: RolePlan::default(),
        logging_conf_dir: "/flink/conf".into(),
        log_dir: log_dir.into(),
        front: FrontPlan { bind: "localhost".into(), address: "localhost".into(), port: PortChoice::Free },
        rpc_address: "localhost".into(),
        rpc_port: PortChoice::Free,
        ha: None,
        job: None,
        yarn: None,
    }
}

pub(crate) fn registry(dir: &tempfile::TempDir) -> Registry {
    let at = |name: &str| dir.path().join(name);
    Registry::new(&Dirs {
        state: at("state"),
        data: at("data"),
        cache: at("cache"),
        config_file: at("config"),
    })
}

fn name(text: &str) -> ClusterName {
    text.parse().unwrap()
}

/// A cluster that somebody left behind in this state; in `Starting` without a record.
pub(crate) fn leave(registry: &Registry, text: &str, state: ClusterState) -> Cluster {
    let claim = registry.claim(&name(text)).unwrap();
    let plan = ClusterPlan { name: name(text), ..plan(&claim.dir.logs()) };
    fsx::write_whole(&claim.dir.plan(), &serde_json::to_vec(&plan).unwrap()).unwrap();
    if state != ClusterState::Starting {
        let status = Status { state, ..never_started(&plan, &claim.dir) };
        let record = serde_json::json!({ "epoch": 1, "status": status });
        fsx::write_whole(&claim.dir.record(), record.to_string().as_bytes()).unwrap();
    }
    Cluster { name: claim.name, dir: claim.dir }
}

#[test]
fn one_of_many_claims_of_a_name_wins() {
    let dir = tempfile::tempdir().unwrap();
    let registry = registry(&dir);
    let barrier = std::sync::Barrier::new(20);
    let claims: Vec<_> = std::thread::scope(|scope| {
        let claim = || {
            barrier.wait();
            registry.claim(&name("x"))
        };
        let threads: Vec<_> = (0..20).map(|_| scope.spawn(claim)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let (won, lost): (Vec<_>, Vec<_>) = claims.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    assert!(lost.iter().all(|l| matches!(l, Err(RegistryError::Exists { .. }))));
    let mode = std::fs::metadata(registry.dir(&name("x")).path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[tokio::test]
async fn a_dead_agent_degrades_its_cluster_and_keeps_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let registry = registry(&dir);
    let cluster = leave(&registry, "x", ClusterState::Ready);
    let status = cluster.status().await.unwrap();
    assert_eq!(status.state, ClusterState::Degraded);
    assert!(status.reason.unwrap().contains("agent is gone"));
    let refused = registry.claim(&cluster.name).unwrap_err();
    assert!(matches!(refused, RegistryError::AgentGone { .. }), "{refused}");
    let kept = registry.remove(&cluster).unwrap_err();
    assert!(matches!(kept, RegistryError::NotOver { state: ClusterState::Ready, .. }), "{kept}");
}

#[tokio::test]
async fn what_is_over_can_be_replaced_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let registry = registry(&dir);
    let cluster = leave(&registry, "x", ClusterState::Stopped);
    assert_eq!(cluster.status().await.unwrap().state, ClusterState::Stopped);
    drop(registry.claim(&cluster.name).unwrap());
    assert!(!cluster.dir.record().exists() && !cluster.dir.plan().exists());
    let cluster = leave(&registry, "x", ClusterState::Failed);
    registry.remove(&cluster).unwrap();
    assert!(!cluster.dir.path().exists());
    assert!(matches!(registry.find(&cluster.name), Err(RegistryError::NoSuchCluster { .. })));
}

#[test]
fn the_newest_is_a_living_one_before_a_dead_one() {
    let dir = tempfile::tempdir().unwrap();
    let registry = registry(&dir);
    assert!(matches!(registry.newest_session(), Err(RegistryError::NoSession)));
    leave(&registry, "b", ClusterState::Ready);
    leave(&registry, "a", ClusterState::Stopped);
    assert_eq!(registry.newest_session().unwrap().name, name("b"));
    let names: Vec<_> = registry.list().unwrap().into_iter().map(|c| c.name).collect();
    assert_eq!(names, [name("a"), name("b")]);
    let unknown = registry.find(&name("c")).unwrap_err();
    assert!(unknown.hint().unwrap().contains("a, b"), "{:?}", unknown.hint());
}

#[tokio::test]
async fn a_damaged_record_is_named_and_nothing_is_done_to_its_cluster() {
    let dir = tempfile::tempdir().unwrap();
    let registry = registry(&dir);
    let cluster = leave(&registry, "x", ClusterState::Ready);
    std::fs::write(cluster.dir.record(), "{\"status\":").unwrap();
    for error in [
        cluster.status().await.map(drop).unwrap_err(),
        registry.claim(&cluster.name).map(drop).unwrap_err(),
        registry.remove(&cluster).unwrap_err(),
    ] {
        assert!(matches!(error, RegistryError::Damaged { .. }), "{error}");
    }
}

#[tokio::test]
async fn without_a_record_the_workers_tell_whether_processes_may_be_left() {
    let dir = tempfile::tempdir().unwrap();
    let registry = registry(&dir);
    let cluster = leave(&registry, "x", ClusterState::Starting);
    assert_eq!(cluster.status().await.unwrap().state, ClusterState::Failed);
    std::fs::create_dir_all(cluster.dir.workers().join("tm-0.1")).unwrap();
    assert_eq!(cluster.status().await.unwrap().state, ClusterState::Degraded);
    let refused = registry.claim(&cluster.name).unwrap_err();
    assert!(matches!(refused, RegistryError::AgentGone { .. }), "{refused}");
    assert!(matches!(registry.remove(&cluster), Err(RegistryError::NotOver { .. })));
    std::fs::write(cluster.dir.record(), "{").unwrap();
    let refused = registry.claim(&cluster.name).unwrap_err();
    assert!(matches!(refused, RegistryError::AgentGone { .. }), "{refused}");
    std::fs::remove_dir_all(cluster.dir.workers()).unwrap();
    std::fs::remove_file(cluster.dir.record()).unwrap();
    registry.remove(&cluster).unwrap();
    assert!(!cluster.dir.path().exists());
}
