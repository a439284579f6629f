//! Faults of such a cluster: its job goes on where somebody remembers it, and never runs twice.

use std::{collections::BTreeSet, process::Command, thread, time::Duration};

use kobel_kit::{Flink, compile_job, example_jar, wait};

use super::*;

/// Words of an input whose counts are all different lines.
const WORDS: usize = 2_000;
/// What the faults of jobs that go on need.
const HA: [&str; 6] =
    ["--masters", "2", "--zookeeper", "embedded", "-D", "execution.checkpointing.interval=200 ms"];

fn kill(pid: i64) {
    // It may be gone: what is to be killed ends by itself.
    let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
}

fn leader(status: &Value) -> Option<i64> {
    let masters = status["masters"].as_array()?;
    masters.iter().find(|master| master["leader"] == true)?["pid"].as_i64()
}

#[test]
fn a_standby_goes_on_with_the_job_and_without_one_it_is_lost_and_not_run_again() {
    let Some(flink) = Flink::v1() else { return };
    let lab = lab("per-job-ha", &flink);
    let jar = compile_job(&flink, "SleepingJob", lab.dir());
    let with = [&["run", "--per-job", "-d", "--cluster", "ha"][..], &HA, &[text(&jar), "15"]].concat();
    lab.kobel(&with).ok();
    let before = job_is(&lab, "ha", "RUNNING");
    kill(leader(&before).unwrap());
    let after = wait::until("another leads, and the job runs", SOON, || {
        let now = status(&lab, "ha");
        let is = now["failovers"] == 1 && now["job"]["state"] == "RUNNING";
        if is { Ok(now) } else { Err(now.to_string()) }
    });
    assert_eq!(after["job"]["id"], before["job"]["id"]);
    let now = over(&lab, "ha", "Stopped");
    assert_eq!((&now["job"]["state"], &now["failovers"]), (&"FINISHED".into(), &1.into()), "{now}");
    assert!(fs::read_dir(lab.path("state/ha")).map_or(0, Iterator::count) == 0, "something is left of it");

    lab.kobel(&["run", "--per-job", "-d", "--cluster", "one", text(&jar), "600"]).ok();
    kill(leader(&job_is(&lab, "one", "RUNNING")).unwrap());
    let now = over(&lab, "one", "Failed");
    assert!(now["reason"].as_str().unwrap().contains("was lost with jm-0.1"), "{now}");
    assert!(!lab.kobel(&["events", "one"]).ok().stdout.contains("jm-0.2"));
}

/// Rows 40 and 41: the leader is killed when the job is over, and the agent with it every third time.
#[test]
fn a_job_that_is_over_never_runs_again() {
    let Some(flink) = Flink::v1() else { return };
    let cycles = std::env::var("KOBEL_TEST_CYCLES").ok().and_then(|n| n.parse().ok()).unwrap_or(3);
    let lab = lab("per-job-over", &flink);
    let input = lab.file("words.txt", &"word\n".repeat(WORDS));
    let jar = example_jar(&flink);
    for cycle in 0..cycles {
        let (name, output) = (format!("n{cycle}"), lab.path(&format!("counts-{cycle}")));
        let run = [&["run", "--per-job", "-d", "--cluster", &name][..], &HA].concat();
        let program = ["-c", WORD_COUNT, text(&jar), "--input", text(&input), "--output", text(&output)];
        let run = lab.spawn_kobel(&[&run[..], &program].concat());
        let ended = wait::until("the job is over", SOON, || {
            let events = fs::read_to_string(lab.cluster_dir(&name).join("events.jsonl")).unwrap_or_default();
            let record = fs::read(lab.cluster_dir(&name).join("record.json")).unwrap_or_default();
            let status = serde_json::from_slice::<Value>(&record).map(|record| record["status"].clone());
            match status {
                Ok(status) if events.contains("job-ended") => Ok(status),
                _ => Err(events),
            }
        });
        thread::sleep(Duration::from_millis(cycle * 37 % 200));
        if cycle % 3 == 2 {
            kill(ended["agent"]["pid"].as_i64().unwrap());
        }
        ended["masters"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|master| master["pid"].as_i64())
            .for_each(kill);
        // Whoever looks at the cluster brings its agent back.
        let now = over(&lab, &name, "Stopped");
        assert_eq!((&now["job"]["state"], &now["failovers"]), (&"FINISHED".into(), &0.into()), "{now}");
        run.wait().ok();
        let lines: Vec<_> = lab
            .files(&format!("counts-{cycle}"))
            .iter()
            .filter(|file| !file.file_name().unwrap().to_string_lossy().starts_with('.'))
            .flat_map(|file| fs::read_to_string(file).unwrap().lines().map(String::from).collect::<Vec<_>>())
            .collect();
        let once: BTreeSet<_> = lines.iter().collect();
        assert_eq!((lines.len(), once.len()), (WORDS, WORDS), "cycle {cycle}: every line once");
    }
    println!("{cycles} cycles: every job ran once");
}
