//! Workers in the agent's own container: on a leash, in its process group. The leash is this test's program
//! once more, told by variables to be that.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream::BoxStream};
use kobel_plan::{Attempt, Exit, Launch, Phase, Resources, WorkerEvent, WorkerId, WorkerSpec};
use kobel_provider::{
    Provider, leash,
    local::{LocalProvider, Surroundings},
};
use procfs::process::Process;

/// The number of the parent, and a line for the shell.
const PARENT: &str = "KOBEL_TEST_PARENT";
const RUN: &str = "KOBEL_TEST_RUN";
const DEADLINE: Duration = Duration::from_secs(30);

/// Not a test unless the variables are there: then it goes on a leash.
#[test]
fn as_leashed() {
    if let (Ok(parent), Ok(run)) = (std::env::var(PARENT), std::env::var(RUN)) {
        let error =
            leash::become_leashed(parent.parse().unwrap(), &"/bin/sh".into(), &["-c".into(), run.into()]);
        println!("refused: {error}");
        std::process::exit(77);
    }
}

/// Not a test unless the variable is there: then it is a parent that starts one on a leash.
#[test]
fn as_parent() {
    if let Ok(run) = std::env::var("KOBEL_TEST_CHILD") {
        let mut child = leashed(std::process::id(), &run).stdin(Stdio::null()).spawn().unwrap();
        child.wait().unwrap();
    }
}

fn leashed(parent: u32, run: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "as_leashed", "--nocapture"]).env(PARENT, parent.to_string()).env(RUN, run);
    command
}

