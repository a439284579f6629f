//! `kobel exec`: what runs in a worker's container. It makes the worker's process of the file that the
//! agent sent, stays with it, and ends as it ended. Should it be killed itself, its worker dies with it: YARN takes
//! the container for over then, and its node does not look for what is left of it in every case.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
};

use futures_util::future::BoxFuture;
use kobel_plan::{Launch, WorkerSpec};
use tokio::{
    process::{Child, Command},
    signal::unix::{Signal, SignalKind, signal},
    task::JoinHandle,
};

use crate::{
    ProviderError, capped, evicted,
    furnish::{Node, furnish},
    last_words, leash,
};

/// Variables of the container that the worker gets too: what YARN says of it, and where the node's
/// Hadoop and Java are. What the agent set wins.
const INHERITED: [&str; 16] = [
    "CONTAINER_ID",
    "HADOOP_COMMON_HOME",
    "HADOOP_CONF_DIR",
    "HADOOP_HDFS_HOME",
    "HADOOP_HOME",
    "HADOOP_TOKEN_FILE_LOCATION",
    "HADOOP_YARN_HOME",
    "JAVA_HOME",
    "LANG",
    "LOCAL_DIRS",
    "LOG_DIRS",
    "MALLOC_ARENA_MAX",
    "NM_HOST",
    "PATH",
    "TZ",
    "USER",
];

/// How a line begins, on standard error, that says why the container failed.
pub const WORDS: &str = "kobel: ";

/// Runs the worker of this file in the present directory and returns what to exit with: its code, or 128
/// and the number of the signal that ended it. `leash` is kobel's own program, which leashes the worker; it must be
/// called on the main thread. `beside` gives, for this worker and its directory of logs, what runs beside it as
/// long as it lives.
pub fn exec(
    spec: &Path,
    leash: &Path,
    beside: impl FnOnce(&WorkerSpec, &Path) -> Beside,
) -> Result<u8, ProviderError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ProviderError::io("set up", "the runtime"))?;
    let spec = read(spec)?;
    let place = Place::of_container(leash)?;
    runtime.block_on(run(&spec, &place, beside))
}

/// Nothing, or what shall run beside a worker.
pub type Beside = Option<BoxFuture<'static, ()>>;

fn read(path: &Path) -> Result<WorkerSpec, ProviderError> {
    let failed = || ProviderError::io("read", path.display());
    let json = fs::read(path).map_err(failed())?;
    serde_json::from_slice(&json).map_err(|error| failed()(io::Error::other(error)))
}

/// Where this container is.
struct Place {
    leash: PathBuf,
    dir: PathBuf,
    log_dir: PathBuf,
    node: Node,
    env: BTreeMap<String, String>,
}

impl Place {
    fn of_container(leash: &Path) -> Result<Self, ProviderError> {
        let dir = std::env::current_dir().map_err(ProviderError::io("find", "the present directory"))?;
        let env: BTreeMap<_, _> =
            INHERITED.iter().filter_map(|name| Some((name.to_string(), std::env::var(name).ok()?))).collect();
        let log_dirs = env.get("LOG_DIRS").map_or("", String::as_str);
        let log_dir = log_dirs.split(',').next().filter(|dir| !dir.is_empty());
        let log_dir = log_dir.map_or_else(|| dir.join("log"), PathBuf::from);
        let node = Node::here(&dir, &log_dir, |name| std::env::var(name).ok());
        Ok(Self { leash: leash.into(), dir, log_dir, node, env })
    }
}

async fn run(
    spec: &WorkerSpec,
    place: &Place,
    beside: impl FnOnce(&WorkerSpec, &Path) -> Beside,
) -> Result<u8, ProviderError> {
    fs::create_dir_all(&place.log_dir)
        .map_err(ProviderError::io("create directory", place.log_dir.display()))?;
    // A task of its own: should it break, the worker lives on.
    let beside = beside(spec, &place.log_dir).map(tokio::spawn);
    let status = live(spec, place).await;
    if let Some(beside) = beside {
        beside.abort();
    }
    if let Ok(status) = &status {
        repeat_last_words(spec, place, *status);
    }
    match fs::remove_dir_all(place.dir.join("tmp")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, "could not remove the temporary directory");
        }
        _ => {}
    }
    status.map(exit_code)
}

/// What goes to standard error here is what the node shows of a container that failed, and all that the
/// agent hears of it.
fn repeat_last_words(spec: &WorkerSpec, place: &Place, status: ExitStatus) {
    if status.code().is_none_or(|code| code == 0) {
        return;
    }
    if let Some((line, file)) = last_words(&place.log_dir, spec.id, spec.attempt) {
        eprintln!("{WORDS}{line} ({file})");
    }
}

/// From the first file to the last words.
async fn live(spec: &WorkerSpec, place: &Place) -> Result<ExitStatus, ProviderError> {
    furnish(&place.dir, &spec.files, &place.node)?;
    // Heard from before the process is there: YARN may want it gone at once.
    let mut term = signal(SignalKind::terminate()).map_err(ProviderError::io("listen for", "SIGTERM"))?;
    let mut child = spawn(spec, place)?;
    let outputs = outputs(&mut child, &place.log_dir, &spec.name());
    let status = until_end(&mut child, &mut term, &place.dir).await;
    // A descendant may hold the pipes open for ever; what the process itself wrote is in them already.
    for output in outputs {
        let _ = tokio::time::timeout(capped::LAST_WORDS, output).await;
    }
    status.map_err(ProviderError::io("wait for", &spec.launch.program))
}

fn spawn(spec: &WorkerSpec, place: &Place) -> Result<Child, ProviderError> {
    let Launch { program, args, env } = &spec.launch;
    let program = place.node.fill(program);
    // The leash could only say so to the worker's own output.
    fs::metadata(&program).map_err(ProviderError::io("start", &program))?;
    Command::new(&place.leash)
        .args(leash::ARGS)
        .arg(std::process::id().to_string())
        .arg(&program)
        .args(args.iter().map(|arg| place.node.fill(arg)))
        .env_clear()
        .envs(&place.env)
        .envs(env.iter().map(|(key, value)| (key, place.node.fill(value))))
        .current_dir(&place.dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(ProviderError::io("start", program))
}

fn outputs(child: &mut Child, log_dir: &Path, name: &str) -> Vec<JoinHandle<()>> {
    let file = |extension| log_dir.join(format!("{name}.{extension}"));
    let out = child.stdout.take().map(|out| tokio::spawn(capped::copy(out, file("out"))));
    let err = child.stderr.take().map(|err| tokio::spawn(capped::copy(err, file("err"))));
    out.into_iter().chain(err).collect()
}

/// A signal that asks us to go is the worker's to hear. When the node has forgotten the container, nobody
/// else will end it.
async fn until_end(child: &mut Child, term: &mut Signal, dir: &Path) -> io::Result<ExitStatus> {
    let mut evicted = std::pin::pin!(evicted(dir));
    loop {
        tokio::select! {
            status = child.wait() => return status,
            () = &mut evicted => {
                tracing::error!(dir = %dir.display(), "the node has taken the container's directory away");
                child.kill().await?;
                return child.wait().await;
            }
            Some(()) = term.recv() => {
                let pid = child.id().and_then(|pid| rustix::process::Pid::from_raw(pid.try_into().ok()?));
                if let Some(pid) = pid {
                    // It has not been waited for, so the number is its own.
                    let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
                }
            }
        }
    }
}

fn exit_code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt;
    let code = status.code().or_else(|| Some(128 + status.signal()?));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}
