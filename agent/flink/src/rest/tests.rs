//! A scripted peer for what real Flink cannot be made to do on time.

use std::{error::Error, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{
    error::{Call, Effect, RestError},
    operations::{Operation, TriggerId},
    savepoints::{SavepointFormat, SavepointKind, SavepointWish},
    transport::FlinkRest,
    types::{JarId, RunRequest},
};
use kobel_plan::{ClaimMode, JobId, JobState};

const JOB: &str = "00112233445566778899aabbccddeeff";

fn job() -> JobId {
    JOB.parse().unwrap()
}

/// A peer that reads one request and answers these bytes, then closes. Gives back what was asked.
async fn peer(answer: Vec<u8>) -> (FlinkRest, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let rest = FlinkRest::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let request = read_request(&mut stream).await;
        stream.write_all(&answer).await.unwrap();
        request
    });
    (rest, served)
}

/// Reads a head and as much body as it announces.
async fn read_request(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let n = stream.read(&mut chunk).await.unwrap();
        text.extend_from_slice(&chunk[..n]);
        let request = String::from_utf8_lossy(&text).into_owned();
        if let Some((head, body)) = request.split_once("\r\n\r\n") {
            let length =
                head.to_lowercase().lines().find_map(|l| l.strip_prefix("content-length: ")?.parse().ok());
            if n == 0 || body.len() >= length.unwrap_or(0) {
                return request;
            }
        }
    }
}

fn http(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()).into()
}

async fn state_from(answer: Vec<u8>) -> Result<JobState, RestError> {
    peer(answer).await.0.job_state(job()).await
}

async fn run_against(answer: Vec<u8>) -> RestError {
    let (rest, _served) = peer(answer).await;
    let run = RunRequest { job_id: Some(job()), ..Default::default() };
    rest.run_jar(&JarId("x.jar".into()), &run, Duration::from_secs(5)).await.unwrap_err()
}

