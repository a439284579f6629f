//! Scripted Flinks: what kobel does when the real one answers like this.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use kobel_flink::Effect;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::{submit::submit_settling, *};

/// What the scripted Flink saw, and whether it has the job.
#[derive(Default)]
struct Seen {
    runs: Vec<Value>,
    deleted: Vec<String>,
    job_exists: bool,
}

type Shared = Arc<Mutex<Seen>>;

struct Script {
    /// What `/run` answers; none drops the connection instead.
    reply: Option<(StatusCode, Value)>,
    job_exists: bool,
    /// What `/jobs/:id/status` says, one after the other, the last one for ever.
    states: Vec<&'static str>,
}

struct Scripted {
    rest: FlinkRest,
    seen: Shared,
    _tasks: tokio::task::JoinSet<()>,
}

impl Scripted {
    async fn start(script: Script) -> Self {
        let seen = Shared::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = listener.local_addr().unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        let drops = script.reply.is_none();
        let app = flink(script, seen.clone());
        tasks.spawn(async move { axum::serve(listener, app).await.unwrap() });
        let address = match drops {
            true => dropping_proxy(upstream, &mut tasks).await,
            false => upstream,
        };
        Self { rest: FlinkRest::new(&format!("http://{address}")).unwrap(), seen, _tasks: tasks }
    }
}

fn flink(script: Script, seen: Shared) -> Router {
    let Script { reply, job_exists, states } = script;
    let reply = reply.unwrap_or((StatusCode::OK, json!({ "jobid": "00".repeat(16) })));
    let states = Arc::new(Mutex::new(states.into_iter().peekable()));
    let run = move |State(seen): State<Shared>, Json(body): Json<Value>| async move {
        let mut seen = seen.lock().unwrap();
        seen.runs.push(body);
        seen.job_exists = job_exists;
        (reply.0, Json(reply.1))
    };
    let status = move |State(seen): State<Shared>| async move {
        if !seen.lock().unwrap().job_exists {
            return errors(StatusCode::NOT_FOUND, "Job not found");
        }
        let mut states = states.lock().unwrap();
        let state = states.next_if(|_| true).unwrap_or("RUNNING");
        if states.peek().is_none() {
            return Json(json!({ "status": "FINISHED" })).into_response();
        }
        Json(json!({ "status": state })).into_response()
    };
    let remove = |State(seen): State<Shared>, Path(id): Path<String>| async move {
        seen.lock().unwrap().deleted.push(id);
        Json(json!({}))
    };
    let uploaded = json!({ "filename": "/tmp/flink-web/uuid_a.jar", "status": "success" });
    let result = json!({
        "status": { "id": "COMPLETED" },
        "job-execution-result": { "id": "x", "application-status": "SUCCEEDED", "net-runtime": 42, "accumulator-results": {} },
    });
    Router::new()
        .route("/jars/upload", post(async move |_whole: axum::body::Bytes| Json(uploaded)))
        .route("/jars/{id}/run", post(run))
        .route("/jars/{id}", delete(remove))
        .route("/jobs/{id}/status", get(status))
        .route("/jobs/{id}/execution-result", get(async move || Json(result)))
        .fallback(async || errors(StatusCode::NOT_FOUND, "nothing here"))
        .with_state(seen)
}

fn errors(status: StatusCode, text: &str) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], json!({ "errors": [text] }).to_string())
        .into_response()
}

/// Passes everything on, and drops the connection when the reply to `/run` comes.
async fn dropping_proxy(
    upstream: std::net::SocketAddr,
    tasks: &mut tokio::task::JoinSet<()>,
) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tasks.spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut server = tokio::net::TcpStream::connect(upstream).await.unwrap();
                let (mut up, mut down) = (vec![0; 64 << 10], vec![0; 64 << 10]);
                let mut is_run = false;
                loop {
                    tokio::select! {
                        n = client.read(&mut up) => match n {
                            Ok(n) if n > 0 => {
                                let text = String::from_utf8_lossy(&up[..n]);
                                is_run |= text.starts_with("POST") && text.contains("/run ");
                                server.write_all(&up[..n]).await.unwrap();
                            }
                            _ => return,
                        },
                        n = server.read(&mut down) => match n {
                            Ok(n) if n > 0 && !is_run => client.write_all(&down[..n]).await.unwrap(),
                            _ => return,
                        },
                    }
                }
            });
        }
    });
    address
}

