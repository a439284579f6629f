//! Who may read below `/kobel`: requests that name this machine, so that no page in a browser can
//! read the cluster by having its own name resolve to loopback (DNS rebinding).

use std::{fmt, net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::Response,
};
use kobel_plan::FrontPlan;
use kobel_provider::local::host_name;
use subtle::ConstantTimeEq;

use crate::api::failure;

/// The names by which the front may be called, beside any IP address: rebinding needs a name.
#[derive(Debug, Clone)]
pub(super) struct Names(Arc<[String]>);

impl Names {
    pub(super) fn of(plan: &FrontPlan) -> Self {
        let names = ["localhost".into(), host_name(), plan.address.clone(), plan.bind.clone()];
        Self(names.iter().map(|name| name.to_ascii_lowercase()).collect())
    }

    /// Whether a `Host` header names this machine.
    fn admit(&self, host: &str) -> bool {
        let name = without_port(host).to_ascii_lowercase();
        let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(&name);
        address.parse::<IpAddr>().is_ok() || self.0.contains(&name)
    }
}

/// What a request must bring along as `Authorization: Bearer …` to change the cluster.
#[derive(Clone)]
pub(super) struct Secret(Arc<str>);

impl Secret {
    pub(super) fn new(text: String) -> Self {
        Self(text.into())
    }

    /// Whether the headers hold it. How long that takes to tell depends on no part of the secret.
    fn is_in(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        !self.0.is_empty() && given.as_bytes().ct_eq(self.0.as_bytes()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

/// Lets through what only reads and calls this machine by its name, and what changes something with the
/// secret.
pub(super) async fn guard(
    State((names, secret)): State<(Names, Option<Secret>)>,
    request: Request,
    next: Next,
) -> Response {
    match host(request.headers()) {
        Some(host) if names.admit(host) => {}
        _ => return failure(StatusCode::FORBIDDEN, "the Host header names another machine"),
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if let (false, Some(secret)) = (reads, &secret) {
        if !secret.is_in(request.headers()) {
            return failure(StatusCode::UNAUTHORIZED, "to change the cluster takes its secret");
        }
    } else if !reads {
        let error = "here the cluster can only be read: use the Unix socket, that is, the kobel command";
        return failure(StatusCode::METHOD_NOT_ALLOWED, error);
    }
    next.run(request).await
}

fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::HOST)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use kobel_plan::PortChoice;
    use proptest::prelude::*;

    use super::*;

    fn names() -> Names {
        Names::of(&FrontPlan {
            bind: "localhost".into(),
            address: "Flink.example".into(),
            port: PortChoice::Free,
        })
    }

    #[test]
    fn only_names_of_this_machine_are_admitted() {
        let own = host_name();
        let good = ["localhost", "localhost:8081", "127.0.0.1:1", "[::1]:8081", "[::1]", "10.1.2.3:80", &own];
        for host in good.into_iter().chain(["flink.EXAMPLE:8081"]) {
            assert!(names().admit(host), "{host}");
        }
        for host in
            ["", "evil.example", "evil.example:8081", "localhost.evil.example", "127.0.0.1.evil:80", ":80"]
        {
            assert!(!names().admit(host), "{host}");
        }
    }

    proptest! {
        #[test]
        fn no_other_name_is_admitted(host in "[a-z0-9.:\\[\\]-]{0,20}\\.evil(:[0-9]{0,5})?") {
            prop_assert!(!names().admit(&host));
        }
    }
}
