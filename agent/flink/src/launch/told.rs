//! What a JobManager tells kobel beside the user's log: log4j configurations of kobel's own have it written to files
//! of their own.

use kobel_plan::{Launch, ProviderKind, Role, WorkerFile};

use super::Worker;
use crate::{ha::session_log, main_log};

/// One thing that is told.
struct Telling {
    /// The log4j configuration, below the worker's directory.
    path: &'static str,
    /// What is in that.
    log4j: &'static str,
    /// The system property by which it knows its file.
    property: &'static str,
    /// That file's name in the directory of logs.
    file_name: String,
}

fn tellings(worker: &Worker<'_>) -> Vec<Telling> {
    let sessions = || Telling {
        path: "conf/kobel-sessions.properties",
        log4j: session_log::LOG4J,
        property: session_log::FILE_PROPERTY,
        file_name: session_log::file_name(&worker.name()),
    };
    let main = || Telling {
        path: "conf/kobel-main.properties",
        log4j: main_log::LOG4J,
        property: main_log::FILE_PROPERTY,
        file_name: main_log::file_name(&worker.name()),
    };
    let highly_available = worker.plan.ha.is_some() && worker.id.role == Role::JobManager;
    let per_job = worker.job().is_some();
    highly_available.then(sessions).into_iter().chain(per_job.then(main)).collect()
}

/// The value of `log4j.configurationFile`: kobel's own beside the user's. Relative to the working directory, the
/// worker's own: a name in a URL could hold characters that log4j reads otherwise. In YARN's containers, whose names
/// hold none, not every worker works in its directory.
pub(super) fn log4j_files(worker: &Worker<'_>, user: &str) -> String {
    let place = |path: &str| match worker.plan.provider {
        ProviderKind::Yarn => format!("{}/{path}", Launch::WORKER_DIR),
        ProviderKind::Local | ProviderKind::Hosts => path.into(),
    };
    let own = tellings(worker).into_iter().map(|telling| place(telling.path));
    let own: Vec<_> = own.collect();
    if own.is_empty() { user.into() } else { session_log::composite(user, &own) }
}

/// The JVM's properties by which log4j finds the files to write.
pub(super) fn properties(worker: &Worker<'_>) -> impl Iterator<Item = String> {
    let property =
        |Telling { property, file_name, .. }| format!("-D{property}={}/{file_name}", Launch::LOG_DIR);
    tellings(worker).into_iter().map(property)
}

/// Files for it.
pub(super) fn files(worker: &Worker<'_>) -> impl Iterator<Item = WorkerFile> {
    let file = |Telling { path, log4j, .. }| WorkerFile { path: path.into(), contents: log4j.into() };
    tellings(worker).into_iter().map(file)
}
