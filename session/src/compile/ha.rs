//! High availability: from Flink's keys, kobel's flags and `ha.profile` to what Flink and the agent are told.

use std::time::Duration;

use kobel_conf::{
    flink::{Entry, FlinkConf, Origin},
    ha::{HaProfile, HaTimings, QUORUM_KEY, RPC_PORT_KEY, STORAGE_KEY, TYPE_KEYS},
    units::{millis, parse_duration},
};
use kobel_flink::ha::{ClusterRoot, LayoutError, Quorum};
use kobel_plan::{FlinkRole, HaPlan, PortChoice, ProviderKind, ZooKeeper};

use super::{CompileError, Inputs, network};
use crate::spec::{ClusterSpec, ZooKeeperChoice};

const SESSION_TIMEOUT: &str = "high-availability.zookeeper.client.session-timeout";
const TOLERATE: &str = "high-availability.zookeeper.client.tolerate-suspended-connections";
const AUTHORIZATION: &str = "high-availability.zookeeper.client.authorization";
const FORGET_RESULTS: &str = "job-result-store.delete-on-commit";
/// Flink's default of [`ClusterRoot::ROOT_KEY`].
const ROOT: &str = "/flink";
/// A JobManager that answers nothing for less than this is only busy.
const LEAST_SILENCE: Duration = Duration::from_secs(5);

/// What was decided.
pub(super) struct Decided {
    pub(super) plan: HaPlan,
    pub(super) timings: HaTimings,
}

/// Completes the configuration of a cluster that shall have high availability.
pub(super) fn decide(
    inputs: &Inputs<'_>,
    conf: &mut FlinkConf,
    notes: &mut Vec<String>,
) -> Result<Option<Decided>, CompileError> {
    if !is_on(conf)? {
        return needs_none(inputs.spec).map(|()| None);
    }
    check_provider(inputs.spec)?;
    let zookeeper = zookeeper(inputs, conf, notes)?;
    let root = text(conf, ClusterRoot::ROOT_KEY).unwrap_or(ROOT).to_string();
    let named = text(conf, ClusterRoot::ID_KEY).is_some();
    if !named && inputs.spec.provider == ProviderKind::Local {
        conf.set(ClusterRoot::ID_KEY, inputs.spec.name.as_str(), Origin::Kobel("the cluster's name"));
    }
    let cluster_id = cluster_id(conf, &zookeeper, &root)?;
    let storage_dir = storage(inputs, conf, &cluster_id)?;
    let profile = inputs.settings.ha_profile.value;
    for (key, value) in profile.keys() {
        conf.set_default(key, value, Origin::Kobel(reason(profile)));
    }
    conf.set_default(FORGET_RESULTS, "false", Origin::Kobel("a job that ended is not run again"));
    let timings = timings(conf, profile)?;
    check_port(conf, inputs.spec)?;
    notes.extend(misfits(conf, &timings));
    let plan = HaPlan {
        zookeeper: match zookeeper {
            Servers::Quorum(quorum) => ZooKeeper::Quorum(quorum.to_string()),
            Servers::Embedded => {
                ZooKeeper::Embedded(inputs.ha_dir.join(directory(&cluster_id)).join("zookeeper"))
            }
        },
        root,
        cluster_id,
        storage_dir,
        session_timeout_ms: millis(timings.session_timeout),
        silence_ms: millis(timings.heartbeat_timeout.max(LEAST_SILENCE)),
        keep: named,
        web_ports: inputs.spec.web_ports.clone(),
    };
    Ok(Some(Decided { plan, timings }))
}

/// Whether Flink would take it for on. Only ZooKeeper's is kobel's.
fn is_on(conf: &FlinkConf) -> Result<bool, CompileError> {
    let Some(entry) = kind(conf) else { return Ok(false) };
    let mode = entry.value.trim();
    if mode.is_empty() || mode.eq_ignore_ascii_case("none") {
        return Ok(false);
    }
    match mode.eq_ignore_ascii_case("zookeeper") {
        true => Ok(true),
        false => Err(CompileError::HighAvailability { mode: mode.into(), origin: entry.origin.to_string() }),
    }
}

fn kind(conf: &FlinkConf) -> Option<&Entry> {
    TYPE_KEYS.iter().find_map(|key| conf.get(key))
}

