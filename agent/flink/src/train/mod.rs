//! Makes archives of Flink's classes (AppCDS): the JVMs of a small cluster run until they know each other and have run
//! a job, and write what they have loaded when they end.

mod election;
mod rehearsal;

use std::{
    fs, io,
    net::TcpListener,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use kobel_conf::chain;
use kobel_plan::{Attempt, ClusterPlan, FlinkRole, WorkerId, WorkerSpec};
use rustix::process::{Pid, Signal};

use crate::{
    FlinkRest, JobManagerPorts, LaunchError, Peers,
    launch::{REST_HOST, cds::archive_name},
    worker_spec,
};

/// Beginning of the names of what is unfinished.
pub const UNFINISHED: &str = ".tmp-";
/// Where a JVM writes its archive, in its directory.
const DRAFT: &str = "archive";
/// Between two looks at the JVMs.
const LOOK: Duration = Duration::from_millis(200);
/// How long the JVMs may take to find each other, on a loaded machine at low priority.
const READY: Duration = Duration::from_secs(300);
/// How long they may take to write their archives and end.
const DUMP: Duration = Duration::from_secs(120);
/// For `sh -c`: becomes the JVM, with a child in its process group that kills the group when its
/// standard input ends. That is a pipe from us, so a JVM never outlives us, whatever ends us.
const LIFELINE: &str = r#"exec 3<&0; (read -r x <&3; kill -KILL 0) & exec "$@" 3<&- </dev/null"#;

/// No archives were made.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A file or directory of the archives.
    #[error("cannot use {}", path.display())]
    File {
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// No command line could be made.
    #[error("cannot launch a JVM")]
    Launch(#[source] LaunchError),
    /// A JVM could not be started.
    #[error("cannot start {program}")]
    Spawn {
        /// What was started.
        program: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// Nothing listens for long enough.
    #[error("the JVMs did not find each other within {} s", after.as_secs())]
    NotReady {
        /// The time allowed.
        after: Duration,
    },
    /// They ended and wrote nothing.
    #[error("a JVM wrote no archive to {}", path.display())]
    NoArchive {
        /// Where it should be.
        path: PathBuf,
    },
}

/// `path` could not be used.
pub fn at(path: &Path) -> impl FnOnce(io::Error) -> TrainError {
    let path = path.to_path_buf();
    move |source| TrainError::File { path, source }
}

/// Where a training takes place.
pub struct Ground<'a> {
    /// The directory that the archives come into, and what is unfinished.
    pub dir: &'a Path,
    /// Where relative paths of the plan lead from, if it has any.
    pub work_dir: Option<&'a Path>,
    /// Where the job of the training writes, a URL by which Flink knows it and which goes by itself; in `dir` without.
    pub output: Option<String>,
    /// Fills in the placeholders of [`kobel_plan::Launch`], for a worker with this directory.
    pub fill: &'a (dyn Fn(&str, &Path) -> String + Sync),
}

impl std::fmt::Debug for Ground<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_tuple("Ground").field(&self.dir).finish()
    }
}

/// Makes the archives of both roles of this plan, [`archive_name`] each. If it is dropped, or this process
/// ends, its JVMs go too; what is unfinished is left.
pub async fn train(plan: &ClusterPlan, ground: &Ground<'_>) -> Result<(), TrainError> {
    let plan = &election::of_its_own(plan, ground.dir, ground.output.as_deref()).map_err(at(ground.dir))?;
    let [rpc, rest, zookeeper] = free_ports().map_err(at(ground.dir))?;
    let peers = &Peers { job_manager: Some(JobManagerPorts { rpc, rest }), zookeeper: Some(zookeeper) };
    // Dropped last: the others have something to tell it when they end.
    let _zookeeper = Jvm::start(plan, ground, peers, WorkerId::zookeeper(), None)?;
    let mut trainees = Vec::new();
    for role in [FlinkRole::JobManager, FlinkRole::TaskManager] {
        trainees.push(Trainee::start(plan, ground, peers, role)?);
    }
    let rest = wait_until_registered(rest).await?;
    // Without it the archives are worth less, but worth something.
    if let Err(error) = rehearsal::rehearse(&rest, ground.dir, ground.output.as_deref()).await {
        tracing::warn!(error = chain(&error), "the archives know nothing of jobs");
    }
    for trainee in &trainees {
        trainee.terminate();
    }
    for trainee in trainees {
        trainee.keep().await?;
    }
    Ok(())
}

