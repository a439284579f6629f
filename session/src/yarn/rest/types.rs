//! What the ResourceManager answers, as far as kobel reads it. Fields not named here are skipped, whatever
//! they hold: `resourceSecondsMap` has one key several times.

use kobel_hadoop_rpc::yarn::{
    AppReport, AppState, ApplicationId, ContainerId, FinalStatus, LogStatus, NodeId, NodeReport, NodeState,
    Resource,
};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};

/// A list, which may come as one value, as several, or not at all.
#[derive(Debug, Clone)]
pub(super) struct Many<T>(pub(super) Vec<T>);

impl<T> Default for Many<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Many<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, bound = "T: DeserializeOwned")]
        enum Shape<T> {
            Several(Vec<T>),
            One(T),
        }
        Ok(match Option::deserialize(deserializer)? {
            Some(Shape::Several(values)) => Self(values),
            Some(Shape::One(value)) => Self(vec![value]),
            None => Self::default(),
        })
    }
}

/// A number, which some answers write as a text.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Shape {
        Number(i64),
        Text(String),
    }
    match Shape::deserialize(deserializer)? {
        Shape::Number(number) => Ok(number),
        Shape::Text(text) => text.trim().parse().map_err(serde::de::Error::custom),
    }
}

/// A text, for which an answer may have null.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// One application (`AppInfo`).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AppJson {
    id: ApplicationId,
    #[serde(default, deserialize_with = "text")]
    user: String,
    #[serde(default, deserialize_with = "text")]
    queue: String,
    #[serde(default, deserialize_with = "text")]
    name: String,
    #[serde(default, deserialize_with = "text")]
    application_type: String,
    #[serde(default, deserialize_with = "text")]
    application_tags: String,
    state: String,
    #[serde(default, deserialize_with = "text")]
    final_status: String,
    #[serde(default, deserialize_with = "text")]
    diagnostics: String,
    #[serde(default, deserialize_with = "text")]
    tracking_url: String,
    #[serde(default, deserialize_with = "text")]
    am_container_logs: String,
    #[serde(default, rename = "amRPCAddress", deserialize_with = "text")]
    am_rpc_address: String,
    #[serde(default)]
    started_time: i64,
    #[serde(default)]
    finished_time: i64,
    #[serde(default, deserialize_with = "text")]
    log_aggregation_status: String,
}

impl From<AppJson> for AppReport {
    fn from(app: AppJson) -> Self {
        // The attempt is named nowhere but in the address of its container's logs.
        let container = app.am_container_logs.split('/').find_map(|part| part.parse::<ContainerId>().ok());
        let master = app.am_rpc_address.parse::<NodeId>().ok().map(|address| (address.host, address.port));
        let tags = app.application_tags.split(',').filter(|tag| !tag.is_empty());
        Self {
            id: app.id,
            user: app.user,
            queue: app.queue,
            name: app.name,
            kind: app.application_type,
            tags: tags.map(Into::into).collect(),
            state: AppState::from_name(&app.state),
            final_status: FinalStatus::from_name(&app.final_status),
            diagnostics: app.diagnostics.trim().into(),
            tracking_url: app.tracking_url,
            attempt: container.map(|container| container.attempt),
            master,
            progress: None,
            started_ms: app.started_time,
            finished_ms: Some(app.finished_time).filter(|at| *at > 0),
            logs: LogStatus::from_name(&app.log_aggregation_status),
            master_token: None,
        }
    }
}

/// One attempt of an application (`AppAttemptInfo`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttemptInfo {
    /// Its number, from 1.
    #[serde(deserialize_with = "number")]
    pub id: i64,
    /// The container of its master; empty until there is one.
    #[serde(default, deserialize_with = "text")]
    pub container_id: String,
    /// The node of its master, host:port.
    #[serde(default, deserialize_with = "text")]
    pub node_id: String,
    /// The web address of that node, host:port.
    #[serde(default, deserialize_with = "text")]
    pub node_http_address: String,
    /// Where a browser finds its logs.
    #[serde(default, deserialize_with = "text")]
    pub logs_link: String,
    /// When it started, in milliseconds since the epoch.
    #[serde(default, deserialize_with = "number")]
    pub start_time: i64,
}

/// One container that runs (`ContainerInfo`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerInfo {
    /// Which.
    pub container_id: ContainerId,
    /// Its node, host:port.
    #[serde(default, rename = "assignedNodeId", deserialize_with = "text")]
    pub node_id: String,
    /// The web address of that node.
    #[serde(default, deserialize_with = "text")]
    pub node_http_address: String,
    /// Its memory in MiB.
    #[serde(default, rename = "allocatedMB", deserialize_with = "number")]
    pub allocated_mib: i64,
    /// Its virtual cores.
    #[serde(default, rename = "allocatedVCores", deserialize_with = "number")]
    pub allocated_vcores: i64,
    /// Where a browser finds its logs.
    #[serde(default, deserialize_with = "text")]
    pub log_url: String,
}

/// What the ResourceManager says of itself (`ClusterInfo`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterInfo {
    /// When it was started, in milliseconds since the epoch.
    #[serde(default)]
    pub started_on: i64,
    /// `ACTIVE`, `STANDBY` or `INITIALIZING`.
    #[serde(default, deserialize_with = "text")]
    pub ha_state: String,
    /// Hadoop's version.
    #[serde(default, deserialize_with = "text")]
    pub hadoop_version: String,
}

impl ClusterInfo {
    /// Whether it decides, and has read its notes: it calls itself active only then
    /// (`ResourceManager.transitionToActive`).
    pub fn is_active(&self) -> bool {
        self.ha_state == "ACTIVE"
    }
}

/// One node (`NodeInfo`).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NodeJson {
    id: NodeId,
    #[serde(default, deserialize_with = "text")]
    rack: String,
    state: String,
    #[serde(default, rename = "nodeHTTPAddress", deserialize_with = "text")]
    http_address: String,
    #[serde(default, deserialize_with = "text")]
    health_report: String,
    #[serde(default)]
    num_containers: u32,
    #[serde(default, rename = "usedMemoryMB")]
    used_memory_mib: i64,
    #[serde(default, rename = "availMemoryMB")]
    free_memory_mib: i64,
    #[serde(default)]
    used_virtual_cores: i32,
    #[serde(default)]
    available_virtual_cores: i32,
    #[serde(default)]
    node_labels: Many<String>,
}

impl From<NodeJson> for NodeReport {
    fn from(node: NodeJson) -> Self {
        Self {
            node: node.id,
            http_address: node.http_address,
            rack: node.rack,
            state: NodeState::from_name(&node.state),
            used: Resource::new(node.used_memory_mib, node.used_virtual_cores),
            capacity: Resource::new(
                node.used_memory_mib.saturating_add(node.free_memory_mib),
                node.used_virtual_cores.saturating_add(node.available_virtual_cores),
            ),
            containers: node.num_containers,
            labels: node.node_labels.0,
            health: node.health_report,
        }
    }
}
