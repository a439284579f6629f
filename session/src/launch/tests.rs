//! A shell script stands in for the agent: it holds the lock on its standard input, as agents do.

use std::{os::unix::fs::PermissionsExt, path::PathBuf};

use kobel_conf::dirs::Dirs;
use kobel_plan::{ClusterState, Launch};

use super::*;
use crate::{
    Registry,
    registry::{Claim, tests::plan},
};

struct Scene {
    dir: tempfile::TempDir,
    registry: Registry,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let dirs =
            Dirs { state: at("state"), data: at("data"), cache: at("cache"), config_file: at("config") };
        Self { registry: Registry::new(&dirs), dir }
    }

    fn agent(&self, script: &str) -> PathBuf {
        let path = self.dir.path().join("agent");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        path
    }

    fn claim(&self) -> Claim {
        self.registry.claim(&Default::default()).unwrap()
    }

    fn plan(&self) -> kobel_plan::ClusterPlan {
        plan(&self.registry.dir(&Default::default()).logs())
    }

    async fn start(&self, script: &str) -> Result<Cluster, LaunchError> {
        start(&self.agent(script), self.claim(), &self.plan(), None).await
    }
}

#[tokio::test]
async fn a_ready_agent_holds_the_lock_for_its_life() {
    let scene = Scene::new();
    // It reads from a fifo until the test lets it go.
    let fifo = scene.dir.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0)
        .unwrap();
    let script = format!("echo '{{\"ready\":true}}'; read x < {}", fifo.display());
    let cluster = scene.start(&script).await.unwrap();
    assert!(cluster.agent_lives().unwrap());
    let taken = scene.registry.claim(&cluster.name).unwrap_err();
    assert!(matches!(taken, RegistryError::Exists { state: ClusterState::Starting, .. }), "{taken}");
    let status = cluster.status().await.unwrap();
    assert_eq!(status.state, ClusterState::Starting);
    let mode = std::fs::metadata(cluster.dir.plan()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    std::fs::write(fifo, "go\n").unwrap();
    while cluster.agent_lives().unwrap() {
        tokio::time::sleep(LOOK).await;
    }
    let status = cluster.status().await.unwrap();
    assert_eq!(status.state, ClusterState::Failed, "it left no record");
}

#[tokio::test]
async fn an_agent_that_refuses_is_quoted_and_its_cluster_stays_to_be_looked_at() {
    let scene = Scene::new();
    let error = scene.start(r#"echo '{"error":"port 8081 is taken"}'; echo why >&2"#).await.unwrap_err();
    assert_eq!(error.to_string(), "the agent of cluster default cannot run: port 8081 is taken");
    assert_eq!(error.log_tail().unwrap(), "agent.err:\nwhy");
    let cluster = scene.registry.find(&Default::default()).unwrap();
    let status = cluster.status().await.unwrap();
    assert_eq!((status.state, status.reason.as_deref()), (ClusterState::Failed, Some("why")));
    // The name is free again, and the logs of the failure stay for one more run.
    let again = scene.start("exit 3").await.unwrap_err();
    assert!(again.to_string().ends_with("died as it started (exit status: 3)"), "{again}");
    let old = cluster.dir.path().join("log.1/agent.err");
    assert_eq!(std::fs::read_to_string(old).unwrap(), "why\n");
}

#[tokio::test]
async fn the_agent_gets_nothing_of_the_shell_but_what_it_needs() {
    let scene = Scene::new();
    let script = "env >&2; echo args $* >&2; pwd >&2; echo '{\"ready\":true}'";
    let cluster = scene.start(script).await.unwrap();
    let text = std::fs::read_to_string(cluster.dir.logs().join("agent.err")).unwrap();
    let foreign = |line: &&str| {
        let name = line.split_once('=').map(|(name, _)| name);
        name.is_some_and(|n| !["PWD", "OLDPWD", "_", "SHLVL"].contains(&n) && !local::INHERITED.contains(&n))
    };
    assert_eq!(text.lines().filter(foreign).count(), 0, "{text}");
    assert!(text.contains(&format!("args agent {}\n/\n", cluster.dir.path().display())), "{text}");
    assert!(!text.contains(Launch::MARKER));
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let scene = Scene::new();
    let error = start(Path::new("/nonexistent/kobel"), scene.claim(), &scene.plan(), None).await.unwrap_err();
    assert!(matches!(error, LaunchError::Spawn { .. }), "{error}");
    assert!(!scene.registry.find(&Default::default()).unwrap().agent_lives().unwrap());
}

#[tokio::test]
async fn only_a_cluster_that_is_not_over_gets_its_agent_back() {
    let scene = Scene::new();
    let _ = scene.start("exit 3").await.unwrap_err();
    let cluster = scene.registry.find(&Default::default()).unwrap();
    let again = scene.agent("touch \"$2/revived\"; echo '{\"ready\":true}'");
    let revived = cluster.dir.path().join("revived");
    revive(&again, &cluster).await.unwrap();
    assert!(!revived.exists(), "nothing of it may run");
    std::fs::create_dir_all(cluster.dir.workers().join("jm-0.1")).unwrap();
    revive(&again, &cluster).await.unwrap();
    assert!(revived.exists());
}
