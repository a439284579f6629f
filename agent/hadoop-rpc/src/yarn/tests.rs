//! Scripted ResourceManagers and NodeManagers over the real codec.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use prost::Message;

use super::*;
use crate::{
    Auth, Effect, Protection, Retry, Token,
    proto::yarn as pb,
    testing::{Incoming, Reply, RpcServer, ServerConfig, vector_token},
};

const PROMPT: Duration = Duration::from_secs(5);

/// A peer that gives these answers in their order.
struct Peer {
    server: RpcServer,
    calls: Arc<Mutex<Vec<Incoming>>>,
}

impl Peer {
    async fn that(replies: impl IntoIterator<Item = Reply>) -> Peer {
        let script = Arc::new(Mutex::new(replies.into_iter().collect::<VecDeque<_>>()));
        let calls = Arc::new(Mutex::new(Vec::new()));
        let log = calls.clone();
        let tokens = [vector_token(), next_token()].map(|token| (token.identifier, token.password));
        let config = ServerConfig { tokens: tokens.into_iter().collect(), ..Default::default() };
        let handler = move |call: Incoming| {
            log.lock().unwrap().push(call);
            let reply = script.lock().unwrap().pop_front().unwrap_or_else(Reply::hang);
            async move { reply }
        };
        Peer { server: RpcServer::start(config, handler).await.unwrap(), calls }
    }

    fn address(&self) -> String {
        self.server.address().to_string()
    }

    fn scheduler(&self) -> Scheduler {
        Scheduler::new(vec![self.address()], vector_token(), Protection::default(), PROMPT).unwrap()
    }

    fn node(&self) -> NodeManager {
        NodeManager::new(self.address().parse().unwrap(), vector_token(), Protection::default(), PROMPT)
            .unwrap()
    }

    fn client(&self) -> ResourceManager {
        let auth = Auth::Simple { user: "alice".into() };
        ResourceManager::new(vec![self.address()], auth, PROMPT).unwrap()
    }

    /// The requests of one method so far.
    fn requests<M: Message + Default>(&self, method: &str) -> Vec<M> {
        let calls = self.calls.lock().unwrap();
        calls.iter().filter(|call| call.method == method).map(|call| call.message().unwrap()).collect()
    }
}

/// The token that follows [`vector_token`].
fn next_token() -> Token {
    Token { identifier: b"next".to_vec(), ..vector_token() }
}

fn id(number: i64) -> ContainerId {
    let application = ApplicationId { cluster_timestamp: 1, number: 1 };
    ContainerId { attempt: AttemptId { application, number: 1 }, id: number }
}

fn yarn_exception(class: &str, message: &str) -> Reply {
    Reply::exception(&format!("org.apache.hadoop.yarn.exceptions.{class}"), message)
}

fn answer(response_id: i32) -> pb::AllocateResponse {
    pb::AllocateResponse { response_id: Some(response_id), ..Default::default() }
}

fn granted(number: i64) -> Granted {
    let container = Container {
        id: id(number),
        node: NodeId { host: "n".into(), port: 1 },
        node_http: String::new(),
        size: Resource::new(1, 1),
        priority: 1,
        allocation_id: None,
    };
    Granted { container, token: vector_token() }
}

#[test]
fn a_masters_token_names_its_attempt() {
    let identifier: pb::MasterTokenIdentifier = vector_token().identifier_as().unwrap();
    let attempt = convert::attempt(identifier.attempt).unwrap();
    assert_eq!(attempt.to_string(), "appattempt_1795189043159_0003_000001");
}

#[tokio::test]
async fn heartbeats_are_numbered_by_the_answers() {
    let rm = Peer::that([Reply::message(&answer(1)), Reply::message(&answer(2)), Reply::message(&answer(3))])
        .await;
    let mut scheduler = rm.scheduler();
    for _ in 0..3 {
        scheduler.allocate(&Beat::default()).await.unwrap();
    }
    let numbers: Vec<_> =
        rm.requests::<pb::AllocateRequest>("allocate").iter().map(|request| request.response_id).collect();
    assert_eq!(numbers, [Some(0), Some(1), Some(2)]);
}

#[tokio::test]
async fn heartbeats_out_of_step_fall_in_again() {
    let words = "Invalid responseId in AllocateRequest, expect responseId to be 7 but get 0";
    let rm = Peer::that([
        yarn_exception("InvalidApplicationMasterRequestException", words),
        Reply::message(&answer(8)),
    ])
    .await;
    rm.scheduler().allocate(&Beat::default()).await.unwrap();
    assert_eq!(rm.requests::<pb::AllocateRequest>("allocate")[1].response_id, Some(7));
}

