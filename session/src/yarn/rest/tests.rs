//! Scripted ResourceManagers, for what a real one cannot be made to say on time.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
    response::Response,
};
use kobel_conf::{Category, Explain};
use kobel_hadoop_rpc::{
    Effect, Retry,
    yarn::{AppState, FinalStatus},
};
use serde_json::{Value, json};

use super::{
    submission::tests::{ID, example, id},
    transport::RmRest,
};
use crate::yarn::manager::{Manager, RmError, Sighting, SubmitError};

const SOON: Duration = Duration::from_secs(5);

/// One answer of a script.
#[derive(Clone)]
pub(crate) enum Say {
    Json(u16, Value),
    Text(u16, &'static str),
    Header(u16, &'static str, &'static str),
    Nothing,
}

/// A ResourceManager that gives these answers in their order, the last one over and over.
pub(crate) struct Rm {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Rm {
    pub(crate) async fn that(says: impl IntoIterator<Item = Say>) -> Rm {
        let script = Arc::new(Mutex::new(says.into_iter().collect::<VecDeque<_>>()));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, listener) = (asked.clone(), tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap());
        let address = format!("http://{}", listener.local_addr().unwrap());
        let app =
            Router::new().fallback(move |request: Request| answer(request, script.clone(), log.clone()));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Rm { address, asked }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    fn rest(&self) -> RmRest {
        RmRest::new(&[&self.address], "alice").unwrap().with_deadline(Duration::from_millis(500))
    }

