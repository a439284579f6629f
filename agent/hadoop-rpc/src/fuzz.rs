//! Parsers before what is almost valid: what a peer, a file or a person could say, damaged. `scripts/test.sh
//! --fuzz` runs these over and over.

use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use prost::Message;

use crate::Auth;
use crate::connection::{Inbound, Outbound};
use crate::proto::common::rpc_response_header_proto::RpcStatusProto;
use crate::proto::common::rpc_sasl_proto::SaslState;
use crate::proto::common::{RpcResponseHeaderProto, RpcSaslProto};
use crate::proto::yarn as pb;
use crate::sasl::server::{Authenticator, cipher_named};
use crate::sasl::{Handshake, Protection, Qop, Step, cipher_pair};
use crate::testing::vector_token;
use crate::token::{Credentials, HdfsIdentifier, Secret, Token};
use crate::wire::{self, Framing, call_id};
use crate::yarn::{ApplicationId, AttemptId, ContainerId, NodeId, ResourceUrl, fuzz as yarn};

/// The longest frame that is taken here.
const LIMIT: usize = 1 << 16;

/// A way to spoil bytes.
#[derive(Debug, Clone)]
enum Damage {
    Set(Index, u8),
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, Index),
    Repeat(Index, Index),
    End(Index),
}

impl Damage {
    fn any() -> impl Strategy<Value = Self> {
        let at = any::<Index>;
        prop_oneof![
            (at(), any::<u8>()).prop_map(|(at, byte)| Self::Set(at, byte)),
            (at(), 0..8u8).prop_map(|(at, bit)| Self::Flip(at, bit)),
            (at(), prop::collection::vec(any::<u8>(), 1..6)).prop_map(|(at, new)| Self::Insert(at, new)),
            (at(), at()).prop_map(|(from, to)| Self::Remove(from, to)),
            (at(), at()).prop_map(|(from, to)| Self::Repeat(from, to)),
            at().prop_map(Self::End),
        ]
    }

    fn spoil(self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let size = bytes.len();
        // Long ranges would leave nothing of what was valid.
        let range = |from: Index, to: Index| {
            let from = from.index(size);
            from..(from + to.index(16)).min(size)
        };
        match self {
            Self::Set(at, byte) => bytes[at.index(size)] = byte,
            Self::Flip(at, bit) => bytes[at.index(size)] ^= 1 << bit,
            Self::Insert(at, new) => drop(bytes.splice(at.index(size)..at.index(size), new)),
            Self::Remove(from, to) => drop(bytes.drain(range(from, to))),
            Self::Repeat(from, to) => bytes.extend_from_within(range(from, to)),
            Self::End(at) => bytes.truncate(at.index(size)),
        }
    }
}

/// One of these, with some of it spoilt.
fn damaged(valid: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    (select(valid), prop::collection::vec(Damage::any(), 0..5)).prop_map(|(mut bytes, damages)| {
        damages.into_iter().for_each(|damage| damage.spoil(&mut bytes));
        bytes
    })
}

