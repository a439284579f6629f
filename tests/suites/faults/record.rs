//! Row 33: what the agent wrote down is gone when the next one comes.

use std::{fs, path::Path};

use kobel_kit::{Flink, Lab};

use super::{jvms, kill_9, pid, ready, sorted, told};

/// What is done to a record.
type Damage = fn(&Path);

const DAMAGES: [(&str, Damage); 4] = [
    ("missing", |path| fs::remove_file(path).unwrap()),
    ("truncated", |path| fs::write(path, &fs::read(path).unwrap()[..99]).unwrap()),
    ("garbage", |path| fs::write(path, b"\0\xff{ no record").unwrap()),
    ("of another version", |path| {
        let text = fs::read_to_string(path).unwrap();
        fs::write(path, text.replacen("kobel/v1", "kobel/v9", 1)).unwrap();
    }),
];
const ROUNDS: usize = 3;

#[test]
fn without_its_record_a_cluster_is_taken_over_all_the_same() {
    let Some(flink) = Flink::v1() else { return };
    let lab = Lab::with_flink("record", &flink);
    lab.kobel(&["start", "-D", "rest.port=0"]).ok();
    let record = lab.cluster_dir("default").join("record.json");
    for (what, damage) in DAMAGES {
        for round in 1..=ROUNDS {
            let before = ready(&lab);
            kill_9(pid(&before["agent"]));
            damage(&record);
            let started = lab.kobel(&["start"]);
            assert!(started.code != 0, "{what}: {started:?}");
            let after = ready(&lab);
            assert_eq!(told(&after), told(&before), "{what}, round {round}");
            assert_eq!(jvms(&lab), sorted(told(&after)), "{what}, round {round}");
            assert_eq!(after["restUrl"], before["restUrl"], "{what}, round {round}");
            lab.kobel(&["job", "list"]).ok();
        }
        println!("row 33: record {what}: same processes and ports after {ROUNDS} of {ROUNDS}");
    }
    lab.kobel(&["stop"]).ok();
    lab.no_process_left();
}
