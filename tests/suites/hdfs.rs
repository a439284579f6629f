//! Local sessions that read and write a real HDFS, with Hadoop's jars and configuration by their variables.

use std::{collections::HashMap, fs, os::unix::fs::PermissionsExt, path::PathBuf, time::Duration};

use kobel_kit::{
    Flink, Lab, compile_job, example_jar,
    hadoop::{self, Cluster, Hadoop, Hdfs, Setup},
    on_each_flink, wait,
};

const WORD_COUNT: &str = "org.apache.flink.streaming.examples.wordcount.WordCount";
const TEXT: &str = "to be or not to be\nthat is the question\nto sleep\n";

/// A lab whose commands find this HDFS. The configuration is a copy that the test may change.
fn lab_on(test: &str, flink: &Flink, cluster: &Cluster) -> Lab {
    let mut lab = Lab::with_flink(test, flink);
    for entry in fs::read_dir(cluster.conf_dir()).expect("the configuration") {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_file() {
            lab.file(&format!("hadoop/{name}"), &fs::read_to_string(&path).unwrap());
        }
    }
    lab.env("HADOOP_CONF_DIR", lab.path("hadoop").to_str().unwrap());
    let hadoop = Hadoop::from_env().expect("the cluster has jars");
    lab.env("HADOOP_CLASSPATH", &hadoop.class_path());
    lab
}

/// A directory on HDFS that is this test's own, gone when it is dropped.
struct Place<'a> {
    hdfs: &'a Hdfs,
    path: String,
}

impl<'a> Place<'a> {
    fn new(hdfs: &'a Hdfs, test: &str, flink: &Flink) -> Self {
        let path = format!("/suite/{test}-{}", flink.version);
        hdfs.mkdir(&hdfs.superuser, &path, "700");
        Self { hdfs, path }
    }

    fn uri(&self, name: &str) -> String {
        format!("{}{}/{name}", self.hdfs.uri(), self.path)
    }

    /// The files below a directory, each by its path on HDFS.
    fn files(&self, name: &str) -> Vec<String> {
        files_below(self.hdfs, &format!("{}/{name}", self.path))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.hdfs.remove(&self.path);
        }
    }
}

fn files_below(hdfs: &Hdfs, dir: &str) -> Vec<String> {
    let entries = if hdfs.status(dir).is_some() { hdfs.list(dir) } else { Vec::new() };
    let each = entries.iter().map(|entry| {
        let path = format!("{dir}/{}", entry["pathSuffix"].as_str().expect("a name"));
        if entry["type"] == "DIRECTORY" { files_below(hdfs, &path) } else { vec![path] }
    });
    each.collect::<Vec<_>>().concat()
}

/// The total of each word that WordCount wrote: the highest of its running counts.
fn counts(place: &Place<'_>) -> HashMap<String, u32> {
    let mut counts = HashMap::new();
    for file in place.files("counts") {
        for line in place.hdfs.read(&file).lines() {
            let (word, n) = line.trim_matches(['(', ')']).rsplit_once(',').expect("(word,n)");
            let total: &mut u32 = counts.entry(word.to_string()).or_default();
            *total = n.parse::<u32>().unwrap().max(*total);
        }
    }
    counts
}

/// The class path of a worker's process and the directory of Hadoop's configuration at its end.
fn class_path(worker: &serde_json::Value) -> (Vec<String>, PathBuf) {
    let command = fs::read(format!("/proc/{}/cmdline", worker["pid"])).expect("a living process");
    let command = String::from_utf8(command).unwrap();
    let mut args = command.split('\0');
    args.find(|arg| *arg == "-classpath").expect("a class path");
    let mut path: Vec<String> = args.next().unwrap().split(':').map(String::from).collect();
    let conf = path.pop().expect("entries").into();
    (path, conf)
}

