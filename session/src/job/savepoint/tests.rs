//! A scripted Flink with one running job, whose connections are cut at one step after the other.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use kobel_flink::rest::SavepointKind;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::*;
use crate::job::{CancelError, JobEnded, cancel, follow};

/// Where a call is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// Flink does not see the request.
    BeforeIt,
    /// Flink does what it says, and nothing of the reply comes back.
    AfterIt,
    /// The reply's status comes back, and nothing of its body.
    InReply,
    /// Flink does what it says, and is gone: nothing is answered from then on.
    WithFlink,
}

const CUTS: [Cut; 3] = [Cut::BeforeIt, Cut::AfterIt, Cut::InReply];

/// What Flink has, and what it was asked.
#[derive(Debug, Default)]
struct Flink {
    calls: Vec<String>,
    /// The ids that it was given; each has made a savepoint of its own.
    triggers: BTreeSet<String>,
    /// How often it was asked how a savepoint stands.
    looks: usize,
    /// So many savepoints fail, for the tasks do not run yet.
    too_early: usize,
    stopping: bool,
    canceled: bool,
}

impl Flink {
    fn answer(&mut self, line: &str, body: &[u8]) -> (u16, Value) {
        let mut words = line.split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let last = path.rsplit('/').next().unwrap();
        match (method, last) {
            ("POST", "stop" | "savepoints") => {
                let body: Value = serde_json::from_slice(body).unwrap();
                let id = body["triggerId"].as_str().unwrap().to_string();
                self.stopping = last == "stop";
                self.triggers.insert(id.clone());
                (202, json!({ "request-id": id }))
            }
            ("PATCH", _) => {
                self.canceled = true;
                (202, json!({}))
            }
            (_, "status") => (200, json!({ "status": self.state() })),
            (_, "checkpoints") => (200, json!({ "counts": counts(), "history": [] })),
            (_, "execution-result") => (
                200,
                json!({ "status": { "id": "COMPLETED" }, "job-execution-result":
                        { "application-status": "SUCCEEDED", "net-runtime": 1 } }),
            ),
            (_, id) if self.triggers.contains(id) => self.savepoint(),
            _ => (404, json!({ "errors": ["There is no operation with this id"] })),
        }
    }

    fn state(&self) -> &'static str {
        match self {
            Self { canceled: true, .. } => "CANCELED",
            Self { stopping: true, looks: 2.., .. } => "FINISHED",
            _ => "RUNNING",
        }
    }

    fn savepoint(&mut self) -> (u16, Value) {
        if let Some(left) = self.too_early.checked_sub(1) {
            (self.too_early, self.stopping) = (left, false);
            let trace = format!("org.apache.flink.X: Task s is not being executed. {DEPLOYING}.");
            let cause = json!({ "class": "X", "stack-trace": trace });
            return (
                200,
                json!({ "status": { "id": "COMPLETED" }, "operation": { "failure-cause": cause } }),
            );
        }
        self.looks += 1;
        match self.looks {
            1 => (200, json!({ "status": { "id": "IN_PROGRESS" } })),
            _ => (200, json!({ "status": { "id": "COMPLETED" }, "operation": { "location": "file:/s/1" } })),
        }
    }
}

fn counts() -> Value {
    json!({ "restored": 0, "total": 0, "in_progress": 0, "completed": 0, "failed": 0 })
}

