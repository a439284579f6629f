//! The same questions over REST, over RPC, and over whichever of them works, to scripted ResourceManagers.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use kobel_conf::{Category, Explain};
use kobel_hadoop_rpc::{
    Effect,
    proto::yarn as pb,
    testing::{Incoming, Reply, RpcServer, ServerConfig},
};

use super::*;
use crate::yarn::rest::{
    submission::tests::{example, id},
    tests::{Rm, Say, refusal},
};

const SOON: Duration = Duration::from_secs(5);
const AT_EACH: Duration = Duration::from_millis(500);
const NOBODY: &str = "127.0.0.1:1";

/// A ResourceManager's RPC port that gives these answers in their order, the last one over and over.
struct Port {
    server: RpcServer,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Port {
    async fn that(replies: impl IntoIterator<Item = Reply>) -> Port {
        let script = Arc::new(Mutex::new(replies.into_iter().collect::<VecDeque<_>>()));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        let handler = move |call: Incoming| {
            assert_eq!(call.user.as_deref(), Some("alice"));
            log.lock().unwrap().push(call.method);
            let reply = script.lock().unwrap().pop_front().unwrap_or_else(Reply::hang);
            async move { reply }
        };
        Port { server: RpcServer::start(ServerConfig::default(), handler).await.unwrap(), asked }
    }

    fn address(&self) -> String {
        self.server.address().to_string()
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn open(web: &str, rpc: &[&str], api: YarnApi) -> Box<dyn Manager> {
    let rpc = rpc.iter().map(|address| address.to_string()).collect();
    Managers { web: vec![web.into()], rpc, api }.open_within("alice", AT_EACH).unwrap()
}

fn rpc(addresses: &[&str]) -> Box<dyn Manager> {
    open("http://127.0.0.1:1", addresses, YarnApi::Rpc)
}

fn report(state: AppState) -> Reply {
    let report = pb::Report { id: Some(id().into()), state: state.number(), ..Default::default() };
    Reply::message(&pb::ReportResponse { report: Some(report) })
}

fn new_application() -> Reply {
    let id = Some(id().into());
    Reply::message(&pb::NewApplicationResponse { id, maximum_capability: None })
}

fn submitted() -> Reply {
    Reply::message(&pb::SubmitResponse {})
}

fn unknown() -> Reply {
    Reply::exception("org.apache.hadoop.yarn.exceptions.ApplicationNotFoundException", "doesn't exist in RM")
}

fn killed(is_killed: bool) -> Reply {
    Reply::message(&pb::KillResponse { is_killed: Some(is_killed) })
}

#[tokio::test]
async fn over_rpc_a_lost_reply_and_a_forgotten_application_are_sent_again() {
    use AppState::*;
    let port = Port::that([
        Reply::hang(),
        submitted(),
        unknown(),
        submitted(),
        report(NewSaving),
        report(Submitted),
        report(Accepted),
    ])
    .await;
    let taken = rpc(&[&port.address()]).submit(&example(), SOON).await.unwrap();
    assert_eq!(taken.state, Accepted);
    let sent = port.asked().iter().filter(|method| *method == "submitApplication").count();
    assert_eq!(sent, 3, "{:?}", port.asked());
}

#[tokio::test]
async fn over_rpc_an_accepted_request_that_ends_in_failure_is_refused() {
    let port = Port::that([submitted(), report(AppState::Failed)]).await;
    let error = rpc(&[&port.address()]).submit(&example(), SOON).await.unwrap_err();
    assert!(matches!(error, SubmitError::Refused { state: AppState::Failed, .. }), "{error}");
    let port = Port::that([submitted(), report(AppState::New), report(AppState::New)]).await;
    let error = rpc(&[&port.address()]).submit(&example(), Duration::from_millis(200)).await.unwrap_err();
    assert!(matches!(error, SubmitError::Undecided { .. }), "{error}");
    assert_eq!(error.effect(), Effect::Unknown);
}

#[tokio::test]
async fn over_rpc_a_kill_is_repeated_until_the_application_is_over() {
    let port = Port::that([killed(false), Reply::hang(), killed(true), report(AppState::Finished)]).await;
    let manager = rpc(&[&port.address()]);
    assert_eq!(manager.kill(id(), "why", SOON).await.unwrap(), AppState::Finished, "it ended by itself");
    let port = Port::that([unknown()]).await;
    let error = rpc(&[&port.address()]).kill(id(), "why", SOON).await.unwrap_err();
    assert!(matches!(error, RmError::NotFound { .. }), "{error}");
}

#[tokio::test]
async fn over_rpc_the_active_one_is_found() {
    let standby =
        Port::that([Reply::exception("org.apache.hadoop.ipc.StandbyException", "not active")]).await;
    let active = Port::that([report(AppState::Running), unknown()]).await;
    let manager = rpc(&[NOBODY, &standby.address(), &active.address()]);
    assert!(matches!(manager.report(id()).await.unwrap(), Sighting::Seen(_)));
    assert_eq!(manager.active(), active.address());
    assert_eq!(manager.report(id()).await.unwrap(), Sighting::Gone);
    assert_eq!(standby.asked().len(), 1);
}

#[tokio::test]
async fn over_rpc_refusals_are_told_apart() {
    let refused = async |class: &str, words: &str| {
        let port = Port::that([Reply::exception(class, words)]).await;
        rpc(&[&port.address()]).new_application().await.unwrap_err()
    };
    let access = "org.apache.hadoop.security.AccessControlException";
    let error = refused(access, "SIMPLE authentication is not enabled.  Available:[TOKEN, KERBEROS]").await;
    assert_eq!((error.category(), error.hint().as_deref()), (Category::Denied, Some("kinit")));
    let error = refused(access, "User alice does not have permission to submit to queue x").await;
    assert!(matches!(&error, RmError::Denied { user, .. } if user == "alice"), "{error}");
    let yarn = "org.apache.hadoop.yarn.exceptions.YarnException";
    let error = refused(yarn, "User alice cannot perform operation MODIFY_APP on application_1_0001").await;
    assert_eq!(error.category(), Category::Denied);
    let too_large = "org.apache.hadoop.yarn.exceptions.InvalidResourceRequestException";
    let error = refused(too_large, "Invalid resource request! Cannot allocate containers").await;
    assert_eq!((error.effect(), error.category()), (Effect::NotApplied, Category::FailedEnd));
    let error = rpc(&[NOBODY]).new_application().await.unwrap_err();
    assert_eq!((error.retry(), error.category()), (Retry::After, Category::Environment));
    let silent = Port::that([Reply::hang()]).await;
    let error = rpc(&[&silent.address()]).new_application().await.unwrap_err();
    assert_eq!((error.effect(), error.category()), (Effect::Unknown, Category::Timeout));
}

#[tokio::test]
async fn where_the_web_takes_no_applications_the_port_is_asked_from_then_on() {
    let off = Rm::that([Say::Text(403, "App submission via REST is disabled.")]).await;
    let port = Port::that([new_application(), submitted(), report(AppState::Accepted)]).await;
    let manager = open(off.address(), &[&port.address()], YarnApi::Auto);
    assert_eq!(manager.way(), YarnApi::Auto);
    assert_eq!(manager.new_application().await.unwrap().id, id());
    manager.submit(&example(), SOON).await.unwrap();
    assert_eq!((manager.way(), off.asked().len()), (YarnApi::Rpc, 1), "{:?}", off.asked());

    let port = Port::that([report(AppState::Running)]).await;
    let manager = open("http://127.0.0.1:1", &[&port.address()], YarnApi::Auto);
    assert!(matches!(manager.report(id()).await.unwrap(), Sighting::Seen(_)), "no web at all");
}

#[tokio::test]
async fn where_the_port_does_no_better_the_webs_words_count() {
    let negotiate = || Say::Header(401, "www-authenticate", "Negotiate");
    let error = open(Rm::that([negotiate()]).await.address(), &[NOBODY], YarnApi::Auto)
        .new_application()
        .await
        .unwrap_err();
    assert_eq!(error.hint().as_deref(), Some("kinit"));
    let error = open("http://127.0.0.1:1", &[NOBODY], YarnApi::Auto).report(id()).await.unwrap_err();
    assert!(matches!(error, RmError::Unreachable { .. }), "{error}");
}

/// What the ResourceManager itself judges is not judged again by another way.
#[tokio::test]
async fn the_webs_refusals_are_final() {
    let port = Port::that([]).await;
    for say in [refusal(400, "BadRequestException", "too large"), refusal(404, "NotFoundException", "no")] {
        let rm = Rm::that([say]).await;
        open(rm.address(), &[&port.address()], YarnApi::Auto).new_application().await.unwrap_err();
    }
    let rm = Rm::that([Say::Text(403, "App submission via REST is disabled.")]).await;
    let error = open(rm.address(), &[&port.address()], YarnApi::Rest).new_application().await.unwrap_err();
    assert!(matches!(error, RmError::SubmissionsOff { .. }), "{error}");
    assert_eq!(port.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn queues_and_nodes_come_over_rpc_too() {
    let queue = |name: &str, maximum: f32, children: Vec<pb::Queue>| pb::Queue {
        name: Some(name.into()),
        maximum_capacity: Some(maximum),
        state: Some(2),
        children,
        statistics: Some(pb::QueueStatistics {
            pending_applications: Some(3),
            allocated_memory: Some(1024),
            allocated_vcores: Some(2),
        }),
        ..Default::default()
    };
    let below = queue("b", 0.5, vec![queue("c", 0.5, Vec::new())]);
    let root = queue("root", 1.0, vec![queue("root.a", 1.0, Vec::new()), below]);
    let port = Port::that([Reply::message(&pb::QueueResponse { queue: Some(root) })]).await;
    let queues = rpc(&[&port.address()]).queues().await.unwrap();
    let told: Vec<_> = queues.iter().map(|queue| (queue.path.as_str(), queue.max_percent)).collect();
    assert_eq!(told, [("root.a", Some(100.0)), ("root.b.c", Some(25.0))]);
    assert_eq!((queues[0].used.memory_mib, queues[0].pending), (1024, 3));
}

#[test]
fn records_without_a_port_are_read() {
    let read: Managers = serde_json::from_str(r#"{"web":["http://rm:8088"]}"#).unwrap();
    assert_eq!(read, Managers { web: vec!["http://rm:8088".into()], rpc: Vec::new(), api: YarnApi::Auto });
    assert_eq!(read.open("alice").unwrap().way(), YarnApi::Rest);
}
