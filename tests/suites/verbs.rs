//! The rest of the command line, in one session a Flink.

use std::time::Duration;

use kobel_kit::{Lab, compile_job, on_each_flink, wait};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(60);

fn status(lab: &Lab) -> Value {
    lab.kobel(&["status", "default", "-o", "json"]).ok().json()
}

fn pid(lab: &Lab, tm: usize) -> u64 {
    status(lab)["taskManagers"]["list"][tm]["pid"].as_u64().expect("a pid")
}

fn jm_pid(lab: &Lab) -> u64 {
    status(lab)["masters"][0]["pid"].as_u64().expect("a pid")
}

/// Starts a job detached and waits until all of it runs.
fn start_job(lab: &Lab, args: &[&str]) -> String {
    let run = lab.kobel(&[&["run", "-d"], args].concat()).ok();
    let id =
        run.stdout.trim().strip_prefix("Job has been submitted with JobID ").expect("its id").to_string();
    runs(lab, &id);
    id
}

/// Waits until all of a job runs.
fn runs(lab: &Lab, id: &str) {
    wait::until("the job runs", SOON, || {
        let job = lab.kobel(&["job", "status", id, "-o", "json"]).ok().json();
        let all = job["vertices"].as_array().is_some_and(|vertices| {
            !vertices.is_empty() && vertices.iter().all(|v| v["tasks"] == v["tasksRunning"])
        });
        if all { Ok(()) } else { Err(job.to_string()) }
    });
}

fn scaling_and_restarting(lab: &Lab) {
    let scaled = lab.kobel(&["scale", "--tm", "2"]).ok();
    println!("scale 1 -> 2: {:?}", scaled.took);
    assert_eq!(status(lab)["taskManagers"]["running"], 2, "it returns when it is so");
    lab.kobel(&["scale", "nope", "--tm", "2"]).expect(4);
    lab.kobel(&["scale", "--tm", "-1"]).expect(2);

    let (tm0, tm1, jm) = (pid(lab, 0), pid(lab, 1), jm_pid(lab));
    let restarted = lab.kobel(&["restart", "default", "tm", "1"]).ok();
    println!("restart tm 1: {:?}", restarted.took);
    assert_eq!((pid(lab, 0), jm_pid(lab)), (tm0, jm), "the others are left alone");
    assert_ne!(pid(lab, 1), tm1);
    assert_eq!(status(lab)["state"], "Ready");
    lab.kobel(&["restart", "default", "tm", "7"]).expect(4);

    lab.kobel(&["restart", "default", "jm"]).ok();
    assert_eq!(pid(lab, 0), tm0, "TaskManagers find the new JobManager where the old one was");
    assert_ne!(jm_pid(lab), jm);

    let jm = jm_pid(lab);
    let restarted = lab.kobel(&["restart", "default"]).ok();
    println!("restart of all: {:?}", restarted.took);
    assert_ne!(pid(lab, 0), tm0);
    assert_ne!(jm_pid(lab), jm);
    assert_eq!(status(lab)["failovers"], 0, "nothing failed");
    let scaled = lab.kobel(&["scale", "--tm", "1"]).ok();
    println!("scale 2 -> 1: {:?}", scaled.took);
}

fn savepoints(lab: &Lab, jar: &str) {
    let id = start_job(lab, &[jar]);
    let id = id.as_str();
    description(lab, id);
    let without = lab.kobel(&["job", "savepoint", id]).expect(5);
    assert!(without.stderr.contains("DIR"), "{}", without.stderr);

    let dir = lab.path("savepoints");
    let made = lab.kobel(&["job", "savepoint", id, "savepoints"]).ok();
    println!("savepoint: {:?}", made.took);
    let path = made.stdout.trim().trim_start_matches("file:");
    assert!(path.starts_with(dir.to_str().unwrap()), "a relative directory is the caller's: {path}");
    assert!(std::path::Path::new(path).join("_metadata").is_file(), "{path}");

    // Flink answers this from a cache.
    let known = wait::until("the savepoint is known", SOON, || {
        let known = lab.kobel(&["job", "checkpoints", id, "-o", "json"]).ok().json();
        if known["counts"]["completed"] == 1 { Ok(known) } else { Err(known.to_string()) }
    });
    assert_eq!(
        (&known["history"][0]["kind"], &known["history"][0]["state"]),
        (&"savepoint".into(), &"COMPLETED".into())
    );
    let names = lab.kobel(&["job", "checkpoints", id, "-o", "name"]).ok();
    assert_eq!(names.stdout, made.stdout);

    let stopped = lab.kobel(&["job", "stop", id, "--savepoint", dir.to_str().unwrap()]).ok();
    println!("job stop: {:?}", stopped.took);
    assert_ne!(stopped.stdout, made.stdout);
    let job = lab.kobel(&["job", "status", id, "-o", "json"]).ok().json();
    assert_eq!(job["state"], "FINISHED", "{job}");
    lab.kobel(&["job", "stop", id, "--savepoint", dir.to_str().unwrap()]).expect(1);

    let id = start_job(lab, &["-s", stopped.stdout.trim(), jar]);
    let drained = lab.kobel(&["job", "stop", &id, "--drain", "--savepoint", dir.to_str().unwrap()]).ok();
    assert!(drained.stdout.contains("savepoint-"), "{}", drained.stdout);
}

