//! An ApplicationMaster's talk with a NodeManager (ContainerManagementProtocol).

use std::{collections::BTreeMap, fmt, time::Duration};

use super::{ContainerExit, ContainerId, Granted, Launch, Malformed, NodeError, NodeId, convert};
use crate::{Auth, Client, Config, Method, Protection, Protocol, Repeat, RpcError, Token, proto::yarn as pb};

const PROTOCOL: Protocol =
    Protocol { name: "org.apache.hadoop.yarn.api.ContainerManagementProtocolPB", version: 1 };
// A repetition is refused as "Attempt to relaunch the same container".
const START: Method = Method::new("startContainers", Repeat::Once);
const STOP: Method = Method::new("stopContainers", Repeat::Idempotent);
const STATUSES: Method = Method::new("getContainerStatuses", Repeat::Idempotent);
const SIGNAL: Method = Method::new("signalToContainer", Repeat::Once);

/// What became of each container in a call about several: every one asked for is in it.
pub type Outcomes<T> = BTreeMap<ContainerId, Result<T, Refusal>>;

/// Why a NodeManager did not do its part for one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The container was started before; it may be running.
    StartedBefore,
    /// The time to start it had run out, or the clocks differ.
    Expired,
    /// It comes from before the ResourceManager changed, and is void.
    Void,
    /// The node does not know it, or no more.
    NotThere,
    /// The node said nothing of it.
    Unmentioned,
    /// Anything else.
    Other {
        /// The class of Hadoop's exception.
        class: String,
        /// Its words.
        message: String,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::StartedBefore => f.write_str("it was started before"),
            Refusal::Expired => {
                f.write_str("the time to start it had run out, or the clocks of master and node differ")
            }
            Refusal::Void => f.write_str("it is void since the ResourceManager changed"),
            Refusal::NotThere => f.write_str("the node does not know it"),
            Refusal::Unmentioned => f.write_str("the node did not say"),
            Refusal::Other { message, .. } => f.write_str(message),
        }
    }
}

/// What a node knows of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeStatus {
    /// Taken, and not running yet.
    Starting,
    /// It runs.
    Running,
    /// It ended.
    Ended {
        /// How.
        exit: ContainerExit,
        /// Why, in YARN's words.
        diagnostics: String,
    },
}

/// A signal for the first process of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGQUIT: a JVM writes its threads to its output.
    ThreadDump = 1,
    /// SIGTERM.
    Terminate = 2,
    /// SIGKILL.
    Kill = 3,
}

/// A NodeManager, for one application.
#[derive(Debug, Clone)]
pub struct NodeManager {
    node: NodeId,
    client: Client,
    deadline: Duration,
}

impl NodeManager {
    /// Names the node, the token that the ResourceManager gave for it, how calls may be protected, and the
    /// time that one may take. Nothing is sent yet.
    pub fn new(
        node: NodeId,
        token: Token,
        protection: Protection,
        deadline: Duration,
    ) -> Result<Self, RpcError> {
        let mut config = Config::new(PROTOCOL, vec![node.to_string()], Auth::Token(token));
        config.dial.protection = protection;
        Ok(Self { node, client: Client::new(config)?, deadline })
    }

    /// Which node.
    pub fn node(&self) -> &NodeId {
        &self.node
    }

    /// Uses another token from the next connection on.
    pub fn set_token(&self, token: Token) {
        self.client.set_token(token);
    }

    /// Ends the connection; the next call makes another.
    pub async fn close(&self) {
        self.client.close().await;
    }

    /// Starts containers. Good means that the node has taken it on: whether files arrive and the process
    /// starts shows later. After a reply was lost, [`NodeManager::statuses`] tells.
    pub async fn start(&self, starts: &[(&Granted, &Launch)]) -> Result<Outcomes<()>, NodeError> {
        let container = |(granted, launch): &(&Granted, &Launch)| pb::StartContainer {
            launch: Some((*launch).into()),
            container_token: Some((&granted.token).into()),
        };
        let request = pb::StartContainersRequest { container: starts.iter().map(container).collect() };
        let answer: pb::StartContainersResponse = self.call(&START, &request).await?;
        let asked = starts.iter().map(|(granted, _)| granted.container.id);
        Ok(outcomes(asked, succeeded(answer.succeeded)?, answer.failed)?)
    }

