//! A ResourceManager that grants what is asked for, and one NodeManager, where nothing else is scripted.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use kobel_hadoop_rpc::{
    Protection,
    proto::yarn as pb,
    testing::{Incoming, Reply, RpcServer, ServerConfig, vector_token},
    yarn::{Launch, LocalResource, NodeId, Registration, ResourceKind, Scheduler, Visibility},
};

use super::yarn_exception;
use crate::{
    Outcome,
    local::{LocalProvider, Surroundings},
    yarn::{Courier, Historian, Master, Pace, Placed, YarnProvider},
};

/// How long the master waits for an answer.
const PROMPT: Duration = Duration::from_millis(500);
/// Memory of the largest container, in MiB.
const LARGEST: i64 = 8192;
/// What is said of a larger one, even if none is wanted.
pub(super) const TOO_LARGE: &str = "requested memory > maximum";

/// What both peers know.
#[derive(Default)]
pub(super) struct State {
    /// Methods in the order of their calls.
    pub(super) calls: Vec<String>,
    /// Answers that come before the usual ones, by method.
    pub(super) script: BTreeMap<&'static str, VecDeque<Reply>>,
    /// The asks of every heartbeat, priority and count, that had some.
    pub(super) asks: Vec<Vec<(i32, i32)>>,
    /// Containers given back.
    pub(super) released: Vec<i64>,
    /// What was asked to be started, and is not over.
    pub(super) running: BTreeSet<i64>,
    /// How those ended of which the node knows that they did.
    pub(super) exits: BTreeMap<i64, i32>,
    /// The links of the files of what was started last.
    pub(super) links: Vec<String>,
    /// Names of files brought to the nodes and not taken away.
    pub(super) files: BTreeSet<String>,
    /// The last words that were kept, with the workers whose containers were told of, and how often YARN had
    /// been told of the end then.
    pub(super) kept: Vec<(String, Vec<String>, usize)>,
    /// How often the end is still to be answered by "not yet".
    pub(super) unconfirmed: u32,
    /// Nothing is answered any more.
    pub(super) silent: bool,
    /// Containers that come with the next answer, asked for or not.
    pub(super) unasked: Vec<pb::Container>,
    wanted: BTreeMap<i32, i32>,
    ended: Vec<pb::ContainerStatus>,
    granted: i64,
}

impl State {
    pub(super) fn count(&self, method: &str) -> usize {
        self.calls.iter().filter(|call| *call == method).count()
    }

    /// A container ends; the next heartbeat tells.
    pub(super) fn end(&mut self, number: i64, status: i32) {
        self.running.remove(&number);
        self.exits.insert(number, status);
        self.end_of(id(number), status);
    }

    /// A container is told to have ended.
    pub(super) fn end_of(&mut self, id: pb::ContainerId, status: i32) {
        self.ended.push(pb::ContainerStatus {
            id: Some(id),
            state: Some(3),
            exit_status: Some(status),
            ..Default::default()
        });
    }

    fn allocate(&mut self, request: pb::AllocateRequest, node: &NodeId) -> Reply {
        let too_large = |ask: &pb::ResourceRequest| ask.capability.as_ref().unwrap().memory() > LARGEST;
        if request.ask.iter().any(too_large) {
            return yarn_exception("InvalidResourceRequestException", TOO_LARGE);
        }
        let asks = request.ask.iter().map(|ask| (ask.priority.unwrap().priority(), ask.num_containers()));
        let asks: Vec<_> = asks.collect();
        self.wanted.extend(asks.iter().copied());
        if !asks.is_empty() {
            self.asks.push(asks);
        }
        for released in &request.release {
            self.released.push(released.id());
            self.end(released.id(), -100);
        }
        let mut allocated = std::mem::take(&mut self.unasked);
        for (priority, count) in std::mem::take(&mut self.wanted) {
            for _ in 0..count {
                self.granted += 1;
                allocated.push(container(self.granted, priority, node));
            }
        }
        let token = || pb::NodeToken { node: Some(node_id(node)), token: Some((&vector_token()).into()) };
        Reply::message(&pb::AllocateResponse {
            response_id: Some(request.response_id() + 1),
            node_tokens: allocated.first().map(|_| token()).into_iter().collect(),
            allocated,
            completed: std::mem::take(&mut self.ended),
            ..Default::default()
        })
    }

