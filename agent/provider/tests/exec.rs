//! `kobel exec`, as a NodeManager starts it: in a process and a directory of its own. The process is this
//! test's program once more, told by a variable to be that.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{fs::PermissionsExt, process::ExitStatusExt},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use kobel_plan::{Attempt, Launch, Resources, WorkerFile, WorkerId, WorkerSpec};

/// Names the worker's file to a process that is to be `kobel exec`.
const SPEC: &str = "KOBEL_TEST_EXEC";
const DEADLINE: Duration = Duration::from_secs(30);

/// Not a test unless the variable is there: then it is the process under test.
#[test]
fn as_exec() {
    if let Some(spec) = std::env::var_os(SPEC) {
        match kobel_provider::exec::exec(spec.as_ref(), "./leash".as_ref(), |_, _| None) {
            Ok(code) => std::process::exit(code.into()),
            Err(error) => {
                eprintln!("{error}");
                std::process::exit(77);
            }
        }
    }
}

fn script(script: &str) -> WorkerSpec {
    WorkerSpec {
        id: WorkerId::tm(0),
        attempt: Attempt::FIRST,
        resources: Resources { memory_bytes: 1 << 20, vcores: 1 },
        launch: Launch {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            env: BTreeMap::new(),
        },
        files: vec![],
        deputy: None,
    }
}

/// A container's directory.
struct Container(tempfile::TempDir);

