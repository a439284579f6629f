//! `kobel failover`: the drill does what a fault would, and tells the time that others see too.

use kobel_kit::Flink;

use super::{Ha, pid_of};

#[test]
fn a_drill_measures_what_the_timeline_tells() {
    let Some(flink) = Flink::v1() else { return };
    let ha = Ha::start("embedded", "drill", &flink, &["--masters", "2"]);
    let before = ha.whole(2);
    let dry = ha.lab.kobel(&["failover", "ha", "--dry-run", "-o", "json"]).json();
    assert_eq!((&dry["at"], dry["victim"]["pid"].as_i64()), (&serde_json::Value::Null, before_pid(&ha)));

    let killed = ha.lab.kobel(&["failover", "ha", "-o", "json"]).json();
    let whole = ha.whole(2);
    assert_eq!((&whole["failovers"], &whole["restUrl"]), (&1.into(), &before["restUrl"]), "{killed}");
    assert_eq!(killed["victim"], dry["victim"]);
    let job = &killed["jobs"][0];
    assert_eq!(job["id"], ha.job);
    let (restored, next) = (job["restored"]["id"].as_u64(), job["checkpoint"]["id"].as_u64());
    assert!(restored.is_some() && restored < next, "{killed}");
    for figure in ["leadingMs", "runningMs"] {
        let [own, told] = [&killed, &killed["timeline"]].map(|from| from[figure].as_i64().expect(figure));
        println!(
            "row 1: drill --kill, {figure}: {own}, by the timeline {told}, apart by {}",
            (own - told).abs()
        );
        assert!((own - told).abs() <= 2000, "{killed}");
    }
    println!("row 1: drill --kill, a checkpoint completed after {} ms", killed["checkpointMs"]);

    let tm = ha.lab.kobel(&["failover", "ha", "--tm", "-o", "json"]).json();
    assert_eq!((&tm["leader"], &ha.whole(2)["failovers"]), (&serde_json::Value::Null, &1.into()), "{tm}");
    assert!(tm["jobs"][0]["restored"]["id"].as_u64() >= next, "{tm}");
    println!(
        "row 3: drill --tm, job RUNNING after {} ms, a checkpoint after {} ms",
        tm["runningMs"], tm["checkpointMs"]
    );

    let frozen = ha.lab.kobel(&["failover", "ha", "--freeze", "--timeout", "2m"]).ok();
    println!("row 2: drill --freeze\n{}", frozen.stdout);
    assert!(frozen.stdout.contains("was frozen (SIGSTOP)"), "{}", frozen.stdout);
    assert_eq!(ha.whole(2)["failovers"], 2, "{}", ha.events());
    ha.lab.kobel(&["stop", "ha"]).ok();
    ha.lab.no_process_left();
}

/// Without high availability the jobs would be gone with the JobManager, which no drill is worth.
#[test]
fn a_drill_without_high_availability_takes_a_task_manager_only() {
    let Some(flink) = Flink::v1() else { return };
    let lab = kobel_kit::Lab::with_flink("drill-plain", &flink);
    lab.kobel(&["start", "plain", "-D", "rest.port=0"]).ok();
    let refused = lab.kobel(&["failover", "plain"]).expect(5);
    assert!(refused.stderr.contains("--zookeeper embedded"), "{}", refused.stderr);
    let hit = lab.kobel(&["failover", "plain", "--tm", "0"]).ok();
    assert!(hit.stdout.contains("no job was hit"), "{}", hit.stdout);
    lab.kobel(&["stop", "plain"]).ok();
    lab.no_process_left();
}

fn before_pid(ha: &Ha) -> Option<i64> {
    Some(pid_of(&ha.leader()).into())
}
