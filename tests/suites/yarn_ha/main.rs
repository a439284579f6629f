//! High availability on YARN: masters are killed, and jobs and TaskManagers go on.

mod deputy;
mod standbys;

use std::{
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use kobel_kit::{
    Flink, Lab,
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
    static ONE: Mutex<()> = Mutex::new(());
    let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    Some((hadoop::shared(setup)?, one))
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
        let (hdfs, home) = (cluster.hdfs(), format!("/user/{USER}"));
        let lab = cluster.lab(USER, "yarn-ha", flink);
        let storage = format!("high-availability.storageDir={}{home}/ha", hdfs.uri());
        let checkpoints = format!("state.checkpoints.dir={}{home}/checkpoints", hdfs.uri());
        let mut args = vec!["start", "ha", "--on", "yarn", "--zookeeper", &cluster.zookeeper().address];
        args.extend(["--tm", "2", "--jm-mem", "1g", "--tm-mem", "800m", "--slots", "1"]);
        args.extend(["-D", &storage, "-D", &checkpoints, "-D", "execution.checkpointing.interval=200 ms"]);
        args.extend(more);
        lab.kobel(&args).ok();
        let job = submit_endless(&lab, flink);
        let status = lab.kobel(&["status", "ha", "-o", "json"]).json();
        let application = status["yarn"]["applicationId"].as_str().expect("an id").into();
        let session = Self { cluster, application, job, lab };
        session.running_since(0);
        session
    }

    fn ready(&self) -> Value {
        wait::until("it is ready", SOON, || match self.status() {
            now if now["state"] == "Ready" => Ok(now),
            now => Err(now.to_string()),
        })
    }

    fn processes(&self, word: &str) -> Vec<i32> {
        let started =
            |line: &str| line.contains(word) && !(line.contains("bash") || line.contains("--leash"));
        let of_it = |(pid, line): (i32, String)| started(&line).then_some(pid);
        let mut pids: Vec<i32> = self.cluster.containers().into_iter().filter_map(of_it).collect();
        pids.sort_unstable();
        pids
    }
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
