//! A cluster with a ZooKeeper of its own, which dies, too: rows 4, 12 and 32.

use std::{fs, thread, time::Duration};

use kobel_kit::{Flink, wait};
use kobel_tests::Endless;
use serde_json::Value;

use super::{Ha, SOON, pid_of, signal_to};

impl Ha {
    /// The process of the cluster's own ZooKeeper.
    #[track_caller]
    pub(super) fn zookeeper(&self) -> i32 {
        wait::until("ZooKeeper runs", SOON, || {
            let is_it = |pid: &i32| {
                let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                String::from_utf8_lossy(&line).contains("FlinkZooKeeperQuorumPeer")
            };
            self.lab.processes().into_iter().find(is_it).ok_or("none".into())
        })
    }
}

fn task_managers(status: &Value) -> &Value {
    &status["taskManagers"]["list"]
}

#[test]
fn a_zookeeper_of_the_clusters_own_is_part_of_it() {
    let Some(flink) = Flink::v1() else { return };
    let ha = Ha::start("embedded", "ha-embedded", &flink, &["--masters", "2"]);
    let before = ha.whole(2);

    let zookeeper = ha.zookeeper();
    signal_to("STOP", zookeeper);
    thread::sleep(Duration::from_secs(3));
    signal_to("CONT", zookeeper);
    ha.running_since(ha.checkpoint().unwrap());
    signal_to("KILL", zookeeper);
    wait::until("ZooKeeper is replaced", SOON, || match ha.zookeeper() {
        pid if pid == zookeeper => Err(format!("{pid} still")),
        _ => Ok(()),
    });
    // Longer than a session without a server lasts.
    for _ in 0..3 {
        ha.running_since(ha.checkpoint().unwrap());
        thread::sleep(Duration::from_secs(1));
    }
    let after = ha.whole(2);
    assert_eq!((&after["failovers"], ha.restarts().as_str()), (&before["failovers"], "0"), "{}", ha.events());
    println!(
        "row 12: ZooKeeper stopped for 3 s, then killed and started again: no failover, no restart of the job"
    );

    let leader = pid_of(&ha.leader());
    let checkpoint = ha.checkpoint().unwrap();
    for pid in [pid_of(&after["agent"]), leader, ha.zookeeper()] {
        signal_to("KILL", pid);
    }
    let since = std::time::Instant::now();
    assert_ne!(ha.led_by_another(leader), leader);
    ha.running_since(checkpoint);
    println!(
        "rows 1 and 4: leader, agent and ZooKeeper killed at once, job RUNNING after {:?}",
        since.elapsed()
    );
    let after = ha.whole(2);
    assert_eq!(task_managers(&after), task_managers(&before), "the TaskManagers stay");
    assert_eq!(after["restUrl"], before["restUrl"]);
    assert_eq!(after["failovers"], 1);

    ha.stop_and_look_back();
    let left = fs::read_dir(ha.lab.path("state/ha")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "ZooKeeper's data and Flink's files go");
}
