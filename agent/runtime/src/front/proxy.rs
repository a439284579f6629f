//! Passes requests on to the JobManager's REST server and its answers back, a piece at a time: what
//! one side has not taken yet, the other is not asked for, so a jar of any size fits.

use std::{io, net::SocketAddr, time::Duration};

use axum::{
    Json,
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustix::net::sockopt;
use serde_json::json;
use tokio::{net::TcpStream, time::timeout};

use super::Upstream;

/// How long a connection to the JobManager may take: it is on this machine or near.
const CONNECT: Duration = Duration::from_secs(3);
/// How long its host may be out of reach until an exchange with it is given up. The JobManager itself may take as long
/// as it likes.
const LOST: Duration = Duration::from_secs(20);
/// Between two looks whether its host is there, while there is nothing to send.
const LOOK: Duration = Duration::from_secs(5);

/// Headers that speak of one connection, not of the message (RFC 9110, 7.6.1); `Expect` too, which
/// this server has answered itself when it reads the body.
const OF_THE_CONNECTION: [HeaderName; 9] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::EXPECT,
    HeaderName::from_static("keep-alive"),
];

/// Answers a request by what the JobManager answers. Each has a connection of its own: one kept from
/// before could be closed by the JobManager just as a request that must not be repeated is sent.
pub(super) async fn forward(upstream: &Upstream, request: Request) -> Response {
    let Some(address) = *upstream.borrow() else {
        return unavailable("the cluster has no JobManager now");
    };
    let Ok(Ok(stream)) = timeout(CONNECT, TcpStream::connect(address)).await else {
        return unavailable("the JobManager does not answer yet");
    };
    match exchange(stream, address, request).await {
        Ok(response) => response,
        Err(error) => {
            tracing::warn!(%error, "the JobManager broke off an exchange");
            errors(
                StatusCode::BAD_GATEWAY,
                "the JobManager broke off: whether the request took effect is unknown",
            )
        }
    }
}

async fn exchange(stream: TcpStream, address: SocketAddr, request: Request) -> hyper::Result<Response> {
    // Small requests with long answers both ways: waiting for more to send only delays them.
    stream.set_nodelay(true).ok();
    if let Err(error) = give_up_a_lost_host(&stream) {
        tracing::debug!(%error, "a host that is lost would be waited for");
    }
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to the JobManager ended early");
        }
    });
    let mut response = sender.send_request(for_upstream(address, request)).await?;
    strip(response.headers_mut());
    Ok(response.map(Body::new))
}

/// Nothing tells of a host that is cut off: without this the kernel waits for ever for what it was to answer, and for a
/// quarter of an hour that it takes what was sent.
fn give_up_a_lost_host(stream: &TcpStream) -> io::Result<()> {
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, LOOK)?;
    sockopt::set_tcp_keepintvl(stream, LOOK)?;
    sockopt::set_tcp_user_timeout(stream, LOST.as_millis() as u32)?;
    Ok(())
}

fn for_upstream(address: SocketAddr, request: Request) -> Request {
    let (mut parts, body) = request.into_parts();
    // A length beside a transfer coding is how requests are smuggled past a proxy.
    if parts.headers.contains_key(header::TRANSFER_ENCODING) {
        parts.headers.remove(header::CONTENT_LENGTH);
    }
    strip(&mut parts.headers);
    if let Ok(host) = HeaderValue::from_str(&address.to_string()) {
        parts.headers.insert(header::HOST, host);
    }
    parts.uri = parts.uri.path_and_query().cloned().map(Uri::from).unwrap_or_default();
    parts.version = axum::http::Version::HTTP_11;
    Request::from_parts(parts, body)
}

fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&OF_THE_CONNECTION) {
        headers.remove(name);
    }
}

fn unavailable(error: &str) -> Response {
    let mut response = errors(StatusCode::SERVICE_UNAVAILABLE, error);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// A failure in the words of Flink's own REST API, which is what callers here understand.
fn errors(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "errors": [error] }))).into_response()
}
