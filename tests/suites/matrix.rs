//! The supported Flinks and Hadoops: on each a session starts, runs a job, and stops; with two JobManagers it fails over.
//! The homes are the directories in those that `KOBEL_TEST_MATRIX` and `KOBEL_TEST_MATRIX_HADOOP` name;
//! `scripts/test.sh --matrix` fetches them and sets both.

use std::{env, fs, path::PathBuf, time::Duration};

use kobel_kit::{
    Flink, Lab, compile_job, example_jar,
    hadoop::{Cluster, Hadoop, Setup},
    wait,
};

const WORD_COUNT: &str = "org.apache.flink.streaming.examples.wordcount.WordCount";

/// The homes of a matrix by version, or none where nobody asked for it.
fn matrix(variable: &str) -> Vec<PathBuf> {
    let Some(dir) = env::var_os(variable).map(PathBuf::from) else {
        eprintln!("skipped: {variable} is not set; scripts/test.sh --matrix sets it");
        return Vec::new();
    };
    let entries = fs::read_dir(&dir).unwrap_or_else(|e| panic!("{variable} is no directory: {e}"));
    let mut homes: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    homes.retain(|home| home.join("lib").is_dir());
    homes.sort();
    assert!(!homes.is_empty(), "{} is empty: run scripts/test.sh --matrix", dir.display());
    homes
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

/// Every process takes the timings that kobel gives it: some of those keys changed their type.
fn fails_over(flink: &Flink) {
    let lab = Lab::with_flink("matrix-ha", flink);
    let storage = format!("high-availability.storageDir=file://{}", lab.path("ha").display());
    lab.kobel(&["start", "ha", "--masters", "2", "--zookeeper", "embedded", "-D", &storage]).ok();
    let drill = lab.kobel(&["failover", "ha"]).ok();
    println!("Flink {}: {}", flink.version, drill.stdout);
    lab.kobel(&["stop", "ha"]).ok();
    lab.no_process_left();
}

#[test]
fn every_supported_flink_starts_runs_a_job_fails_over_and_stops() {
    for flink in matrix("KOBEL_TEST_MATRIX").into_iter().map(Flink::at) {
        starts_runs_and_stops(&flink);
        fails_over(&flink);
    }
}

/// A session on this Hadoop: WordCount from HDFS to HDFS, a TaskManager more, and its end.
fn serves_on_yarn(cluster: &Cluster, flink: &Flink) {
    let (hdfs, user) = (cluster.hdfs(), "ann");
    let lab = cluster.lab(user, "matrix-yarn", flink);
    let sizes = ["--jm-mem", "1g", "--tm-mem", "800m"];
    let start = lab.kobel(&[&["start", "one", "--on", "yarn", "--tm", "1"], &sizes[..]].concat()).ok();

    let output = format!("/user/{user}/counts-{}", flink.version);
    let places = [hdfs.uri() + "/user/ann/text", hdfs.uri() + &output];
    let jar = example_jar(flink);
    let job = ["-c", WORD_COUNT, jar.to_str().unwrap(), "--input", &places[0], "--output", &places[1]];
    let run = lab.kobel(&[&["run"], &job[..]].concat()).ok();
    assert!(run.stdout.contains("has finished."), "{}", run.stdout);
    let below = |dir: &str| -> Vec<String> {
        hdfs.list(dir).iter().map(|f| format!("{dir}/{}", f["pathSuffix"].as_str().unwrap())).collect()
    };
    let counts: String =
        below(&output).iter().flat_map(|dir| below(dir)).map(|file| hdfs.read(&file)).collect();
    assert!(counts.contains("(to,2)") && counts.contains("(not,1)"), "{counts}");

    let scale = lab.kobel(&["scale", "one", "--tm", "2"]).ok();
    let status = lab.kobel(&["status", "one", "-o", "json"]).json();
    assert_eq!((&status["state"], &status["taskManagers"]["running"]), (&"Ready".into(), &2.into()));
    let stop = lab.kobel(&["stop", "one"]).ok();
    lab.no_process_left();
    cluster.no_container_left();
    for app in cluster.yarn().apps() {
        assert_eq!(app["finalStatus"], "SUCCEEDED", "{app}");
    }
    assert!(hdfs.list(&format!("/user/{user}/.kobel/apps")).is_empty());
    println!(
        "  Flink {}: start {:.1?}, run {:.1?}, scale {:.1?}, stop {:.1?}",
        flink.version, start.took, run.took, scale.took, stop.took
    );
}

#[test]
fn every_supported_hadoop_carries_a_session() {
    for home in matrix("KOBEL_TEST_MATRIX_HADOOP") {
        println!("Hadoop {}", home.file_name().unwrap().display());
        let cluster = Cluster::start(&Hadoop::at(home), Setup::yarn());
        let hdfs = cluster.hdfs();
        hdfs.home_of("ann");
        hdfs.put("ann", "/user/ann/text", b"to be or not to be\n");
        for flink in [Flink::v1(), Flink::v2()].into_iter().flatten() {
            serves_on_yarn(&cluster, &flink);
        }
    }
}
