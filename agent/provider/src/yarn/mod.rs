//! Containers of Hadoop YARN, got by an ApplicationMaster: this process.
//!
//! The first JobManager is a child in the master's own container, so that YARN ends both together; other JobManagers
//! and TaskManagers have containers of their own, in which `kobel exec` starts them.

mod errand;
mod exit;
mod fleet;
mod nodes;
mod task;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream, stream::BoxStream};
use kobel_hadoop_rpc::{
    Protection,
    yarn::{Container, ContainerId, Launch, LocalResource, MasterError, Registration, Scheduler},
};
use kobel_plan::{
    Attempt, Death, Exit, Fault, Phase, ProviderKind, Resources, WorkerEvent, WorkerId, WorkerSpec,
    yarn::is_masters_own,
};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{Outcome, Provider, ProviderError, Recovered, local::LocalProvider};
pub use errand::{Errand, NoErrand};
use task::{Ask, Task};

/// Brings a file to where the nodes can fetch it.
#[async_trait]
pub trait Courier: Send + Sync + fmt::Debug {
    /// Puts a file of this application's own there, for nobody else to read.
    async fn deliver(&self, name: &str, contents: Vec<u8>) -> Result<LocalResource, String>;

    /// Takes it away again; what cannot be taken away goes with the application.
    async fn discard(&self, name: &str);
}

/// Keeps what is to be known of a cluster that ends: YARN forgets it.
#[async_trait]
pub trait Historian: Send + Sync + fmt::Debug {
    /// Called when no worker is left, before YARN is told that all is over, with the containers that the
    /// workers had. What cannot be kept is no reason to stay.
    async fn keep(&self, outcome: Outcome, words: &str, containers: &[Placed]);
}

/// A worker's container, running or gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Whose.
    pub id: WorkerId,
    /// Which of that worker's processes ran in it.
    pub attempt: Attempt,
    /// The container.
    pub container: ContainerId,
    /// The web address of its node, host:port.
    pub web: String,
}

/// What a master needs to get containers.
#[derive(Debug)]
pub struct Master {
    /// The ResourceManager.
    pub scheduler: Scheduler,
    /// How calls of the nodes may be protected.
    pub protection: Protection,
    /// Where this master is reached.
    pub registration: Registration,
    /// What every worker's container runs: command, environment, files, credentials. The worker's own
    /// file comes on top, as [`Master::SPEC`].
    pub launch: Launch,
    /// Brings the workers' own files to the nodes.
    pub courier: Arc<dyn Courier>,
    /// The containers of a former attempt that this one takes over, and whose they are. Others are let go.
    pub former: BTreeMap<ContainerId, (WorkerId, Attempt)>,
    /// Keeps what is to be known afterwards.
    pub historian: Arc<dyn Historian>,
    /// How long the ResourceManager may be silent before this master must take it that another attempt
    /// was started.
    pub patience: Duration,
    /// How often it is called.
    pub pace: Pace,
    /// The label that the nodes of TaskManagers must have. JobManagers go where the application does.
    pub node_label: Option<String>,
}

/// The time between two heartbeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// When nothing is awaited.
    pub calm: Duration,
    /// While containers are awaited: the scheduler hands them out between two beats.
    pub eager: Duration,
}

/// As Java's own client has it, but for the wait.
impl Default for Pace {
    fn default() -> Self {
        Self { calm: Duration::from_secs(1), eager: Duration::from_millis(100) }
    }
}

impl Master {
    /// The link in a worker's container to the JSON of its [`WorkerSpec`].
    pub const SPEC: &'static str = "worker.json";
}

/// The provider `yarn`.
pub struct YarnProvider {
    masters: Arc<LocalProvider>,
    largest: Resources,
    adopted: Vec<Recovered>,
    asks: mpsc::UnboundedSender<Ask>,
    fenced: watch::Receiver<Option<String>>,
}

impl YarnProvider {
    /// Registers this master. Containers of a former attempt are let go unless it is to take them over: without high
    /// availability their TaskManagers have lost their JobManager for good.
    pub async fn open(mut master: Master, masters: Arc<LocalProvider>) -> Result<Arc<Self>, MasterError> {
        let registered = master.scheduler.register(&master.registration).await?;
        let largest = resources(&registered.largest);
        tracing::info!(queue = registered.queue, largest = %registered.largest, "registered at YARN");
        let adopted =
            registered.running.iter().filter_map(|container| adopted(container, &master.former)).collect();
        let (asks, asked) = mpsc::unbounded_channel();
        let (fence, fenced) = watch::channel(None);
        tokio::spawn(Task::new(master, registered, fence).run(asked));
        Ok(Arc::new(Self { masters, largest, adopted, asks, fenced }))
    }

