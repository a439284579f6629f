//! Runs a worker specification as a provider would: directories made, placeholders replaced.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use kobel_plan::{Launch, WorkerSpec};

/// A worker's process; killed when dropped.
pub(crate) struct Process {
    child: Child,
    name: String,
    log_dir: PathBuf,
}

impl Process {
    /// Starts it with its files in `dir` and its logs in `log_dir`.
    pub(crate) fn start(spec: &WorkerSpec, dir: &Path, log_dir: &Path) -> Process {
        let fill = |text: &str| {
            text.replace(Launch::WORKER_DIR, dir.to_str().unwrap())
                .replace(Launch::LOG_DIR, log_dir.to_str().unwrap())
        };
        fs::create_dir_all(dir.join("tmp")).unwrap();
        fs::create_dir_all(log_dir).unwrap();
        for file in &spec.files {
            let path = dir.join(&file.path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, fill(&file.contents)).unwrap();
        }
        let log = |kind: &str| fs::File::create(log_dir.join(format!("{}.{kind}", spec.name()))).unwrap();
        let child = Command::new(&spec.launch.program)
            .args(spec.launch.args.iter().map(|arg| fill(arg)))
            .env_clear()
            .envs(spec.launch.env.iter().map(|(name, value)| (name, fill(value))))
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(log("out"))
            .stderr(log("err"))
            .spawn()
            .unwrap();
        Process { child, name: spec.name(), log_dir: log_dir.into() }
    }

    /// Asks it to end and waits until it is gone; panics when it takes longer than Flink allows.
    pub(crate) fn stop(mut self) {
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success());
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "{} did not end\n{}", self.name, self.last_words());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The last lines of what it logged and printed.
    pub(crate) fn last_words(&self) -> String {
        let tail = |kind: &str| {
            let text =
                fs::read_to_string(self.log_dir.join(format!("{}.{kind}", self.name))).unwrap_or_default();
            let lines: Vec<_> = text.lines().collect();
            format!("--- {}.{kind}\n{}\n", self.name, lines[lines.len().saturating_sub(20)..].join("\n"))
        };
        ["log", "out", "err"].map(tail).concat()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
