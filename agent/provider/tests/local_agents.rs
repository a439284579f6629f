//! The local provider in agents that are processes of their own: killed, frozen, started oddly.

#![allow(clippy::unwrap_used, reason = "tests")]

#[allow(dead_code, reason = "shared with another test target")]
mod common;

use std::{
    env,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use common::{LocalFixture, is_alive, open, signal, wait_until};
use futures_util::StreamExt;
use kobel_plan::{Attempt, Exit, Launch, Phase, WorkerEvent, WorkerId, WorkerSpec};
use kobel_provider::{
    Outcome, Provider,
    contract::{Fixture, Output},
};

/// Tells a copy of this test program where it shall be an agent.
const AGENT: &str = "KOBEL_TEST_AGENT_ROOT";
/// Tells it where to write down the events that it hears.
const TOLD: &str = "KOBEL_TEST_AGENT_TOLD";

/// No test of its own but what the others start: opens the provider, asks for the workers in
/// `specs.json`, and writes down what it is told, until it is killed.
#[tokio::test]
async fn agent_process() {
    let (Some(root), Some(told)) = (env::var_os(AGENT), env::var_os(TOLD)) else { return };
    let provider = open(Path::new(&root));
    let mut news = provider.watch();
    let specs = fs::read(Path::new(&root).join("specs.json")).unwrap();
    for spec in serde_json::from_slice::<Vec<WorkerSpec>>(&specs).unwrap() {
        provider.ensure(spec).await.unwrap();
    }
    let mut told = File::create(told).unwrap();
    while let Some(event) = news.next().await {
        writeln!(told, "{}", serde_json::to_string(&event).unwrap()).unwrap();
    }
}

/// An agent in a process of its own. Killed, and nothing but it, when dropped.
struct Agent {
    process: Child,
    told: PathBuf,
}

impl Agent {
    fn start(fixture: &LocalFixture, specs: &[WorkerSpec], name: &str) -> Self {
        Self::start_by(Command::new(env::current_exe().unwrap()), fixture, specs, name)
    }

    /// `command` has to end in running this test program with what arguments follow.
    fn start_by(mut command: Command, fixture: &LocalFixture, specs: &[WorkerSpec], name: &str) -> Self {
        fs::write(fixture.path().join("specs.json"), serde_json::to_vec(specs).unwrap()).unwrap();
        let told = fixture.path().join(format!("told.{name}"));
        let command = command.args(["--exact", "agent_process", "--nocapture"]).stdout(Stdio::null());
        let process = command.env(AGENT, fixture.path()).env(TOLD, &told).spawn().unwrap();
        Self { process, told }
    }

    /// The events so far. Only whole lines count.
    fn told(&self) -> Vec<WorkerEvent> {
        let text = fs::read_to_string(&self.told).unwrap_or_default();
        let whole = text.rsplit_once('\n').map_or("", |(lines, _)| lines);
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits until so many workers run, and gives their process ids in the order of the workers.
    async fn pids(&self, workers: usize) -> Vec<u32> {
        let running = || {
            let mut pids = self.told().into_iter().filter_map(|event| match event.phase {
                Phase::Running { pid, .. } => Some((event.id, pid.unwrap())),
                _ => None,
            });
            let mut pids = pids.by_ref().collect::<Vec<_>>();
            pids.sort();
            pids
        };
        wait_until("running of all workers", || running().len() == workers).await;
        running().into_iter().map(|(_, pid)| pid).collect()
    }

    async fn exit(&self) -> Exit {
        let exit = || {
            self.told().into_iter().find_map(|event| match event.phase {
                Phase::Exited(exit) => Some(exit),
                _ => None,
            })
        };
        wait_until("end of the worker", || exit().is_some()).await;
        exit().unwrap()
    }

    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn release_all(provider: &dyn Provider, specs: &[WorkerSpec]) {
    let mut news = provider.watch();
    for spec in specs {
        provider.release(spec.id, spec.attempt, Duration::ZERO).await.unwrap();
    }
    let mut ended = 0;
    while ended < specs.len() {
        let event = tokio::time::timeout(Duration::from_secs(30), news.next()).await.unwrap().unwrap();
        ended += usize::from(matches!(event.phase, Phase::Exited(_)));
    }
}

#[tokio::test]
async fn workers_outlive_ten_killed_agents() {
    let fixture = LocalFixture::new();
    let spec = |index| fixture.shell(WorkerId::tm(index), Attempt::FIRST, "sleep 120 & echo up; wait");
    let specs = (0..3).map(spec).collect::<Vec<_>>();
    let agent = Agent::start(&fixture, &specs, "first");
    let pids = agent.pids(specs.len()).await;
    agent.kill();
    for round in 0..10 {
        let begin = Instant::now();
        let agent = Agent::start(&fixture, &specs, &round.to_string());
        assert_eq!(agent.pids(specs.len()).await, pids, "round {round}");
        assert!(begin.elapsed() < Duration::from_secs(2), "round {round} took {:?}", begin.elapsed());
        agent.kill();
    }
    let provider = open(fixture.path());
    assert_eq!(provider.recover().await.unwrap().len(), specs.len());
    release_all(&*provider, &specs).await;
    for spec in &specs {
        assert_eq!(fixture.output(spec.id, spec.attempt, Output::Out).await, "up\n");
    }
    assert_eq!(fixture.leftovers().await, [""; 0]);
}

#[tokio::test]
async fn damaged_records_never_start_a_second_copy() {
    let fixture = LocalFixture::new();
    let mut spec =
        fixture.shell(WorkerId::tm(0), Attempt::FIRST, "setsid sleep 120 & echo up; sleep 120; exit 0");
    spec.launch.env.insert(Launch::NOTE.into(), "a note".into());
    let agent = Agent::start(&fixture, std::slice::from_ref(&spec), "first");
    let pids = agent.pids(1).await;
    agent.kill();
    let file = fixture.worker(spec.id, spec.attempt).join("worker.json");
    for round in 0..20 {
        let mut record = fs::read(&file).unwrap();
        let middle = record.len() * round / 20;
        match round % 3 {
            0 => fs::remove_file(&file).unwrap(),
            1 => fs::write(&file, &record[..middle]).unwrap(),
            _ => {
                record[middle] ^= 1;
                fs::write(&file, &record).unwrap();
            }
        }
        let provider = open(fixture.path());
        let found = provider.recover().await.unwrap();
        let Phase::Running { pid, .. } = &found[0].phase else { panic!("round {round}: {found:?}") };
        assert_eq!(*pid, Some(pids[0]), "round {round}");
        assert_eq!(found[0].note.as_deref(), Some("a note"), "round {round}");
    }
    release_all(&*open(fixture.path()), std::slice::from_ref(&spec)).await;
    assert_eq!(fixture.leftovers().await, [""; 0]);
}

/// A zombie that nobody reaps has a process id, a start time and all; it is dead nevertheless.
#[tokio::test]
async fn an_adopted_zombie_is_gone() {
    let fixture = LocalFixture::new();
    let spec = fixture.shell(WorkerId::tm(0), Attempt::FIRST, "sleep 120 & wait");
    let agent = Agent::start(&fixture, std::slice::from_ref(&spec), "frozen");
    let pid = agent.pids(1).await[0];
    assert!(signal(agent.process.id(), "-STOP"), "the frozen agent is the parent, and never waits");

    let provider = open(fixture.path());
    assert_eq!(provider.recover().await.unwrap().len(), 1);
    let mut news = provider.watch();
    fixture.kill(pid).await;
    let exit = loop {
        match tokio::time::timeout(Duration::from_secs(30), news.next()).await.unwrap().unwrap().phase {
            Phase::Exited(exit) => break exit,
            _ => continue,
        }
    };
    assert_eq!(exit, Exit::Unknown("adopted process ended".into()));
    let zombie = procfs::process::Process::new(pid as i32).unwrap().stat().unwrap();
    assert_eq!(zombie.state, 'Z');
    assert_eq!(fixture.leftovers().await, [""; 0]);
    drop(provider);
    assert_eq!(open(fixture.path()).recover().await.unwrap(), []);
}

/// An agent under a parent that ignores SIGCHLD would inherit that, and lose every exit code.
#[tokio::test]
async fn exits_are_known_even_where_sigchld_was_ignored() {
    let fixture = LocalFixture::new();
    let spec = fixture.shell(WorkerId::tm(0), Attempt::FIRST, "exit 7");
    let mut deaf = Command::new("/usr/bin/env");
    deaf.arg("--ignore-signal=CHLD").arg(env::current_exe().unwrap());
    let agent = Agent::start_by(deaf, &fixture, &[spec], "deaf");
    assert_eq!(agent.exit().await, Exit::Code(7));
}

#[tokio::test]
async fn dropping_the_provider_ends_the_watch_but_no_worker() {
    let fixture = LocalFixture::new();
    let spec = fixture.shell(WorkerId::tm(0), Attempt::FIRST, "exec sleep 120");
    let provider = open(fixture.path());
    let mut news = provider.watch();
    provider.ensure(spec.clone()).await.unwrap();
    let pid = loop {
        if let Phase::Running { pid, .. } = news.next().await.unwrap().phase {
            break pid.unwrap();
        }
    };
    drop(provider);
    assert!(tokio::time::timeout(Duration::from_secs(30), news.next()).await.unwrap().is_none());
    assert!(is_alive(pid));
    release_all(&*open(fixture.path()), &[spec]).await;
    assert_eq!(fixture.leftovers().await, [""; 0]);
}

/// A cluster that is started again under its name counts its attempts from 1 again.
#[tokio::test]
async fn output_is_appended_to_what_is_there() {
    let fixture = LocalFixture::new();
    let spec = fixture.shell(WorkerId::tm(0), Attempt::FIRST, "echo new");
    let provider = open(fixture.path());
    fs::write(fixture.path().join("log/tm-0.1.out"), "old\n").unwrap();
    let mut news = provider.watch();
    provider.ensure(spec.clone()).await.unwrap();
    while !matches!(news.next().await.unwrap().phase, Phase::Exited(_)) {}
    assert_eq!(fixture.output(spec.id, spec.attempt, Output::Out).await, "old\nnew\n");
}

#[tokio::test]
async fn finish_removes_the_directory_of_workers_unless_somebody_uses_it() {
    let fixture = LocalFixture::new();
    let provider = open(fixture.path());
    let foreign = fixture.path().join("workers/notes");
    fs::write(&foreign, "").unwrap();
    provider.finish(Outcome::Failed, "it failed").await.unwrap();
    assert!(foreign.exists());
    fs::remove_file(foreign).unwrap();
    provider.finish(Outcome::Failed, "it failed").await.unwrap();
    assert!(!fixture.path().join("workers").exists());
}
