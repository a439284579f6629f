//! The front: the cluster's one HTTP address. Below `/kobel` it shows the cluster and changes
//! nothing; everything else is Flink's, streamed to and from the leading JobManager.

mod guard;
mod page;
mod proxy;

use std::{io, net::SocketAddr, time::Duration};

use axum::{
    Router,
    extract::Request,
    http::{Method, StatusCode, Uri, header},
    middleware,
    response::{IntoResponse, Response},
    routing::any,
};
use kobel_plan::{
    FrontPlan, PortChoice,
    api::{PREFIX, StopCause, StopRequest},
};
use tokio::{net::TcpListener, sync::watch};

use self::guard::Secret;

use crate::{
    api::{failure, reading},
    control,
    handle::Handle,
    ports,
};

/// Where the leading JobManager's REST server listens; none while there is no JobManager.
pub(crate) type Upstream = watch::Receiver<Option<SocketAddr>>;

/// A bound front.
#[derive(Debug)]
pub(crate) struct Front {
    /// Its port on every address.
    pub(crate) port: u16,
    /// One listener per address, `localhost` having two.
    pub(crate) listeners: Vec<TcpListener>,
    names: guard::Names,
    /// Opens, over TCP, what changes the cluster; without it nothing does.
    secret: Option<Secret>,
}

/// Why there is no front.
#[derive(Debug, thiserror::Error)]
pub enum FrontError {
    /// No port could be had.
    #[error("could not bind the cluster's HTTP address")]
    Bind(#[source] ports::PortError),
    /// The runtime refused a listener.
    #[error("could not listen on the cluster's HTTP address")]
    Listen(#[source] io::Error),
}

/// Binds the front: for a returning agent on the port it had. Should another process have taken that
/// one meanwhile, another port has to do, whatever the user asked for: a cluster whose agent does not
/// come back has nobody to look after it.
pub(crate) fn bind(plan: &FrontPlan, former: Option<u16>) -> Result<Front, FrontError> {
    let bound = |choice| ports::bind("the front", &plan.bind, choice);
    let bound = match former {
        None => bound(plan.port),
        Some(port) => bound(PortChoice::Pinned { from: port, to: port })
            .or_else(|_| bound(plan.port))
            .or_else(|_| bound(PortChoice::Free)),
    };
    let ports::Bound { port, listeners, .. } = bound.map_err(FrontError::Bind)?;
    let listen = |listener: std::net::TcpListener| {
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    };
    let listeners =
        listeners.into_iter().map(listen).collect::<Result<_, _>>().map_err(FrontError::Listen)?;
    Ok(Front { port, listeners, names: guard::Names::of(plan), secret: None })
}

/// The URL that people are shown.
pub(crate) fn url(plan: &FrontPlan, port: u16) -> String {
    match plan.address.parse::<std::net::Ipv6Addr>() {
        Ok(address) => format!("http://[{address}]:{port}"),
        Err(_) => format!("http://{}:{port}", plan.address),
    }
}

impl Front {
    /// The same, with what changes the cluster open to who knows the secret.
    pub(crate) fn with_secret(self, secret: String) -> Self {
        Self { secret: Some(Secret::new(secret)), ..self }
    }

    /// Its routes.
    pub(crate) fn routes(&self, handle: Handle, upstream: Upstream) -> Router {
        let nothing =
            async |uri: Uri| failure(StatusCode::NOT_FOUND, format!("nothing is at {}", uri.path()));
        let own = match &self.secret {
            Some(_) => reading().merge(control::changing()),
            None => reading(),
        };
        let own = own
            .route(PREFIX, any(async || (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, "kobel/")])))
            .route("/kobel/", any(page::page))
            .route("/kobel/{*rest}", any(nothing))
            .with_state(handle.clone())
            .route_layer(middleware::from_fn_with_state(
                (self.names.clone(), self.secret.clone()),
                guard::guard,
            ));
        let flink = async move |request: Request| {
            if ends_the_cluster(&request) {
                stop(&handle).await
            } else {
                let changes = request.method() == Method::POST;
                let response = proxy::forward(&upstream, request).await;
                if changes && response.status().is_success() {
                    handle.hint();
                }
                response
            }
        };
        own.fallback(flink)
    }
}

/// Whether this is Flink's call to shut a cluster down: `DELETE /cluster`, with the API's version
/// before it or not. Flink routes by decoded segments and forgives slashes at both ends
/// (`org.apache.flink.runtime.rest.handler.router.Router`), so the same is done here.
fn ends_the_cluster(request: &Request) -> bool {
    let segment = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let path: Vec<_> = request.uri().path().trim_matches('/').split('/').map(segment).collect();
    let path: Vec<_> = path.iter().map(String::as_str).collect();
    let versioned = |version: &str| version.strip_prefix('v').is_some_and(|n| n.parse::<u32>().is_ok());
    request.method() == Method::DELETE
        && match path[..] {
            ["cluster"] => true,
            [version, "cluster"] => versioned(version),
            _ => false,
        }
}

/// How long workers may take when the cluster is ended over the front.
const GRACE: Duration = Duration::from_secs(10);

async fn stop(handle: &Handle) -> Response {
    handle.stop(StopRequest::new(StopCause::RestApi, GRACE)).await;
    (StatusCode::ACCEPTED, axum::Json(serde_json::json!({}))).into_response()
}

#[cfg(test)]
mod tests;
