//! One connection of a scripted server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::reply::{self, What};
use super::server::Counts;
use super::{Handler, Incoming, Reply, ServerConfig};
use crate::connection::{Inbound, Outbound};
use crate::error::ErrorCode;
use crate::proto::common::rpc_response_header_proto::RpcStatusProto;
use crate::proto::common::rpc_sasl_proto::SaslState;
use crate::proto::common::{
    IpcConnectionContextProto, RequestHeaderProto, RpcRequestHeaderProto, RpcResponseHeaderProto,
    RpcSaslProto,
};
use crate::sasl::server::{Authenticator, Verdict, cipher_named};
use crate::wire::{self, Framing, PREAMBLE_SASL, PREAMBLE_SIMPLE, call_id};

const LIMIT: usize = 128 << 20;
const ACCESS: &str = "org.apache.hadoop.security.AccessControlException";
const SASL: &str = "javax.security.sasl.SaslException";
const INVALID_TOKEN: &str = "org.apache.hadoop.security.token.SecretManager$InvalidToken";

pub(super) struct Session {
    tcp: TcpStream,
    peer: SocketAddr,
    config: Arc<ServerConfig>,
    counts: Arc<Counts>,
    inbound: Inbound,
    outbound: Outbound<RpcResponseHeaderProto>,
    sasl: Option<Authenticator>,
    token: Option<Vec<u8>>,
    user: Option<String>,
    protocol: Option<String>,
}

/// The connection is over.
struct Over;

type Turn<T> = Result<T, Over>;

impl Session {
    pub(super) fn new(
        tcp: TcpStream,
        peer: SocketAddr,
        config: Arc<ServerConfig>,
        counts: Arc<Counts>,
    ) -> Self {
        let outbound = Outbound::new(reply::header(call_id::SASL, RpcStatusProto::Success));
        let inbound = Inbound::requests(LIMIT);
        let (sasl, token, user, protocol) = (None, None, None, None);
        Self { tcp, peer, config, counts, inbound, outbound, sasl, token, user, protocol }
    }

    pub(super) async fn run<H: Handler>(mut self, handler: Arc<H>) {
        if self.preamble().await.is_ok() {
            let _ = self.serve(handler).await;
        }
        // The last word, an exception mostly, still goes out.
        let _ = self.tcp.write_all_buf(&mut self.outbound.buffer).await;
        let _ = self.tcp.shutdown().await;
    }

    async fn preamble(&mut self) -> Turn<()> {
        while self.inbound.buffer().len() < 7 {
            self.read().await?;
        }
        let preamble = self.inbound.buffer().split_to(7);
        if preamble == PREAMBLE_SASL[..] {
            let ciphers: Vec<_> = self.config.ciphers.iter().filter_map(|word| cipher_named(word)).collect();
            self.sasl = Some(Authenticator::new(&self.config.protection, &ciphers, self.config.simple));
            Ok(())
        } else if preamble != PREAMBLE_SIMPLE[..] {
            Err(Over)
        } else if !self.config.simple {
            self.refuse(ACCESS, "SIMPLE authentication is not enabled.  Available:[TOKEN]")
        } else {
            Ok(())
        }
    }

    async fn read(&mut self) -> Turn<()> {
        match self.tcp.read_buf(self.inbound.buffer()).await {
            Ok(1..) => Ok(()),
            Ok(0) | Err(_) => Err(Over),
        }
    }

    async fn serve<H: Handler>(&mut self, handler: Arc<H>) -> Turn<()> {
        let mut calls = JoinSet::new();
        loop {
            while let Some(frame) = self.inbound.next().map_err(|_| Over)? {
                if let Some(call) = self.request(frame)? {
                    let handler = handler.clone();
                    calls.spawn(async move {
                        let id = call.call_id;
                        let reply = handler.handle(call).await;
                        tokio::time::sleep(reply.after).await;
                        (id, reply)
                    });
                }
            }
            let (mut reader, mut writer) = self.tcp.split();
            tokio::select! {
                read = reader.read_buf(self.inbound.buffer()) => match read {
                    Ok(1..) => (),
                    Ok(0) | Err(_) => return Err(Over),
                },
                written = writer.write_buf(&mut self.outbound.buffer), if self.outbound.buffer.has_remaining() => {
                    written.map_err(|_| Over)?;
                }
                Some(done) = calls.join_next() => {
                    let (id, reply) = done.map_err(|_| Over)?;
                    self.answer(id, reply)?;
                }
            }
        }
    }