    /// Method, path and query, body of all requests so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn answer(
    request: Request,
    script: Arc<Mutex<VecDeque<Say>>>,
    log: Arc<Mutex<Vec<String>>>,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = String::from_utf8(to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap();
    log.lock().unwrap().push(format!("{} {} {body}", head.method, head.uri));
    let say = {
        let mut script = script.lock().unwrap();
        if script.len() > 1 { script.pop_front().unwrap() } else { script[0].clone() }
    };
    let response = Response::builder();
    match say {
        Say::Json(status, body) => response.status(status).body(body.to_string().into()),
        Say::Text(status, body) => response.status(status).body(body.into()),
        Say::Header(status, key, value) => response.status(status).header(key, value).body(Body::empty()),
        Say::Nothing => std::future::pending().await,
    }
    .unwrap()
}

fn app(state: &str, diagnostics: &str) -> Say {
    let app = json!({
        "id": ID, "user": "alice", "queue": "default", "state": state, "finalStatus": "UNDEFINED",
        "diagnostics": diagnostics, "applicationTags": "a,b", "finishedTime": 0, "trackingUrl": null,
        "amContainerLogs": "http://n:8042/node/containerlogs/container_e02_1700000000000_0007_03_000001/alice",
        "amRPCAddress": "n:-1",
    });
    Say::Json(200, json!({ "app": app }))
}

pub(crate) fn refusal(status: u16, exception: &str, message: &str) -> Say {
    let refusal = json!({ "exception": exception, "message": message, "javaClassName": exception });
    Say::Json(status, json!({ "RemoteException": refusal }))
}

fn not_found() -> Say {
    refusal(404, "NotFoundException", "java.lang.Exception: app not found")
}

fn info(state: &str) -> Say {
    Say::Json(200, json!({ "clusterInfo": { "haState": state, "startedOn": 1 } }))
}

fn taken() -> Say {
    Say::Text(202, "")
}

#[tokio::test]
async fn a_202_is_no_success_before_the_application_is_accepted() {
    let rm = Rm::that([taken(), app("NEW_SAVING", ""), app("SUBMITTED", ""), app("ACCEPTED", "")]).await;
    let report = rm.rest().submit(&example(), SOON).await.unwrap();
    assert_eq!((report.state, report.final_status), (AppState::Accepted, FinalStatus::Undefined));
    assert_eq!(report.attempt.unwrap().number, 3);
    assert_eq!((report.tags.len(), report.master, report.finished_ms), (2, None, None));
    let asked = rm.asked();
    assert!(asked[0].starts_with("POST /ws/v1/cluster/apps?user.name=alice {"), "{asked:?}");
    assert_eq!(asked.len(), 4);
}

#[tokio::test]
async fn a_202_that_ends_in_failure_is_refused_with_yarns_words() {
    let words = "Application application_1700000000000_0007 submitted by user alice to unknown queue: nope";
    let rm = Rm::that([taken(), app("FAILED", words)]).await;
    let error = rm.rest().submit(&example(), SOON).await.unwrap_err();
    assert!(error.to_string().ends_with(words), "{error}");
    assert_eq!((error.effect(), error.category()), (Effect::NotApplied, Category::FailedEnd));
}

#[tokio::test]
async fn a_lost_reply_and_a_forgotten_application_are_sent_again() {
    let rm = Rm::that([Say::Nothing, taken(), not_found(), taken(), app("ACCEPTED", "")]).await;
    rm.rest().submit(&example(), SOON).await.unwrap();
    let posts = rm.asked().iter().filter(|asked| asked.starts_with("POST")).count();
    assert_eq!(posts, 3, "{:?}", rm.asked());
}

#[tokio::test]
async fn without_a_decision_the_fate_of_a_submission_is_unknown() {
    let rm = Rm::that([taken(), app("NEW", "")]).await;
    let error = rm.rest().submit(&example(), Duration::from_millis(300)).await.unwrap_err();
    assert!(matches!(error, SubmitError::Undecided { .. }), "{error}");
    assert_eq!((error.effect(), error.retry()), (Effect::Unknown, Retry::Now));
}

#[tokio::test]
async fn a_404_means_gone_only_from_an_active_resource_manager() {
    let rm = Rm::that([not_found(), info("INITIALIZING")]).await;
    assert_eq!(rm.rest().report(id()).await.unwrap(), Sighting::NotYet);
    let rm = Rm::that([not_found(), info("ACTIVE"), app("RUNNING", "")]).await;
    assert!(matches!(rm.rest().report(id()).await.unwrap(), Sighting::Seen(_)));
    let rm = Rm::that([not_found(), info("ACTIVE"), not_found()]).await;
    assert_eq!(rm.rest().report(id()).await.unwrap(), Sighting::Gone);
    let rm = Rm::that([not_found(), not_found(), info("STANDBY")]).await;
    assert_eq!(rm.rest().state(id()).await.unwrap(), Sighting::NotYet);
}

#[tokio::test]
async fn a_kill_is_repeated_until_the_application_is_over() {
    let state = |status, state: &str| Say::Json(status, json!({ "state": state }));
    let rm =
        Rm::that([state(202, "RUNNING"), Say::Nothing, state(202, "KILLED"), state(200, "KILLED")]).await;
    assert_eq!(rm.rest().kill(id(), "why", SOON).await.unwrap(), AppState::Killed);
    let asked = rm.asked();
    assert_eq!(asked.len(), 4);
    assert!(
        asked[0].starts_with(&format!("PUT /ws/v1/cluster/apps/{ID}/state?user.name=alice {{")),
        "{asked:?}"
    );
    assert!(asked[0].contains("\"diagnostics\":\"why\""), "{asked:?}");

    let rm = Rm::that([state(202, "RUNNING")]).await;
    let error = rm.rest().kill(id(), "why", Duration::from_millis(300)).await.unwrap_err();
    assert_eq!((error.category(), error.effect()), (Category::Timeout, Effect::Unknown));
}

#[tokio::test]
async fn the_active_one_is_found_and_asked_first_from_then_on() {
    let standby = Rm::that([Say::Header(307, "location", "http://rm.invalid:8088/")]).await;
    let leaderless = Rm::that([Say::Header(307, "refresh", "4;url=http://x/")]).await;
    let active = Rm::that([info("ACTIVE")]).await;
    let gone = "http://127.0.0.1:1".to_string();
    let all = [&standby.address, &gone, &leaderless.address, &active.address];
    let rest = RmRest::new(&all, "alice").unwrap();
    assert!(rest.info().await.unwrap().is_active());
    assert_eq!(rest.active(), active.address);
    rest.info().await.unwrap();
    assert_eq!((standby.asked().len(), active.asked().len()), (1, 2));

    let rest = RmRest::new(&[&standby.address, &leaderless.address], "alice").unwrap();
    let error = rest.info().await.unwrap_err();
    assert!(matches!(error, RmError::NoneActive { .. }), "{error}");
    assert_eq!((error.retry(), error.category()), (Retry::After, Category::Environment));
}

#[tokio::test]
async fn what_is_no_resource_manager_is_named() {
    for say in [
        Say::Text(200, "<html>Welcome to nginx</html>"),
        Say::Text(200, ""),
        Say::Text(200, "{\"clusterInfo\":"),
        Say::Text(200, "{\"clusterInfo\":7}"),
        Say::Text(404, "<html>no such page</html>"),
        Say::Text(500, "oops"),
    ] {
        let rm = Rm::that([say]).await;
        let error = rm.rest().info().await.unwrap_err();
        assert!(matches!(error, RmError::NotYarn { .. }), "{error}");
        assert_eq!((error.retry(), error.category()), (Retry::Never, Category::Environment));
    }
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let new = async |say: Say| Rm::that([say]).await.rest().new_application().await.unwrap_err();
    let error = new(Say::Header(401, "www-authenticate", "Negotiate")).await;
    assert_eq!((error.category(), error.hint()), (Category::Denied, Some("kinit".into())));
    let error = new(Say::Text(403, "App submission via REST is disabled.")).await;
    assert!(matches!(error, RmError::SubmissionsOff { .. }), "{error}");
    let error = new(refusal(403, "ForbiddenException", "java.lang.Exception: Default static user")).await;
    assert!(matches!(&error, RmError::Denied { user, .. } if user == "alice"), "{error}");
    // Of a queue.
    let words = "User alice does not have permission to submit application_1_0001 to queue root.q";
    let wrapped = format!("java.lang.Exception: org.apache.hadoop.security.AccessControlException: {words}");
    let error = new(refusal(400, "BadRequestException", &wrapped)).await;
    assert_eq!(error.category(), Category::Denied, "{error}");
    assert!(error.to_string().ends_with(&format!(": {words}")), "{error}");
    let error =
        new(refusal(400, "BadRequestException", "Requested more memory than configured max\n\tat x")).await;
    assert!(error.to_string().ends_with("Requested more memory than configured max"), "{error}");
    assert_eq!((error.effect(), error.retry()), (Effect::NotApplied, Retry::Never));
    let error = new(Say::Text(502, "bad gateway")).await;
    assert_eq!((error.effect(), error.retry()), (Effect::Unknown, Retry::Now));
    let error = new(Say::Text(503, "starting")).await;
    assert_eq!(error.retry(), Retry::After);
    let error = new(Say::Nothing).await;
    assert_eq!((error.effect(), error.category()), (Effect::Unknown, Category::Timeout));
}

#[tokio::test]
async fn lists_come_as_one_as_many_and_as_none() {
    let container = json!({
        "containerId": "container_e02_1700000000000_0007_01_000002", "allocatedMB": "512",
        "assignedNodeId": "n:8041", "nodeId": "n:8041",
    });
    let lists = [
        (json!({}), 0),
        (json!({ "container": container }), 1),
        (json!({ "container": [container, container] }), 2),
    ];
    let attempt = "appattempt_1700000000000_0007_000001".parse().unwrap();
    for (list, length) in lists {
        let rm = Rm::that([Say::Json(200, list)]).await;
        let containers = rm.rest().containers(attempt).await.unwrap();
        assert_eq!(containers.len(), length);
        assert!(
            containers
                .iter()
                .all(|container| container.allocated_mib == 512 && container.node_id == "n:8041")
        );
    }
    for none in [json!({ "apps": {} }), json!({ "apps": null }), json!({ "apps": { "app": null } })] {
        let rm = Rm::that([Say::Json(200, none)]).await;
        assert!(rm.rest().apps(&["KOBEL"], Some("alice"), &[], &[]).await.unwrap().is_empty());
        let asked = rm.asked();
        assert!(asked[0].contains("applicationTypes=KOBEL&user=alice&user.name=alice"), "{asked:?}");
    }
}

#[tokio::test]
async fn keys_that_come_twice_do_no_harm() {
    let twice = r#"{"app":{"id":"application_1700000000000_0007","state":"RUNNING",
        "resourceSecondsMap":{"entry":{"key":"a"},"entry":{"key":"b"}}}}"#;
    let rm = Rm::that([Say::Text(200, twice)]).await;
    assert!(matches!(rm.rest().report(id()).await.unwrap(), Sighting::Seen(_)));
}

#[tokio::test]
async fn queues_of_both_schedulers_are_read() {
    let capacity = json!({ "scheduler": { "schedulerInfo": {
        "type": "capacityScheduler", "queueName": "root", "queues": { "queue": [
            { "queueName": "default", "state": "RUNNING", "absoluteMaxCapacity": 50.0, "numPendingApplications": 2,
              "resourcesUsed": { "memory": 1024, "vCores": 1 }, "AMResourceLimit": { "memory": 512, "vCores": 1 },
              "usedAMResource": { "memory": 256, "vCores": 1 } },
            { "queueName": "b", "state": "STOPPED", "queues": { "queue": [{ "queueName": "c", "state": "RUNNING" }] } },
        ] } } } });
    let rm = Rm::that([Say::Json(200, capacity)]).await;
    let queues = rm.rest().queues().await.unwrap();
    assert_eq!(queues.iter().map(|q| q.path.as_str()).collect::<Vec<_>>(), ["root.default", "root.b.c"]);
    assert_eq!((queues[0].pending, queues[0].used.memory_mib), (2, 1024));
    assert_eq!(queues[0].masters_max.as_ref().unwrap().memory_mib, 512);
    assert!(queues[0].is_named("default") && queues[1].is_named("b.c") && !queues[1].is_named("oot.b.c"));

    let fair = json!({ "scheduler": { "schedulerInfo": { "type": "fairScheduler", "rootQueue": {
        "queueName": "root", "childQueues": { "queue": [{
            "queueName": "root.a", "maxResources": { "memory": 4096, "vCores": 4 },
            "usedResources": { "memory": 1, "vCores": 1 } }] } } } } });
    let rm = Rm::that([Say::Json(200, fair)]).await;
    let queues = rm.rest().queues().await.unwrap();
    assert_eq!((queues[0].path.as_str(), queues[0].max.as_ref().unwrap().memory_mib), ("root.a", 4096));

    let fifo = json!({ "scheduler": { "schedulerInfo": { "type": "fifoScheduler", "capacity": 1.0 } } });
    assert!(Rm::that([Say::Json(200, fifo)]).await.rest().queues().await.unwrap().is_empty());
}

#[test]
fn addresses_are_checked() {
    for bad in ["", "rm:8088", "ftp://rm", "http://"] {
        assert!(matches!(RmRest::new(&[bad], "alice"), Err(RmError::Address { .. })), "{bad:?}");
    }
    assert!(matches!(RmRest::new(&[] as &[&str], "alice"), Err(RmError::NoAddress)));
}
