//! The agent's servers, and the signals it heeds.

use std::time::Duration;

use axum::{Router, serve::ListenerExt};
use kobel_plan::api::{StopCause, StopRequest};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    control::{self, OwnerSocket},
    error::AgentError,
    front::{Front, Upstream},
    handle::Handle,
};

/// How long connections may take to end when the cluster is over. Watchers have heard the last
/// status by then; a transfer through the front has lost its JobManager.
const FAREWELL: Duration = Duration::from_secs(2);
/// How long workers may take when the agent is told to end by a signal.
const GRACE: Duration = Duration::from_secs(10);

/// What serves the cluster's socket and its front.
pub(crate) struct Servers {
    tasks: JoinSet<()>,
    over: CancellationToken,
}

impl Servers {
    /// Serves until stopped.
    pub(crate) fn start(front: Front, upstream: Upstream, socket: OwnerSocket, handle: Handle) -> Self {
        let mut servers = Self { tasks: JoinSet::new(), over: CancellationToken::new() };
        let routes = front.routes(handle.clone(), upstream);
        for listener in front.listeners {
            servers.spawn(nodelay(listener), routes.clone());
        }
        servers.spawn(socket, control::routes(handle));
        servers
    }

    fn spawn<L: axum::serve::Listener<Addr: std::fmt::Debug>>(&mut self, listener: L, routes: Router) {
        let over = self.over.clone().cancelled_owned();
        self.tasks.spawn(async move {
            if let Err(error) = axum::serve(listener, routes).with_graceful_shutdown(over).await {
                tracing::error!(%error, "a server broke");
            }
        });
    }

    /// Takes no more connections, lets those there are end, and cuts off what does not.
    pub(crate) async fn stop(mut self) {
        self.over.cancel();
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(FAREWELL, ended).await.is_err() {
            tracing::debug!("cut connections off");
        }
    }
}

/// Answers are written whole: waiting for more to send only delays them.
fn nodelay(listener: TcpListener) -> impl axum::serve::Listener<Addr = std::net::SocketAddr> {
    listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    })
}

/// SIGTERM and SIGINT end the cluster, the second one at once; SIGHUP is nothing to the agent.
pub(crate) fn heed_signals(handle: Handle) -> Result<impl Future<Output = ()> + Send, AgentError> {
    let listen =
        |kind| signal(kind).map_err(|source| AgentError::Runtime { attempt: "listen for signals", source });
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let mut hangup = listen(SignalKind::hangup())?;
    Ok(async move {
        let mut grace = GRACE;
        loop {
            tokio::select! {
                Some(()) = terminate.recv() => {}
                Some(()) = interrupt.recv() => {}
                Some(()) = hangup.recv() => continue,
                else => return,
            }
            tracing::info!("told to end by a signal");
            // It may be the machine, or YARN, that ends, and not the cluster's jobs.
            handle.stop(StopRequest::new(StopCause::Signal, grace).keeping_ha(true)).await;
            grace = Duration::ZERO;
        }
    })
}
