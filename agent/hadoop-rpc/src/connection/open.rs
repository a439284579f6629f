//! The beginning of a connection: TCP, preamble, SASL, context.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Auth, Dial, Inbound, Outbound};
use crate::client::Protocol;
use crate::error::{Lost, RemoteException, RpcError};
use crate::proto::common::rpc_response_header_proto::RpcStatusProto;
use crate::proto::common::{RpcRequestHeaderProto, RpcResponseHeaderProto, RpcSaslProto};
use crate::sasl::{Handshake, Layer, SaslError, Step};
use crate::wire::{self, ClientId, PREAMBLE_SASL, PREAMBLE_SIMPLE, WireError, call_id};

/// A connection whose beginning is over. What is still to be sent of it is in `outbound`: it goes along with
/// the first call.
pub(super) struct Opened {
    pub(super) tcp: TcpStream,
    pub(super) inbound: Inbound,
    pub(super) outbound: Outbound<RpcRequestHeaderProto>,
}

/// Why a connection did not come about, the address left out.
enum Failed {
    Connect(io::Error),
    Lost(Lost),
    Sasl(SaslError),
    Refused(RemoteException),
}

impl From<WireError> for Failed {
    fn from(error: WireError) -> Self {
        Self::Lost(Lost::Wire(error))
    }
}

impl From<SaslError> for Failed {
    fn from(error: SaslError) -> Self {
        Self::Sasl(error)
    }
}

fn lost(error: io::Error) -> Failed {
    Failed::Lost(Lost::Io(Arc::new(error)))
}

pub(super) async fn open(
    address: &str,
    client_id: &ClientId,
    protocol: Protocol,
    auth: &Auth,
    dial: &Dial,
) -> Result<Opened, RpcError> {
    let mut step = "accept a connection";
    let whole = async {
        let tcp = TcpStream::connect(address).await.map_err(Failed::Connect)?;
        tcp.set_nodelay(true).map_err(lost)?;
        step = "authenticate";
        begin(tcp, client_id, protocol, auth, dial).await
    };
    let after = dial.connect_timeout;
    let failed = match tokio::time::timeout(after, whole).await {
        Ok(Ok(opened)) => return Ok(opened),
        Ok(Err(failed)) => failed,
        Err(_) => return Err(RpcError::ConnectTimeout { address: address.to_owned(), step, after }),
    };
    let address = address.to_owned();
    Err(match failed {
        Failed::Connect(source) => RpcError::Connect { address, source },
        Failed::Lost(source) => RpcError::Handshake { address, source },
        Failed::Sasl(source) => RpcError::Sasl { address, source },
        Failed::Refused(exception) => RpcError::Refused { address, exception },
    })
}

async fn begin(
    tcp: TcpStream,
    client_id: &ClientId,
    protocol: Protocol,
    auth: &Auth,
    dial: &Dial,
) -> Result<Opened, Failed> {
    let outbound = Outbound::new(wire::request_header(call_id::SASL, &[], -1));
    let mut opened = Opened { tcp, inbound: Inbound::responses(dial.max_response), outbound };
    let user = match (auth, Handshake::new(auth, &dial.protection)) {
        (Auth::Simple { user }, _) => {
            opened.outbound.push(&PREAMBLE_SIMPLE)?;
            Some(user.clone())
        }
        (_, Some(handshake)) => opened.shake_hands(handshake).await?,
        (_, None) => None,
    };
    opened.outbound.push(&wire::context(client_id, user.as_deref(), protocol.name))?;
    Ok(opened)
}

impl Opened {
    /// Negotiates. What it gives is the user's name, if the context has to say it.
    async fn shake_hands(&mut self, mut handshake: Handshake<'_>) -> Result<Option<String>, Failed> {
        self.outbound.push(&PREAMBLE_SASL)?;
        self.outbound.push(&wire::sasl(&Handshake::begin()))?;
        loop {
            self.flush().await?;
            match handshake.take(self.receive().await?)? {
                Step::Send(message) => {
                    self.outbound.push(&wire::sasl(&message))?;
                }
                Step::SendLast(message, user) => {
                    self.outbound.push(&wire::sasl(&message))?;
                    return Ok(Some(user));
                }
                Step::Unasked(user) => return Ok(Some(user)),
                Step::Known(layer) => {
                    self.protect(layer);
                    return Ok(None);
                }
            }
        }
    }

    fn protect(&mut self, layer: Option<Layer>) {
        if let Some(layer) = layer {
            self.outbound.protect(layer.seal);
            self.inbound.protect(layer.open);
        }
    }

    async fn flush(&mut self) -> Result<(), Failed> {
        while !self.outbound.buffer.is_empty() {
            let written = self.tcp.write_buf(&mut self.outbound.buffer).await.map_err(lost)?;
            self.outbound.wrote(written);
        }
        Ok(())
    }

    async fn receive(&mut self) -> Result<RpcSaslProto, Failed> {
        loop {
            if let Some(frame) = self.inbound.next().map_err(Failed::Lost)? {
                return sasl_message(frame);
            }
            if self.tcp.read_buf(self.inbound.buffer()).await.map_err(lost)? == 0 {
                return Err(Failed::Lost(Lost::Closed));
            }
        }
    }
}

/// What a frame says while SASL goes on.
fn sasl_message(mut frame: Bytes) -> Result<RpcSaslProto, Failed> {
    let header: RpcResponseHeaderProto = wire::take(&mut frame, "response header")?;
    if header.status() != RpcStatusProto::Success {
        return Err(Failed::Refused(RemoteException::from(header)));
    }
    let id = header.call_id as i32;
    if id != call_id::SASL {
        return Err(Failed::Lost(Lost::Wire(WireError::Unexpected(format!("response to call {id}")))));
    }
    Ok(wire::take(&mut frame, "SASL message")?)
}
