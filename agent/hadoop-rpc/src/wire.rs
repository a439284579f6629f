//! Frames: a big-endian length, then messages of protobuf back to back, each preceded by its length as a
//! varint. An empty message is still there, as one byte `00`.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;
use prost::encoding::encode_varint;

use crate::proto::common::rpc_request_header_proto::OperationProto;
use crate::proto::common::{
    IpcConnectionContextProto, RequestHeaderProto, RpcKindProto, RpcRequestHeaderProto, RpcSaslProto,
    UserInformationProto,
};

/// Call ids below zero have a meaning of their own (`org.apache.hadoop.ipc.RpcConstants`).
pub(crate) mod call_id {
    #[cfg(any(test, feature = "testing"))]
    pub(crate) const AUTHORIZATION_FAILED: i32 = -1;
    pub(crate) const CONTEXT: i32 = -3;
    pub(crate) const PING: i32 = -4;
    pub(crate) const SASL: i32 = -33;
}

/// What a connection begins with: magic, version 9, service class 0, and how it authenticates.
pub(crate) const PREAMBLE_SIMPLE: [u8; 7] = *b"hrpc\x09\x00\x00";
/// The same, when SASL follows.
pub(crate) const PREAMBLE_SASL: [u8; 7] = *b"hrpc\x09\x00\xdf";

/// Sixteen random bytes that name a client to a server's retry cache.
pub(crate) type ClientId = [u8; 16];

/// What came over the wire is not Hadoop RPC 9.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A frame, or a message in it, says to be longer than what is allowed.
    #[error("a frame of {size} bytes, more than the {limit} allowed")]
    TooLong {
        /// Bytes announced.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// A frame ends inside a message.
    #[error("a frame that ends inside its {0}")]
    Short(&'static str),
    /// A message is not what it should be.
    #[error("a malformed {what}: {reason}")]
    Malformed {
        /// Which message.
        what: &'static str,
        /// Protobuf's reason.
        reason: String,
    },
    /// Some other protocol answers at that port.
    #[error("not Hadoop RPC 9 but {0}")]
    Foreign(&'static str),
    /// A message that has no place here.
    #[error("an unexpected {0}")]
    Unexpected(String),
}

/// Cuts a stream of bytes into frames.
pub(crate) struct Frames {
    pub(crate) buffer: BytesMut,
    limit: usize,
}

impl Frames {
    pub(crate) fn new(limit: usize) -> Self {
        Self { buffer: BytesMut::new(), limit }
    }

    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// The next frame without its length, if it is all there.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, WireError> {
        let Some(head) = self.buffer.first_chunk::<4>() else {
            return Ok(None);
        };
        let size = match head {
            b"HTTP" => return Err(WireError::Foreign("HTTP")),
            [0x15 | 0x16, 3, 0..=4, _] => return Err(WireError::Foreign("TLS")),
            // Servers before version 9 answer with a length of -1.
            [0xff, 0xff, 0xff, 0xff] => return Err(WireError::Foreign("an older version of it")),
            head => usize::try_from(u32::from_be_bytes(*head)).unwrap_or(usize::MAX),
        };
        if size > self.limit {
            return Err(WireError::TooLong { size, limit: self.limit });
        }
        if self.buffer.len() < 4 + size {
            return Ok(None);
        }
        self.buffer.advance(4);
        Ok(Some(self.buffer.split_to(size).freeze()))
    }
}

/// Takes the next delimited part off a frame.
pub(crate) fn take_part(frame: &mut Bytes, what: &'static str) -> Result<Bytes, WireError> {
    let size = prost::decode_length_delimiter(&mut *frame).map_err(|_| WireError::Short(what))?;
    if size > frame.len() {
        return Err(WireError::Short(what));
    }
    Ok(frame.split_to(size))
}

/// Takes the next message off a frame.
pub(crate) fn take<M: Message + Default>(frame: &mut Bytes, what: &'static str) -> Result<M, WireError> {
    decode(take_part(frame, what)?, what)
}

/// Reads a whole message.
pub(crate) fn decode<M: Message + Default>(bytes: Bytes, what: &'static str) -> Result<M, WireError> {
    M::decode(bytes).map_err(|error| WireError::Malformed { what, reason: error.to_string() })
}

/// A frame in the making.
pub(crate) struct Framing(BytesMut);

impl Framing {
    pub(crate) fn new(header: &impl Message) -> Self {
        let mut out = BytesMut::new();
        out.put_u32(0);
        Self(out).message(header)
    }

    pub(crate) fn message(mut self, message: &impl Message) -> Self {
        let size = message.encoded_len();
        encode_varint(size as u64, &mut self.0);
        self.0.reserve(size);
        message.encode_raw(&mut self.0);
        self
    }

    /// A message that is encoded already.
    pub(crate) fn part(mut self, part: &[u8]) -> Self {
        encode_varint(part.len() as u64, &mut self.0);
        self.0.extend_from_slice(part);
        self
    }

    /// Puts the length in front. What exceeds `u32` has been refused before, by `Dial::max_request`.
    pub(crate) fn finish(mut self) -> Bytes {
        let size = u32::try_from(self.0.len() - 4).unwrap_or(u32::MAX);
        self.0[..4].copy_from_slice(&size.to_be_bytes());
        self.0.freeze()
    }
}

/// The header of a request. Kind and operation are said although they are defaults: without them a server
/// answers `FATAL_INVALID_RPC_HEADER`.
pub(crate) fn request_header(call_id: i32, client_id: &[u8], retry_count: i32) -> RpcRequestHeaderProto {
    RpcRequestHeaderProto {
        rpc_kind: Some(RpcKindProto::RpcProtocolBuffer.into()),
        rpc_op: Some(OperationProto::RpcFinalPacket.into()),
        call_id,
        client_id: client_id.to_vec(),
        retry_count: Some(retry_count),
        caller_context: None,
        state_id: None,
    }
}

/// The frame of a call.
pub(crate) fn call(header: &RpcRequestHeaderProto, method: &RequestHeaderProto, request: &[u8]) -> Bytes {
    Framing::new(header).message(method).part(request).finish()
}

/// The frame that tells the server who calls, and which protocol. The user is `None` when SASL has told.
pub(crate) fn context(client_id: &ClientId, user: Option<&str>, protocol: &str) -> Bytes {
    let context = IpcConnectionContextProto {
        user_info: user
            .map(|user| UserInformationProto { effective_user: Some(user.to_owned()), real_user: None }),
        protocol: Some(protocol.to_owned()),
    };
    Framing::new(&request_header(call_id::CONTEXT, client_id, -1)).message(&context).finish()
}

/// A frame that asks for nothing and gets no answer.
pub(crate) fn ping(client_id: &ClientId) -> Bytes {
    Framing::new(&request_header(call_id::PING, client_id, -1)).finish()
}

/// A client's SASL message. Its client id is empty.
pub(crate) fn sasl(message: &RpcSaslProto) -> Bytes {
    Framing::new(&request_header(call_id::SASL, &[], -1)).message(message).finish()
}

#[cfg(test)]
mod tests;
