//! What can go wrong between the agent and its provider.

use std::io;

use kobel_conf::explain::{Category, Explain};
use kobel_plan::{Attempt, WorkerId};

/// A call of a [`Provider`](crate::Provider) that failed. The fate of a worker is never told this
/// way: it comes as an event.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// Something on this machine refused.
    #[error("could not {attempt} {what}")]
    Io {
        /// What was tried: "create", "read".
        attempt: &'static str,
        /// On what.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// A worker's next process was asked for while a former one is neither gone nor released.
    #[error("could not start {id}.{attempt}: {id}.{living} is alive and was not released")]
    NotReleased {
        /// Whose.
        id: WorkerId,
        /// The attempt asked for.
        attempt: Attempt,
        /// The attempt that lives.
        living: Attempt,
    },
    /// A worker's process was asked for after a later one of it: whoever asks was replaced.
    #[error("could not start {id}.{attempt}: {id}.{newer} was already asked for")]
    Superseded {
        /// Whose.
        id: WorkerId,
        /// The attempt asked for.
        attempt: Attempt,
        /// The later one.
        newer: Attempt,
    },
    /// It has no process that lives.
    #[error("{id}.{attempt} has no living process")]
    NotAlive {
        /// Whose.
        id: WorkerId,
        /// Which of them.
        attempt: Attempt,
    },
    /// The process is on another node, which does no such thing.
    #[error(
        "{id}.{attempt} runs in a container of YARN's, whose node would kill it and do nothing else to it"
    )]
    OutOfReach {
        /// Whose.
        id: WorkerId,
        /// Which of them.
        attempt: Attempt,
    },
    /// YARN refused, or does not answer.
    #[error("could not {attempt} at YARN: {why}")]
    Yarn {
        /// What was tried: "register", "unregister".
        attempt: &'static str,
        /// YARN's words.
        why: String,
    },
    /// The task behind the provider ended, which only a bug or the end of the runtime brings about.
    #[error("could not reach the provider's task: it ended")]
    Ended,
}

impl ProviderError {
    /// Names what was tried on what, for `map_err`.
    pub(crate) fn io(attempt: &'static str, what: impl ToString) -> impl FnOnce(io::Error) -> Self {
        let what = what.to_string();
        move |source| Self::Io { attempt, what, source }
    }
}

impl Explain for ProviderError {
    fn category(&self) -> Category {
        match self {
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => Category::Denied,
            Self::Io { .. } => Category::Environment,
            Self::Yarn { .. } => Category::Environment,
            Self::NotAlive { .. } => Category::NotReady,
            Self::OutOfReach { .. } => Category::Environment,
            Self::NotReleased { .. } | Self::Superseded { .. } | Self::Ended => Category::Other,
        }
    }

    fn hint(&self) -> Option<String> {
        let Self::Io { what, source, .. } = self else { return None };
        match source.kind() {
            io::ErrorKind::PermissionDenied => Some(format!("check with `ls -ld` who may use {what}")),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Some(format!("make room where {what} is; `df -h` shows how much there is"))
            }
            _ => None,
        }
    }
}
