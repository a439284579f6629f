//! One test's world.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use crate::{
    artifacts::Flink,
    command::{Done, Running},
    scene, wait,
};

/// Directories and environment of one test.
pub struct Lab {
    dir: PathBuf,
    envs: Vec<(String, String)>,
    count: AtomicU32,
}

impl Lab {
    /// A fresh world for the test of this name.
    pub fn new(test: &str) -> Lab {
        let dir = fresh_dir(test);
        for sub in ["home", "out"] {
            fs::create_dir(dir.join(sub)).expect("a directory");
        }
        let path = |sub: &str| dir.join(sub).to_string_lossy().into_owned();
        let envs = vec![
            ("PATH".into(), env::var("PATH").unwrap_or_default()),
            ("HOME".into(), path("home")),
            ("USER".into(), env::var("USER").unwrap_or_else(|_| "tester".into())),
            ("LANG".into(), "C.UTF-8".into()),
            ("KOBEL_STATE_DIR".into(), path("state")),
            ("KOBEL_DATA_DIR".into(), path("data")),
            ("KOBEL_CACHE_DIR".into(), path("cache")),
            ("KOBEL_CONFIG".into(), path("config.toml")),
            // Each lab's first cluster would train archives in the background, at all others' cost.
            ("KOBEL_START_CDS".into(), "off".into()),
            // JVMs that live for a minute: what the second compiler does for them costs more than it gives.
            ("JVM_ARGS".into(), "-XX:TieredStopAtLevel=1".into()),
        ];
        Lab { dir, envs, count: AtomicU32::new(0) }
    }

    /// A fresh world in which this Flink is the one to use.
    pub fn with_flink(test: &str, flink: &Flink) -> Lab {
        let mut lab = Lab::new(&format!("{test}-{}", flink.version));
        lab.env("FLINK_HOME", flink.home.to_str().expect("a UTF-8 path"));
        lab
    }

    /// Sets an environment variable for the commands that follow.
    pub fn env(&mut self, key: &str, value: &str) {
        self.envs.retain(|(k, _)| k != key);
        self.envs.push((key.into(), value.into()));
    }

    /// The lab's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A path in the lab's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Writes a file in the lab's directory.
    pub fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(&path, content).expect("a file");
        path
    }

    /// The directory of a cluster.
    pub fn cluster_dir(&self, name: &str) -> PathBuf {
        self.path("state/clusters").join(name)
    }

    /// Runs kobel to its end.
    pub fn kobel(&self, args: &[&str]) -> Done {
        self.spawn_kobel(args).wait()
    }

    /// Starts kobel.
    pub fn spawn_kobel(&self, args: &[&str]) -> Running {
        self.spawn(&kobel_binary(), args)
    }

    /// Runs one of the scripts that keep Flink's names.
    pub fn script(&self, name: &str, args: &[&str]) -> Done {
        self.spawn(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts").join(name), args).wait()
    }

    /// Starts any program in the lab's environment.
    pub fn spawn(&self, program: &Path, args: &[&str]) -> Running {
        let n = self.count.fetch_add(1, Ordering::Relaxed);
        // A test that runs in the background of a shell would hand on that Ctrl-C is ignored.
        let mut command = Command::new("/usr/bin/env");
        command
            .arg("--default-signal=INT")
            .arg(program)
            .args(args)
            .current_dir(&self.dir)
            .env_clear()
            .envs(self.envs.iter().cloned());
        command.env("KOBEL_BIN", kobel_binary());
        Running::spawn(command, self.dir.join("out").join(format!("{n:03}")))
    }

    /// Every regular file that is left below a directory of the lab.
    pub fn files(&self, below: &str) -> Vec<PathBuf> {
        scene::files_below(&self.path(below))
    }

    /// The processes of this lab: agents, JobManagers, TaskManagers, running commands.
    pub fn processes(&self) -> Vec<i32> {
        scene::processes_of(&self.dir).iter().map(|p| p.pid).collect()
    }

    /// Waits until no process of this lab is left, and fails if one stays.
    #[track_caller]
    pub fn no_process_left(&self) {
        wait::until("no process is left", Duration::from_secs(15), || match scene::processes_of(&self.dir) {
            left if left.is_empty() => Ok(()),
            left => Err(format!("{left:?}")),
        });
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let left = scene::processes_of(&self.dir);
        for process in &left {
            let _ = Command::new("kill").arg("-KILL").arg(process.pid.to_string()).status();
        }
        if thread::panicking() {
            eprintln!("{}\nthe scene is kept in {}", scene::log_tails(&self.dir, 20), self.dir.display());
            return;
        }
        assert!(
            left.is_empty(),
            "the test left processes: {left:?}; the scene is kept in {}",
            self.dir.display()
        );
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A new directory (0700) beside those of other tests.
pub(crate) fn fresh_dir(prefix: &str) -> PathBuf {
    let base = env::temp_dir().join(format!("kobel-lab-{}", own_uid()));
    fs::create_dir_all(&base).expect("a base directory for labs");
    let dir = tempfile::Builder::new().prefix(&format!("{prefix}-")).tempdir_in(&base);
    let dir = dir.expect("a directory").keep();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).expect("0700");
    dir
}

/// The kobel under test: `KOBEL_BIN`, else the one beside this test's own binary.
pub fn kobel_binary() -> PathBuf {
    if let Some(path) = env::var_os("KOBEL_BIN") {
        return path.into();
    }
    let me = env::current_exe().expect("the path of this test");
    let built = me.parent().and_then(Path::parent).expect("target/debug/deps").join("kobel");
    assert!(built.is_file(), "{} is missing: cargo build -p kobel", built.display());
    built
}

/// Our user id, for a directory that two users do not share.
fn own_uid() -> u32 {
    procfs::process::Process::myself().and_then(|p| p.uid()).unwrap_or_default()
}