struct Scripted {
    target: Target,
    flink: Arc<Mutex<Flink>>,
    serving: JoinHandle<()>,
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Scripted {
    /// One whose call of this number, from 0, is cut.
    async fn start(cut: Option<(usize, Cut)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let rest = kobel_flink::FlinkRest::new(&format!("http://{}", listener.local_addr().unwrap()));
        let flink = Arc::<Mutex<Flink>>::default();
        let serving = tokio::spawn(serve(listener, cut, Arc::clone(&flink)));
        let target = Target { rest: rest.unwrap(), log_dir: "/nowhere".into(), agent: None };
        Self { target, flink, serving }
    }

    async fn savepoint(&self, kind: SavepointKind) -> Result<String, SavepointError> {
        let within = Duration::from_millis(700);
        let request = SavepointRequest { job: job(), wish: kind.into(), directory: Some("file:/s"), within };
        savepoint(&self.target, request).await
    }

    /// As `kobel job stop` does it.
    async fn stop(&self) -> Result<(String, JobEnded), SavepointError> {
        let location = self.savepoint(SavepointKind::Stop { drain: false }).await?;
        let ended = follow(&self.target, job(), None, &mut |_| {}).await.unwrap();
        Ok((location, ended))
    }

    fn made(&self) -> usize {
        self.flink.lock().unwrap().triggers.len()
    }

    fn calls(&self) -> Vec<String> {
        self.flink.lock().unwrap().calls.clone()
    }
}

fn job() -> JobId {
    JobId::from_bytes(*b"0123456789abcdef")
}

async fn serve(listener: TcpListener, cut: Option<(usize, Cut)>, flink: Arc<Mutex<Flink>>) {
    for number in 0.. {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        let (line, body) = request(&mut stream).await;
        let cut = cut.filter(|(at, _)| *at == number).map(|(_, cut)| cut);
        let (status, reply) = {
            let mut flink = flink.lock().unwrap();
            flink.calls.push(line.clone());
            match cut {
                Some(Cut::BeforeIt) => continue,
                _ => flink.answer(&line, &body),
            }
        };
        match cut {
            Some(Cut::AfterIt | Cut::BeforeIt) => continue,
            Some(Cut::WithFlink) => return,
            Some(Cut::InReply) => {
                let head = "HTTP/1.1 200 x\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n";
                stream.get_mut().write_all(head.as_bytes()).await.unwrap();
            }
            None => answer(stream.get_mut(), status, &reply).await,
        }
    }
}

/// The request line and the body.
async fn request(stream: &mut BufReader<TcpStream>) -> (String, Vec<u8>) {
    let (mut first, mut length) = (String::new(), 0);
    stream.read_line(&mut first).await.unwrap();
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await.unwrap();
        match header.trim_end().to_ascii_lowercase().strip_prefix("content-length:") {
            Some(text) => length = text.trim().parse().unwrap(),
            None if header.trim_end().is_empty() => break,
            None => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    (first, body)
}

async fn answer(stream: &mut TcpStream, status: u16, body: &Value) {
    let body = body.to_string();
    let head = format!("HTTP/1.1 {status} x\r\ncontent-type: application/json\r\nconnection: close\r\n");
    let whole = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(whole.as_bytes()).await.unwrap();
}

/// The calls of a stop that nothing hinders: state, checkpoints, the stop itself, two looks, and the job's end.
async fn calls_of_a_stop() -> usize {
    let flink = Scripted::start(None).await;
    let (location, ended) = flink.stop().await.unwrap();
    assert_eq!((location.as_str(), ended.state), ("file:/s/1", JobState::Finished));
    let calls = flink.calls();
    assert_eq!(calls.iter().filter(|call| call.starts_with("POST")).count(), 1, "{calls:?}");
    calls.len()
}

#[tokio::test]
async fn a_stop_cut_anywhere_makes_one_savepoint_and_tells_where() {
    let calls = calls_of_a_stop().await;
    assert!(calls >= 7, "{calls}");
    // The first call only asks whether there is such a job.
    for (at, cut) in (1..calls).flat_map(|at| CUTS.map(|cut| (at, cut))) {
        let flink = Scripted::start(Some((at, cut))).await;
        let (location, ended) = flink.stop().await.unwrap_or_else(|e| panic!("{cut:?} at call {at}: {e}"));
        assert_eq!((location.as_str(), ended.state), ("file:/s/1", JobState::Finished), "{cut:?} at {at}");
        assert_eq!(flink.made(), 1, "{cut:?} at call {at}: {:?}", flink.calls());
    }
    for cut in CUTS {
        let flink = Scripted::start(Some((0, cut))).await;
        let error = flink.stop().await.unwrap_err();
        assert!(matches!(error, SavepointError::Rest { .. }), "{error}");
        assert_eq!(flink.made(), 0, "nothing was asked for");
    }
}

#[tokio::test]
async fn a_job_whose_tasks_do_not_all_run_yet_is_asked_again() {
    let flink = Scripted::start(None).await;
    flink.flink.lock().unwrap().too_early = 1;
    let (location, ended) = flink.stop().await.unwrap();
    assert_eq!((location.as_str(), ended.state), ("file:/s/1", JobState::Finished));
    assert_eq!(flink.made(), 2, "of which one failed: {:?}", flink.calls());

    let flink = Scripted::start(None).await;
    flink.flink.lock().unwrap().too_early = usize::MAX;
    let error = flink.stop().await.unwrap_err();
    assert!(matches!(error, SavepointError::Failed { .. }), "not for ever: {error}");
}

#[tokio::test]
async fn a_flink_that_is_gone_leaves_nothing_unsaid() {
    for at in 0..5 {
        let flink = Scripted::start(Some((at, Cut::WithFlink))).await;
        let kind = SavepointKind::Stop { drain: true };
        match flink.savepoint(kind).await {
            Err(error @ SavepointError::Rest { .. }) => {
                assert!(at < 2 && flink.made() == 0, "at call {at}: {error}");
            }
            Err(error @ SavepointError::Unknown { .. }) => {
                assert!(at >= 2 && flink.made() == 1, "at call {at}: {error}");
                assert_eq!(error.category(), Category::Other);
                let hint = error.hint().unwrap();
                assert!(
                    hint.contains(&job().to_string()) && hint.contains("file:/s/savepoint-303132-"),
                    "{hint}"
                );
            }
            other => panic!("at call {at}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_cancelling_cut_anywhere_is_brought_to_its_end() {
    let whole = Scripted::start(None).await;
    let within = Duration::from_millis(700);
    assert_eq!(cancel(&whole.target, job(), within).await.unwrap(), JobState::Canceled);
    for (at, cut) in (1..whole.calls().len()).flat_map(|at| CUTS.map(|cut| (at, cut))) {
        let flink = Scripted::start(Some((at, cut))).await;
        let ended = cancel(&flink.target, job(), within).await;
        assert_eq!(ended.unwrap_or_else(|e| panic!("{cut:?} at {at}: {e}")), JobState::Canceled);
    }
    let gone = Scripted::start(Some((1, Cut::WithFlink))).await;
    let error = cancel(&gone.target, job(), within).await.unwrap_err();
    assert!(matches!(error, CancelError::Unknown { .. }), "{error}");
}

#[test]
fn a_directory_is_absolute_unless_it_has_a_scheme() {
    for same in ["hdfs://n/x", "s3://b/x", "file:/x", "/x/y"] {
        assert_eq!(directory(same).unwrap(), same);
    }
    assert!(directory("x").unwrap().ends_with("/x"));
    assert!(directory("x").unwrap().starts_with('/'));
}
