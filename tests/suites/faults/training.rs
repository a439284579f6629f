//! The training of class archives is killed half-way.

use std::{fs, path::PathBuf};

use kobel_kit::{Flink, Lab, wait};

use super::{SOON, kill_9, ready};

/// The finished archives of the lab.
fn archives(lab: &Lab) -> Vec<PathBuf> {
    let mut found = lab.files("cache/cds");
    found.retain(|path| path.extension().is_some_and(|ending| ending == "jsa"));
    found
}

/// The processes of the lab of whose arguments one is this, or starts with it.
fn with_argument(lab: &Lab, start: &str) -> Vec<i32> {
    let has = |pid: &i32| {
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        arguments.split(|byte| *byte == 0).any(|argument| argument.starts_with(start.as_bytes()))
    };
    lab.processes().into_iter().filter(has).collect()
}

/// JVMs that will write an archive, each with the shell that watches over it.
fn trainees(lab: &Lab) -> Vec<i32> {
    with_argument(lab, "-XX:ArchiveClassesAtExit=")
}

#[test]
fn a_training_that_is_killed_leaves_no_process_and_the_next_start_trains_again() {
    let Some(flink) = Flink::v1() else { return };
    let mut lab = Lab::with_flink("training", &flink);
    lab.env("KOBEL_START_CDS", "auto");
    lab.kobel(&["start", "default", "--no-wait"]).ok();
    wait::until("both JVMs of the training run", 2 * SOON, || match trainees(&lab) {
        all if all.len() == 4 => Ok(()),
        all => Err(format!("{all:?}")),
    });
    let before = ready(&lab);
    let trainer = with_argument(&lab, "train");
    assert_eq!(trainer.len(), 1, "{trainer:?}");
    kill_9(trainer[0]);
    wait::until("its JVMs are gone with it", SOON, || match trainees(&lab) {
        all if all.is_empty() => Ok(()),
        all => Err(format!("{all:?}")),
    });
    assert!(archives(&lab).is_empty(), "no half archive is one");
    assert_eq!(ready(&lab)["masters"], before["masters"], "the cluster is not concerned");
    lab.kobel(&["stop"]).ok();
    lab.no_process_left();

    lab.kobel(&["start"]).ok();
    wait::until("both archives are made", 5 * SOON, || match archives(&lab) {
        made if made.len() == 2 => Ok(()),
        made => Err(format!("{made:?}")),
    });
    lab.kobel(&["stop"]).ok();
    lab.no_process_left();
    let left = lab.files("cache/cds");
    assert!(!left.iter().any(|path| path.to_string_lossy().contains("/.tmp-")), "{left:?}");
    println!("training: killed half-way, nothing left running, the next start made both archives");
}
