use std::{collections::BTreeMap, path::Path};

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use kobel_conf::settings::YarnApi;
use kobel_hadoop_rpc::yarn::{ApplicationId, LogStatus};
use kobel_plan::{
    ClusterDir, ClusterName,
    status::{AgentStatus, HaStatus},
};
use serde_json::{Value, json};

use super::*;
use crate::registry::{never_started, tests::plan};
use crate::yarn::manager::Managers;

const ID: &str = "application_1700000000000_0007";

fn last(state: ClusterState) -> Status {
    let agent = (state != ClusterState::Starting).then(|| AgentStatus { host: "nm1".into(), pid: 1 });
    Status { state, agent, ..never_started(&plan(Path::new("/log")), &ClusterDir::new("/nowhere")) }
}

fn report(state: AppState, final_status: FinalStatus, diagnostics: &str) -> AppReport {
    AppReport {
        id: ID.parse().unwrap(),
        user: "ann".into(),
        queue: "default".into(),
        name: "etl".into(),
        kind: "Apache Flink".into(),
        tags: Vec::new(),
        state,
        final_status,
        diagnostics: diagnostics.into(),
        tracking_url: "http://rm:8088/proxy/x/".into(),
        attempt: None,
        master: None,
        progress: None,
        started_ms: 0,
        finished_ms: None,
        logs: LogStatus::Other,
        master_token: None,
    }
}

#[test]
fn the_end_of_an_application_is_the_end_of_the_cluster() {
    use {AppState::*, ClusterState as C, FinalStatus as F};
    let table = [
        (Finished, F::Succeeded, "stopped by `kobel stop`", C::Stopped, Some("stopped by `kobel stop`")),
        (
            Finished,
            F::Succeeded,
            "Attempt recovered after RM restartstopped by `kobel stop`",
            C::Stopped,
            Some("stopped by `kobel stop`"),
        ),
        (Finished, F::Succeeded, "", C::Stopped, None),
        (Finished, F::Killed, "killed by `kobel kill`", C::Stopped, Some("killed by `kobel kill`")),
        (Finished, F::Failed, "tm-0 exited\nwith code 1", C::Failed, Some("tm-0 exited with code 1")),
        (
            Killed,
            F::Killed,
            "Application was killed by user bob",
            C::Failed,
            Some("Application was killed by user bob"),
        ),
        (Killed, F::Killed, "", C::Failed, Some("its application was killed")),
        (Failed, F::Failed, "AM Container exited with 1", C::Failed, Some("AM Container exited with 1")),
        (Finished, F::Undefined, "", C::Failed, Some("YARN does not say why")),
    ];
    for (state, final_status, words, expected, reason) in table {
        let told = fold(&last(ClusterState::Ready), &report(state, final_status, words));
        assert_eq!(
            (told.state, told.reason.as_deref()),
            (expected, reason),
            "{state} {final_status} {words}"
        );
        assert_eq!(told.agent, None);
    }
}

#[test]
fn what_high_availability_keeps_is_named_when_the_end_was_a_bad_one() {
    let ha = HaStatus { cluster_id: "etl".into(), root: "/flink".into(), quorum: None };
    let ready = Status { ha: Some(ha), ..last(ClusterState::Ready) };
    let told = |state, status| fold(&ready, &report(state, status, "why")).reason.unwrap();
    let kept = "why; its jobs are kept: `kobel start` with `-z etl` goes on with them";
    assert_eq!(told(AppState::Failed, FinalStatus::Failed), kept);
    assert_eq!(told(AppState::Finished, FinalStatus::Failed), kept);
    assert_eq!(told(AppState::Finished, FinalStatus::Succeeded), "why");
    let starting = Status { state: ClusterState::Starting, ..ready.clone() };
    let told = fold(&starting, &report(AppState::Failed, FinalStatus::Failed, "why"));
    assert_eq!(told.reason.as_deref(), Some("why"), "it never had jobs");
}

#[test]
fn a_master_that_is_started_again_leaves_its_cluster_degraded() {
    let accepted = report(AppState::Accepted, FinalStatus::Undefined, "");
    let told = fold(&last(ClusterState::Ready), &accepted);
    assert_eq!(told.state, ClusterState::Degraded);
    assert!(told.reason.unwrap().contains("ApplicationMaster again"));
    let told = fold(&last(ClusterState::Starting), &accepted);
    assert_eq!((told.state, told.reason), (ClusterState::Starting, None));
}

/// What a ResourceManager that is scripted says of the application.
type App = (StatusCode, Value);

