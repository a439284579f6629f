//! The front before a scripted JobManager: what passes, what does not, and what it costs.

mod secret;

use std::{convert::Infallible, path::Path, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::Request as HttpRequest,
};
use futures_util::{StreamExt, stream};
use http_body_util::BodyExt;
use kobel_plan::PortChoice;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{mpsc, oneshot},
    task::AbortHandle,
    time::timeout,
};

use super::*;
use crate::{
    handle::Request as Asked,
    testing::{call, handle, soon},
};

/// As large as a jar of a real job with all it brings along.
const JAR: usize = 90 << 20;
const PIECE: usize = 64 << 10;

struct Fixture {
    port: u16,
    upstream: watch::Sender<Option<SocketAddr>>,
    requests: mpsc::Receiver<Asked>,
    tasks: Vec<AbortHandle>,
    _dir: tempfile::TempDir,
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

fn front(upstream: Option<SocketAddr>) -> Fixture {
    front_with(upstream, |front| front)
}

fn front_with(upstream: Option<SocketAddr>, change: impl FnOnce(Front) -> Front) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let plan = FrontPlan { bind: "localhost".into(), address: "localhost".into(), port: PortChoice::Free };
    let mut front = change(bind(&plan, None).unwrap());
    let (handle, _, requests) = handle(dir.path());
    let (upstream, upstreams) = watch::channel(upstream);
    let routes = front.routes(handle, upstreams);
    let listeners = std::mem::take(&mut front.listeners);
    let serve = |listener| tokio::spawn(axum::serve(listener, routes.clone()).into_future()).abort_handle();
    Fixture {
        port: front.port,
        upstream,
        requests,
        tasks: listeners.into_iter().map(serve).collect(),
        _dir: dir,
    }
}

/// A JobManager with one answer to everything.
async fn flink<F: Future<Output = Response> + Send>(
    answer: impl Fn(HttpRequest) -> F + Clone + Send + Sync + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = Router::new().fallback(answer);
    tokio::spawn(axum::serve(listener, routes).into_future());
    address
}

/// A JobManager that says these bytes to everyone who has asked something, and hangs up.
async fn dying_flink(last_words: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(last_words.as_bytes()).await;
        }
    });
    address
}

/// Peak of this process's resident memory since the last reset, in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

fn reset_peak() {
    std::fs::write(Path::new("/proc/self/clear_refs"), "5").unwrap();
}

async fn counted(request: HttpRequest) -> Response {
    let mut body = request.into_body();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        length += frame.unwrap().data_ref().map_or(0, Bytes::len);
    }
    length.to_string().into_response()
}

async fn a_jar(_: HttpRequest) -> Response {
    let pieces = stream::iter(0..JAR / PIECE).map(|_| Ok::<_, Infallible>(Bytes::from(vec![7; PIECE])));
    Body::from_stream(pieces).into_response()
}