fn exceptions(lab: &Lab, jar: &str) {
    let failed = lab.kobel(&["run", jar]).expect(7);
    let jobs = lab.kobel(&["job", "list", "-o", "json"]).ok().json();
    let job = jobs.as_array().unwrap().iter().find(|job| job["state"] == "FAILED").expect("a failed job");
    let id = job["id"].as_str().unwrap();
    let told = lab.kobel(&["job", "exceptions", id]).ok();
    let root = told.stdout.lines().next().expect("a line");
    assert!(root.ends_with("the reason, in a task"), "{}", told.stdout);
    assert!(failed.stderr.contains("the reason, in a task"), "run says the same: {}", failed.stderr);
    assert!(!told.stdout.contains("Failing.map"), "traces are for -v: {}", told.stdout);
    assert!(lab.kobel(&["job", "exceptions", id, "-v"]).ok().stdout.contains("Failing.map"));

    let unknown = "0".repeat(32);
    for verb in ["status", "exceptions", "checkpoints", "savepoint", "stop"] {
        lab.kobel(&["job", verb, &unknown]).expect(4);
    }
}

/// `scripts/flink` on jobs, line for line as Flink's own.
fn flinks_command(lab: &Lab, jar: &str) {
    const FORM: &str = "execution.checkpointing.interval=1 h";
    let url = status(lab)["restUrl"].as_str().expect("an address").to_string();
    let at = url.strip_prefix("http://").expect("http");
    let dir = lab.path("of-flink").display().to_string();
    let flink = |args: &[&str]| {
        let done = lab.script("flink", args).ok();
        println!("flink {}: {:?}", args[0], done.took);
        done.stdout.lines().map(String::from).collect::<Vec<_>>()
    };
    let submit = |args: &[&str]| {
        let said = flink(&[&["run", "-d", "-m", at], args].concat());
        assert_eq!(said.len(), 1, "{said:?}");
        let id = said[0].strip_prefix("Job has been submitted with JobID ").expect("its id").to_string();
        runs(lab, &id);
        id
    };
    let path_of = |line: &str, before: &str| {
        let path = line.strip_prefix(before).unwrap_or_else(|| panic!("{line}")).trim_start_matches("file:");
        assert!(path.starts_with(&dir), "{path}");
        path.trim_end_matches('.').to_string()
    };
    let waiting = "Waiting for response...";

    let id = submit(&["-D", FORM, jar]);
    let id = id.as_str();
    let config = kobel_kit::http::get(&format!("{url}/jobs/{id}/checkpoints/config")).expect("its options");
    assert!(config.body.contains("\"interval\":3600000"), "-D is the job's: {}", config.body);
    let running = flink(&["list", "-r"]);
    assert_eq!(running[..2], [waiting, "------------------ Running/Restarting Jobs -------------------"]);
    assert!(running[2].ends_with(&format!(" : {id} : sleeping (RUNNING)")), "{running:?}");
    assert_eq!(running[3..], ["-".repeat(62)]);
    assert_eq!(flink(&["list", "-s", "-m", at]), [waiting, "No scheduled jobs."]);

    let made = flink(&["savepoint", id, &dir]);
    assert_eq!(made[..2], [format!("Triggering savepoint for job {id}."), waiting.into()]);
    let canonical = path_of(&made[2], "Savepoint completed. Path: ");
    assert_eq!(made[3], "You can resume your program from this savepoint with the run command.");
    flink(&["savepoint", "-type", "native", id, &dir]);
    let begun = flink(&["savepoint", id, &dir, "-detached"]);
    assert!(begun[1].starts_with("Successfully trigger manual savepoint, triggerId: "), "{begun:?}");
    let checkpoint = flink(&["checkpoint", "-full", id]);
    assert!(
        checkpoint[2].starts_with("Checkpoint(FULL) ")
            && checkpoint[2].ends_with(&format!(" for job {id} completed.")),
        "{checkpoint:?}"
    );
    // Flink answers this from a cache.
    wait::until("all of them are known", SOON, || {
        let known = lab.kobel(&["job", "checkpoints", id, "-o", "json"]).ok().json();
        if known["counts"]["completed"].as_u64() >= Some(4) { Ok(()) } else { Err(known.to_string()) }
    });

    let stopped = flink(&["stop", "-p", &dir, id]);
    assert_eq!(stopped[0], format!("Suspending job \"{id}\" with a CANONICAL savepoint."));
    assert_eq!(stopped[1..3], [format!("Triggering stop-with-savepoint for job {id}."), waiting.into()]);
    let path = path_of(&stopped[3], "Savepoint completed. Path: ");
    let job = lab.kobel(&["job", "status", id, "-o", "json"]).ok().json();
    assert_eq!(job["state"], "FINISHED", "{job}");
    let disposed = flink(&["savepoint", "-d", &canonical]);
    assert_eq!(disposed.last(), Some(&format!("Savepoint '{canonical}' disposed.")));
    assert!(!std::path::Path::new(&canonical).exists(), "{canonical}");

    let id = submit(&["-s", &path, "-rm", "no_claim", jar]);
    let canceled = flink(&["cancel", "-s", &dir, &id]);
    path_of(&canceled[2], &format!("Cancelled job {id}. Savepoint stored in "));
    for _ in 0..2 {
        let said = flink(&["cancel", &id]);
        assert_eq!(
            said,
            [format!("Cancelling job {id}."), format!("Cancelled job {id}.")],
            "as Flink, twice"
        );
    }
    assert!(flink(&["list", "-a"]).iter().any(|line| line.ends_with("sleeping (CANCELED)")));

    let failed = lab.script("flink", &["run", "-s", "/no/such/savepoint", jar]).expect(1);
    assert!(failed.stderr.contains("/no/such/savepoint"), "{}", failed.stderr);
    // Its log belongs into this lab.
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/flink");
    let log = format!("FLINK_LOG_DIR={}", lab.dir().display());
    let plan =
        lab.spawn(std::path::Path::new("/usr/bin/env"), &[&log, script, "info", "-p", "1", jar]).wait().ok();
    println!("flink info, by Flink's own client: {:?}", plan.took);
    assert!(plan.stdout.contains("Execution Plan") && plan.stdout.contains("\"nodes\""), "{}", plan.stdout);
    assert!(plan.stderr.contains("handing over to Flink's own client"), "{}", plan.stderr);
}

