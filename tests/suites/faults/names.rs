//! Many starts of one name at once (row 23, on one machine).

use std::{fs, time::Instant};

use kobel_kit::{Done, Flink, Lab};

use super::jvms;

const ROUNDS: usize = 20;
const AT_ONCE: usize = 20;

/// The real agent and the real Flink, killed before the JVMs are through with their start.
#[test]
fn of_many_starts_of_one_name_exactly_one_wins() {
    let Some(flink) = Flink::v1() else { return };
    let lab = Lab::with_flink("names", &flink);
    let since = Instant::now();
    for round in 1..=ROUNDS {
        let all: Vec<_> = (0..AT_ONCE).map(|_| lab.spawn_kobel(&["start", "--no-wait"])).collect();
        let all: Vec<Done> = all.into_iter().map(|running| running.wait()).collect();
        let (won, lost): (Vec<_>, Vec<_>) = all.iter().partition(|done| done.code == 0);
        assert_eq!(won.len(), 1, "round {round}: {all:?}");
        for loser in lost {
            // The winner's cluster exists and is not ready yet.
            assert_eq!(loser.code, 3, "round {round}: {loser:?}");
            assert!(loser.stderr.contains("cluster default exists already"), "round {round}: {loser:?}");
            assert_eq!(loser.stdout, "", "round {round}: {loser:?}");
        }
        assert!(jvms(&lab).len() <= 2, "round {round}: a second cluster runs");
        lab.kobel(&["kill", "default"]).ok();
        lab.no_process_left();
        lab.kobel(&["rm", "default"]).ok();
        let left: Vec<_> =
            fs::read_dir(lab.path("state/clusters")).unwrap().map(|e| e.unwrap().path()).collect();
        assert!(left.is_empty(), "round {round}: {left:?}");
    }
    let took = since.elapsed().as_secs();
    println!("{AT_ONCE} starts of one name at once: one won in {ROUNDS} rounds of {ROUNDS}, {took} s");
}