    fn start(&mut self, request: pb::StartContainersRequest) -> Reply {
        let mut succeeded = Vec::new();
        for start in request.container {
            let number = number_of(&start);
            self.links = start.launch.unwrap().local_resources.iter().map(|file| file.key().into()).collect();
            self.running.insert(number);
            succeeded.push(id(number));
        }
        Reply::message(&pb::StartContainersResponse { succeeded, failed: vec![] })
    }

    fn statuses(&self, request: pb::ContainerStatusesRequest) -> Reply {
        let status = |id: pb::ContainerId| {
            let exit_status = self.exits.get(&id.id()).copied();
            let state = Some(if exit_status.is_some() { 3 } else { 2 });
            pb::ContainerStatus { id: Some(id), state, exit_status, ..Default::default() }
        };
        let status = request.id.into_iter().map(status).collect();
        Reply::message(&pb::ContainerStatusesResponse { status, failed: vec![] })
    }

    fn answer(&mut self, call: &Incoming, node: Option<&NodeId>) -> Reply {
        self.calls.push(call.method.clone());
        if self.silent {
            return Reply::hang();
        }
        if let Some(reply) = self.script.get_mut(call.method.as_str()).and_then(VecDeque::pop_front) {
            return reply;
        }
        match (call.method.as_str(), node) {
            ("registerApplicationMaster", _) => {
                let largest = pb::Resource { memory: Some(LARGEST), virtual_cores: Some(4), entries: vec![] };
                Reply::message(&pb::RegisterResponse {
                    maximum_capability: Some(largest),
                    queue: Some("default".into()),
                    ..Default::default()
                })
            }
            ("allocate", Some(node)) => self.allocate(call.message().unwrap(), node),
            ("finishApplicationMaster", _) => {
                let is_unregistered = Some(self.unconfirmed == 0);
                self.unconfirmed = self.unconfirmed.saturating_sub(1);
                Reply::message(&pb::FinishResponse { is_unregistered })
            }
            ("startContainers", _) => self.start(call.message().unwrap()),
            ("stopContainers", _) => {
                let request: pb::StopContainersRequest = call.message().unwrap();
                request.id.iter().for_each(|id| self.end(id.id(), -105));
                Reply::message(&pb::StopContainersResponse { succeeded: request.id, failed: vec![] })
            }
            ("getContainerStatuses", _) => self.statuses(call.message().unwrap()),
            ("signalToContainer", _) => Reply::message(&pb::SignalResponse {}),
            (other, _) => panic!("nobody scripted {other}"),
        }
    }
}

pub(super) fn id(number: i64) -> pb::ContainerId {
    let application_id = Some(pb::ApplicationId { id: Some(1), cluster_timestamp: Some(1) });
    let attempt = Some(pb::ApplicationAttemptId { application_id, attempt_id: Some(1) });
    pb::ContainerId { attempt, id: Some(number) }
}

/// What the node says of a container that it does not start or stop.
pub(super) fn failure(number: i64, message: &str) -> pb::ContainerFailure {
    let exception = pb::JavaException {
        class_name: Some("org.apache.hadoop.yarn.exceptions.YarnException".into()),
        message: Some(message.into()),
        ..Default::default()
    };
    pb::ContainerFailure { id: Some(id(number)), exception: Some(exception) }
}

/// A container's token names it to the scripted node.
fn number_of(start: &pb::StartContainer) -> i64 {
    let token = start.container_token.as_ref().unwrap();
    i64::from_be_bytes(token.identifier[..].try_into().unwrap())
}

fn node_id(node: &NodeId) -> pb::NodeId {
    pb::NodeId { host: Some(node.host.clone()), port: Some(node.port.into()) }
}

