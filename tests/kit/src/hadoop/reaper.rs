//! Nothing of a cluster outlives the process that started it.
//!
//! Daemons run apart from us and start containers of their own, and a test's process may end without
//! running a single destructor: a `static` is never dropped, a `kill -9` is not noticed. So a shell
//! waits at the end of a pipe that closes when we are gone, then kills whatever is left.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Mutex, PoisonError},
};

use std::os::unix::process::CommandExt;

use procfs::process::{Process, all_processes};

/// The variable that every process of a cluster carries, daemons and containers; its value is the
/// cluster's directory. NodeManagers hand their environment on to containers.
pub(crate) const MARKER: &str = "KOBEL_TEST_CLUSTER";

/// The shell at the other end of the pipe.
pub(crate) struct Reaper {
    dir: PathBuf,
    shell: Child,
    pipe: Mutex<Option<ChildStdin>>,
}

impl Reaper {
    /// Watches over the cluster in this directory.
    pub(crate) fn new(dir: &Path) -> Reaper {
        let mut shell = Command::new("sh")
            .args(["-c", include_str!("reaper.sh"), "reaper"])
            .arg(dir)
            .arg(MARKER)
            .current_dir("/")
            .stdin(Stdio::piped())
            .process_group(0) // A Ctrl-C on the terminal is not for it.
            .spawn()
            .expect("sh");
        let pipe = Mutex::new(shell.stdin.take());
        Reaper { dir: dir.into(), shell, pipe }
    }

    /// Keeps the directory when all is over.
    pub(crate) fn keep_scene(&self) {
        self.say("keep");
    }

    /// Takes the wire of this name away, too.
    pub(crate) fn remove_wire(&self, name: &str) {
        self.say(&format!("wire {name}"));
    }

    fn say(&self, words: &str) {
        let mut pipe = self.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipe) = pipe.as_mut() {
            let _ = writeln!(pipe, "{words}");
        }
    }

    /// Ends the cluster now: on return all is killed.
    pub(crate) fn reap(&mut self) {
        drop(self.pipe.lock().unwrap_or_else(PoisonError::into_inner).take());
        let _ = self.shell.wait();
    }

    /// The processes of the cluster, daemons and containers, by the rule of `reaper.sh`.
    pub(crate) fn members(&self) -> Vec<(i32, String)> {
        let of_ours = |process: &Process| {
            let marked = process.environ().ok().is_some_and(|env| {
                env.iter().any(|(key, value)| key == MARKER && Path::new(value) == self.dir)
            });
            let within =
                || process.cwd().ok().is_some_and(|cwd| cwd != self.dir && cwd.starts_with(&self.dir));
            marked || within()
        };
        let all = all_processes().into_iter().flatten().filter_map(Result::ok).filter(of_ours);
        all.map(|p| (p.pid, p.cmdline().unwrap_or_default().join(" "))).collect()
    }
}
