//! The agent from its start to its end.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::{
        fd::AsFd,
        unix::fs::{MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, Mutex},
};

use futures_util::future::BoxFuture;
use kobel_conf::chain;
use kobel_flink::ha::embedded_quorum;
use kobel_plan::{ClusterDir, ClusterPlan, ProviderKind, Status, Wanted, WorkerId};
use kobel_provider::{
    Provider,
    local::{LocalProvider, Surroundings},
};
use rustix::fs::{FlockOperation, Mode, flock};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::{
    am::Keeper,
    control,
    election::{Coroner, Election, Storage},
    error::AgentError,
    front::{self, Front},
    handle::{self, Handle},
    job::{Job, JobWatch},
    observe::{Heard, Question, observe},
    ports::choose_for_zookeeper,
    record::Record,
    servers::{Servers, heed_signals},
    snapshots::{self, SnapshotKeeper},
    supervisor::{Inputs, Outputs, Supervisor},
};

/// What is logged unless `KOBEL_LOG` says otherwise.
const LOGGED: &str = "info";
/// Before what `KOBEL_LOG` says: at DEBUG hdfs-native logs whole messages, keys of encryption among them.
const GUARDED: &str = "hdfs_native=warn";
/// Requests waiting for the supervisor; who finds the queue full waits too.
const REQUESTS: usize = 16;

/// Takes charge of the cluster in this directory and returns when the cluster is over.
///
/// Its standard input is the cluster's lock, held for it by who started it. On its standard output it
/// writes one line: `{"ready":true}` when it serves the cluster's socket, or `{"error":"…"}`.
pub fn run(cluster_dir: PathBuf) -> ExitCode {
    match take_charge(&ClusterDir::new(cluster_dir)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let error = chain(&error);
            tracing::error!(error, "could not take charge");
            say(&serde_json::json!({ "error": error }));
            ExitCode::FAILURE
        }
    }
}

fn take_charge(dir: &ClusterDir) -> Result<(), AgentError> {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    // Out of the starter's session: neither its Ctrl-C nor its terminal's end is for the agent. It
    // fails only where the agent leads a session already.
    let _ = rustix::process::setsid();
    hold_lock(dir)?;
    let plan = read_plan(dir)?;
    log_to(&plan.log_dir, AGENT_LOG)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // Only for fsync, name lookups and launches.
        .max_blocking_threads(4)
        .build()
        .map_err(|source| AgentError::Runtime { attempt: "set up the runtime", source })?;
    runtime.block_on(async {
        let provider = open_provider(&plan, dir)?;
        govern(plan, dir.clone(), provider, Extras::default()).await
    })
}

/// Makes sure that no other agent has charge: the lock must be our standard input.
fn hold_lock(dir: &ClusterDir) -> Result<(), AgentError> {
    let stdin = io::stdin();
    let given = rustix::fs::fstat(stdin.as_fd()).map(|stat| (stat.st_dev, stat.st_ino)).ok();
    let lock = fs::metadata(dir.lock()).map(|meta| (meta.dev(), meta.ino())).ok();
    // Taking again a lock that this very descriptor holds succeeds.
    let held = given.is_some() && given == lock;
    let held = held && flock(stdin.as_fd(), FlockOperation::NonBlockingLockExclusive).is_ok();
    if held { Ok(()) } else { Err(AgentError::NotLocked { dir: dir.path().into() }) }
}

pub(crate) fn read_plan(dir: &ClusterDir) -> Result<ClusterPlan, AgentError> {
    let path = dir.plan();
    let bytes = fs::read(&path).map_err(io_error("read", &path))?;
    serde_json::from_slice(&bytes).map_err(|source| AgentError::Plan { path, source })
}

/// The agent's own log in a directory of logs.
pub(crate) const AGENT_LOG: &str = "agent.log";

