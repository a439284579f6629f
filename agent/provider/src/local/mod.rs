//! Processes on this machine. They outlive the agent: it may die and come back, and finds them again.

mod identity;
mod launch;
mod machine;
mod places;
mod process;
mod record;
mod recover;
mod scan;
mod supervise;
mod table;

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::{StreamExt, stream, stream::BoxStream};
use kobel_plan::{Attempt, Death, Exit, Fault, ProviderKind, Resources, WorkerEvent, WorkerId, WorkerSpec};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, oneshot},
};

pub use identity::ProcessIdentity;
use places::Places;
use table::{Ask, Table};

use crate::{Outcome, Provider, ProviderError, Recovered, furnish::create_private_dir};

/// What the workers' processes live in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Surroundings {
    /// A machine. Each leads a process group of its own, works in its own directory, and outlives the
    /// agent.
    Machine,
    /// A container that the agent itself runs in, whose end must be theirs too: they stay in the agent's
    /// process group, which is what YARN kills, and die with it by their leash. Their working directory
    /// is the container's, where the files are that it was given.
    Container {
        /// The container's directory.
        dir: PathBuf,
        /// kobel's own program, which leashes them.
        leash: PathBuf,
    },
}

/// The name of this machine: YARN's where this is a container of its, else the kernel's.
pub fn host_name() -> String {
    Whereabouts::now().host
}

/// What people are told of where the processes run.
#[derive(Debug, Clone)]
struct Whereabouts {
    host: String,
    container: Option<String>,
}

impl Whereabouts {
    /// By the variables that YARN sets in a container, else by the kernel's name of the machine.
    fn now() -> Self {
        let host = || rustix::system::uname().nodename().to_string_lossy().into_owned();
        let container = std::env::var("CONTAINER_ID").ok();
        let node = std::env::var("NM_HOST").ok().filter(|_| container.is_some());
        Self { host: node.unwrap_or_else(host), container }
    }
}

/// One process of a worker.
type Key = (WorkerId, Attempt);

/// The provider `local`.
///
/// A worker is a child process in a process group of its own, in a directory of its own that goes
/// with it, with its output appended to files. One task owns the table of workers; dropping the
/// provider ends that task and leaves the processes running.
pub struct LocalProvider {
    places: Places,
    asks: mpsc::UnboundedSender<Ask>,
}

impl LocalProvider {
    /// Takes over the workers that `workers_dir` and the markers in `/proc` tell of, and clears away
    /// what dead ones left, before anything can be asked. Both directories are made when missing;
    /// `marker_prefix` is what [`kobel_plan::Launch::MARKER`] starts with, the cluster's directory.
    /// Blocks on the disk for some milliseconds; must be called within a tokio runtime.
    pub fn open(
        workers_dir: PathBuf,
        log_dir: PathBuf,
        marker_prefix: String,
        surroundings: Surroundings,
    ) -> Result<Arc<Self>, ProviderError> {
        let places = Places::new(&workers_dir, &log_dir, marker_prefix, surroundings)?;
        for dir in [places.workers(), places.logs()] {
            create_private_dir(dir, true)?;
        }
        // Who started us may have had SIGCHLD ignored. That is inherited, and the kernel would throw
        // away how our children end, and their numbers. To handle the signal is not to ignore it.
        drop(signal(SignalKind::child()).map_err(ProviderError::io("listen for", "SIGCHLD"))?);

        let table = Table::new(places.clone(), Whereabouts::now(), recover::recover(&places)?);
        let (asks, asked) = mpsc::unbounded_channel();
        tokio::spawn(table.run(asked));
        Ok(Arc::new(Self { places, asks }))
    }

    async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, ProviderError> {
        let (reply, answer) = oneshot::channel();
        self.asks.send(ask(reply)).map_err(|_| ProviderError::Ended)?;
        answer.await.map_err(|_| ProviderError::Ended)
    }
}

impl fmt::Debug for LocalProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalProvider").field("places", &self.places).finish_non_exhaustive()
    }
}

#[async_trait]
impl Provider for LocalProvider {
    fn kind(&self) -> ProviderKind {
        ProviderKind::Local
    }

    async fn limits(&self) -> Result<Resources, ProviderError> {
        machine::limits()
    }

    async fn recover(&self) -> Result<Vec<Recovered>, ProviderError> {
        self.ask(Ask::Recovered).await
    }

    async fn ensure(&self, spec: WorkerSpec) -> Result<(), ProviderError> {
        self.ask(|reply| Ask::Ensure(Box::new(spec), reply)).await?
    }

    async fn release(&self, id: WorkerId, attempt: Attempt, grace: Duration) -> Result<(), ProviderError> {
        self.ask(|reply| Ask::Release((id, attempt), grace, reply)).await
    }

    async fn strike(&self, id: WorkerId, attempt: Attempt, fault: Fault) -> Result<(), ProviderError> {
        self.ask(|reply| Ask::Strike((id, attempt), fault, reply)).await?
    }

    fn watch(&self) -> BoxStream<'static, WorkerEvent> {
        let (watcher, events) = mpsc::unbounded_channel();
        // If the task is gone, so is the sender: the stream ends at once.
        let _ = self.asks.send(Ask::Watch(watcher));
        stream::unfold(events, |mut events| async move { Some((events.recv().await?, events)) }).boxed()
    }

    /// An exit is told when the process was reaped, when its pidfd says so, or when there is none of its pid and
    /// start time.
    fn death(&self, _id: WorkerId, _attempt: Attempt, _exit: &Exit) -> Death {
        Death::Reaped
    }

    async fn finish(&self, _outcome: Outcome, _reason: &str) -> Result<(), ProviderError> {
        let dir = self.places.workers();
        match tokio::fs::remove_dir(dir).await {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            // Something is left that is not ours to remove.
            Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => Ok(()),
            Err(error) => Err(ProviderError::io("remove directory", dir.display())(error)),
        }
    }
}
