//! Rows 1, 2, 14 and 32 with standbys: whoever leads is killed or stopped.

use std::time::Duration;

use kobel_kit::Flink;
use kobel_tests::Endless;

use super::{Ha, pid_of, quorum, shared, signal_to};

#[test]
fn a_standby_takes_over_from_a_leader_that_is_killed() {
    let (Some(flink), Some(cluster)) = (Flink::v1(), shared()) else { return };
    let ha = Ha::start(&quorum(&cluster), "ha", &flink, &["--masters", "2"]);
    let before = ha.whole(2);
    let mut slowest = Duration::ZERO;
    for round in 1..=3 {
        let took = ha.hit("KILL", pid_of(&ha.leader()));
        let after = ha.whole(2);
        assert_eq!(after["failovers"], round, "{}", ha.events());
        assert_eq!(after["restUrl"], before["restUrl"]);
        assert_eq!(after["taskManagers"], before["taskManagers"], "no TaskManager was replaced");
        slowest = slowest.max(took);
    }
    println!("row 1: leader killed 3 times, job RUNNING with a new checkpoint within {slowest:?}");
    let events = ha.events();
    for told in ["led, and is gone", "latch and", "leads, ", "jobs run again"] {
        assert!(events.contains(told), "{told} in {events}");
    }

    let checkpoint = ha.checkpoint().unwrap();
    signal_to("KILL", pid_of(&ha.others()[0]));
    ha.whole(2);
    assert_eq!(ha.status()["failovers"], 3, "a standby is no leader");
    ha.running_since(checkpoint);

    let took = ha.hit("STOP", pid_of(&ha.leader()));
    println!("row 2: leader stopped (SIGSTOP): job RUNNING with a new checkpoint after {took:?}");
    ha.whole(2);
    ha.stop_and_look_back();
}
