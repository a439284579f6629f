//! A session from its start to its end, on each Flink, as a person would use it.

use std::{collections::HashMap, fs, path::Path};

use kobel_kit::{Flink, Lab, example_jar, http, on_each_flink, wait};
use kobel_tests::SOON;
use serde_json::Value;

const WORD_COUNT: &str = "org.apache.flink.streaming.examples.wordcount.WordCount";
const TEXT: &str = "to be or not to be\nthat is the question\nto sleep\n";

/// What Flink's WordCount wrote: a running count a word, of which the highest is the total.
fn counts(dir: &Path) -> HashMap<String, u32> {
    let mut counts = HashMap::new();
    for day in fs::read_dir(dir).expect("the sink's directory") {
        for part in fs::read_dir(day.unwrap().path()).expect("a bucket") {
            let text = fs::read_to_string(part.unwrap().path()).unwrap();
            for line in text.lines() {
                let (word, n) = line.trim_matches(['(', ')']).rsplit_once(',').expect("(word,n)");
                let total: &mut u32 = counts.entry(word.to_string()).or_default();
                *total = n.parse::<u32>().unwrap().max(*total);
            }
        }
    }
    counts
}

/// Runs a WordCount of two slots to its end, and says how long after its submission its tasks had slots.
fn word_count_of_two(lab: &Lab, flink: &Flink, output: &str) -> i64 {
    let (input, output) = (lab.file("text", TEXT), lab.path(output));
    let jar = example_jar(flink);
    let run = lab.kobel(&[
        "run",
        "-c",
        WORD_COUNT,
        "-p",
        "2",
        jar.to_str().unwrap(),
        "--input",
        input.to_str().unwrap(),
        "--output",
        output.to_str().unwrap(),
    ]);
    let run = run.ok();
    assert_eq!(counts(&output)["to"], 3);
    let id = run.stdout.lines().next().and_then(|line| line.rsplit_once(' ')).expect("the first line").1;
    let rest = status(lab)["restUrl"].as_str().unwrap().to_string();
    let job: Value = serde_json::from_str(&http::get(&format!("{rest}/jobs/{id}")).unwrap().body).unwrap();
    let deployed =
        job["vertices"].as_array().unwrap().iter().map(|vertex| vertex["start-time"].as_i64().unwrap());
    deployed.max().unwrap() - job["start-time"].as_i64().unwrap()
}

fn status(lab: &Lab) -> Value {
    lab.kobel(&["status", "-o", "json"]).json()
}

/// Waits until there shall be so many TaskManagers, and, if that matters, there are.
fn wanted(lab: &Lab, count: u64, settled: bool) {
    wait::until(&format!("{count} TaskManagers"), SOON, || {
        let tms = status(lab)["taskManagers"].clone();
        let there = tms["list"].as_array().map_or(0, Vec::len) as u64;
        match tms["wanted"].as_u64() {
            Some(wanted) if wanted == count && (there == count || !settled) => Ok(()),
            _ => Err(tms.to_string()),
        }
    });
}