fn request(dir: &tempfile::TempDir) -> JobRequest {
    let jar: PathBuf = jar::tests::jar(dir.path(), "a.jar", Some("Main-Class: org.x.Job\n"));
    JobRequest { jar, args: vec!["--input".into(), "a b".into()], ..Default::default() }
}

fn our_id() -> JobId {
    JobId::from_bytes(*b"0123456789abcdef")
}

async fn submitted(script: Script) -> (Result<Outcome, SubmitError>, Scripted, Vec<Stage>) {
    let dir = tempfile::tempdir().unwrap();
    let scripted = Scripted::start(script).await;
    let mut stages = Vec::new();
    let patience = Duration::from_millis(300);
    let on_stage = &mut |stage| stages.push(stage);
    let outcome = submit_settling(&scripted.rest, our_id(), &request(&dir), patience, on_stage).await;
    (outcome, scripted, stages)
}

fn sent_id(seen: &Shared) -> JobId {
    seen.lock().unwrap().runs[0]["jobId"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_job_is_run_once_under_our_id_and_its_jar_taken_away() {
    let reply = Some((StatusCode::OK, json!({ "jobid": "ab".repeat(16) })));
    let (outcome, flink, stages) =
        submitted(Script { reply, job_exists: true, states: vec!["RUNNING"] }).await;
    assert_eq!(outcome.unwrap(), Outcome::Submitted("ab".repeat(16).parse().unwrap()));
    let seen = flink.seen.lock().unwrap();
    assert_eq!(seen.runs[0]["programArgsList"], json!(["--input", "a b"]));
    assert_eq!((seen.runs.len(), seen.deleted.as_slice()), (1, ["uuid_a.jar".to_string()].as_slice()));
    assert!(matches!(stages[..], [Stage::Uploading { .. }, Stage::Running]), "{stages:?}");
}

#[tokio::test]
async fn a_lost_reply_is_settled_by_asking_for_the_job() {
    let (outcome, flink, stages) =
        submitted(Script { reply: None, job_exists: true, states: vec!["RUNNING"] }).await;
    let id = sent_id(&flink.seen);
    assert_eq!(outcome.unwrap(), Outcome::Submitted(id));
    assert_eq!(flink.seen.lock().unwrap().runs.len(), 1, "never run again");
    assert!(matches!(stages.last(), Some(Stage::Settling)), "{stages:?}");
}

#[tokio::test]
async fn a_lost_reply_without_a_job_stays_unknown() {
    let (outcome, flink, _) = submitted(Script { reply: None, job_exists: false, states: vec![] }).await;
    let error = outcome.unwrap_err();
    assert_eq!(error.effect(), Effect::Unknown);
    assert!(error.hint().unwrap().contains(&sent_id(&flink.seen).to_string()));
    let seen = flink.seen.lock().unwrap();
    assert_eq!((seen.runs.len(), seen.deleted.len()), (1, 0), "its main may still load classes");
}

#[tokio::test]
async fn a_refusal_whose_job_runs_is_a_program_that_wants_its_result() {
    let body = json!({ "errors": ["Job was submitted in detached mode."] });
    let reply = Some((StatusCode::BAD_REQUEST, body));
    let (outcome, flink, _) = submitted(Script { reply, job_exists: true, states: vec!["RUNNING"] }).await;
    let Outcome::ClientResult { job, .. } = outcome.unwrap() else { panic!("not a client's result") };
    assert_eq!(job, sent_id(&flink.seen));
}

#[tokio::test]
async fn a_refusal_whose_job_failed_at_once_is_the_jobs_failure() {
    let body = json!({ "errors": ["java.io.FileNotFoundException: Cannot find savepoint '/nowhere/x'"] });
    let reply = Some((StatusCode::BAD_REQUEST, body));
    let states = vec!["FAILED", "FAILED"];
    let (outcome, flink, _) = submitted(Script { reply, job_exists: true, states }).await;
    let error = outcome.unwrap_err();
    assert_eq!((error.effect(), error.category()), (Effect::NotApplied, Category::FailedEnd));
    let text = error.to_string();
    assert!(text.contains(&sent_id(&flink.seen).to_string()) && text.contains("/nowhere/x"), "{text}");
    assert_eq!(flink.seen.lock().unwrap().deleted.len(), 1);
}

#[tokio::test]
async fn a_program_that_fails_before_its_job_is_told_in_one_line() {
    let trace = "Internal server error.\n<Exception on server side:\norg.apache.flink.X: no\n\tat a.b(C.java:1)\nCaused by: java.lang.IllegalArgumentException: no input\n\tat d.e(F.java:2)\nEnd of exception on server side>";
    let reply = Some((StatusCode::INTERNAL_SERVER_ERROR, json!({ "errors": [trace] })));
    let (outcome, flink, _) = submitted(Script { reply, job_exists: false, states: vec![] }).await;
    let error = outcome.unwrap_err();
    assert!(matches!(error, SubmitError::Program { .. }), "{error}");
    assert_eq!((error.effect(), error.to_string().lines().count()), (Effect::NotApplied, 1));
    assert!(error.trace().unwrap().contains("at d.e(F.java:2)"));
    assert_eq!(flink.seen.lock().unwrap().deleted.len(), 1);
}

#[tokio::test]
async fn a_cluster_that_is_not_there_has_no_job() {
    let dir = tempfile::tempdir().unwrap();
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let rest = FlinkRest::new(&format!("http://{address}")).unwrap();
    let target = Target { rest, log_dir: dir.path().into(), agent: None };
    let error = submit(&target, our_id(), &request(&dir), &mut |_| {}).await.unwrap_err();
    assert_eq!((error.effect(), error.category()), (Effect::NotApplied, Category::NotReady));
}

#[tokio::test]
async fn a_followed_job_ends_when_flink_says_so() {
    let states = vec!["CREATED", "RUNNING", "RUNNING", "FINISHED"];
    let (_, flink, _) = submitted(Script { reply: None, job_exists: true, states }).await;
    let dir = tempfile::tempdir().unwrap();
    let target = Target { rest: flink.rest.clone(), log_dir: dir.path().into(), agent: None };
    let job = sent_id(&flink.seen);
    let ended = follow(&target, job, None, &mut |_| {}).await.unwrap();
    assert_eq!((ended.state, ended.net_runtime), (kobel_flink::rest::JobState::Finished, Some(42)));
    flink.seen.lock().unwrap().job_exists = false;
    let gone = follow(&target, job, None, &mut |_| {}).await.unwrap_err();
    assert_eq!(gone.category(), Category::NotFound);
}

/// Case 46 of the bad inputs.
#[tokio::test]
async fn a_jar_for_which_there_is_no_room_is_refused_before_it_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    let small = std::fs::read(jar::tests::jar(dir.path(), "a.jar", Some("Main-Class: org.x.Job\n"))).unwrap();
    // The archive at the end of a hole of 8 TiB: zip's directory is at the end.
    let path = dir.path().join("huge.jar");
    let huge = std::fs::File::create(&path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&huge, &small, 8 << 40).unwrap();
    let script = Script { reply: None, job_exists: false, states: vec![] };
    let flink = Scripted::start(script).await;
    let request = JobRequest { jar: path, kept_in: Some(dir.path().into()), ..Default::default() };
    let mut stages = 0;
    let target = Target { rest: flink.rest.clone(), log_dir: dir.path().into(), agent: None };
    let error = submit(&target, our_id(), &request, &mut |_| stages += 1).await.unwrap_err();
    assert!(matches!(error, SubmitError::Jar(JarError::NoRoom { .. })), "{error}");
    assert_eq!((error.category(), error.effect()), (Category::Environment, Effect::NotApplied));
    assert_eq!((stages, flink.seen.lock().unwrap().runs.len()), (0, 0), "nothing is sent");
    let fitting = JarFile::check(&dir.path().join("a.jar"), None).unwrap();
    assert!(fitting.fits(dir.path()).is_ok());
}
