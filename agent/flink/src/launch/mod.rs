//! What a provider runs for a worker: command line, environment and configuration file.

pub mod cds;
mod conf;
mod env;
mod hadoop;
mod jvm;
#[cfg(test)]
mod tests;
mod tuning;

use kobel_conf::{Category, Explain, flink::ConfError};
use kobel_plan::{Attempt, ClusterPlan, Launch, Resources, Role, RolePlan, WorkerFile, WorkerId, WorkerSpec};

/// Where the leading JobManager listens: the agent picks both before the process starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobManagerPorts {
    /// Flink's `jobmanager.rpc.port`: TaskManagers call it at the plan's `rpc_address`.
    pub rpc: u16,
    /// Flink's own REST server, on [`REST_HOST`]; the cluster's front forwards to it.
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
        }
    }
}

/// What a provider runs for this attempt of a worker. `marker` becomes the value of
/// [`Launch::MARKER`]. The only looks outside of the arguments: whether the user's directory has a
/// logging configuration, whether the role's archive of classes is there, and a few variables of the
/// agent's environment ([`env::INHERITED`]).
pub fn worker_spec(
    plan: &ClusterPlan,
    ports: &JobManagerPorts,
    id: WorkerId,
    attempt: Attempt,
    marker: &str,
) -> Result<WorkerSpec, LaunchError> {
    let worker = Worker { plan, role: role_plan(plan, id.role), id, attempt };
    let contents = kobel_conf::flink::render(&conf::of_worker(&worker, ports), plan.dialect)
        .map_err(|source| LaunchError::Conf { worker: worker.name(), source })?;
    let conf = WorkerFile { path: format!("conf/{}", plan.dialect.file_name()), contents };
    let launch = Launch {
        program: jvm::program(plan)?,
        args: jvm::arguments(&worker)?,
        env: env::of_worker(&worker, marker)?,
    };
    Ok(WorkerSpec {
        id,
        attempt,
        resources: Resources { memory_bytes: worker.role.process_bytes, vcores: conf::vcores(&worker) },
        launch,
        files: std::iter::once(conf).chain(hadoop::files(plan)).collect(),
    })
}

fn role_plan(plan: &ClusterPlan, role: Role) -> &RolePlan {
    match role {
        Role::JobManager => &plan.job_manager,
        Role::TaskManager => &plan.task_manager,
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
}

/// A path as text, for command lines and environments.
fn text(path: &std::path::Path) -> Result<&str, LaunchError> {
    path.to_str().ok_or_else(|| LaunchError::Path { path: path.into(), place: "part of a command line" })
}