#[tokio::test]
async fn states_are_read_even_those_of_a_newer_flink() {
    assert_eq!(
        state_from(http("200 OK", r#"{"status":"FINISHED","new":1}"#)).await.unwrap(),
        JobState::Finished
    );
    assert_eq!(state_from(http("200 OK", r#"{"status":"HIBERNATING"}"#)).await.unwrap(), JobState::Other);
}

#[tokio::test]
async fn other_services_are_told_from_flink() {
    let others = [
        http("200 OK", "<html>Welcome to nginx</html>"),
        http("200 OK", r#"{"some":"json"}"#),
        http("404 Not Found", "<html>nope</html>"),
        http("503 Service Unavailable", "busy"),
        http("302 Found", ""),
        b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(),
    ];
    for answer in others {
        let text = String::from_utf8_lossy(&answer).into_owned();
        let error = state_from(answer).await.unwrap_err();
        assert!(matches!(error, RestError::NotFlink { .. }), "{text}: {error:?}");
        assert_eq!(error.effect(), Effect::NotApplied);
    }
}

#[tokio::test]
async fn an_unknown_job_is_not_found_whatever_the_status() {
    let errors = format!(
        r#"{{"errors":["Internal server error.","<Exception on server side:\norg.apache.flink.runtime.messages.FlinkJobNotFoundException: Could not find Flink job ({JOB})\n\tat x.Y(Y.java)\n\nEnd of exception on server side>"]}}"#
    );
    for status in ["500 Internal Server Error", "404 Not Found"] {
        let error = state_from(http(status, &errors)).await.unwrap_err();
        let RestError::NotFound { cause, .. } = &error else { panic!("{error:?}") };
        assert_eq!(cause, &format!("Could not find Flink job ({JOB})"));
    }
}

#[tokio::test]
async fn an_election_and_a_front_without_a_leader_are_unavailable() {
    for body in [
        r#"{"errors":["Service temporarily unavailable due to an ongoing leader election."]}"#,
        r#"{"error":"no JobManager leads"}"#,
    ] {
        let error = run_against(http("503 Service Unavailable", body)).await;
        assert!(matches!(error, RestError::Unavailable { .. }), "{error:?}");
        assert_eq!(error.effect(), Effect::NotApplied);
    }
}

#[tokio::test]
async fn a_lost_reply_leaves_the_effect_open() {
    let lost = run_against(vec![]).await;
    assert!(matches!(lost, RestError::Unknown { accepted: false, .. }), "{lost:?}");
    assert_eq!(lost.effect(), Effect::Unknown);
    let gateway = run_against(http("502 Bad Gateway", "<html>")).await;
    assert_eq!(gateway.effect(), Effect::Unknown);
}

#[tokio::test]
async fn a_reply_cut_off_after_a_good_status_means_applied() {
    let error = run_against(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"jobid\":".to_vec()).await;
    assert_eq!(error.effect(), Effect::Applied, "{error:?}");
    let read = state_from(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"sta".to_vec()).await.unwrap_err();
    assert_eq!(read.effect(), Effect::NotApplied, "a call that only reads applies nothing");
}

#[tokio::test]
async fn nobody_listening_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = FlinkRest::new(&address).unwrap().cancel_job(job()).await.unwrap_err();
    assert!(matches!(error, RestError::Unreachable { .. }), "{error:?}");
    assert_eq!(error.effect(), Effect::NotApplied);
    assert!(error.to_string().contains(&address) && error.to_string().contains(JOB), "{error}");
    assert!(error.source().is_some());
}

#[tokio::test]
async fn a_silent_peer_is_given_up_at_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let rest = FlinkRest::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let request = rest.request(reqwest::Method::GET, &["overview"]);
    let error = rest
        .send::<serde_json::Value>(Call::changes("x"), request, Duration::from_millis(50))
        .await
        .unwrap_err();
    assert!(matches!(error, RestError::Timeout { .. }), "{error:?}");
    assert_eq!(error.effect(), Effect::Unknown);
}

#[tokio::test]
async fn names_with_odd_characters_stay_one_path_segment() {
    let (rest, served) = peer(http("200 OK", "{}")).await;
    rest.delete_jar(&JarId("a/b c?d#e%2f.jar".into())).await.unwrap();
    let request = served.await.unwrap();
    assert!(request.starts_with("DELETE /jars/a%2Fb%20c%3Fd%23e%252f.jar HTTP/1.1"), "{request}");
}

#[tokio::test]
async fn an_address_with_a_path_keeps_it() {
    let (rest, served) = peer(http("200 OK", r#"{"status":"RUNNING"}"#)).await;
    let below = FlinkRest::new(&format!("{}/proxy/app_1/", rest.address())).unwrap();
    below.job_state(job()).await.unwrap();
    assert!(served.await.unwrap().starts_with(&format!("GET /proxy/app_1/jobs/{JOB}/status ")));
}

#[tokio::test]
async fn words_are_found_in_a_log_wherever_they_are() {
    let log = format!("{}Job a was recovered\n{}", "x".repeat(100_000), "y".repeat(100_000));
    for (words, says) in [("Job a was", true), ("Job b was", false), ("y\n", false)] {
        assert_eq!(peer(http("200 OK", &log)).await.0.log_says(words).await.unwrap(), says, "{words}");
    }
    let large = format!("{}Job a was recovered\n", "x".repeat(17 << 20));
    assert!(!peer(http("200 OK", &large)).await.0.log_says("Job a was").await.unwrap());
    let refused = peer(http("404 Not Found", r#"{"errors":["no log"]}"#)).await.0.log_says("a").await;
    assert!(matches!(refused, Err(RestError::NotFound { .. })), "{refused:?}");
}

#[tokio::test]
async fn an_upload_is_a_form_with_the_file_and_answers_its_id() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("job.jar");
    std::fs::write(&file, "the jar").unwrap();
    let (rest, served) =
        peer(http("200 OK", r#"{"filename":"/tmp/up/1-2_job.jar","status":"success"}"#)).await;
    let sent = Arc::default();
    assert_eq!(rest.upload_jar(&file, Arc::clone(&sent)).await.unwrap(), JarId("1-2_job.jar".into()));
    assert_eq!(sent.load(std::sync::atomic::Ordering::Relaxed), 7);
    let request = served.await.unwrap();
    assert!(request.starts_with("POST /jars/upload ") && request.contains("the jar"), "{request}");
    assert!(request.contains(r#"name="jarfile"; filename="job.jar""#), "{request}");
}

#[tokio::test]
async fn a_file_that_is_not_there_is_named() {
    let rest = FlinkRest::new("http://127.0.0.1:1").unwrap();
    let error =
        rest.upload_jar(std::path::Path::new("/nonexistent/x.jar"), Arc::default()).await.unwrap_err();
    assert!(matches!(error, RestError::File { .. }), "{error:?}");
}

#[tokio::test]
async fn a_run_sends_only_what_was_asked_for() {
    let (rest, served) = peer(http("200 OK", &format!(r#"{{"jobid":"{JOB}","applicationId":"x"}}"#))).await;
    let run = RunRequest {
        job_id: Some(job()),
        program_args: vec!["--a".into(), "b c".into()],
        ..Default::default()
    };
    let answer = rest.run_jar(&JarId("x.jar".into()), &run, Duration::from_secs(5)).await.unwrap();
    assert_eq!(answer, job());
    let request = served.await.unwrap();
    let body = request.split_once("\r\n\r\n").unwrap().1;
    assert_eq!(body, format!(r#"{{"jobId":"{JOB}","programArgsList":["--a","b c"]}}"#));
}

#[test]
fn a_claim_mode_is_sent_by_the_name_that_every_flink_knows() {
    let run = RunRequest {
        savepoint_path: Some("/s".into()),
        claim_mode: Some(ClaimMode::NoClaim),
        ..Default::default()
    };
    let body = serde_json::to_value(&run).unwrap();
    assert_eq!(body, serde_json::json!({ "savepointPath": "/s", "restoreMode": "NO_CLAIM" }));
}

#[tokio::test]
async fn checkpoints_and_disposals_tell_how_they_stand() {
    let id = TriggerId::from_bytes([1; 16]);
    let checkpoint =
        async |body: &str| peer(http("200 OK", body)).await.0.checkpoint_state(job(), id).await.unwrap();
    let done = r#"{"status":{"id":"COMPLETED"},"operation":{"checkpointId":7,"failureCause":null}}"#;
    assert_eq!(checkpoint(done).await, Operation::Done(7));
    assert_eq!(
        checkpoint(r#"{"status":{"id":"IN_PROGRESS"},"operation":null}"#).await,
        Operation::InProgress
    );
    let trace = r#"{"class":"x.Y","stack-trace":"x.Y: no task\n\tat z","serialized-throwable":""}"#;
    for (name, id) in [("failureCause", r#""checkpointId":null,"#), ("failure-cause", "")] {
        let body = format!(r#"{{"status":{{"id":"COMPLETED"}},"operation":{{{id}"{name}":{trace}}}}}"#);
        assert!(
            matches!(checkpoint(&body).await, Operation::Failed(why) if why.cause.contains("no task")),
            "{body}"
        );
    }
    let (rest, asked) = peer(http("202 Accepted", r#"{"request-id":"ab"}"#)).await;
    let disposal = rest.dispose_savepoint("file:/s").await.unwrap();
    assert!(asked.await.unwrap().ends_with(r#"{"savepoint-path":"file:/s"}"#));
    let (rest, asked) = peer(http("200 OK", r#"{"status":{"id":"COMPLETED"},"operation":{}}"#)).await;
    assert_eq!(rest.disposal_state(&disposal).await.unwrap(), Operation::Done(()));
    assert!(asked.await.unwrap().starts_with("GET /savepoint-disposal/ab "));
}

#[tokio::test]
async fn a_savepoint_is_asked_for_in_its_form() {
    let body = async |wish: SavepointWish| {
        let (rest, asked) = peer(http("202 Accepted", r#"{"request-id":"ab"}"#)).await;
        rest.trigger_savepoint(job(), wish, Some("/s"), TriggerId::from_bytes([1; 16])).await.unwrap();
        asked.await.unwrap().split_once("\r\n\r\n").unwrap().1.to_string()
    };
    let id = "01".repeat(16);
    assert_eq!(
        body(SavepointKind::GoOn.into()).await,
        format!(r#"{{"target-directory":"/s","triggerId":"{id}"}}"#)
    );
    let native = SavepointWish { kind: SavepointKind::Cancel, format: Some(SavepointFormat::Native) };
    assert_eq!(
        body(native).await,
        format!(r#"{{"target-directory":"/s","cancel-job":true,"formatType":"NATIVE","triggerId":"{id}"}}"#)
    );
}

#[test]
fn only_http_addresses_are_taken() {
    for bad in ["", "localhost:8081", "ftp://x", "http://", "file:///x"] {
        assert!(matches!(FlinkRest::new(bad), Err(RestError::Address { .. })), "{bad}");
    }
    assert_eq!(FlinkRest::new("http://localhost:8081/").unwrap().address(), "http://localhost:8081");
}