/// Flink's jars, then Hadoop's, each by its name and in order, then the configuration, which is private.
fn assert_class_path(worker: &serde_json::Value, flink: &Flink, hadoop: &Hadoop) {
    let (path, conf) = class_path(worker);
    let of_flink = path.iter().take_while(|jar| jar.starts_with(flink.home.to_str().unwrap())).count();
    assert!(of_flink > 5 && path[of_flink - 1].contains("flink-dist"), "{path:?}");
    let jars: Vec<_> = hadoop.jars().iter().map(|jar| jar.display().to_string()).collect();
    assert_eq!(path[of_flink..], jars);
    let mode = fs::metadata(conf.join("core-site.xml")).expect("the configuration").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// Waits until a checkpoint of the job is complete.
fn await_checkpoint(place: &Place<'_>, job: &str) {
    wait::until("a checkpoint is on HDFS", Duration::from_secs(60), || {
        let files = place.files("checkpoints");
        let done = files.iter().any(|file| file.contains(job) && file.ends_with("/_metadata"));
        if done { Ok(()) } else { Err(format!("{files:?}")) }
    });
}

on_each_flink! {
    fn word_count_reads_from_and_writes_to_hdfs(flink: Flink) {
        let Some(cluster) = hadoop::shared(Setup::hdfs) else { return };
        let (hdfs, hadoop) = (cluster.hdfs(), Hadoop::from_env().unwrap());
        let lab = lab_on("hdfs-wordcount", &flink, &cluster);
        let place = Place::new(hdfs, "wordcount", &flink);
        hdfs.put(&hdfs.superuser, &format!("{}/text", place.path), TEXT.as_bytes());

        let start = lab.kobel(&["start", "one", "-o", "json"]).ok();
        let status = start.json();
        assert_class_path(&status["masters"][0], &flink, &hadoop);
        assert_class_path(&status["taskManagers"]["list"][0], &flink, &hadoop);
        // What becomes of the directory later is nothing to a cluster that runs.
        lab.file("hadoop/core-site.xml", "<configuration>");
        lab.kobel(&["restart", "one", "tm", "0"]).ok();

        // Without host and port: fs.defaultFS says which HDFS.
        let output = format!("hdfs://{}/counts", place.path);
        let jar = example_jar(&flink);
        let run = lab
            .kobel(&[
                "run", "-c", WORD_COUNT, jar.to_str().unwrap(),
                "--input", &place.uri("text"), "--output", &output,
            ])
            .ok();
        let counted = counts(&place);
        assert_eq!((counted["to"], counted["be"], counted["question"]), (3, 2, 1), "{counted:?}");

        lab.kobel(&["stop", "one"]).ok();
        lab.no_process_left();
        assert!(lab.files("state/clusters/one/workers").is_empty());
        println!("Flink {}: start {:.1?}, WordCount on HDFS {:.1?}", flink.version, start.took, run.took);
    }

    fn checkpoints_and_savepoints_lie_on_hdfs(flink: Flink) {
        let Some(cluster) = hadoop::shared(Setup::hdfs) else { return };
        let lab = lab_on("hdfs-checkpoints", &flink, &cluster);
        let place = Place::new(cluster.hdfs(), "checkpoints", &flink);
        let jar = compile_job(&flink, "SleepingJob", lab.dir());
        let jar = jar.to_str().unwrap();
        let setting = |key: &str, value: &str| format!("{key}={value}");
        let [checkpoints, savepoints] = ["checkpoints", "savepoints"].map(|name| place.uri(name));
        lab.kobel(&[
            "start", "one",
            "-D", &setting("execution.checkpointing.dir", &checkpoints),
            "-D", &setting("execution.checkpointing.savepoint-dir", &savepoints),
            "-D", "execution.checkpointing.interval=300ms",
        ])
        .ok();
        let run = lab.kobel(&["run", "-d", jar]).ok();
        let id = run.stdout.trim().rsplit(' ').next().unwrap().to_string();
        await_checkpoint(&place, &id);
        let stopped = lab.kobel(&["job", "stop", &id]).ok();
        let savepoint = stopped.stdout.trim();
        assert!(savepoint.starts_with(&savepoints), "{savepoint}");
        assert!(place.files("savepoints").iter().any(|file| file.ends_with("/_metadata")));

        let again = lab.kobel(&["run", "-d", "-s", savepoint, jar]).ok();
        let id = again.stdout.trim().rsplit(' ').next().unwrap().to_string();
        await_checkpoint(&place, &id);
        lab.kobel(&["job", "cancel", &id]).ok();
        lab.kobel(&["stop", "one"]).ok();
        lab.no_process_left();
    }

    fn without_hadoops_jars_a_path_on_hdfs_is_refused_before_the_start(flink: Flink) {
        let mut lab = Lab::with_flink("hdfs-none", &flink);
        let stock = fs::read_to_string(flink.home.join("conf/config.yaml"))
            .or_else(|_| fs::read_to_string(flink.home.join("conf/flink-conf.yaml")))
            .unwrap();
        let stock = stock.trim_end();
        let line = stock.lines().count() + 1;
        lab.file("conf/config.yaml", &format!("{stock}\nstate.checkpoints.dir: hdfs://nn/c\n"));
        lab.env("FLINK_CONF_DIR", lab.path("conf").to_str().unwrap());
        let refused = lab.kobel(&["start", "one"]).expect(5);
        let place = format!("hdfs://nn/c ({}:{line})", lab.path("conf/config.yaml").display());
        assert!(refused.stderr.contains(&place), "{place}: {}", refused.stderr);
        assert!(refused.stderr.contains("HADOOP_CLASSPATH is not set"), "{}", refused.stderr);
        assert!(refused.stderr.contains("hint: export HADOOP_CLASSPATH="), "{}", refused.stderr);
        assert!(!lab.cluster_dir("one").exists(), "nothing is left");
        lab.no_process_left();
    }

    fn a_broken_hadoop_configuration_is_refused_with_its_line(flink: Flink) {
        let mut lab = Lab::with_flink("hdfs-broken", &flink);
        let hostile = "<!DOCTYPE c [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>\n<configuration>&x;</configuration>";
        let site = lab.file("hadoop/core-site.xml", hostile);
        let jar = lab.file("hadoop-none.jar", "");
        lab.env("HADOOP_CONF_DIR", lab.path("hadoop").to_str().unwrap());
        lab.env("HADOOP_CLASSPATH", jar.to_str().unwrap());
        let refused = lab.kobel(&["start", "one"]).expect(5);
        let place = format!("{}:1: ", site.display());
        assert!(refused.stderr.contains(&place) && !refused.stderr.contains("root:"), "{}", refused.stderr);
        let doctor = lab.kobel(&["doctor"]).expect(5);
        assert!(doctor.stdout.contains(&place), "{}", doctor.stdout);
        assert!(!lab.cluster_dir("one").exists(), "nothing is left");
    }
}
