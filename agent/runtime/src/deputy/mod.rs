//! The agent as deputy: what runs beside a JobManager that stands by in a container of its own.
//!
//! When the master's node dies, ZooKeeper sees to it that another JobManager leads; YARN takes a quarter of an hour to
//! give the master up, in which nobody brings back what dies. A deputy asks YARN to do so at once. It does nothing else,
//! and does that only when all of this is so:
//!
//! - the master has answered nobody for a while: not us, and not the ResourceManager;
//! - the ResourceManager answers us and says that this very attempt runs: it is not us who is cut off;
//! - ZooKeeper, too, answers us, and names our own JobManager as the leader.

mod vigil;

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::FutureExt;
use kobel_conf::chain;
use kobel_flink::{
    ha::{Access, ClusterRoot, HaClient, LayoutError, LeaderNode, Quorum, SessionLog, ZkError},
    own_log,
};
use kobel_hadoop_rpc::{
    Auth, Retry, RpcError,
    yarn::{AppReport, AppState, ApplicationId, AttemptId, ClientError, IdError, ResourceManager},
};
use kobel_plan::{DeputyPlan, WorkerSpec};
use kobel_provider::{
    ProviderError,
    exec::{self, Beside},
};
use tokio::time::{MissedTickBehavior, interval};

use self::vigil::{Heard, Master, Vigil};
use crate::run::log_to;

/// Between two rounds of questions, and how long the master may take for its answer.
const PACE: Duration = Duration::from_secs(1);
/// How long one ResourceManager may take.
const RM_DEADLINE: Duration = Duration::from_secs(2);
/// How long a call of ZooKeeper's may take.
const ZK_DEADLINE: Duration = Duration::from_secs(2);
/// Its log, beside the worker's.
const LOG: &str = "deputy.log";

/// Runs the worker of this file ([`exec::exec`]), with a deputy beside it if it is to have one.
pub fn exec(spec: &Path, leash: &Path) -> Result<u8, ProviderError> {
    exec::exec(spec, leash, beside)
}

fn beside(spec: &WorkerSpec, log_dir: &Path) -> Beside {
    let plan = spec.deputy.as_ref()?;
    if let Err(error) = log_to(log_dir, LOG) {
        eprintln!("{}{}", exec::WORDS, chain(&error));
    }
    let sessions = log_dir.join(own_log::SESSIONS.file_name(&spec.name()));
    match Deputy::of(plan, sessions) {
        Ok(deputy) => Some(deputy.run().boxed()),
        Err(error) => {
            tracing::error!(error = chain(&error), "cannot watch over the master");
            None
        }
    }
}