fn is_alive(pid: i32) -> bool {
    Process::new(pid).is_ok_and(|process| process.is_alive())
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < DEADLINE, "{what} did not come to pass");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Gone with the test.
struct Guarded(Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn who_is_on_a_leash_dies_when_the_parent_is_killed() {
    let mut parent = Command::new(std::env::current_exe().unwrap());
    parent
        .args(["--exact", "as_parent", "--nocapture"])
        .env("KOBEL_TEST_CHILD", "echo up $$; exec sleep 100");
    let mut parent = Guarded(parent.stdout(Stdio::piped()).spawn().unwrap());
    let lines = BufReader::new(parent.0.stdout.take().unwrap()).lines();
    let mut told = lines.map(Result::unwrap).filter_map(|line| line.strip_prefix("up ")?.parse::<i32>().ok());
    let child = told.next().unwrap();
    assert!(is_alive(child));
    parent.0.kill().unwrap();
    until("death of the child", || !is_alive(child));
}

#[test]
fn nobody_goes_on_the_leash_of_a_parent_that_is_gone() {
    // Process 1 lives, and is not who starts it.
    let refused = leashed(1, "echo up").output().unwrap();
    let words = String::from_utf8(refused.stdout).unwrap();
    assert!(words.contains("the agent is gone already") && !words.contains("up\n"), "{words}");
    assert_eq!(refused.status.code(), Some(77));
}

/// A container's directory with a program that leashes as kobel does.
struct World {
    dir: tempfile::TempDir,
    provider: Arc<LocalProvider>,
    news: BoxStream<'static, WorkerEvent>,
}

impl World {
    fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let leash = root.join("kobel");
        let program = std::env::current_exe().unwrap();
        // Called as `kobel exec --leash PID /bin/sh -c SCRIPT`.
        let script = format!(
            "#!/bin/sh\n[ \"$1 $2 $4 $5\" = 'exec --leash /bin/sh -c' ] || exit 78\n\
             export {PARENT}=\"$3\" {RUN}=\"$6\"\nexec {} --exact as_leashed --nocapture\n",
            program.display()
        );
        fs::write(&leash, script).unwrap();
        fs::set_permissions(&leash, fs::Permissions::from_mode(0o700)).unwrap();
        let surroundings = Surroundings::Container { dir: root.into(), leash };
        let (workers, log, marker) = (root.join("workers"), root.join("log"), root.display().to_string());
        let provider = LocalProvider::open(workers, log, marker, surroundings).unwrap();
        let news = provider.watch();
        Self { dir, provider, news }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    async fn start(&mut self, script: &str) -> (WorkerSpec, i32) {
        let spec = WorkerSpec {
            id: WorkerId::jm(0),
            attempt: Attempt::FIRST,
            resources: Resources { memory_bytes: 1 << 20, vcores: 1 },
            launch: Launch {
                program: "/bin/sh".into(),
                args: vec!["-c".into(), script.into()],
                env: [("PATH".to_string(), "/usr/bin:/bin".to_string())].into(),
            },
            files: vec![],
            deputy: None,
        };
        self.provider.ensure(spec.clone()).await.unwrap();
        match self.next().await {
            Phase::Running { pid: Some(pid), .. } => (spec, pid as i32),
            other => panic!("{other:?}"),
        }
    }

    async fn next(&mut self) -> Phase {
        loop {
            let event = tokio::time::timeout(DEADLINE, self.news.next()).await.unwrap().unwrap();
            if !matches!(event.phase, Phase::Pending) {
                return event.phase;
            }
        }
    }

    fn printed(&self, line: &str) -> bool {
        let out = fs::read_to_string(self.path().join("log/jm-0.1.out")).unwrap_or_default();
        out.lines().any(|other| other == line)
    }
}

#[tokio::test]
async fn in_a_container_a_worker_stays_in_the_agents_group_and_is_signalled_alone() {
    let mut world = World::open();
    let bystander = Guarded(Command::new("/bin/sleep").arg("100").spawn().unwrap());
    let script = format!(
        "trap 'echo cleaned; exit 0' TERM; pwd; echo {}; while :; do sleep 0.02; done",
        Launch::WORKER_DIR
    );
    let (spec, pid) = world.start(&script).await;
    let dir = world.path().display().to_string();
    until("the worker's start", || world.printed(&format!("{dir}/workers/jm-0.1")));
    assert!(world.printed(&dir), "it works in the container's directory");
    let stat = Process::new(pid).unwrap().stat().unwrap();
    let own = Process::myself().unwrap().stat().unwrap();
    assert_eq!((stat.pgrp, stat.session), (own.pgrp, own.session));

    world.provider.release(spec.id, spec.attempt, Duration::from_secs(600)).await.unwrap();
    assert_eq!(world.next().await, Phase::Exited(Exit::Released));
    assert!(world.printed("cleaned"));
    assert!(!is_alive(pid) && is_alive(bystander.0.id() as i32), "and so is this test");
    assert!(!world.path().join("workers/jm-0.1").exists());
}

#[tokio::test]
async fn in_a_container_too_descendants_go_with_their_worker() {
    let mut world = World::open();
    let bystander = Guarded(Command::new("/bin/sleep").arg("100").spawn().unwrap());
    let (spec, _) =
        world.start("trap '' TERM; sleep 100 & echo $! > child; echo up; while :; do sleep 0.02; done").await;
    until("the worker's start", || world.printed("up"));
    let child = fs::read_to_string(world.path().join("child")).unwrap().trim().parse().unwrap();
    assert!(is_alive(child));
    world.provider.release(spec.id, spec.attempt, Duration::from_millis(50)).await.unwrap();
    assert_eq!(world.next().await, Phase::Exited(Exit::Released));
    assert!(!is_alive(child) && is_alive(bystander.0.id() as i32));
}

/// Threads of tokio's blocking pool in this process.
fn pool() -> usize {
    let tasks = Process::myself().unwrap().tasks().unwrap().filter_map(Result::ok);
    tasks.filter(|task| task.status().is_ok_and(|status| status.name.starts_with("passing"))).count()
}

/// The kernel pulls the leash when the *thread* ends that started the process.
#[test]
fn the_leash_outlives_idle_threads_of_the_agent() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .thread_name("passing")
        .thread_keep_alive(Duration::from_millis(20))
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut world = World::open();
        let (spec, pid) = world.start("echo up; exec sleep 100").await;
        until("the worker's start", || world.printed("up"));
        tokio::task::spawn_blocking(|| assert!(pool() > 0)).await.unwrap();
        until("the end of idle threads", || pool() == 0);
        assert!(is_alive(pid));
        world.provider.release(spec.id, spec.attempt, Duration::ZERO).await.unwrap();
        assert_eq!(world.next().await, Phase::Exited(Exit::Released));
    });
}