fn configuration(lab: &Lab) {
    let key = "taskmanager.numberOfTaskSlots";
    let told =
        |args: &[&str]| lab.kobel(&[&["config", "explain", key, "-o", "json"], args].concat()).ok().json();
    assert_eq!(told(&["--slots", "3"])[0]["value"], "3");
    assert_eq!(told(&["--slots", "3"])[0]["origin"], "--slots");
    let beaten = told(&["--slots", "3", "-D", &format!("{key}=4")]);
    assert_eq!((&beaten[0]["value"], &beaten[0]["origin"]), (&"4".into(), &"-D".into()));
    let in_file = told(&[])[0]["origin"].as_str().unwrap().to_string();
    assert!(in_file.contains("/conf/") && in_file.contains(".yaml:"), "file and line: {in_file}");
    let shown = lab.kobel(&["config", "show", "-D", "s3.secret-key=hush"]).ok();
    assert!(shown.stdout.contains("s3.secret-key") && !shown.stdout.contains("hush"), "{}", shown.stdout);
    lab.kobel(&["config", "explain", "no.such.key"]).expect(1);
}

/// What is known of the cluster after [`scaling_and_restarting`], of which one job runs.
fn description(lab: &Lab, job: &str) {
    let described = lab.kobel(&["describe"]).ok();
    println!("describe: {:?}\n{}", described.took, described.stdout);
    for told in ["Ready", "Workers:", "tm-1", "released", job, "--slots", "restart-requested"] {
        let all = lab.kobel(&["describe", "-o", "wide"]).ok().stdout;
        assert!(all.contains(told), "{told} is not in\n{all}");
    }
    let (told, now) = (lab.kobel(&["describe", "default", "-o", "json"]).ok().json(), status(lab));
    for field in ["name", "state", "restUrl", "masters", "taskManagers"] {
        assert_eq!(told[field], now[field], "{field}");
    }
    let worker = |id: &str| {
        let all = told["workers"].as_array().expect("workers");
        all.iter().find(|worker| worker["id"] == id).unwrap_or_else(|| panic!("{id}: {told}")).clone()
    };
    assert_eq!(worker("tm-0")["process"]["pid"], pid(lab, 0));
    assert_eq!(worker("jm-0")["process"]["pid"], jm_pid(lab));
    assert!(worker("jm-0")["restarts"].as_u64() >= Some(2), "it was restarted twice: {told}");
    assert_eq!(
        (&worker("tm-1")["process"], &worker("tm-1")["lastExit"]["cause"]),
        (&Value::Null, &"released".into())
    );
    assert_eq!(told["jobList"][0]["id"], job);
    for file in told["files"].as_array().expect("files") {
        let path = file["path"].as_str().expect("a path");
        assert!(std::path::Path::new(path).exists(), "{path}");
    }
}

