//! Row 32: the agent is killed.

use std::time::{Duration, Instant};

use kobel_kit::{Done, Flink, Lab};
use serde_json::Value;

use super::{jvms, kill_9, pid, ready, sorted, status, told};

#[test]
fn a_cluster_outlives_its_agent_and_the_next_command_brings_one_back() {
    let Some(flink) = Flink::v1() else { return };
    let lab = Lab::with_flink("agent", &flink);
    // Flink's own port, 8081, another test's cluster may take while the agent is dead.
    lab.kobel(&["start", "-D", "rest.port=0"]).ok();
    ten_kills_of_the_agent(&lab);
    two_commands_at_once_bring_back_one_agent(&lab);
    a_start_of_the_same_name_is_refused(&lab);
    lab.kobel(&["stop"]).ok();
    lab.no_process_left();
}

fn ten_kills_of_the_agent(lab: &Lab) {
    let before = ready(lab);
    let mut slowest = Duration::ZERO;
    let commands: [&[&str]; 5] = [
        &["status", "default"],
        &["job", "list"],
        &["wait", "default", "--for", "ready"],
        &["status", "default", "-o", "json"],
        &["job", "list", "-o", "json"],
    ];
    for round in 0..10 {
        kill_9(pid(&status(lab)["agent"]));
        assert_eq!(lab.kobel(&["ps", "-o", "json"]).ok().json()[0]["agent"], Value::Null, "ps only reads");
        let since = Instant::now();
        let done = lab.kobel(commands[round % commands.len()]);
        slowest = slowest.max(since.elapsed());
        // A status may say that it is not ready yet.
        assert!(done.code == 0 || done.code == 3, "{done:?}");
        let after = ready(lab);
        assert_eq!(told(&after), told(&before), "round {round}");
        assert_eq!(jvms(lab), sorted(told(&before)), "round {round}");
        assert_eq!(after["restUrl"], before["restUrl"]);
    }
    println!("row 32: 10 kills of the agent, 0 restarts, 0 second copies, back within {slowest:?}");
}

fn two_commands_at_once_bring_back_one_agent(lab: &Lab) {
    let before = ready(lab);
    for _ in 0..5 {
        kill_9(pid(&status(lab)["agent"]));
        let all: Vec<_> = (0..4).map(|_| lab.spawn_kobel(&["status", "default", "-o", "json"])).collect();
        let told_by_all: Vec<Done> = all.into_iter().map(|running| running.wait()).collect();
        let agent = pid(&ready(lab)["agent"]);
        for done in told_by_all {
            let status = done.json();
            assert_eq!((pid(&status["agent"]), told(&status)), (agent, told(&before)), "{done:?}");
        }
    }
    println!("row 32: 4 commands at once brought back 1 agent, 5 rounds of 5");
}

fn a_start_of_the_same_name_is_refused(lab: &Lab) {
    let before = ready(lab);
    kill_9(pid(&before["agent"]));
    let refused = lab.kobel(&["start"]);
    assert!(refused.code != 0 && refused.stderr.contains("default exists already"), "{refused:?}");
    assert_eq!(told(&ready(lab)), told(&before));
    assert_eq!(jvms(lab), sorted(told(&before)));
}
