//! What such a job leaves when it is stopped, what the next one starts from, and what becomes of that.

use kobel_kit::{compile_job, http, on_each_flink, wait};
use serde_json::json;

use super::*;

/// A job goes on without an end, with checkpoints that stay when it is canceled.
fn run(lab: &Lab, name: &str, jar: &Path, more: &[&str]) -> String {
    let dir = format!("state.checkpoints.dir=file://{}", lab.path("checkpoints").display());
    let kept = "execution.checkpointing.externalized-checkpoint-retention=RETAIN_ON_CANCELLATION";
    let often = "execution.checkpointing.interval=300 ms";
    let args = ["run", "--per-job", "-d", "--cluster", name, "-D", &dir, "-D", kept, "-D", often];
    let run = lab.kobel(&[&args[..], more, &[text(jar), "3600"]].concat()).ok();
    run.stdout.trim().strip_prefix("Job has been submitted with JobID ").expect("its id").into()
}

/// The checkpoints of a job that are there, the newest last.
fn checkpoints(lab: &Lab, job: &str) -> Vec<u64> {
    let dirs = fs::read_dir(lab.path("checkpoints").join(job)).into_iter().flatten().flatten();
    let whole = dirs.map(|dir| dir.path()).filter(|dir| dir.join("_metadata").exists());
    let number = |dir: std::path::PathBuf| dir.file_name()?.to_str()?.strip_prefix("chk-")?.parse().ok();
    let mut all: Vec<_> = whole.filter_map(number).collect();
    all.sort_unstable();
    all
}

#[track_caller]
fn has_checkpoint(lab: &Lab, job: &str) {
    wait::until("it has a checkpoint", SOON, || match checkpoints(lab, job) {
        none if none.is_empty() => Err(format!("{:?}", lab.files("checkpoints"))),
        _ => Ok(()),
    });
}

on_each_flink! {
    fn what_a_job_leaves_is_what_the_next_one_starts_from(flink: Flink) {
        let lab = lab("per-job-restore", &flink);
        let jar = compile_job(&flink, "SleepingJob", lab.dir());
        let first = run(&lab, "first", &jar, &[]);
        has_checkpoint(&lab, &first);
        let savepoints = lab.path("savepoints");
        let stop = lab.kobel(&["stop", "first", "--savepoint", text(&savepoints)]).ok();
        let savepoint = stop.stdout.trim().strip_prefix(&format!("{first} file:")).expect("where it is");
        let whole = lab.path(savepoint).join("_metadata");
        assert!(whole.is_file(), "{}", stop.stdout);
        let now = over(&lab, "first", "Stopped");
        // It was stopped, and neither canceled nor lost with its cluster.
        assert_eq!((&now["job"]["state"], &now["jobs"]["finished"]), (&"FINISHED".into(), &1.into()), "{now}");

        let second = run(&lab, "second", &jar, &["-s", savepoint, "--claim-mode", "no-claim"]);
        has_checkpoint(&lab, &second);
        lab.kobel(&["job", "cancel", &second, "--cluster", "second"]).ok();
        over(&lab, "second", "Stopped");
        let Some(last) = checkpoints(&lab, &second).pop() else { panic!("{:?}", lab.files("checkpoints")) };
        assert!(whole.is_file(), "it is not the job's");

        // The newest is that checkpoint, and it is not the next job's either.
        let third = run(&lab, "third", &jar, &["--from", "latest"]);
        has_checkpoint(&lab, &third);
        let log = fs::read_to_string(lab.cluster_dir("third").join("log/jm-0.1.log")).unwrap();
        assert!(log.contains(&format!("checkpoints/{second}/chk-{last}")), "{log}");
        lab.kobel(&["kill", "third"]).ok();
        over(&lab, "third", "Stopped");
        assert!(checkpoints(&lab, &second).contains(&last) && whole.is_file());
        for mode in ["claim", "legacy"] {
            let run = ["run", "--per-job", "-s", savepoint, "--claim-mode", mode, text(&jar)];
            let refused = lab.kobel(&run).expect(2);
            assert!(refused.stderr.contains(&format!("--claim-mode {mode}")), "{}", refused.stderr);
        }
        assert_eq!(lab.kobel(&["ps", "-o", "name"]).ok().stdout.lines().count(), 3, "nothing was begun");
    }

    fn who_asks_late_still_hears_where_the_savepoint_is(flink: Flink) {
        let lab = lab("per-job-late-answer", &flink);
        let jar = compile_job(&flink, "SleepingJob", lab.dir());
        let job = run(&lab, "s", &jar, &[]);
        has_checkpoint(&lab, &job);
        let url = status(&lab, "s")["restUrl"].as_str().unwrap().to_string();
        let trigger = "7".repeat(32);
        let body = json!({ "targetDirectory": text(lab.dir()), "triggerId": trigger }).to_string();
        let headers = [("Content-Type", "application/json")];
        let asked = http::send("POST", &format!("{url}/jobs/{job}/stop"), &headers, body.as_bytes()).unwrap();
        assert_eq!(asked.status, 202, "{}", asked.body);
        wait::until("the cluster ends", SOON, || match status(&lab, "s") {
            now if now["state"] == "Stopping" => Ok(()),
            now => Err(now.to_string()),
        });
        let answer = http::request("GET", &format!("{url}/jobs/{job}/savepoints/{trigger}"), &[]).unwrap();
        assert!(answer.body.contains("COMPLETED") && answer.body.contains("savepoint-"), "{}", answer.body);
        let now = over(&lab, "s", "Stopped");
        assert_eq!(now["job"]["state"], "FINISHED", "{now}");
    }
}
