//! A scripted Flink that takes the request for a savepoint and does not answer.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::*;

/// What becomes of a request whose reply is lost.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lost {
    /// Flink made the savepoint.
    AfterIt,
    /// Flink never saw the request.
    BeforeIt,
    /// Flink is gone with it.
    WithFlink,
}

/// A Flink with one running job.
struct Scripted {
    rest: FlinkRest,
    /// The bodies of the requests for a savepoint.
    asked: Arc<Mutex<Vec<Value>>>,
    /// The paths at which its state was asked for.
    looked: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<()>,
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Scripted {
    async fn start(lost: Lost) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let rest = FlinkRest::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let (asked, looked) = (Arc::default(), Arc::default());
        let serving = tokio::spawn(serve(listener, lost, Arc::clone(&asked), Arc::clone(&looked)));
        Self { rest, asked, looked, serving }
    }

    async fn savepoint(&self, kind: SavepointKind) -> Result<String, SavepointError> {
        savepoint(&self.rest, job(), kind, Some("file:/s"), Duration::from_millis(700)).await
    }
}

fn job() -> JobId {
    JobId::from_bytes(*b"0123456789abcdef")
}

/// Answers until Flink is to be gone; then nobody listens any more.
async fn serve(
    listener: TcpListener,
    lost: Lost,
    asked: Arc<Mutex<Vec<Value>>>,
    looked: Arc<Mutex<Vec<String>>>,
) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        let (line, body) = request(&mut stream).await;
        if line.starts_with("POST") {
            asked.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
            match lost {
                Lost::WithFlink => return,
                // The connection is closed without a word.
                _ => continue,
            }
        }
        let path = line.split(' ').nth(1).unwrap().to_string();
        let reply = if path.ends_with("/status") {
            (200, json!({ "status": "RUNNING" }))
        } else {
            looked.lock().unwrap().push(path);
            state(lost, looked.lock().unwrap().len())
        };
        answer(stream.get_mut(), reply).await;
    }
}

/// How the savepoint stands when it is asked for the nth time.
fn state(lost: Lost, nth: usize) -> (u16, Value) {
    match (lost, nth) {
        (Lost::AfterIt, 1) => (200, json!({ "status": { "id": "IN_PROGRESS" } })),
        (Lost::AfterIt, _) => {
            (200, json!({ "status": { "id": "COMPLETED" }, "operation": { "location": "file:/s/1" } }))
        }
        _ => (404, json!({ "errors": ["There is no operation with this id"] })),
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

async fn answer(stream: &mut TcpStream, (status, body): (u16, Value)) {
    let body = body.to_string();
    let head = format!("HTTP/1.1 {status} x\r\ncontent-type: application/json\r\nconnection: close\r\n");
    let whole = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(whole.as_bytes()).await.unwrap();
}

const KINDS: [SavepointKind; 2] = [SavepointKind::GoOn, SavepointKind::Stop { drain: false }];

#[tokio::test]
async fn a_lost_reply_is_settled_by_asking_for_the_savepoint() {
    for kind in KINDS {
        let flink = Scripted::start(Lost::AfterIt).await;
        assert_eq!(flink.savepoint(kind).await.unwrap(), "file:/s/1");
        let (asked, looked) = (flink.asked.lock().unwrap(), flink.looked.lock().unwrap());
        assert_eq!((asked.len(), looked.len()), (1, 2), "never asked for again");
        let id = asked[0]["triggerId"].as_str().unwrap();
        assert!(looked.iter().all(|path| path.ends_with(id)), "{id} is not in {looked:?}");
    }
}

#[tokio::test]
async fn a_request_that_never_came_has_made_nothing() {
    let flink = Scripted::start(Lost::BeforeIt).await;
    let error = flink.savepoint(SavepointKind::GoOn).await.unwrap_err();
    assert!(matches!(error, SavepointError::Rest { .. }), "{error}");
    assert_eq!(flink.asked.lock().unwrap().len(), 1, "not asked for again");
}

#[tokio::test]
async fn a_flink_that_is_gone_leaves_it_unknown() {
    let flink = Scripted::start(Lost::WithFlink).await;
    let error = flink.savepoint(SavepointKind::Stop { drain: true }).await.unwrap_err();
    assert!(matches!(error, SavepointError::Unknown { .. }), "{error}");
    assert_eq!(error.category(), Category::Other);
    assert!(error.hint().unwrap().contains(&job().to_string()));
}

#[test]
fn a_directory_is_absolute_unless_it_has_a_scheme() {
    for same in ["hdfs://n/x", "s3://b/x", "file:/x", "/x/y"] {
        assert_eq!(directory(same).unwrap(), same);
    }
    assert!(directory("x").unwrap().ends_with("/x"));
    assert!(directory("x").unwrap().starts_with('/'));
}
