mod bad_servers;

use std::collections::HashSet;
use std::sync::atomic::{AtomicI32, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::error::{Effect, ErrorCode, Lost, Retry};
use crate::proto::common::RpcResponseHeaderProto;
use crate::sasl::{Qop, SaslError};
use crate::testing::{Incoming, Reply, RpcServer, ServerConfig, vector_token};
use crate::token::Secret;
use crate::wire::WireError;

const PROTOCOL: Protocol = Protocol { name: "org.example.EchoPB", version: 1 };

fn simple() -> Auth {
    Auth::Simple { user: "alice".to_owned() }
}

fn call(request: &[u8], allowed: Duration) -> Call {
    static NEXT: AtomicI32 = AtomicI32::new(0);
    Call {
        id: NEXT.fetch_add(1, Ordering::Relaxed),
        retries: 0,
        method: "echo",
        request: Bytes::copy_from_slice(request),
        deadline: Instant::now() + allowed,
        allowed,
    }
}

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(100);

async fn open(server: &str, auth: &Auth, dial: &Dial) -> Result<Connection, RpcError> {
    Connection::open(server, [7; 16], PROTOCOL, auth, dial).await
}

async fn connect(server: &RpcServer, auth: &Auth) -> Connection {
    open(&server.address().to_string(), auth, &Dial::default()).await.unwrap()
}

/// What the request says, as protobuf has it: any field, so that the response is one part.
async fn echo(call: Incoming) -> Reply {
    #[derive(Clone, PartialEq, prost::Message)]
    struct Raw {
        #[prost(bytes, tag = "1")]
        bytes: Vec<u8>,
    }
    Reply::message(&Raw { bytes: call.request.to_vec() })
}

fn echoed(response: &Bytes) -> &[u8] {
    // Tag and length of one field; requests here are shorter than 128 bytes.
    response.get(2..).unwrap_or_default()
}

#[tokio::test]
async fn a_call_is_answered() {
    let server = RpcServer::start(ServerConfig::default(), async |call: Incoming| {
        assert_eq!(call.user.as_deref(), Some("alice"));
        assert_eq!((call.protocol.as_str(), call.method.as_str()), ("org.example.EchoPB", "echo"));
        assert_eq!((call.client_id.as_slice(), call.retries), (&[7; 16][..], 0));
        Reply::message(&())
    });
    let server = server.await.unwrap();
    let connection = connect(&server, &simple()).await;
    let response = connection.call(call(b"", LONG)).await.unwrap();
    assert_eq!(response, Bytes::new());
}

#[tokio::test]
async fn answers_find_their_calls_in_any_order() {
    let server = RpcServer::start(ServerConfig::default(), async |call: Incoming| {
        let pause = Duration::from_millis(u64::from(60 - call.request[0]));
        echo(call).await.after(pause)
    });
    let server = server.await.unwrap();
    let connection = connect(&server, &simple()).await;
    let (done, mut order) = mpsc::unbounded_channel();
    for n in 0..60u8 {
        let (connection, done) = (connection.clone(), done.clone());
        tokio::spawn(async move {
            let response = connection.call(call(&[n], LONG)).await.unwrap();
            let _ = done.send((n, echoed(&response) == [n]));
        });
    }
    drop(done);
    let mut seen = Vec::new();
    while let Some((n, right)) = order.recv().await {
        assert!(right, "{n}");
        seen.push(n);
    }
    assert_eq!(seen.iter().collect::<HashSet<_>>().len(), 60);
    assert_ne!(seen, (0..60).collect::<Vec<_>>(), "the script did not mix them");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_silent_server_costs_the_callers_deadline_and_is_pinged() {
    let server = RpcServer::start(ServerConfig::default(), async |call: Incoming| {
        if call.request.is_empty() { Reply::hang() } else { echo(call).await }
    });
    let server = server.await.unwrap();
    let dial = Dial { ping_interval: Duration::from_millis(20), ..Dial::default() };
    let connection = open(&server.address().to_string(), &simple(), &dial).await.unwrap();
    let error = connection.call(call(b"", Duration::from_millis(300))).await.unwrap_err();
    assert!(matches!(error, RpcError::Deadline { sent: true, .. }), "{error}");
    assert_eq!((error.effect(), error.retry()), (Effect::Unknown, Retry::After));
    assert!(server.pings() > 3, "{} pings", server.pings());
    // The connection is still good for others.
    assert_eq!(echoed(&connection.call(call(b"x", LONG)).await.unwrap()), b"x");
}

#[tokio::test]
async fn a_late_answer_is_dropped() {
    let server = RpcServer::start(ServerConfig::default(), async |call: Incoming| {
        let pause = if call.request.is_empty() { SHORT * 2 } else { SHORT * 4 };
        echo(call).await.after(pause)
    });
    let server = server.await.unwrap();
    let connection = connect(&server, &simple()).await;
    let (late, next) = tokio::join!(connection.call(call(b"", SHORT)), connection.call(call(b"n", LONG)));
    assert!(matches!(late.unwrap_err(), RpcError::Deadline { .. }));
    assert_eq!(echoed(&next.unwrap()), b"n");
}

#[tokio::test]
async fn an_exception_is_of_one_call_and_a_fatal_one_of_all() {
    let server =
        RpcServer::start(ServerConfig::default(), async |call: Incoming| match call.request.first() {
            Some(b'e') => Reply::exception("org.apache.hadoop.yarn.exceptions.YarnException", "no"),
            Some(b'f') => Reply::failure("java.lang.Error", "over", ErrorCode::FatalUnknown).after(SHORT),
            Some(b'h') => Reply::hang(),
            _ => echo(call).await,
        });
    let server = server.await.unwrap();
    let connection = connect(&server, &simple()).await;
    let error = connection.call(call(b"e", LONG)).await.unwrap_err();
    assert!(error.is("YarnException"), "{error}");
    assert_eq!(error.to_string().split(" at ").next(), Some("echo failed"));
    assert!(error.to_string().ends_with(": YarnException: no"), "{error}");
    assert!(connection.call(call(b"x", LONG)).await.is_ok());
    let (other, fatal) = tokio::join!(connection.call(call(b"h", LONG)), connection.call(call(b"f", LONG)));
    let (other, fatal) = (other.unwrap_err(), fatal.unwrap_err());
    assert!(matches!(fatal, RpcError::Remote { .. }), "{fatal}");
    assert!(matches!(other, RpcError::Lost { sent: true, source: Lost::Fatal(_), .. }), "{other}");
    assert!(connection.call(call(b"x", LONG)).await.is_err() && !connection.is_open());
}

/// Answers the first call with these bytes, and ends the connection.
async fn answered_with(bytes: &'static [u8]) -> RpcError {
    let server = RpcServer::start(ServerConfig::default(), async move |_: Incoming| {
        Reply::raw_and_close(bytes.to_vec())
    });
    let server = server.await.unwrap();
    let connection = connect(&server, &simple()).await;
    connection.call(call(b"", LONG)).await.unwrap_err()
}

fn lost(error: &RpcError) -> Option<&Lost> {
    assert_eq!(error.effect(), Effect::Unknown, "{error}");
    match error {
        RpcError::Lost { source, .. } => Some(source),
        _ => None,
    }
}

#[tokio::test]
async fn a_connection_that_ends_early_or_in_a_frame_is_lost() {
    for bytes in [&b""[..], b"\0\0", b"\0\0\0\x40\x03\x08"] {
        let error = answered_with(bytes).await;
        assert!(matches!(lost(&error), Some(Lost::Closed)), "{error:?}");
        assert_eq!(error.retry(), Retry::Now);
    }
}

#[tokio::test]
async fn garbage_and_oversize_frames_end_the_connection() {
    let error = answered_with(b"\0\0\0\x04\xff\xff\xff\xff").await;
    assert!(matches!(lost(&error), Some(Lost::Wire(WireError::Short(_)))), "{error:?}");
    let error = answered_with(b"\0\0\0\x04\x03\xff\xff\xff").await;
    assert!(matches!(lost(&error), Some(Lost::Wire(WireError::Malformed { .. }))), "{error:?}");
    let error = answered_with(b"\x7f\xff\xff\xff").await;
    assert!(matches!(lost(&error), Some(Lost::Wire(WireError::TooLong { .. }))), "{error:?}");
    let error = answered_with(b"HTTP/1.1 404 Not Found\r\n").await;
    assert!(matches!(lost(&error), Some(Lost::Wire(WireError::Foreign("HTTP")))), "{error:?}");
}

#[tokio::test]
async fn a_success_without_a_response_is_not_taken_for_one() {
    let server = RpcServer::start(ServerConfig::default(), async |call: Incoming| {
        let call_id = u32::try_from(call.call_id).unwrap();
        let header = RpcResponseHeaderProto { call_id, ..RpcResponseHeaderProto::default() };
        Reply::raw(wire::Framing::new(&header).finish().to_vec())
    });
    let server = server.await.unwrap();
    let connection = connect(&server, &simple()).await;
    let error = connection.call(call(b"", LONG)).await.unwrap_err();
    assert!(matches!(error, RpcError::Reply { .. }), "{error}");
    assert_eq!(error.effect(), Effect::Applied);
}

#[tokio::test]
async fn a_request_that_no_server_takes_does_not_leave() {
    let server = RpcServer::start(ServerConfig::default(), echo).await.unwrap();
    let dial = Dial { max_request: 100, ..Dial::default() };
    let connection = open(&server.address().to_string(), &simple(), &dial).await.unwrap();
    let error = connection.call(call(&[0; 101], LONG)).await.unwrap_err();
    assert!(matches!(error, RpcError::TooLarge { size: 101, limit: 100, .. }), "{error}");
    assert_eq!(error.effect(), Effect::NotApplied);
    assert!(connection.call(call(&[0; 100], LONG)).await.is_ok());
}

#[tokio::test]
async fn a_connection_without_calls_closes_itself() {
    let server = RpcServer::start(ServerConfig::default(), echo).await.unwrap();
    let dial = Dial { idle_close: Duration::from_millis(50), ..Dial::default() };
    let connection = open(&server.address().to_string(), &simple(), &dial).await.unwrap();
    connection.call(call(b"x", LONG)).await.unwrap();
    tokio::time::timeout(LONG, connection.calls.closed()).await.unwrap();
    let error = connection.call(call(b"x", LONG)).await.unwrap_err();
    assert_eq!((error.effect(), error.retry()), (Effect::NotApplied, Retry::Now), "{error}");
}

/// A listener that reads what comes, says these bytes, and then nothing more.
async fn mute(bytes: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let _ = tcp.write_all(bytes).await;
            let mut sink = Vec::new();
            let _ = tcp.read_to_end(&mut sink).await;
        }
    });
    address
}

