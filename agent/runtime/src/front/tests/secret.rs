//! What changes the cluster over TCP takes its secret.

use super::*;

const STOP: &str = r#"{"graceMs":1000,"by":"stop"}"#;

fn guarded(secret: &str) -> Fixture {
    front_with(None, |front| front.with_secret(secret.into()))
}

fn bearing(line: &str, header: &str) -> String {
    format!("{line}\nAuthorization: {header}")
}

#[tokio::test]
async fn who_knows_the_secret_may_stop_the_cluster() {
    let mut front = guarded("s3cret");
    let request = bearing("POST /kobel/v1/stop", "Bearer s3cret");
    let (answer, asked) = tokio::join!(call(front.port, &request, STOP), async {
        loop {
            match soon("the stop", front.requests.recv()).await {
                Some(Asked::Look(reply)) => reply.send(()).unwrap(),
                Some(Asked::Stop(request, reply)) => {
                    reply.send(()).unwrap();
                    break request;
                }
                other => panic!("{other:?}"),
            }
        }
    });
    assert_eq!((answer.status, answer.body.as_str()), (202, "{}"), "{answer:?}");
    assert_eq!((asked.grace_ms, asked.by), (1000, StopCause::Stop));
}

#[tokio::test]
async fn nobody_else_may_change_anything() {
    let mut front = guarded("s3cret");
    let wrong =
        ["Bearer s3cre", "Bearer s3cret2", "Bearer S3CRET", "Bearer", "Bearer ", "s3cret", "Basic s3cret"];
    let headers = wrong.map(|wrong| bearing("POST /kobel/v1/stop", wrong));
    let plain = ["stop", "scale", "restart", "status"].map(|path| format!("POST /kobel/v1/{path}"));
    for request in headers.into_iter().chain(plain).chain(["DELETE /kobel/".into()]) {
        let answer = call(front.port, &request, STOP).await;
        assert_eq!(answer.status, 401, "{request}: {answer:?}");
        assert!(!answer.head.contains("s3cret") && !answer.body.contains("s3cret"), "{answer:?}");
    }
    let heard = front.requests.try_recv();
    assert!(heard.is_err(), "{heard:?}");
}

#[tokio::test]
async fn an_empty_secret_opens_nothing() {
    let front = guarded("");
    for header in ["Bearer ", "Bearer", "x"] {
        let answer = call(front.port, &bearing("POST /kobel/v1/stop", header), STOP).await;
        assert_eq!(answer.status, 401, "{header}: {answer:?}");
    }
}

#[tokio::test]
async fn reading_takes_no_secret_and_the_host_is_looked_at_first() {
    let front = guarded("s3cret");
    assert_eq!(call(front.port, "GET /kobel/v1/status", "").await.status, 200);
    for line in ["GET /kobel/v1/status", "POST /kobel/v1/stop"] {
        let request = format!("{}\nHost: evil.example", bearing(line, "Bearer s3cret"));
        let answer = call(front.port, &request, STOP).await;
        assert_eq!(answer.status, 403, "{answer:?}");
        assert!(answer.body.contains("another machine"), "{answer:?}");
    }
    // Who says a wrong host and a wrong secret hears of the host only.
    let request = "POST /kobel/v1/stop\nHost: evil.example";
    assert_eq!(call(front.port, request, STOP).await.status, 403);
}

#[tokio::test]
async fn without_a_secret_no_header_opens_anything() {
    let front = front(None);
    for path in ["stop", "scale", "restart"] {
        let request = bearing(&format!("POST /kobel/v1/{path}"), "Bearer s3cret");
        let answer = call(front.port, &request, STOP).await;
        assert_eq!(answer.status, 405, "{answer:?}");
        assert!(answer.body.contains("Unix socket"), "{answer:?}");
    }
}

#[test]
fn the_secret_is_not_shown() {
    let secret = Secret::new("s3cret".into());
    assert!(!format!("{secret:?}").contains("s3cret"));
}