pub(crate) fn log_to(log_dir: &Path, name: &str) -> Result<(), AgentError> {
    fs::create_dir_all(log_dir).map_err(io_error("create", log_dir))?;
    let path = log_dir.join(name);
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
    let file: File = file.map_err(io_error("open", &path))?;
    let asked = std::env::var("KOBEL_LOG").unwrap_or_else(|_| LOGGED.into());
    let filter = EnvFilter::try_new(format!("{GUARDED},{asked}")).unwrap_or_else(|_| EnvFilter::new(LOGGED));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_target(false);
    // A second subscriber in one process is a test's, and its logs are of no interest.
    let _ = subscriber.with_writer(Mutex::new(file)).try_init();
    Ok(())
}

pub(crate) fn io_error(attempt: &'static str, path: &Path) -> impl FnOnce(io::Error) -> AgentError {
    let path = path.to_path_buf();
    move |source| AgentError::Io { attempt, path, source }
}

/// Something to be done while the cluster lives, which sees how it stands.
pub(crate) type Beside = Box<dyn FnOnce(watch::Receiver<Arc<Status>>) -> BoxFuture<'static, ()> + Send>;

/// What a cluster's agent has in a container and not on a single machine.
#[derive(Default)]
pub(crate) struct Extras {
    /// Bound before, for YARN wants to know where it is.
    pub(crate) front: Option<Front>,
    /// Ends before the cluster does.
    pub(crate) beside: Option<Beside>,
    /// Is told of what is to last.
    pub(crate) keeper: Option<Keeper>,
    /// Knows how those before it ended.
    pub(crate) coroner: Option<Arc<dyn Coroner>>,
}

/// Sets everything up, says so, and supervises.
pub(crate) async fn govern(
    plan: ClusterPlan,
    dir: ClusterDir,
    provider: Arc<dyn Provider>,
    Extras { front, beside, keeper, coroner }: Extras,
) -> Result<(), AgentError> {
    handle::check(plan.wanted, plan.ha.is_some())?;
    let recovered = provider.recover().await?;
    let former = Record::former(&plan, &dir, &recovered);
    if former.is_none() {
        check_sizes(&plan, provider.as_ref()).await?;
    }
    let former_port = former.as_ref().map(|record| record.front_port);
    let front = match front {
        Some(front) => front,
        None => front::bind(&plan.front, former_port)?,
    };
    let socket = control::bind(&dir).map_err(io_error("bind", &dir.socket()))?;
    let mut record = Record::of_agent(former, &plan, front.port);
    let reserved = match (&plan.ha, record.zookeeper_port) {
        (Some(ha), None) if ha.is_embedded() => {
            let (port, reserved) = choose_for_zookeeper()?;
            record.zookeeper_port = Some(port);
            reserved
        }
        _ => Vec::new(),
    };
    if let (Some(ha), Some(port)) = (&mut record.status.ha, record.zookeeper_port) {
        ha.quorum = Some(embedded_quorum(port));
    }
    record.save(&dir).await;
    // On a single machine nobody starts agents but by commands.
    let crash_loop = record.agents_in_a_loop().filter(|_| plan.provider == ProviderKind::Yarn);

    let (status, statuses) = watch::channel(Arc::new(record.status.clone()));
    let (upstream, upstreams) = watch::channel(None);
    let (questions, asked) = watch::channel(Question::default());
    let (heard, hears) = watch::channel(Heard::default());
    let (requests, requested) = mpsc::channel(REQUESTS);
    tracing::info!(cluster = %plan.name, epoch = record.epoch, pid = std::process::id(), "takes charge");
    let (election, elections) = match &plan.ha {
        Some(ha) => Election::follow(ha, record.zookeeper_port)
            .map(|(election, news)| (Some(election), Some(news)))?,
        None => (None, None),
    };
    let storage = plan.ha.as_ref().and_then(|ha| match Storage::of(&plan, ha) {
        Ok(storage) => Some(storage),
        Err(error) => {
            tracing::warn!(error = chain(&error), "how jobs end is known from the leader alone");
            None
        }
    });
    let (snapshots, keeping) = SnapshotKeeper::of(&dir, upstreams.clone(), statuses.clone());
    let outputs = Outputs { status, upstream, questions, election, storage: storage.clone(), coroner };
    let jobs = plan.job.as_ref().map(|job| {
        let (news, jobs) = mpsc::channel(REQUESTS);
        let job = Job { id: job.id, storage: storage.clone() };
        let (log_dir, snapshots) = (plan.log_dir.clone(), snapshots.clone());
        tokio::spawn(JobWatch { job, log_dir, asked: asked.clone(), snapshots, news }.run());
        jobs
    });
    let program = plan.job.as_ref().and_then(snapshots::program_of);
    let inputs = Inputs { workers: provider.watch(), heard: hears, requests: requested, jobs, elections };
    let fenced = provider.fenced();
    let mut supervisor = Supervisor::new(plan, dir.clone(), provider, record, outputs);
    supervisor.reserve(WorkerId::zookeeper(), reserved);
    // Before anyone can ask: what a former agent told last may not be so any more.
    supervisor.adopt(recovered, former_port).await;
    if let Some(ending) = crash_loop {
        supervisor.end(ending);
    }

    let beside = beside.map(|beside| tokio::spawn(beside(statuses.clone())));
    let keeping_snapshots = tokio::spawn(keeping);
    if let Some(note) = program {
        snapshots.note(note).await;
    }
    let handle = Handle { status: statuses, requests, events: dir.events(), results: storage, snapshots };
    let observer = tokio::spawn(observe(asked, heard));
    let signals = tokio::spawn(heed_signals(handle.clone())?);
    let over = CancellationToken::new();
    let keeping = keeper.map(|keeper| tokio::spawn(keeper.keep(handle.status.clone(), over.clone())));
    let servers = Servers::start(front, upstreams, socket, handle);
    say(&serde_json::json!({ "ready": true }));
    tokio::select! {
        () = supervisor.run(inputs) => {}
        why = fenced => return Err(AgentError::Fenced { why }),
    }
    if let Some(beside) = beside {
        beside.abort();
    }
    supervisor.finish().await;
    servers.stop().await;
    signals.abort();
    observer.abort();
    keeping_snapshots.abort();
    over.cancel();
    if let Some(keeping) = keeping {
        let _ = keeping.await;
    }
    fs::remove_file(dir.socket()).map_err(io_error("remove", &dir.socket()))
}