on_each_flink! {
    fn task_managers_come_for_a_job_and_go_when_they_are_idle(flink: Flink) {
        let lab = Lab::with_flink("demand", &flink);
        let idle = "resourcemanager.taskmanager-timeout=5000";
        lab.kobel(&["start", "--tm", "0", "--max-tm", "2", "--slots", "1", "--tm-mem", "800m", "-D", idle]).ok();
        let ready = status(&lab);
        assert_eq!((&ready["state"], &ready["slots"]["total"]), (&"Ready".into(), &0.into()), "{ready}");
        let cold = word_count_of_two(&lab, &flink, "first");
        let warm = word_count_of_two(&lab, &flink, "second");
        wanted(&lab, 0, false);
        // Those that are going tell Flink so: it does not count on them.
        let after_release = word_count_of_two(&lab, &flink, "third");
        println!(
            "Flink {}: a job of 2 slots has them {cold} ms after its submission where there was no TaskManager, \
             {warm} ms where all are there, {after_release} ms right after these were released",
            flink.version
        );
        wanted(&lab, 0, true);
        let events = lab.kobel(&["events"]).ok().stdout;
        assert!(events.contains("1 job needs 2 more slots: 2 TaskManagers, the most"), "{events}");
        assert!(events.contains("idle for 5s: 0 TaskManagers"), "{events}");
        lab.kobel(&["stop"]).ok();
        lab.no_process_left();
    }

    fn a_session_runs_word_count(flink: Flink) {
        let lab = Lab::with_flink("session", &flink);
        let input = lab.file("text", TEXT);
        let output = lab.path("counts");
        let jar = example_jar(&flink);

        let started = lab.kobel(&["start", "one", "--tm", "2", "--slots", "2", "-o", "json"]).ok().json();
        assert_eq!(started["state"], "Ready");
        let status = lab.kobel(&["status", "one", "-o", "json"]).ok().json();
        assert_eq!(status["apiVersion"], "kobel/v1");
        assert_eq!(status["provider"], "local");
        assert_eq!(status["kind"], "session");
        assert_eq!(status["flinkVersion"], flink.version.as_str());
        assert_eq!(status["slots"], serde_json::json!({ "total": 4, "free": 4 }));
        assert_eq!(status["taskManagers"]["running"], 2);
        assert_eq!(status["taskManagers"]["list"][1]["id"], "tm-1");
        assert_eq!(status["masters"][0]["leader"], true);
        assert!(status["yarn"].is_null() && status["reason"].is_null());

        let rest = status["restUrl"].as_str().unwrap();
        assert!(http::get(rest).unwrap().body.contains("Apache Flink"), "the web UI is behind the front");
        let ids = http::get(&format!("{rest}/taskmanagers")).unwrap().body;
        assert!(ids.contains("\"tm-0.1\"") && ids.contains("\"tm-1.1\""), "{ids}");

        let run = lab
            .kobel(&[
                "run", "-c", WORD_COUNT, jar.to_str().unwrap(),
                "--input", input.to_str().unwrap(), "--output", output.to_str().unwrap(),
            ])
            .ok();
        let lines: Vec<&str> = run.stdout.lines().collect();
        let id = lines[0].strip_prefix("Job has been submitted with JobID ").expect("the first line");
        assert_eq!(lines[1], "Program execution finished");
        assert_eq!(lines[2], format!("Job with JobID {id} has finished."));
        assert!(lines[3].starts_with("Job Runtime: ") && lines[3].ends_with(" ms"), "{lines:?}");
        let counted = counts(&output);
        assert_eq!((counted["to"], counted["be"], counted["question"]), (3, 2, 1), "{counted:?}");

        let jobs = lab.kobel(&["job", "list", "--cluster", "one", "-o", "json"]).ok().json();
        assert_eq!(jobs[0]["state"], "FINISHED", "{jobs}");
        let logs = lab.kobel(&["logs", "one", "--jm", "--tail", "1000"]).ok();
        assert!(logs.stdout.contains("StandaloneSessionClusterEntrypoint"), "{}", logs.stdout);
        let all = lab.kobel(&["ps", "-o", "json"]).ok().json();
        assert_eq!(all.as_array().map(Vec::len), Some(1));

        lab.kobel(&["stop", "one"]).ok();
        lab.no_process_left();
        let stopped = lab.kobel(&["status", "one", "-o", "json"]).expect(3).json();
        assert_eq!(stopped["state"], "Stopped");
        assert_eq!(stopped["jobs"]["finished"], 1);
        assert!(lab.files("state/clusters/one/workers").is_empty());
        lab.kobel(&["rm", "one"]).ok();
        assert!(!lab.cluster_dir("one").exists());
        lab.kobel(&["status", "one"]).expect(4);
    }

    fn task_managers_of_800_mb_work(flink: Flink) {
        let lab = Lab::with_flink("small", &flink);
        let started = lab.kobel(&["start", "--tm", "1", "--tm-mem", "800m"]).ok();
        assert!(started.stderr.contains("800m") && started.stderr.contains("metaspace"), "{}", started.stderr);
        let input = lab.file("text", TEXT);
        let output = lab.path("counts");
        lab.kobel(&[
            "run", "-c", WORD_COUNT, example_jar(&flink).to_str().unwrap(),
            "--input", input.to_str().unwrap(), "--output", output.to_str().unwrap(),
        ])
        .ok();
        assert_eq!(counts(&output)["to"], 3);
        lab.kobel(&["stop"]).ok();
        lab.no_process_left();
    }
}
