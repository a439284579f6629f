//! A client of one service: connects when needed, goes on to the next address, calls again where that helps.

use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use tokio::time::Instant;

use crate::connection::{Auth, Call, Connection, Dial};
use crate::error::RpcError;
use crate::retry::{Next, RetryPolicy};
use crate::token::Token;
use crate::wire::{self, ClientId};

/// A set of methods, as servers know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protocol {
    /// Java's class that declares it.
    pub name: &'static str,
    /// Its version.
    pub version: u64,
}

/// May a call be made again when its answer got lost?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// Yes: doing it twice is doing it once.
    Idempotent,
    /// Yes: the server recognizes the repetition.
    AtMostOnce,
    /// No: ask the server first what became of it.
    Once,
}

/// One method of a protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Method {
    /// Its name.
    pub name: &'static str,
    /// See [`Repeat`].
    pub repeat: Repeat,
}

impl Method {
    /// A method by its name.
    pub const fn new(name: &'static str, repeat: Repeat) -> Self {
        Self { name, repeat }
    }
}

/// Whom to call, as whom, and how hard to try.
#[derive(Debug, Clone)]
pub struct Config {
    /// What will be spoken.
    pub protocol: Protocol,
    /// `host:port` of each server that may be the active one, in the order of preference. Names are resolved
    /// at each connect.
    pub addresses: Vec<String>,
    /// As whom.
    pub auth: Auth,
    /// How connections are made.
    pub dial: Dial,
    /// How hard to try.
    pub retry: RetryPolicy,
}

impl Config {
    /// With defaults for the rest.
    pub fn new(protocol: Protocol, addresses: Vec<String>, auth: Auth) -> Self {
        Self { protocol, addresses, auth, dial: Dial::default(), retry: RetryPolicy::default() }
    }
}

/// A client of one service. Clones share its connection.
#[derive(Debug, Clone)]
pub struct Client(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    config: Config,
    client_id: ClientId,
    /// Numbers calls over all connections: a server's retry cache goes by client and number.
    next_id: AtomicI32,
    auth: Mutex<Auth>,
    /// Which address is the active one, as far as is known.
    active: AtomicUsize,
    /// Held while connecting, so that callers share one connection.
    line: tokio::sync::Mutex<Option<Line>>,
}

/// The connection in use, and which address it goes to.
#[derive(Debug, Clone)]
struct Line {
    connection: Connection,
    index: usize,
}

impl Client {
    /// Connects to nobody yet.
    pub fn new(config: Config) -> Result<Self, RpcError> {
        if config.addresses.is_empty() {
            return Err(RpcError::NoAddress { protocol: config.protocol.name });
        }
        let mut client_id = ClientId::default();
        getrandom::fill(&mut client_id).map_err(RpcError::Random)?;
        Ok(Self(Arc::new(Shared {
            client_id,
            next_id: AtomicI32::new(0),
            auth: Mutex::new(config.auth.clone()),
            active: AtomicUsize::new(0),
            line: tokio::sync::Mutex::new(None),
            config,
        })))
    }

    /// Calls a method. The time allowed is for everything: connecting, failing over, trying again.
    pub async fn call<Q, R>(&self, method: &Method, request: &Q, allowed: Duration) -> Result<R, RpcError>
    where
        Q: Message,
        R: Message + Default,
    {
        let request = Bytes::from(request.encode_to_vec());
        let (response, address) = self.0.call(method, request, allowed).await?;
        wire::decode(response, "response").map_err(|source| {
            let (method, address) = (method.name, address.to_owned());
            RpcError::Reply { method, address, source }
        })
    }

    /// Shows this token from the next connect on. The connection that is open keeps working.
    pub fn set_token(&self, token: Token) {
        let mut auth = self.0.auth.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *auth {
            Auth::Negotiate { token: held, .. } => *held = Some(token),
            auth => *auth = Auth::Token(token),
        }
    }

