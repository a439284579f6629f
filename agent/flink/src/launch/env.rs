//! The environment of a process: made from scratch, so that nothing of the shell that started the
//! agent (secrets, `JAVA_TOOL_OPTIONS`, a `CLASSPATH`) reaches a JVM unseen.

use std::{collections::BTreeMap, path::Path};

use kobel_plan::Launch;

use super::{LaunchError, Worker, hadoop, program, text};

/// Variables passed on from the agent, where it has them: the user's home directory, and the time
/// zone, by which logs are stamped.
pub(super) const INHERITED: [&str; 2] = ["HOME", "TZ"];

/// Variables that log4j's stock configuration reads, and the Flink keys that `config.sh` takes their
/// values from.
const LOGGING: [(&str, &str); 2] =
    [("ROOT_LOG_LEVEL", "env.log.level"), ("MAX_LOG_FILE_NUMBER", "env.log.max")];

/// The whole environment of the worker. The role's variables win over kobel's choice, except for
/// those by which the process finds its own files and kobel finds the process.
pub(super) fn of_worker(worker: &Worker<'_>, marker: &str) -> Result<BTreeMap<String, String>, LaunchError> {
    let mut env = BTreeMap::new();
    let mut set = |name: &str, value: &str| env.insert(name.to_string(), value.to_string());
    for name in INHERITED {
        if let Ok(value) = std::env::var(name) {
            set(name, &value);
        }
    }
    // Without a UTF-8 locale, Java 17 writes '?' for what is not ASCII and cannot open such files.
    set("LANG", "C.UTF-8");
    set("PATH", "/usr/local/bin:/usr/bin:/bin");
    set("JAVA_HOME", text(&worker.plan.java.home)?);
    let home = &worker.plan.flink.home;
    // Flink's PluginConfig finds plugins by this variable alone.
    for (name, dir) in [("FLINK_PLUGINS_DIR", "plugins"), ("FLINK_OPT_DIR", "opt"), ("FLINK_BIN_DIR", "bin")]
    {
        set(name, text(&home.join(dir))?);
    }
    match worker.job().filter(|_| worker.plan.finds_program()) {
        Some(_) => set("FLINK_LIB_DIR", &program::beside_usrlib(worker.plan.provider)),
        None => set("FLINK_LIB_DIR", text(lib_dir(worker).unwrap_or(&home.join("lib")))?),
    };
    for (name, key) in LOGGING {
        if let Some(value) = worker.plan.conf.get(key) {
            set(name, value);
        }
    }
    env.extend(worker.role.env.clone());
    if let Some(dir) = hadoop::conf_dir(worker.plan) {
        env.extend(hadoop::VARIABLES.map(|name| (name.to_string(), dir.clone())));
    }
    env.insert("FLINK_CONF_DIR".into(), format!("{}/conf", Launch::WORKER_DIR));
    env.insert("FLINK_LOG_DIR".into(), Launch::LOG_DIR.into());
    env.insert(Launch::MARKER.into(), marker.into());
    Ok(env)
}

/// Where `flink-dist` lies, the last jar of the class path: `FLINK_LIB_DIR` may have moved it.
fn lib_dir<'a>(worker: &Worker<'a>) -> Option<&'a Path> {
    worker.plan.flink.class_path.last()?.parent()
}