#[tokio::test]
async fn a_server_that_does_not_answer_the_negotiation_costs_the_connects_deadline() {
    let address = mute(b"").await;
    let dial = Dial { connect_timeout: SHORT, ..Dial::default() };
    let error = open(&address, &Auth::Token(vector_token()), &dial).await.unwrap_err();
    assert_eq!(error.to_string(), format!("{address} did not authenticate within 100ms"));
    assert_eq!((error.effect(), error.retry()), (Effect::NotApplied, Retry::After));
}

#[tokio::test]
async fn another_protocol_at_the_port_is_named_at_once() {
    let address = mute(b"HTTP/1.1 404 Not Found\r\n").await;
    let error = open(&address, &Auth::Token(vector_token()), &Dial::default()).await.unwrap_err();
    assert!(
        matches!(error, RpcError::Handshake { source: Lost::Wire(WireError::Foreign("HTTP")), .. }),
        "{error:?}"
    );
    assert_eq!(error.retry(), Retry::Never);
}

#[tokio::test]
async fn what_was_not_sent_by_its_deadline_never_is() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let connection = open(&address, &simple(), &Dial::default()).await.unwrap();
    let (mut peer, _) = listener.accept().await.unwrap();
    let error = connection.call(call(&vec![0; 60 << 20], SHORT)).await.unwrap_err();
    assert!(matches!(error, RpcError::Deadline { sent: false, .. }), "{error}");
    assert_eq!(error.effect(), Effect::NotApplied);
    let mut came = Vec::new();
    let _ = tokio::time::timeout(LONG, peer.read_to_end(&mut came)).await.unwrap();
    assert!(came.len() < 60 << 20, "{} bytes came", came.len());
}

