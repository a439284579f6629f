//! Sessions on a real YARN with a real HDFS: start, run, scale, end, and nothing left of them.

mod archives;
mod sharing;

use std::{
    fs,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kobel_hadoop_rpc::yarn::{ApplicationId, Submission};
use kobel_kit::{
    Flink, Lab, compile_job, example_jar,
    hadoop::{self, Cluster, Setup, Shared, Site},
    on_each_flink, wait,
};
use kobel_session::yarn::{manager::Manager, rest::RmRest};
use serde_json::Value;

const WORD_COUNT: &str = "org.apache.flink.streaming.examples.wordcount.WordCount";
const USER: &str = "ann";
/// Longer than YARN takes for anything here.
const PROMPT: Duration = Duration::from_secs(60);
/// One TaskManager below Flink's own floor, as `yarn-session.sh -tm 800` was always called.
const SIZES: [&str; 6] = ["--jm-mem", "1g", "--tm-mem", "800m", "--slots", "1"];

/// A developer's disk is fuller than YARN's default takes for healthy.
fn setup() -> Setup {
    let setup = Setup::yarn().set(Site::Yarn, "yarn.nodemanager.disk-health-checker.enable", "false");
    setup.set(Site::Yarn, "yarn.log-aggregation-enable", "true")
}

/// The cluster, for one test at a time: containers are counted.
struct Yarn {
    cluster: Shared,
    _turn: MutexGuard<'static, ()>,
}

impl Yarn {
    fn get() -> Option<Self> {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let cluster = hadoop::shared(setup)?;
        Some(Self { cluster, _turn: turn })
    }

    /// A lab without Java and without Hadoop, but for its configuration.
    fn lab(&self, test: &str, flink: &Flink) -> Lab {
        self.lab_of(USER, test, flink)
    }

    /// The same for another user.
    fn lab_of(&self, user: &str, test: &str, flink: &Flink) -> Lab {
        self.cluster.lab(user, test, flink)
    }

    /// Whatever is left: applications that are not over, directories of applications, containers.
    fn nothing_left(&self, lab: &Lab) {
        self.cluster.yarn().no_application_left(PROMPT);
        self.cluster.no_container_left();
        let apps = self.cluster.hdfs().list(&format!("/user/{USER}/.kobel/apps"));
        assert!(apps.is_empty(), "{apps:?}");
        lab.no_process_left();
    }
}

fn start(lab: &Lab, more: &[&str]) -> kobel_kit::Done {
    let args = [&["start", "wc", "--on", "yarn"], &SIZES[..], more].concat();
    lab.kobel(&args)
}

fn status(lab: &Lab) -> Value {
    lab.kobel(&["status", "wc", "-o", "json"]).json()
}

/// The application's id.
fn application(status: &Value) -> String {
    status["yarn"]["applicationId"].as_str().expect("an application").into()
}

/// What YARN says of it.
fn app(cluster: &Cluster, id: &str) -> Value {
    cluster.yarn().get(&format!("/apps/{id}")).expect("the ResourceManager answers")["app"].clone()
}

on_each_flink! {
    fn a_session_comes_serves_grows_and_goes(flink: Flink) {
        let Some(yarn) = Yarn::get() else { return };
        let lab = yarn.lab("yarn", &flink);
        lab.file("deps/words.txt", "shipped\n");
        let pack = ["-czf", "data.tgz", "-C", "deps", "words.txt"];
        lab.spawn(Path::new("/usr/bin/tar"), &pack).wait().ok();
        let started = start(&lab, &["--tm", "2", "--ship", "deps", "--ship", "data.tgz"]).ok();
        println!("ready after {:?}", started.took);
        let now = status(&lab);
        assert_eq!((now["state"].as_str(), now["provider"].as_str()), (Some("Ready"), Some("yarn")), "{now}");
        assert_eq!(now["taskManagers"]["running"], 2);
        for tm in now["taskManagers"]["list"].as_array().unwrap() {
            assert!(tm["container"].as_str().unwrap().starts_with("container_"), "{tm}");
        }
        let id = application(&now);
        assert_eq!(app(&yarn.cluster, &id)["user"], USER);

        let input = lab.file("in.txt", "to be or not to be\n");
        let (output, jar) = (lab.path("counts"), example_jar(&flink));
        let run = lab.kobel(&[
            "run", "--cluster", "wc", "-c", WORD_COUNT, jar.to_str().unwrap(),
            "--input", input.to_str().unwrap(), "--output", output.to_str().unwrap(),
        ]).ok();
        assert!(run.stdout.contains("Program execution finished"), "{}", run.stdout);
        let counts: String = lab.files("counts").iter().map(|file| fs::read_to_string(file).unwrap()).collect();
        assert!(counts.contains("(to,2)") && counts.contains("(not,1)"), "{counts}");
        assert!(lab.kobel(&["job", "list", "--cluster", "wc"]).ok().stdout.contains("FINISHED"));

        lab.kobel(&["scale", "wc", "--tm", "3"]).ok();
        assert_eq!(status(&lab)["taskManagers"]["running"], 3);
        lab.kobel(&["scale", "wc", "--tm", "1"]).ok();
        assert!(lab.kobel(&["events", "wc"]).ok().stdout.contains("tm-2.1 runs"));

        let logs = lab.kobel(&["logs", "wc"]).ok().stdout;
        assert!(logs.contains("==> jm-0.1.log <==") && logs.contains("==> tm-0.1.log <=="), "{logs}");
        let following = lab.spawn_kobel(&["logs", "wc", "-f", "--jm", "--tail", "0"]);
        // What was shipped lies in the directory that JobManager and TaskManagers work in.
        for input in ["deps/words.txt", "data.tgz/words.txt"] {
            let output = lab.path("counted").join(input);
            lab.kobel(&[
                "run", "--cluster", "wc", "-c", WORD_COUNT, jar.to_str().unwrap(),
                "--input", input, "--output", output.to_str().unwrap(),
            ]).ok();
            let counts: String = lab.files(output.strip_prefix(lab.dir()).unwrap().to_str().unwrap())
                .iter().map(|file| fs::read_to_string(file).unwrap()).collect();
            assert!(counts.contains("(shipped,1)"), "{input}: {counts}");
        }
        wait::until("what the JobManager logs of the job", PROMPT, || match following.stdout() {
            text if text.contains("switched from state RUNNING to FINISHED") => Ok(()),
            text => Err(text),
        });
        // Of its two jobs Flink 1 runs one without a word but in its log, which is not on this machine; Flink 2 refuses
        // the second.
        let several = compile_job(&flink, "SeveralJobs", lab.dir());
        let run = lab.kobel(&["run", "--cluster", "wc", several.to_str().unwrap(), "apart"]).expect(7);
        let told = ["it has several jobs", "Application has already been submitted"];
        assert!(told.iter().any(|words| run.stderr.contains(words)), "{}", run.stderr);

        lab.kobel(&["stop", "wc"]).ok();
        following.wait().ok();
        assert_eq!(lab.kobel(&["logs", "wc", "--agent"]).ok().stdout.matches("jm-0.1 runs").count(), 1, "they stay");
        let over = status(&lab);
        assert_eq!((over["state"].as_str(), over["reason"].as_str()), (Some("Stopped"), Some("stopped by `kobel stop`")));
        assert_eq!(app(&yarn.cluster, &id)["finalStatus"], "SUCCEEDED");
        yarn.nothing_left(&lab);
        lab.kobel(&["rm", "wc"]).ok();
        assert!(!lab.cluster_dir("wc").exists());
    }
}

/// What YARN's own tools do to it is told for what it was. Case 62 of reference/reliability.md, section 3.
#[test]
fn a_session_that_yarn_killed_has_failed_and_says_why() {
    let (Some(flink), Some(yarn)) = (Flink::v1(), Yarn::get()) else { return };
    let mut lab = yarn.lab("yarn-killed", &flink);
    lab.env("KOBEL_YARN_API", "rpc");
    start(&lab, &["--tm", "1"]).ok();
    let id = application(&status(&lab));
    let url = format!("{}/ws/v1/cluster/apps/{id}/state?user.name=mallory", yarn.cluster.yarn().web());
    let headers = [("Content-Type", "application/json")];
    let reply =
        kobel_kit::http::send("PUT", &url, &headers, br#"{"state":"KILLED","diagnostics":"by the test"}"#);
    assert!(reply.unwrap().status < 300);
    lab.kobel(&["wait", "wc", "--for", "stopped", "--timeout", "60s"]).expect(7);
    let over = status(&lab);
    assert_eq!(over["state"], "Failed");
    let reason = over["reason"].as_str().unwrap();
    assert!(reason.contains("by the test") && reason.contains("mallory"), "{over}");
    // Its master could keep nothing, but YARN has collected what there was.
    let logs = lab.kobel(&["logs", "wc", "--all"]).ok();
    println!("collected logs after {:?}", logs.took);
    for line in [
        "==> agent.log <==",
        "==> jm-0.1.log <==",
        "==> tm-0.1.log <==",
        "Registering TaskManager with ResourceID tm-0.1",
        "Successful registration at resource manager",
    ] {
        assert!(logs.stdout.contains(line), "{line} in: {}", logs.stdout);
    }
    let again = lab.kobel(&["logs", "wc", "--tm", "0", "--tail", "1"]).ok();
    assert!(again.stdout.lines().count() > 0, "{again:?}");
    // Its name is free again, and what it left on HDFS goes with its record.
    lab.kobel(&["rm", "wc"]).ok();
    yarn.nothing_left(&lab);
}

#[test]
fn a_start_that_is_interrupted_takes_everything_back() {
    let (Some(flink), Some(yarn)) = (Flink::v1(), Yarn::get()) else { return };
    let lab = yarn.lab("yarn-interrupted", &flink);
    let args = [&["start", "wc", "--on", "yarn", "--tm", "1"], &SIZES[..]].concat();
    let starting = lab.spawn_kobel(&args);
    wait::until("the application is there", PROMPT, || {
        let record = lab.cluster_dir("wc").join("yarn.json");
        if record.exists() { Ok(()) } else { Err(starting.stderr()) }
    });
    starting.signal("INT");
    assert_eq!(starting.wait().code, 130);
    yarn.nothing_left(&lab);
    assert!(!lab.cluster_dir("wc").exists());
}

#[test]
fn a_master_that_hangs_is_killed_by_way_of_yarn() {
    let (Some(flink), Some(yarn)) = (Flink::v1(), Yarn::get()) else { return };
    let lab = yarn.lab("yarn-hangs", &flink);
    start(&lab, &["--tm", "0"]).ok();
    let master = status(&lab)["agent"]["pid"].as_i64().expect("a process id");
    let pause = std::process::Command::new("kill").arg("-STOP").arg(master.to_string()).status();
    assert!(pause.expect("kill").success());
    lab.kobel(&["kill", "wc"]).ok();
    assert_eq!(status(&lab)["reason"], "killed by `kobel kill`");
    yarn.nothing_left(&lab);
}

/// Where the ResourceManager's web is out of reach, all goes over its RPC port: chosen, or found out.
#[test]
fn a_session_needs_no_web_of_the_resource_manager() {
    let (Some(flink), Some(yarn)) = (Flink::v1(), Yarn::get()) else { return };
    let mut lab = yarn.lab("yarn-rpc", &flink);
    for name in ["core-site.xml", "hdfs-site.xml", "yarn-site.xml"] {
        let text = fs::read_to_string(yarn.cluster.conf_dir().join(name)).unwrap();
        let web =
            "<property><name>yarn.resourcemanager.webapp.address</name><value>127.0.0.1:1</value></property>";
        lab.file(
            &format!("conf/{name}"),
            &text.replace("</configuration>", &format!("{web}</configuration>")),
        );
    }
    let conf_dir = lab.path("conf");
    lab.env("HADOOP_CONF_DIR", conf_dir.to_str().unwrap());
    lab.env("KOBEL_YARN_API", "rest");
    let blind = start(&lab, &["--tm", "0"]).expect(5);
    assert!(blind.stderr.contains("http://127.0.0.1:1 cannot be reached"), "{}", blind.stderr);

    lab.env("KOBEL_YARN_API", "rpc");
    start(&lab, &["--tm", "1"]).ok();
    let now = status(&lab);
    assert_eq!((now["state"].as_str(), now["yarn"]["queue"].as_str()), (Some("Ready"), Some("root.default")));
    let (input, output) = (lab.file("in.txt", "to be or not to be\n"), lab.path("counts"));
    let jar = example_jar(&flink);
    let job = ["--input", input.to_str().unwrap(), "--output", output.to_str().unwrap()];
    let run = ["run", "--cluster", "wc", "-c", WORD_COUNT, jar.to_str().unwrap()];
    lab.kobel(&[&run[..], &job[..]].concat()).ok();
    let logs = lab.kobel(&["logs", "wc"]).ok().stdout;
    assert!(logs.contains("==> tm-0.1.log <=="), "the nodes are found over RPC too: {logs}");
    lab.kobel(&["stop", "wc"]).ok();
    assert_eq!(status(&lab)["state"], "Stopped");

    lab.env("KOBEL_YARN_API", "auto");
    start(&lab, &["--tm", "0"]).ok();
    lab.kobel(&["kill", "wc"]).ok();
    assert_eq!(status(&lab)["state"], "Stopped");
    yarn.nothing_left(&lab);
}

/// Case 58 of reference/reliability.md, section 3.
#[test]
fn a_session_that_yarn_lets_wait_says_why() {
    let (Some(flink), Some(yarn)) = (Flink::v1(), Yarn::get()) else { return };
    let lab = yarn.lab("yarn-waits", &flink);
    // A small queue: what one master uses of its share leaves nothing for the next.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let rm = RmRest::new(&[yarn.cluster.yarn().web()], "alice").unwrap();
    let first = runtime.block_on(async {
        let id = rm.new_application().await.unwrap().id;
        rm.submit(&sleeper(id, "small"), PROMPT).await.unwrap();
        id
    });
    let waited = start(&lab, &["--tm", "0", "--queue", "small", "--timeout", "15s"]).expect(124);
    let why = "waits: queue root.small is full: it uses 1024 of 1638 MiB";
    assert!(waited.stderr.contains(why), "{}", waited.stderr);
    runtime.block_on(rm.kill(first, "the test is over", PROMPT)).unwrap();
    yarn.nothing_left(&lab);
}

/// An application that does nothing.
fn sleeper(id: ApplicationId, queue: &str) -> Submission {
    Submission { queue: Some(queue.into()), ..kobel_tests::submission(id, "sleeper", 1024, "sleep 300") }
}

/// Cases 56 and 57 of reference/reliability.md, section 3, among others.
#[test]
fn what_cannot_start_is_refused_before_anything_is_begun() {
    let (Some(flink), Some(yarn)) = (Flink::v1(), Yarn::get()) else { return };
    let mut lab = yarn.lab("yarn-refused", &flink);
    let before = yarn.cluster.yarn().apps().len();
    let huge = lab.kobel(&["start", "wc", "--on", "yarn", "--tm-mem", "999g"]).expect(5);
    assert!(huge.stderr.contains("a TaskManager of 999g does not fit: YARN gives out"), "{}", huge.stderr);
    let nowhere = lab.kobel(&["start", "wc", "--on", "yarn", "--queue", "nope", "--jm-mem", "1g"]).expect(7);
    assert!(nowhere.stderr.contains("unknown queue: nope"), "{}", nowhere.stderr);
    lab.kobel(&["start", "wc", "--queue", "default"]).expect(2);
    lab.env("HADOOP_CONF_DIR", "");
    let blind = lab.kobel(&["start", "wc", "--on", "yarn"]).expect(5);
    assert!(blind.stderr.contains("neither HADOOP_CONF_DIR nor YARN_CONF_DIR is set"), "{}", blind.stderr);
    yarn.nothing_left(&lab);
    assert_eq!(yarn.cluster.yarn().apps().len(), before + 1, "only the queue is YARN's to judge");
}
