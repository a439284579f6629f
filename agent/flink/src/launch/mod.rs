//! What a provider runs for a worker: command line, environment and configuration file.

pub mod cds;
mod conf;
mod env;
mod ha;
mod hadoop;
mod jvm;
mod program;
#[cfg(test)]
pub(crate) mod tests;
mod told;
mod tuning;
mod zookeeper;

use kobel_conf::{Category, Explain, flink::ConfError};
use kobel_plan::{
    Attempt, ClusterPlan, DeputyPlan, FlinkRole, JobPlan, Launch, ProviderKind, Resources, Role, RolePlan,
    WorkerFile, WorkerId, WorkerSpec,
    yarn::{AGENT_BYTES, is_masters_own},
};

/// Where a JobManager listens: the agent picks both before the process starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobManagerPorts {
    /// Flink's `jobmanager.rpc.port`: TaskManagers call it at the plan's `rpc_address`. With high
    /// availability its `high-availability.jobmanager.port`, which ZooKeeper tells them; 0 is any then.
    pub rpc: u16,
    /// Flink's own REST server, on [`REST_HOST`], or where JobManagers run on several machines on its node; the
    /// cluster's front forwards to it.
    pub rest: u16,
}

/// Where a JobManager's own REST server listens: behind the front, for this machine alone.
pub const REST_HOST: &str = "127.0.0.1";

/// Why no command line can be made of a plan.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// A path is not UTF-8, or holds a character that its place does not allow.
    #[error("{path:?} cannot be {place}")]
    Path {
        /// The path.
        path: std::path::PathBuf,
        /// Where it would stand: "an entry of a class path".
        place: &'static str,
    },
    /// Something that no process can be given.
    #[error("an argument of the program holds a zero byte, and {worker} cannot be given it")]
    Argument {
        /// Worker and attempt.
        worker: String,
    },
    /// A worker that the plan has no place for.
    #[error("the plan has no {worker}")]
    Unplanned {
        /// Worker and attempt.
        worker: String,
    },
    /// The configuration cannot be written in the plan's format.
    #[error("could not write the Flink configuration of {worker}")]
    Conf {
        /// Worker and attempt.
        worker: String,
        /// Why not.
        source: ConfError,
    },
}

impl Explain for LaunchError {
    fn category(&self) -> Category {
        Category::Environment
    }

    fn hint(&self) -> Option<String> {
        match self {
            LaunchError::Path { .. } => Some("move it to a path of ordinary characters".into()),
            LaunchError::Conf { source, .. } => source.hint(),
            LaunchError::Unplanned { .. } | LaunchError::Argument { .. } => None,
        }
    }
}

/// What a worker has to know of others before it starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Peers {
    /// Where a JobManager is to listen, and a TaskManager finds it. With high availability a TaskManager
    /// asks ZooKeeper.
    pub job_manager: Option<JobManagerPorts>,
    /// The port of the cluster's own ZooKeeper on loopback.
    pub zookeeper: Option<u16>,
}

/// What a provider runs for this attempt of a worker. `marker` becomes the value of
/// [`Launch::MARKER`]. The only looks outside of the arguments: whether the user's directory has a
/// logging configuration, whether the role's archive of classes is there, and a few variables of the
/// agent's environment ([`env::INHERITED`]).
pub fn worker_spec(
    plan: &ClusterPlan,
    peers: &Peers,
    id: WorkerId,
    attempt: Attempt,
    marker: &str,
) -> Result<WorkerSpec, LaunchError> {
    let role = match id.role {
        Role::JobManager => FlinkRole::JobManager,
        Role::TaskManager => FlinkRole::TaskManager,
        Role::ZooKeeper => return zookeeper::spec(plan, peers, id, attempt, marker),
    };
    let worker = Worker { plan, role: role_plan(plan, role), id, attempt };
    let contents = kobel_conf::flink::render(&conf::of_worker(&worker, peers), plan.dialect)
        .map_err(|source| LaunchError::Conf { worker: worker.name(), source })?;
    let conf = WorkerFile { path: format!("conf/{}", plan.dialect.file_name()), contents };
    let program = worker.job().map(|job| program::file(&worker, job)).transpose()?;
    let launch = Launch {
        program: jvm::program(plan)?,
        args: jvm::arguments(&worker)?,
        env: env::of_worker(&worker, marker)?,
    };
    Ok(WorkerSpec {
        id,
        attempt,
        resources: Resources { memory_bytes: memory(&worker), vcores: conf::vcores(&worker) },
        launch,
        files: std::iter::once(conf)
            .chain(program)
            .chain(told::files(&worker))
            .chain(hadoop::files(plan))
            .collect(),
        deputy: DeputyPlan::of(plan, id),
    })
}

/// What its container must hold. Beside a JobManager in one of its own there is room for as much as beside that in
/// the agent's.
fn memory(worker: &Worker<'_>) -> u64 {
    let beside = if worker.has_masters_container() { AGENT_BYTES } else { 0 };
    worker.role.process_bytes.saturating_add(beside)
}

fn role_plan(plan: &ClusterPlan, role: FlinkRole) -> &RolePlan {
    match role {
        FlinkRole::JobManager => &plan.job_manager,
        FlinkRole::TaskManager => &plan.task_manager,
    }
}

/// One attempt of a worker and what the plan says of it.
struct Worker<'a> {
    plan: &'a ClusterPlan,
    role: &'a RolePlan,
    id: WorkerId,
    attempt: Attempt,
}

impl Worker<'_> {
    fn name(&self) -> String {
        self.id.attempt_name(self.attempt)
    }

    /// The job that it runs, if it is a JobManager of a per-job cluster.
    fn job(&self) -> Option<&JobPlan> {
        self.plan.job.as_ref().filter(|_| self.id.role == Role::JobManager)
    }

    /// Whether it is a JobManager that does not share the agent's container.
    fn has_masters_container(&self) -> bool {
        self.plan.provider == ProviderKind::Yarn
            && self.id.role == Role::JobManager
            && !is_masters_own(self.id)
    }
}

/// A path as text, for command lines and environments.
fn text(path: &std::path::Path) -> Result<&str, LaunchError> {
    path.to_str().ok_or_else(|| LaunchError::Path { path: path.into(), place: "part of a command line" })
}