#[tokio::test]
async fn every_refusal_of_a_heartbeat_takes_its_own_path() {
    let rm = Peer::that([
        yarn_exception("ApplicationMasterNotRegisteredException", "AM is not registered"),
        yarn_exception("ApplicationAttemptNotFoundException", "appattempt_1_0001_000001 doesn't exist"),
        yarn_exception("InvalidResourceRequestException", "Invalid resource request, requested memory > max"),
        yarn_exception("NoSuchThingException", "nobody knows it"),
        Reply::message(&pb::AllocateResponse { am_command: Some(2), ..answer(1) }),
    ])
    .await;
    let mut scheduler = rm.scheduler();
    let mut beat = async || scheduler.allocate(&Beat::default()).await.unwrap_err();
    let error = beat().await;
    assert!(matches!(error, MasterError::NotRegistered), "{error}");
    assert_eq!((error.effect(), error.retry()), (Effect::NotApplied, Retry::Now));
    let error = beat().await;
    assert!(matches!(error, MasterError::AttemptOver { .. }), "{error}");
    assert_eq!(error.retry(), Retry::Fenced);
    for _ in 0..2 {
        let error = beat().await;
        assert!(matches!(error, MasterError::Refused { .. }), "{error}");
        assert_eq!((error.effect(), error.retry()), (Effect::NotApplied, Retry::Never));
    }
    assert!(matches!(beat().await, MasterError::AttemptOver { .. }));
}

#[tokio::test]
async fn a_rolled_token_is_shown_at_the_next_connection() {
    let rolled = pb::AllocateResponse { am_rm_token: Some((&next_token()).into()), ..answer(1) };
    let rm = Peer::that([Reply::message(&rolled), Reply::close(), Reply::message(&answer(2))]).await;
    let mut scheduler = rm.scheduler();
    scheduler.allocate(&Beat::default()).await.unwrap();
    scheduler.allocate(&Beat::default()).await.unwrap();
    let shown: Vec<_> = rm.calls.lock().unwrap().iter().map(|call| call.token.clone().unwrap()).collect();
    assert_eq!(shown, [vector_token().identifier, vector_token().identifier, next_token().identifier]);
    let sent = rm.requests::<pb::AllocateRequest>("allocate");
    assert_eq!(sent[1], sent[2], "what was lost is sent again as it was");
}

#[tokio::test]
async fn an_answer_that_lacks_what_it_must_hold_is_malformed() {
    let no_id = pb::AllocateResponse { allocated: vec![pb::Container::default()], ..answer(1) };
    let rm = Peer::that([Reply::message(&no_id), Reply::message(&pb::AllocateResponse::default())]).await;
    let mut scheduler = rm.scheduler();
    for _ in 0..2 {
        let error = scheduler.allocate(&Beat::default()).await.unwrap_err();
        assert!(matches!(error, MasterError::Malformed(_)), "{error}");
        assert_eq!(error.effect(), Effect::Applied);
    }
}