/// The settings of the cluster: those it runs with, whatever a start would use now.
fn settings_of_the_cluster(lab: &Lab) {
    let all = lab.kobel(&["config", "show", "default", "-o", "json"]).ok().json();
    let told = |key: &str| {
        let setting = all.as_array().expect("settings").iter().find(|setting| setting["key"] == key);
        setting.unwrap_or_else(|| panic!("{key} is not in {all}")).clone()
    };
    let slots = told("taskmanager.numberOfTaskSlots");
    assert_eq!((&slots["value"], &slots["origin"]), (&"2".into(), &"--slots".into()));
    let url = status(lab)["restUrl"].as_str().map_or(String::new(), str::to_string);
    assert!(url.ends_with(told("rest.port")["value"].as_str().expect("a port")), "{url}");
    assert_eq!(told("heartbeat.interval")["origin"], "kobel: a quick recovery");
    assert_eq!(told("taskmanager.memory.task.heap.size")["origin"], "kobel: memory model");
    lab.kobel(&["config", "show", "nope"]).expect(4);
    lab.kobel(&["config", "show", "default", "--slots", "3"]).expect(2);
}

/// Nothing that the running cluster or a training needs is taken.
fn collecting(lab: &Lab) {
    let (before, processes) = (status(lab), (pid(lab, 0), jm_pid(lab)));
    let shown = lab.kobel(&["gc", "--dry-run", "--ended-for", "0s"]).ok();
    println!("gc --dry-run: {:?}\n{}{}", shown.took, shown.stdout, shown.stderr);
    lab.kobel(&["gc", "--ended-for", "0s"]).ok();
    assert_eq!(
        lab.kobel(&["gc", "--dry-run", "-o", "json"]).ok().json(),
        serde_json::json!([]),
        "the second"
    );
    assert_eq!((&status(lab)["state"], &before["state"]), (&"Ready".into(), &"Ready".into()));
    assert_eq!((pid(lab, 0), jm_pid(lab)), processes);
}

/// Starts a session whose jobs make checkpoints that stay.
fn start_checkpointing(lab: &Lab) {
    let checkpoints = format!("execution.checkpointing.dir=file://{}", lab.path("checkpoints").display());
    let retained = "execution.checkpointing.externalized-checkpoint-retention=RETAIN_ON_CANCELLATION";
    let options = ["-D", &checkpoints, "-D", retained, "-D", "execution.checkpointing.interval=300ms"];
    lab.kobel(&[&["start", "--slots", "2"][..], &options].concat()).ok();
}

