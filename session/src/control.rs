//! The client of an agent: what changes a cluster goes over its socket, so only who may enter the
//! cluster's directory (0700) can do it; or, on YARN, over the front with the secret that lies there.

use std::{
    os::fd::{AsRawFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

use futures_util::{Stream, StreamExt, TryStreamExt, stream::BoxStream};
use kobel_conf::{Category, Explain};
use kobel_flink::rest::JobResult;
use kobel_plan::{
    ClusterDir, ClusterEvent, Fault, JobId, Snapshots, Status, Wanted, WorkerId,
    api::{self, ApiError, DrillRequest, RestartRequest, ScaleRequest, StopCause, StopRequest, Struck},
    snapshot::Note,
};
use rustix::fs::{Mode, OFlags};
use serde::{Serialize, de::DeserializeOwned};
use tokio::io::AsyncBufReadExt;
use tokio_util::io::StreamReader;

use crate::{
    registry::RegistryError,
    yarn::{
        Application,
        application::front,
        manager::{RmError, Sighting},
    },
};

/// How long the agent may take for an answer: it only reads its own memory.
const ANSWER: Duration = Duration::from_secs(5);
/// How long it may take to accept a connection on its socket.
const CONNECT: Duration = Duration::from_secs(2);
/// Longest line of a watch; a status with a thousand workers has 200 KB.
const LINE: usize = 16 << 20;

/// A request to an agent failed.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The cluster's directory cannot be opened.
    #[error("cannot open {}", dir.display())]
    Dir {
        /// The directory.
        dir: std::path::PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// What is kept of the cluster is of no use.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Nobody answers: the request did not take effect.
    #[error("the cluster's agent does not answer")]
    Unreachable(#[source] reqwest::Error),
    /// YARN does not tell where the cluster's agent is.
    #[error("cannot find the cluster's agent")]
    Lookup(#[source] RmError),
    /// There is no agent at present.
    #[error("the cluster's ApplicationMaster does not run: its application is {state}")]
    NoMaster {
        /// Where the application stands.
        state: String,
    },
    /// The connection broke after the request was sent: whether it took effect is unknown.
    #[error("the cluster's agent broke off while asked to {0}")]
    Unknown(&'static str, #[source] reqwest::Error),
    /// The agent said no.
    #[error("the cluster's agent refused to {what}: {why}")]
    Refused {
        /// What it was asked.
        what: &'static str,
        /// What it said.
        why: String,
    },
    /// What the agent said is not what it should have.
    #[error("the cluster's agent answered {0} with something else than expected")]
    Malformed(&'static str, #[source] serde_json::Error),
    /// A stream of the agent's ended in an error.
    #[error("the stream of {0} from the cluster's agent broke")]
    Broken(&'static str, #[source] std::io::Error),
}

impl Explain for ControlError {
    fn category(&self) -> Category {
        match self {
            ControlError::Dir { .. } => Category::Environment,
            ControlError::Registry(e) => e.category(),
            ControlError::Lookup(e) => e.category(),
            ControlError::Unreachable(_) | ControlError::NoMaster { .. } => Category::NotReady,
            _ => Category::Other,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            ControlError::Registry(e) => e.hint(),
            ControlError::Lookup(e) => e.hint(),
            ControlError::Unreachable(_) | ControlError::NoMaster { .. } => Some("kobel ps".into()),
            _ => None,
        }
    }
}

/// A way to one cluster's agent.
#[derive(Debug, Clone)]
pub struct Control {
    client: reqwest::Client,
    way: Way,
}

/// Where the agent is.
#[derive(Debug, Clone)]
enum Way {
    /// On this machine. The socket is addressed by way of the descriptor.
    Socket { path: String, _dir: Arc<OwnedFd> },
    /// Where YARN says, who is asked each time: nobody else shall get the secret.
    Yarn(Arc<Application>),
    /// At this address, to be asked and not to be told.
    Front(String),
}

impl Control {
    /// A way to the agent of this directory; whether one answers, the first request tells.
    pub fn open(dir: &ClusterDir) -> Result<Self, ControlError> {
        if let Some(application) = Application::of(dir)? {
            return Self::over_tcp(Way::Yarn(Arc::new(application)));
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(dir.path(), flags, Mode::empty())
            .map_err(|e| ControlError::Dir { dir: dir.path().into(), source: e.into() })?;
        let path = format!("/proc/self/fd/{}/{}", fd.as_raw_fd(), ClusterDir::SOCKET);
        let client = reqwest::Client::builder()
            .unix_socket(path.clone())
            .connect_timeout(CONNECT)
            .no_proxy()
            .build()
            .map_err(ControlError::Unreachable)?;
        Ok(Self { client, way: Way::Socket { path, _dir: Arc::new(fd) } })
    }

    /// A way to the front at this address, which can only be asked.
    pub(crate) fn at(url: &str) -> Result<Self, ControlError> {
        Self::over_tcp(Way::Front(url.into()))
    }

    fn over_tcp(way: Way) -> Result<Self, ControlError> {
        let client = reqwest::Client::builder().connect_timeout(CONNECT).no_proxy().build();
        Ok(Self { client: client.map_err(ControlError::Unreachable)?, way })
    }

    /// Whether somebody listens on the socket now, be it too busy to answer.
    pub fn is_heard(&self) -> bool {
        match &self.way {
            Way::Socket { path, .. } => std::os::unix::net::UnixStream::connect(path).is_ok(),
            Way::Yarn(_) | Way::Front(_) => true,
        }
    }

    async fn url(&self, path: &str) -> Result<String, ControlError> {
        Ok(match &self.way {
            // The host is not looked up; the agent checks that it names the local machine.
            Way::Socket { .. } => format!("http://localhost{path}"),
            Way::Front(url) => format!("{url}{path}"),
            Way::Yarn(application) => format!("{}{path}", front_of(application).await?),
        })
    }

    /// The cluster's status now.
    pub async fn status(&self) -> Result<Status, ControlError> {
        let request = self.client.get(self.url(api::STATUS).await?).timeout(ANSWER);
        body(send(request, "tell the status").await?, "the status").await
    }

    /// The present status, then one for every change, until the cluster is over or its agent gone.
    pub async fn watch(&self) -> Result<BoxStream<'static, Result<Status, ControlError>>, ControlError> {
        let request = self.client.get(self.url(api::STATUS).await?).query(&[("watch", "true")]);
        Ok(lines(send(request, "watch the status").await?, "statuses").boxed())
    }

    /// The timeline so far.
    pub async fn events(&self) -> Result<Vec<ClusterEvent>, ControlError> {
        let request = self.client.get(self.url(api::EVENTS).await?).timeout(ANSWER);
        lines(send(request, "tell its events").await?, "events").try_collect().await
    }

    /// What Flink wrote down of a job's end, with high availability; none as long as there is nothing.
    pub async fn job_result(&self, job: JobId) -> Result<Option<JobResult>, ControlError> {
        let what = "tell how a job ended";
        let url = self.url(&format!("{}/{job}", api::JOB_RESULTS)).await?;
        let response = send(self.client.get(url).timeout(ANSWER), what).await?;
        let file = response.bytes().await.map_err(|e| ControlError::Unknown(what, e))?;
        Ok(JobResult::stored(&file))
    }

    /// What jobs can be started from, as of this moment.
    pub async fn snapshots(&self) -> Result<Snapshots, ControlError> {
        let what = "tell what jobs can be started from";
        let request = self.client.get(self.url(api::SNAPSHOTS).await?).timeout(ANSWER);
        body(send(request, what).await?, what).await
    }

    /// Has something noted that the agent cannot see by itself.
    pub async fn note(&self, note: &Note) -> Result<(), ControlError> {
        self.post(api::SNAPSHOTS, note, "note what a job can be started from").await.map(drop)
    }

    /// Ends the cluster: workers get SIGTERM and some grace. Returns when the end has begun.
    pub async fn stop(&self, request: &StopRequest) -> Result<(), ControlError> {
        self.post(api::STOP, request, "stop").await.map(drop)
    }

    /// Ends the cluster at once.
    pub async fn kill(&self) -> Result<(), ControlError> {
        self.stop(&StopRequest::new(StopCause::Kill, Duration::ZERO)).await
    }

    /// Changes the number of workers and tells the one that now holds.
    pub async fn scale(&self, request: ScaleRequest) -> Result<Wanted, ControlError> {
        body(self.post(api::SCALE, &request, "scale").await?, "the new size").await
    }

    /// Has a worker's process replaced. Returns when the present one is leaving.
    pub async fn restart(&self, worker: WorkerId) -> Result<(), ControlError> {
        self.post(api::RESTART, &RestartRequest { worker }, "restart a worker").await.map(drop)
    }

    /// Has something bad done to a worker's process. Returns when it is done.
    pub async fn drill(&self, worker: WorkerId, fault: Fault) -> Result<Struck, ControlError> {
        let request = DrillRequest { worker, fault };
        body(self.post(api::DRILL, &request, "drill a worker").await?, "what it hit").await
    }

    /// Waits until the cluster is over and tells how it ended. An agent that is gone before it said
    /// so is an error.
    pub async fn wait_over(&self) -> Result<Status, ControlError> {
        let mut statuses = self.watch().await?;
        while let Some(status) = statuses.try_next().await? {
            if status.state.is_terminal() {
                return Ok(status);
            }
        }
        Err(ControlError::Broken("statuses", std::io::ErrorKind::UnexpectedEof.into()))
    }

    async fn post(
        &self,
        path: &str,
        body: &impl Serialize,
        what: &'static str,
    ) -> Result<reqwest::Response, ControlError> {
        let request = self.client.post(self.url(path).await?).json(body).timeout(ANSWER);
        let request = match &self.way {
            Way::Yarn(application) => request.bearer_auth(&application.secret),
            Way::Socket { .. } | Way::Front(_) => request,
        };
        send(request, what).await
    }
}

/// Where YARN says that the master serves.
async fn front_of(application: &Application) -> Result<String, ControlError> {
    let no_master = |state: String| ControlError::NoMaster { state };
    match application.report().await.map_err(ControlError::Lookup)? {
        Sighting::Seen(report) => front(&report).ok_or_else(|| no_master(report.state.to_string())),
        Sighting::NotYet => Err(no_master("not read yet by the ResourceManager".into())),
        Sighting::Gone => Err(no_master("unknown to YARN".into())),
    }
}

async fn send(
    request: reqwest::RequestBuilder,
    what: &'static str,
) -> Result<reqwest::Response, ControlError> {
    let response = request.send().await.map_err(|e| match e.is_connect() {
        true => ControlError::Unreachable(e),
        false => ControlError::Unknown(what, e),
    })?;
    if response.status().is_success() {
        return Ok(response);
    }
    let status = response.status();
    let text = response.text().await.unwrap_or_default();
    let said = serde_json::from_str::<ApiError>(&text).map(|e| e.error);
    Err(ControlError::Refused { what, why: said.unwrap_or_else(|_| format!("HTTP {status}")) })
}

async fn body<T: DeserializeOwned>(
    response: reqwest::Response,
    what: &'static str,
) -> Result<T, ControlError> {
    let bytes = response.bytes().await.map_err(|e| ControlError::Unknown(what, e))?;
    serde_json::from_slice(&bytes).map_err(|e| ControlError::Malformed(what, e))
}

fn lines<T: DeserializeOwned>(
    response: reqwest::Response,
    what: &'static str,
) -> impl Stream<Item = Result<T, ControlError>> {
    let bytes = response.bytes_stream().map_err(std::io::Error::other);
    let reader = Box::pin(StreamReader::new(bytes));
    futures_util::stream::try_unfold(reader, move |mut reader| async move {
        let mut line = Vec::new();
        let mut bounded = tokio::io::AsyncReadExt::take(&mut reader, LINE as u64);
        bounded.read_until(b'\n', &mut line).await.map_err(|e| ControlError::Broken(what, e))?;
        if line.is_empty() {
            return Ok(None);
        }
        let item = serde_json::from_slice(&line).map_err(|e| ControlError::Malformed(what, e))?;
        Ok(Some((item, reader)))
    })
}

#[cfg(test)]
mod tests;
