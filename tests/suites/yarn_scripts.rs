//! `scripts/yarn-session.sh` and `scripts/flink` against a real YARN, as they are typed.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kobel_kit::{
    Done, Flink, Lab, example_jar,
    hadoop::{self, Hadoop, Setup, Shared, Site},
    kobel_binary, wait,
};
use serde_json::Value;

const WORD_COUNT: &str = "org.apache.flink.streaming.examples.wordcount.WordCount";
const USER: &str = "bob";
/// Longer than YARN takes for anything here.
const PROMPT: Duration = Duration::from_secs(60);

/// Logs are collected, and packed.
fn setup() -> Setup {
    let setup = Setup::yarn().set(Site::Yarn, "yarn.log-aggregation-enable", "true");
    setup.set(Site::Yarn, "yarn.nodemanager.log-aggregation.compression-type", "gz")
}

/// One test at a time: containers are counted.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A lab without Java and without Hadoop, but for its configuration; the properties file is in it.
fn lab(test: &str, flink: &Flink, cluster: &Shared) -> Lab {
    let mut lab = cluster.lab(USER, test, flink);
    let place = format!("yarn.properties-file.location: {}\n", lab.dir().display());
    let conf = lab.file("conf/config.yaml", &place);
    lab.env("FLINK_CONF_DIR", conf.parent().unwrap().to_str().unwrap());
    lab
}

fn properties_file(lab: &Lab) -> Option<String> {
    let entries = fs::read_dir(lab.dir()).unwrap().map(|entry| entry.unwrap().path());
    let named = |path: &Path| path.file_name().unwrap().to_str().unwrap().starts_with(".yarn-properties-");
    entries.into_iter().find(|path| named(path)).map(|path| fs::read_to_string(path).unwrap())
}

fn application(printed: &str) -> String {
    let line = printed.lines().find_map(|line| line.strip_prefix("YARN application: "));
    line.unwrap_or_else(|| panic!("no application in: {printed}")).into()
}

/// What YARN says of the application.
fn state(cluster: &Shared, id: &str) -> (String, String) {
    let app = cluster.yarn().get(&format!("/apps/{id}")).expect("the ResourceManager answers")["app"].clone();
    let text = |key: &str| app[key].as_str().unwrap_or_default().to_string();
    (text("state"), text("finalStatus"))
}

fn over(cluster: &Shared, id: &str) {
    wait::until("the application is over", PROMPT, || match state(cluster, id) {
        (state, status) if state == "FINISHED" && status == "SUCCEEDED" => Ok(()),
        other => Err(format!("{other:?}")),
    });
    cluster.no_container_left();
}

/// Without `-n` as Flink has it since 1.5: containers come for jobs, and are given back.
#[test]
fn without_n_containers_come_as_jobs_need_them_and_go() {
    let (Some(flink), Some(cluster)) = (Flink::v1(), hadoop::shared(setup)) else { return };
    let _turn = turn();
    let lab = lab("yarn-scripts-demand", &flink, &cluster);
    let idle = "-Dresourcemanager.taskmanager-timeout=3000";
    let started =
        lab.script("yarn-session.sh", &["-tm", "800", "-s", "1", "-jm", "1024", "-d", idle]).ok().stdout;
    let id = application(&started);
    let containers = |count: u64| {
        wait::until(&format!("{count} containers"), PROMPT, || {
            let app = cluster.yarn().get(&format!("/apps/{id}")).unwrap_or_default()["app"].clone();
            match app["runningContainers"].as_u64() {
                Some(now) if now == count => Ok(()),
                now => Err(format!("{now:?}")),
            }
        });
    };
    containers(1);
    let input = lab.file("in.txt", "to be or not to be\n");
    let (output, jar) = (lab.path("counts"), example_jar(&flink));
    let job = ["--input", input.to_str().unwrap(), "--output", output.to_str().unwrap()];
    let run =
        lab.kobel(&[&["run", "-c", WORD_COUNT, "-p", "2", jar.to_str().unwrap()], &job[..]].concat()).ok();
    println!("a job of 2 slots is over {:?} after its submission where there was no container", run.took);
    containers(1);
    let name = lab.kobel(&["ps", "-o", "name"]).ok().stdout;
    // YARN knows of their ends before the master hears of them.
    let events = wait::until("both are released", PROMPT, || {
        let events = lab.kobel(&["events", name.trim()]).ok().stdout;
        if events.matches(" released\n").count() >= 2 { Ok(events) } else { Err(events) }
    });
    assert!(events.contains("1 job needs 2 more slots: 2 TaskManagers"), "{events}");
    // Both at once, or one after the other, as their last tasks ended.
    assert!(events.contains(" idle for 3s: 0 TaskManagers"), "{events}");
    assert_eq!(events.matches(" released\n").count(), 2, "{events}");
    lab.kobel(&["stop", name.trim()]).ok();
    over(&cluster, &id);
    lab.no_process_left();
}