/// Ports that are free now. Should another process take one before the JVM does, the next start tries again.
fn free_ports() -> io::Result<[u16; 3]> {
    let bind = || TcpListener::bind((REST_HOST, 0));
    // All of them before one is free again.
    let held = [bind()?, bind()?, bind()?];
    let mut ports = [0; 3];
    for (port, listener) in ports.iter_mut().zip(&held) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}

async fn wait_until_registered(port: u16) -> Result<FlinkRest, TrainError> {
    let late = || TrainError::NotReady { after: READY };
    let rest = FlinkRest::new(&format!("http://{REST_HOST}:{port}")).map_err(|_| late())?;
    let deadline = Instant::now() + READY;
    while rest.task_managers().await.map_or(true, |all| all.is_empty()) {
        if Instant::now() > deadline {
            return Err(late());
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(rest)
}

/// A JVM of the training. Dropped, it is killed.
struct Jvm {
    child: Child,
    place: PathBuf,
}

impl Jvm {
    /// In a directory of its own, below which it is to write an archive.
    fn start(
        plan: &ClusterPlan,
        ground: &Ground<'_>,
        peers: &Peers,
        id: WorkerId,
        archive: Option<&str>,
    ) -> Result<Self, TrainError> {
        let dir = ground.dir;
        // A name of its own: the JVM of a training that was killed may still be about.
        let place = tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(dir).map_err(at(dir))?.keep();
        let marker = place.display().to_string();
        let spec = worker_spec(plan, peers, id, Attempt::FIRST, &marker).map_err(TrainError::Launch)?;
        for file in &spec.files {
            let path = place.join(&file.path);
            fs::create_dir_all(path.parent().unwrap_or(&place)).map_err(at(&path))?;
            fs::write(&path, (ground.fill)(&file.contents, &place)).map_err(at(&path))?;
        }
        let tmp = place.join("tmp");
        fs::create_dir(&tmp).map_err(at(&tmp))?;
        let archive = archive.map(|name| place.join(name));
        let child = command(&spec, ground, &place, archive.as_deref()).spawn();
        let child = child.map_err(|source| TrainError::Spawn { program: "/bin/sh", source })?;
        Ok(Self { child, place })
    }
}

impl Drop for Jvm {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // Also what it started: the wait closes the pipe.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A JVM that writes an archive when it ends.
struct Trainee {
    jvm: Jvm,
    /// Where it writes.
    draft: PathBuf,
    /// Where that goes.
    archive: PathBuf,
}

impl Trainee {
    fn start(
        plan: &ClusterPlan,
        ground: &Ground<'_>,
        peers: &Peers,
        role: FlinkRole,
    ) -> Result<Self, TrainError> {
        let id = WorkerId { role: role.into(), index: 0 };
        let jvm = Jvm::start(plan, ground, peers, id, Some(DRAFT))?;
        Ok(Self { draft: jvm.place.join(DRAFT), jvm, archive: ground.dir.join(archive_name(role)) })
    }

    /// Tells the JVM, which the shell has become by now, to write and to end.
    fn terminate(&self) {
        if let Some(pid) = i32::try_from(self.jvm.child.id()).ok().and_then(Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, Signal::TERM);
        }
    }

    /// Waits until the archive is written, and puts it where the next start finds it.
    async fn keep(mut self) -> Result<(), TrainError> {
        let deadline = Instant::now() + DUMP;
        while self.jvm.child.try_wait().map_err(at(&self.draft))?.is_none() {
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

/// The worker's command, on a [`LIFELINE`].
fn command(spec: &WorkerSpec, ground: &Ground<'_>, place: &Path, archive: Option<&Path>) -> Command {
    let fill = |text: &String| (ground.fill)(text, place);
    let mut command = Command::new("/bin/sh");
    command.args(["-c", LIFELINE, "sh"]).arg(fill(&spec.launch.program));
    command.args(archive.map(|path| format!("-XX:ArchiveClassesAtExit={}", path.display())));
    // It warns of every class that it leaves out, hundreds of them.
    command.args(["-Xlog:disable", "-Xlog:all=error:stderr"]);
    command.args(spec.launch.args.iter().map(fill));
    command.env_clear().envs(spec.launch.env.iter().map(|(name, value)| (name, fill(value))));
    command.current_dir(ground.work_dir.unwrap_or(&place.join("tmp")));
    command.stdin(Stdio::piped()).process_group(0);
    command
}
