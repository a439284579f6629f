//! Sending a request and telling what came of it, the same for every call.

use std::{error::Error, time::Duration};

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url, redirect};
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    cause,
    error::{Call, RestError},
};

/// Time for a TCP connection: the peer is near, or it is not there.
const CONNECT: Duration = Duration::from_secs(3);
/// Time for a call that only reads, or that changes one thing at once.
pub(super) const PROMPT: Duration = Duration::from_secs(10);
/// The largest answer taken: a JobManager with thousands of jobs stays well below.
const MAX_ANSWER: usize = 64 << 20;
/// The largest answer that is searched: Flink's logs grow to 100 MB, and the network may be slow.
const MOST_SEARCHED: u64 = 16 << 20;

/// A client of Flink's REST API at one address: a JobManager's own, or a cluster's front.
#[derive(Debug, Clone)]
pub struct FlinkRest {
    http: Client,
    base: Url,
}

/// The body of every refusal: Flink's list of texts, or the one text of kobel's front.
#[derive(Deserialize)]
#[serde(untagged)]
enum Refusal {
    Flink { errors: Vec<String> },
    Front { error: String },
}

impl FlinkRest {
    /// A client for `http://host:port`, with or without a path. It never uses a proxy of the
    /// environment and follows no redirect: Flink's REST API sends none.
    pub fn new(address: &str) -> Result<Self, RestError> {
        let base = Url::parse(address)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| RestError::Address { address: address.into() })?;
        let http = Client::builder()
            .no_proxy()
            .connect_timeout(CONNECT)
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|source| RestError::Client { address: address.into(), source })?;
        Ok(Self { http, base })
    }

    /// The address called, without a slash at its end.
    pub fn address(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// A request for the path made of these segments, which may hold any character.
    pub(super) fn request(&self, method: Method, segments: &[&str]) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        self.http.request(method, url)
    }

    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        call: Call,
        segments: &[&str],
    ) -> Result<T, RestError> {
        self.send(call, self.request(Method::GET, segments), PROMPT).await
    }

    /// Sends the request and waits for the whole answer, no longer than `deadline`.
    pub(super) async fn send<T: DeserializeOwned>(
        &self,
        call: Call,
        request: RequestBuilder,
        deadline: Duration,
    ) -> Result<T, RestError> {
        let exchange = async {
            let response = request.send().await.map_err(|source| self.unsent(&call, source))?;
            let status = response.status();
            let body = read(response).await.map_err(|source| self.cut_off(&call, status, source))?;
            self.decode(&call, status, &body)
        };
        self.within(deadline, &call, exchange).await
    }

    /// Whether these words are in the answer, which is not kept: it may be as long as a log. Not asked of one beyond
    /// [`MOST_SEARCHED`].
    pub(super) async fn says(
        &self,
        call: Call,
        request: RequestBuilder,
        words: &str,
        deadline: Duration,
    ) -> Result<bool, RestError> {
        let exchange = async {
            let mut response = request.send().await.map_err(|source| self.unsent(&call, source))?;
            let status = response.status();
            let cut = |source| self.cut_off(&call, status, source);
            if !status.is_success() {
                return self.decode(&call, status, &read(response).await.map_err(cut)?);
            }
            if response.content_length().is_some_and(|length| length > MOST_SEARCHED) {
                return Ok(false);
            }
            let mut end = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(|source| cut(Cut::Lost(source)))? {
                end.extend_from_slice(&chunk);
                if end.windows(words.len()).any(|found| found == words.as_bytes()) {
                    return Ok(true);
                }
                // They may have begun.
                end.drain(..end.len().saturating_sub(words.len()));
            }
            Ok(false)
        };
        self.within(deadline, &call, exchange).await
    }

    /// Waits for what comes of the call, no longer than `deadline`.
    async fn within<T>(
        &self,
        deadline: Duration,
        call: &Call,
        exchange: impl Future<Output = Result<T, RestError>>,
    ) -> Result<T, RestError> {
        let result = tokio::time::timeout(deadline, exchange).await.unwrap_or_else(|_| {
            Err(RestError::Timeout { call: call.clone(), address: self.address().into(), after: deadline })
        });
        match &result {
            Ok(_) => tracing::debug!(address = self.address(), %call, "flink answered"),
            Err(error) => {
                tracing::debug!(address = self.address(), %call, %error, "flink gave no answer to use")
            }
        }
        result
    }

    /// No response head came.
    fn unsent(&self, call: &Call, source: reqwest::Error) -> RestError {
        let (call, address) = (call.clone(), self.address().to_string());
        if source.is_connect() {
            RestError::Unreachable { call, address, source }
        } else if is_not_http(&source) {
            RestError::NotFlink { call, address, found: "something that is not HTTP".into() }
        } else {
            RestError::Unknown { call, accepted: false, source: source.into() }
        }
    }

    /// A head came, and not all of its body.
    fn cut_off(&self, call: &Call, status: StatusCode, source: Cut) -> RestError {
        match source {
            Cut::TooLong => self.not_flink(call, status, b"more than 64 MiB"),
            Cut::Lost(source) => RestError::Unknown {
                call: call.clone(),
                accepted: status.is_success(),
                source: source.into(),
            },
        }
    }

    fn decode<T: DeserializeOwned>(
        &self,
        call: &Call,
        status: StatusCode,
        body: &[u8],
    ) -> Result<T, RestError> {
        if status.is_success() {
            return serde_json::from_slice(body).map_err(|_| self.not_flink(call, status, body));
        }
        let call = call.clone();
        // A gateway that lost its upstream cannot know what became of the request.
        if matches!(status, StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT) {
            let source = format!("a gateway answered {status}").into();
            return Err(RestError::Unknown { call, accepted: false, source });
        }
        let errors = match serde_json::from_slice(body) {
            Ok(Refusal::Flink { errors }) => errors,
            Ok(Refusal::Front { error }) => vec![error],
            Err(_) => return Err(self.not_flink(&call, status, body)),
        };
        let cause = cause::of_errors(&errors);
        Err(match status {
            StatusCode::SERVICE_UNAVAILABLE => RestError::Unavailable { call, cause },
            _ if status == StatusCode::NOT_FOUND || is_not_found(&call, &cause, &errors) => {
                RestError::NotFound { call, cause }
            }
            _ => RestError::Rejected { call, status: status.as_u16(), cause, trace: errors.join("\n") },
        })
    }

    fn not_flink(&self, call: &Call, status: StatusCode, body: &[u8]) -> RestError {
        let text = String::from_utf8_lossy(&body[..body.len().min(300)]);
        let start: String = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(60).collect();
        let found = format!("{status}: {start:?}");
        RestError::NotFlink { call: call.clone(), address: self.address().into(), found }
    }
}

/// Why a body ended early.
enum Cut {
    TooLong,
    Lost(reqwest::Error),
}

async fn read(mut response: Response) -> Result<Vec<u8>, Cut> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Cut::Lost)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(Cut::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Flink answers 500 when it is asked for the status of a job it does not know, and 500 or 400 when it
/// is to run or delete a jar it does not have. What a program's own `main` threw tells nothing.
fn is_not_found(call: &Call, cause: &str, errors: &[String]) -> bool {
    let no_job = !call.runs_a_program() && cause::has_class(errors, "FlinkJobNotFoundException");
    no_job || is_missing_jar(cause) && !cause::has_class(errors, "ProgramInvocationException")
}

fn is_missing_jar(cause: &str) -> bool {
    (cause.starts_with("Jar file ") && cause.ends_with(" does not exist"))
        || (cause.starts_with("File ") && cause.contains(".jar does not exist in "))
}

/// Whether the peer spoke, and not HTTP.
fn is_not_http(error: &reqwest::Error) -> bool {
    let mut source = error.source();
    while let Some(cause) = source {
        if cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse) {
            return true;
        }
        source = cause.source();
    }
    false
}