/// The mission's own lines, word for word.
#[test]
fn a_session_is_started_used_and_ended_by_flinks_own_commands() {
    let (Some(flink), Some(cluster)) = (Flink::v1(), hadoop::shared(setup)) else { return };
    let _turn = turn();
    let lab = lab("yarn-scripts", &flink, &cluster);
    let nodes = lab.script("yarn-session.sh", &["-q"]).ok();
    assert!(nodes.stdout.contains("RUNNING") && nodes.stdout.contains("totalCores"), "{}", nodes.stdout);
    queues(&lab, &nodes.stdout);

    let started =
        lab.script("yarn-session.sh", &["-n", "2", "-tm", "800", "-s", "1", "-jm", "1024", "-d"]).ok();
    println!("detached after {:?}", started.took);
    let id = application(&started.stdout);
    for line in
        ["JobManager Web Interface: http://", &format!("yarn application -kill {id}"), &format!("-id {id}")]
    {
        assert!(started.stdout.contains(line), "{line} in: {}", started.stdout);
    }
    assert_eq!(state(&cluster, &id).0, "RUNNING");
    let told = properties_file(&lab).expect("a properties file");
    assert!(told.contains(&format!("applicationID={id}\n")), "{told}");
    let ps = lab.kobel(&["ps", "-o", "json"]).json();
    assert_eq!(ps[0]["taskManagers"]["running"], 2, "{ps}");
    assert_eq!(ps[0]["slots"]["total"], 2, "{ps}");

    // One on this machine that is newer is not the one that is meant.
    lab.kobel(&["start", "local", "--tm", "0"]).ok();
    let input = lab.file("in.txt", "to be or not to be\n");
    let (output, jar) = (lab.path("counts"), example_jar(&flink));
    let run = lab
        .script(
            "flink",
            &[
                "run",
                "-c",
                WORD_COUNT,
                jar.to_str().unwrap(),
                "--input",
                input.to_str().unwrap(),
                "--output",
                output.to_str().unwrap(),
            ],
        )
        .ok();
    assert!(run.stdout.contains("Program execution finished"), "{}", run.stdout);
    let counts: String = lab.files("counts").iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    assert!(counts.contains("(to,2)"), "{counts}");
    assert!(lab.script("flink", &["list", "-a"]).ok().stdout.contains("(FINISHED)"));
    assert!(lab.script("flink", &["list", "-a", "-yid", &id]).ok().stdout.contains("(FINISHED)"));
    lab.kobel(&["stop", "local"]).ok();

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/yarn-session.sh");
    let line = format!("echo stop | {script} -id {id}");
    let stopped = lab.spawn(Path::new("/bin/sh"), &["-c", &line]).wait().ok();
    println!("stopped after {:?}", stopped.took);
    over(&cluster, &id);
    assert_eq!(properties_file(&lab), None);
    lab.script("yarn-session.sh", &["-id", &id]).expect(1);
    lab.no_process_left();
}

