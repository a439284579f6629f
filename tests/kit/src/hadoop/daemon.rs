//! One daemon: a plain `java -cp` process that can be killed, paused and started again.

use std::{
    fmt,
    fs::{self, OpenOptions},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::reaper;
use crate::{scene, wait};

/// How long a daemon may take until it serves, on a loaded machine.
const READY: Duration = Duration::from_secs(180);

/// Tells whether a daemon serves, by what it answers or by its log since it was started; the error says what
/// it answered.
type Probe = Box<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

/// What a daemon is started from.
pub(crate) struct Launch {
    /// The name of its directory and its log.
    pub(crate) name: String,
    /// The Java class with its `main`.
    pub(crate) main: &'static str,
    /// The arguments of `main`.
    pub(crate) args: Vec<String>,
    /// The address it is at.
    pub(crate) host: String,
    /// The network namespace it is in, if not in ours.
    pub(crate) namespace: Option<String>,
    /// The JVM's maximum heap in MiB.
    pub(crate) heap_mib: u32,
    /// Its configuration directory, first on the class path.
    pub(crate) conf_dir: PathBuf,
    /// The rest of the class path.
    pub(crate) class_path: String,
    /// The cluster's directory.
    pub(crate) cluster: PathBuf,
}

/// A daemon of the cluster.
pub struct Daemon {
    launch: Launch,
    ready: Probe,
    child: Mutex<Option<Child>>,
    /// The log's size when it was last started.
    logged: AtomicUsize,
}

impl Daemon {
    pub(crate) fn new(
        launch: Launch,
        ready: impl Fn(&str) -> Result<(), String> + Send + Sync + 'static,
    ) -> Daemon {
        Daemon { launch, ready: Box::new(ready), child: Mutex::new(None), logged: AtomicUsize::new(0) }
    }

    /// Starts it, and does not wait until it serves.
    pub fn start(&self) {
        let mut child = self.child();
        assert!(child.is_none(), "{self:?} runs already");
        self.logged.store(self.log().len(), Ordering::Relaxed);
        *child = Some(self.launch.spawn());
    }

    /// Runs its class with other arguments to the end, as `NameNode -format` is.
    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) {
        self.launch.run(args);
    }

    /// Waits until it serves. A daemon that exits meanwhile fails at once, with the end of its log.
    #[track_caller]
    pub fn wait_ready(&self) {
        wait::until(&format!("{} serves", self.launch.name), READY, || {
            let exit = self.child().as_mut().and_then(|child| child.try_wait().ok().flatten());
            assert!(exit.is_none(), "{} ended with {exit:?}\n{}", self.launch.name, self.log_tail());
            let log = self.log();
            let since = log.get(self.logged.load(Ordering::Relaxed)..).unwrap_or_default();
            (self.ready)(since).map_err(|state| format!("{state}\n{}", self.log_tail()))
        });
    }

    /// Kills it (`kill -9`) and starts it again, then waits until it serves.
    #[track_caller]
    pub fn restart(&self) {
        self.kill9();
        self.start();
        self.wait_ready();
    }

    /// Kills it (`kill -9`); what it had started, such as containers, lives on.
    pub fn kill9(&self) {
        if let Some(mut child) = self.child().take() {
            child.kill().expect("kill -9");
            child.wait().expect("its end");
        }
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    pub fn terminate(&self) {
        if let Some(mut child) = self.child().take() {
            signal("TERM", child.id());
            wait::until(&format!("{} ends", self.launch.name), READY, || match child.try_wait() {
                Ok(Some(_)) => Ok(()),
                state => Err(format!("{state:?}")),
            });
        }
    }

    /// Freezes it (SIGSTOP): its connections stay open and nothing is answered.
    pub fn pause(&self) {
        signal("STOP", self.pid());
    }

    /// Lets it go on.
    pub fn resume(&self) {
        signal("CONT", self.pid());
    }

    /// Its process id. Fails when it was killed.
    #[track_caller]
    pub fn pid(&self) -> u32 {
        self.running().unwrap_or_else(|| panic!("{self:?} is not started"))
    }

    /// Its process id, unless it was killed.
    pub(crate) fn running(&self) -> Option<u32> {
        self.child().as_ref().map(Child::id)
    }

    /// Its own directory.
    pub fn dir(&self) -> PathBuf {
        self.launch.dir()
    }

    /// Everything it logged.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.launch.log()).unwrap_or_default()).into_owned()
    }

    fn log_tail(&self) -> String {
        scene::log_tails(&self.dir(), 20)
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.launch.name)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill9();
    }
}

