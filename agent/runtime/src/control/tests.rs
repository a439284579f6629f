//! The socket's manners.

use std::os::unix::fs::MetadataExt;

use jiff::Timestamp;
use kobel_plan::{
    Attempt, WorkerId,
    api::{StopCause, Struck},
};

use super::*;
use crate::{
    handle,
    testing::{call_unix, handle},
};

#[tokio::test]
async fn the_socket_is_the_owners_however_long_its_path_is() {
    let tmp = tempfile::tempdir().unwrap();
    let long = tmp.path().join("x".repeat(120));
    fs::create_dir(&long).unwrap();
    let dir = ClusterDir::new(&long);
    let first = bind(&dir).unwrap();
    drop(first);
    let again = bind(&dir).unwrap();
    assert_eq!(fs::metadata(dir.socket()).unwrap().mode() & 0o777, 0o600);
    drop(again);
}

#[tokio::test]
async fn strangers_are_turned_away_before_they_are_heard() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = ClusterDir::new(tmp.path());
    let mut socket = bind(&dir).unwrap();
    let stream = UnixStream::connect(dir.socket()).await.unwrap();
    assert!(socket.admits(&stream));
    // Root is always admitted, so that a test run by root can only show it for another's socket.
    socket.owner += 1;
    assert_eq!(socket.admits(&stream), rustix::process::getuid().is_root());
}

#[tokio::test]
async fn requests_reach_the_supervisor_and_nonsense_does_not() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = ClusterDir::new(tmp.path());
    let socket = bind(&dir).unwrap();
    let (handle, _status, mut requests) = handle(tmp.path());
    let server = tokio::spawn(async move { axum::serve(socket, routes(handle)).await });
    let supervisor = tokio::spawn(async move {
        let mut heard = vec![];
        while let Some(request) = requests.recv().await {
            match request {
                handle::Request::Look(reply) => reply.send(()).unwrap(),
                handle::Request::Stop(stop, reply) => {
                    heard.push(stop);
                    reply.send(()).unwrap();
                    return heard;
                }
                handle::Request::Scale(ScaleRequest::To(wanted), reply) => reply.send(Ok(wanted)).unwrap(),
                handle::Request::Restart(id, reply) if id == WorkerId::tm(0) => reply.send(Ok(())).unwrap(),
                handle::Request::Restart(id, reply) => reply.send(Err(Refusal::NoSuchWorker(id))).unwrap(),
                handle::Request::Drill(DrillRequest { worker, fault: _ }, reply) => {
                    let struck = Struck { worker, attempt: Attempt::FIRST, at: Timestamp::UNIX_EPOCH };
                    let lost = Refusal::NotHighlyAvailable(worker);
                    reply.send(if worker == WorkerId::tm(0) { Ok(struck) } else { Err(lost) }).unwrap();
                }
                handle::Request::Scale(_, reply) => reply.send(Err(Refusal::Ending)).unwrap(),
            }
        }
        heard
    });
    let socket = dir.socket();
    let cases = [
        ("POST /kobel/v1/scale", r#"{"to":{"jobManagers":1,"taskManagers":7}}"#, 200, r#""taskManagers":7"#),
        ("POST /kobel/v1/scale", r#"{"task-managers":1}"#, 409, "ending"),
        ("POST /kobel/v1/scale", r#"{"to":"many"}"#, 400, "not understood"),
        ("POST /kobel/v1/restart", r#"{"worker":"tm-0"}"#, 202, "{}"),
        ("POST /kobel/v1/restart", r#"{"worker":"tm-9"}"#, 404, "there is no tm-9"),
        ("POST /kobel/v1/restart", r#"{"worker":"x"}"#, 400, "not understood"),
        ("POST /kobel/v1/drill", r#"{"worker":"tm-0","fault":"kill"}"#, 200, r#""attempt":1"#),
        (
            "POST /kobel/v1/drill",
            r#"{"worker":"jm-0","fault":"freeze"}"#,
            409,
            "jobs would be gone with jm-0",
        ),
        ("POST /kobel/v1/drill", r#"{"worker":"jm-0","fault":"burn"}"#, 400, "not understood"),
        ("POST /kobel/v1/stop", "", 400, "not understood"),
        ("GET /kobel/v1/stop", "", 405, "does not take GET"),
        ("GET /kobel/v2", "", 404, "nothing is at /kobel/v2"),
        ("GET /kobel/v1/status", "", 200, r#""state":"Starting""#),
        ("POST /kobel/v1/stop", r#"{"graceMs":5,"by":"kill"}"#, 202, "{}"),
    ];
    for (request, body, status, text) in cases {
        let answer = call_unix(&socket, request, body).await;
        assert_eq!(answer.status, status, "{request} {body}: {answer:?}");
        assert!(answer.body.contains(text), "{request} {body}: {answer:?}");
    }
    let expected = StopRequest::new(StopCause::Kill, Duration::from_millis(5));
    assert_eq!(supervisor.await.unwrap(), [expected]);
    server.abort();
}
