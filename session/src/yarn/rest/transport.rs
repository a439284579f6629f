//! Sending a request to the active one of several ResourceManagers, the same for every call.

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use reqwest::{Client, Method, StatusCode, Url, redirect};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::yarn::{
    manager::{Call, RmError},
    one_line,
};

/// Time for a TCP connection.
const CONNECT: Duration = Duration::from_secs(5);
/// Time for a call at one ResourceManager, unless told otherwise.
const PROMPT: Duration = Duration::from_secs(10);
/// The largest answer taken: ten thousand applications stay below.
const MAX_ANSWER: usize = 64 << 20;

/// The REST API of a cluster's ResourceManager, or of several, of which one is active: the last that
/// answered is asked first. Redirects are not followed, since a standby's leads to a host name that may
/// mean nothing here; they say only that another one is active.
#[derive(Debug, Clone)]
pub struct RmRest {
    http: Client,
    addresses: Vec<Url>,
    active: Arc<AtomicUsize>,
    user: String,
    deadline: Duration,
}

/// The body of a refusal.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Refusal {
    remote_exception: RemoteException,
}

#[derive(Deserialize)]
struct RemoteException {
    #[serde(default)]
    exception: String,
    #[serde(default)]
    message: String,
}

/// What came back: the status of a good answer, and its body.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    body: Vec<u8>,
    address: String,
}

impl RmRest {
    /// Names the ResourceManagers by their web addresses, `http://host:port` each, and the user that a
    /// cluster without security takes the caller for. It uses no proxy of the environment.
    pub fn new(addresses: &[impl AsRef<str>], user: &str) -> Result<Self, RmError> {
        let parse = |address: &str| {
            Url::parse(address)
                .ok()
                .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
                .ok_or_else(|| RmError::Address { address: address.into() })
        };
        let addresses = addresses.iter().map(|a| parse(a.as_ref())).collect::<Result<Vec<_>, _>>()?;
        if addresses.is_empty() {
            return Err(RmError::NoAddress);
        }
        let http = Client::builder()
            .no_proxy()
            .connect_timeout(CONNECT)
            .redirect(redirect::Policy::none())
            .build()
            .map_err(RmError::Setup)?;
        Ok(Self { http, addresses, active: Arc::default(), user: user.into(), deadline: PROMPT })
    }

    /// Gives a call this long at each ResourceManager.
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// The address of the ResourceManager that answered last.
    pub fn address(&self) -> &str {
        let active = self.active.load(Ordering::Relaxed);
        self.addresses[active % self.addresses.len()].as_str().trim_end_matches('/')
    }

    /// As whom it calls.
    pub fn user(&self) -> &str {
        &self.user
    }

    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        call: Call,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<T, RmError> {
        self.send(call.clone(), Method::GET, path, query, None::<&()>).await?.read(&call)
    }

