//! Nodes and queues over REST.

use kobel_hadoop_rpc::yarn::{NodeReport, QueueState, Resource};
use serde::Deserialize;

use super::{
    error::{Call, RmError},
    transport::RmRest,
    types::{ClusterInfo, Many, NodeJson},
};

/// How a queue without queues below it is used.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueUse {
    /// Its name from the root on, `root.default`.
    pub path: String,
    /// Whether it takes applications.
    pub state: QueueState,
    /// What its applications use.
    pub used: Resource,
    /// How much of the cluster it may grow to, in percent, where the scheduler counts that way (capacity).
    pub max_percent: Option<f32>,
    /// What it may grow to, where the scheduler counts that way (fair).
    pub max: Option<Resource>,
    /// What its ApplicationMasters use.
    pub masters: Option<Resource>,
    /// What its ApplicationMasters may use, together.
    pub masters_max: Option<Resource>,
    /// How many of its applications wait for their master.
    pub pending: u32,
}

impl QueueUse {
    /// Whether a user means this queue by that name, which may leave out the queues above.
    pub fn is_named(&self, name: &str) -> bool {
        self.path == name || self.path.strip_suffix(name).is_some_and(|above| above.ends_with('.'))
    }
}

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

    /// All nodes, also those that are down.
    pub async fn nodes(&self) -> Result<Vec<NodeReport>, RmError> {
        let nodes = self.get::<NodesEnvelope>(Call::reads("list the nodes"), &["nodes"], &[]).await?.nodes;
        Ok(nodes.into_iter().flat_map(|nodes| nodes.node.0).map(Into::into).collect())
    }

    /// The queues that applications run in; none when the scheduler has no such thing (FIFO).
    pub async fn queues(&self) -> Result<Vec<QueueUse>, RmError> {
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
    // The fair scheduler writes the whole path as the name.
    let path = match above {
        "" => queue.queue_name,
        _ if queue.queue_name.starts_with(&format!("{above}.")) => queue.queue_name,
        _ => format!("{above}.{}", queue.queue_name),
    };
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
