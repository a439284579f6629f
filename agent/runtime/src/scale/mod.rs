//! A master with thousands of containers: this process is YARN, another one is the master, so that what it
//! costs can be measured. `scripts/test.sh --scale` has 5,000 of them and prints what it measured.

mod meter;
mod peers;

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use axum::{Json, Router, routing::get};
use kobel_hadoop_rpc::{
    Protection,
    testing::vector_token,
    yarn::{Launch, LocalResource, Registration, ResourceKind, Scheduler, Visibility},
};
use kobel_plan::{ClusterDir, ProviderKind};
use kobel_provider::{
    Outcome,
    local::{LocalProvider, Surroundings},
    yarn::{Courier, Historian, Master, Pace, Placed, YarnProvider},
};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::json;

use self::{
    meter::{Meter, median},
    peers::Peers,
};
use crate::{
    record::Record,
    run::{AGENT_LOG, Extras, govern, log_to},
    testing::plan,
};

/// Tells the test that it is the master, and of which cluster: directory, TaskManagers, ResourceManager.
const ROLE: &str = "KOBEL_TEST_SCALE_MASTER";
/// How many TaskManagers there are unless `KOBEL_TEST_SCALE` says otherwise.
const FEW: u32 = 200;
/// So many of them share a node.
const ON_A_NODE: u32 = 20;
/// What the way to HDFS and back stands for.
const TO_HDFS: Duration = Duration::from_millis(10);
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(300);

fn block_on(future: impl Future<Output = ()>) {
    // As `kobel am` has it: its threads stay, and so does the count of what they used.
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().max_blocking_threads(4).thread_keep_alive(Duration::from_secs(u32::MAX.into()));
    runtime.build().unwrap().block_on(future);
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < PATIENCE, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Not a test of its own: the master of the other one.
#[test]
fn a_master_of_many_when_told_to_be_one() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let [dir, count, rm] = role.split('\n').collect::<Vec<_>>()[..] else { panic!("{role:?}") };
    block_on(async {
        let dir = ClusterDir::new(dir);
        let mut plan = plan(dir.path());
        plan.provider = ProviderKind::Yarn;
        plan.wanted.task_managers = count.parse().unwrap();
        plan.java.home = dir.path().join("java");
        fs::write(dir.plan(), serde_json::to_vec(&plan).unwrap()).unwrap();
        log_to(&plan.log_dir, AGENT_LOG).unwrap();
        let marker = dir.path().display().to_string();
        let masters = LocalProvider::open(dir.workers(), plan.log_dir.clone(), marker, Surroundings::Machine);
        let provider = YarnProvider::open(master(rm), masters.unwrap()).await.unwrap();
        govern(plan, dir, provider, Extras::default()).await.unwrap();
    });
}

fn master(rm: &str) -> Master {
    let (protection, deadline) = (Protection::default(), Duration::from_secs(20));
    let scheduler = Scheduler::new(vec![rm.into()], vector_token(), protection.clone(), deadline).unwrap();
    let file = |name: &str| (name.to_string(), somewhere(name, 1));
    Master {
        scheduler,
        protection,
        registration: Registration { host: "am".into(), port: Some(1), tracking_url: "http://am:1/".into() },
        launch: Launch {
            commands: vec![
                "./kobel exec worker.json 1><LOG_DIR>/kobel.stdout 2><LOG_DIR>/kobel.stderr".into(),
            ],
            files: ["kobel", "flink", "conf/log4j.properties", "hadoop/core-site.xml"].map(file).into(),
            ..Launch::default()
        },
        courier: Arc::new(Nobody),
        former: Default::default(),
        historian: Arc::new(Nobody),
        patience: PATIENCE,
        pace: Pace::default(),
        node_label: None,
    }
}

fn somewhere(name: &str, size: i64) -> LocalResource {
    LocalResource {
        url: format!("hdfs://nn:8020/user/ada/.kobel/apps/application_1_0001/{name}").parse().unwrap(),
        size,
        modified_ms: 1_700_000_000_000,
        kind: ResourceKind::File,
        visibility: Visibility::Application,
    }
}

#[async_trait]
impl Historian for Nobody {
    async fn keep(&self, _: Outcome, _: &str, _: &[Placed]) {}
}

/// Takes the time that HDFS takes.
#[derive(Debug)]
struct Nobody;

#[async_trait]
impl Courier for Nobody {
    async fn deliver(&self, name: &str, contents: Vec<u8>) -> Result<LocalResource, String> {
        tokio::time::sleep(TO_HDFS).await;
        Ok(somewhere(name, contents.len() as i64))
    }

    async fn discard(&self, _: &str) {
        tokio::time::sleep(TO_HDFS).await;
    }
}

#[test]
fn many_containers_are_asked_for_started_supervised_and_given_back() {
    let count = std::env::var("KOBEL_TEST_SCALE").map_or(FEW, |count| count.parse().unwrap());
    block_on(story(count));
}

