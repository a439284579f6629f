//! An ApplicationMaster's talk with the scheduler of the ResourceManager (ApplicationMasterProtocol).

use std::time::Duration;

use super::{
    Ask, Container, ContainerExit, ContainerId, FinalStatus, Granted, Malformed, MasterError, NodeId,
    NodeReport, Resource, convert,
};
use crate::{Auth, Client, Config, Method, Protection, Protocol, Repeat, RpcError, Token, proto::yarn as pb};

const PROTOCOL: Protocol =
    Protocol { name: "org.apache.hadoop.yarn.api.ApplicationMasterProtocolPB", version: 1 };
const REGISTER: Method = Method::new("registerApplicationMaster", Repeat::Idempotent);
// The ResourceManager knows a repetition by the response id, and gives the same answer again.
const ALLOCATE: Method = Method::new("allocate", Repeat::AtMostOnce);
const FINISH: Method = Method::new("finishApplicationMaster", Repeat::AtMostOnce);

/// Where a master is reached, told when it registers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registration {
    /// Its host.
    pub host: String,
    /// The port of its own protocol, where it has one.
    pub port: Option<u16>,
    /// The address that YARN's proxy leads people to.
    pub tracking_url: String,
}

/// What the ResourceManager says to a master that registered.
#[derive(Debug, Clone, PartialEq)]
pub struct Registered {
    /// The largest container obtainable.
    pub largest: Resource,
    /// The queue that it runs in.
    pub queue: String,
    /// Containers that run already: of former attempts, or, after the ResourceManager changed, its own.
    pub running: Vec<Container>,
    /// Tokens for the nodes of those containers.
    pub node_tokens: Vec<(NodeId, Token)>,
}

/// One heartbeat of a master: what has changed since the last.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Beat {
    /// Asks that are new or have another count; those left out stand.
    pub asks: Vec<Ask>,
    /// Containers given back.
    pub releases: Vec<ContainerId>,
    /// Hosts to use no more.
    pub shun: Vec<String>,
    /// Hosts to use again.
    pub unshun: Vec<String>,
    /// How far the application is, 0 to 1.
    pub progress: f32,
    /// Another address for YARN's proxy, where it changed.
    pub tracking_url: Option<String>,
}

/// What the ResourceManager answers to a heartbeat.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Allocated {
    /// Containers granted. Take in the tokens first: a node's comes only with its first container.
    pub granted: Vec<Granted>,
    /// Tokens for nodes; the newest replaces what is there.
    pub node_tokens: Vec<(NodeId, Token)>,
    /// Containers that ended. The same one may be told again.
    pub completed: Vec<Completed>,
    /// Nodes that changed.
    pub nodes: Vec<NodeReport>,
    /// Containers of former attempts that a node reported late.
    pub running: Vec<Container>,
    /// What could still be granted now.
    pub headroom: Resource,
    /// Nodes that run. Right after the ResourceManager changed, those that have come back so far.
    pub cluster_nodes: u32,
    /// Containers about to be taken away.
    pub preempted: Vec<ContainerId>,
}

/// A container that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completed {
    /// Which.
    pub id: ContainerId,
    /// How.
    pub exit: ContainerExit,
    /// YARN's words: the tail of its error output, or the limit that it broke.
    pub diagnostics: String,
}

/// The scheduler's port of the ResourceManager. Its methods need it for themselves alone, since the
/// ResourceManager refuses all but one heartbeat at a time.
#[derive(Debug)]
pub struct Scheduler {
    client: Client,
    deadline: Duration,
    response_id: i32,
}

impl Scheduler {
    /// Names the ResourceManagers, host:port each, the token of kind [`AM_RM`](crate::token::kind::AM_RM),
    /// how calls may be protected, and the time that one may take. Nothing is sent yet.
    pub fn new(
        addresses: Vec<String>,
        token: Token,
        protection: Protection,
        deadline: Duration,
    ) -> Result<Self, RpcError> {
        let mut config = Config::new(PROTOCOL, addresses, Auth::Token(token));
        config.dial.protection = protection;
        Ok(Self { client: Client::new(config)?, deadline, response_id: 0 })
    }