    /// Lets go of the connection. The next call makes another.
    pub async fn close(&self) {
        *self.0.line.lock().await = None;
    }

    /// The address that was called last, or will be called first.
    pub fn active(&self) -> &str {
        self.0.address(self.0.active.load(Ordering::Relaxed))
    }
}

impl Shared {
    async fn call(
        &self,
        method: &Method,
        request: Bytes,
        allowed: Duration,
    ) -> Result<(Bytes, &str), RpcError> {
        let deadline = Instant::now() + allowed;
        let id = self.next_id.fetch_add(1, Ordering::Relaxed) & i32::MAX;
        let mut tries = 0;
        loop {
            let call =
                Call { id, retries: tries, method: method.name, request: request.clone(), deadline, allowed };
            let (index, outcome) = self.attempt(method, call).await;
            let error = match outcome {
                Ok(response) => return Ok((response, self.address(index))),
                Err(error) => error,
            };
            tries += 1;
            let (made, addresses) = (tries.unsigned_abs(), self.config.addresses.len());
            let next = self.config.retry.next(&error, method.repeat, made, addresses, jitter());
            let Next::Again { other_address, after } = next else {
                return Err(error);
            };
            if Instant::now() + after >= deadline {
                return Err(error);
            }
            if other_address {
                self.move_on(index);
            }
            tracing::debug!(method = method.name, %error, ?after, "calling again");
            tokio::time::sleep(after).await;
        }
    }

    /// One try, at the address that is held for the active one.
    async fn attempt(&self, method: &Method, mut call: Call) -> (usize, Result<Bytes, RpcError>) {
        let index = self.active.load(Ordering::Relaxed);
        let (deadline, after) = (call.deadline, call.allowed);
        let line = match tokio::time::timeout_at(deadline, self.line(index)).await {
            Ok(Ok(line)) => line,
            Ok(Err(error)) => return (index, Err(error)),
            Err(_) => {
                let address = self.address(index).to_owned();
                return (index, Err(RpcError::Deadline { method: method.name, address, sent: false, after }));
            }
        };
        if let (Some(most), true) = (self.config.retry.attempt_timeout, method.repeat != Repeat::Once) {
            let sooner = Instant::now() + most;
            if sooner < deadline {
                (call.deadline, call.allowed) = (sooner, most);
            }
        }
        let outcome = line.connection.call(call).await;
        if let Err(RpcError::Deadline { .. } | RpcError::Lost { .. } | RpcError::Refused { .. }) = &outcome {
            self.drop_line(&line);
        }
        (line.index, outcome)
    }

    /// The open connection, or a new one.
    async fn line(&self, index: usize) -> Result<Line, RpcError> {
        let mut held = self.line.lock().await;
        if let Some(line) = held.as_ref().filter(|line| line.index == index && line.connection.is_open()) {
            return Ok(line.clone());
        }
        *held = None;
        let auth = self.auth.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Config { protocol, dial, .. } = &self.config;
        let connection =
            Connection::open(self.address(index), self.client_id, *protocol, &auth, dial).await?;
        Ok(held.insert(Line { connection, index }).clone())
    }

    /// A silent or lost connection is not used again: a server that hung may have left it half dead. Calls
    /// that wait on it go on waiting.
    fn drop_line(&self, line: &Line) {
        // Where another caller has the lock, it is connecting anew already.
        let Ok(mut held) = self.line.try_lock() else { return };
        if held.as_ref().is_some_and(|held| held.connection.same_as(&line.connection)) {
            *held = None;
        }
    }

    /// Takes the address after this one for the active one, unless another caller did so already.
    fn move_on(&self, index: usize) {
        let next = (index + 1) % self.config.addresses.len();
        let _ = self.active.compare_exchange(index, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn address(&self, index: usize) -> &str {
        self.config.addresses.get(index).map_or("", String::as_str)
    }
}

/// Between 0 and 1, so that clients that failed together do not come back together.
fn jitter() -> f64 {
    getrandom::u32().map_or(0.5, |random| f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests;