impl Launch {
    pub(crate) fn dir(&self) -> PathBuf {
        self.cluster.join(&self.name)
    }

    fn log(&self) -> PathBuf {
        self.dir().join("daemon.log")
    }

    /// Runs the class with these arguments to the end, which must be a good one.
    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) {
        let args: Vec<String> = args.iter().map(|arg| arg.to_string()).collect();
        let out = self.command(&args).output().expect("java");
        assert!(out.status.success(), "{} {args:?}: {}", self.name, String::from_utf8_lossy(&out.stderr));
    }

    fn spawn(&self) -> Child {
        let (mut command, log) = (self.command(&self.args), self.log());
        let log = OpenOptions::new().create(true).append(true).open(log).expect("a log");
        let err = log.try_clone().expect("a second handle");
        command.stdin(Stdio::null()).stdout(log).stderr(err).process_group(0);
        command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"))
    }

    /// What the daemon knows of names: its own address as that of this machine, and nothing else. Otherwise a
    /// ResourceManager on loopback tells everybody to find it at this machine's name (`WebAppUtils`), and DNS
    /// is asked for the name of every address.
    fn hosts_file(&self) -> PathBuf {
        let (file, host) = (self.dir().join("hosts"), &self.host);
        let machine = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        fs::write(&file, format!("127.0.0.1 localhost\n{host} {host} {machine}\n")).expect("a file");
        file
    }

    /// Java, on the daemon's host: there `ip` becomes it, so that it has the same process id.
    fn java(&self) -> Command {
        let Some(namespace) = &self.namespace else { return Command::new("java") };
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace, "java"]);
        command
    }

    /// One compiler and one collector thread start fastest, and are all that a small cluster needs.
    fn command(&self, args: &[String]) -> Command {
        let dir = self.dir();
        let temp = dir.join("tmp");
        fs::create_dir_all(&temp).expect("a directory");
        let mut command = self.java();
        command
            .arg(format!("-Xmx{}m", self.heap_mib))
            .args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"])
            .args(["--add-opens", "java.base/java.lang=ALL-UNNAMED"]) // The NodeManager's web app, on JDK 17.
            .arg("-Djava.net.preferIPv4Stack=true")
            .arg(format!("-Djdk.net.hosts.file={}", self.hosts_file().display()))
            .arg(format!("-Djava.io.tmpdir={}", temp.display()))
            .arg("-cp")
            .arg(format!("{}:{}", self.conf_dir.display(), self.class_path))
            .arg(self.main)
            .args(args)
            .current_dir(&dir)
            .env_clear()
            .envs(["PATH", "USER", "TZ"].iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
            .env("LANG", "C.UTF-8")
            .env("HOME", &dir)
            .env("JAVA_HOME", java_home())
            .env("HADOOP_CONF_DIR", &self.conf_dir)
            .env(reaper::MARKER, &self.cluster);
        command
    }
}

/// The JDK behind `java`: containers are told of it by their NodeManager.
fn java_home() -> PathBuf {
    let out = Command::new("sh").args(["-c", "readlink -f \"$(command -v java)\""]).output().expect("sh");
    let java = String::from_utf8_lossy(&out.stdout).trim().to_string();
    let home = Path::new(&java).parent().and_then(Path::parent);
    home.unwrap_or_else(|| panic!("no java on PATH")).to_path_buf()
}

fn signal(name: &str, pid: u32) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status();
    assert!(status.expect("kill").success(), "kill -{name} {pid}");
}