/// A cluster of this directory whose ResourceManager answers so.
async fn cluster(dir: &Path, app: App) -> (Cluster, Application) {
    let path = format!("/ws/v1/cluster/apps/{ID}");
    let info = json!({ "clusterInfo": { "haState": "ACTIVE", "startedOn": 1_700_000_000_001_i64 } });
    let routes = Router::new()
        .route(&path, get(async |State((status, body)): State<App>| (status, Json(body))))
        .route("/ws/v1/cluster/info", get(async move || Json(info)))
        .with_state(app);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let web = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    let application = Application {
        id: ID.parse::<ApplicationId>().unwrap(),
        user: "ann".into(),
        managers: Managers { web: vec![web], rpc: Vec::new(), api: YarnApi::Auto },
        staging: "/user/ann/.kobel".into(),
        hadoop: BTreeMap::new(),
        master_mib: 1024,
        secret: "s3cret".into(),
        collection: None,
        called: None,
    };
    let cluster = Cluster { name: ClusterName::default(), dir: ClusterDir::new(dir) };
    std::fs::write(cluster.dir.plan(), serde_json::to_vec(&plan(&dir.join("log"))).unwrap()).unwrap();
    application.write(&cluster.dir).unwrap();
    (cluster, application)
}

fn app(state: &str, extra: Value) -> App {
    let mut app = json!({ "id": ID, "state": state, "finalStatus": "UNDEFINED", "queue": "root.default",
        "startedTime": Timestamp::now().as_millisecond() });
    app.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    (StatusCode::OK, json!({ "app": app }))
}

#[tokio::test]
async fn what_was_seen_last_is_remembered_and_an_end_is_final() {
    let dir = tempfile::tempdir().unwrap();
    let killed = json!({ "diagnostics": "Application was killed by user bob" });
    let (cluster, _) = cluster(dir.path(), app("KILLED", killed)).await;
    assert!(cluster.is_unfinished().unwrap(), "until somebody looked");
    let status = cluster.status().await.unwrap();
    assert_eq!(
        (status.state, status.reason.as_deref()),
        (ClusterState::Failed, Some("Application was killed by user bob"))
    );
    assert_eq!(status.yarn.as_ref().unwrap().queue, "root.default");
    assert!(!cluster.is_unfinished().unwrap());
    assert_eq!(cluster.status().await.unwrap(), status);
}

#[tokio::test]
async fn a_cluster_that_yarn_does_not_know_is_lost_unless_it_is_being_submitted() {
    let dir = tempfile::tempdir().unwrap();
    let unknown =
        json!({ "RemoteException": { "exception": "NotFoundException", "message": "app not found" } });
    let (cluster, _) = cluster(dir.path(), (StatusCode::NOT_FOUND, unknown)).await;
    let lock = cluster.try_lock().unwrap().unwrap();
    assert_eq!(cluster.status().await.unwrap().state, ClusterState::Starting);
    drop(lock);
    let status = cluster.status().await.unwrap();
    assert_eq!(
        (status.state, status.reason),
        (
            ClusterState::Failed,
            Some(format!(
                "YARN does not know {ID}: its ResourceManager was started anew and has lost its state"
            ))
        )
    );
}

#[tokio::test]
async fn a_front_is_asked_where_yarn_says_and_the_secret_comes_along() {
    use axum::http::HeaderMap;
    use kobel_plan::api;
    let dir = tempfile::tempdir().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let master = listener.local_addr().unwrap().to_string();
    let ready = Status {
        rest_url: Some(format!("http://{master}")),
        log_dir: "/on/the/node".into(),
        ..last(ClusterState::Ready)
    };
    let told = ready.clone();
    let routes = Router::new()
        .route(
            api::STATUS,
            get(async move |headers: HeaderMap| {
                assert!(!headers.contains_key("authorization"), "who only asks keeps the secret");
                Json(told)
            }),
        )
        .route(
            api::STOP,
            axum::routing::post(async |headers: HeaderMap| {
                match headers.get("authorization").and_then(|value| value.to_str().ok()) {
                    Some("Bearer s3cret") => (StatusCode::ACCEPTED, Json(json!({}))),
                    _ => (StatusCode::UNAUTHORIZED, Json(json!({ "error": "no" }))),
                }
            }),
        );
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    let (cluster, _) = cluster(dir.path(), app("RUNNING", json!({ "amRPCAddress": master }))).await;
    let status = cluster.status().await.unwrap();
    assert_eq!((status.state, &status.rest_url), (ClusterState::Ready, &ready.rest_url));
    assert_eq!(status.log_dir, dir.path().join("log"), "the node's means nothing here");
    Control::open(&cluster.dir).unwrap().kill().await.unwrap();
}

#[tokio::test]
async fn without_a_master_nothing_can_be_changed() {
    let dir = tempfile::tempdir().unwrap();
    let (cluster, _) = cluster(dir.path(), app("ACCEPTED", json!({}))).await;
    assert_eq!(cluster.status().await.unwrap().state, ClusterState::Starting);
    let error = Control::open(&cluster.dir).unwrap().kill().await.unwrap_err();
    assert!(matches!(&error, ControlError::NoMaster { state } if state == "ACCEPTED"), "{error}");
}