#[tokio::test]
async fn nobody_at_the_port_is_not_applied() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let error = open(&free, &simple(), &Dial::default()).await.unwrap_err();
    assert!(matches!(error, RpcError::Connect { .. }), "{error}");
    assert_eq!((error.effect(), error.retry()), (Effect::NotApplied, Retry::After));
}

fn with_tokens(protection: &[Qop]) -> ServerConfig {
    let token = vector_token();
    ServerConfig {
        simple: false,
        tokens: [(token.identifier, token.password)].into(),
        protection: protection.to_vec(),
        ..ServerConfig::default()
    }
}

#[tokio::test]
async fn a_token_opens_the_door_under_every_protection() {
    for (protection, cipher) in [
        (vec![Qop::Auth], "3des"),
        (vec![Qop::Auth, Qop::Integrity], "3des"),
        (vec![Qop::Privacy], "3des"),
        (vec![Qop::Privacy], "des"),
        (vec![Qop::Privacy], "rc4"),
        (vec![Qop::Privacy], "rc4-56"),
        (vec![Qop::Privacy], "rc4-40"),
    ] {
        let config = ServerConfig { ciphers: vec![cipher], ..with_tokens(&protection) };
        let server = RpcServer::start(config, async |call: Incoming| {
            assert_eq!((call.user.clone(), call.token.clone()), (None, Some(vector_token().identifier)));
            echo(call).await
        });
        let server = server.await.unwrap();
        let connection = connect(&server, &Auth::Token(vector_token())).await;
        for n in 0..20u8 {
            let request = vec![n; usize::from(n)];
            let response = connection.call(call(&request, LONG)).await.unwrap();
            assert_eq!(echoed(&response), request, "{protection:?} {cipher}");
        }
    }
}