    /// Sends the request to one ResourceManager after the other until one deals with it. Since every call
    /// may be repeated, that includes those that hang.
    pub(super) async fn send(
        &self,
        call: Call,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&impl Serialize>,
    ) -> Result<Answer, RmError> {
        let mut failure = None;
        let first = self.active.load(Ordering::Relaxed);
        for turn in 0..self.addresses.len() {
            let index = (first + turn) % self.addresses.len();
            let address = &self.addresses[index];
            let mut url = address.clone();
            if let Ok(mut segments) = url.path_segments_mut() {
                segments.pop_if_empty().extend(["ws", "v1", "cluster"]).extend(path);
            }
            let mut request = self.http.request(method.clone(), url);
            request = request.query(query).query(&[("user.name", &self.user)]);
            if let Some(body) = body {
                request = request.json(body);
            }
            match self.ask_one(&call, address, request).await {
                Ok(Some(answer)) => {
                    self.active.store(index, Ordering::Relaxed);
                    tracing::debug!(address = answer.address, %call, status = %answer.status, "resource manager answered");
                    return Ok(answer);
                }
                // It is a standby.
                Ok(None) => {}
                Err(error) if error.is_of_this_peer() => {
                    tracing::debug!(%call, %error, "resource manager gave no answer to use");
                    failure = Some(RmError::graver(failure, error));
                }
                Err(error) => {
                    self.active.store(index, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
        let addresses = self.addresses.iter().map(|a| a.as_str().trim_end_matches('/')).collect::<Vec<_>>();
        Err(failure.unwrap_or_else(|| RmError::NoneActive { call, addresses: addresses.join(", ") }))
    }

    /// One exchange; `None` from a standby.
    async fn ask_one(
        &self,
        call: &Call,
        address: &Url,
        request: reqwest::RequestBuilder,
    ) -> Result<Option<Answer>, RmError> {
        let address = address.as_str().trim_end_matches('/').to_string();
        let exchange = async {
            let response = request.send().await.map_err(|source| unsent(call, &address, source))?;
            let status = response.status();
            let body = read(response).await.map_err(|cut| match cut {
                Cut::TooLong => not_yarn(call, &address, status, b"more than 64 MiB"),
                Cut::Lost(source) => RmError::Lost { call: call.clone(), source: source.into() },
            })?;
            Ok(Answer { status, body, address: address.clone() })
        };
        let answer = tokio::time::timeout(self.deadline, exchange).await.unwrap_or_else(|_| {
            let (call, address) = (call.clone(), address.clone());
            Err(RmError::Timeout { call, address, after: self.deadline })
        })?;
        match answer.status {
            status if status.is_success() => Ok(Some(answer)),
            // With `Location` where another is active, with `Refresh` where none is (`RMWebAppFilter`).
            StatusCode::TEMPORARY_REDIRECT => Ok(None),
            _ => Err(self.refusal(call, answer)),
        }
    }

    fn refusal(&self, call: &Call, answer: Answer) -> RmError {
        let Answer { status, body, address } = answer;
        let call = call.clone();
        let refusal = serde_json::from_slice::<Refusal>(&body).ok().map(|refusal| refusal.remote_exception);
        // The text of a 403 is plain.
        let plain = || start_of(&body, 200);
        let words = refusal.as_ref().map(|r| first_line(&r.message).to_string());
        match status {
            StatusCode::UNAUTHORIZED => RmError::Unauthenticated { call, address },
            StatusCode::FORBIDDEN if plain().contains("App submission via REST is disabled") => {
                RmError::SubmissionsOff { call }
            }
            StatusCode::FORBIDDEN => {
                let message = words.unwrap_or_else(plain);
                RmError::Denied { call, user: self.user.clone(), message }
            }
            // A gateway that lost its upstream cannot know what became of the request.
            StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => {
                RmError::Lost { call, source: format!("a gateway answered {status}").into() }
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                RmError::Unavailable { call, message: words.unwrap_or_else(|| start_of(&body, 60)) }
            }
            _ => match (words, refusal) {
                (Some(message), _) if status == StatusCode::NOT_FOUND => RmError::NotFound { call, message },
                (Some(message), Some(RemoteException { exception, .. })) => {
                    RmError::refused(call, &self.user, exception, message)
                }
                _ => not_yarn(&call, &address, status, &body),
            },
        }
    }
}

impl RmError {
    /// Whether another ResourceManager may do better.
    fn is_of_this_peer(&self) -> bool {
        matches!(
            self,
            RmError::Unreachable { .. }
                | RmError::Timeout { .. }
                | RmError::Lost { .. }
                | RmError::Unavailable { .. }
        )
    }

    /// Of two failures the one that leaves more open.
    fn graver(former: Option<RmError>, error: RmError) -> RmError {
        match former {
            Some(former) if former.effect() == kobel_hadoop_rpc::Effect::Unknown => former,
            _ => error,
        }
    }
}

impl Answer {
    pub(super) fn read<T: DeserializeOwned>(&self, call: &Call) -> Result<T, RmError> {
        serde_json::from_slice(&self.body).map_err(|_| not_yarn(call, &self.address, self.status, &self.body))
    }
}

/// No response head came.
fn unsent(call: &Call, address: &str, source: reqwest::Error) -> RmError {
    let (call, address) = (call.clone(), address.to_string());
    if source.is_connect() {
        RmError::Unreachable { call, address, source }
    } else if is_not_http(&source) {
        RmError::NotYarn { call, address, found: "something that is not HTTP".into() }
    } else {
        RmError::Lost { call, source: source.into() }
    }
}

/// Whether the peer spoke, and not HTTP.
fn is_not_http(error: &reqwest::Error) -> bool {
    let mut causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.any(|cause| cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse))
}

fn not_yarn(call: &Call, address: &str, status: StatusCode, body: &[u8]) -> RmError {
    let found = format!("{status}: {:?}", start_of(body, 60));
    RmError::NotYarn { call: call.clone(), address: address.into(), found }
}

/// The beginning of a body, on one line.
fn start_of(body: &[u8], chars: usize) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(4 * chars)]);
    one_line(&text).chars().take(chars).collect()
}

fn first_line(text: &str) -> &str {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default()
}

/// Why a body ended early.
enum Cut {
    TooLong,
    Lost(reqwest::Error),
}

async fn read(mut response: reqwest::Response) -> Result<Vec<u8>, Cut> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Cut::Lost)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(Cut::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
