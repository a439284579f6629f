//! Rows 15 and 16: a JobManager that lives, and answers everybody but ZooKeeper. It leads until its session ends, and
//! not a moment longer.

use std::time::{Duration, Instant};

use kobel_kit::{Flink, Relay};
use kobel_tests::Endless;

use super::{Ha, pid_of, quorum, shared};

/// How long its session lasts.
const SESSION: Duration = Duration::from_secs(8);

#[test]
fn a_leader_that_is_cut_off_from_zookeeper_leads_until_its_session_ends() {
    let (Some(flink), Some(cluster)) = (Flink::v1(), shared()) else { return };
    let relay = Relay::to(&quorum(&cluster));
    let session = format!("high-availability.zookeeper.client.session-timeout={SESSION:?}");
    let ha = Ha::start(&relay.address(), "ha-partition", &flink, &["--masters", "2", "-D", &session]);
    ha.whole(2);
    let (leader, standby) = (pid_of(&ha.leader()), pid_of(&ha.others()[0]));
    let checkpoint = ha.checkpoint().unwrap();
    relay.cut_off(leader);
    let since = Instant::now();
    assert_eq!(ha.led_by_another(leader), standby);
    let led = since.elapsed();
    ha.running_since(checkpoint);
    println!(
        "row 16: leader cut off from ZooKeeper: the other one leads after {led:.1?} (session timeout: {SESSION:?}), \
         job RUNNING with a new checkpoint after {:.1?}",
        since.elapsed()
    );
    // A session counts from the last word of its client, which it says every third of it.
    assert!(led > SESSION / 2, "{led:?}");
    let events = ha.events();
    let at = |told| events.find(told).unwrap_or_else(|| panic!("no {told}: {events}"));
    assert!(at("leader-deposed") < at("worker-exited"), "it is killed once another leads: {events}");
    assert!(!["latch and", "worker-hangs"].iter().any(|told| events.contains(told)), "{events}");
    relay.heal();

    let checkpoint = ha.checkpoint().unwrap();
    ha.running_since(checkpoint);
    ha.whole(2);
    let ms = ha.two_led();
    println!("row 16: the one that was cut off took itself for the leader for {ms} ms more");
    ha.lab.kobel(&["stop", "ha"]).ok();
    ha.lab.no_process_left();
}
