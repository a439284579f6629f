//! Servers that say what no server should.

use std::time::Instant as Clock;

use prost::Message;

use super::*;
use crate::proto::common::RpcSaslProto;
use crate::proto::common::rpc_response_header_proto::RpcStatusProto;
use crate::proto::common::rpc_sasl_proto::{SaslAuth, SaslState};
use crate::sasl::Cipher;
use crate::sasl::server::Authenticator;
use crate::wire::{Framing, call_id};

/// A listener that says each of these when something has come since the one before, byte by byte if it is
/// slow, and then hangs up.
async fn saying(words: Vec<Vec<u8>>, slow: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            tcp.set_nodelay(true).unwrap();
            for word in &words {
                let mut heard = [0; 4096];
                let _ = tcp.read(&mut heard).await;
                for piece in word.chunks(if slow { 1 } else { usize::MAX }) {
                    let _ = tcp.write_all(piece).await;
                    tokio::task::yield_now().await;
                }
            }
            // What was said last is read before the end is seen.
            let _ = tcp.shutdown().await;
            let _ = tcp.read_to_end(&mut Vec::new()).await;
        }
    });
    address
}

fn header(id: i32, status: RpcStatusProto) -> RpcResponseHeaderProto {
    RpcResponseHeaderProto { call_id: id as u32, status: status.into(), ..Default::default() }
}

fn response(id: i32, body: &[u8]) -> Vec<u8> {
    Framing::new(&header(id, RpcStatusProto::Success)).part(body).finish().to_vec()
}

fn fatal(id: i32, class: &str, message: &str, code: ErrorCode) -> Vec<u8> {
    let header = RpcResponseHeaderProto {
        exception_class_name: Some(class.to_owned()),
        error_msg: Some(message.to_owned()),
        error_detail: Some(code.into()),
        ..header(id, RpcStatusProto::Fatal)
    };
    Framing::new(&header).finish().to_vec()
}

/// What a call comes to whose server says this to it.
async fn answered(words: Vec<u8>, slow: bool) -> Result<Bytes, RpcError> {
    let address = saying(vec![words], slow).await;
    let connection = open(&address, &simple(), &Dial::default()).await.unwrap();
    connection.call(Call { id: 7, ..call(b"x", LONG) }).await
}

/// What a handshake comes to whose server says this, turn by turn.
async fn greeted(words: Vec<Vec<u8>>) -> RpcError {
    let address = saying(words, false).await;
    open(&address, &Auth::Token(vector_token()), &Dial::default()).await.unwrap_err()
}

fn sasl(message: &RpcSaslProto) -> Vec<u8> {
    Framing::new(&header(call_id::SASL, RpcStatusProto::Success)).message(message).finish().to_vec()
}

#[tokio::test]
async fn an_answer_byte_by_byte_is_an_answer() {
    assert_eq!(answered(response(7, b"hello"), true).await.unwrap(), b"hello"[..]);
}

#[tokio::test]
async fn absurd_lengths_cost_the_connection_and_no_memory() {
    // -1, -2, 2^31-1, just over the limit, and nothing where a header is due.
    for length in [[0xff; 4], [0xff, 0xff, 0xff, 0xfe], [0x7f, 0xff, 0xff, 0xff], [0x08, 0, 0, 1], [0; 4]] {
        let error = answered(length.to_vec(), false).await.unwrap_err();
        let Some(Lost::Wire(_)) = lost(&error) else { panic!("{error:?}") };
    }
    // One that is allowed is read into memory as it comes, not before.
    let error = answered([0x07, 0xff, 0xff, 0xff, 1, 2].to_vec(), false).await.unwrap_err();
    assert!(matches!(lost(&error), Some(Lost::Closed)), "{error:?}");
}

#[tokio::test]
async fn broken_messages_end_the_connection_and_nothing_else() {
    // A varint of six bytes for the header, one that ends early, a header that ends early.
    for body in [&[0xff, 0xff, 0xff, 0xff, 0xff, 0x01][..], &[0x80], &[5, 8, 7, 0x10]] {
        let frame = [&u32::try_from(body.len()).unwrap().to_be_bytes(), body].concat();
        let error = answered(frame, false).await.unwrap_err();
        assert!(matches!(lost(&error), Some(Lost::Wire(_))), "{body:?}: {error:?}");
    }
    // A status that there is none of is no success.
    let unknown = RpcResponseHeaderProto { status: 99, ..header(7, RpcStatusProto::Success) };
    let error = answered(Framing::new(&unknown).part(b"x").finish().to_vec(), false).await.unwrap_err();
    assert!(matches!(lost(&error), Some(Lost::Wire(WireError::Unexpected(_)))), "{error:?}");
}

