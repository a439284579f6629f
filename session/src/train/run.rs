//! The training itself: a process of its own, as unobtrusive as can be.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    net::TcpListener,
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use kobel_conf::dirs::ensure_private;
use kobel_flink::{
    FlinkRest, JobManagerPorts,
    launch::{REST_HOST, cds::archive_name},
    worker_spec,
};
use kobel_plan::{Attempt, ClusterDir, ClusterPlan, Launch, Role, WorkerId, WorkerSpec};
use rustix::process::{Pid, Signal};

use super::{Errand, FAILED, TrainError, at};
use crate::{launch::wait_ready, registry::Cluster};

/// Beginning of the names of what is unfinished.
pub(crate) const UNFINISHED: &str = ".tmp-";
/// The file in a directory of archives that who makes them holds locked.
pub(crate) const LOCK: &str = "lock";
/// Between two looks at the JVMs.
const LOOK: Duration = Duration::from_millis(200);
/// How long the JVMs may take to find each other, on a loaded machine at low priority.
const READY: Duration = Duration::from_secs(300);
/// How long they may take to write their archives and end.
const DUMP: Duration = Duration::from_secs(120);
/// How long the cluster may take that is started first.
const START: Duration = Duration::from_secs(600);
/// For `sh -c`: becomes the JVM, with a child in its process group that kills the group when its
/// standard input ends. That is a pipe from us, so a JVM never outlives us, whatever ends us.
const LIFELINE: &str = r#"exec 3<&0; (read -r x <&3; kill -KILL 0) & exec "$@" 3<&- </dev/null"#;
/// Archives for other jars and Javas that are kept, the newest ones.
const KEPT: usize = 8;

/// Makes the archives of this directory, as the errand says. Nothing happens where another process
/// does so or has done so, or where the cluster that is to come first does not get ready.
pub async fn run(dir: &Path, errand: impl io::Read) -> Result<(), TrainError> {
    // The shell that started kobel may go, and its jobs come first.
    let _ = rustix::process::setsid();
    let _ = rustix::process::nice(10);
    let Errand { cluster, cluster_dir, plan } = serde_json::from_reader(errand).map_err(TrainError::Plan)?;
    let cluster = Cluster { name: cluster, dir: ClusterDir::new(cluster_dir) };
    if let Err(error) = wait_ready(&cluster, START, &mut |_| {}).await {
        tracing::info!(%error, "no training");
        return Ok(());
    }
    ensure_private(dir).map_err(|e| TrainError::File { path: dir.into(), source: io::Error::other(e) })?;
    let Some(_lock) = lock(dir)? else { return Ok(()) };
    if [Role::JobManager, Role::TaskManager].iter().all(|role| dir.join(archive_name(*role)).is_file()) {
        return Ok(());
    }
    sweep(dir)?;
    let failed = dir.join(FAILED);
    let outcome = train(dir, &plan).await;
    match &outcome {
        Ok(()) => prune(dir),
        Err(_) => fs::write(&failed, "").map_err(at(&failed))?,
    }
    sweep(dir)?;
    outcome
}

/// Held for the life of this process; none if another one holds it.
fn lock(dir: &Path) -> Result<Option<File>, TrainError> {
    let path = dir.join(LOCK);
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).mode(0o600).open(&path).map_err(at(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(TrainError::File { path, source }),
    }
}

/// Removes what is unfinished: while the lock is held, it belongs to nobody else.
fn sweep(dir: &Path) -> Result<(), TrainError> {
    for entry in fs::read_dir(dir).map_err(at(dir))?.flatten() {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            fs::remove_dir_all(entry.path()).map_err(at(&entry.path()))?;
        }
    }
    Ok(())
}

/// Removes the archives that were made longest ago, beyond [`KEPT`]; who maps one keeps it.
fn prune(dir: &Path) {
    let Some(all) = dir.parent().and_then(|base| fs::read_dir(base).ok()) else { return };
    let mut found: Vec<_> =
        all.flatten().filter_map(|e| Some((e.metadata().ok()?.modified().ok()?, e.path()))).collect();
    found.sort();
    let surplus = found.len().saturating_sub(KEPT);
    for (_, old) in found.into_iter().take(surplus).filter(|(_, path)| path != dir) {
        if let Err(error) = fs::remove_dir_all(&old) {
            tracing::warn!(%error, path = %old.display(), "cannot remove an old archive of classes");
        }
    }
}