/// The numbers of a job's completed checkpoints, the newest first, and how often it was restored.
fn checkpoints(lab: &Lab, id: &str) -> (Vec<u64>, u64) {
    // A job that is only just submitted cannot be asked.
    let known = wait::until("the job tells of its checkpoints", SOON, || {
        let asked = lab.kobel(&["job", "checkpoints", id, "-o", "json"]);
        if asked.code == 0 { Ok(asked.json()) } else { Err(asked.stderr) }
    });
    let list = known["history"].as_array().unwrap().iter();
    let completed = list.filter(|one| one["state"] == "COMPLETED" && one["kind"] == "checkpoint");
    (completed.filter_map(|one| one["id"].as_u64()).collect(), known["counts"]["restored"].as_u64().unwrap())
}

fn until_checkpointed(lab: &Lab, id: &str) {
    wait::until("a checkpoint is completed", SOON, || match checkpoints(lab, id).0 {
        list if list.is_empty() => Err("none yet".into()),
        _ => Ok(()),
    });
}

/// Runs the program from the newest there is, and tells what was said of that and the job.
fn from_latest(lab: &Lab, jar: &str) -> (String, String) {
    let run = lab.kobel(&["run", "-d", "--from", "latest", jar]).ok();
    let told = run.stderr.lines().find(|line| line.contains("starting from the")).map(String::from);
    let id = run.stdout.trim().rsplit(' ').next().expect("an id").to_string();
    println!("{told:?}");
    (told.unwrap_or_else(|| panic!("not told: {}", run.stderr)), id)
}

fn events(lab: &Lab) -> Vec<String> {
    let list = lab.kobel(&["events", "default", "-o", "json"]).ok().json();
    list.as_array().unwrap().iter().map(|e| e["kind"].as_str().unwrap().to_string()).collect()
}