/// Nothing may be asked for that has no meaning without high availability.
fn needs_none(spec: &ClusterSpec) -> Result<(), CompileError> {
    let without = |what| Err(CompileError::NoHighAvailability { what });
    match (&spec.namespace, spec.job_managers) {
        (_, count) if count > 1 => without(format!("--masters {count}")),
        (Some(namespace), _) => without(format!("-z {namespace}")),
        (None, _) => Ok(()),
    }
}

fn check_provider(spec: &ClusterSpec) -> Result<(), CompileError> {
    let provider = spec.provider;
    if provider != ProviderKind::Local && spec.zookeeper == Some(ZooKeeperChoice::Embedded) {
        let (what, why) = ("--zookeeper embedded".into(), "no other machine could reach it");
        return Err(CompileError::NotThere { what, provider, why });
    }
    Ok(())
}

/// Where ZooKeeper is.
enum Servers {
    Quorum(Quorum),
    Embedded,
}

fn zookeeper(
    inputs: &Inputs<'_>,
    conf: &mut FlinkConf,
    notes: &mut Vec<String>,
) -> Result<Servers, CompileError> {
    if inputs.spec.zookeeper == Some(ZooKeeperChoice::Embedded) {
        if let Some(entry) = conf.remove(QUORUM_KEY) {
            notes.push(format!("{QUORUM_KEY} ({}) gives way to --zookeeper embedded", entry.origin));
        }
        return Ok(Servers::Embedded);
    }
    let Some(entry) = conf.get(QUORUM_KEY) else {
        let origin = kind(conf).map(|entry| entry.origin.to_string()).unwrap_or_default();
        return Err(CompileError::NoQuorum { origin });
    };
    let quorum = Quorum::parse(&entry.value).map_err(|source| bad_layout(conf, QUORUM_KEY, source))?;
    if inputs.spec.provider != ProviderKind::Local && quorum.is_loopback() {
        notes.push(format!("{QUORUM_KEY} is {quorum}, which is each node itself"));
    }
    Ok(Servers::Quorum(quorum))
}

fn bad_layout(conf: &FlinkConf, key: &'static str, source: LayoutError) -> CompileError {
    let origin = conf.get(key).map_or_else(|| Origin::Default.to_string(), |entry| entry.origin.to_string());
    CompileError::ZooKeeper { key, origin, source }
}

/// The cluster's name in ZooKeeper, without the slashes around it that Flink takes away. On YARN it is the
/// application's id unless there is a name, and so not known yet.
fn cluster_id(conf: &FlinkConf, zookeeper: &Servers, root: &str) -> Result<String, CompileError> {
    /// Any id will do to check the rest.
    const ANY: &str = "application";
    let id = text(conf, ClusterRoot::ID_KEY).unwrap_or_default();
    let own = Quorum::parse("localhost").map_err(|source| bad_layout(conf, QUORUM_KEY, source))?;
    let quorum = match zookeeper {
        Servers::Quorum(quorum) => quorum,
        Servers::Embedded => &own,
    };
    ClusterRoot::new(quorum, root, if id.is_empty() { ANY } else { id }).map_err(|source| {
        let key = match &source {
            LayoutError::Path { place, .. } => *place,
            _ => ClusterRoot::ID_KEY,
        };
        bad_layout(conf, key, source)
    })?;
    let id = id.strip_prefix('/').unwrap_or(id);
    Ok(id.strip_suffix('/').unwrap_or(id).to_string())
}

/// Where Flink keeps what is too large for ZooKeeper; of this machine's files as `file:///…`.
fn storage(inputs: &Inputs<'_>, conf: &mut FlinkConf, cluster_id: &str) -> Result<String, CompileError> {
    let is_local = inputs.spec.provider == ProviderKind::Local;
    let Some(value) = text(conf, STORAGE_KEY) else {
        if !is_local {
            return Err(CompileError::NoStorage);
        }
        let dir = inputs.ha_dir.join(directory(cluster_id)).join("storage");
        let url = format!("file://{}", dir.display());
        conf.set(STORAGE_KEY, &url, Origin::Kobel("the cluster's own directory"));
        return Ok(url);
    };
    let bad = |expected| {
        let origin = conf.get(STORAGE_KEY).map(|entry| entry.origin.to_string()).unwrap_or_default();
        CompileError::Value { key: STORAGE_KEY.into(), origin, expected }
    };
    let path = match (scheme(value), value.strip_prefix("file:")) {
        (Some(_), Some(rest)) => rest.strip_prefix("//").unwrap_or(rest),
        (Some(_), None) => return Ok(value.into()),
        (None, _) if conf.contains("fs.default-scheme") => return Ok(value.into()),
        (None, _) => value,
    };
    match (path.starts_with('/'), is_local) {
        (false, _) => Err(bad("an absolute path, or a URI such as hdfs:///flink/ha")),
        (true, false) => Err(bad("where all nodes reach it, such as hdfs:///flink/ha")),
        (true, true) => Ok(format!("file://{path}")),
    }
}

