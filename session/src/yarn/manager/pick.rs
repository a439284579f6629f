//! Which way the ResourceManager is asked.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use kobel_conf::settings::YarnApi;
use kobel_hadoop_rpc::{
    Retry,
    yarn::{AppReport, AppState, ApplicationId, AttemptId, NewApplication, NodeReport, Submission},
};
use serde::{Deserialize, Serialize};

use super::{Manager, QueueUse, RmError, Sighting, SubmitError};
use crate::yarn::{
    rest::{ContainerInfo, RmRest},
    rpc::RmRpc,
};

/// Time for a call at one ResourceManager, unless told otherwise.
const PROMPT: Duration = Duration::from_secs(10);

/// Where the ResourceManagers of a cluster are, of which one is active, and which way to go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Managers {
    /// Their web addresses, `http://host:port`.
    pub web: Vec<String>,
    /// Their clients' RPC ports, `host:port`. Records of old have none.
    #[serde(default)]
    pub rpc: Vec<String>,
    /// Which of the two is used.
    #[serde(default)]
    pub api: YarnApi,
}

impl Managers {
    /// The way there for this user.
    pub fn open(&self, user: &str) -> Result<Box<dyn Manager>, RmError> {
        self.open_within(user, PROMPT)
    }

    /// The same, each call having so long at each ResourceManager.
    pub fn open_within(&self, user: &str, within: Duration) -> Result<Box<dyn Manager>, RmError> {
        let rest = || Ok(RmRest::new(&self.web, user)?.with_deadline(within));
        let rpc = || RmRpc::new(&self.rpc, user, within);
        Ok(match self.api {
            YarnApi::Rest => Box::new(rest()?),
            YarnApi::Rpc => Box::new(rpc()?),
            YarnApi::Auto if self.rpc.is_empty() => Box::new(rest()?),
            YarnApi::Auto => {
                Box::new(RestThenRpc { rest: rest()?, rpc: rpc()?, moved: AtomicBool::new(false) })
            }
        })
    }
}

/// REST, and from the first call on that the web does not serve and the RPC port does, RPC.
#[derive(Debug)]
struct RestThenRpc {
    rest: RmRest,
    rpc: RmRpc,
    moved: AtomicBool,
}

/// What a call comes to whose error can tell that the web is to blame.
trait OfTheWeb {
    fn is_of_the_web(&self) -> bool;
    /// Whether nobody was there to judge.
    fn is_silence(&self) -> bool;
}

impl OfTheWeb for RmError {
    fn is_of_the_web(&self) -> bool {
        RmError::is_of_the_web(self)
    }

    fn is_silence(&self) -> bool {
        matches!(self, RmError::Unauthenticated { .. }) || self.retry() != Retry::Never
    }
}

impl OfTheWeb for SubmitError {
    fn is_of_the_web(&self) -> bool {
        match self {
            SubmitError::Rm { source, .. } => source.is_of_the_web(),
            SubmitError::NotOverRest { .. } => true,
            SubmitError::Refused { .. } | SubmitError::Undecided { .. } => false,
        }
    }

    fn is_silence(&self) -> bool {
        matches!(self, SubmitError::Rm { source, .. } if source.is_silence())
    }
}

impl RestThenRpc {
    fn moved(&self) -> bool {
        self.moved.load(Ordering::Relaxed)
    }

    async fn ask<'a, T, E: OfTheWeb>(
        &'a self,
        call: impl Fn(&'a dyn Manager) -> BoxFuture<'a, Result<T, E>>,
    ) -> Result<T, E> {
        if self.moved() {
            return call(&self.rpc).await;
        }
        let error = match call(&self.rest).await {
            Err(error) if error.is_of_the_web() => error,
            told => return told,
        };
        match call(&self.rpc).await {
            // Where neither answers, the web is what was to be asked.
            Err(second) if second.is_silence() => Err(error),
            told => {
                if !self.moved.swap(true, Ordering::Relaxed) {
                    tracing::info!("the ResourceManager's web does not serve this: asks its RPC port");
                }
                told
            }
        }
    }
}

#[async_trait]
impl Manager for RestThenRpc {
    fn way(&self) -> YarnApi {
        if self.moved() { YarnApi::Rpc } else { YarnApi::Auto }
    }

    fn active(&self) -> String {
        if self.moved() { self.rpc.active() } else { self.rest.active() }
    }

    async fn new_application(&self) -> Result<NewApplication, RmError> {
        self.ask(|way| way.new_application()).await
    }

    async fn hand_in(&self, submission: &Submission) -> Result<(), SubmitError> {
        self.ask(|way| way.hand_in(submission)).await
    }

    async fn app(&self, id: ApplicationId) -> Result<AppReport, RmError> {
        self.ask(|way| way.app(id)).await
    }

    async fn report(&self, id: ApplicationId) -> Result<Sighting<AppReport>, RmError> {
        self.ask(|way| way.report(id)).await
    }

    async fn ask_to_die(&self, id: ApplicationId, words: &str) -> Result<Option<AppState>, RmError> {
        self.ask(|way| way.ask_to_die(id, words)).await
    }

    async fn started_ms(&self) -> Result<i64, RmError> {
        self.ask(|way| way.started_ms()).await
    }

    async fn nodes(&self) -> Result<Vec<NodeReport>, RmError> {
        self.ask(|way| way.nodes()).await
    }

    async fn queues(&self) -> Result<Vec<QueueUse>, RmError> {
        self.ask(|way| way.queues()).await
    }

    async fn containers(&self, attempt: AttemptId) -> Result<Vec<ContainerInfo>, RmError> {
        self.ask(|way| way.containers(attempt)).await
    }
}
