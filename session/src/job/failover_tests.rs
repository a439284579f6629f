//! Scripted failovers: what kobel makes of a cluster whose leader is lost.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, patch},
};
use kobel_conf::Explain;
use kobel_flink::rest::JobState;
use serde_json::json;
use tokio::net::TcpListener;

use super::*;

/// What the cluster answers to one question for the job's state.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Is(&'static str),
    NobodyLeads,
    BreaksOff,
    Unknown,
}

use Step::*;

struct Script {
    /// One after the other, the last one for ever.
    steps: Vec<Step>,
    asked: usize,
    /// From which question on Flink has written the end down.
    written_at: usize,
    cancels: usize,
}

type Shared = Arc<Mutex<Script>>;

async fn cluster(steps: &[Step], written_at: usize) -> (Target, Shared) {
    let script = Arc::new(Mutex::new(Script { steps: steps.to_vec(), asked: 0, written_at, cancels: 0 }));
    let app = Router::new()
        .route("/jobs/{id}/status", get(status))
        .route("/jobs/{id}", patch(cancelled))
        .route("/kobel/v1/job-results/{id}", get(written))
        .fallback(async || answer(StatusCode::NOT_FOUND, json!({ "errors": ["nothing here"] })))
        .with_state(script.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let target = Target {
        rest: FlinkRest::new(&url).unwrap(),
        log_dir: "/nowhere".into(),
        agent: Some(Control::at(&url).unwrap()),
    };
    (target, script)
}

fn answer(status: StatusCode, body: serde_json::Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

async fn status(State(script): State<Shared>) -> Response {
    let mut script = script.lock().unwrap();
    script.asked += 1;
    let step = script.steps[(script.asked - 1).min(script.steps.len() - 1)];
    let refused = |status, text: &str| answer(status, json!({ "errors": [text] }));
    match step {
        Is(state) => answer(StatusCode::OK, json!({ "status": state })),
        NobodyLeads => refused(StatusCode::SERVICE_UNAVAILABLE, "the cluster has no JobManager now"),
        BreaksOff => refused(StatusCode::BAD_GATEWAY, "the JobManager broke off"),
        Unknown => refused(StatusCode::NOT_FOUND, "Job not found"),
    }
}

async fn written(State(script): State<Shared>) -> Response {
    let script = script.lock().unwrap();
    if script.asked < script.written_at {
        return StatusCode::NO_CONTENT.into_response();
    }
    answer(
        StatusCode::OK,
        json!({ "version": 1, "result": { "id": "x", "application-status": "SUCCEEDED",
            "accumulator-results": {}, "net-runtime": 7 } }),
    )
}

async fn cancelled(State(script): State<Shared>) -> Response {
    script.lock().unwrap().cancels += 1;
    answer(StatusCode::ACCEPTED, json!({}))
}

fn job() -> JobId {
    "ab".repeat(16).parse().unwrap()
}

async fn followed(steps: &[Step], written_at: usize) -> (Result<JobEnded, FollowError>, Shared) {
    let (target, script) = cluster(steps, written_at).await;
    (follow(&target, job(), None, &mut |_| {}).await, script)
}

const NEVER: usize = usize::MAX;

#[tokio::test]
async fn a_job_is_followed_through_the_loss_of_its_leader() {
    let steps = [
        Is("RUNNING"),
        BreaksOff,
        NobodyLeads,
        NobodyLeads,
        Unknown,
        Is("INITIALIZING"),
        Is("RUNNING"),
        Is("FINISHED"),
    ];
    let (ended, script) = followed(&steps, steps.len()).await;
    let ended = ended.unwrap();
    assert_eq!((ended.state, ended.net_runtime), (JobState::Finished, Some(7)));
    assert_eq!(script.lock().unwrap().asked, steps.len());
}

#[tokio::test]
async fn a_job_that_ended_with_its_leader_is_not_lost() {
    for last in [Unknown, NobodyLeads] {
        let (ended, _) = followed(&[Is("RUNNING"), NobodyLeads, last], 3).await;
        let ended = ended.unwrap();
        assert_eq!((ended.state, ended.net_runtime), (JobState::Finished, Some(7)));
    }
}

#[tokio::test]
async fn an_end_that_was_not_written_down_before_the_leader_was_lost_is_none() {
    let steps = [Is("FINISHED"), NobodyLeads, Is("RUNNING"), Is("FINISHED"), Is("FINISHED")];
    let (ended, script) = followed(&steps, 5).await;
    assert_eq!(ended.unwrap().net_runtime, Some(7));
    assert_eq!(script.lock().unwrap().asked, 5, "it ran once more");
}

#[tokio::test]
async fn a_job_that_no_leader_knows_is_told_so_and_not_at_once() {
    let began = Instant::now();
    let (ended, script) = followed(&[Is("RUNNING"), NobodyLeads, Unknown], NEVER).await;
    assert_eq!(ended.unwrap_err().category(), Category::NotFound);
    assert!(script.lock().unwrap().asked > 3);
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn without_high_availability_an_unknown_job_is_unknown_at_once() {
    let (target, script) = cluster(&[Unknown], 0).await;
    let target = Target { agent: None, ..target };
    let error = follow(&target, job(), None, &mut |_| {}).await.unwrap_err();
    assert_eq!((error.category(), script.lock().unwrap().asked), (Category::NotFound, 1));
}

#[tokio::test]
async fn a_job_is_cancelled_at_the_next_leader_again() {
    let steps = [Is("RUNNING"), Is("CANCELLING"), NobodyLeads, Is("RUNNING"), Is("CANCELLING"), Unknown];
    let (target, script) = cluster(&steps, NEVER).await;
    let cancelling = cancel(&target, job(), Duration::from_secs(20));
    let error = cancelling.await.unwrap_err();
    assert_eq!((error.category(), script.lock().unwrap().cancels), (Category::NotFound, 2));
    let (target, _) = cluster(&steps, steps.len()).await;
    assert_eq!(cancel(&target, job(), Duration::from_secs(20)).await.unwrap(), JobState::Finished);
}

#[tokio::test]
async fn a_leader_is_waited_for_only_where_one_comes() {
    let (target, _) = cluster(&[NobodyLeads, NobodyLeads, Is("RUNNING")], NEVER).await;
    assert_eq!(target.ask(async |rest| rest.job_state(job()).await).await.unwrap(), JobState::Running);
    let (target, _) = cluster(&[NobodyLeads], NEVER).await;
    let target = Target { agent: None, ..target };
    let error = target.ask(async |rest| rest.job_state(job()).await).await.unwrap_err();
    assert_eq!(error.category(), Category::NotReady);
}