    /// Stops containers: SIGTERM, and SIGKILL 250 ms later unless the node is set otherwise. One that has
    /// ended counts as stopped.
    pub async fn stop(&self, ids: &[ContainerId]) -> Result<Outcomes<()>, NodeError> {
        let request = pb::StopContainersRequest { id: ids.iter().map(|id| (*id).into()).collect() };
        let answer: pb::StopContainersResponse = self.call(&STOP, &request).await?;
        Ok(outcomes(ids.iter().copied(), succeeded(answer.succeeded)?, answer.failed)?)
    }

    /// What the node knows of containers. It forgets one soon after the master was told of its end.
    pub async fn statuses(&self, ids: &[ContainerId]) -> Result<Outcomes<NodeStatus>, NodeError> {
        let request = pb::ContainerStatusesRequest { id: ids.iter().map(|id| (*id).into()).collect() };
        let answer: pb::ContainerStatusesResponse = self.call(&STATUSES, &request).await?;
        let told = convert::all(answer.status, status)?;
        Ok(outcomes(ids.iter().copied(), told, answer.failed)?)
    }

    /// Sends a signal to a container's first process.
    pub async fn signal(&self, id: ContainerId, signal: Signal) -> Result<(), NodeError> {
        let request = pb::SignalRequest { id: id.into(), command: signal as i32 };
        self.call::<_, pb::SignalResponse>(&SIGNAL, &request).await.map(drop)
    }

    async fn call<Q: prost::Message, R: prost::Message + Default>(
        &self,
        method: &Method,
        request: &Q,
    ) -> Result<R, NodeError> {
        let answer = self.client.call(method, request, self.deadline).await;
        answer.map_err(|source| NodeError::Rpc { node: self.node.clone(), attempt: method.name, source })
    }
}

pub(super) fn succeeded(ids: Vec<pb::ContainerId>) -> Result<Vec<(ContainerId, ())>, Malformed> {
    convert::all(ids, |id| Ok((convert::container_id(Some(id))?, ())))
}

pub(super) fn status(status: pb::ContainerStatus) -> Result<(ContainerId, NodeStatus), Malformed> {
    let id = convert::container_id(status.id)?;
    let state = match status.state {
        Some(1) => NodeStatus::Starting,
        Some(3) => NodeStatus::Ended {
            exit: ContainerExit::from_status(status.exit_status.unwrap_or(-1000)),
            diagnostics: status.diagnostics.unwrap_or_default().trim().into(),
        },
        _ => NodeStatus::Running,
    };
    Ok((id, state))
}

/// Puts together what the node said of the containers asked for; of others it may say what it likes.
pub(super) fn outcomes<T>(
    asked: impl Iterator<Item = ContainerId>,
    told: Vec<(ContainerId, T)>,
    failed: Vec<pb::ContainerFailure>,
) -> Result<Outcomes<T>, Malformed> {
    let mut outcomes: Outcomes<T> = asked.map(|id| (id, Err(Refusal::Unmentioned))).collect();
    let failed = convert::all(failed, |failure| {
        Ok((convert::container_id(failure.id)?, refusal(failure.exception.unwrap_or_default())))
    })?;
    let failed = failed.into_iter().map(|(id, refusal)| (id, Err(refusal)));
    let told = told.into_iter().map(|(id, told)| (id, Ok(told)));
    for (id, outcome) in failed.chain(told) {
        if let Some(place) = outcomes.get_mut(&id) {
            *place = outcome;
        }
    }
    Ok(outcomes)
}

/// Reads a NodeManager's exception by its words: one class stands for many reasons
/// (`ContainerManagerImpl`).
fn refusal(exception: pb::JavaException) -> Refusal {
    let class = exception.class_name.unwrap_or_default();
    let message = exception.message.unwrap_or_default();
    // "Unauthorized request to start container." stands alone on the first line, the reason on the second; a
    // trace may follow.
    let lines = message.lines().map(str::trim).filter(|line| !line.is_empty());
    let message = lines.take_while(|line| !line.starts_with("at ")).take(2).collect::<Vec<_>>().join(" ");
    let says = |text: &str| message.contains(text);
    if says("Attempt to relaunch the same container") {
        Refusal::StartedBefore
    } else if says("token is expired") {
        Refusal::Expired
    } else if says("allocated by a previous RM") || class.ends_with(".InvalidContainerException") {
        Refusal::Void
    } else if says("was recently stopped") || says("is not handled by this NodeManager") {
        Refusal::NotThere
    } else {
        Refusal::Other { class, message }
    }
}