async fn upload_head(port: u16) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let head = format!(
        "POST /jars/upload HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {JAR}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_jar_passes_both_ways_with_flat_memory() {
    let front = front(Some(flink(counted).await));
    let mut stream = upload_head(front.port).await;
    reset_peak();
    let before = peak();
    let piece = vec![7u8; PIECE];
    let mut answer = String::new();
    soon("upload", async {
        for _ in 0..JAR / PIECE {
            stream.write_all(&piece).await.unwrap();
        }
        stream.read_to_string(&mut answer).await.unwrap();
    })
    .await;
    assert!(answer.ends_with(&JAR.to_string()), "{answer}");

    front.upstream.send_replace(Some(flink(a_jar).await));
    let mut stream = TcpStream::connect(("127.0.0.1", front.port)).await.unwrap();
    stream.write_all(b"GET /a.jar HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let (mut read, mut buffer) = (0, vec![0; PIECE]);
    soon("download", async {
        while let n @ 1.. = stream.read(&mut buffer).await.unwrap() {
            read += n;
        }
    })
    .await;
    assert!(read > JAR);
    let grown = peak() - before;
    // Client, front and JobManager are all in this process.
    assert!(grown < 16 << 20, "{} MB for a jar of {} MB", grown >> 20, JAR >> 20);
}

#[tokio::test]
async fn a_jobmanager_that_reads_slowly_slows_the_upload() {
    let (go, gate) = oneshot::channel::<()>();
    let gate = std::sync::Arc::new(tokio::sync::Mutex::new(Some(gate)));
    let slow = move |request| {
        let gate = gate.clone();
        async move {
            gate.lock().await.take().unwrap().await.unwrap();
            counted(request).await
        }
    };
    let front = front(Some(flink(slow).await));
    let mut stream = upload_head(front.port).await;
    let piece = vec![7u8; PIECE];
    let mut sent = 0;
    while sent < JAR {
        // What fits into the sockets' buffers passes; then nothing more is taken.
        match timeout(Duration::from_millis(500), stream.write(&piece[..PIECE.min(JAR - sent)])).await {
            Ok(n) => sent += n.unwrap(),
            Err(_) => break,
        }
    }
    assert!(sent < JAR / 2, "{} MB were taken though nobody read them", sent >> 20);
    go.send(()).unwrap();
    let mut answer = String::new();
    soon("the rest", async {
        while sent < JAR {
            sent += stream.write(&piece[..PIECE.min(JAR - sent)]).await.unwrap();
        }
        stream.read_to_string(&mut answer).await.unwrap();
    })
    .await;
    assert!(answer.ends_with(&JAR.to_string()), "{answer}");
}

#[tokio::test]
async fn without_a_jobmanager_flinks_clients_are_told_to_come_again() {
    let front = front(None);
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for upstream in [None, Some(closed)] {
        front.upstream.send_replace(upstream);
        let answer = call(front.port, "GET /overview", "").await;
        assert_eq!(answer.status, 503);
        assert!(answer.head.contains("retry-after: 1"), "{answer:?}");
        assert!(answer.body.starts_with(r#"{"errors":["the "#), "{answer:?}");
    }
}

#[tokio::test]
async fn a_jobmanager_that_dies_is_never_mistaken_for_one_that_answered() {
    let front = front(Some(dying_flink("").await));
    let answer = call(front.port, "POST /jars/x/run", "{}").await;
    assert_eq!(answer.status, 502);
    assert!(answer.body.contains("unknown"), "{answer:?}");

    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this";
    front.upstream.send_replace(Some(dying_flink(cut).await));
    let answer = call(front.port, "GET /jobs", "").await;
    assert!(answer.head.contains("content-length: 1000") && answer.body.len() < 1000, "{answer:?}");
}

#[tokio::test]
async fn what_belongs_to_one_connection_is_not_passed_on() {
    let echo =
        async |request: HttpRequest| format!("{} {:?}", request.uri(), request.headers()).into_response();
    let address = flink(echo).await;
    let front = front(Some(address));
    let request = "GET /jobs?a=%20b\nHost: evil.example\nX-Mine: 1\nKeep-Alive: 5\nTE: trailers\nX-Secret: 2\nConnection: X-Secret";
    let answer = call(front.port, request, "").await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.starts_with("/jobs?a=%20b "), "{answer:?}");
    assert!(answer.body.contains("x-mine") && answer.body.contains(&address.to_string()), "{answer:?}");
    for header in ["keep-alive", "\"te\"", "x-secret", "evil.example"] {
        assert!(!answer.body.contains(header), "{header}: {answer:?}");
    }
}

#[tokio::test]
async fn deleting_the_cluster_stops_it_and_is_not_forwarded() {
    let mut front = front(Some(flink(async |_| "forwarded".into_response()).await));
    for path in ["/cluster", "/v1/cluster", "//cluster/", "/%63luster", "/v1/%63lu%73ter/"] {
        let request = format!("DELETE {path}");
        let (answer, asked) = tokio::join!(call(front.port, &request, ""), async {
            loop {
                match soon(path, front.requests.recv()).await {
                    Some(Asked::Look(reply)) => reply.send(()).unwrap(),
                    Some(Asked::Stop(request, reply)) => {
                        reply.send(()).unwrap();
                        break request.by;
                    }
                    other => panic!("{path}: {other:?}"),
                }
            }
        });
        assert_eq!((answer.status, answer.body.as_str(), asked), (202, "{}", StopCause::RestApi), "{path}");
    }
    for request in ["DELETE /jobs/cluster", "DELETE /vx/cluster", "GET /cluster", "DELETE /cluster/x"] {
        assert_eq!(call(front.port, request, "").await.body, "forwarded", "{request}");
    }
}

#[tokio::test]
async fn below_kobel_the_cluster_is_read_and_never_changed() {
    let front = front(Some(flink(async |_| "forwarded".into_response()).await));
    let cases = [
        ("GET /kobel", 301, ""),
        ("GET /kobel/", 200, "<h1>default"),
        ("GET /kobel/v1/status", 200, r#""apiVersion":"kobel/v1""#),
        ("GET /kobel/v1/events", 200, ""),
        ("GET /kobel/v1/stop", 404, "nothing is at"),
        ("POST /kobel/v1/stop", 405, "Unix socket"),
        ("POST /kobel/v1/status", 405, "Unix socket"),
        ("DELETE /kobel/", 405, "Unix socket"),
        ("GET /kobel/v1/status\nHost: evil.example", 403, "another machine"),
        ("GET /kobel/\nHost: 127.0.0.1.evil.example:80", 403, "another machine"),
        ("GET /kobel/nothing", 404, "nothing is at /kobel/nothing"),
        ("GET /kobelx", 200, "forwarded"),
    ];
    for (request, status, text) in cases {
        let answer = call(front.port, request, "").await;
        assert_eq!(answer.status, status, "{request}: {answer:?}");
        assert!(answer.body.contains(text), "{request}: {answer:?}");
    }
    assert!(call(front.port, "GET /kobel", "").await.head.contains("location: kobel/"));
}

#[test]
fn the_url_can_be_clicked() {
    let plan =
        |address: &str| FrontPlan { bind: "x".into(), address: address.into(), port: PortChoice::Free };
    assert_eq!(url(&plan("localhost"), 8081), "http://localhost:8081");
    assert_eq!(url(&plan("::1"), 8081), "http://[::1]:8081");
}