fn open_provider(plan: &ClusterPlan, dir: &ClusterDir) -> Result<Arc<dyn Provider>, AgentError> {
    match plan.provider {
        ProviderKind::Local => {
            let marker = dir.path().display().to_string();
            Ok(LocalProvider::open(dir.workers(), plan.log_dir.clone(), marker, Surroundings::Machine)?)
        }
        other => Err(AgentError::NoProvider(other)),
    }
}

/// A worker larger than the provider can ever give fails now, not after a while of trying.
async fn check_sizes(plan: &ClusterPlan, provider: &dyn Provider) -> Result<(), AgentError> {
    let most = provider.limits().await?.memory_bytes;
    let Wanted { job_managers, task_managers } = plan.wanted;
    let task_managers = plan.most_task_managers(task_managers);
    let roles =
        [("JobManager", job_managers, &plan.job_manager), ("TaskManager", task_managers, &plan.task_manager)];
    for (noun, wanted, role) in roles {
        if wanted > 0 && role.process_bytes > most {
            let mib = |bytes: u64| bytes >> 20;
            let (needs, most) = (mib(role.process_bytes), mib(most));
            let error = format!(
                "a {noun} of {needs}m is larger than the largest that {} has, {most}m",
                plan.provider
            );
            return Err(AgentError::Wanted(error));
        }
    }
    Ok(())
}

/// The one line on standard output. Who started us may be gone already.
fn say(line: &serde_json::Value) {
    let mut stdout = io::stdout();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

#[cfg(test)]
mod tests;
