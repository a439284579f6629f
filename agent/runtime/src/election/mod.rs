//! High availability: follows whom ZooKeeper has lead, and removes from it what is left of a JobManager that is
//! proven dead, so that nobody waits for its session to time out.
//!
//! The election itself is Flink's. What is done here is what Flink cannot know: that a process is dead.

mod cleanup;
mod former;
mod obituary;
mod storage;
mod watchdog;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use kobel_conf::chain;
use kobel_flink::ha::{
    Access, ClusterRoot, Evidence, Fence, Fenced, HaClient, LayoutError, LeaderView, LeaderWatch, Quorum,
    ZkError, embedded_quorum,
};
use kobel_plan::{Attempt, Fault, HaPlan, WorkerId, ZooKeeper};
use kobel_provider::Provider;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::sleep,
};

pub(crate) use former::{Coroner, Former};
pub(crate) use obituary::{Obituary, rest_address};
pub(crate) use storage::Storage;

use crate::observe::Target;

/// How long one call of ZooKeeper's may take.
const DEADLINE: Duration = Duration::from_secs(2);
/// Of a fence: when ZooKeeper has not answered by then, its session timeout has decided, or soon will.
const FENCE_DEADLINE: Duration = Duration::from_secs(30);
/// Between two attempts of a fence.
const AGAIN: Duration = Duration::from_millis(200);
/// News that the supervisor has not taken yet.
const BACKLOG: usize = 64;

/// One process of a JobManager.
pub(crate) type Master = (WorkerId, Attempt);

/// What happened in ZooKeeper.
#[derive(Debug)]
pub(crate) enum News {
    /// Another one leads, or nobody does, or it is not known who.
    Leader(LeaderView),
    /// A JobManager lives and does not answer any more.
    Hangs(Master),
    /// A JobManager could not be killed.
    NotStruck(Master),
    /// What came of fencing a dead JobManager.
    Fenced {
        /// Which.
        of: Master,
        /// What was done, or why nothing was.
        outcome: Result<Fenced, ZkError>,
        /// How long it took.
        took: Duration,
    },
}

/// The cluster's place in ZooKeeper. When it is dropped nothing is followed any more.
#[derive(Debug)]
pub(crate) struct Election {
    place: Arc<Place>,
    news: mpsc::Sender<News>,
    masters: watch::Sender<Vec<Target>>,
    tasks: [JoinHandle<()>; 2],
}

/// Where the cluster's znodes are, and how they are reached.
#[derive(Debug)]
struct Place {
    quorum: Quorum,
    root: ClusterRoot,
    session_timeout: Duration,
}

impl Election {
    /// Starts to follow. The port is that of the cluster's own ZooKeeper, if it has one.
    pub(crate) fn follow(
        plan: &HaPlan,
        own_port: Option<u16>,
    ) -> Result<(Self, mpsc::Receiver<News>), LayoutError> {
        let quorum = match &plan.zookeeper {
            ZooKeeper::Quorum(text) => Quorum::parse(text)?,
            ZooKeeper::Embedded(_) => Quorum::parse(&embedded_quorum(own_port.unwrap_or_default()))?,
        };
        let root = ClusterRoot::new(&quorum, &plan.root, &plan.cluster_id)?;
        let place = Arc::new(Place { quorum, root, session_timeout: plan.session_timeout() });
        let (news, heard) = mpsc::channel(BACKLOG);
        let (masters, watched) = watch::channel(vec![]);
        let follower = tokio::spawn(follow(place.clone(), news.clone()));
        let asked = place.clone();
        let in_touch = move || {
            let place = asked.clone();
            async move { place.connect().await.is_ok() }
        };
        let watchdog = tokio::spawn(watchdog::watch_over(plan.silence(), watched, news.clone(), in_touch));
        Ok((Self { place, news, masters, tasks: [follower, watchdog] }, heard))
    }

    /// These JobManagers shall answer from now on.
    pub(crate) fn watch_over(&self, masters: Vec<Target>) {
        self.masters.send_if_modified(|known| {
            let changed = *known != masters;
            *known = masters;
            changed
        });
    }

    /// Begins to have a JobManager killed, whose node may be out of reach; that it could not be comes as news.
    pub(crate) fn strike(&self, provider: Arc<dyn Provider>, master @ (id, attempt): Master) {
        let news = self.news.clone();
        tokio::spawn(async move {
            if let Err(error) = provider.strike(id, attempt, Fault::Kill).await {
                let worker = id.attempt_name(attempt);
                tracing::warn!(worker, error = chain(&error), "could not kill it");
                let _ = news.send(News::NotStruck(master)).await;
            }
        });
    }

    /// Begins to remove what ZooKeeper holds of a dead JobManager's, as far as it is proven to be that; the outcome
    /// comes as news.
    pub(crate) fn fence(&self, obituary: Obituary) {
        tokio::spawn(bury(self.place.clone(), self.news.clone(), obituary));
    }

    /// The same of a former agent's JobManager, should it be gone.
    pub(crate) fn fence_former(&self, former: Former, coroner: Option<Arc<dyn Coroner>>, obituary: Obituary) {
        let (place, news) = (self.place.clone(), self.news.clone());
        tokio::spawn(async move {
            let death = former.death(FENCE_DEADLINE, coroner.as_deref()).await;
            bury(place, news, Obituary { death, ..obituary }).await;
        });
    }
}

async fn bury(place: Arc<Place>, news: mpsc::Sender<News>, obituary: Obituary) {
    let (of, began) = (obituary.of, Instant::now());
    let outcome = place.fence(&obituary.evidence().await).await;
    let fence = match &outcome {
        Ok(Fenced::Done(fence)) => Some(fence.clone()),
        _ => None,
    };
    // Nobody listens any more when the cluster is over.
    let _ = news.send(News::Fenced { of, outcome, took: began.elapsed() }).await;
    if let Some(fence) = fence {
        place.release_locks(&fence).await;
    }
}

impl Drop for Election {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn follow(place: Arc<Place>, news: mpsc::Sender<News>) {
    let Place { quorum, root, session_timeout } = place.as_ref();
    let mut watch =
        LeaderWatch::start(quorum.clone(), Access::default(), root.clone(), *session_timeout, DEADLINE);
    while let Some(view) = watch.next().await {
        if news.send(News::Leader(view)).await.is_err() {
            return;
        }
    }
}

impl Place {
    async fn connect(&self) -> Result<HaClient, ZkError> {
        HaClient::connect(&self.quorum, &Access::default(), self.session_timeout, DEADLINE).await
    }

    /// Tries until ZooKeeper answers. A repeated attempt does no harm: whether it may be done is decided anew by
    /// what is there then.
    async fn fence(&self, evidence: &Evidence) -> Result<Fenced, ZkError> {
        let give_up = Instant::now() + FENCE_DEADLINE;
        loop {
            let attempt = async { self.connect().await?.fence(&self.root, evidence).await };
            match attempt.await {
                Err(error) if Instant::now() < give_up => {
                    tracing::debug!(%error, "could not fence yet");
                    sleep(AGAIN).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Another one leads already: what this takes, nobody waits for.
    async fn release_locks(&self, fence: &Fence) {
        let released = async { self.connect().await?.release_locks(&self.root, fence).await };
        match released.await {
            Ok(released) => tracing::debug!(locks = released.len(), "released the dead JobManager's locks"),
            Err(error) => tracing::info!(%error, "the dead JobManager's locks stay until its session ends"),
        }
    }
}
