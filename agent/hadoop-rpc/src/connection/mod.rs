//! One TCP connection: many calls at once, each with its own deadline, their answers in any order.

mod driver;
mod open;
mod stream;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::client::Protocol;
use crate::error::RpcError;
use crate::proto::common::RequestHeaderProto;
use crate::sasl::Protection;
use crate::token::Token;
use crate::wire::{self, ClientId};
use driver::{Driver, End, Pending};
pub(crate) use stream::{Inbound, Outbound};

/// As whom, and how, a client appears.
#[derive(Debug, Clone)]
pub enum Auth {
    /// By saying a name, without SASL. Works where security is off.
    Simple {
        /// The name.
        user: String,
    },
    /// By a token. The server has to prove that it knows the token's password too, so nothing less is
    /// accepted from it.
    Token(Token),
    /// By whichever of the two the server names first: Hadoop's own client does so when it holds a token.
    Negotiate {
        /// The name, when it is to be SIMPLE.
        user: String,
        /// The token, if there is one.
        token: Option<Token>,
    },
}

/// How connections are made and kept.
#[derive(Debug, Clone)]
pub struct Dial {
    /// For name resolution, TCP and SASL together (`ipc.client.connect.timeout` is 20 s for TCP).
    pub connect_timeout: Duration,
    /// While a call waits and the server is silent, a ping goes out this often, so that a connection that
    /// has gone dead is noticed (`ipc.ping.interval`).
    pub ping_interval: Duration,
    /// A connection without calls is closed after this time (`ipc.client.connection.maxidletime`).
    pub idle_close: Duration,
    /// Which protection of calls is allowed, when a token is used.
    pub protection: Protection,
    /// The longest request. Over this, servers close the connection without a word
    /// (`ipc.maximum.data.length`; 64 MiB before Hadoop 3.3).
    pub max_request: usize,
    /// The longest response that is accepted (`ipc.maximum.response.length`).
    pub max_response: usize,
}

impl Default for Dial {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(20),
            ping_interval: Duration::from_secs(60),
            idle_close: Duration::from_secs(10),
            protection: Protection::default(),
            max_request: 64 << 20,
            max_response: 128 << 20,
        }
    }
}

/// One call, encoded.
#[derive(Clone)]
pub struct Call {
    /// Its number: 0 or more, and another for each call of a client id. A repeated call keeps its number.
    pub id: i32,
    /// How often it was sent before.
    pub retries: i32,
    /// The method's name.
    pub method: &'static str,
    /// The request, encoded, without its length.
    pub request: Bytes,
    /// When to give up.
    pub deadline: Instant,
    /// How long that was from the call's beginning; only errors show it.
    pub allowed: Duration,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Requests carry tokens.
        let request = format_args!("{} bytes", self.request.len());
        f.debug_struct("Call")
            .field("id", &self.id)
            .field("retries", &self.retries)
            .field("method", &self.method)
            .field("request", &request)
            .finish_non_exhaustive()
    }
}

/// A handle on an open connection. The connection ends with its last handle.
#[derive(Debug, Clone)]
pub struct Connection {
    address: Arc<str>,
    client_id: ClientId,
    protocol: Protocol,
    max_request: usize,
    calls: mpsc::Sender<Pending>,
    ended: Arc<OnceLock<End>>,
}

/// How many calls wait for the connection's task before callers have to.
const QUEUE: usize = 64;

impl Connection {
    /// Connects, authenticates, and says which protocol will be spoken. Takes at most
    /// [`Dial::connect_timeout`].
    pub async fn open(
        address: &str,
        client_id: ClientId,
        protocol: Protocol,
        auth: &Auth,
        dial: &Dial,
    ) -> Result<Self, RpcError> {
        let opened = open::open(address, &client_id, protocol, auth, dial).await?;
        let (calls, queue) = mpsc::channel(QUEUE);
        let address: Arc<str> = Arc::from(address);
        let ended = Arc::new(OnceLock::new());
        let driver = Driver::new(address.clone(), client_id, dial, opened, queue, ended.clone());
        tokio::spawn(driver.run());
        Ok(Self { address, client_id, protocol, max_request: dial.max_request, calls, ended })
    }

    /// Makes one call, and gives the response, encoded, without its length.
    pub async fn call(&self, call: Call) -> Result<Bytes, RpcError> {
        let header = wire::request_header(call.id, &self.client_id, call.retries);
        let method = RequestHeaderProto {
            method_name: call.method.to_owned(),
            declaring_class_protocol_name: self.protocol.name.to_owned(),
            client_protocol_version: self.protocol.version,
        };
        if call.request.len() > self.max_request {
            let (size, limit) = (call.request.len(), self.max_request);
            return Err(RpcError::TooLarge { method: call.method, size, limit });
        }
        let frame = wire::call(&header, &method, &call.request);
        let (answer, answered) = oneshot::channel();
        let (method, deadline, allowed) = (call.method, call.deadline, call.allowed);
        let pending = Pending { id: call.id, method, frame, deadline, allowed, answer };
        match tokio::time::timeout_at(deadline, self.calls.send(pending)).await {
            Err(_) => {
                let address = self.address.to_string();
                return Err(RpcError::Deadline { method, address, sent: false, after: allowed });
            }
            Ok(Err(_)) => return Err(self.lost(method, false)),
            Ok(Ok(())) => (),
        }
        // The task answers each call it took over, so losing it is not expected; then nothing is known.
        answered.await.unwrap_or_else(|_| Err(self.lost(method, true)))
    }

    fn lost(&self, method: &'static str, sent: bool) -> RpcError {
        let end = self.ended.get().cloned().unwrap_or(End::Idle);
        end.failure(&self.address, method, sent)
    }

    /// Whether these are handles on one connection.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        self.calls.same_channel(&other.calls)
    }

    /// Whether calls can still be made on it.
    pub fn is_open(&self) -> bool {
        !self.calls.is_closed()
    }
}

#[cfg(test)]
mod tests;
