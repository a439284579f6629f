//! What a call of the ResourceManager can come to.

use std::{fmt, time::Duration};

use kobel_conf::{Category, Explain};
use kobel_hadoop_rpc::{Effect, Retry, RpcError};

/// A call, as errors name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// What it attempts: "submit application_1_0001".
    attempt: String,
    changes: bool,
}

impl Call {
    pub(in crate::yarn) fn reads(attempt: impl Into<String>) -> Self {
        Self { attempt: attempt.into(), changes: false }
    }

    pub(in crate::yarn) fn changes(attempt: impl Into<String>) -> Self {
        Self { attempt: attempt.into(), changes: true }
    }

    /// What a call without an answer came to.
    fn unanswered(&self) -> Effect {
        if self.changes { Effect::Unknown } else { Effect::NotApplied }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.attempt)
    }
}

/// Why a call of the ResourceManager gave no answer to work with.
#[derive(Debug, thiserror::Error)]
pub enum RmError {
    /// An address is not one that can be called.
    #[error("{address:?} is not the web address of a ResourceManager, such as http://rm:8088")]
    Address {
        /// The address given.
        address: String,
    },
    /// No address was given.
    #[error("no address of a ResourceManager to call")]
    NoAddress,
    /// Its RPC port gave no answer to work with.
    #[error("could not {call} over the ResourceManager's RPC port")]
    Port {
        /// What was attempted.
        call: Call,
        /// What happened.
        source: Box<RpcError>,
    },
    /// The HTTP client could not be made.
    #[error("could not set up an HTTP client")]
    Setup(#[source] reqwest::Error),
    /// Nobody took the request.
    #[error("could not {call}: the ResourceManager at {address} cannot be reached")]
    Unreachable {
        /// What was attempted.
        call: Call,
        /// The address called.
        address: String,
        /// Why not.
        source: reqwest::Error,
    },
    /// Of all ResourceManagers none is the active one now.
    #[error("could not {call}: no ResourceManager of {addresses} is active")]
    NoneActive {
        /// What was attempted.
        call: Call,
        /// All addresses, with commas.
        addresses: String,
    },
    /// The one that answered does not speak this API.
    #[error("could not {call}: {address} is not a YARN ResourceManager, it answered {found}")]
    NotYarn {
        /// What was attempted.
        call: Call,
        /// The address called.
        address: String,
        /// Status and beginning of what came instead.
        found: String,
    },
    /// It wants to know who calls, and a name is not enough (401).
    #[error("could not {call}: the ResourceManager at {address} wants Kerberos or another authentication")]
    Unauthenticated {
        /// What was attempted.
        call: Call,
        /// The address called.
        address: String,
    },
    /// It takes no submissions over REST (`yarn.webapp.enable-rest-app-submissions`).
    #[error("could not {call}: the ResourceManager takes no submissions over REST")]
    SubmissionsOff {
        /// What was attempted.
        call: Call,
    },
    /// The user may not (403).
    #[error("could not {call} as {user}: {message}")]
    Denied {
        /// What was attempted.
        call: Call,
        /// As whom.
        user: String,
        /// The ResourceManager's words.
        message: String,
    },
    /// The ResourceManager refused (400, and others).
    #[error("could not {call}: {message}")]
    Rejected {
        /// What was attempted.
        call: Call,
        /// The class of Hadoop's exception, where it names one.
        exception: String,
        /// Its words.
        message: String,
    },
    /// There is no such thing (404).
    #[error("could not {call}: {message}")]
    NotFound {
        /// What was attempted.
        call: Call,
        /// The ResourceManager's words.
        message: String,
    },
    /// It is there, and not able to answer (503).
    #[error("could not {call}: the ResourceManager is not ready: {message}")]
    Unavailable {
        /// What was attempted.
        call: Call,
        /// Its words.
        message: String,
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
    Lost {
        /// What was attempted.
        call: Call,
        /// What happened to the connection.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What the ResourceManager says to who may not use a queue (`RMAppManager`), or not touch an application
/// (`ClientRMService.verifyUserAccessForRMApp`): under no exception of its own, and on its web as a 400.
const DENIALS: [&str; 2] = ["does not have permission to submit", "cannot perform operation"];

/// A message without the names of the exceptions that it was wrapped in.
fn without_classes(message: &str) -> &str {
    let is_class = |text: &str| text.contains('.') && !text.contains(' ');
    match message.split_once(": ") {
        Some((class, rest)) if is_class(class) => without_classes(rest),
        _ => message,
    }
}

impl RmError {
    /// It refused, in these words.
    pub(in crate::yarn) fn refused(call: Call, user: &str, exception: String, message: String) -> Self {
        match DENIALS.iter().any(|denial| message.contains(denial)) {
            true => RmError::Denied { call, user: user.into(), message: without_classes(&message).into() },
            false => RmError::Rejected { call, exception, message },
        }
    }

    /// Whether the call took effect all the same.
    pub fn effect(&self) -> Effect {
        match self {
            RmError::NotYarn { call, .. }
            | RmError::Timeout { call, .. }
            | RmError::Lost { call, .. }
            | RmError::Unavailable { call, .. } => call.unanswered(),
            RmError::Port { source, .. } => source.effect(),
            _ => Effect::NotApplied,
        }
    }

    /// Whether it is the web that does not serve this, so that the RPC port may.
    pub(super) fn is_of_the_web(&self) -> bool {
        matches!(
            self,
            RmError::Unreachable { .. }
                | RmError::NotYarn { .. }
                | RmError::SubmissionsOff { .. }
                | RmError::Unauthenticated { .. }
                | RmError::Denied { call: Call { changes: true, .. }, .. }
        )
    }

    /// Whether it is worth another try. Every call of the ResourceManager may be repeated: an application that is
    /// submitted or killed twice is so once.
    pub fn retry(&self) -> Retry {
        match self {
            RmError::Timeout { .. } | RmError::Lost { .. } => Retry::Now,
            RmError::Unreachable { .. } | RmError::NoneActive { .. } | RmError::Unavailable { .. } => {
                Retry::After
            }
            RmError::Port { source, .. } => source.retry(),
            _ => Retry::Never,
        }
    }
}

impl Explain for RmError {
    fn category(&self) -> Category {
        match self {
            RmError::Address { .. }
            | RmError::NoAddress
            | RmError::NotYarn { .. }
            | RmError::SubmissionsOff { .. }
            | RmError::Unreachable { .. }
            | RmError::Port { .. }
            | RmError::NoneActive { .. } => Category::Environment,
            RmError::Unavailable { .. } => Category::NotReady,
            RmError::Unauthenticated { .. } | RmError::Denied { .. } => Category::Denied,
            RmError::NotFound { .. } => Category::NotFound,
            RmError::Rejected { .. } => Category::FailedEnd,
            RmError::Timeout { .. } => Category::Timeout,
            RmError::Setup(_) | RmError::Lost { .. } => Category::Other,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            RmError::Address { .. } | RmError::NoAddress | RmError::NotYarn { .. } => {
                "set yarn.resourcemanager.webapp.address in yarn-site.xml, where HADOOP_CONF_DIR leads".into()
            }
            RmError::SubmissionsOff { .. } => "set yarn.api = \"rpc\" in kobel's file, or \
                yarn.webapp.enable-rest-app-submissions to true on the ResourceManager"
                .into(),
            RmError::Unauthenticated { .. } => "kinit".into(),
            RmError::Port { .. } => {
                "set yarn.resourcemanager.address in yarn-site.xml, where HADOOP_CONF_DIR leads".into()
            }
            RmError::Unreachable { address, .. } => format!("curl {address}/ws/v1/cluster/info"),
            RmError::NoneActive { .. } => "yarn rmadmin -getAllServiceState".into(),
            _ => return None,
        })
    }
}
