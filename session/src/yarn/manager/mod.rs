//! The ResourceManager as clients see it, whichever way it is asked: over its REST API or its RPC port.
//! Whatever submits, watches or ends an application does it through [`Manager`].

mod error;
mod pick;
mod submit;
mod waits;

use std::{fmt, time::Duration};

use async_trait::async_trait;
use kobel_conf::settings::YarnApi;
use kobel_hadoop_rpc::{
    Retry,
    yarn::{
        AppReport, AppState, ApplicationId, AttemptId, NewApplication, NodeReport, QueueState, Resource,
        Submission,
    },
};
use tokio::time::Instant;

use super::rest::ContainerInfo;
pub use error::{Call, RmError};
pub use pick::Managers;
pub use submit::SubmitError;
pub use waits::{Wait, Wanted};

/// How often an undecided state is looked at.
const POLL: Duration = Duration::from_millis(100);

/// What a ResourceManager knows of an application.
#[derive(Debug, Clone, PartialEq)]
pub enum Sighting<T> {
    /// It knows it.
    Seen(T),
    /// It does not know it, and is not yet able to tell, since it is just starting.
    NotYet,
    /// It is active, has read its notes, and does not know it: it never did, or has forgotten it.
    Gone,
}

/// How a queue without queues below it is used.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueUse {
    /// Its name from the root on, `root.default`.
    pub path: String,
    /// Whether it takes applications.
    pub state: QueueState,
    /// What its applications use.
    pub used: Resource,
    /// How much of the cluster it may grow to, in percent, where the scheduler counts that way (capacity).
    pub max_percent: Option<f32>,
    /// What it may grow to, where the scheduler counts that way (fair).
    pub max: Option<Resource>,
    /// What its ApplicationMasters use, which only REST tells.
    pub masters: Option<Resource>,
    /// What its ApplicationMasters may use, together, which only REST tells.
    pub masters_max: Option<Resource>,
    /// How many of its applications wait for their master.
    pub pending: u32,
}

impl QueueUse {
    /// Whether a user means this queue by that name, which may leave out the queues above.
    pub fn is_named(&self, name: &str) -> bool {
        self.path == name || self.path.strip_suffix(name).is_some_and(|above| above.ends_with('.'))
    }

    /// The path of a queue below another. The fair scheduler writes the whole path as the name.
    pub(super) fn path_below(above: &str, name: String) -> String {
        match above {
            "" => name,
            _ if name.starts_with(&format!("{above}.")) => name,
            _ => format!("{above}.{name}"),
        }
    }
}

/// A way to ask the ResourceManager, and to have it do things. Of several it finds the active one.
#[async_trait]
pub trait Manager: Send + Sync + fmt::Debug {
    /// The way that calls go from now on.
    fn way(&self) -> YarnApi;

    /// The address that answered last.
    fn active(&self) -> String;

    /// Has an id made for an application to submit.
    async fn new_application(&self) -> Result<NewApplication, RmError>;

    /// Hands an application in once. Good means only that it was read.
    async fn hand_in(&self, submission: &Submission) -> Result<(), SubmitError>;

    /// How an application fares. That it is not known may be so only *now*.
    async fn app(&self, id: ApplicationId) -> Result<AppReport, RmError>;

    /// How an application fares, and what it means if it is not known.
    async fn report(&self, id: ApplicationId) -> Result<Sighting<AppReport>, RmError>;

    /// Asks once for an application's death: its state once it is over. [`RmError::NotFound`] means here
    /// that it is gone for good.
    async fn ask_to_die(&self, id: ApplicationId, words: &str) -> Result<Option<AppState>, RmError>;

    /// When the ResourceManager that is active was started, in milliseconds since the epoch.
    async fn started_ms(&self) -> Result<i64, RmError>;

    /// All nodes, also those that are down.
    async fn nodes(&self) -> Result<Vec<NodeReport>, RmError>;

    /// The queues that applications run in; none when the scheduler has no such thing (FIFO).
    async fn queues(&self) -> Result<Vec<QueueUse>, RmError>;

    /// The containers of an attempt that run.
    async fn containers(&self, attempt: AttemptId) -> Result<Vec<ContainerInfo>, RmError>;

    /// Submits an application and waits until the ResourceManager has decided: good means that it has taken
    /// the application, and the scheduler has. A lost reply, and a ResourceManager that forgot between
    /// reply and decision, are met by sending the same again.
    async fn submit(&self, submission: &Submission, within: Duration) -> Result<AppReport, SubmitError> {
        let id = submission.id;
        let deadline = Instant::now() + within;
        let mut known = false;
        loop {
            let late = || Instant::now() + POLL >= deadline;
            match self.submit_step(submission, &mut known).await {
                Ok(Some(report)) if matches!(report.state, AppState::Failed | AppState::Killed) => {
                    let AppReport { state, diagnostics, .. } = report;
                    return Err(SubmitError::Refused { id, state, diagnostics });
                }
                Ok(Some(report)) => return Ok(report),
                Err(SubmitError::Rm { source, .. }) if source.retry() != Retry::Never && late() => {
                    return Err(SubmitError::Undecided { id, after: within, source: Some(source) });
                }
                Err(error) if error.retry() == Retry::Never => return Err(error),
                Ok(None) if late() => {
                    return Err(SubmitError::Undecided { id, after: within, source: None });
                }
                Ok(None) | Err(_) => tokio::time::sleep(POLL).await,
            }
        }
    }

    /// Hands the application in unless the ResourceManager knows it, then looks: a report once it has
    /// decided.
    async fn submit_step(
        &self,
        submission: &Submission,
        known: &mut bool,
    ) -> Result<Option<AppReport>, SubmitError> {
        if !*known {
            self.hand_in(submission).await?;
            *known = true;
        }
        match self.app(submission.id).await {
            Ok(report) => Ok((!report.state.is_undecided()).then_some(report)),
            Err(RmError::NotFound { .. }) => {
                *known = false;
                Ok(None)
            }
            Err(source) => Err(SubmitError::Rm { id: submission.id, source }),
        }
    }

    /// Kills an application and waits until it is over. The answer is its last state: one that had ended by
    /// itself is not [`AppState::Killed`]. [`RmError::NotFound`] here means that it is gone for good.
    async fn kill(&self, id: ApplicationId, words: &str, within: Duration) -> Result<AppState, RmError> {
        let deadline = Instant::now() + within;
        loop {
            let outcome = self.ask_to_die(id, words).await;
            let late = Instant::now() + POLL >= deadline;
            match outcome {
                Ok(Some(state)) => return Ok(state),
                Ok(None) if late => {
                    let call = Call::changes(format!("kill {id}"));
                    return Err(RmError::Timeout { call, address: self.active(), after: within });
                }
                Err(error) if late || error.retry() == Retry::Never => return Err(error),
                Ok(None) | Err(_) => tokio::time::sleep(POLL).await,
            }
        }
    }
}

#[cfg(test)]
mod tests;
