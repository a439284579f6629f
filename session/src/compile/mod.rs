//! From what was asked and what is configured to the plan of a cluster. A function of values: what
//! had to be looked up is in [`Inputs`].

mod error;
mod ha;
mod job;
mod jvm;
mod layers;
mod memory;
mod network;
mod scaling;

use std::{collections::BTreeMap, path::PathBuf};

use kobel_conf::{
    flink::{FlinkConf, Loaded, Origin, Release},
    ha::HaTimings,
    settings::Settings,
};
use kobel_plan::{
    API_VERSION, ClusterDir, ClusterPlan, FlinkHome, FlinkRole, HadoopPlan, JavaHome, ProviderKind, RolePlan,
    Wanted,
};

use crate::{Env, spec::ClusterSpec, yarn::Cargo};

pub use error::CompileError;
pub(crate) use ha::scheme;
pub(crate) use memory::AGENT;

/// Everything a plan is made of.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// What was asked.
    pub spec: &'a ClusterSpec,
    /// kobel's settings.
    pub settings: &'a Settings,
    /// The environment.
    pub env: &'a Env,
    /// Flink's configuration directory.
    pub conf_dir: PathBuf,
    /// What it holds.
    pub loaded: Loaded,
    /// The distribution.
    pub flink: FlinkHome,
    /// The Java.
    pub java: JavaHome,
    /// What of Hadoop there is for it.
    pub hadoop: HadoopPlan,
    /// The cluster's directory on this machine.
    pub cluster_dir: ClusterDir,
    /// Where clusters with high availability keep their data unless the configuration moves them.
    pub ha_dir: PathBuf,
    /// The machine's memory in bytes, where workers are processes of it and it is known.
    pub machine_memory: Option<u64>,
}

/// A plan and how it came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiled {
    /// The plan.
    pub plan: ClusterPlan,
    /// What a person may want to know of the decisions, a line each.
    pub notes: Vec<String>,
    /// The effective configuration with the origin of each value.
    pub conf: FlinkConf,
    /// How quickly Flink's parts notice each other's end, of a cluster with high availability.
    pub timings: Option<HaTimings>,
    /// The program's jar on this machine, of a job that is to have a cluster of its own.
    pub program: Option<PathBuf>,
    /// What goes to YARN's nodes with the plan, of a cluster there.
    pub cargo: Option<Cargo>,
}

/// What kobel sets where nobody else did: key, value and why.
const OVERLAY: [(&str, &str, &str); 6] = [
    // In ms. A TaskManager notices by them that its JobManager was replaced, and the other way
    // round; Flink's own 10 s and 50 s make that take most of a minute.
    ("heartbeat.interval", "2000", "a quick recovery"),
    ("heartbeat.timeout", "8000", "a quick recovery"),
    // In ms, as a bare number: until 1.19 Flink takes no unit here. A TaskManager that is up before
    // the JobManager shall not wait 10 s to ask again.
    ("cluster.registration.error-delay", "500", "a quick start"),
    ("cluster.registration.refused-delay", "500", "a quick start"),
    // 100 days in ms: until then a job waits for slots instead of failing at once. Flink's own
    // ResourceManager cannot know that kobel may still bring workers. Pekko's timer takes no more
    // than 248 days, and the JobManager dies of a longer one.
    ("resourcemanager.standalone.start-up-time", "8640000000", "jobs wait for slots"),
    // What a job leaves is asked for as it ends, and by users as they have made a savepoint; Flink's own 3 s answer with
    // what was before.
    ("rest.cache.checkpoint-statistics.timeout", "100 ms", "the newest checkpoint is told"),
];

/// Variables of the user's shell by which Flink finds a Hadoop configuration, and the key that gives
/// each of them a default (`config.sh`).
const HADOOP: [(&str, &str); 3] = [
    ("HADOOP_CONF_DIR", "env.hadoop.conf.dir"),
    ("YARN_CONF_DIR", "env.yarn.conf.dir"),
    ("HBASE_CONF_DIR", "env.hbase.conf.dir"),
];

/// Variables that say as whom Hadoop's client speaks: names of users and of files, no secrets.
const HADOOP_USER: [&str; 4] =
    ["HADOOP_USER_NAME", "HADOOP_PROXY_USER", "HADOOP_TOKEN_FILE_LOCATION", "KRB5CCNAME"];