impl Container {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("logs")).unwrap();
        // It is told what to run behind two words and a number, and here it is told nothing else.
        let leash = dir.path().join("leash");
        fs::write(&leash, "#!/bin/sh\nshift 3\nexec \"$@\"\n").unwrap();
        fs::set_permissions(&leash, fs::Permissions::from_mode(0o700)).unwrap();
        Self(dir)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn start(&self, spec: &WorkerSpec) -> Guarded {
        fs::write(self.path().join("worker.json"), serde_json::to_vec(spec).unwrap()).unwrap();
        let logs = self.path().join("logs").display().to_string();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "as_exec", "--nocapture"]).env_clear().current_dir(self.path());
        command.env(SPEC, "worker.json").env("LOG_DIRS", format!("{logs},/elsewhere"));
        command.env("NM_HOST", "node-7").env("JAVA_HOME", "/opt/java").env("PATH", "/usr/bin:/bin");
        command.env("CONTAINER_ID", "container_1_0001_01_000002").env("STRAY", "x");
        let quiet = || Stdio::null();
        Guarded(command.stdin(quiet()).stdout(quiet()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// Runs it to its end, and gives its exit code.
    fn run(&self, spec: &WorkerSpec) -> i32 {
        self.start(spec).end()
    }

    fn log(&self, name: &str) -> String {
        fs::read_to_string(self.path().join("logs").join(name)).unwrap_or_default()
    }
}

/// Gone with the test.
struct Guarded(Child);

impl Guarded {
    fn end(&mut self) -> i32 {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                assert_eq!(status.signal(), None, "it was killed itself");
                return status.code().unwrap();
            }
            assert!(begin.elapsed() < DEADLINE, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < DEADLINE, "{what} did not come to pass");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_nodes_own_names_are_filled_in() {
    let container = Container::new();
    let all = format!("{} {} {} {}", Launch::WORKER_DIR, Launch::LOG_DIR, Launch::HOST, Launch::JAVA_HOME);
    let mut spec =
        script(&format!("echo arg {all}; echo env $ALL; cat conf/x; pwd; test -d tmp && echo tmp"));
    spec.launch.env.insert("ALL".into(), all.clone());
    spec.files = vec![WorkerFile { path: "conf/x".into(), contents: format!("file {all}\n") }];
    assert_eq!(container.run(&spec), 0);
    let dir = container.path().display();
    let all = format!("{dir} {dir}/logs node-7 /opt/java");
    assert_eq!(container.log("tm-0.1.out"), format!("arg {all}\nenv {all}\nfile {all}\n{dir}\ntmp\n"));
    assert!(!container.path().join("tmp").exists());
    let mode = fs::metadata(container.path().join("conf/x")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn the_worker_gets_what_yarn_says_of_its_container_and_nothing_else() {
    let container = Container::new();
    let mut spec = script("env; echo told >&2");
    spec.launch.env = BTreeMap::from([("NM_HOST".into(), "mine".into()), ("OWN".into(), "1".into())]);
    assert_eq!(container.run(&spec), 0);
    let env = container.log("tm-0.1.out");
    let has = |line: &str| env.lines().any(|other| other == line);
    assert!(has("CONTAINER_ID=container_1_0001_01_000002") && has("JAVA_HOME=/opt/java"), "{env}");
    assert!(has("NM_HOST=mine") && has("OWN=1"), "what the agent set wins: {env}");
    assert!(!env.contains("STRAY") && !env.contains(SPEC), "{env}");
    assert_eq!(container.log("tm-0.1.err"), "told\n");
}

#[test]
fn it_ends_as_the_worker_ended_and_takes_tmp_along() {
    for (end, code) in
        [("exit 0", 0), ("exit 7", 7), ("exit 239", 239), ("kill -9 $$", 137), ("kill -15 $$", 143)]
    {
        let container = Container::new();
        assert_eq!(container.run(&script(&format!("echo x > tmp/file; {end}"))), code, "{end}");
        assert!(!container.path().join("tmp").exists(), "{end}");
    }
}

#[test]
fn a_signal_to_go_is_the_workers_to_hear() {
    let container = Container::new();
    let stubborn = "trap 'echo heard; exit 5' TERM; echo up; while :; do sleep 0.02; done";
    let mut exec = container.start(&script(stubborn));
    until("the worker's start", || container.log("tm-0.1.out") == "up\n");
    let pid = exec.0.id().to_string();
    assert!(Command::new("/bin/kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(exec.end(), 5);
    assert_eq!(container.log("tm-0.1.out"), "up\nheard\n");
    assert!(!container.path().join("tmp").exists());
}

/// As a NodeManager does that starts again without recovery.
#[test]
fn a_worker_whose_container_the_node_has_forgotten_ends() {
    let container = Container::new();
    let mut exec = container.start(&script("echo $$; while :; do sleep 0.02; done"));
    until("the worker's start", || container.log("tm-0.1.out").ends_with('\n'));
    let away = tempfile::tempdir().unwrap();
    fs::rename(container.path(), away.path().join("DEL")).unwrap();
    assert_eq!(exec.end(), 137);
    let worker = fs::read_to_string(away.path().join("DEL/logs/tm-0.1.out")).unwrap();
    assert!(!Path::new("/proc").join(worker.trim()).exists());
}

#[test]
fn a_descendant_that_stays_holds_nothing_up() {
    let container = Container::new();
    let begin = Instant::now();
    let code = container.run(&script("sleep 20 & echo $!; exit 3"));
    let took = begin.elapsed();
    let child = container.log("tm-0.1.out");
    Command::new("/bin/kill").args(["-KILL", child.trim()]).status().unwrap();
    assert_eq!(code, 3);
    assert!(took < Duration::from_secs(15), "{took:?}");
}

#[test]
fn output_does_not_fill_the_disk() {
    let container = Container::new();
    assert_eq!(container.run(&script("head -c 35000000 /dev/zero; echo the end")), 0);
    let sizes: Vec<u64> = ["tm-0.1.out", "tm-0.1.out.1"]
        .map(|name| fs::metadata(container.path().join("logs").join(name)).unwrap().len())
        .to_vec();
    assert!(sizes.iter().all(|size| *size < 11 << 20), "{sizes:?}");
    assert!(container.log("tm-0.1.out").ends_with("the end\n"));
}

#[test]
fn what_cannot_be_started_is_said() {
    let container = Container::new();
    let mut spec = script("");
    spec.launch.program = format!("{}/bin/java", Launch::JAVA_HOME);
    let mut exec = container.start(&spec);
    assert_eq!(exec.end(), 77);
    let words = std::io::read_to_string(exec.0.stderr.take().unwrap()).unwrap();
    assert!(words.contains("could not start /opt/java/bin/java"), "{words}");
    assert!(!container.path().join("tmp").exists());
}

/// It is what YARN hands to the agent, which cannot read the logs of another node.
#[test]
fn of_a_worker_that_fails_the_last_words_are_repeated() {
    let cases = [
        ("echo 'Unrecognized option: -Xfoo' >&2; exit 1", "kobel: Unrecognized option: -Xfoo (tm-0.1.err)"),
        ("echo 'Caused by: x.Y: full' > logs/tm-0.1.log; exit 239", "kobel: x.Y: full (tm-0.1.log)"),
        ("echo all is well >&2; exit 0", ""),
        ("echo told >&2; kill -9 $$", ""),
    ];
    for (end, expected) in cases {
        let container = Container::new();
        let mut exec = container.start(&script(end));
        exec.end();
        let words = std::io::read_to_string(exec.0.stderr.take().unwrap()).unwrap();
        assert_eq!(
            words.lines().find(|line| line.starts_with("kobel: ")).unwrap_or_default(),
            expected,
            "{end}"
        );
    }
}
