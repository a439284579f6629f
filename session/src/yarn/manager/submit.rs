//! What submitting an application can come to.

use std::time::Duration;

use kobel_conf::{Category, Explain};
use kobel_hadoop_rpc::{
    Effect, Retry,
    yarn::{AppState, ApplicationId},
};

use super::RmError;

/// An application could not be submitted.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The ResourceManager took the request, and then not the application.
    #[error("YARN did not take {id}: {diagnostics}")]
    Refused {
        /// The application.
        id: ApplicationId,
        /// [`AppState::Failed`], or [`AppState::Killed`] by somebody.
        state: AppState,
        /// The ResourceManager's words.
        diagnostics: String,
    },
    /// The ResourceManager came to no decision in time.
    #[error("YARN has not decided on {id} within {} s", after.as_secs_f32())]
    Undecided {
        /// The application, which may run yet.
        id: ApplicationId,
        /// The time allowed.
        after: Duration,
        /// What went wrong last, if anything did.
        source: Option<RmError>,
    },
    /// The application asks for what REST has no words for.
    #[error("{what} cannot be submitted over REST")]
    NotOverRest {
        /// What it is.
        what: &'static str,
    },
    /// The ResourceManager could not be asked, or refused to listen.
    #[error("could not submit {id}")]
    Rm {
        /// The application.
        id: ApplicationId,
        /// Why not.
        source: RmError,
    },
}

impl SubmitError {
    /// Whether the application may run all the same.
    pub fn effect(&self) -> Effect {
        match self {
            SubmitError::Undecided { .. } => Effect::Unknown,
            SubmitError::Rm { source, .. } => source.effect(),
            SubmitError::Refused { .. } | SubmitError::NotOverRest { .. } => Effect::NotApplied,
        }
    }

    /// Whether submitting the same again is worth a try.
    pub fn retry(&self) -> Retry {
        match self {
            SubmitError::Undecided { .. } => Retry::Now,
            SubmitError::Rm { source, .. } => source.retry(),
            SubmitError::Refused { .. } | SubmitError::NotOverRest { .. } => Retry::Never,
        }
    }
}

impl Explain for SubmitError {
    fn category(&self) -> Category {
        match self {
            SubmitError::Refused { .. } => Category::FailedEnd,
            SubmitError::Undecided { .. } => Category::Timeout,
            SubmitError::NotOverRest { .. } => Category::Environment,
            SubmitError::Rm { source, .. } => source.category(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            SubmitError::NotOverRest { .. } => Some("set yarn.api = \"rpc\" in kobel's file".into()),
            SubmitError::Undecided { id, .. } => Some(format!("yarn application -status {id}")),
            SubmitError::Rm { source, .. } => source.hint(),
            SubmitError::Refused { .. } => None,
        }
    }
}
