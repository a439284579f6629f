//! The Unix socket: everything, also what changes the cluster, for the user who owns it.

use std::{fs, io, os::fd::AsRawFd, os::unix::fs::PermissionsExt, time::Duration};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
    serve::Listener,
};
use kobel_plan::{
    ClusterDir,
    api::{DRILL, DrillRequest, RESTART, RestartRequest, SCALE, SNAPSHOTS, STOP, ScaleRequest, StopRequest},
};
use serde::de::DeserializeOwned;
use tokio::net::{UnixListener, UnixStream, unix};

use crate::{
    api::{failure, reading},
    handle::{Handle, Refusal},
};

/// A socket that hears only its own user, and root.
#[derive(Debug)]
pub(crate) struct OwnerSocket {
    listener: UnixListener,
    owner: u32,
}

/// Binds the cluster's socket. A socket already there is a dead agent's: this one holds the lock.
pub(crate) fn bind(dir: &ClusterDir) -> io::Result<OwnerSocket> {
    match fs::remove_file(dir.socket()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // A socket address holds 108 bytes; this way the length of the directory's path is no matter.
    let directory = fs::File::open(dir.path())?;
    let short = format!("/proc/self/fd/{}/{}", directory.as_raw_fd(), ClusterDir::SOCKET);
    let listener = UnixListener::bind(short)?;
    fs::set_permissions(dir.socket(), fs::Permissions::from_mode(0o600))?;
    Ok(OwnerSocket { listener, owner: rustix::process::getuid().as_raw() })
}

impl OwnerSocket {
    fn admits(&self, stream: &UnixStream) -> bool {
        match stream.peer_cred() {
            Ok(peer) if peer.uid() == self.owner || peer.uid() == 0 => true,
            Ok(peer) => {
                tracing::warn!(uid = peer.uid(), "turned a foreign user away from the socket");
                false
            }
            Err(_) => false,
        }
    }
}

impl Listener for OwnerSocket {
    type Io = UnixStream;
    type Addr = unix::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, addr)) if self.admits(&stream) => return (stream, addr),
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection on the socket");
                    // Out of file descriptors, most likely: trying on at once would only spin.
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// The routes that change the cluster.
pub(crate) fn changing() -> Router<Handle> {
    Router::new()
        .route(STOP, post(stop))
        .route(SCALE, post(scale))
        .route(RESTART, post(restart))
        .route(DRILL, post(drill))
        .route(SNAPSHOTS, post(note))
}

/// The socket's routes.
pub(crate) fn routes(handle: Handle) -> Router {
    reading()
        .merge(changing())
        .fallback(async |request: Request| {
            failure(StatusCode::NOT_FOUND, format!("nothing is at {}", request.uri().path()))
        })
        .method_not_allowed_fallback(async |request: Request| {
            let (method, path) = (request.method(), request.uri().path());
            failure(StatusCode::METHOD_NOT_ALLOWED, format!("{path} does not take {method}"))
        })
        .with_state(handle)
}

async fn stop(State(handle): State<Handle>, body: Bytes) -> Response {
    let request: StopRequest = match parse(&body) {
        Ok(request) => request,
        Err(refused) => return refused,
    };
    // When the supervisor is gone, the cluster is over, which is what was asked for.
    handle.stop(request).await;
    (StatusCode::ACCEPTED, Json(serde_json::json!({}))).into_response()
}

async fn scale(State(handle): State<Handle>, body: Bytes) -> Response {
    let request: ScaleRequest = match parse(&body) {
        Ok(request) => request,
        Err(refused) => return refused,
    };
    match handle.scale(request).await {
        Ok(wanted) => Json(wanted).into_response(),
        Err(refusal) => failure(StatusCode::CONFLICT, refusal.to_string()),
    }
}

async fn restart(State(handle): State<Handle>, body: Bytes) -> Response {
    let RestartRequest { worker } = match parse(&body) {
        Ok(request) => request,
        Err(refused) => return refused,
    };
    match handle.restart(worker).await {
        Ok(()) => (StatusCode::ACCEPTED, Json(serde_json::json!({}))).into_response(),
        Err(refusal @ Refusal::NoSuchWorker(_)) => failure(StatusCode::NOT_FOUND, refusal.to_string()),
        Err(refusal) => failure(StatusCode::CONFLICT, refusal.to_string()),
    }
}

async fn drill(State(handle): State<Handle>, body: Bytes) -> Response {
    let request: DrillRequest = match parse(&body) {
        Ok(request) => request,
        Err(refused) => return refused,
    };
    match handle.drill(request).await {
        Ok(struck) => Json(struck).into_response(),
        Err(refusal @ Refusal::NoSuchWorker(_)) => failure(StatusCode::NOT_FOUND, refusal.to_string()),
        Err(refusal) => failure(StatusCode::CONFLICT, refusal.to_string()),
    }
}

async fn note(State(handle): State<Handle>, body: Bytes) -> Response {
    match parse(&body) {
        Ok(note) => {
            handle.snapshots.note(note).await;
            StatusCode::NO_CONTENT.into_response()
        }
        Err(refused) => refused,
    }
}

// A refused request is answered where it is parsed; boxing the answer would only hide that.
#[expect(clippy::result_large_err)]
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Response> {
    serde_json::from_slice(body)
        .map_err(|error| failure(StatusCode::BAD_REQUEST, format!("the body is not understood: {error}")))
}

#[cfg(test)]
mod tests;