#[tokio::test]
async fn a_protected_request_larger_than_a_buffer_arrives() {
    let server = RpcServer::start(with_tokens(&[Qop::Integrity]), echo).await.unwrap();
    let connection = connect(&server, &Auth::Token(vector_token())).await;
    let request: Vec<u8> = (0..3_000_000u32).map(|n| n as u8).collect();
    let response = connection.call(call(&request, LONG)).await.unwrap();
    assert!(response.ends_with(&request));
}

#[tokio::test]
async fn wrong_passwords_and_unknown_tokens_are_refused() {
    let server = RpcServer::start(with_tokens(&[Qop::Auth]), echo).await.unwrap();
    let wrong = Token { password: Secret::new(vec![1; 20]), ..vector_token() };
    let unknown = Token { identifier: vec![1], ..vector_token() };
    for (token, class) in [(wrong, "SaslException"), (unknown, "SecretManager$InvalidToken")] {
        let address = server.address().to_string();
        let error = open(&address, &Auth::Token(token), &Dial::default()).await.unwrap_err();
        assert!(error.token_refused() && error.is(class), "{error}");
        assert_eq!((error.effect(), error.retry()), (Effect::NotApplied, Retry::Never));
    }
}

#[tokio::test]
async fn a_name_alone_is_refused_where_tokens_are_asked_for() {
    let server = RpcServer::start(with_tokens(&[Qop::Auth]), echo).await.unwrap();
    let connection = connect(&server, &simple()).await;
    let error = connection.call(call(b"", LONG)).await.unwrap_err();
    assert!(matches!(error, RpcError::Refused { .. }) && error.is("AccessControlException"), "{error}");
    assert_eq!(error.effect(), Effect::NotApplied);
    // Who comes later is told the same.
    tokio::time::timeout(LONG, connection.calls.closed()).await.unwrap();
    let later = connection.call(call(b"", LONG)).await.unwrap_err();
    assert_eq!(later.to_string(), error.to_string());
}

#[tokio::test]
async fn a_negotiation_takes_the_token_if_there_is_one_and_the_name_else() {
    let config = ServerConfig { simple: true, ..with_tokens(&[Qop::Auth]) };
    let server = RpcServer::start(config, async |call: Incoming| {
        Reply::exception(&format!("{:?} {}", call.user, call.token.is_some()), "")
    });
    let server = server.await.unwrap();
    for (token, expected) in [(Some(vector_token()), "None true"), (None, "Some(\"alice\") false")] {
        let auth = Auth::Negotiate { user: "alice".to_owned(), token };
        let error = connect(&server, &auth).await.call(call(b"", LONG)).await.unwrap_err();
        assert_eq!(error.exception().unwrap().class, expected);
    }
}

#[tokio::test]
async fn weaker_protection_than_allowed_is_refused() {
    let server = RpcServer::start(with_tokens(&[Qop::Auth, Qop::Integrity]), echo).await.unwrap();
    let dial = Dial { protection: Protection::only(&[Qop::Privacy]), ..Dial::default() };
    let address = server.address().to_string();
    let error = open(&address, &Auth::Token(vector_token()), &dial).await.unwrap_err();
    assert!(matches!(error, RpcError::Sasl { source: SaslError::NoProtection { .. }, .. }), "{error}");
    assert_eq!(error.retry(), Retry::Never);
}

#[tokio::test]
async fn what_is_not_protected_is_not_believed() {
    for bytes in
        [&b"\0\0\0\x08\x06\x08\0\x10\0\x18\x09\0"[..], b"\0\0\0\x0a\x08\x08\xdf\xff\xff\xff\x0f\x10\0\0"]
    {
        let server = RpcServer::start(with_tokens(&[Qop::Integrity]), async move |_: Incoming| {
            Reply::raw(bytes.to_vec())
        });
        let server = server.await.unwrap();
        let connection = connect(&server, &Auth::Token(vector_token())).await;
        let error = connection.call(call(b"", LONG)).await.unwrap_err();
        assert!(matches!(lost(&error), Some(Lost::Sasl(_) | Lost::Wire(_))), "{error:?}");
        assert!(!connection.is_open());
    }
}