/// What a path begins with: `hdfs`.
pub(crate) fn scheme(path: &str) -> Option<&str> {
    let (scheme, _) = path.split_once(':')?;
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    (scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(inner)).then_some(scheme)
}

/// A directory's name for each id, another one for each.
fn directory(cluster_id: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let name = |byte: u8| if plain(byte) { char::from(byte).into() } else { format!("~{byte:02x}") };
    cluster_id.bytes().map(name).collect()
}

fn reason(profile: HaProfile) -> &'static str {
    match profile {
        HaProfile::Fast => "ha.profile fast",
        HaProfile::Standard => "ha.profile standard",
        HaProfile::Patient => "ha.profile patient",
    }
}

/// The timings that hold: the profile's, but for those that the user set.
fn timings(conf: &FlinkConf, profile: HaProfile) -> Result<HaTimings, CompileError> {
    let read = |key: &'static str| {
        let value = conf.get_str(key).unwrap_or_default();
        parse_duration(value).map_err(|_| CompileError::Value {
            key: key.into(),
            origin: conf.get(key).map(|entry| entry.origin.to_string()).unwrap_or_default(),
            expected: "a duration such as 8000 ms",
        })
    };
    Ok(HaTimings {
        session_timeout: read(SESSION_TIMEOUT)?,
        heartbeat_interval: read("heartbeat.interval")?,
        heartbeat_timeout: read("heartbeat.timeout")?,
        ..profile.timings()
    })
}

/// Several JobManagers of one machine cannot listen on one port.
fn check_port(conf: &FlinkConf, spec: &ClusterSpec) -> Result<(), CompileError> {
    let Some(entry) = conf.get(RPC_PORT_KEY).filter(|_| spec.job_managers > 1) else { return Ok(()) };
    match entry.value.trim().parse::<u16>() {
        Ok(port) if port != 0 => Err(CompileError::OnePort {
            key: RPC_PORT_KEY,
            origin: entry.origin.to_string(),
            role: FlinkRole::JobManager,
            count: spec.job_managers,
        }),
        _ => Ok(()),
    }
}

/// What the user chose that works against quick or safe failovers.
fn misfits(conf: &FlinkConf, timings: &HaTimings) -> Vec<String> {
    let chosen = |key: &str, value: &str| {
        let entry = conf.get(key).filter(|entry| entry.value.trim().eq_ignore_ascii_case(value))?;
        Some(format!("{key} is {value} ({})", entry.origin))
    };
    let suspended = chosen(TOLERATE, "false")
        .map(|what| format!("{what}: the restart of a ZooKeeper server restarts all jobs"));
    let forgotten = chosen(FORGET_RESULTS, "true")
        .map(|what| format!("{what}: a job that ends while its leader dies may run once more"));
    let short = (timings.session_timeout <= timings.heartbeat_interval).then(|| {
        format!("{SESSION_TIMEOUT} is no longer than heartbeat.interval: a short pause costs the leadership")
    });
    let unknown = conf.get(AUTHORIZATION).map(|entry| {
        let origin = &entry.origin;
        format!("{AUTHORIZATION} ({origin}) is Flink's alone: kobel removes only what everybody may")
    });
    [suspended, forgotten, short, unknown].into_iter().flatten().collect()
}

/// What becomes of `jobmanager.rpc.port`, which Flink does not read then.
pub(super) fn rpc_port(conf: &FlinkConf, asked: PortChoice, notes: &mut Vec<String>) -> PortChoice {
    if let (PortChoice::Pinned { .. }, Some(entry)) = (asked, conf.get("jobmanager.rpc.port")) {
        let origin = &entry.origin;
        notes.push(format!(
            "jobmanager.rpc.port ({origin}) changes nothing: with high availability it is {RPC_PORT_KEY}"
        ));
    }
    PortChoice::Free
}

fn text<'a>(conf: &'a FlinkConf, key: &str) -> Option<&'a str> {
    network::value(conf, key)
}
