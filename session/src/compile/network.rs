//! Addresses and ports: loopback unless the user says otherwise. What the user's `rest.*` keys speak
//! of is the front; Flink's own REST server stands behind it.

use kobel_conf::flink::{FlinkConf, Origin};
use kobel_plan::{FlinkRole, FrontPlan, Launch, PortChoice, ProviderKind, Wanted};

use super::CompileError;

/// Keys that the agent fills for each process.
pub(super) const AGENTS: [&str; 6] = [
    "rest.address",
    "rest.bind-address",
    "rest.port",
    "rest.bind-port",
    "jobmanager.rpc.address",
    "jobmanager.rpc.port",
];

const LOCALHOST: &str = "localhost";
const ANYWHERE: &str = "0.0.0.0";
/// Flink's default of `rest.port`.
const REST_PORT: u16 = 8081;
/// Flink's default of `jobmanager.rpc.port`.
const RPC_PORT: u16 = 6123;
/// Ports of TaskManagers that are one number for all of them.
const ONE_FOR_ALL: [&str; 3] =
    ["taskmanager.rpc.port", "taskmanager.data.port", "taskmanager.data.bind-port"];

/// Binds to loopback what nobody bound. A JobManager that advertises a name of this machine listens
/// there, as configurations of Flink's older days expect it to.
pub(super) fn defaults(conf: &mut FlinkConf) {
    const WHY: Origin = Origin::Kobel("loopback unless asked otherwise");
    conf.set_default("jobmanager.rpc.address", LOCALHOST, WHY);
    let own = rpc_address(conf);
    conf.set_default("jobmanager.bind-host", own, WHY);
    conf.set_default("taskmanager.bind-host", LOCALHOST, WHY);
    conf.set_default("taskmanager.host", LOCALHOST, WHY);
    let bind = value(conf, "rest.address").unwrap_or(LOCALHOST).to_string();
    conf.set_default("rest.bind-address", bind, WHY);
    conf.set_default("rest.address", LOCALHOST, WHY);
}

/// Addresses where nobody knows yet which nodes the processes will run on: each is reached by its node's
/// name. A file's addresses are those of another cluster, and loopback, which the stock configuration binds,
/// is out of the others' reach (`YarnClusterDescriptor.removeLocalhostBindHostSetting`).
pub(super) fn on_nodes(conf: &mut FlinkConf) -> Result<(), CompileError> {
    const WHY: Origin = Origin::Kobel("each process is reached by its node's name");
    for key in ["jobmanager.rpc.address", "taskmanager.host", "rest.address"] {
        if asked_now(conf, key) {
            return Err(CompileError::Owned { key: key.into(), owner: "YARN chooses the nodes" });
        }
        conf.set(key, Launch::HOST, WHY);
    }
    for key in ["taskmanager.bind-host", "rest.bind-address"] {
        if value(conf, key).is_none_or(is_loopback) {
            conf.set(key, Launch::HOST, WHY);
        }
    }
    // Programs run in the JobManager, too, and send their jars to its blob server at localhost, whatever
    // its address (`EmbeddedExecutor`, `PekkoRpcService`).
    const BIND: &str = "jobmanager.bind-host";
    if value(conf, BIND).is_none_or(is_loopback) {
        conf.set(BIND, ANYWHERE, Origin::Kobel("nodes and the JobManager itself reach it"));
    }
    Ok(())
}

fn is_loopback(host: &str) -> bool {
    host == LOCALHOST || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

pub(super) fn value<'a>(conf: &'a FlinkConf, key: &str) -> Option<&'a str> {
    conf.get_str(key).map(str::trim).filter(|v| !v.is_empty())
}

/// What JobManager and TaskManagers call each other by.
pub(super) fn rpc_address(conf: &FlinkConf) -> String {
    value(conf, "jobmanager.rpc.address").unwrap_or(LOCALHOST).into()
}

