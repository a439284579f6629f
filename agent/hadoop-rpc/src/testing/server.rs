//! A server that listens on a port of its own.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use prost::Message;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use super::session::Session;
use super::{Passwords, Reply};
use crate::sasl::Qop;
use crate::wire::WireError;

/// How a server takes its clients.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where to listen; port 0 takes a free one.
    pub bind: SocketAddr,
    /// Whether a user may come with a name alone, as where security is off.
    pub simple: bool,
    /// Who may come with a token.
    pub tokens: Passwords,
    /// What is offered to those, in this order (`hadoop.rpc.protection`).
    pub protection: Vec<Qop>,
    /// The ciphers that go with [`Qop::Privacy`], by their names in DIGEST-MD5.
    pub ciphers: Vec<&'static str>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            bind: (Ipv4Addr::LOCALHOST, 0).into(),
            simple: true,
            tokens: Passwords::new(),
            protection: vec![Qop::Auth],
            ciphers: vec!["3des", "rc4", "des", "rc4-56", "rc4-40"],
        }
    }
}

/// A call as the server sees it.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// Who calls, by the connection's context.
    pub user: Option<String>,
    /// The identifier of the token that was shown.
    pub token: Option<Vec<u8>>,
    /// Where the call comes from: one connection has one.
    pub peer: SocketAddr,
    /// The protocol that the call names.
    pub protocol: String,
    /// The method.
    pub method: String,
    /// Names the client to a retry cache.
    pub client_id: Vec<u8>,
    /// The call's number.
    pub call_id: i32,
    /// How often it was sent before.
    pub retries: i32,
    /// The request, encoded.
    pub request: Bytes,
}

impl Incoming {
    /// The request as the message it is.
    pub fn message<M: Message + Default>(&self) -> Result<M, WireError> {
        crate::wire::decode(self.request.clone(), "request")
    }
}

/// Decides about calls. Functions of an [`Incoming`] that give a future do.
pub trait Handler: Send + Sync + 'static {
    /// What to do with this call. Others go on meanwhile.
    fn handle(&self, call: Incoming) -> impl Future<Output = Reply> + Send;
}

impl<F, R> Handler for F
where
    F: Fn(Incoming) -> R + Send + Sync + 'static,
    R: Future<Output = Reply> + Send,
{
    fn handle(&self, call: Incoming) -> impl Future<Output = Reply> + Send {
        self(call)
    }
}

/// A server that runs until it is dropped; its connections end with it.
#[derive(Debug)]
pub struct RpcServer {
    address: SocketAddr,
    counts: Arc<Counts>,
    listening: JoinHandle<()>,
}

/// What a server saw.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) connections: AtomicUsize,
    pub(super) pings: AtomicUsize,
}

impl RpcServer {
    /// Listens.
    pub async fn start(config: ServerConfig, handler: impl Handler) -> io::Result<Self> {
        let listener = TcpListener::bind(config.bind).await?;
        let address = listener.local_addr()?;
        let counts = Arc::new(Counts::default());
        let listening = tokio::spawn(listen(listener, Arc::new(config), Arc::new(handler), counts.clone()));
        Ok(Self { address, counts, listening })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections it took so far.
    pub fn connections(&self) -> usize {
        self.counts.connections.load(Ordering::SeqCst)
    }

    /// How many pings it got so far.
    pub fn pings(&self) -> usize {
        self.counts.pings.load(Ordering::SeqCst)
    }
}

impl Drop for RpcServer {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen<H: Handler>(
    listener: TcpListener,
    config: Arc<ServerConfig>,
    handler: Arc<H>,
    counts: Arc<Counts>,
) {
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((tcp, peer)) = accepted else { continue };
                let _ = tcp.set_nodelay(true);
                counts.connections.fetch_add(1, Ordering::SeqCst);
                let session = Session::new(tcp, peer, config.clone(), counts.clone());
                sessions.spawn(session.run(handler.clone()));
            }
            Some(_) = sessions.join_next() => (),
        }
    }
}