async fn train(dir: &Path, plan: &ClusterPlan) -> Result<(), TrainError> {
    let ports = free_ports().map_err(at(dir))?;
    let mut trainees = Vec::new();
    for id in [WorkerId::jm(0), WorkerId::tm(0)] {
        trainees.push(Trainee::start(dir, plan, &ports, id)?);
    }
    wait_until_registered(&ports).await?;
    for trainee in &trainees {
        trainee.terminate();
    }
    for trainee in trainees {
        trainee.keep().await?;
    }
    Ok(())
}

/// Two ports that are free now. Should another process take one before the JVM does, the next start
/// tries again.
fn free_ports() -> io::Result<JobManagerPorts> {
    let [rpc, rest] = [TcpListener::bind((REST_HOST, 0))?, TcpListener::bind((REST_HOST, 0))?];
    Ok(JobManagerPorts { rpc: rpc.local_addr()?.port(), rest: rest.local_addr()?.port() })
}

async fn wait_until_registered(ports: &JobManagerPorts) -> Result<(), TrainError> {
    let late = || TrainError::NotReady { after: READY };
    let rest = FlinkRest::new(&format!("http://{REST_HOST}:{}", ports.rest)).map_err(|_| late())?;
    let deadline = Instant::now() + READY;
    while rest.task_managers().await.map_or(true, |all| all.is_empty()) {
        if Instant::now() > deadline {
            return Err(late());
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// A JVM that writes an archive when it ends. Dropped before that, it is killed.
struct Trainee {
    child: Child,
    /// Where it writes.
    draft: PathBuf,
    /// Where that goes.
    archive: PathBuf,
}

impl Trainee {
    fn start(
        dir: &Path,
        plan: &ClusterPlan,
        ports: &JobManagerPorts,
        id: WorkerId,
    ) -> Result<Self, TrainError> {
        // A name of its own: the JVM of a training that was killed may still be about.
        let place = tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(dir).map_err(at(dir))?.keep();
        let marker = place.display().to_string();
        let spec = worker_spec(plan, ports, id, Attempt::FIRST, &marker).map_err(TrainError::Launch)?;
        for file in &spec.files {
            let path = place.join(&file.path);
            fs::create_dir_all(path.parent().unwrap_or(&place)).map_err(at(&path))?;
            fs::write(&path, in_place(&file.contents, &place)).map_err(at(&path))?;
        }
        let tmp = place.join("tmp");
        fs::create_dir(&tmp).map_err(at(&tmp))?;
        let draft = place.join("archive");
        let child = command(&spec, &place, &draft, &tmp).spawn();
        let child = child.map_err(|source| TrainError::Spawn { program: "/bin/sh", source })?;
        Ok(Self { child, draft, archive: dir.join(archive_name(id.role)) })
    }

    /// Tells the JVM, which the shell has become by now, to write and to end.
    fn terminate(&self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, Signal::TERM);
        }
    }

    /// Waits until the archive is written, and puts it where the next start finds it.
    async fn keep(mut self) -> Result<(), TrainError> {
        let deadline = Instant::now() + DUMP;
        while self.child.try_wait().map_err(at(&self.draft))?.is_none() {
            if Instant::now() > deadline {
                return Err(TrainError::NoArchive { path: self.draft.clone() });
            }
            tokio::time::sleep(LOOK).await;
        }
        match fs::rename(&self.draft, &self.archive) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                Err(TrainError::NoArchive { path: self.draft.clone() })
            }
            other => other.map_err(at(&self.archive)),
        }
    }
}

impl Drop for Trainee {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // Also what it started: the wait closes the pipe.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The worker's command, on a [`LIFELINE`].
fn command(spec: &WorkerSpec, place: &Path, draft: &Path, tmp: &Path) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", LIFELINE, "sh"]).arg(&spec.launch.program);
    command.arg(format!("-XX:ArchiveClassesAtExit={}", draft.display()));
    // It warns of every class that it leaves out, hundreds of them.
    command.args(["-Xlog:disable", "-Xlog:all=error:stderr"]);
    command.args(spec.launch.args.iter().map(|arg| in_place(arg, place)));
    command.env_clear().envs(spec.launch.env.iter().map(|(name, value)| (name, in_place(value, place))));
    command.current_dir(tmp).stdin(Stdio::piped()).process_group(0);
    command
}

/// Fills in the directories, as a provider does.
fn in_place(text: &str, place: &Path) -> String {
    let place = place.to_string_lossy();
    text.replace(Launch::WORKER_DIR, &place).replace(Launch::LOG_DIR, &place)
}
