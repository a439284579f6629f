//! What a call of Flink's REST API can come to.

use std::{fmt, time::Duration};

use kobel_conf::{Category, Explain};

/// Whether what was asked for has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It has not, and will not.
    NotApplied,
    /// It has.
    Applied,
    /// It may have: ask before asking again.
    Unknown,
}

/// What a call changes at Flink, from which follows what a failure may have left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Changes {
    /// Nothing: it only reads.
    Nothing,
    /// Something, unless it is refused.
    IfAccepted,
    /// Something, perhaps even when it is refused: a program's `main` ran before the refusal.
    EvenIfRefused,
}

/// A call, as errors name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// What it attempts: "cancel job 00ff…".
    attempt: String,
    changes: Changes,
}

impl Call {
    pub(crate) fn reads(attempt: impl Into<String>) -> Self {
        Self { attempt: attempt.into(), changes: Changes::Nothing }
    }

    pub(crate) fn changes(attempt: impl Into<String>) -> Self {
        Self { attempt: attempt.into(), changes: Changes::IfAccepted }
    }

    pub(crate) fn runs(attempt: impl Into<String>) -> Self {
        Self { attempt: attempt.into(), changes: Changes::EvenIfRefused }
    }

    pub(crate) fn runs_a_program(&self) -> bool {
        self.changes == Changes::EvenIfRefused
    }

    /// What a call without an answer came to.
    fn unanswered(&self) -> Effect {
        if self.changes == Changes::Nothing { Effect::NotApplied } else { Effect::Unknown }
    }

    /// What a call that Flink refused came to.
    fn refused(&self) -> Effect {
        if self.runs_a_program() { Effect::Unknown } else { Effect::NotApplied }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.attempt)
    }
}

/// Why a call of Flink's REST API gave no answer to work with.
#[derive(Debug, thiserror::Error)]
pub enum RestError {
    /// The address is not one that can be called.
    #[error("{address:?} is not the address of a REST API, such as http://localhost:8081")]
    Address {
        /// The address given.
        address: String,
    },
    /// The HTTP client could not be made.
    #[error("could not set up an HTTP client for {address}")]
    Client {
        /// The address to be called.
        address: String,
        /// Why not.
        source: reqwest::Error,
    },
    /// A file to be sent could not be read.
    #[error("could not read {file} to {call}")]
    File {
        /// What was attempted.
        call: Call,
        /// The file.
        file: String,
        /// Why not.
        source: std::io::Error,
    },
    /// Nobody took the request.
    #[error("could not {call}: {address} cannot be reached")]
    Unreachable {
        /// What was attempted.
        call: Call,
        /// The address called.
        address: String,
        /// Why not.
        source: reqwest::Error,
    },
    /// The one that answered does not speak Flink's REST API.
    #[error("could not {call}: {address} is not Flink's REST API, it answered {found}")]
    NotFlink {
        /// What was attempted.
        call: Call,
        /// The address called.
        address: String,
        /// Status and beginning of what came instead.
        found: String,
    },
    /// Flink does not know the job, jar or path.
    #[error("could not {call}: {cause}")]
    NotFound {
        /// What was attempted.
        call: Call,
        /// Flink's words.
        cause: String,
    },
    /// There is no leading JobManager now: try again.
    #[error("could not {call}: {cause}")]
    Unavailable {
        /// What was attempted.
        call: Call,
        /// Flink's words.
        cause: String,
    },
    /// Flink refused.
    #[error("could not {call}: {cause}")]
    Rejected {
        /// What was attempted.
        call: Call,
        /// HTTP status.
        status: u16,
        /// The line of Flink's trace that says why.
        cause: String,
        /// All that Flink said, Java traces included.
        trace: String,
    },
    /// No answer within the time allowed.
    #[error("could not {call}: {address} did not answer within {} s", after.as_secs_f32())]
    Timeout {
        /// What was attempted.
        call: Call,
        /// The address called.
        address: String,
        /// The time allowed.
        after: Duration,
    },
    /// The request was sent and its reply lost.
    #[error("the reply to {call:?} was lost", call = call.to_string())]
    Unknown {
        /// What was attempted.
        call: Call,
        /// Whether a good status had come already, and only the rest of the reply was lost.
        accepted: bool,
        /// What happened to the connection.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl RestError {
    /// Whether there may be an answer a little later: nobody leads now, or whoever did died over this call.
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            RestError::Unreachable { .. }
                | RestError::Unavailable { .. }
                | RestError::Timeout { .. }
                | RestError::Unknown { .. }
        )
    }

    /// Whether the call took effect all the same.
    pub fn effect(&self) -> Effect {
        match self {
            RestError::Address { .. }
            | RestError::Client { .. }
            | RestError::File { .. }
            | RestError::Unreachable { .. }
            | RestError::NotFound { .. }
            | RestError::Unavailable { .. } => Effect::NotApplied,
            RestError::Rejected { call, .. } => call.refused(),
            RestError::Unknown { call, accepted: true, .. } if call.changes != Changes::Nothing => {
                Effect::Applied
            }
            RestError::NotFlink { call, .. }
            | RestError::Timeout { call, .. }
            | RestError::Unknown { call, .. } => call.unanswered(),
        }
    }
}

impl Explain for RestError {
    fn category(&self) -> Category {
        match self {
            RestError::Address { .. } => Category::Usage,
            RestError::NotFound { .. } => Category::NotFound,
            RestError::Unreachable { .. } | RestError::Unavailable { .. } => Category::NotReady,
            RestError::NotFlink { .. } | RestError::File { .. } => Category::Environment,
            RestError::Rejected { .. } => Category::FailedEnd,
            RestError::Timeout { .. } => Category::Timeout,
            RestError::Client { .. } | RestError::Unknown { .. } => Category::Other,
        }
    }
}