/// The same for people and for programs.
fn queues(lab: &Lab, by_script: &str) {
    let shown = lab.kobel(&["queue"]).ok().stdout;
    for name in by_script.lines().filter(|line| line.contains("RUNNING")).map(|line| line.split(' ').next()) {
        assert!(shown.contains(name.unwrap()), "{name:?} in: {shown}");
    }
    assert!(shown.contains(" of 16384 MiB, "), "{shown}");
    assert_eq!(lab.kobel(&["queue", "-o", "name"]).ok().stdout, "root.default\nroot.small\n");
    let json = lab.kobel(&["queue", "--on", "yarn", "-o", "json"]).json();
    let sizes = [
        &json["total"]["memoryMib"]["total"],
        &json["nodes"][1]["cores"]["total"],
        &json["queues"][1]["maxPercent"],
    ];
    assert_eq!(sizes.map(Value::as_f64), [Some(16384.0), Some(8.0), Some(10.0)], "{json}");
}

#[test]
fn an_attached_session_ends_with_its_client_and_one_of_elsewhere_is_refused() {
    let (Some(flink), Some(cluster)) = (Flink::v1(), hadoop::shared(setup)) else { return };
    let _turn = turn();
    let lab = lab("yarn-attached", &flink, &cluster);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/yarn-session.sh");
    let client = lab.spawn(&script, &["-n", "1", "-tm", "800", "-jm", "1024", "-nm", "etl"]);
    wait::until("the session is there", PROMPT, || match client.stdout() {
        text if text.contains("JobManager Web Interface") => Ok(()),
        _ => Err(client.stderr()),
    });
    let id = application(&client.stdout());
    let app = cluster.yarn().get(&format!("/apps/{id}")).unwrap();
    assert_eq!(app["app"]["name"], "etl");
    client.signal("INT");
    assert_eq!(client.wait().code, 130);
    over(&cluster, &id);
    assert_eq!(properties_file(&lab), None);
    logs_without_a_history(&lab, &cluster);

    let elsewhere = lab.script("yarn-session.sh", &["-id", "application_1_0001"]).expect(1);
    assert!(elsewhere.stderr.contains("YARN does not know application_1_0001"), "{}", elsewhere.stderr);
    lab.no_process_left();
}

/// Where what the master kept is gone, there is what YARN collected.
fn logs_without_a_history(lab: &Lab, cluster: &Shared) {
    let name = lab.kobel(&["ps", "-o", "name"]).ok().stdout.trim().to_string();
    let dir = lab.cluster_dir(&name);
    cluster.hdfs().remove(&format!("/user/{USER}/.kobel/history"));
    for kept in ["recalled", "log/jm-0.1.log", "log/tm-0.1.log"] {
        fs::remove_file(dir.join(kept)).unwrap();
    }
    let logs = lab.kobel(&["logs", &name, "--all"]).ok();
    println!("collected logs after {:?}", logs.took);
    for line in ["==> jm-0.1.log <==", "==> tm-0.1.log <==", "Registering TaskManager with ResourceID tm-0.1"]
    {
        assert!(logs.stdout.contains(line), "{line} in: {}", logs.stdout);
    }
}

/// A person's shell: a `PATH` with kobel's commands, a home with an installed Flink, and where YARN is. Nothing
/// else.
struct Shell {
    lab: Lab,
    home: PathBuf,
    settings: Vec<String>,
}

