//! Faults of section 2 of reference/reliability.md that a session on YARN can meet, a file a kind. What is
//! killed is killed for all: one test has a cluster at a time. Each prints its figure.

mod cycles;
mod orphans;
mod pressure;
mod processes;
mod scheduling;
mod submits;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use kobel_kit::{
    Done, Flink, Lab,
    hadoop::{self, Cluster, Setup, Shared, Site},
    wait,
};
use serde_json::Value;

const USER: &str = "ann";
/// Longer than anything here takes that is going to happen.
const SOON: Duration = Duration::from_secs(90);
const SIZES: [&str; 6] = ["--jm-mem", "1g", "--tm-mem", "800m", "--slots", "1"];

/// Containers outlive their NodeManager, and masters may die often.
fn setup() -> Setup {
    Setup::yarn().node_recovery().set(Site::Yarn, "yarn.resourcemanager.am.max-attempts", "20")
}

/// One test at a time, whichever cluster it has.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The cluster that most tests share; its daemons are running when a test ends.
fn shared() -> Option<(MutexGuard<'static, ()>, Shared)> {
    let turn = turn();
    Some((turn, hadoop::shared(setup)?))
}

fn lab(cluster: &Cluster, test: &str, flink: &Flink) -> Lab {
    cluster.lab(USER, test, flink)
}

/// The arguments that start the session of a test.
fn start_with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["start", "wc", "--on", "yarn"], &SIZES[..], more].concat()
}

/// A session by the name `wc`, the only one in its cluster.
struct Session<'a> {
    cluster: &'a Cluster,
    lab: &'a Lab,
    application: String,
}

impl<'a> Session<'a> {
    fn start(cluster: &'a Cluster, lab: &'a Lab, more: &[&str]) -> Self {
        lab.kobel(&start_with(more)).ok();
        let status = lab.kobel(&["status", "wc", "-o", "json"]).json();
        let application = status["yarn"]["applicationId"].as_str().expect("an application").into();
        Self { cluster, lab, application }
    }

    fn status(&self) -> Value {
        self.lab.kobel(&["status", "wc", "-o", "json"]).json()
    }

    /// Waits until it is ready with so many TaskManagers, and gives the status.
    #[track_caller]
    fn ready(&self, task_managers: usize) -> Value {
        wait::until("it is ready", SOON, || {
            let now = self.status();
            let running = now["taskManagers"]["running"].as_u64() == Some(task_managers as u64);
            let ready = now["state"] == "Ready" && running && self.tms().len() == task_managers;
            if ready { Ok(now) } else { Err(format!("{now}\n{:?}", self.cluster.containers())) }
        })
    }

    /// What YARN says of its application.
    fn app(&self) -> Value {
        let path = format!("/apps/{}", self.application);
        self.cluster.yarn().get(&path).expect("the ResourceManager answers")["app"].clone()
    }

    /// The containers that it holds, the master's among them.
    fn held(&self) -> i64 {
        self.app()["runningContainers"].as_i64().unwrap_or_default()
    }

    fn agent(&self) -> i32 {
        self.one("./kobel am")
    }

    fn jm(&self) -> i32 {
        self.one("StandaloneSessionClusterEntrypoint")
    }

    fn tms(&self) -> Vec<i32> {
        processes(self.cluster, "TaskManagerRunner")
    }

    #[track_caller]
    fn one(&self, word: &str) -> i32 {
        wait::until(word, SOON, || match processes(self.cluster, word)[..] {
            [pid] => Ok(pid),
            ref other => Err(format!("{other:?}")),
        })
    }

    fn stop(self) {
        self.lab.kobel(&["stop", "wc"]).ok();
        nothing_left(self.cluster, self.lab);
    }
}

/// What a test that failed leaves is not for the next ones to find.
impl Drop for Session<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let yarn = self.cluster.yarn();
        for daemon in yarn.node_managers.iter().chain([&yarn.resource_manager]) {
            // One that was killed has no process.
            let _ = catch_unwind(AssertUnwindSafe(|| daemon.resume()));
        }
        let _ = catch_unwind(AssertUnwindSafe(|| self.lab.kobel(&["kill", "wc"])));
    }
}

/// The processes in containers of this cluster with this word in their command line, without the shells
/// and the leash that started them.
fn processes(cluster: &Cluster, word: &str) -> Vec<i32> {
    let started = |line: &str| !(line.contains("bash") || line.contains("--leash"));
    let of_it = |(pid, line): (i32, String)| (line.contains(word) && started(&line)).then_some(pid);
    let mut pids: Vec<i32> = cluster.containers().into_iter().filter_map(of_it).collect();
    pids.sort_unstable();
    pids
}

fn kill(signal: &str, pid: i32) {
    let status = Command::new("kill").args([format!("-{signal}"), pid.to_string()]).status();
    assert!(status.expect("kill").success(), "kill -{signal} {pid}");
}

/// Waits until none of them runs, and tells how long it took.
#[track_caller]
fn gone(cluster: &Cluster, pids: &[i32]) -> Duration {
    let since = Instant::now();
    wait::until("they are gone", SOON, || {
        let left: Vec<_> = cluster.containers().into_iter().filter(|(pid, _)| pids.contains(pid)).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
    since.elapsed()
}

/// Neither applications that are not over, nor containers and their directories, nor directories of
/// applications, nor processes of ours.
#[track_caller]
fn nothing_left(cluster: &Cluster, lab: &Lab) {
    cluster.yarn().no_application_left(SOON);
    cluster.no_container_left();
    wait::until("the nodes have cleared up", SOON, || match local_directories(cluster) {
        left if left.is_empty() => Ok(()),
        left => Err(format!("{left:?}")),
    });
    let apps = staged(cluster);
    assert!(apps.is_empty(), "{apps:?}");
    lab.no_process_left();
}

/// What lies on HDFS for single applications.
fn staged(cluster: &Cluster) -> Vec<Value> {
    let apps = format!("/user/{USER}/.kobel/apps");
    cluster.hdfs().status(&apps).map_or_else(Vec::new, |_| cluster.hdfs().list(&apps))
}

/// The directories of applications on the nodes' local disks.
fn local_directories(cluster: &Cluster) -> Vec<String> {
    let of_node = |node: &hadoop::Daemon| {
        let users = std::fs::read_dir(node.dir().join("local/usercache"));
        let caches = users.into_iter().flatten().flatten().map(|user| user.path().join("appcache"));
        caches.filter_map(|cache| std::fs::read_dir(cache).ok()).flatten().flatten().collect::<Vec<_>>()
    };
    let all = cluster.yarn().node_managers.iter().flat_map(of_node);
    all.map(|entry| entry.path().display().to_string()).collect()
}

/// The line on stderr that says what went wrong.
fn said(done: &Done) -> &str {
    done.stderr.lines().find(|line| line.starts_with("error")).unwrap_or(&done.stderr)
}
