//! What a JobManager tells kobel beside the user's log: log4j configurations of kobel's own have it written to files
//! of their own.

use kobel_plan::{Launch, ProviderKind, Role, WorkerFile};

use super::Worker;
use crate::own_log::{self, OwnLog};

/// What is told by this worker.
fn told(worker: &Worker<'_>) -> impl Iterator<Item = OwnLog> {
    let highly_available = worker.plan.ha.is_some() && worker.id.role == Role::JobManager;
    let per_job = worker.job().is_some();
    [(highly_available, own_log::SESSIONS), (per_job, own_log::MAIN)]
        .into_iter()
        .filter_map(|(is_told, log)| is_told.then_some(log))
}

/// The configuration, below the worker's directory.
fn path(log: OwnLog) -> String {
    format!("conf/kobel-{}.properties", log.name)
}

/// The value of `log4j.configurationFile`: kobel's own beside the user's. Relative to the working directory, the
/// worker's own: a name in a URL could hold characters that log4j reads otherwise. In YARN's containers, whose names
/// hold none, not every worker works in its directory.
pub(super) fn log4j_files(worker: &Worker<'_>, user: &str) -> String {
    let place = |path: String| match worker.plan.provider {
        ProviderKind::Yarn => format!("{}/{path}", Launch::WORKER_DIR),
        ProviderKind::Local | ProviderKind::Hosts => path,
    };
    let own: Vec<_> = told(worker).map(|log| place(path(log))).collect();
    if own.is_empty() { user.into() } else { own_log::composite(user, &own) }
}

/// The JVM's properties by which log4j finds the files to write.
pub(super) fn properties(worker: &Worker<'_>) -> impl Iterator<Item = String> {
    let name = worker.name();
    told(worker).map(move |log| format!("-D{}={}/{}", log.property, Launch::LOG_DIR, log.file_name(&name)))
}

/// Files for it.
pub(super) fn files(worker: &Worker<'_>) -> impl Iterator<Item = WorkerFile> {
    told(worker).map(|log| WorkerFile { path: path(log), contents: log.configuration() })
}
