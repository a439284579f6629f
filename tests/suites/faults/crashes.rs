//! Row 36: processes that die again and again.

use std::time::{Duration, Instant};

use kobel_kit::{Flink, Lab, wait};

use super::{SOON, kill_9, ready, status, told};

#[test]
fn a_jobmanager_that_cannot_start_ends_the_cluster_with_its_last_lines() {
    let Some(flink) = Flink::v1() else { return };
    let lab = Lab::with_flink("loop", &flink);
    let started = lab.kobel(&["start", "-D", "env.java.opts.jobmanager=-XX:MaxMetaspaceSize=foo"]).expect(7);
    assert!(started.stderr.contains("MaxMetaspaceSize"), "{}", started.stderr);
    println!("row 36: a crash loop is given up after {:?}", started.took);
    lab.no_process_left();
    assert!(lab.files("state/clusters/default/workers").is_empty());
}

/// The other side of it: what dies without being at fault is back.
#[test]
fn processes_that_are_killed_again_and_again_come_back() {
    let Some(flink) = Flink::v1() else { return };
    let lab = Lab::with_flink("killed", &flink);
    lab.kobel(&["start"]).ok();
    let mut slowest = Duration::ZERO;
    for which in [1, 0, 1] {
        let before = told(&ready(&lab));
        let since = Instant::now();
        kill_9(before[which]);
        wait::until("another process is there", SOON, || {
            let now = status(&lab);
            let list = [&now["masters"][0]["pid"], &now["taskManagers"]["list"][0]["pid"]];
            let other = list[which].as_i64().is_some_and(|pid| pid as i32 != before[which]);
            if other && now["state"] == "Ready" { Ok(()) } else { Err(now.to_string()) }
        });
        slowest = slowest.max(since.elapsed());
    }
    println!("row 36: killed TM, JM, TM; the cluster was ready again within {slowest:?}");
    lab.kobel(&["stop"]).ok();
    lab.no_process_left();
}