pub(super) fn container(number: i64, priority: i32, node: &NodeId) -> pb::Container {
    let mut token = vector_token();
    token.identifier = number.to_be_bytes().to_vec();
    pb::Container {
        id: Some(id(number)),
        node: Some(node_id(node)),
        priority: Some(pb::Priority { priority: Some(priority) }),
        container_token: Some((&token).into()),
        ..Default::default()
    }
}

/// Remembers what was brought to the nodes.
struct Porter(Arc<Mutex<State>>);

impl std::fmt::Debug for Porter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Porter")
    }
}

#[async_trait]
impl Courier for Porter {
    async fn deliver(&self, name: &str, contents: Vec<u8>) -> Result<LocalResource, String> {
        self.0.lock().unwrap().files.insert(name.into());
        Ok(LocalResource {
            url: format!("hdfs://nn/app/{name}").parse().unwrap(),
            size: contents.len() as i64,
            modified_ms: 1,
            kind: ResourceKind::File,
            visibility: Visibility::Application,
        })
    }

    async fn discard(&self, name: &str) {
        self.0.lock().unwrap().files.remove(name);
    }
}

#[async_trait]
impl Historian for Porter {
    async fn keep(&self, _: Outcome, words: &str, containers: &[Placed]) {
        let workers = containers.iter().map(|placed| placed.id.attempt_name(placed.attempt)).collect();
        let mut state = self.0.lock().unwrap();
        // Told of before YARN is.
        let told = state.count("finishApplicationMaster");
        state.kept.push((words.into(), workers, told));
    }
}

/// The peers, which end with it.
pub(super) struct World {
    pub(super) state: Arc<Mutex<State>>,
    rm: RpcServer,
    _nm: RpcServer,
    dir: tempfile::TempDir,
}

impl World {
    pub(super) async fn new() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let nm = serve(&state, None).await;
        let rm = serve(&state, Some(nm.address().to_string().parse().unwrap())).await;
        Self { state, rm, _nm: nm, dir: tempfile::tempdir().unwrap() }
    }

    /// Looks at what happened, or changes what will.
    pub(super) fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().unwrap())
    }

    /// Has these answers come before the usual ones.
    pub(super) fn script(&self, method: &'static str, replies: impl IntoIterator<Item = Reply>) {
        self.with(|state| state.script.entry(method).or_default().extend(replies));
    }

    /// The provider of a master that is as patient as this.
    pub(super) async fn open(&self, patience: Duration) -> Arc<YarnProvider> {
        let (rm, protection) = (vec![self.rm.address().to_string()], Protection::default());
        let scheduler = Scheduler::new(rm, vector_token(), protection.clone(), PROMPT).unwrap();
        let root = self.dir.path();
        let marker = root.display().to_string();
        let masters =
            LocalProvider::open(root.join("workers"), root.join("log"), marker, Surroundings::Machine)
                .unwrap();
        let master = Master {
            scheduler,
            protection,
            registration: Registration {
                host: "here".into(),
                port: Some(1),
                tracking_url: "http://here:1/".into(),
            },
            launch: Launch { commands: vec!["./kobel exec worker.json".into()], ..Launch::default() },
            courier: Arc::new(Porter(self.state.clone())),
            former: Default::default(),
            historian: Arc::new(Porter(self.state.clone())),
            patience,
            pace: Pace::default(),
            node_label: None,
        };
        YarnProvider::open(master, masters).await.unwrap()
    }
}

async fn serve(state: &Arc<Mutex<State>>, node: Option<NodeId>) -> RpcServer {
    let token = vector_token();
    let tokens = [(token.identifier, token.password)].into_iter().collect();
    let state = state.clone();
    let handler = move |call: Incoming| {
        let reply = state.lock().unwrap().answer(&call, node.as_ref());
        async move { reply }
    };
    RpcServer::start(ServerConfig { tokens, ..Default::default() }, handler).await.unwrap()
}
