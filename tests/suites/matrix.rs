//! The supported Flinks: each starts, runs a job, and stops. The homes are the directories in the one
//! that `KOBEL_TEST_MATRIX` names; `scripts/test.sh --matrix` fetches them and sets it.

use std::{env, fs, path::PathBuf, time::Duration};

use kobel_kit::{Flink, Lab, compile_job, wait};

/// The homes of the matrix by version, or none where nobody asked for it.
fn matrix() -> Option<Vec<PathBuf>> {
    let Some(dir) = env::var_os("KOBEL_TEST_MATRIX") else {
        eprintln!("skipped: KOBEL_TEST_MATRIX is not set; scripts/test.sh --matrix sets it");
        return None;
    };
    let mut homes: Vec<PathBuf> =
        fs::read_dir(&dir).expect("KOBEL_TEST_MATRIX is a directory").map(|e| e.unwrap().path()).collect();
    homes.retain(|home| home.join("lib").is_dir());
    homes.sort();
    assert!(!homes.is_empty(), "{} holds no Flink: run scripts/test.sh --matrix", dir.display());
    Some(homes)
}

/// What the job printed at the only TaskManager.
fn printed(lab: &Lab) -> Result<Vec<u32>, String> {
    let out = lab.cluster_dir("one").join("log/tm-0.1.out");
    let text = fs::read_to_string(&out).map_err(|e| format!("{}: {e}", out.display()))?;
    let mut numbers: Vec<u32> =
        text.lines().filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect();
    numbers.sort_unstable();
    if numbers.len() < 1000 { Err(format!("{} numbers so far", numbers.len())) } else { Ok(numbers) }
}

fn starts_runs_and_stops(flink: &Flink) {
    let lab = Lab::with_flink("matrix", flink);
    let jar = compile_job(flink, "Numbers", lab.dir());
    let start = lab.kobel(&["start", "one", "-o", "json"]).ok();
    let status = start.json();
    assert_eq!(
        (&status["state"], &status["flinkVersion"]),
        (&"Ready".into(), &flink.version.as_str().into())
    );

    let run = lab.kobel(&["run", jar.to_str().unwrap()]).ok();
    assert!(run.stdout.contains("has finished."), "{}", run.stdout);
    let numbers = wait::until("the job's output is there", Duration::from_secs(10), || printed(&lab));
    assert_eq!(numbers, (1..=1000).collect::<Vec<_>>());
    let jobs = lab.kobel(&["job", "list", "-o", "json"]).ok().json();
    assert_eq!((&jobs[0]["name"], &jobs[0]["state"]), (&"numbers".into(), &"FINISHED".into()));

    let stop = lab.kobel(&["stop", "one"]).ok();
    lab.no_process_left();
    assert!(lab.files("state/clusters/one/workers").is_empty());
    println!(
        "Flink {}: start {:.1?}, run {:.1?}, stop {:.1?}",
        flink.version, start.took, run.took, stop.took
    );
}

#[test]
fn every_supported_flink_starts_runs_a_job_and_stops() {
    for home in matrix().unwrap_or_default() {
        starts_runs_and_stops(&Flink::at(home));
    }
}
