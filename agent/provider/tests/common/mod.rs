//! The local provider's fixture.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use kobel_plan::{Attempt, Launch, Resources, WorkerId, WorkerSpec};
use kobel_provider::{
    Provider,
    contract::{Fixture, Output, Stranger},
    local::{LocalProvider, ProcessIdentity, Surroundings},
};

/// A temporary directory with all that a provider has.
pub(crate) struct LocalFixture {
    root: tempfile::TempDir,
}

impl LocalFixture {
    pub(crate) fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.root.path()
    }

    pub(crate) fn worker(&self, id: WorkerId, attempt: Attempt) -> PathBuf {
        workers(self.path()).join(id.attempt_name(attempt))
    }

    /// Whoever works below our directory: children inherit it, whatever else they shake off.
    fn processes(&self) -> Vec<procfs::process::Process> {
        let here = |process: &procfs::process::Process| {
            process.pid() != std::process::id() as i32
                && process.cwd().is_ok_and(|cwd| cwd.starts_with(self.path()))
        };
        procfs::process::all_processes().unwrap().filter_map(Result::ok).filter(here).collect()
    }
}

/// Opens the provider of a fixture's directory.
pub(crate) fn open(root: &Path) -> Arc<LocalProvider> {
    let marker = root.join("cluster").display().to_string();
    LocalProvider::open(workers(root), root.join("log"), marker, Surroundings::Machine).unwrap()
}

fn workers(root: &Path) -> PathBuf {
    root.join("workers")
}

/// Waits for a condition, and fails with `what` when it does not come.
pub(crate) async fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < until, "{what} did not come to pass");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whether a process runs; a zombie does not.
pub(crate) fn is_alive(pid: u32) -> bool {
    procfs::process::Process::new(pid as i32).is_ok_and(|process| process.is_alive())
}

/// Signals by number, which is only safe for what is known to live. False when it did not.
pub(crate) fn signal(pid: u32, signal: &str) -> bool {
    Command::new("/bin/kill").args([signal, &pid.to_string()]).status().is_ok_and(|status| status.success())
}

#[async_trait]
impl Fixture for LocalFixture {
    async fn open(&self) -> Arc<dyn Provider> {
        open(self.path())
    }

    fn shell(&self, id: WorkerId, attempt: Attempt, script: &str) -> WorkerSpec {
        let path = ("PATH".to_string(), "/usr/bin:/bin".to_string());
        WorkerSpec {
            id,
            attempt,
            resources: Resources { memory_bytes: 1 << 20, vcores: 1 },
            launch: Launch {
                program: "/bin/sh".into(),
                args: vec!["-c".into(), script.into()],
                env: BTreeMap::from([path]),
            },
            files: vec![],
            deputy: None,
        }
    }

    async fn output(&self, id: WorkerId, attempt: Attempt, stream: Output) -> String {
        let extension = match stream {
            Output::Out => "out",
            Output::Err => "err",
        };
        let name = format!("{}.{extension}", id.attempt_name(attempt));
        fs::read_to_string(self.path().join("log").join(name)).unwrap_or_default()
    }

    async fn leftovers(&self) -> Vec<String> {
        let describe = |p: &procfs::process::Process| format!("process {}: {:?}", p.pid(), p.cmdline());
        let processes = self.processes();
        let processes = processes.iter().filter(|process| process.is_alive()).map(describe);
        let entries = fs::read_dir(workers(self.path())).into_iter().flatten();
        let directories = entries.map(|entry| entry.unwrap().path().display().to_string());
        processes.chain(directories).collect()
    }

    async fn kill(&self, pid: u32) {
        assert!(signal(pid, "-KILL"), "{pid} did not live");
        wait_until("death of a killed process", || !is_alive(pid)).await;
    }

    async fn lose_records(&self) -> bool {
        for entry in fs::read_dir(workers(self.path())).unwrap() {
            fs::remove_dir_all(entry.unwrap().path()).unwrap();
        }
        true
    }

    async fn plant_stranger(&self, id: WorkerId, attempt: Attempt) -> Option<Box<dyn Stranger>> {
        let child = Command::new("/bin/sleep").arg("60").current_dir("/").process_group(0).spawn().unwrap();
        let now = ProcessIdentity::of(child.id() as i32).unwrap().unwrap();
        let dead = ProcessIdentity { start_time_ticks: now.start_time_ticks - 1, ..now };
        let record = serde_json::json!({ "id": id, "attempt": attempt, "process": dead });
        fs::create_dir(self.worker(id, attempt)).unwrap();
        fs::write(self.worker(id, attempt).join("worker.json"), record.to_string()).unwrap();
        Some(Box::new(LocalStranger(child)))
    }
}

impl Drop for LocalFixture {
    /// Only a failed test leaves anything to kill.
    fn drop(&mut self) {
        for process in self.processes().iter().filter(|process| process.is_alive()) {
            signal(process.pid() as u32, "-KILL");
        }
    }
}

struct LocalStranger(Child);

impl Stranger for LocalStranger {
    fn is_alive(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for LocalStranger {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}
