//! A ResourceManager that grants what is asked for, and a little more, and NodeManagers, over TCP and SASL.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Instant,
};

use kobel_hadoop_rpc::{
    proto::yarn as pb,
    testing::{Incoming, Reply, RpcServer, ServerConfig, vector_token},
};

/// So many containers are granted between two heartbeats at most.
const AT_ONCE: i32 = 1000;
/// One container more than asked for comes with so many.
const EXCESS: i64 = 100;

/// What the peers saw.
#[derive(Default)]
pub(super) struct Seen {
    /// When the master registered.
    pub(super) registered: Option<Instant>,
    /// Heartbeats.
    pub(super) beats: u32,
    /// Containers that were to be started.
    pub(super) starts: usize,
    /// Containers that run.
    pub(super) running: BTreeSet<i64>,
    /// Containers that the master has, whether they run or not.
    pub(super) held: BTreeSet<i64>,
    /// With which status the master unregistered.
    pub(super) finished: Option<i32>,
    wanted: BTreeMap<i32, i32>,
    ended: Vec<pb::ContainerStatus>,
    granted: i64,
    /// Nodes whose token was told.
    told: BTreeSet<usize>,
}

/// The peers, which end with it.
pub(super) struct Peers {
    seen: Arc<Mutex<Seen>>,
    rm: RpcServer,
    nodes: Vec<RpcServer>,
}

impl Peers {
    pub(super) async fn start(nodes: u32) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let mut servers = Vec::new();
        for _ in 0..nodes {
            servers.push(serve(&seen, |seen, call| seen.as_node(call)).await);
        }
        let ports: Vec<u16> = servers.iter().map(|node| node.address().port()).collect();
        let rm = serve(&seen, move |seen, call| seen.as_resource_manager(call, &ports)).await;
        Self { seen, rm, nodes: servers }
    }

    pub(super) fn address(&self) -> String {
        self.rm.address().to_string()
    }

    pub(super) fn nodes(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn see<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.seen.lock().unwrap())
    }
}

async fn serve(
    seen: &Arc<Mutex<Seen>>,
    answer: impl Fn(&mut Seen, Incoming) -> Reply + Send + Sync + 'static,
) -> RpcServer {
    let (seen, token) = (seen.clone(), vector_token());
    let tokens = [(token.identifier, token.password)].into();
    let handler = move |call: Incoming| {
        let reply = answer(&mut seen.lock().unwrap(), call);
        async move { reply }
    };
    let config = ServerConfig { tokens, simple: false, ..Default::default() };
    RpcServer::start(config, handler).await.unwrap()
}

impl Seen {
    fn as_resource_manager(&mut self, call: Incoming, nodes: &[u16]) -> Reply {
        match call.method.as_str() {
            "registerApplicationMaster" => {
                self.registered = Some(Instant::now());
                let largest =
                    pb::Resource { memory: Some(8192), virtual_cores: Some(4), ..Default::default() };
                Reply::message(&pb::RegisterResponse {
                    maximum_capability: Some(largest),
                    ..Default::default()
                })
            }
            "allocate" => self.allocate(&call.message().unwrap(), nodes),
            "finishApplicationMaster" => {
                let request: pb::FinishRequest = call.message().unwrap();
                self.finished = request.final_status;
                Reply::message(&pb::FinishResponse { is_unregistered: Some(true) })
            }
            other => panic!("nobody scripted {other}"),
        }
    }

    fn allocate(&mut self, request: &pb::AllocateRequest, nodes: &[u16]) -> Reply {
        self.beats += 1;
        for ask in &request.ask {
            self.wanted.insert(ask.priority.unwrap().priority(), ask.num_containers());
        }
        request.release.iter().for_each(|id| self.end(id.id(), -100));
        let (mut allocated, mut node_tokens) = (Vec::new(), Vec::new());
        for (priority, wanted) in std::mem::take(&mut self.wanted) {
            let now = wanted.min(AT_ONCE);
            if now < wanted {
                self.wanted.insert(priority, wanted - now);
            }
            for _ in 0..i64::from(now) + i64::from(now) / EXCESS {
                self.granted += 1;
                let node = usize::try_from(self.granted).unwrap() % nodes.len();
                self.held.insert(self.granted);
                allocated.push(container(self.granted, priority, nodes[node]));
                if self.told.insert(node) {
                    let token = Some((&vector_token()).into());
                    node_tokens.push(pb::NodeToken { node: node_id(nodes[node]), token });
                }
            }
        }
        Reply::message(&pb::AllocateResponse {
            response_id: Some(request.response_id() + 1),
            allocated,
            node_tokens,
            completed: std::mem::take(&mut self.ended),
            ..Default::default()
        })
    }

    fn as_node(&mut self, call: Incoming) -> Reply {
        match call.method.as_str() {
            "startContainers" => {
                let request: pb::StartContainersRequest = call.message().unwrap();
                let numbers: Vec<i64> = request.container.iter().map(number_of).collect();
                self.starts += numbers.len();
                self.running.extend(&numbers);
                let succeeded = numbers.into_iter().map(id).collect();
                Reply::message(&pb::StartContainersResponse { succeeded, failed: vec![] })
            }
            "signalToContainer" => {
                let request: pb::SignalRequest = call.message().unwrap();
                self.end(request.id.id(), 143);
                Reply::message(&pb::SignalResponse {})
            }
            "stopContainers" => {
                let request: pb::StopContainersRequest = call.message().unwrap();
                request.id.iter().for_each(|id| self.end(id.id(), -105));
                Reply::message(&pb::StopContainersResponse { succeeded: request.id, failed: vec![] })
            }
            other => panic!("nobody scripted {other}"),
        }
    }

    /// A container ends; the next heartbeat tells.
    fn end(&mut self, number: i64, status: i32) {
        self.running.remove(&number);
        if self.held.remove(&number) {
            let (id, exit_status) = (Some(id(number)), Some(status));
            self.ended.push(pb::ContainerStatus { id, state: Some(3), exit_status, ..Default::default() });
        }
    }
}

fn id(number: i64) -> pb::ContainerId {
    let application_id = Some(pb::ApplicationId { id: Some(1), cluster_timestamp: Some(1) });
    let attempt = Some(pb::ApplicationAttemptId { application_id, attempt_id: Some(1) });
    pb::ContainerId { attempt, id: Some(number) }
}

fn node_id(port: u16) -> Option<pb::NodeId> {
    Some(pb::NodeId { host: Some("127.0.0.1".into()), port: Some(port.into()) })
}

/// A container whose token names it to its node.
fn container(number: i64, priority: i32, port: u16) -> pb::Container {
    let mut token = vector_token();
    token.identifier = number.to_be_bytes().to_vec();
    pb::Container {
        id: Some(id(number)),
        node: node_id(port),
        node_http_address: Some(format!("127.0.0.1:{port}")),
        priority: Some(pb::Priority { priority: Some(priority) }),
        container_token: Some((&token).into()),
        ..Default::default()
    }
}

fn number_of(start: &pb::StartContainer) -> i64 {
    i64::from_be_bytes(start.container_token.as_ref().unwrap().identifier[..].try_into().unwrap())
}