    async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, ProviderError> {
        let (reply, answer) = oneshot::channel();
        self.asks.send(ask(reply)).map_err(|_| ProviderError::Ended)?;
        answer.await.map_err(|_| ProviderError::Ended)
    }
}

impl fmt::Debug for YarnProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("YarnProvider").field("masters", &self.masters).finish_non_exhaustive()
    }
}

#[async_trait]
impl Provider for YarnProvider {
    fn kind(&self) -> ProviderKind {
        ProviderKind::Yarn
    }

    async fn limits(&self) -> Result<Resources, ProviderError> {
        Ok(self.largest)
    }

    async fn recover(&self) -> Result<Vec<Recovered>, ProviderError> {
        let mut recovered = self.masters.recover().await?;
        recovered.extend(self.adopted.iter().cloned());
        Ok(recovered)
    }

    async fn ensure(&self, spec: WorkerSpec) -> Result<(), ProviderError> {
        match is_masters_own(spec.id) {
            true => self.masters.ensure(spec).await,
            false => self.ask(|reply| Ask::Ensure(Box::new(spec), reply)).await?,
        }
    }

    async fn release(&self, id: WorkerId, attempt: Attempt, grace: Duration) -> Result<(), ProviderError> {
        match is_masters_own(id) {
            true => self.masters.release(id, attempt, grace).await,
            false => self.ask(|reply| Ask::Release((id, attempt), grace, reply)).await,
        }
    }

    async fn strike(&self, id: WorkerId, attempt: Attempt, fault: Fault) -> Result<(), ProviderError> {
        match (is_masters_own(id), fault) {
            (true, _) => self.masters.strike(id, attempt, fault).await,
            (false, Fault::Kill) => self.ask(|reply| Ask::Kill((id, attempt), reply)).await?,
            // Of all signals a node passes on three (`SignalContainerCommand`).
            (false, Fault::Freeze) => Err(ProviderError::OutOfReach { id, attempt }),
        }
    }

    fn watch(&self) -> BoxStream<'static, WorkerEvent> {
        let (watcher, events) = mpsc::unbounded_channel();
        // If the task is gone, so is the sender: the stream ends at once.
        let _ = self.asks.send(Ask::Watch(watcher));
        let containers =
            stream::unfold(events, |mut events| async move { Some((events.recv().await?, events)) });
        stream::select(self.masters.watch(), containers).boxed()
    }

    fn fenced(&self) -> BoxFuture<'static, String> {
        let mut fenced = self.fenced.clone();
        async move {
            match fenced.wait_for(Option::is_some).await.map(|why| why.clone()) {
                Ok(Some(why)) => why,
                // The provider ended in peace.
                _ => std::future::pending().await,
            }
        }
        .boxed()
    }

    fn death(&self, id: WorkerId, attempt: Attempt, exit: &Exit) -> Death {
        match is_masters_own(id) {
            true => self.masters.death(id, attempt, exit),
            false => exit::death(exit),
        }
    }

    async fn finish(&self, outcome: Outcome, words: &str) -> Result<(), ProviderError> {
        self.masters.finish(outcome, words).await?;
        self.ask(|reply| Ask::Finish(outcome, words.to_string(), reply)).await?
    }
}

/// The worker in a container that is taken over.
fn adopted(container: &Container, former: &BTreeMap<ContainerId, (WorkerId, Attempt)>) -> Option<Recovered> {
    let (id, attempt) = *former.get(&container.id)?;
    let host = container.node.host.clone();
    let phase = Phase::Running { host, pid: None, container: Some(container.id.to_string()) };
    Some(Recovered { id, attempt, phase, note: None })
}

fn resources(size: &kobel_hadoop_rpc::yarn::Resource) -> Resources {
    Resources {
        memory_bytes: u64::try_from(size.memory_mib).unwrap_or(0).saturating_mul(1 << 20),
        vcores: u32::try_from(size.vcores).unwrap_or(0),
    }
}
