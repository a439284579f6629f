//! A job with a cluster of its own, on this machine: what is seen of it, how it ends, and what is left.

mod failover;
mod restore;

use std::{fs, path::Path, time::Duration};

use kobel_kit::{Flink, Lab, compile_job, compile_job_in_two, example_jar, on_each_flink, wait};
use serde_json::Value;

const WORD_COUNT: &str = "org.apache.flink.streaming.examples.wordcount.WordCount";
/// Longer than anything here takes.
const SOON: Duration = Duration::from_secs(90);

fn lab(test: &str, flink: &Flink) -> Lab {
    Lab::with_flink(test, flink)
}

fn status(lab: &Lab, name: &str) -> Value {
    lab.kobel(&["status", name, "-o", "json"]).json()
}

/// Waits until the job stands there.
#[track_caller]
fn job_is(lab: &Lab, name: &str, state: &str) -> Value {
    wait::until(&format!("the job is {state}"), SOON, || {
        let now = status(lab, name);
        if now["job"]["state"] == state { Ok(now) } else { Err(now.to_string()) }
    })
}

/// Waits for the end of the cluster, and looks that nothing is left of it.
#[track_caller]
fn over(lab: &Lab, name: &str, state: &str) -> Value {
    lab.kobel(&["wait", name, "--for", "stopped", "--timeout", "60s"]);
    let now = status(lab, name);
    assert_eq!(now["state"], state, "{now}");
    lab.no_process_left();
    let left: Vec<_> =
        fs::read_dir(lab.cluster_dir(name)).unwrap().flatten().map(|e| e.file_name()).collect();
    assert!(!left.iter().any(|file| file == "usrlib" || file == "agent.sock"), "{left:?}");
    now
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

on_each_flink! {
    fn a_job_has_a_cluster_that_ends_with_it(flink: Flink) {
        let lab = lab("per-job", &flink);
        let (input, jar) = (lab.file("in.txt", "to be or not to be\n"), example_jar(&flink));
        let run = lab.kobel(&[
            "run", "--per-job", "--cluster", "wc", "-p", "2", "--slots", "2", "-c", WORD_COUNT, text(&jar),
            "--input", text(&input),
        ]).ok();
        println!("over after {:?}", run.took);
        assert!(run.stdout.contains("(to,2)") && run.stdout.contains("(not,1)"), "{}", run.stdout);
        let now = over(&lab, "wc", "Stopped");
        let id = now["job"]["id"].as_str().unwrap();
        let lines = [
            format!("Job has been submitted with JobID {id}"),
            "Program execution finished".into(),
            format!("Job with JobID {id} has finished."),
            format!("Job Runtime: {} ms", now["job"]["runtimeMs"]),
        ];
        for line in lines {
            assert_eq!(run.stdout.lines().filter(|told| *told == line).count(), 1, "{line}: {}", run.stdout);
        }
        assert_eq!((&now["kind"], &now["job"]["state"], &now["jobs"]["finished"]), (
            &"per-job".into(), &"FINISHED".into(), &1.into()
        ));
        lab.kobel(&["wait", "wc", "--for", &format!("job={id}:finished")]).ok();
        assert!(lab.kobel(&["logs", "wc", "--jm"]).ok().stdout.contains("Application completed"));
        assert!(lab.kobel(&["events", "wc"]).ok().stdout.contains("job-ended"));
        // Where nothing but its job's cluster is, there is no session to run in.
        lab.kobel(&["run", "-c", WORD_COUNT, text(&jar)]).expect(4);
    }

    fn main_gets_its_jobs_result_and_its_lines_are_shown(flink: Flink) {
        let lab = lab("per-job-collect", &flink);
        let class = if flink.is_v2() { "CollectingStream" } else { "CollectingMain" };
        let jar = compile_job(&flink, class, lab.dir());
        let run = lab.kobel(&["run", "--per-job", "--cluster", "c", text(&jar)]).ok();
        let collected = run.stdout.lines().filter(|line| line.starts_with("collected ")).count();
        assert_eq!(collected, if flink.is_v2() { 10 } else { 3 }, "{}", run.stdout);
        over(&lab, "c", "Stopped");
    }

    fn classes_are_found_at_urls_in_main_and_in_tasks(flink: Flink) {
        let lab = lab("per-job-urls", &flink);
        let [jar, helper] = compile_job_in_two(&flink, "Elsewhere", "Helper", lab.dir());
        let url = format!("file://{}", helper.display());
        lab.script("flink", &["run", "-t", "local", "-C", &url, text(&jar)]).ok();
        let shown = lab.kobel(&["run", "--per-job", "-D", &format!("pipeline.classpaths={url}"), text(&jar)]).ok();
        assert_eq!(shown.stdout.matches("helped ").count(), 3, "{}", shown.stdout);
        let without = lab.kobel(&["run", "--per-job", text(&jar)]).expect(7);
        assert!(without.stderr.contains("Elsewhere$Helper"), "{}", without.stderr);
        lab.no_process_left();
    }

    fn a_program_that_fails_is_a_job_that_failed(flink: Flink) {
        let lab = lab("per-job-fails", &flink);
        let (failing, exiting) =
            (compile_job(&flink, "FailingJob", lab.dir()), compile_job(&flink, "ExitingMain", lab.dir()));
        for (name, jar, args, cause) in [
            ("task", &failing, &["job"][..], "the reason, in a task"),
            ("main", &failing, &["main"], "in main"),
            ("exits", &exiting, &["0", "before"], "exit"),
        ] {
            let run = lab.kobel(&[&["run", "--per-job", "--cluster", name, text(jar)], args].concat()).expect(7);
            assert!(run.stderr.contains(cause), "{name}: {}", run.stderr);
            let now = over(&lab, name, "Failed");
            assert_eq!((&now["job"]["state"], &now["jobs"]["failed"]), (&"FAILED".into(), &1.into()), "{now}");
            assert!(now["job"]["failure"]["cause"].as_str().unwrap().contains(cause), "{now}");
            assert!(now["reason"].as_str().unwrap().contains(cause), "{now}");
        }
    }

    fn a_program_with_several_jobs_is_told_that_a_session_runs_them(flink: Flink) {
        let lab = lab("per-job-several", &flink);
        let jar = compile_job(&flink, "SeveralJobs", lab.dir());
        for how in ["sync", "async", "apart"] {
            let run = lab.kobel(&["run", "--per-job", "--cluster", how, text(&jar), how]).expect(7);
            for told in ["it has several jobs", "kobel start", "flink run -m"] {
                assert!(run.stderr.contains(told), "{how}: {}", run.stderr);
            }
            let now = over(&lab, how, "Failed");
            assert!(now["reason"].as_str().unwrap().contains("it has several jobs"), "{now}");
        }
    }

    fn a_detached_job_runs_on_and_can_be_canceled_and_its_arguments_are_nobodys_to_see(flink: Flink) {
        let lab = lab("per-job-detached", &flink);
        let jar = compile_job(&flink, "SleepingJob", lab.dir());
        let run = lab.kobel(&["run", "--per-job", "-d", "--cluster", "s", text(&jar), "3600", "hunter2"]).ok();
        let id = run.stdout.trim().strip_prefix("Job has been submitted with JobID ").expect("its id");
        assert!(run.stderr.contains("web UI"), "{}", run.stderr);
        let now = job_is(&lab, "s", "RUNNING");
        for pid in lab.processes() {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            assert!(!String::from_utf8_lossy(&line).contains("hunter2"), "{pid}");
        }
        let jobs = lab.kobel(&["job", "list", "--cluster", "s", "-o", "json"]).ok().json();
        assert_eq!((&jobs[0]["id"], &jobs[0]["name"]), (&now["job"]["id"], &"hunter2".into()));
        lab.kobel(&["job", "cancel", id, "--cluster", "s"]).ok();
        let now = over(&lab, "s", "Stopped");
        assert_eq!((&now["job"]["state"], &now["jobs"]["canceled"]), (&"CANCELED".into(), &1.into()));
        lab.kobel(&["wait", "s", "--for", &format!("job={id}:finished")]).expect(7);
    }
}

#[test]
fn a_program_of_pythons_is_handed_over_to_flinks_own_client() {
    let Some(flink) = Flink::v1() else { return };
    let lab = lab("per-job-python", &flink);
    let program = lab.file("job.py", "print('main of Python runs')\n");
    let run = lab.script("flink", &["run", "-t", "local", "-py", text(&program)]).ok();
    assert!(run.stdout.contains("main of Python runs"), "{}", run.stdout);
    assert!(run.stderr.contains("handing over to Flink's own client"), "{}", run.stderr);
}

#[test]
fn what_cannot_be_run_starts_nothing() {
    let Some(flink) = Flink::v1() else { return };
    let lab = lab("per-job-bad", &flink);
    let jar = example_jar(&flink);
    let (absent, empty) = (lab.path("absent.jar"), lab.file("empty.jar", ""));
    let (no_zip, no_jar) = (lab.file("text.jar", "no zip at all"), lab.file("job.txt", "PK"));
    // The jar at the end of a hole of 8 TiB: an archive's directory is at its end.
    let huge = lab.path("huge.jar");
    let file = fs::File::create(&huge).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &fs::read(&jar).unwrap(), 8 << 40).unwrap();
    for (args, code, says) in [
        (&["run", "--per-job", text(&absent)][..], 5, "absent.jar"),
        (&["run", "--per-job", text(&empty)], 5, "not a jar"),
        (&["run", "--per-job", text(&no_zip)], 5, "not a jar"),
        (&["run", "--per-job", text(&no_jar)], 5, "not named *.jar"),
        (&["run", "--per-job", "-c", WORD_COUNT, text(&huge)], 5, "too large"),
        (&["run", "--per-job", text(&jar)], 5, "Main-Class"),
        (&["run", "--per-job", "-c", "org.example.Nowhere", text(&jar)], 5, "org.example.Nowhere"),
        (&["run", "--tm", "2", "-c", WORD_COUNT, text(&jar)], 2, "--per-job --tm"),
        (&["run", "--timeout", "3s", "-c", WORD_COUNT, text(&jar)], 2, "--per-job"),
    ] {
        let run = lab.kobel(args).expect(code);
        assert!(run.stderr.contains(says), "{args:?}: {}", run.stderr);
    }
    let plan =
        lab.kobel(&["run", "--per-job", "--dry-run", "-c", WORD_COUNT, text(&jar), "--password", "hunter2"]);
    assert!(
        plan.stdout.contains("execution.attached") && !plan.stdout.contains("hunter2"),
        "{}",
        plan.stdout
    );
    assert!(lab.kobel(&["ps", "-o", "name"]).ok().stdout.is_empty());
    lab.no_process_left();
}

/// Who starts such a job and loses patience before it runs has started nothing.
#[test]
fn a_start_that_takes_too_long_is_taken_back() {
    let Some(flink) = Flink::v1() else { return };
    let lab = lab("per-job-late", &flink);
    let jar = compile_job(&flink, "SlowMain", lab.dir());
    let run = ["run", "--per-job", "--cluster", "late", "--timeout", "3s", text(&jar), "600"];
    lab.kobel(&run).expect(124);
    lab.no_process_left();
    let running = lab.spawn_kobel(&["run", "--per-job", "--cluster", "left", text(&jar), "600"]);
    wait::until("its JobManager runs", SOON, || {
        let told = running.stderr();
        if told.contains("JobManager jm-0 running") { Ok(()) } else { Err(told) }
    });
    running.signal("INT");
    running.wait().expect(130);
    lab.no_process_left();
}
