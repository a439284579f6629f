//! Frames over a stream of bytes, protected or not. Both ends of a connection use it.

use bytes::{Buf, Bytes, BytesMut};
use prost::Message;

use crate::error::Lost;
#[cfg(any(test, feature = "testing"))]
use crate::proto::common::RpcRequestHeaderProto;
use crate::proto::common::rpc_response_header_proto::RpcStatusProto;
use crate::proto::common::rpc_sasl_proto::SaslState;
use crate::proto::common::{RpcResponseHeaderProto, RpcSaslProto};
use crate::sasl::{Opener, SaslError, Sealer};
use crate::wire::{self, Frames, Framing, WireError, call_id};

/// A protected frame is longer than what is in it by its headers and checksum.
const WRAPPING: usize = 256;

/// What arrives.
pub(crate) struct Inbound {
    /// As it comes.
    pub(crate) raw: Frames,
    /// As it was before it was protected: a stream again, which frames need not begin or end with.
    opened: Option<(Opener, Frames)>,
    limit: usize,
    header: fn(&mut Bytes) -> Result<i32, WireError>,
}

impl Inbound {
    /// Of a client: frames begin with response headers.
    pub(crate) fn responses(limit: usize) -> Self {
        Self::new(limit, |frame| {
            let header: RpcResponseHeaderProto = wire::take(frame, "response header")?;
            if header.status() == RpcStatusProto::Success { Ok(header.call_id as i32) } else { Ok(0) }
        })
    }

    /// Of a server: frames begin with request headers.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn requests(limit: usize) -> Self {
        Self::new(limit, |frame| {
            let header: RpcRequestHeaderProto = wire::take(frame, "request header")?;
            Ok(header.call_id)
        })
    }

    fn new(limit: usize, header: fn(&mut Bytes) -> Result<i32, WireError>) -> Self {
        Self { raw: Frames::new(limit), opened: None, limit, header }
    }

    /// From here on everything is protected.
    pub(crate) fn protect(&mut self, opener: Opener) {
        self.raw.set_limit(self.limit.saturating_add(WRAPPING));
        self.opened = Some((opener, Frames::new(self.limit)));
    }

    /// Where to read to.
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.raw.buffer
    }

    /// The next frame, if it is all there.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, Lost> {
        let Some((opener, plain)) = &mut self.opened else {
            return self.raw.next().map_err(Lost::Wire);
        };
        loop {
            if let Some(frame) = plain.next().map_err(Lost::Wire)? {
                return Ok(Some(frame));
            }
            let Some(mut outer) = self.raw.next().map_err(Lost::Wire)? else {
                return Ok(None);
            };
            let id = (self.header)(&mut outer).map_err(Lost::Wire)?;
            let sasl: RpcSaslProto = match id {
                call_id::SASL => wire::take(&mut outer, "SASL message").map_err(Lost::Wire)?,
                _ => return Err(Lost::Sasl(SaslError::Sealed("it is not protected"))),
            };
            if sasl.state() != SaslState::Wrap {
                return Err(Lost::Sasl(SaslError::Unexpected(sasl.state().as_str_name().to_owned())));
            }
            plain.buffer.extend_from_slice(&opener.open(sasl.token()).map_err(Lost::Sasl)?);
        }
    }
}

/// What is to be sent.
pub(crate) struct Outbound<H> {
    pub(crate) buffer: BytesMut,
    sealer: Option<Sealer>,
    /// Heads a protected frame.
    header: H,
    /// Bytes that were put in and taken out since the beginning.
    queued: u64,
    written: u64,
}

impl<H: Message> Outbound<H> {
    pub(crate) fn new(header: H) -> Self {
        Self { buffer: BytesMut::new(), sealer: None, header, queued: 0, written: 0 }
    }

    /// From here on everything is protected.
    pub(crate) fn protect(&mut self, sealer: Sealer) {
        self.sealer = Some(sealer);
    }

    /// Adds a frame, and tells the number of the last byte of it.
    pub(crate) fn push(&mut self, frame: &[u8]) -> Result<u64, SaslError> {
        let before = self.buffer.len();
        match &mut self.sealer {
            None => self.buffer.extend_from_slice(frame),
            Some(sealer) => {
                let token = Some(sealer.seal(frame)?);
                let state = SaslState::Wrap.into();
                let wrapped = RpcSaslProto { version: None, state, token, auths: Vec::new() };
                self.buffer.extend_from_slice(&Framing::new(&self.header).message(&wrapped).finish());
            }
        }
        self.queued += (self.buffer.len() - before) as u64;
        Ok(self.queued)
    }

    /// Notes that this many bytes left the buffer's front.
    pub(crate) fn wrote(&mut self, bytes: usize) {
        self.written += bytes as u64;
    }

    /// Whether the bytes up to this number were handed to the kernel.
    pub(crate) fn sent(&self, end: u64) -> bool {
        self.written >= end
    }

    /// Drops what is left in the buffer if it is large and empty: a connection mostly waits.
    pub(crate) fn tidy(&mut self) {
        if !self.buffer.has_remaining() && self.buffer.capacity() > 64 << 10 {
            self.buffer = BytesMut::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sasl::layer_pair;

    fn frame(body: &[u8]) -> Vec<u8> {
        [&u32::try_from(body.len()).unwrap().to_be_bytes(), body].concat()
    }

    proptest! {
        /// A protected message may hold several frames, or a part of one.
        #[test]
        fn frames_come_back_however_they_are_cut_and_protected(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..6),
            cuts in prop::collection::vec(1usize..60, 1..20),
        ) {
            let stream: Vec<u8> = bodies.iter().flat_map(|body| frame(body)).collect();
            let (client, server) = layer_pair();
            let mut outbound = Outbound::new(RpcResponseHeaderProto {
                call_id: call_id::SASL as u32,
                ..RpcResponseHeaderProto::default()
            });
            outbound.protect(server.seal);
            let mut inbound = Inbound::responses(40);
            inbound.protect(client.open);
            let (mut seen, mut rest) = (Vec::new(), &stream[..]);
            for cut in cuts.into_iter().cycle() {
                let (piece, later) = rest.split_at(cut.min(rest.len()));
                outbound.push(piece).unwrap();
                inbound.buffer().extend_from_slice(&outbound.buffer.split());
                rest = later;
                while let Some(frame) = inbound.next().unwrap() {
                    seen.push(frame.to_vec());
                }
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(seen, bodies);
        }

        #[test]
        fn any_bytes_are_refused_where_protection_is_due(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..4),
        ) {
            let mut inbound = Inbound::responses(1000);
            inbound.protect(layer_pair().0.open);
            for body in bodies {
                inbound.buffer().extend_from_slice(&frame(&body));
            }
            prop_assert!(inbound.next().is_err());
        }
    }

    #[test]
    fn what_is_sent_is_counted_to_the_last_byte() {
        let mut outbound = Outbound::new(RpcResponseHeaderProto::default());
        let (first, second) = (outbound.push(b"abc").unwrap(), outbound.push(b"de").unwrap());
        outbound.wrote(3);
        assert!(outbound.sent(first) && !outbound.sent(second));
        outbound.wrote(2);
        assert!(outbound.sent(second));
    }
}
