//! The NodeManagers that hold our containers, and the token for each.

use std::{collections::BTreeMap, time::Duration};

use kobel_conf::chain;
use kobel_hadoop_rpc::{
    Effect, Protection, Token,
    yarn::{ContainerId, Granted, Launch, NodeError, NodeId, NodeManager, NodeStatus, Refusal, Signal},
};

/// How long a node may take for a call.
const DEADLINE: Duration = Duration::from_secs(20);
/// How long a start whose reply was lost is asked after: then the container is given back.
const SETTLE: Duration = Duration::from_secs(20);

/// The nodes by name. A token comes only once for each node, and the newest counts.
#[derive(Debug)]
pub(super) struct Nodes {
    known: BTreeMap<NodeId, NodeManager>,
    protection: Protection,
}

impl Nodes {
    /// None yet. Their calls may be protected so.
    pub(super) fn new(protection: Protection) -> Self {
        Self { known: BTreeMap::new(), protection }
    }

    /// Takes in a token. To be done before containers of that node are looked at.
    pub(super) fn learn(&mut self, node: NodeId, token: Token) {
        if let Some(known) = self.known.get(&node) {
            return known.set_token(token);
        }
        match NodeManager::new(node.clone(), token, self.protection.clone(), DEADLINE) {
            Ok(manager) => drop(self.known.insert(node, manager)),
            Err(error) => tracing::warn!(%node, %error, "cannot make use of a node's token"),
        }
    }

    /// The way to a node.
    pub(super) fn get(&self, node: &NodeId) -> Option<NodeManager> {
        self.known.get(node).cloned()
    }
}

/// Starts one container. A lost reply is settled by asking what the node knows, never by a second start.
pub(super) async fn start(
    node: Option<NodeManager>,
    granted: &Granted,
    launch: &Launch,
) -> Result<(), String> {
    let Some(node) = node else { return Err(format!("YARN gave no token for {}", granted.container.node)) };
    let id = granted.container.id;
    match node.start(&[(granted, launch)]).await {
        Ok(mut outcomes) => match outcomes.remove(&id) {
            Some(Ok(())) | Some(Err(Refusal::StartedBefore)) => Ok(()),
            Some(Err(refusal)) => Err(refusal.to_string()),
            None => Err(Refusal::Unmentioned.to_string()),
        },
        Err(error) if error.effect() == Effect::NotApplied => Err(chain(&error)),
        Err(error) => settle(&node, id, error).await,
    }
}

async fn settle(node: &NodeManager, id: ContainerId, lost: NodeError) -> Result<(), String> {
    let asked_after = tokio::time::timeout(SETTLE, async {
        loop {
            match node.statuses(&[id]).await.map(|mut outcomes| outcomes.remove(&id)) {
                // Its end, if it came already, is told by the ResourceManager.
                Ok(Some(Ok(NodeStatus::Starting | NodeStatus::Running | NodeStatus::Ended { .. }))) => {
                    return true;
                }
                Ok(_) => return false,
                Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
            }
        }
    });
    match asked_after.await {
        Ok(true) => Ok(()),
        _ => Err(chain(&lost)),
    }
}

/// Has a node kill a container's processes, and nothing else.
pub(super) async fn kill(node: Option<NodeManager>, id: ContainerId) -> Result<(), String> {
    let Some(node) = node else { return Err(format!("YARN gave no token for the node of {id}")) };
    node.signal(id, Signal::Kill).await.map_err(|error| chain(&error))
}

/// Asks a container's process to go, and after the grace has the node stop it. False when the node did
/// not say that it did.
pub(super) async fn stop(node: Option<NodeManager>, id: ContainerId, grace: Duration) -> bool {
    let Some(node) = node else { return false };
    if !grace.is_zero() {
        match node.signal(id, Signal::Terminate).await {
            Ok(()) => tokio::time::sleep(grace).await,
            Err(error) => {
                tracing::warn!(container = %id, error = chain(&error), "could not signal a container")
            }
        }
    }
    let failure = match node.stop(&[id]).await {
        Ok(mut outcomes) => outcomes.remove(&id).and_then(Result::err).map(|refusal| refusal.to_string()),
        Err(error) => Some(chain(&error)),
    };
    if let Some(error) = &failure {
        tracing::warn!(container = %id, error, "could not stop a container");
    }
    failure.is_none()
}