/// Why there is no deputy.
#[derive(Debug, thiserror::Error)]
enum DeputyError {
    #[error("could not read the application's id")]
    Id(#[from] IdError),
    #[error("could not find the election in ZooKeeper")]
    Layout(#[from] LayoutError),
    #[error("could not set up a client of YARN")]
    Yarn(#[from] RpcError),
    #[error("could not set up a client of the master")]
    Http(#[from] reqwest::Error),
}

/// What watches over the master.
#[derive(Debug)]
struct Deputy {
    application: ApplicationId,
    yarn: ResourceManager,
    http: reqwest::Client,
    leadership: Box<dyn Leads>,
    vigil: Vigil,
    /// Whether YARN's refusal was told.
    refused: bool,
}

impl Deputy {
    fn of(plan: &DeputyPlan, sessions: PathBuf) -> Result<Self, DeputyError> {
        // There is nothing else by which a container could show who it is to a port for clients: of tokens it has
        // those for files.
        let auth = Auth::Simple { user: plan.user.clone() };
        let rounds = plan.silence_ms.div_ceil(PACE.as_millis() as u64).max(1);
        let quorum = Quorum::parse(&plan.quorum)?;
        Ok(Self {
            application: plan.application_id.parse()?,
            yarn: ResourceManager::each_once(plan.resource_managers.clone(), auth, RM_DEADLINE)?,
            http: reqwest::Client::builder().no_proxy().timeout(PACE).pool_max_idle_per_host(0).build()?,
            leadership: Box::new(Election {
                root: ClusterRoot::new(&quorum, &plan.root, &plan.cluster_id)?,
                quorum,
                session_timeout: plan.session_timeout(),
                sessions,
            }),
            vigil: Vigil::new(u32::try_from(rounds).unwrap_or(u32::MAX), plan.last_attempt),
            refused: false,
        })
    }

    async fn run(mut self) {
        tracing::info!(application = %self.application, "watches over the master");
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            pace.tick().await;
            self.round().await;
        }
    }

    async fn round(&mut self) {
        let before = self.vigil.silent();
        let heard = self.ask().await;
        let lost = self.vigil.hear(heard.clone());
        match (before, self.vigil.silent()) {
            (0, 1) => tracing::info!(?heard, "the master does not answer"),
            (1.., 0) => tracing::info!(?heard, "goes on watching"),
            _ => {}
        }
        if let Some(attempt) = lost {
            self.act(attempt).await;
        }
    }

    /// YARN is asked only when the master does not answer.
    async fn ask(&mut self) -> Heard {
        if let Some((host, port)) = self.vigil.front()
            && self.http.head(format!("http://{host}:{port}/kobel/")).send().await.is_ok()
        {
            return Heard::Front;
        }
        match self.yarn.report(self.application).await {
            Ok(report) => running(report).map_or(Heard::NoMaster, Heard::Master),
            Err(error) => {
                self.yarn_refused(&error);
                Heard::Nothing
            }
        }
    }

    /// A word is enough on what will not change.
    fn yarn_refused(&mut self, error: &ClientError) {
        let final_word = matches!(error.retry(), Retry::Never | Retry::Fenced);
        if final_word && !std::mem::replace(&mut self.refused, true) {
            tracing::warn!(error = chain(error), "YARN does not answer a deputy: it can do nothing");
        }
    }

    /// The master is lost.
    async fn act(&mut self, attempt: AttemptId) {
        match self.leadership.is_ours().await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(%attempt, error = chain(&error), "the master is lost, and who leads is not known");
                return;
            }
        }
        if !self.vigil.is_followed(attempt) {
            tracing::warn!(%attempt, "the master is lost, and YARN would start no other: leaves it alone");
            return self.vigil.settle(attempt);
        }
        let silent = PACE * self.vigil.silent();
        match self.yarn.fail_attempt(attempt).await {
            Ok(()) => tracing::warn!(%attempt, ?silent, "the master was lost: YARN starts another"),
            Err(error) if matches!(error.retry(), Retry::Never | Retry::Fenced) => {
                tracing::error!(%attempt, error = chain(&error), "the master is lost, and YARN will not fail it: can only watch");
            }
            Err(error) => {
                tracing::warn!(%attempt, error = chain(&error), "could not have YARN fail the master yet");
                return;
            }
        }
        self.vigil.settle(attempt);
    }
}

/// The master of an application that runs.
fn running(report: AppReport) -> Option<Master> {
    let AppReport { state: AppState::Running, attempt, master, progress, .. } = report else { return None };
    Some(Master { attempt: attempt?, front: master.filter(|(_, port)| *port > 0)?, progress })
}

/// Tells whether our own JobManager leads, now.
#[async_trait]
trait Leads: Send + Sync + fmt::Debug {
    async fn is_ours(&self) -> Result<bool, ZkError>;
}

/// The election in ZooKeeper.
#[derive(Debug)]
struct Election {
    quorum: Quorum,
    root: ClusterRoot,
    session_timeout: Duration,
    /// Where our JobManager's sessions are written down.
    sessions: PathBuf,
}

#[async_trait]
impl Leads for Election {
    /// A new look, at a server that has caught up with the others. The session that speaks for the leader must be one
    /// that our JobManager says is its own: an address could be another's.
    async fn is_ours(&self) -> Result<bool, ZkError> {
        let client =
            HaClient::connect(&self.quorum, &Access::default(), self.session_timeout, ZK_DEADLINE).await?;
        let leader = client.election(&self.root).await?.leader;
        let LeaderNode::Known { znode, .. } = leader else { return Ok(false) };
        let log = SessionLog::read(&self.sessions).unwrap_or_else(|error| {
            tracing::warn!(%error, "could not read the JobManager's sessions");
            None
        });
        let own = log.map(|log| log.sessions()).unwrap_or_default();
        Ok(znode.owner.is_some_and(|owner| own.contains(&owner)))
    }
}

#[cfg(test)]
mod tests;
