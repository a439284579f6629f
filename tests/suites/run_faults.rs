//! `kobel run` when the program, or the network, does not do what is usual.

use std::{path::Path, time::Duration};

use kobel_kit::{Flink, Lab, compile_job, on_each_flink, wait};

fn job_states(lab: &Lab) -> Vec<String> {
    let jobs = lab.kobel(&["job", "list", "-o", "json"]).ok().json();
    jobs.as_array().unwrap().iter().map(|j| j["state"].as_str().unwrap().to_string()).collect()
}

fn jm_pid(lab: &Lab) -> u64 {
    lab.kobel(&["status", "default", "-o", "json"]).ok().json()["masters"][0]["pid"].as_u64().unwrap()
}

on_each_flink! {
    fn a_main_that_exits_leaves_the_session_alone(flink: Flink) {
        let lab = Lab::with_flink("exit", &flink);
        let jar = compile_job(&flink, "ExitingMain", lab.dir());
        lab.kobel(&["start"]).ok();
        let before = jm_pid(&lab);
        let run = lab.kobel(&["run", jar.to_str().unwrap()]).expect(7);
        assert!(run.stderr.contains("exit JVM"), "{}", run.stderr);
        assert_eq!(jm_pid(&lab), before, "the JobManager is the same process");
        lab.kobel(&["stop"]).ok();
        lab.no_process_left();
    }

    fn a_main_that_wants_its_result_here_is_followed(flink: Flink) {
        let lab = Lab::with_flink("collect", &flink);
        let class = if flink.is_v2() { "CollectingStream" } else { "CollectingMain" };
        let jar = compile_job(&flink, class, lab.dir());
        lab.kobel(&["start"]).ok();
        let run = lab.kobel(&["run", jar.to_str().unwrap()]);
        assert!(run.stderr.contains("--per-job"), "exit {}\n{}\n{}", run.code, run.stdout, run.stderr);
        let states = wait::until("no job is left running", Duration::from_secs(30), || {
            let states = job_states(&lab);
            let over = states.iter().all(|s| s == "FINISHED" || s == "CANCELED");
            if over { Ok(states) } else { Err(format!("{states:?}")) }
        });
        assert!(states.len() <= 1, "it ran once: {states:?}");
        lab.kobel(&["stop"]).ok();
        lab.no_process_left();
    }

    fn an_endless_job_is_left_running_by_ctrl_c_and_then_cancelled(flink: Flink) {
        let lab = Lab::with_flink("endless", &flink);
        let jar = compile_job(&flink, "SleepingJob", lab.dir());
        lab.kobel(&["start"]).ok();
        let running = lab.spawn_kobel(&["run", jar.to_str().unwrap()]);
        let id = wait::until("the job runs", Duration::from_secs(60), || {
            let jobs = lab.kobel(&["job", "list", "-o", "json"]).ok().json();
            let running = jobs.as_array().unwrap().iter().find(|j| j["state"] == "RUNNING");
            running.and_then(|j| j["id"].as_str().map(String::from)).ok_or_else(|| jobs.to_string())
        });
        running.signal("INT");
        let run = running.wait().expect(130);
        assert!(run.stderr.contains(&format!("kobel job cancel {id}")), "{}", run.stderr);
        assert_eq!(job_states(&lab), ["RUNNING"]);

        lab.kobel(&["job", "cancel", &id]).ok();
        assert_eq!(job_states(&lab), ["CANCELED"]);
        let unknown = "0".repeat(32);
        lab.kobel(&["job", "cancel", &unknown]).expect(4);

        let detached = lab.kobel(&["run", "-d", jar.to_str().unwrap()]).ok();
        let id = detached.stdout.trim().strip_prefix("Job has been submitted with JobID ").expect("its id");
        let wait = lab.kobel(&["wait", "default", "--for", &format!("job={id}:finished"), "--timeout", "2s"]);
        assert_eq!(wait.code, 124, "{}", wait.stderr);
        lab.kobel(&["job", "cancel", id]).ok();
        lab.kobel(&["wait", "default", "--for", &format!("job={id}:finished")]).expect(7);
        lab.kobel(&["stop"]).ok();
        lab.no_process_left();
    }
}

#[test]
fn bad_jars_are_refused_before_anything_is_uploaded() {
    let Some(flink) = Flink::v1() else { return };
    let lab = Lab::with_flink("badjar", &flink);
    lab.kobel(&["start"]).ok();
    let run = |path: &Path| lab.kobel(&["run", path.to_str().unwrap()]);
    for (file, says) in [
        (lab.path("absent.jar"), "absent.jar"),
        (lab.file("empty.jar", ""), "empty"),
        (lab.file("text.jar", "no zip at all"), "not a jar"),
        (lab.file("job.txt", "PK"), ".jar"),
    ] {
        let done = run(&file);
        assert!(done.code == 5 || done.code == 2, "{}: exit {}\n{}", file.display(), done.code, done.stderr);
        assert!(done.stderr.contains(says), "{}: {}", file.display(), done.stderr);
    }
    let jar = kobel_kit::example_jar(&flink);
    let done = lab.kobel(&["run", "-c", "org.example.Nowhere", jar.to_str().unwrap()]).expect(5);
    assert!(done.stderr.contains("has no class org.example.Nowhere"), "{}", done.stderr);
    lab.kobel(&["stop"]).ok();
    lab.no_process_left();
}
