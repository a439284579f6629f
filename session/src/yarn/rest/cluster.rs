//! Nodes and queues over REST.

use kobel_hadoop_rpc::yarn::{NodeReport, QueueState, Resource};
use serde::Deserialize;

use super::{
    transport::RmRest,
    types::{ClusterInfo, Many, NodeJson},
};
use crate::yarn::manager::{Call, QueueUse, RmError};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InfoEnvelope {
    cluster_info: ClusterInfo,
}

#[derive(Deserialize)]
struct NodesEnvelope {
    nodes: Option<NodesJson>,
}

#[derive(Deserialize)]
struct NodesJson {
    #[serde(default)]
    node: Many<NodeJson>,
}

#[derive(Deserialize)]
struct SchedulerEnvelope {
    scheduler: SchedulerJson,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SchedulerJson {
    scheduler_info: RootJson,
}

/// The capacity scheduler's root is the scheduler itself, the fair one's lies within.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RootJson {
    root_queue: Option<QueueJson>,
    #[serde(flatten)]
    itself: Option<QueueJson>,
}

/// A queue of the capacity scheduler (`CapacitySchedulerQueueInfo`) or the fair one
/// (`FairSchedulerQueueInfo`).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct QueueJson {
    queue_name: String,
    state: Option<String>,
    #[serde(alias = "childQueues")]
    queues: Option<QueuesJson>,
    #[serde(alias = "usedResources")]
    resources_used: Option<ResourceJson>,
    absolute_max_capacity: Option<f32>,
    max_resources: Option<ResourceJson>,
    #[serde(alias = "usedAMResource")]
    am_used_resources: Option<ResourceJson>,
    #[serde(rename = "AMResourceLimit", alias = "amMaxResources")]
    am_resource_limit: Option<ResourceJson>,
    #[serde(alias = "numPendingApps")]
    num_pending_applications: Option<u32>,
}

#[derive(Deserialize)]
struct QueuesJson {
    #[serde(default)]
    queue: Many<QueueJson>,
}

#[derive(Deserialize)]
struct ResourceJson {
    memory: i64,
    #[serde(rename = "vCores")]
    vcores: i32,
}

impl From<ResourceJson> for Resource {
    fn from(resource: ResourceJson) -> Self {
        Resource::new(resource.memory, resource.vcores)
    }
}

impl RmRest {
    /// What the ResourceManager says of itself; it is the one question that a standby answers, too.
    pub async fn info(&self) -> Result<ClusterInfo, RmError> {
        let call = Call::reads("ask the ResourceManager how it is");
        Ok(self.get::<InfoEnvelope>(call, &["info"], &[]).await?.cluster_info)
    }

    pub(super) async fn all_nodes(&self) -> Result<Vec<NodeReport>, RmError> {
        let nodes = self.get::<NodesEnvelope>(Call::reads("list the nodes"), &["nodes"], &[]).await?.nodes;
        Ok(nodes.into_iter().flat_map(|nodes| nodes.node.0).map(Into::into).collect())
    }

    pub(super) async fn leaf_queues(&self) -> Result<Vec<QueueUse>, RmError> {
        let call = Call::reads("ask for the queues");
        let scheduler: SchedulerEnvelope = self.get(call, &["scheduler"], &[]).await?;
        let root = scheduler.scheduler.scheduler_info;
        let mut leaves = Vec::new();
        if let Some(root) = root.root_queue.or(root.itself) {
            gather(root, "", &mut leaves);
        }
        Ok(leaves)
    }
}

/// Adds the queues below and including this one that have none below themselves.
fn gather(queue: QueueJson, above: &str, leaves: &mut Vec<QueueUse>) {
    let path = QueueUse::path_below(above, queue.queue_name);
    let below = queue.queues.map(|queues| queues.queue.0).unwrap_or_default();
    if !below.is_empty() {
        below.into_iter().for_each(|queue| gather(queue, &path, leaves));
        return;
    }
    leaves.push(QueueUse {
        path,
        // The fair scheduler's queues have no state.
        state: queue.state.map_or(QueueState::Running, |state| QueueState::from_name(&state)),
        used: queue.resources_used.map(Into::into).unwrap_or_default(),
        max_percent: queue.absolute_max_capacity,
        max: queue.max_resources.map(Into::into),
        masters: queue.am_used_resources.map(Into::into),
        masters_max: queue.am_resource_limit.map(Into::into),
        pending: queue.num_pending_applications.unwrap_or(0),
    });
}