impl Shell {
    fn new(test: &str, flink: &Flink, cluster: &Shared) -> Self {
        let lab = Lab::new(test);
        let (bin, home) = (lab.path("bin"), lab.path("home"));
        fs::create_dir(&bin).unwrap();
        for script in ["flink", "yarn-session.sh"] {
            let of_checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts").join(script);
            fs::copy(of_checkout, bin.join(script)).unwrap();
        }
        symlink(kobel_binary(), bin.join("kobel")).unwrap();
        let installed = home.join(".local/share/kobel/flink").join(&flink.version);
        fs::create_dir_all(installed.join("conf")).unwrap();
        for part in ["bin", "lib", "plugins", "opt"] {
            symlink(flink.home.join(part), installed.join(part)).unwrap();
        }
        for file in fs::read_dir(flink.home.join("conf")).unwrap().map(|file| file.unwrap().path()) {
            fs::copy(&file, installed.join("conf").join(file.file_name().unwrap())).unwrap();
        }
        // Where one writes the properties file, no other test of this user looks.
        let conf = fs::read_to_string(flink.home.join("conf/config.yaml")).unwrap();
        let place = format!("{conf}\nyarn.properties-file.location: {}\n", lab.dir().display());
        fs::write(installed.join("conf/config.yaml"), place).unwrap();
        let jar = lab.path("WordCount.jar");
        fs::copy(example_jar(flink), &jar).unwrap();
        let mut named = Command::new("jar");
        named.args(["--update", "--file"]).arg(&jar);
        assert!(named.args(["--main-class", WORD_COUNT]).status().unwrap().success());
        let settings = vec![
            format!("PATH={}:/usr/bin:/bin", bin.display()),
            format!("HOME={}", home.display()),
            format!("HADOOP_CONF_DIR={}", cluster.conf_dir().display()),
        ];
        Self { lab, home, settings }
    }

    fn run(&self, line: &str) -> Done {
        let settings = self.settings.iter().map(String::as_str);
        let words: Vec<_> = ["-i"].into_iter().chain(settings).chain(["sh", "-c", line]).collect();
        self.lab.spawn(Path::new("/usr/bin/env"), &words).wait()
    }

    /// What everybody else has who runs one of Flink's own commands: Java, and Hadoop's jars.
    fn of_flink(&self, flink: &Flink, hadoop: &Hadoop, command: &str) -> String {
        let installed = self.home.join(".local/share/kobel/flink").join(&flink.version);
        let variable = |name: &str| std::env::var(name).unwrap_or_default();
        format!(
            "PATH='{}' JAVA_HOME='{}' HADOOP_CLASSPATH='{}' FLINK_LOG_DIR={} {}/bin/{command}",
            variable("PATH"),
            variable("JAVA_HOME"),
            hadoop.class_path(),
            self.lab.dir().display(),
            installed.display(),
        )
    }

    fn lose_state(&self) {
        fs::remove_dir_all(self.home.join(".local/state")).unwrap();
    }
}

