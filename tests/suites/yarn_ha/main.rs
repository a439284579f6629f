//! High availability on YARN: masters are killed, and jobs and TaskManagers go on.

mod deputy;
mod name_nodes;
mod partition;
mod standbys;

use std::{
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use kobel_kit::{
    Flink, Lab, Running,
    hadoop::{self, Cluster, Setup, Shared, Site},
    wait,
};
use kobel_tests::{Endless, SOON, submit_endless};
use serde_json::Value;

const USER: &str = "ann";

fn setup() -> Setup {
    Setup::yarn().zookeeper().set(Site::Yarn, "yarn.resourcemanager.am.max-attempts", "20")
}

/// The cluster, for one test at a time: each counts the processes of its containers.
fn cluster() -> Option<(Shared, MutexGuard<'static, ()>)> {
    let one = one_at_a_time();
    Some((hadoop::shared(setup)?, one))
}

fn one_at_a_time() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A session by the name `ha` with a job that makes checkpoints.
struct Session<'a> {
    cluster: &'a Cluster,
    lab: Lab,
    application: String,
    job: String,
}

impl Endless for Session<'_> {
    fn lab(&self) -> &Lab {
        &self.lab
    }

    fn job(&self) -> &str {
        &self.job
    }
}

impl<'a> Session<'a> {
    fn start(cluster: &'a Cluster, flink: &Flink, more: &[&str]) -> Self {
        let mut session = Self::new(cluster, flink);
        session.start_cluster(&[&["--tm", "2"], more].concat());
        session.submit(flink);
        session
    }

    /// One that is not there yet.
    fn new(cluster: &'a Cluster, flink: &Flink) -> Self {
        let lab = cluster.lab(USER, "yarn-ha", flink);
        Self { cluster, application: String::new(), job: String::new(), lab }
    }

    /// Submits the job, and waits until it makes checkpoints.
    fn submit(&mut self, flink: &Flink) {
        self.job = submit_endless(&self.lab, flink);
        self.running_since(0);
    }

    /// Starts the cluster, for the first time or once more.
    fn start_cluster(&mut self, more: &[&str]) {
        let start = self.begin(more);
        self.started(start);
    }

    /// Begins to start the cluster.
    fn begin(&self, more: &[&str]) -> Running {
        let (hdfs, home) = (self.cluster.hdfs(), format!("/user/{USER}"));
        let storage = format!("high-availability.storageDir={}{home}/ha", hdfs.uri());
        let checkpoints = format!("state.checkpoints.dir={}{home}/checkpoints", hdfs.uri());
        let zookeeper = &self.cluster.zookeeper().address;
        let mut args = vec!["start", "ha", "--on", "yarn", "--zookeeper", zookeeper];
        args.extend(["--jm-mem", "1g", "--tm-mem", "800m", "--slots", "1"]);
        args.extend(["-D", &storage, "-D", &checkpoints, "-D", "execution.checkpointing.interval=200 ms"]);
        args.extend(more);
        self.lab.spawn_kobel(&args)
    }

    /// Waits until it is started.
    fn started(&mut self, start: Running) {
        start.wait().ok();
        self.application = self.status()["yarn"]["applicationId"].as_str().expect("an id").into();
    }

    fn ready(&self) -> Value {
        wait::until("it is ready", SOON, || match self.status() {
            now if now["state"] == "Ready" => Ok(now),
            now => Err(now.to_string()),
        })
    }

    fn processes(&self, word: &str) -> Vec<i32> {
        processes(self.cluster, word)
    }
}

/// The processes of all containers that have this word in their command lines, but for those that only start others.
fn processes(cluster: &Cluster, word: &str) -> Vec<i32> {
    let started = |line: &str| line.contains(word) && !(line.contains("bash") || line.contains("--leash"));
    let of_it = |(pid, line): (i32, String)| started(&line).then_some(pid);
    let mut pids: Vec<i32> = cluster.containers().into_iter().filter_map(of_it).collect();
    pids.sort_unstable();
    pids
}

fn kill_9(pid: i32) {
    signal_to("KILL", pid);
}

fn signal_to(signal: &str, pid: i32) {
    let status = Command::new("kill").args([format!("-{signal}"), pid.to_string()]).status();
    assert!(status.expect("kill").success(), "kill -{signal} {pid}");
}

#[test]
fn task_managers_and_jobs_outlive_the_master() {
    let (Some(flink), Some((cluster, _one))) = (Flink::v1(), cluster()) else { return };
    let session = Session::start(&cluster, &flink, &[]);
    let before = session.ready();
    for round in 1..=2 {
        let (tms, masters) = (session.processes("TaskManagerRunner"), session.processes("./kobel am"));
        assert_eq!((tms.len(), masters.len()), (2, 1));
        let checkpoint = session.checkpoint().unwrap();
        kill_9(masters[0]);
        let since = Instant::now();
        session.running_since(checkpoint);
        let took = since.elapsed();
        let after = session.ready();
        assert_eq!(session.processes("TaskManagerRunner"), tms, "every TaskManager is the same");
        assert_eq!(
            after["failovers"].as_u64(),
            Some(round),
            "{}",
            session.lab.kobel(&["events", "ha"]).stdout
        );
        assert_eq!(after["startedAt"], before["startedAt"]);
        println!(
            "row 5: master killed: job RUNNING with a new checkpoint after {took:?}, the same TaskManagers"
        );
        println!("{}", session.lab.kobel(&["events", "ha"]).stdout);
    }
    session.lab.kobel(&["stop", "ha"]).ok();
    cluster.no_container_left();
    session.lab.no_process_left();
}

/// Row 5. YARN has the last word; what high availability keeps is there for the next cluster of the same id.
#[test]
fn a_cluster_whose_masters_are_used_up_has_failed_and_the_next_one_recovers_its_jobs() {
    let (Some(flink), Some((cluster, _one))) = (Flink::v1(), cluster()) else { return };
    // What a cluster with an id of its own leaves is nobody else's.
    let storage = format!("high-availability.storageDir=hdfs:///user/{USER}/row-5");
    let own =
        ["--tm", "2", "-z", "kept", "-D", "high-availability.zookeeper.path.root=/row-5", "-D", &storage];
    let once = [&own[..], &["-D", "yarn.application-attempts=1"]].concat();
    let mut session = Session::new(&cluster, &flink);
    session.start_cluster(&once);
    session.submit(&flink);
    let checkpoint = session.checkpoint().unwrap();
    kill_9(session.processes("./kobel am")[0]);
    let since = Instant::now();
    let failed = wait::until("the cluster has failed", SOON, || match session.status() {
        now if now["state"] == "Failed" => Ok(now),
        now => Err(now.to_string()),
    });
    cluster.no_container_left();
    println!("row 5: masters used up: failed, and no container left, after {:.1?}", since.elapsed());
    let reason = failed["reason"].as_str().unwrap_or_default();
    assert!(reason.contains(&session.application) && reason.contains("exitCode: 137"), "{failed}");

    session.start_cluster(&own);
    let since = Instant::now();
    session.running_since(checkpoint);
    println!("row 5: started again with -z: the same job RUNNING, {:.1?} after that", since.elapsed());
    session.lab.kobel(&["stop", "ha"]).ok();
    cluster.no_container_left();
    session.lab.no_process_left();
}