fn damaged_text(valid: &[&str]) -> impl Strategy<Value = String> {
    damaged(valid.iter().map(|text| text.as_bytes().to_vec()).collect())
        .prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn token_files() -> Vec<Vec<u8>> {
    let hdfs =
        Token { kind: "HDFS_DELEGATION_TOKEN".into(), service: "10.0.0.1:8020".into(), ..vector_token() };
    let credentials = Credentials {
        tokens: vec![(String::new(), vector_token()), ("ha-hdfs:ns".into(), hdfs)],
        secrets: vec![("MAPREDUCE".into(), Secret::new(vec![7; 300]))],
    };
    vec![credentials.to_bytes().to_vec(), credentials.to_protobuf_bytes().to_vec()]
}

fn header(status: RpcStatusProto) -> RpcResponseHeaderProto {
    RpcResponseHeaderProto { call_id: 3, status: status.into(), ..RpcResponseHeaderProto::default() }
}

/// What a ResourceManager and a NodeManager answer, as frames.
fn responses() -> Vec<Vec<u8>> {
    let success =
        |body: Vec<u8>| Framing::new(&header(RpcStatusProto::Success)).part(&body).finish().to_vec();
    let exception = RpcResponseHeaderProto {
        exception_class_name: Some("org.apache.hadoop.ipc.StandbyException".into()),
        error_msg: Some("not me\n\tat a.b.C".into()),
        ..header(RpcStatusProto::Error)
    };
    let sasl = RpcSaslProto { state: SaslState::Wrap.into(), token: Some(vec![1; 30]), ..Default::default() };
    let bodies = yarn::answers().into_iter().map(success);
    let others = [
        Framing::new(&exception).finish(),
        Framing::new(&header(RpcStatusProto::Success)).message(&sasl).finish(),
    ];
    let all: Vec<Vec<u8>> = bodies.chain(others.map(|frame| frame.to_vec())).collect();
    [all.clone(), vec![all.concat()]].concat()
}

fn challenge() -> Vec<u8> {
    let server = Authenticator::new(&[Qop::Auth, Qop::Integrity, Qop::Privacy], &ciphers(), true);
    server.offer().auths.into_iter().find_map(|auth| auth.challenge).unwrap()
}

fn ciphers() -> Vec<crate::sasl::Cipher> {
    ["3des", "rc4", "des", "rc4-56", "rc4-40"].into_iter().filter_map(cipher_named).collect()
}

/// What a server says in a handshake, encoded.
fn handshakes() -> Vec<Vec<u8>> {
    let offer = Authenticator::new(&[Qop::Privacy], &ciphers(), true).offer();
    let said = |state: SaslState, token: &[u8]| {
        RpcSaslProto { state: state.into(), token: Some(token.to_vec()), ..Default::default() }
            .encode_to_vec()
    };
    let proof = said(SaslState::Success, b"rspauth=ea40f60335c427b5527b84dbabcdfffd");
    vec![
        offer.encode_to_vec(),
        said(SaslState::Challenge, &challenge()),
        proof,
        said(SaslState::Success, b""),
    ]
}

proptest! {
    #[test]
    fn token_files_are_read_or_refused(file in damaged(token_files())) {
        if let Ok(read) = Credentials::parse(&file) {
            prop_assert_eq!(Credentials::parse(&read.to_bytes()), Ok(read.clone()));
            for (_, token) in &read.tokens {
                let _ = HdfsIdentifier::of(token);
                let _ = token.identifier_as::<pb::ContainerId>();
            }
        }
    }

    #[test]
    fn token_texts_are_read_or_refused(text in damaged_text(&[&vector_token().to_url_string()])) {
        if let Ok(read) = Token::from_url_string(&text) {
            prop_assert_eq!(Token::from_url_string(&read.to_url_string()), Ok(read.clone()));
        }
    }

    #[test]
    fn answers_are_read_or_refused(stream in damaged(responses()), cut in any::<Index>()) {
        let mut inbound = Inbound::responses(LIMIT);
        let cut = cut.index(stream.len() + 1);
        for part in [&stream[..cut], &stream[cut..]] {
            inbound.buffer().extend_from_slice(part);
            while let Ok(Some(mut frame)) = inbound.next() {
                prop_assert!(frame.len() <= LIMIT);
                let Ok(header) = wire::take::<RpcResponseHeaderProto>(&mut frame, "header") else { break };
                if header.status() != RpcStatusProto::Success {
                    let _ = crate::RemoteException::from(header).to_string();
                } else if let Ok(body) = wire::take_part(&mut frame, "response") {
                    yarn::read_all(&body);
                }
            }
        }
    }

    #[test]
    fn a_protected_stream_gives_what_was_sealed_or_nothing(
        bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..4),
        cipher in select(vec!["none", "3des", "des", "rc4", "rc4-56", "rc4-40"]),
        damages in prop::collection::vec(Damage::any(), 0..3),
    ) {
        let (client, server) = cipher_pair(cipher_named(cipher));
        let mut outbound = Outbound::new(RpcResponseHeaderProto { call_id: call_id::SASL as u32, ..header(RpcStatusProto::Success) });
        outbound.protect(server.seal);
        for body in &bodies {
            outbound.push(&[&(body.len() as u32).to_be_bytes(), &body[..]].concat()).unwrap();
        }
        let mut stream = outbound.buffer.to_vec();
        damages.into_iter().for_each(|damage| damage.spoil(&mut stream));
        let mut inbound = Inbound::responses(LIMIT);
        inbound.protect(client.open);
        inbound.buffer().extend_from_slice(&stream);
        let mut seen = Vec::new();
        while let Ok(Some(frame)) = inbound.next() {
            seen.push(frame.to_vec());
        }
        prop_assert!(bodies.starts_with(&seen), "{:?} of {:?}", seen, bodies);
    }

    #[test]
    fn no_damaged_handshake_is_believed(
        messages in prop::collection::vec(damaged(handshakes()), 1..5),
        text in damaged(vec![challenge()]),
        offered in any::<bool>(),
    ) {
        let (auth, protection) = (Auth::Token(vector_token()), Protection::default());
        let mut client = Handshake::new(&auth, &protection).unwrap();
        let mut offer = Authenticator::new(&[Qop::Auth], &[], true).offer();
        offer.auths.iter_mut().for_each(|auth| auth.challenge = Some(text.clone()));
        let offer = offered.then_some(offer);
        let decoded = messages.into_iter().filter_map(|m| wire::decode(Bytes::from(m), "message").ok());
        for message in offer.into_iter().chain(decoded) {
            match client.take(message) {
                Ok(step) => prop_assert!(matches!(step, Step::Send(_)), "{:?}", step),
                Err(_) => break,
            }
        }
    }

    #[test]
    fn ids_and_addresses_are_read_or_refused(text in damaged_text(&[
        "application_1410901177871_0001",
        "appattempt_1410901177871_0001_000001",
        "container_e03_1410901177871_0001_01_000001",
        "container_1410901177871_0001_01_000005",
        "node-1.example.org:8041",
        "hdfs://nn.example.org:8020/user/ada/.kobel/a%20b",
    ])) {
        fn comes_back<T: std::str::FromStr + ToString + PartialEq>(text: &str) -> bool {
            text.parse::<T>().ok().is_none_or(|read| read.to_string().parse::<T>().ok() == Some(read))
        }
        prop_assert!(comes_back::<ApplicationId>(&text));
        prop_assert!(comes_back::<AttemptId>(&text));
        prop_assert!(comes_back::<ContainerId>(&text));
        prop_assert!(comes_back::<NodeId>(&text));
        prop_assert!(comes_back::<ResourceUrl>(&text));
    }
}