#[tokio::test]
async fn every_container_asked_for_has_an_outcome() {
    let failure = |number, message: &str| pb::ContainerFailure {
        id: Some(id(number).into()),
        exception: Some(pb::JavaException {
            class_name: Some("org.apache.hadoop.yarn.exceptions.YarnException".into()),
            message: Some(message.into()),
            ..Default::default()
        }),
    };
    let answer = pb::StartContainersResponse {
        succeeded: vec![id(1).into(), id(77).into()],
        failed: vec![
            failure(
                2,
                "Unauthorized request to start container. \nAttempt to relaunch the same container with id 2.",
            ),
            failure(
                3,
                "Unauthorized request to start container. \nThis token is expired. current time is 9 found 8",
            ),
            failure(4, "Container 4 rejected as it is allocated by a previous RM"),
            failure(5, "no disk\n\tat java"),
        ],
    };
    let node = Peer::that([Reply::message(&answer)]).await;
    let (all, launch): (Vec<_>, _) = ((1..=6).map(granted).collect(), Launch::default());
    let starts: Vec<_> = all.iter().map(|granted| (granted, &launch)).collect();
    let outcomes = node.node().start(&starts).await.unwrap();
    let expected = [
        Ok(()),
        Err(Refusal::StartedBefore),
        Err(Refusal::Expired),
        Err(Refusal::Void),
        Err(Refusal::Other {
            class: "org.apache.hadoop.yarn.exceptions.YarnException".into(),
            message: "no disk".into(),
        }),
        Err(Refusal::Unmentioned),
    ];
    assert_eq!(outcomes.into_values().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_start_whose_reply_was_lost_is_not_sent_again() {
    let node = Peer::that([Reply::close(), Reply::close()]).await;
    let (granted, launch) = (granted(1), Launch::default());
    let error = node.node().start(&[(&granted, &launch)]).await.unwrap_err();
    assert_eq!(error.effect(), Effect::Unknown, "{error}");
    assert_eq!(node.requests::<pb::StartContainersRequest>("startContainers").len(), 1);
}

#[tokio::test]
async fn an_unknown_application_is_told_from_other_refusals() {
    let rm = Peer::that([
        yarn_exception("ApplicationNotFoundException", "Application with id 'x' doesn't exist in RM."),
        yarn_exception("YarnException", "no such queue"),
        Reply::message(&pb::ReportResponse::default()),
    ])
    .await;
    let client = rm.client();
    let report = async || client.report(id(1).application()).await.unwrap_err();
    let error = report().await;
    assert!(matches!(error, ClientError::NoSuchApplication { .. }), "{error}");
    let error = report().await;
    assert!(matches!(error, ClientError::Refused { .. }), "{error}");
    let error = report().await;
    assert!(matches!(error, ClientError::Malformed(_)), "{error}");
}

#[tokio::test]
async fn an_attempt_is_failed_by_its_id_and_asked_for_again_when_the_answer_is_lost() {
    let attempt = id(1).attempt;
    let missing = yarn_exception("ApplicationAttemptNotFoundException", "attempt 1 doesn't exist in RM.");
    let denied = Reply::exception("org.apache.hadoop.security.AccessControlException", "alice may not");
    let done = Reply::message(&pb::FailAttemptResponse {});
    let rm = Peer::that([Reply::close(), done, missing, denied]).await;
    let client = rm.client();
    client.fail_attempt(attempt).await.unwrap();
    let sent = rm.requests::<pb::FailAttemptRequest>("failApplicationAttempt");
    assert_eq!(sent, [pb::FailAttemptRequest { attempt: Some(attempt.into()) }; 2]);
    let error = client.fail_attempt(attempt).await.unwrap_err();
    assert!(
        matches!(&error, ClientError::Refused { class, .. } if class.ends_with("AttemptNotFoundException"))
    );
    let error = client.fail_attempt(attempt).await.unwrap_err();
    assert_eq!((error.effect(), error.retry()), (Effect::NotApplied, Retry::Never), "{error}");
}

#[tokio::test]
async fn an_attempts_diagnostics_are_those_of_that_attempt() {
    let (attempt, told) = (id(1).attempt, "AM Container for it exited");
    let report = |number| {
        let id = pb::ApplicationAttemptId { attempt_id: Some(number), ..attempt.into() };
        let report = pb::AttemptReport { id: Some(id), diagnostics: Some(told.into()) };
        Reply::message(&pb::AttemptReportResponse { report: Some(report) })
    };
    let rm = Peer::that([report(attempt.number), report(attempt.number + 1)]).await;
    let client = rm.client();
    assert_eq!(client.attempt_diagnostics(attempt).await.unwrap(), told);
    let sent = rm.requests::<pb::AttemptReportRequest>("getApplicationAttemptReport");
    assert_eq!(sent, [pb::AttemptReportRequest { attempt: Some(attempt.into()) }]);
    let error = client.attempt_diagnostics(attempt).await.unwrap_err();
    assert!(matches!(error, ClientError::Malformed(_)), "{error}");
}

#[tokio::test]
async fn a_report_names_the_attempt_its_master_and_what_that_said_last() {
    let attempt = |number| pb::ApplicationAttemptId { attempt_id: Some(number), ..id(1).attempt.into() };
    let report = pb::Report {
        id: Some(id(1).application().into()),
        host: Some("n".into()),
        rpc_port: Some(7),
        state: Some(5),
        attempt: Some(attempt(2)),
        progress: Some(0.25),
        ..Default::default()
    };
    // Before its master is there.
    let early = pb::Report {
        host: Some("N/A".into()),
        rpc_port: Some(-1),
        attempt: Some(attempt(-1)),
        progress: None,
        ..report.clone()
    };
    let answers = [report, early].map(|report| Reply::message(&pb::ReportResponse { report: Some(report) }));
    let rm = Peer::that(answers).await;
    let client = rm.client();
    let report = client.report(id(1).application()).await.unwrap();
    assert_eq!(report.attempt.map(|attempt| attempt.number), Some(2));
    assert_eq!((report.master, report.progress), (Some(("n".into(), 7)), Some(0.25)));
    let early = client.report(id(1).application()).await.unwrap();
    assert_eq!((early.attempt, early.master, early.progress), (None, None, None));
}
