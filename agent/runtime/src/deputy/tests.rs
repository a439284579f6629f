//! A deputy with a scripted ResourceManager. Rounds are made without a pause.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use kobel_hadoop_rpc::{
    proto::yarn as pb,
    testing::{Incoming, Reply, RpcServer, ServerConfig},
};
use tokio::net::TcpListener;

use super::*;

const APPLICATION: &str = "application_1_0001";
const PATIENCE: usize = 3;

/// What the ResourceManager is to say.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Says {
    Running(i32),
    Accepted,
    Nothing,
}

/// A ResourceManager, an address for the master's front, and ZooKeeper's word.
struct World {
    server: RpcServer,
    port: u16,
    says: Arc<Mutex<Says>>,
    failed: Arc<Mutex<Vec<i32>>>,
    refusals: Arc<Mutex<Vec<Reply>>>,
    ours: Arc<Ours>,
    looks: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct Ours(AtomicBool);

#[async_trait]
impl Leads for Arc<Ours> {
    async fn is_ours(&self) -> Result<bool, ZkError> {
        Ok(self.0.load(Ordering::SeqCst))
    }
}

fn attempt(number: i32) -> pb::ApplicationAttemptId {
    let application_id = Some(pb::ApplicationId { id: Some(1), cluster_timestamp: Some(1) });
    pb::ApplicationAttemptId { application_id, attempt_id: Some(number) }
}

fn report(state: i32, number: i32, port: u16) -> Reply {
    let report = pb::Report {
        id: attempt(number).application_id,
        host: Some("127.0.0.1".into()),
        rpc_port: Some(port.into()),
        state: Some(state),
        attempt: Some(attempt(number)),
        progress: Some(0.5),
        ..Default::default()
    };
    Reply::message(&pb::ReportResponse { report: Some(report) })
}

impl World {
    /// With nobody at the front's address.
    async fn new() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let says = Arc::new(Mutex::new(Says::Running(1)));
        let (failed, refusals) = (Arc::new(Mutex::new(vec![])), Arc::new(Mutex::new(vec![])));
        let looks = Arc::new(AtomicUsize::new(0));
        let told = (says.clone(), failed.clone(), refusals.clone(), looks.clone());
        let handler = move |call: Incoming| {
            let (says, failed, refusals, looks) = &told;
            let reply = match (call.method.as_str(), *says.lock().unwrap()) {
                (_, Says::Nothing) => Reply::close(),
                ("getApplicationReport", says) => {
                    looks.fetch_add(1, Ordering::SeqCst);
                    match says {
                        Says::Running(number) => report(5, number, port),
                        _ => report(4, 1, port),
                    }
                }
                ("failApplicationAttempt", _) => {
                    let request: pb::FailAttemptRequest = call.message().unwrap();
                    failed.lock().unwrap().push(request.attempt.unwrap().attempt_id());
                    let refusal = refusals.lock().unwrap().pop();
                    refusal.unwrap_or_else(|| Reply::message(&pb::FailAttemptResponse {}))
                }
                (other, _) => panic!("nobody scripted {other}"),
            };
            async move { reply }
        };
        let server = RpcServer::start(ServerConfig::default(), handler).await.unwrap();
        let ours = Arc::new(Ours(AtomicBool::new(true)));
        Self { server, port, says, failed, refusals, ours, looks }
    }

    fn deputy(&self, last_attempt: Option<u32>) -> Deputy {
        let plan = DeputyPlan {
            application_id: APPLICATION.into(),
            user: "ann".into(),
            resource_managers: vec![self.server.address().to_string()],
            quorum: "127.0.0.1:1".into(),
            root: "/flink".into(),
            cluster_id: APPLICATION.into(),
            session_timeout_ms: 4000,
            silence_ms: PATIENCE as u64 * 1000,
            last_attempt,
        };
        let deputy = Deputy::of(&plan, PathBuf::from("jm-1.1.sessions")).unwrap();
        Deputy { leadership: Box::new(self.ours.clone()), ..deputy }
    }

    fn say(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }

    /// The attempts that YARN was asked to fail.
    fn failed(&self) -> Vec<i32> {
        self.failed.lock().unwrap().clone()
    }

    /// Answers at the front's address.
    async fn front(&self) -> tokio::task::JoinHandle<()> {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await.unwrap();
        let routes = axum::Router::new().fallback(async || "");
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() })
    }
}

async fn rounds(deputy: &mut Deputy, count: usize) {
    for _ in 0..count {
        deputy.round().await;
    }
}

#[tokio::test]
async fn a_lost_master_is_failed_once_and_the_next_one_is_watched() {
    let world = World::new().await;
    let mut deputy = world.deputy(None);
    rounds(&mut deputy, PATIENCE).await;
    assert!(world.failed().is_empty(), "it was named once, and silent less often");
    rounds(&mut deputy, PATIENCE).await;
    assert_eq!(world.failed(), [1]);
    world.say(Says::Accepted);
    rounds(&mut deputy, 2).await;
    world.say(Says::Running(2));
    rounds(&mut deputy, PATIENCE).await;
    assert_eq!(world.failed(), [1]);
    rounds(&mut deputy, 1).await;
    assert_eq!(world.failed(), [1, 2]);
}

#[tokio::test]
async fn who_answers_is_let_be_and_yarn_is_not_asked_for_it() {
    let world = World::new().await;
    let mut deputy = world.deputy(None);
    rounds(&mut deputy, PATIENCE).await;
    let front = world.front().await;
    rounds(&mut deputy, 3 * PATIENCE).await;
    assert_eq!(world.looks.load(Ordering::SeqCst), PATIENCE);
    front.abort();
    let _ = front.await;
    rounds(&mut deputy, PATIENCE - 1).await;
    assert!(world.failed().is_empty(), "it is counted from the last answer on");
    rounds(&mut deputy, 1).await;
    assert_eq!(world.failed(), [1]);
}

#[tokio::test]
async fn nothing_is_done_while_another_leads_or_yarn_does_not_answer() {
    let world = World::new().await;
    let mut deputy = world.deputy(None);
    world.ours.0.store(false, Ordering::SeqCst);
    rounds(&mut deputy, 3 * PATIENCE).await;
    world.say(Says::Nothing);
    world.ours.0.store(true, Ordering::SeqCst);
    rounds(&mut deputy, 3 * PATIENCE).await;
    assert!(world.failed().is_empty());
    world.say(Says::Running(1));
    rounds(&mut deputy, PATIENCE).await;
    assert_eq!(world.failed(), [1]);
}

#[tokio::test]
async fn the_application_is_not_ended_for_it() {
    let world = World::new().await;
    let mut deputy = world.deputy(Some(2));
    world.say(Says::Running(2));
    rounds(&mut deputy, 3 * PATIENCE).await;
    assert!(world.failed().is_empty(), "no other attempt would follow");
}

#[tokio::test]
async fn a_refusal_is_final_and_a_lost_answer_is_not() {
    let world = World::new().await;
    let denied = Reply::exception("org.apache.hadoop.security.AccessControlException", "ann may not");
    world.refusals.lock().unwrap().extend([denied, Reply::close()]);
    let mut deputy = world.deputy(None);
    rounds(&mut deputy, PATIENCE + 1).await;
    assert_eq!(world.failed(), [1], "the answer was lost");
    rounds(&mut deputy, 3 * PATIENCE).await;
    assert_eq!(world.failed(), [1, 1], "and then it was refused");
}
