//! The command line of a JVM.

use std::path::PathBuf;

use kobel_plan::{ClusterPlan, Launch, Role};
use reqwest::Url;

use super::{LaunchError, Worker, cds, conf::tmp_dir, hadoop, program, text, told, tuning};

/// From this version on the security manager must be allowed before Flink can install its own
/// (`cluster.intercept-user-system-exit`), as `config.sh` does it; from [`WITHOUT_SECURITY_MANAGER`]
/// on there is none, and a JVM that is told to allow it does not start.
const SECURITY_MANAGER_OFF: u32 = 18;
/// See [`SECURITY_MANAGER_OFF`].
const WITHOUT_SECURITY_MANAGER: u32 = 24;

/// Flink's entry point of a JobManager that takes jobs.
const SESSION: &str = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint";
/// Flink's entry point of a TaskManager.
const TASK_MANAGER: &str = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner";

/// The `java` to run.
pub(super) fn program(plan: &ClusterPlan) -> Result<String, LaunchError> {
    Ok(text(&plan.java.home.join("bin/java"))?.into())
}

/// Everything after `java`. What the user can override comes before the plan's arguments: of two
/// equal JVM options the last one counts.
pub(super) fn arguments(worker: &Worker<'_>) -> Result<Vec<String>, LaunchError> {
    let mut args = vec![
        // Options of one Java version must not keep another from starting.
        "-XX:+IgnoreUnrecognizedVMOptions".to_string(),
        format!("-Djava.io.tmpdir={}", tmp_dir()),
        format!("-XX:ErrorFile={}/{}.hs_err.log", Launch::LOG_DIR, worker.name()),
    ];
    if (SECURITY_MANAGER_OFF..WITHOUT_SECURITY_MANAGER).contains(&worker.plan.java.version) {
        args.push("-Djava.security.manager=allow".into());
    }
    args.extend(tuning::options(worker));
    args.extend(cds::options(worker.role));
    args.extend(worker.role.jvm_args.iter().cloned());
    args.extend(logging(worker)?);
    args.extend(["-classpath".into(), class_path(worker.plan)?]);
    if worker.job().is_some() {
        args.push(program::argument());
        return Ok(args);
    }
    let is_master = worker.id.role == Role::JobManager;
    args.push(if is_master { SESSION } else { TASK_MANAGER }.into());
    args.extend(["--configDir".into(), format!("{}/conf", Launch::WORKER_DIR)]);
    if is_master {
        args.extend(["--executionMode", "cluster"].map(String::from));
    }
    Ok(args)
}

/// Log4j 1, Log4j 2 and Logback each by its own property, as Flink's scripts name them.
pub(super) fn logging(worker: &Worker<'_>) -> Result<Vec<String>, LaunchError> {
    let log4j = logging_file(worker.plan, "log4j.properties")?;
    let logback = logging_file(worker.plan, "logback.xml")?;
    let mut args = vec![
        format!("-Dlog.file={}/{}.log", Launch::LOG_DIR, worker.name()),
        format!("-Dlog4j.configuration={log4j}"),
        format!("-Dlog4j.configurationFile={}", told::log4j_files(worker, &log4j)),
        format!("-Dlogback.configurationFile={logback}"),
    ];
    args.extend(told::properties(worker));
    Ok(args)
}

/// The user's file of that name, or the distribution's where the user has none, as a URL.
///
/// A relative path, as in a container, stays one: the process works in the directory that it is relative to.
fn logging_file(plan: &ClusterPlan, name: &str) -> Result<String, LaunchError> {
    let own = plan.logging_conf_dir.join(name);
    let file = if own.is_file() { own } else { plan.flink.home.join("conf").join(name) };
    if file.is_relative() {
        return Ok(text(&file)?.into());
    }
    Url::from_file_path(&file)
        .map(String::from)
        .map_err(|()| LaunchError::Path { path: file, place: "a URL" })
}

/// Flink's jars, Hadoop's, and Hadoop's configuration, joined with colons, which no entry can
/// therefore hold. Flink's come first and each by its name: an archive of classes fits no other way.
pub(super) fn class_path(plan: &ClusterPlan) -> Result<String, LaunchError> {
    let entry = |path: &PathBuf| {
        let bad = || LaunchError::Path { path: path.clone(), place: "an entry of a class path" };
        path.to_str().filter(|text| !text.contains(':')).map(String::from).ok_or_else(bad)
    };
    let given = plan.flink.class_path.iter().chain(&plan.hadoop.class_path).map(entry);
    let conf = hadoop::conf_dir(plan).map(Ok);
    Ok(given.chain(conf).collect::<Result<Vec<_>, _>>()?.join(":"))
}
