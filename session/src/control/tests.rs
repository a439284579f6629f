use std::{os::fd::AsRawFd, path::Path};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    http::StatusCode,
    routing::{get, post},
};
use serde_json::json;
use tokio::{net::UnixListener, task::JoinSet};

use super::*;
use crate::registry::tests::plan;

/// A status like that of a cluster without an agent.
fn status(state: kobel_plan::ClusterState) -> Status {
    let dir = ClusterDir::new("/nowhere");
    Status { state, ..crate::registry::never_started(&plan(Path::new("/log")), &dir) }
}

/// An agent that answers like this, in a directory whose path is longer than a socket's may be.
async fn agent(routes: Router) -> (Control, tempfile::TempDir, JoinSet<()>) {
    let tmp = tempfile::tempdir().unwrap();
    let dir = ClusterDir::new(tmp.path().join("x".repeat(150)));
    std::fs::create_dir(dir.path()).unwrap();
    let fd = std::fs::File::open(dir.path()).unwrap();
    let listener =
        UnixListener::bind(format!("/proc/self/fd/{}/{}", fd.as_raw_fd(), ClusterDir::SOCKET)).unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, routes).await.unwrap() });
    (Control::open(&dir).unwrap(), tmp, tasks)
}

#[tokio::test]
async fn requests_reach_a_socket_with_a_long_path() {
    let wanted = Wanted { job_managers: 1, task_managers: 3 };
    let routes = Router::new()
        .route(api::STATUS, get(async || Json(status(kobel_plan::ClusterState::Ready))))
        .route(
            api::STOP,
            post(async |Json(r): Json<StopRequest>| {
                assert_eq!(r, StopRequest::new(StopCause::Kill, Duration::ZERO));
                (StatusCode::ACCEPTED, Json(json!({})))
            }),
        )
        .route(
            api::SCALE,
            post(async move |Json(r): Json<ScaleRequest>| {
                assert_eq!(r, ScaleRequest::TaskManagers(1));
                Json(wanted)
            }),
        );
    let (control, _dir, _agent) = agent(routes).await;
    assert_eq!(control.status().await.unwrap(), status(kobel_plan::ClusterState::Ready));
    control.kill().await.unwrap();
    assert_eq!(control.scale(ScaleRequest::TaskManagers(1)).await.unwrap(), wanted);
}

#[tokio::test]
async fn a_refusal_is_told_in_the_agent_s_words() {
    let refuse = async || (StatusCode::CONFLICT, Json(json!({ "error": "it is stopping" })));
    let (control, _dir, _agent) = agent(Router::new().route(api::SCALE, post(refuse))).await;
    let error = control.scale(ScaleRequest::TaskManagers(1)).await.unwrap_err();
    assert_eq!(error.to_string(), "the cluster's agent refused to scale: it is stopping");
}

#[tokio::test]
async fn a_watch_gives_each_status_however_its_bytes_come() {
    use kobel_plan::ClusterState::{Ready, Starting, Stopped};
    let watch = async || {
        let lines: Vec<u8> = [Starting, Ready, Stopped]
            .into_iter()
            .flat_map(|s| serde_json::to_vec(&status(s)).unwrap().into_iter().chain([b'\n']))
            .collect();
        let pieces: Vec<_> =
            lines.chunks(7).map(|c| Ok::<_, std::io::Error>(Bytes::copy_from_slice(c))).collect();
        Body::from_stream(futures_util::stream::iter(pieces))
    };
    let (control, _dir, _agent) = agent(Router::new().route(api::STATUS, get(watch))).await;
    let all: Vec<_> = control.watch().await.unwrap().map_ok(|s| s.state).try_collect().await.unwrap();
    assert_eq!(all, [Starting, Ready, Stopped]);
    assert_eq!(control.wait_over().await.unwrap().state, Stopped);
}

#[tokio::test]
async fn a_stream_that_ends_in_the_middle_is_no_status() {
    let watch = async || "{\"apiVersion\":";
    let (control, _dir, _agent) = agent(Router::new().route(api::STATUS, get(watch))).await;
    let error = control.watch().await.unwrap().try_next().await.unwrap_err();
    assert!(matches!(error, ControlError::Malformed(..)), "{error}");
}

#[tokio::test]
async fn a_dead_agent_is_unreachable_at_once() {
    let (control, dir, mut agent) = agent(Router::new()).await;
    agent.shutdown().await;
    let error = control.stop(&StopRequest::new(StopCause::Stop, Duration::from_secs(1))).await.unwrap_err();
    assert!(matches!(error, ControlError::Unreachable(_)), "{error}");
    assert_eq!(error.category(), Category::NotReady);
    let gone = Control::open(&ClusterDir::new(dir.path().join("none"))).unwrap_err();
    assert!(matches!(gone, ControlError::Dir { .. }), "{gone}");
}
