//! Faults of section 2 of reference/reliability.md that a cluster of one machine can meet, a file a
//! kind. Each test prints its figure.

mod agent;
mod crashes;
mod disk;
mod front;
mod names;
mod pids;
mod record;
mod training;

use std::{fs, process::Command, time::Duration};

use kobel_kit::{Lab, wait};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(60);

fn status(lab: &Lab) -> Value {
    lab.kobel(&["status", "default", "-o", "json"]).json()
}

fn ready(lab: &Lab) -> Value {
    lab.kobel(&["wait", "default", "--for", "ready", "--timeout", "60s"]).ok();
    status(lab)
}

fn pid(value: &Value) -> i32 {
    value["pid"].as_i64().unwrap_or_else(|| panic!("no pid in {value}")) as i32
}

/// The pids of the JobManager and the TaskManager, as kobel tells them.
fn told(status: &Value) -> [i32; 2] {
    [pid(&status["masters"][0]), pid(&status["taskManagers"]["list"][0])]
}

/// The JVMs of this lab that run, whatever kobel says: by the marker in their environment.
fn jvms(lab: &Lab) -> Vec<i32> {
    let is_flink = |pid: &i32| {
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).contains("org.apache.flink.runtime")
    };
    let mut pids: Vec<i32> = lab.processes().into_iter().filter(is_flink).collect();
    pids.sort_unstable();
    pids
}

fn sorted(mut pids: [i32; 2]) -> Vec<i32> {
    pids.sort_unstable();
    pids.to_vec()
}

fn kill_9(pid: i32) {
    assert!(Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap().success());
    // The first thread is a zombie at once; what the process held open goes with its last one.
    wait::until("it is dead", SOON, || match (state(pid), threads(pid)) {
        (None, _) | (Some('Z'), ..=1) => Ok(()),
        (state, threads) => Err(format!("{state:?}, {threads} threads")),
    });
}

fn threads(pid: i32) -> usize {
    fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count)
}

/// As `ps` shows it; none for a process that is gone.
fn state(pid: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}