    fn push(&mut self, frame: &[u8]) -> Turn<()> {
        self.outbound.push(frame).map(|_| ()).map_err(|_| Over)
    }

    fn answer(&mut self, id: i32, reply: Reply) -> Turn<()> {
        match reply.what {
            What::Message(message) => {
                let frame = Framing::new(&reply::header(id, RpcStatusProto::Success)).part(&message).finish();
                self.push(&frame)
            }
            What::Exception { class, message, code } => {
                self.push(&reply::exception(id, &class, &message, code))?;
                if reply::fatal(code) { Err(Over) } else { Ok(()) }
            }
            What::Hang => Ok(()),
            What::Raw { bytes, close } => {
                self.outbound.buffer.extend_from_slice(&bytes);
                if close { Err(Over) } else { Ok(()) }
            }
        }
    }

    fn refuse(&mut self, class: &str, message: &str) -> Turn<()> {
        let id = call_id::AUTHORIZATION_FAILED;
        self.push(&reply::exception(id, class, message, ErrorCode::FatalUnauthorized))?;
        Err(Over)
    }

    /// Deals with a request. A call is for the handler.
    fn request(&mut self, mut frame: Bytes) -> Turn<Option<Incoming>> {
        let header: RpcRequestHeaderProto = wire::take(&mut frame, "request header").map_err(|_| Over)?;
        if header.rpc_kind.is_none() || header.rpc_op.is_none() {
            let class = "org.apache.hadoop.ipc.RpcServerException";
            let code = ErrorCode::FatalInvalidRpcHeader;
            self.push(&reply::exception(header.call_id, class, "RPC kind or operation is missing", code))?;
            return Err(Over);
        }
        match header.call_id {
            call_id::PING => {
                self.counts.pings.fetch_add(1, Ordering::SeqCst);
                Ok(None)
            }
            call_id::SASL => self.negotiate(frame).map(|()| None),
            call_id::CONTEXT => self.context(frame).map(|()| None),
            0.. => self.call(header, frame).map(Some),
            _ => Err(Over),
        }
    }

    fn negotiate(&mut self, mut frame: Bytes) -> Turn<()> {
        let message: RpcSaslProto = wire::take(&mut frame, "SASL message").map_err(|_| Over)?;
        let sasl = self.sasl.as_ref().ok_or(Over)?;
        if message.state() == SaslState::Negotiate {
            let offer = sasl.offer();
            return self.say(&offer);
        }
        match sasl.judge(message, &|identifier| self.config.tokens.get(identifier).cloned()) {
            Verdict::Simple => Ok(()),
            Verdict::Token { identifier, proof, layer } => {
                self.token = Some(identifier);
                self.say(&proof)?;
                if let Some(layer) = layer {
                    self.outbound.protect(layer.seal);
                    self.inbound.protect(layer.open);
                }
                Ok(())
            }
            Verdict::Refused(why) => self.refuse(INVALID_TOKEN, why),
            Verdict::Mismatched => {
                self.refuse(SASL, "DIGEST-MD5: digest response format violation. Mismatched response.")
            }
        }
    }

    fn say(&mut self, message: &RpcSaslProto) -> Turn<()> {
        let header = reply::header(call_id::SASL, RpcStatusProto::Success);
        self.push(&Framing::new(&header).message(message).finish())
    }

    fn context(&mut self, mut frame: Bytes) -> Turn<()> {
        let context: IpcConnectionContextProto = wire::take(&mut frame, "context").map_err(|_| Over)?;
        self.protocol = context.protocol;
        self.user = context.user_info.and_then(|info| info.effective_user);
        if self.token.is_some() && self.user.is_some() {
            return self.refuse(ACCESS, "Authenticated user is not allowed to impersonate another");
        }
        Ok(())
    }

    fn call(&mut self, header: RpcRequestHeaderProto, mut frame: Bytes) -> Turn<Incoming> {
        if self.protocol.is_none() {
            return self.refuse(ACCESS, "Connection context not established").and(Err(Over));
        }
        let method: RequestHeaderProto = wire::take(&mut frame, "method").map_err(|_| Over)?;
        let request = wire::take_part(&mut frame, "request").map_err(|_| Over)?;
        Ok(Incoming {
            user: self.user.clone(),
            token: self.token.clone(),
            peer: self.peer,
            protocol: method.declaring_class_protocol_name,
            method: method.method_name,
            client_id: header.client_id,
            call_id: header.call_id,
            retries: header.retry_count.unwrap_or(-1),
            request,
        })
    }
}
