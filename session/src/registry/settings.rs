//! The effective Flink configuration of a cluster, and where each value came from.

use std::collections::BTreeMap;

use kobel_conf::flink::secret::{HIDDEN, is_secret};
use kobel_plan::{ClusterPlan, PortChoice};
use serde::Serialize;

use super::cluster::Ports;

/// A key of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Flink's key.
    pub key: String,
    /// Its value; of a secret it is not told.
    pub value: String,
    /// Where the value came from, in words.
    pub origin: String,
}

/// Where a value came from that an older kobel did not write down.
const UNRECORDED: &str = "not recorded";
/// Of the parts of a role's memory.
const MODEL: &str = "kobel: memory model";
/// Of a port that the agent took.
const FREE: &str = "kobel: a free port";

/// What the plan says, with the parts of each role's memory, and with the addresses and ports in use,
/// as far as those are known.
pub(super) fn effective(plan: &ClusterPlan, ports: Ports) -> Vec<Setting> {
    let origin = |key: &str| plan.origins.get(key).cloned().unwrap_or_else(|| UNRECORDED.into());
    let mut all = BTreeMap::new();
    for (key, value) in &plan.conf {
        all.insert(key.clone(), (value.clone(), origin(key)));
    }
    for (key, value) in plan.job_manager.conf.iter().chain(&plan.task_manager.conf) {
        let asked = all.get(key).filter(|(asked, _)| asked != value);
        match asked.map(|(_, origin)| format!("{MODEL}, from {origin}")) {
            Some(both) => all.insert(key.clone(), (value.clone(), both)),
            None if all.contains_key(key) => None,
            None => all.insert(key.clone(), (value.clone(), MODEL.into())),
        };
    }
    let addresses = [
        ("rest.address", &plan.front.address),
        ("rest.bind-address", &plan.front.bind),
        ("jobmanager.rpc.address", &plan.rpc_address),
    ];
    for (key, value) in addresses {
        all.insert(key.into(), (value.clone(), origin(key)));
    }
    let pinned = |key: &str, choice| match choice {
        PortChoice::Pinned { .. } => origin(key),
        PortChoice::Prefer(_) | PortChoice::Free => FREE.into(),
    };
    let front_key = if plan.origins.contains_key("rest.bind-port") { "rest.bind-port" } else { "rest.port" };
    let in_use = [
        ("rest.port", ports.front, pinned(front_key, plan.front.port)),
        ("jobmanager.rpc.port", ports.rpc, pinned("jobmanager.rpc.port", plan.rpc_port)),
    ];
    for (key, port, origin) in in_use {
        all.extend(port.map(|port| (key.to_string(), (port.to_string(), origin))));
    }
    let shown = |key: &str, value: String| if is_secret(key) { HIDDEN.into() } else { value };
    all.into_iter().map(|(key, (value, origin))| Setting { value: shown(&key, value), key, origin }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::tests;

    fn plan() -> ClusterPlan {
        let text = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect::<BTreeMap<_, _>>()
        };
        let mut plan = tests::plan("/log".as_ref());
        plan.conf = text(&[("my.password", "hush"), ("slots", "2"), ("net", "64m"), ("parallelism", "1")]);
        plan.origins = text(&[("slots", "--slots"), ("net", "/c/config.yaml:3"), ("rest.port", "-D")]);
        plan.task_manager.conf = text(&[("slots", "2"), ("net", "70m"), ("heap", "1g")]);
        plan.front.port = PortChoice::Pinned { from: 9000, to: 9000 };
        plan
    }

    fn told(plan: &ClusterPlan, ports: Ports, key: &str) -> Option<(String, String)> {
        let mut all = effective(plan, ports).into_iter();
        all.find(|setting| setting.key == key).map(|setting| (setting.value, setting.origin))
    }

    fn pair(value: &str, origin: &str) -> Option<(String, String)> {
        Some((value.into(), origin.into()))
    }

    #[test]
    fn a_value_is_told_with_where_it_came_from_and_a_secret_is_not() {
        let told = |key| told(&plan(), Ports::default(), key);
        assert_eq!(told("slots"), pair("2", "--slots"));
        assert_eq!(told("parallelism"), pair("1", UNRECORDED), "a plan of an older kobel");
        assert_eq!(told("my.password"), pair(HIDDEN, UNRECORDED));
        assert_eq!(told("heap"), pair("1g", MODEL));
        assert_eq!(told("net"), pair("70m", "kobel: memory model, from /c/config.yaml:3"));
        assert_eq!(told("rest.bind-address"), pair("localhost", UNRECORDED));
    }

    #[test]
    fn ports_are_those_in_use() {
        let ports = Ports { front: Some(9000), rpc: Some(23456) };
        assert_eq!(told(&plan(), ports, "rest.port"), pair("9000", "-D"));
        assert_eq!(told(&plan(), ports, "jobmanager.rpc.port"), pair("23456", FREE));
        assert_eq!(told(&plan(), Ports::default(), "rest.port"), None, "none that is known");
    }
}
