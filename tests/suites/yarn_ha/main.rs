//! High availability on YARN: masters are killed, and jobs and TaskManagers go on.

mod deputy;
mod standbys;

use std::{
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use kobel_kit::{
    Flink, Lab, compile_job,
    hadoop::{self, Cluster, Setup, Shared, Site},
    http, wait,
};
use serde_json::Value;

const USER: &str = "ann";
const SOON: Duration = Duration::from_secs(90);

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
        let jar = compile_job(flink, "SleepingJob", lab.dir());
        let run = lab.kobel(&["run", "--cluster", "ha", "-d", jar.to_str().unwrap()]).ok().stdout;
        let (_, job) = run.trim().rsplit_once("JobID ").expect("a job");
        let status = lab.kobel(&["status", "ha", "-o", "json"]).json();
        let application = status["yarn"]["applicationId"].as_str().expect("an id").into();
        let session = Self { cluster, application, job: job.into(), lab };
        session.running_since(0);
        session
    }

    fn status(&self) -> Value {
        self.lab.kobel(&["status", "ha", "-o", "json"]).json()
    }

    fn rest(&self, path: &str) -> Result<Value, String> {
        let url = self.status()["restUrl"].as_str().ok_or("no address")?.to_string();
        let reply = http::get(&format!("{url}{path}"))?;
        if reply.status != 200 {
            return Err(format!("{}: {}", reply.status, reply.body));
        }
        serde_json::from_str(&reply.body).map_err(|error| error.to_string())
    }

    fn checkpoint(&self) -> Result<u64, String> {
        let told = self.rest(&format!("/jobs/{}/checkpoints", self.job))?;
        told["latest"]["completed"]["id"].as_u64().ok_or(told["latest"].to_string())
    }

    /// Waits until the job runs and has completed a checkpoint above this one.
    #[track_caller]
    fn running_since(&self, checkpoint: u64) -> u64 {
        wait::until("the job runs and has completed a checkpoint", SOON, || {
            let job = self.rest(&format!("/jobs/{}", self.job))?;
            match self.checkpoint()? {
                newest if job["state"] == "RUNNING" && newest > checkpoint => Ok(newest),
                newest => Err(format!("{} at checkpoint {newest}, before {checkpoint}", job["state"])),
            }
        })
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