#[test]
fn a_bare_shell_does_and_a_session_is_found_again_by_its_application_and_known_after_its_end() {
    let (Some(flink), Some(cluster)) = (Flink::v1(), hadoop::shared(setup)) else { return };
    let Some(hadoop) = Hadoop::from_env() else { return };
    let _turn = turn();
    let shell = Shell::new("yarn-shell", &flink, &cluster);
    let started = shell.run("yarn-session.sh -n 2 -tm 800 -s 1 -d").ok();
    let id = application(&started.stdout);
    let run = shell.run("flink run WordCount.jar").ok();
    println!("detached after {:?}, WordCount after {:?}", started.took, run.took);
    let lines: Vec<_> =
        run.stdout.lines().filter(|line| line.starts_with("Job ") || line.starts_with("Program ")).collect();
    assert!(matches!(lines[..], [_, "Program execution finished", _, _]), "{}", run.stdout);

    // By the properties file alone, and then by what is typed.
    shell.lose_state();
    assert!(shell.run("flink list -a").ok().stdout.contains("(FINISHED)"));
    shell.lose_state();
    let denied = shell.run(&format!("HADOOP_USER_NAME=mallory kobel status {id}")).expect(6);
    assert!(denied.stderr.contains("you are mallory"), "{}", denied.stderr);
    shell.run(&format!("kobel scale {id} --tm 1")).ok();
    let now = shell.run(&format!("kobel status {id} -o json")).json();
    assert_eq!((now["state"].as_str(), &now["taskManagers"]["wanted"]), (Some("Ready"), &1.into()), "{now}");
    assert!(now["name"].as_str().unwrap().starts_with("yarn-session-"), "{now}");
    assert!(shell.run(&format!("kobel logs {id} --jm")).ok().stdout.contains("WordCount"));

    let by_flink = format!("flink run -t yarn-session -Dyarn.application.id={id} WordCount.jar");
    let by_flink = shell.run(&shell.of_flink(&flink, &hadoop, &by_flink)).ok();
    assert!(by_flink.stdout.contains("Program execution finished"), "{}", by_flink.stdout);
    let stop = shell.of_flink(&flink, &hadoop, &format!("yarn-session.sh -id {id}"));
    shell.run(&format!("echo stop | {stop}")).ok();
    over(&cluster, &id);

    let logs = shell.run(&format!("kobel logs {id} --all")).ok().stdout;
    for file in ["agent.log", "jm-0.1.log", "tm-0.1.log", "tm-1.1.log"] {
        assert!(logs.contains(&format!("==> {file} <==")), "{file} in: {logs}");
    }
    assert!(shell.run(&format!("kobel events {id}")).ok().stdout.contains("stopped by DELETE /cluster"));
    let after = shell.run(&format!("kobel status {id} -o json")).expect(3).json();
    assert_eq!(
        (after["state"].as_str(), &after["jobs"]["finished"]),
        (Some("Stopped"), &2.into()),
        "{after}"
    );
    let user = &cluster.hdfs().superuser;
    let kept = cluster.hdfs().list(&format!("/user/{user}/.kobel/history"));
    assert!(kept.iter().all(|dir| dir["permission"] == "700" && !dir.to_string().contains(&id)), "{kept:?}");
    shell.lose_state();
    let gone = shell.run(&format!("kobel status {id}")).expect(4);
    assert!(gone.stderr.contains("is over: FINISHED, stopped by DELETE /cluster"), "{}", gone.stderr);
    shell.lab.no_process_left();
}

/// The mission's other line, word for word.
#[test]
fn a_job_gets_a_cluster_of_its_own_by_flinks_own_command() {
    let (Some(flink), Some(cluster)) = (Flink::v1(), hadoop::shared(setup)) else { return };
    let _turn = turn();
    let shell = Shell::new("yarn-own", &flink, &cluster);
    let input = shell.lab.file("in.txt", "to be or not to be\n");
    let output = shell.lab.path("counts");
    let line = "flink run -m yarn-cluster -yn 2 -ytm 800 -yjm 1024 -ynm words WordCount.jar";
    let run = shell.run(&format!("{line} --input {} --output {}", input.display(), output.display())).ok();
    println!("WordCount in its own cluster after {:?}", run.took);
    let lines: Vec<_> =
        run.stdout.lines().filter(|line| line.starts_with("Job ") || line.starts_with("Program ")).collect();
    assert!(matches!(lines[..], [_, "Program execution finished", _, _]), "{}", run.stdout);
    let counts: String =
        shell.lab.files("counts").iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    assert!(counts.contains("(to,2)"), "{counts}");
    let ps = shell.run("kobel ps -o json").ok().json();
    let jobs = &ps[0]["jobs"];
    assert_eq!((&jobs["finished"], &jobs["running"]), (&1.into(), &0.into()), "{ps}");
    let id = ps[0]["yarn"]["applicationId"].as_str().unwrap();
    let app = cluster.yarn().get(&format!("/apps/{id}")).unwrap();
    assert_eq!(app["app"]["name"], "words");
    over(&cluster, id);
    shell.lab.no_process_left();
}