async fn story(count: u32) {
    let tmp = tempfile::tempdir().unwrap();
    let dir = ClusterDir::new(tmp.path());
    let peers = Peers::start(count.div_ceil(ON_A_NODE)).await;
    put_java(tmp.path());
    let mut child = MasterProcess::start(tmp.path(), count, peers.address());
    let meter = Meter::of(child.0.id());
    let jm = tokio::spawn(job_manager(dir.clone(), count));

    until("the master registers", || peers.see(|seen| seen.registered.is_some())).await;
    until("all are started", || peers.see(|seen| seen.running.len()) == count as usize).await;
    let started = peers.see(|seen| seen.registered.unwrap().elapsed());
    until("the master knows", || runs(&dir) == count as usize).await;
    let known = peers.see(|seen| seen.registered.unwrap().elapsed());
    let (cpu_to_known, peak) = (meter.cpu(), meter.peak_rss());

    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut beats = Vec::new();
    for _ in 0..count.div_ceil(250).max(5) {
        let before = (meter.cpu(), peers.see(|seen| seen.beats));
        tokio::time::sleep(Duration::from_secs(1)).await;
        let beats_since = peers.see(|seen| seen.beats) - before.1;
        beats.push((meter.cpu() - before.0) / beats_since.max(1));
    }
    let (resident, peak_after) = (meter.rss(), meter.peak_rss());

    let begin = Instant::now();
    child.terminate();
    until("the master ends", || child.0.try_wait().unwrap().is_some()).await;
    jm.abort();
    println!(
        "{count} containers on {} nodes: all started {:.1} s after the master registered, known {:.1} s after, \
         for {:.2} s of CPU; {:.1} ms of CPU a heartbeat (median of {}, {:.1} to {:.1}); {} MB resident, \
         {} MB at most ({} MB until all ran); all given back within {:.1} s",
        peers.nodes(),
        started.as_secs_f64(),
        known.as_secs_f64(),
        cpu_to_known.as_secs_f64(),
        ms(median(&beats)),
        beats.len(),
        ms(*beats.iter().min().unwrap()),
        ms(*beats.iter().max().unwrap()),
        resident >> 20,
        peak_after.max(peak) >> 20,
        peak >> 20,
        begin.elapsed().as_secs_f64(),
    );
    peers.see(|seen| {
        assert_eq!(seen.starts, count as usize, "each once");
        assert_eq!((seen.running.len(), seen.held.len()), (0, 0), "none is kept");
        assert_eq!(seen.finished, Some(1), "it succeeded");
    });
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// A Java that waits to be told to go.
fn put_java(dir: &Path) {
    let java = dir.join("java/bin/java");
    fs::create_dir_all(java.parent().unwrap()).unwrap();
    fs::write(&java, "#!/bin/sh\nexec sleep 1000\n").unwrap();
    fs::set_permissions(&java, fs::Permissions::from_mode(0o755)).unwrap();
}

/// The process of the master, which leads a group with its JobManager and does not outlive the test.
struct MasterProcess(Child);

impl MasterProcess {
    fn start(dir: &Path, count: u32, rm: String) -> Self {
        let name = "scale::a_master_of_many_when_told_to_be_one";
        let role = format!("{}\n{count}\n{rm}", dir.display());
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", name, "--nocapture", "--test-threads", "1"]).env(ROLE, role);
        Self(command.process_group(0).stdout(Stdio::null()).spawn().unwrap())
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.0)
    }

    fn terminate(&self) {
        kill_process(self.pid(), Signal::TERM).unwrap();
    }
}

impl Drop for MasterProcess {
    fn drop(&mut self) {
        let _ = kill_process_group(self.pid(), Signal::KILL);
        let _ = self.0.wait();
    }
}

/// How many TaskManagers run, by the master's own timeline.
fn runs(dir: &ClusterDir) -> usize {
    let events = fs::read_to_string(dir.events()).unwrap_or_default();
    events.lines().filter(|line| line.contains("tm-") && line.ends_with(r#" runs"}"#)).count()
}

/// A JobManager that knows every TaskManager, on the port that the master chose for it.
async fn job_manager(dir: ClusterDir, count: u32) {
    let ports = || {
        let record: Record = serde_json::from_slice(&fs::read(dir.record()).ok()?).ok()?;
        record.ports.get(&kobel_plan::WorkerId::jm(0)).copied()
    };
    until("the JobManager's ports are chosen", || ports().is_some()).await;
    let overview = json!({
        "taskmanagers": count, "slots-total": count, "slots-available": count, "jobs-running": 0,
        "jobs-finished": 0, "jobs-cancelled": 0, "jobs-failed": 0, "flink-version": "1.20.5", "flink-commit": "x"
    });
    let tm = |index: u32| json!({"id": format!("tm-{index}.1"), "slotsNumber": 1, "freeSlots": 1, "timeSinceLastHeartbeat": 1, "path": "x"});
    let tms = json!({ "taskmanagers": (0..count).map(tm).collect::<Vec<_>>() });
    let routes = Router::new()
        .route("/overview", get(async move || Json(overview)))
        .route("/taskmanagers", get(async move || Json(tms)));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", ports().unwrap().rest)).await.unwrap();
    axum::serve(listener, routes).await.unwrap();
}
