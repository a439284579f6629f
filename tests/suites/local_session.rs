//! A session from its start to its end, on each Flink, as a person would use it.

use std::{collections::HashMap, fs, path::Path};

use kobel_kit::{Lab, example_jar, http, on_each_flink};

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

on_each_flink! {
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