/// Decides what the cluster is.
pub fn compile(inputs: Inputs<'_>) -> Result<Compiled, CompileError> {
    let mut notes: Vec<String> = inputs.loaded.notes.iter().map(ToString::to_string).collect();
    let version = &inputs.flink.version;
    let release = Release { major: version.major, minor: version.minor };
    let mut conf = layers::merge(&inputs, release, &mut notes)?;
    // Before what kobel sets otherwise: its heartbeats belong together with ZooKeeper's.
    let (ha, timings) = match ha::decide(&inputs, &mut conf, &mut notes)? {
        Some(decided) => (Some(decided.plan), Some(decided.timings)),
        None => (None, None),
    };
    for (key, value, why) in OVERLAY {
        conf.set_default(key, value, Origin::Kobel(why));
    }
    let job = job::plan(&inputs, &mut conf, &mut notes);
    let task_managers = match job {
        Some(_) => job::task_managers(&conf),
        None => inputs.settings.task_managers.value,
    };
    let wanted = Wanted {
        job_managers: inputs.spec.job_managers,
        task_managers: inputs.spec.task_managers.unwrap_or(task_managers),
    };
    let max_task_managers = scaling::most(&inputs, &conf, wanted.task_managers)?;
    intercept_exit(&mut conf, inputs.java.version, &mut notes);
    jvm::default_options(&mut conf, inputs.java.version);
    if inputs.spec.provider == ProviderKind::Yarn {
        network::on_nodes(&mut conf)?;
        memory::leave_room_for_agent(&mut conf);
    }
    network::defaults(&mut conf);
    // What holds for one TaskManager and not for several must hold when jobs need them.
    let most = Wanted { task_managers: max_task_managers.unwrap_or(0).max(wanted.task_managers), ..wanted };
    network::check_pins(&conf, most)?;
    let (front, mut rpc_port) = (network::front(&conf)?, network::rpc_port(&conf, inputs.spec.provider)?);
    if ha.is_some() && inputs.spec.provider == ProviderKind::Local {
        rpc_port = ha::rpc_port(&conf, rpc_port, &mut notes);
    }
    let job_manager = role(&inputs, FlinkRole::JobManager, &mut conf, &mut notes)?;
    let task_manager = role(&inputs, FlinkRole::TaskManager, &mut conf, &mut notes)?;
    memory::check_machine(&inputs, most, &job_manager, &task_manager, &mut notes)?;
    let rpc_address = network::rpc_address(&conf);
    let plan = ClusterPlan {
        api_version: API_VERSION.into(),
        name: inputs.spec.name.clone(),
        provider: inputs.spec.provider,
        log_dir: log_dir(&inputs, &conf),
        wanted,
        max_task_managers,
        conf: for_workers(&conf),
        origins: conf.iter().map(|(key, entry)| (key.to_string(), entry.origin.to_string())).collect(),
        hadoop: inputs.hadoop,
        dialect: inputs.loaded.dialect,
        job_manager,
        task_manager,
        logging_conf_dir: inputs.conf_dir,
        front,
        rpc_address,
        rpc_port,
        flink: inputs.flink,
        java: inputs.java,
        ha,
        job,
        yarn: None,
    };
    let program = inputs.spec.job.as_ref().map(|job| job.jar.clone());
    Ok(Compiled { plan, notes, conf, timings, program, cargo: None })
}

/// A program's main runs in the JobManager: its `System.exit` must not end the session. Flink stops
/// it by a security manager, which Java no longer has from 24 on; a JVM asked for one dies there.
fn intercept_exit(conf: &mut FlinkConf, java: u32, notes: &mut Vec<String>) {
    const KEY: &str = "cluster.intercept-user-system-exit";
    if java < 24 {
        conf.set_default(KEY, "THROW", Origin::Kobel("a program must not end the session"));
    } else if conf.get_str(KEY).is_none() {
        notes.push(format!("on Java {java} a program that calls System.exit ends the whole session"));
    }
}

fn role(
    inputs: &Inputs<'_>,
    role: FlinkRole,
    conf: &mut FlinkConf,
    notes: &mut Vec<String>,
) -> Result<RolePlan, CompileError> {
    let size = memory::of_role(role, inputs.flink.version.major, conf, notes)?;
    let jvm_args = jvm::arguments(role, size.jvm_args, conf, inputs.env)?;
    // What the variables of this machine lead to is on none of YARN's nodes.
    let here = (inputs.spec.provider != ProviderKind::Yarn).then_some(inputs.env);
    let env = role_env(role, here, conf);
    Ok(RolePlan { process_bytes: size.process_bytes, jvm_args, conf: size.conf, env, archive: None })
}

/// `containerized.master.env.NAME` and its kin of TaskManagers, above where Hadoop's files are.
fn role_env(role: FlinkRole, env: Option<&Env>, conf: &FlinkConf) -> BTreeMap<String, String> {
    let prefix = match role {
        FlinkRole::JobManager => "containerized.master.env.",
        FlinkRole::TaskManager => "containerized.taskmanager.env.",
    };
    let hadoop = HADOOP.into_iter().filter_map(|(name, key)| {
        let value = env?.get(name).or_else(|| conf.get_str(key))?;
        Some((name.to_string(), value.to_string()))
    });
    let user =
        HADOOP_USER.into_iter().filter_map(|name| Some((name.to_string(), env?.get(name)?.to_string())));
    let own = conf.iter().filter_map(|(key, entry)| {
        let name = key.strip_prefix(prefix).filter(|name| !name.is_empty())?;
        Some((name.to_string(), entry.value.clone()))
    });
    hadoop.chain(user).chain(own).collect()
}

/// `FLINK_LOG_DIR`, `env.log.dir` or the cluster's own directory. Log files are named by worker, so
/// in a directory that is not the cluster's own they lie below the cluster's name.
fn log_dir(inputs: &Inputs<'_>, conf: &FlinkConf) -> PathBuf {
    match inputs.env.get("FLINK_LOG_DIR").or_else(|| conf.get_str("env.log.dir")) {
        // YARN has a directory of its own for each container.
        _ if inputs.spec.provider == ProviderKind::Yarn => inputs.cluster_dir.logs(),
        Some(dir) if !dir.is_empty() => PathBuf::from(dir).join(inputs.spec.name.as_str()),
        _ => inputs.cluster_dir.logs(),
    }
}

/// The configuration without the addresses that the agent hands out.
fn for_workers(conf: &FlinkConf) -> BTreeMap<String, String> {
    let mut map = conf.to_map();
    map.retain(|key, _| !network::AGENTS.contains(&key.as_str()));
    map
}

#[cfg(test)]
mod tests;
