use proptest::prelude::*;

use super::*;
use crate::proto::common::RpcResponseHeaderProto;
use crate::proto::common::rpc_sasl_proto::SaslState;
use crate::sasl::Handshake;
use crate::testing::unhex;

const CLIENT: ClientId = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
const PROTOCOL: &str = "org.apache.hadoop.yarn.api.ApplicationClientProtocolPB";

/// The vectors are those of `reference/hadoop-rpc.md`, section 11.
#[test]
fn the_beginning_is_hadoops() {
    assert_eq!(PREAMBLE_SIMPLE[..], unhex("68727063090000"));
    assert_eq!(PREAMBLE_SASL[..], unhex("687270630900df"));
    let negotiate = sasl(&Handshake::begin());
    assert_eq!(negotiate[..], unhex("0000000e0a08021000184122002801021001"));
}

#[test]
fn a_ping_is_hadoops() {
    let expected = unhex("0000001b1a0802100018072210000102030405060708090a0b0c0d0e0f2801");
    assert_eq!(ping(&CLIENT)[..], expected);
}

#[test]
fn a_call_without_arguments_ends_with_the_length_of_nothing() {
    let method = RequestHeaderProto {
        method_name: "getClusterMetrics".to_owned(),
        declaring_class_protocol_name: PROTOCOL.to_owned(),
        client_protocol_version: 1,
    };
    let expected = [
        unhex("0000006a1a0802100018002210000102030405060708090a0b0c0d0e0f2800"),
        unhex("4d0a11"),
        b"getClusterMetrics".to_vec(),
        unhex("1236"),
        PROTOCOL.as_bytes().to_vec(),
        unhex("180100"),
    ]
    .concat();
    assert_eq!(call(&request_header(0, &CLIENT, 0), &method, b"")[..], expected);
}

#[test]
fn ids_below_zero_come_back_as_unsigned() {
    let header = RpcResponseHeaderProto { call_id: 4_294_967_263, ..RpcResponseHeaderProto::default() };
    let mut frame = Bytes::from(header.encode_length_delimited_to_vec());
    let read: RpcResponseHeaderProto = take(&mut frame, "header").unwrap();
    assert_eq!(read.call_id as i32, call_id::SASL);
}

fn frames(bytes: &[u8], limit: usize) -> Frames {
    let mut frames = Frames::new(limit);
    frames.buffer.extend_from_slice(bytes);
    frames
}

#[test]
fn frames_are_bounded_before_they_are_there() {
    assert_eq!(frames(&[0, 0, 1, 1], 256).next(), Err(WireError::TooLong { size: 257, limit: 256 }));
    assert_eq!(frames(&[0, 0, 1, 0], 256).next(), Ok(None));
    assert_eq!(frames(&[0, 0, 0, 0], 256).next(), Ok(Some(Bytes::new())));
}

#[test]
fn other_protocols_are_named() {
    let what = |bytes: &[u8]| frames(bytes, 1 << 20).next().unwrap_err().to_string();
    assert_eq!(what(b"HTTP/1.1 404"), "not Hadoop RPC 9 but HTTP");
    assert_eq!(what(&[0x15, 3, 3, 0, 2]), "not Hadoop RPC 9 but TLS");
    assert_eq!(what(&[0xff; 4]), "not Hadoop RPC 9 but an older version of it");
}

#[test]
fn parts_longer_than_their_frame_are_refused() {
    for bytes in [&[5, 1, 2][..], &[], &[0x80], &[0xff; 10], &[0xff, 0xff, 0xff, 0xff, 0x7f]] {
        assert_eq!(take_part(&mut Bytes::copy_from_slice(bytes), "x"), Err(WireError::Short("x")));
    }
}

proptest! {
    #[test]
    fn frames_come_back_however_they_are_cut(
        bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..6),
        cuts in prop::collection::vec(1usize..20, 1..40),
    ) {
        let mut stream = Vec::new();
        for body in &bodies {
            stream.extend_from_slice(&u32::try_from(body.len()).unwrap().to_be_bytes());
            stream.extend_from_slice(body);
        }
        let (mut reader, mut seen, mut rest) = (Frames::new(64), Vec::new(), &stream[..]);
        for cut in cuts.into_iter().cycle() {
            let (now, later) = rest.split_at(cut.min(rest.len()));
            reader.buffer.extend_from_slice(now);
            rest = later;
            while let Some(frame) = reader.next().unwrap() {
                seen.push(frame.to_vec());
            }
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(seen, bodies);
    }

    #[test]
    fn any_bytes_are_frames_within_the_limit_or_an_error(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        small in any::<bool>(),
    ) {
        let bytes = if small { [&[0, 0, 0][..], &bytes].concat() } else { bytes };
        let mut reader = frames(&bytes, 100);
        while let Ok(Some(mut frame)) = reader.next() {
            prop_assert!(frame.len() <= 100);
            let _ = take::<RpcResponseHeaderProto>(&mut frame, "header");
            let _ = take::<RpcSaslProto>(&mut frame, "SASL");
            let _ = take_part(&mut frame, "part");
        }
    }

    #[test]
    fn any_message_decodes_or_fails(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let bytes = Bytes::from(bytes);
        let _ = decode::<RpcSaslProto>(bytes.clone(), "x").map(|sasl| sasl.state() == SaslState::Wrap);
        let _ = decode::<RpcRequestHeaderProto>(bytes.clone(), "x");
        let _ = decode::<RpcResponseHeaderProto>(bytes, "x");
    }
}