#[tokio::test]
async fn answers_to_nobody_and_second_answers_are_dropped() {
    let words =
        [response(1234, b"no"), response(-9, b"no"), response(7, b"yes"), response(7, b"no")].concat();
    assert_eq!(answered(words, false).await.unwrap(), b"yes"[..]);
}

#[tokio::test]
async fn what_a_server_gives_up_with_is_told_in_its_words_and_not_tried_again() {
    let table = [
        (ErrorCode::FatalVersionMismatch, "RPC$VersionMismatch", "Server IPC version 9 cannot communicate"),
        (ErrorCode::FatalUnauthorized, "RpcServerException", "Unknown auth protocol: 42"),
        (ErrorCode::FatalInvalidRpcHeader, "RpcServerException", "Error decoding RpcRequestHeaderProto"),
    ];
    for (code, class, message) in table {
        let class = format!("org.apache.hadoop.ipc.{class}");
        for id in [-1, 7] {
            let error = answered(fatal(id, &class, message, code), false).await.unwrap_err();
            assert!(error.exception().is_some_and(|exception| exception.message == message), "{error:?}");
            assert!(
                id < 0 && code == ErrorCode::FatalInvalidRpcHeader || error.retry() == Retry::Never,
                "{error:?}"
            );
        }
        let error = greeted(vec![fatal(-33, &class, message, code)]).await;
        assert!(error.to_string().contains(message), "{error}");
        assert_eq!((error.effect(), error.retry()), (Effect::NotApplied, Retry::Never));
    }
}

#[tokio::test]
async fn a_server_of_before_version_9_is_named() {
    let error = greeted(vec![vec![0xff; 8]]).await;
    assert!(
        matches!(error, RpcError::Handshake { source: Lost::Wire(WireError::Foreign(_)), .. }),
        "{error:?}"
    );
    assert_eq!(error.retry(), Retry::Never);
}

#[tokio::test]
async fn a_server_that_hangs_up_without_a_word_is_tried_again() {
    let error = greeted(vec![vec![]]).await;
    assert!(matches!(error, RpcError::Handshake { source: Lost::Closed, .. }), "{error:?}");
    assert_eq!((error.effect(), error.retry()), (Effect::NotApplied, Retry::Now));
}

#[tokio::test]
async fn a_handshake_that_makes_no_sense_ends_at_once() {
    let offer = Authenticator::new(&[Qop::Auth], &Cipher::ALL, false).offer();
    let with = |change: fn(&mut SaslAuth)| {
        let mut offer = offer.clone();
        offer.auths.iter_mut().for_each(change);
        sasl(&offer)
    };
    let challenge = RpcSaslProto {
        state: SaslState::Challenge.into(),
        token: Some(b"nonce=x".to_vec()),
        ..RpcSaslProto::default()
    };
    let scripts = [
        vec![with(|auth| auth.mechanism = "X-UNKNOWN".into())],
        vec![with(|auth| auth.method = "KERBEROS".into())],
        vec![with(|auth| auth.challenge = Some(vec![]))],
        vec![with(|auth| auth.challenge = Some(b"nonce=\"\",algorithm=md5-sess".to_vec()))],
        vec![sasl(&RpcSaslProto { state: SaslState::Negotiate.into(), ..RpcSaslProto::default() })],
        // Rounds without end.
        std::iter::once(sasl(&offer)).chain(vec![sasl(&challenge); 1000]).collect(),
        vec![sasl(&offer); 1000],
    ];
    for script in scripts {
        let begin = Clock::now();
        let error = greeted(script).await;
        assert!(matches!(error, RpcError::Sasl { .. }), "{error:?}");
        assert_eq!((error.effect(), error.retry()), (Effect::NotApplied, Retry::Never));
        assert!(begin.elapsed() < Duration::from_secs(5), "{error:?} took {:?}", begin.elapsed());
    }
    let other = Framing::new(&header(3, RpcStatusProto::Success)).part(&offer.encode_to_vec()).finish();
    let error = greeted(vec![other.to_vec()]).await;
    assert!(
        matches!(error, RpcError::Handshake { source: Lost::Wire(WireError::Unexpected(_)), .. }),
        "{error:?}"
    );
}