    /// Registers the master: at its start, and after [`MasterError::NotRegistered`], when all asks and
    /// releases have to be sent again.
    pub async fn register(&mut self, registration: &Registration) -> Result<Registered, MasterError> {
        let request = pb::RegisterRequest {
            host: Some(registration.host.clone()),
            rpc_port: Some(registration.port.map_or(-1, i32::from)),
            tracking_url: Some(registration.tracking_url.clone()),
        };
        let answer: pb::RegisterResponse = self.client.call(&REGISTER, &request, self.deadline).await?;
        self.response_id = 0;
        Ok(Registered {
            largest: convert::resource(answer.maximum_capability),
            queue: answer.queue.unwrap_or_default(),
            running: convert::all(answer.containers_from_previous_attempts, convert::container)?,
            node_tokens: convert::all(answer.node_tokens_from_previous_attempts, convert::node_token)?,
        })
    }

    /// Sends a heartbeat. After an error that leaves its effect unknown the *same* heartbeat has to be
    /// sent next: the ResourceManager, had it taken it, answers the next one with the answer that was lost,
    /// and reads nothing else in it.
    pub async fn allocate(&mut self, beat: &Beat) -> Result<Allocated, MasterError> {
        let mut answer = self.try_allocate(beat).await;
        if let Err(MasterError::OutOfStep { expected }) = answer {
            tracing::warn!(sent = self.response_id, expected, "heartbeats were out of step");
            self.response_id = expected;
            answer = self.try_allocate(beat).await;
        }
        answer
    }

    async fn try_allocate(&mut self, beat: &Beat) -> Result<Allocated, MasterError> {
        let request = self.request(beat);
        let answer: pb::AllocateResponse = self.client.call(&ALLOCATE, &request, self.deadline).await?;
        match answer.am_command {
            Some(1) => return Err(MasterError::NotRegistered),
            Some(2) => return Err(MasterError::AttemptOver { told: "shut down".into() }),
            _ => {}
        }
        let response_id = answer.response_id.ok_or(Malformed("response id"))?;
        // The old token dies some time after the new one appears; the open connection lives on.
        if let Some(token) = &answer.am_rm_token {
            self.client.set_token(token.clone().into());
        }
        let allocated = allocated(answer)?;
        self.response_id = response_id;
        Ok(allocated)
    }

    fn request(&self, beat: &Beat) -> pb::AllocateRequest {
        let shuns = !(beat.shun.is_empty() && beat.unshun.is_empty());
        pb::AllocateRequest {
            ask: beat.asks.iter().map(Into::into).collect(),
            release: beat.releases.iter().map(|id| (*id).into()).collect(),
            blacklist: shuns.then(|| pb::BlacklistRequest {
                additions: beat.shun.clone(),
                removals: beat.unshun.clone(),
            }),
            response_id: Some(self.response_id),
            progress: Some(beat.progress),
            tracking_url: beat.tracking_url.clone(),
        }
    }

    /// Unregisters the master, and says whether the ResourceManager is done with it: until then it has to
    /// be asked again, about every 100 ms. Afterwards the process must exit soon.
    pub async fn finish(
        &mut self,
        status: FinalStatus,
        diagnostics: &str,
        tracking_url: &str,
    ) -> Result<bool, MasterError> {
        let request = pb::FinishRequest {
            diagnostics: Some(diagnostics.into()),
            tracking_url: Some(tracking_url.into()),
            final_status: Some(status.number().unwrap_or(0)),
        };
        let answer: pb::FinishResponse = self.client.call(&FINISH, &request, self.deadline).await?;
        Ok(answer.is_unregistered.unwrap_or(false))
    }
}

pub(super) fn allocated(answer: pb::AllocateResponse) -> Result<Allocated, Malformed> {
    let preemption = answer.preemption.unwrap_or_default();
    let strict = preemption.strict.map(|strict| strict.container).unwrap_or_default();
    let contract = preemption.contract.map(|contract| contract.container).unwrap_or_default();
    let preempted = strict.into_iter().chain(contract).collect();
    Ok(Allocated {
        granted: convert::all(answer.allocated, convert::granted)?,
        node_tokens: convert::all(answer.node_tokens, convert::node_token)?,
        completed: convert::all(answer.completed, convert::completed)?,
        nodes: convert::all(answer.updated_nodes, convert::node_report)?,
        running: convert::all(answer.containers_from_previous_attempts, convert::container)?,
        headroom: convert::resource(answer.headroom),
        cluster_nodes: convert::count(answer.cluster_nodes),
        preempted: convert::all(preempted, |container| convert::container_id(container.id))?,
    })
}