on_each_flink! {
    fn every_verb_of_a_session_does_what_it_says(flink: Flink) {
        let lab = Lab::with_flink("verbs", &flink);
        let sleeping = compile_job(&flink, "SleepingJob", lab.dir());
        let failing = compile_job(&flink, "FailingJob", lab.dir());
        lab.kobel(&["start", "--slots", "2"]).ok();
        let attached = lab.spawn_kobel(&["attach"]);
        let followed = lab.spawn_kobel(&["events", "-f", "-o", "json"]);

        configuration(&lab);
        scaling_and_restarting(&lab);
        savepoints(&lab, sleeping.to_str().unwrap());
        exceptions(&lab, failing.to_str().unwrap());
        settings_of_the_cluster(&lab);
        collecting(&lab);

        let leaving = lab.spawn_kobel(&["attach", "default"]);
        wait::until("it is attached", SOON, || match leaving.stderr() {
            told if told.contains("attached to default") => Ok(()),
            told => Err(told),
        });
        leaving.signal("INT");
        assert!(leaving.wait().expect(130).stderr.contains("kobel stop default"));

        lab.kobel(&["stop"]).ok();
        attached.wait().expect(0);
        let followed = followed.wait().expect(0);
        let seen = events(&lab);
        assert_eq!(followed.stdout.lines().count(), seen.len(), "followed to the end:\n{}", followed.stdout);
        for kind in ["agent-started", "scaled", "restart-requested", "worker-exited", "stop-requested"] {
            assert!(seen.iter().any(|s| s == kind), "{kind} is not in {seen:?}");
        }
        assert!(lab.kobel(&["events"]).ok().stdout.ends_with("Stopped: stopped by `kobel stop`\n"));
        lab.no_process_left();

        let described = lab.kobel(&["describe"]).ok();
        assert!(described.stdout.contains("Stopped"), "one that is over is described too: {}", described.stdout);
        lab.kobel(&["config", "show", "default"]).ok();
        let worker = lab.path("state/clusters/default/workers/tm-0.1/tmp");
        std::fs::create_dir_all(&worker).expect("a directory such as a dead agent leaves");
        let found = lab.kobel(&["gc", "--dry-run", "-o", "json"]).ok().json();
        assert_eq!((&found[0]["kind"], &found[1]), (&"worker-dir".into(), &Value::Null), "{found}");
        let forgotten = lab.kobel(&["gc", "--ended-for", "0s", "-o", "json"]).ok().json();
        assert_eq!((&forgotten[0]["kind"], &forgotten[0]["removed"]), (&"record".into(), &true.into()));
        assert_eq!(lab.kobel(&["ps", "-o", "name"]).ok().stdout, "");
        assert!(lab.kobel(&["gc"]).ok().stderr.contains("nothing to remove"));
    }

    fn a_program_goes_on_from_the_latest_also_in_the_next_cluster(flink: Flink) {
        let lab = Lab::with_flink("latest", &flink);
        let jar = compile_job(&flink, "SleepingJob", lab.dir());
        let jar = jar.to_str().unwrap();
        start_checkpointing(&lab);
        let none = lab.kobel(&["run", "--from", "latest", jar]).expect(4);
        assert!(none.stderr.contains("SleepingJob") && none.stderr.contains("-s PATH"), "{}", none.stderr);
        lab.kobel(&["run", "--from", "latest", "-s", "x", jar]).expect(2);
        for args in [&["run", "-s", "/nowhere/x", jar][..], &["run", "-d", "-s", "/nowhere/x", jar]] {
            let absent = lab.kobel(args).expect(7);
            assert!(absent.stderr.contains("/nowhere/x") && !absent.stderr.contains("--per-job"), "{}", absent.stderr);
        }

        let first = start_job(&lab, &[jar]);
        until_checkpointed(&lab, &first);
        lab.kobel(&["job", "cancel", &first]).ok();
        let (told, second) = from_latest(&lab, jar);
        assert!(told.contains("checkpoint") && told.contains(&first) && told.contains("/chk-"), "{told}");
        until_checkpointed(&lab, &second);
        assert_eq!(checkpoints(&lab, &second).1, 1, "it was restored");

        // Nobody says where to: nothing is stopped.
        let refused = lab.kobel(&["stop", "--savepoint"]).expect(5);
        assert!(refused.stderr.contains("goes on") && refused.stderr.contains("--savepoint DIR"), "{}", refused.stderr);
        let third = start_job(&lab, &[jar]);
        let savepoints = lab.path("savepoints");
        let stopped = lab.kobel(&["stop", "default", "--savepoint", savepoints.to_str().unwrap()]).ok();
        println!("stop of two jobs with savepoints, and the cluster: {:?}", stopped.took);
        let mut lines: Vec<_> = stopped.stdout.lines().map(|line| line.split_once(' ').unwrap()).collect();
        lines.sort_unstable();
        let mut jobs = [second.as_str(), third.as_str()];
        jobs.sort_unstable();
        assert_eq!(lines.iter().map(|(job, _)| *job).collect::<Vec<_>>(), jobs, "{}", stopped.stdout);
        for (_, path) in &lines {
            let path = std::path::Path::new(path.trim_start_matches("file:"));
            assert!(path.join("_metadata").is_file(), "{}", path.display());
        }
        lab.no_process_left();

        start_checkpointing(&lab);
        let refused = lab.kobel(&["run", "--from", "latest", jar]).expect(2);
        assert!(refused.stderr.contains(&second) && refused.stderr.contains(&third), "{}", refused.stderr);
        let lost = savepoints.join(lines.iter().find(|(job, _)| *job == third).unwrap().1.rsplit('/').next().unwrap());
        std::fs::remove_dir_all(lost).unwrap();
        let (told, fourth) = from_latest(&lab, jar);
        assert!(told.contains("savepoint") && told.contains(&second), "{told}");
        until_checkpointed(&lab, &fourth);

        // A session that is killed knows of no end; the newest checkpoint lies beside the one it saw.
        let record = lab.cluster_dir("default").join("snapshots.json");
        wait::until("the agent has seen one", SOON, || match std::fs::read_to_string(&record) {
            Ok(text) if text.contains(&fourth) => Ok(()),
            other => Err(format!("{other:?}")),
        });
        let newest = checkpoints(&lab, &fourth).0[0];
        lab.kobel(&["kill", "default"]).ok();
        start_checkpointing(&lab);
        let (told, _) = from_latest(&lab, jar);
        let number = told.rsplit("/chk-").next().and_then(|n| n.trim().parse::<u64>().ok());
        assert!(told.contains(&fourth) && number >= Some(newest), "{told}, {newest}");
        lab.kobel(&["stop"]).ok();
        lab.no_process_left();
    }

    fn flinks_own_command_does_with_jobs_what_it_always_did(flink: Flink) {
        let lab = Lab::with_flink("flink-command", &flink);
        let sleeping = compile_job(&flink, "SleepingJob", lab.dir());
        lab.kobel(&["start"]).ok();
        flinks_command(&lab, sleeping.to_str().unwrap());
        lab.kobel(&["stop"]).ok();
        lab.no_process_left();
    }
}