/// The JobManager's RPC port. The stock configuration spells out the default, which pins nothing:
/// only the TaskManagers use it, and the agent tells them.
pub(super) fn rpc_port(conf: &FlinkConf, provider: ProviderKind) -> Result<PortChoice, CompileError> {
    const KEY: &str = "jobmanager.rpc.port";
    const ON_YARN: &str = "yarn.application-master.port";
    if let Some(text) = value(conf, ON_YARN).filter(|_| provider == ProviderKind::Yarn) {
        let choice =
            range(text).ok_or_else(|| bad_port(conf, ON_YARN, "a port, or one range such as 50100-50200"))?;
        return Ok(meant(choice, true));
    }
    Ok(match value(conf, KEY) {
        None => PortChoice::Free,
        Some(text) => match port(text).ok_or_else(|| bad_port(conf, KEY, "a port, 0 to 65535"))? {
            0 => PortChoice::Free,
            RPC_PORT if !asked_now(conf, KEY) => PortChoice::Free,
            pinned => PortChoice::Pinned { from: pinned, to: pinned },
        },
    })
}

/// Whether a value comes from this very command line: then even a default is meant.
fn asked_now(conf: &FlinkConf, key: &str) -> bool {
    conf.get(key).is_some_and(|entry| matches!(entry.origin, Origin::Dynamic | Origin::Flag(_)))
}

/// Where the front shall be.
pub(super) fn front(conf: &FlinkConf) -> Result<FrontPlan, CompileError> {
    let port = match value(conf, "rest.bind-port") {
        Some(text) => range(text)
            .map(|choice| meant(choice, asked_now(conf, "rest.bind-port")))
            .ok_or_else(|| bad_port(conf, "rest.bind-port", "a port, or one range such as 50100-50200"))?,
        None => match value(conf, "rest.port") {
            None => PortChoice::Prefer(REST_PORT),
            Some(text) => {
                match port(text).ok_or_else(|| bad_port(conf, "rest.port", "a port, 0 to 65535"))? {
                    0 => PortChoice::Free,
                    REST_PORT => meant(PortChoice::Prefer(REST_PORT), asked_now(conf, "rest.port")),
                    pinned => PortChoice::Pinned { from: pinned, to: pinned },
                }
            }
        },
    };
    let host = |key| value(conf, key).unwrap_or(LOCALHOST).to_string();
    Ok(FrontPlan { bind: host("rest.bind-address"), address: host("rest.address"), port })
}

/// A default that was typed is no mere preference.
fn meant(choice: PortChoice, asked_now: bool) -> PortChoice {
    match choice {
        PortChoice::Prefer(port) if asked_now => PortChoice::Pinned { from: port, to: port },
        other => other,
    }
}

fn port(text: &str) -> Option<u16> {
    text.parse().ok()
}

/// `8081` or `50100-50200`. The stock configuration's 8081 is a preference here too.
fn range(text: &str) -> Option<PortChoice> {
    let Some((from, to)) = text.split_once('-') else {
        return Some(match port(text)? {
            0 => PortChoice::Free,
            REST_PORT => PortChoice::Prefer(REST_PORT),
            pinned => PortChoice::Pinned { from: pinned, to: pinned },
        });
    };
    let (from, to) = (port(from.trim())?, port(to.trim())?);
    (0 < from && from <= to).then_some(PortChoice::Pinned { from, to })
}

fn bad_port(conf: &FlinkConf, key: &str, expected: &'static str) -> CompileError {
    let origin = conf.get(key).map(|e| e.origin.to_string()).unwrap_or_default();
    CompileError::Value { key: key.into(), origin, expected }
}

/// Several TaskManagers of one machine cannot listen on one port.
pub(super) fn check_pins(conf: &FlinkConf, wanted: Wanted) -> Result<(), CompileError> {
    for key in ONE_FOR_ALL {
        let pinned = value(conf, key).and_then(port).is_some_and(|port| port != 0);
        if let Some(entry) = conf.get(key).filter(|_| pinned && wanted.task_managers > 1) {
            let origin = entry.origin.to_string();
            let (role, count) = (FlinkRole::TaskManager, wanted.task_managers);
            return Err(CompileError::OnePort { key, origin, role, count });
        }
    }
    Ok(())
}
