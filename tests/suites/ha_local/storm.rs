//! Rows 13 and 39: ZooKeeper away for longer than any session lasts, and processes killed without a pause.

use std::{
    thread,
    time::{Duration, Instant},
};

use kobel_kit::Flink;
use kobel_tests::Endless;
use serde_json::Value;

use super::{Ha, pid_of, signal_to};

/// Between two kills.
const PAUSE: Duration = Duration::from_millis(700);

/// A length of time that a longer run may set, in seconds.
fn seconds(variable: &str, default: u64) -> Duration {
    let asked = std::env::var(variable).ok().map(|text| text.parse().expect("a number of seconds"));
    Duration::from_secs(asked.unwrap_or(default))
}

#[test]
fn a_cluster_stands_an_outage_of_zookeeper_and_a_storm_of_kills() {
    let Some(flink) = Flink::v1() else { return };
    let ha = Ha::start("embedded", "ha-storm", &flink, &["--masters", "2"]);
    ha.whole(2);
    outage(&ha);
    storm(&ha);
    ha.stop_and_look_back();
}

/// Nobody knows who leads: nobody is killed, and the job goes on when ZooKeeper answers again. Flink's
/// processes may end themselves meanwhile, again and again: that is no crash loop.
fn outage(ha: &Ha) {
    let away = seconds("KOBEL_TEST_OUTAGE", 20);
    let (checkpoint, zookeeper) = (ha.checkpoint().unwrap(), ha.zookeeper());
    signal_to("STOP", zookeeper);
    thread::sleep(away);
    signal_to("CONT", zookeeper);
    let back = Instant::now();
    ha.running_since(checkpoint);
    println!(
        "row 13: ZooKeeper away for {away:?}: job RUNNING with a new checkpoint {:?} later",
        back.elapsed()
    );
    ha.whole(2);
    // After a long outage who is not back by himself is replaced; the others are let alone.
    let events = ha.events();
    let mut others = events.lines().filter(|line| !line.contains("is not back"));
    assert!(!others.any(|line| line.contains("killed by") || line.contains("worker-hangs")), "{events}");
}

/// One process after the other is killed, long before all is well again.
fn storm(ha: &Ha) {
    let lasts = seconds("KOBEL_TEST_STORM", 10);
    let (began, checkpoint) = (Instant::now(), ha.checkpoint().unwrap());
    let mut killed = 0;
    while began.elapsed() < lasts {
        let living = pids(&ha.status());
        if let Some(pid) = living.get(killed % living.len().max(1)) {
            signal_to("KILL", *pid);
            killed += 1;
        }
        thread::sleep(PAUSE);
    }
    let over = Instant::now();
    ha.running_since(checkpoint);
    println!(
        "row 39: {killed} kills in {lasts:?}: job RUNNING with a new checkpoint {:?} later",
        over.elapsed()
    );
    let after = ha.whole(2);
    // Agent, ZooKeeper, two JobManagers, a TaskManager.
    assert_eq!(ha.lab.processes().len(), 5, "{after}");
}

/// The processes of Flink's that a status names.
fn pids(status: &Value) -> Vec<i32> {
    let of = |list: &Value| {
        list.as_array()
            .into_iter()
            .flatten()
            .filter(|one| !one["pid"].is_null())
            .map(pid_of)
            .collect::<Vec<_>>()
    };
    [of(&status["masters"]), of(&status["taskManagers"]["list"])].concat()
}
