//! High availability on one machine: leaders are killed and stopped, agents and ZooKeeper with them, and a job runs on.
//! Each test prints its figures.

mod drills;
mod embedded;
mod faults;
mod history;
mod jobs;
mod partition;
mod storm;
mod upkeep;

use std::{
    process::Command,
    time::{Duration, Instant},
};

use kobel_kit::{
    Flink, Lab,
    hadoop::{self, Cluster, Setup},
    wait,
};
use kobel_tests::{Endless, SOON, submit_endless};
use serde_json::Value;

fn setup() -> Setup {
    Setup::hdfs().zookeeper()
}

/// A cluster with a job that runs for ever and makes a checkpoint every 200 ms.
struct Ha {
    lab: Lab,
    /// Its place in ZooKeeper.
    root: String,
    job: String,
}

impl Endless for Ha {
    fn lab(&self) -> &Lab {
        &self.lab
    }

    fn job(&self) -> &str {
        &self.job
    }
}

impl Ha {
    fn start(zookeeper: &str, test: &str, flink: &Flink, more: &[&str]) -> Self {
        let mut ha = Self { lab: Lab::with_flink(test, flink), root: format!("/{test}"), job: String::new() };
        ha.start_cluster(zookeeper, more);
        ha.job = submit_endless(&ha.lab, flink);
        ha.running_since(0);
        ha
    }

    /// Starts the cluster, for the first time or once more.
    fn start_cluster(&self, zookeeper: &str, more: &[&str]) {
        // Clusters of one name and of several tests share one ZooKeeper.
        let root = format!("high-availability.zookeeper.path.root={}", self.root);
        let mut args = vec!["start", "ha", "--zookeeper", zookeeper, "--tm", "1", "-D", "rest.port=0"];
        args.extend(["-D", "execution.checkpointing.interval=200 ms", "-D", &root]);
        args.extend(more);
        self.lab.kobel(&args).ok();
    }

    /// The leader's entry in the status, once there is one.
    #[track_caller]
    fn leader(&self) -> Value {
        wait::until("somebody leads", SOON, || {
            let status = self.status();
            let masters = status["masters"].as_array().cloned().unwrap_or_default();
            masters.into_iter().find(|master| master["leader"] == true).ok_or(status.to_string())
        })
    }

    fn others(&self) -> Vec<Value> {
        let masters = self.status()["masters"].as_array().cloned().unwrap_or_default();
        masters.into_iter().filter(|master| master["leader"] != true).collect()
    }

    /// How often the job was restarted since its leader leads.
    fn restarts(&self) -> String {
        let path = format!("/jobs/{}/metrics?get=numRestarts", self.job);
        let told = self.rest(&path).expect("a metric");
        told[0]["value"].as_str().unwrap_or_else(|| panic!("no value: {told}")).to_string()
    }

    /// Waits until another one than this process leads.
    #[track_caller]
    fn led_by_another(&self, than: i32) -> i32 {
        wait::until("another leads", SOON, || match pid_of(&self.leader()) {
            pid if pid == than => Err(format!("{pid} still")),
            pid => Ok(pid),
        })
    }

    /// Waits until as many JobManagers run as are wanted, and the cluster is ready.
    #[track_caller]
    fn whole(&self, masters: usize) -> Value {
        wait::until("it is whole", SOON, || {
            let now = self.status();
            let is =
                now["state"] == "Ready" && now["masters"].as_array().is_some_and(|all| all.len() == masters);
            if is { Ok(now) } else { Err(now.to_string()) }
        })
    }

    fn events(&self) -> String {
        self.lab.kobel(&["events", "ha"]).ok().stdout
    }

    /// Does something to a process, and tells how long it took until the job ran again with a new checkpoint.
    #[track_caller]
    fn hit(&self, signal: &str, pid: i32) -> Duration {
        let before = self.checkpoint().expect("a checkpoint");
        signal_to(signal, pid);
        let since = Instant::now();
        self.led_by_another(pid);
        self.running_since(before);
        since.elapsed()
    }
}

fn pid_of(value: &Value) -> i32 {
    value["pid"].as_i64().unwrap_or_else(|| panic!("no pid in {value}")) as i32
}

fn signal_to(signal: &str, pid: i32) {
    let status = Command::new("kill").args([format!("-{signal}"), pid.to_string()]).status();
    assert!(status.expect("kill").success(), "kill -{signal} {pid}");
}

fn quorum(cluster: &Cluster) -> String {
    cluster.zookeeper().address.clone()
}

fn shared() -> Option<hadoop::Shared> {
    hadoop::shared(setup)
}
