//! Row 34: a number that was a process's of the cluster is another's by now. A thousand rounds of it are
//! among the provider's own tests.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use kobel_kit::{Flink, Lab, wait};
use serde_json::Value;

use super::{SOON, kill_9, pid, ready, told};

/// A process of ours that has nothing to do with the cluster.
struct Stranger(Child);

impl Stranger {
    fn new() -> Self {
        Self(Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap())
    }

    fn lives(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_pid_that_is_another_process_by_now_is_left_alone() {
    let Some(flink) = Flink::v1() else { return };
    let lab = Lab::with_flink("pids", &flink);
    lab.kobel(&["start", "-D", "rest.port=0"]).ok();
    let mut stranger = Stranger::new();
    let rounds = 2;
    for _ in 0..rounds {
        let before = ready(&lab);
        let [jm, tm] = told(&before);
        kill_9(pid(&before["agent"]));
        kill_9(tm);
        let path = worker_record(&lab, tm);
        let mut record: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        // As if the kernel had given the number to someone else: only the start time is the dead one's.
        record["process"]["pid"] = stranger.0.id().into();
        fs::write(&path, record.to_string()).unwrap();
        let after = wait::until("the TaskManager is back", SOON, || {
            let now = ready(&lab);
            let back = now["taskManagers"]["list"].as_array().is_some_and(|l| !l.is_empty());
            if back { Ok(now) } else { Err(now.to_string()) }
        });
        assert_eq!(told(&after)[0], jm, "the JobManager is the same");
        assert_ne!(told(&after)[1], stranger.0.id() as i32);
        assert!(stranger.lives(), "a stranger was signalled");
    }
    println!("row 34: a foreign process in the record, 0 signals to it in {rounds}");
    lab.kobel(&["stop"]).ok();
    lab.no_process_left();
}

/// The `worker.json` of this process.
fn worker_record(lab: &Lab, pid: i32) -> PathBuf {
    let files = lab.files("state/clusters/default/workers");
    let of_it = |path: &PathBuf| {
        let bytes = fs::read(path).unwrap_or_default();
        let record = serde_json::from_slice::<Value>(&bytes).unwrap_or_default();
        path.ends_with("worker.json") && record["process"]["pid"] == pid
    };
    files.into_iter().find(of_it).unwrap_or_else(|| panic!("no record of process {pid}"))
}
