//! What a call of one of YARN's protocols can come to, beyond what any call can.

use super::{Malformed, NodeId};
use crate::{Effect, Retry, RpcError};

/// A master's call of the ResourceManager failed.
#[derive(Debug, thiserror::Error)]
pub enum MasterError {
    /// This attempt is over: killed, given up as dead, or followed by another. Whoever reads this must end
    /// itself at once, and its processes; there is nothing left that it may stop elsewhere.
    #[error("this attempt of the application is over: {told}")]
    AttemptOver {
        /// The ResourceManager's words.
        told: String,
    },
    /// The ResourceManager has forgotten the master since it was started anew or another took over: it
    /// must register again, and send all that it still wants.
    #[error("the ResourceManager wants the master to register again")]
    NotRegistered,
    /// Another heartbeat came in between.
    #[error("heartbeats are out of step: the ResourceManager expects number {expected}")]
    OutOfStep {
        /// The number of the heartbeat that it expects.
        expected: i32,
    },
    /// The ResourceManager refused the whole heartbeat, and nothing of it applies.
    #[error("the ResourceManager refused: {message}")]
    Refused {
        /// The class of Hadoop's exception.
        class: String,
        /// Its words.
        message: String,
    },
    /// The answer makes no sense.
    #[error("could not read the ResourceManager's answer")]
    Malformed(#[from] Malformed),
    /// The call failed.
    #[error("could not reach the ResourceManager's scheduler")]
    Rpc(#[source] RpcError),
}

impl MasterError {
    /// Whether the call took effect.
    pub fn effect(&self) -> Effect {
        match self {
            MasterError::Malformed(_) => Effect::Applied,
            MasterError::Rpc(source) => source.effect(),
            _ => Effect::NotApplied,
        }
    }

    /// Whether it is worth another try.
    pub fn retry(&self) -> Retry {
        match self {
            MasterError::AttemptOver { .. } => Retry::Fenced,
            MasterError::NotRegistered | MasterError::OutOfStep { .. } => Retry::Now,
            MasterError::Refused { .. } | MasterError::Malformed(_) => Retry::Never,
            MasterError::Rpc(source) => source.retry(),
        }
    }
}

impl From<RpcError> for MasterError {
    fn from(source: RpcError) -> Self {
        let fenced = matches!(source.retry(), Retry::Fenced);
        let Some(exception) = source.exception() else { return MasterError::Rpc(source) };
        let message = exception.message.clone();
        let is = |class: &str| exception.is(class);
        if fenced || is("ApplicationAttemptNotFoundException") {
            MasterError::AttemptOver { told: message }
        } else if is("ApplicationMasterNotRegisteredException") {
            MasterError::NotRegistered
        } else if let Some(expected) = expected_response(&message)
            && is("InvalidApplicationMasterRequestException")
        {
            MasterError::OutOfStep { expected }
        } else if exception.class.starts_with("org.apache.hadoop.yarn.exceptions.") {
            MasterError::Refused { class: exception.class.clone(), message }
        } else {
            MasterError::Rpc(source)
        }
    }
}

/// The number in "... expect responseId to be 7 but get 5" (`ApplicationMasterService.allocate`).
fn expected_response(message: &str) -> Option<i32> {
    let (_, rest) = message.split_once("expect responseId to be ")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// A call of a NodeManager failed as a whole.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The answer makes no sense.
    #[error("could not read the NodeManager's answer")]
    Malformed(#[from] Malformed),
    /// The call failed.
    #[error("could not {attempt} on node {node}")]
    Rpc {
        /// The node.
        node: NodeId,
        /// The method.
        attempt: &'static str,
        /// Why not.
        source: RpcError,
    },
}

impl NodeError {
    /// Whether the call took effect.
    pub fn effect(&self) -> Effect {
        match self {
            NodeError::Malformed(_) => Effect::Unknown,
            NodeError::Rpc { source, .. } => source.effect(),
        }
    }

    /// Whether it is worth another try.
    pub fn retry(&self) -> Retry {
        match self {
            NodeError::Malformed(_) => Retry::Never,
            NodeError::Rpc { source, .. } => source.retry(),
        }
    }
}

/// A client's call of the ResourceManager failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The ResourceManager does not know the application: it never did, or has forgotten it.
    #[error("the ResourceManager does not know the application: {message}")]
    NoSuchApplication {
        /// Its words.
        message: String,
    },
    /// The ResourceManager refused.
    #[error("the ResourceManager refused: {message}")]
    Refused {
        /// The class of Hadoop's exception.
        class: String,
        /// Its words.
        message: String,
    },
    /// The answer makes no sense.
    #[error("could not read the ResourceManager's answer")]
    Malformed(#[from] Malformed),
    /// The call failed.
    #[error("could not reach the ResourceManager")]
    Rpc(#[source] RpcError),
}

impl ClientError {
    /// Whether the call took effect.
    pub fn effect(&self) -> Effect {
        match self {
            ClientError::Malformed(_) => Effect::Unknown,
            ClientError::Rpc(source) => source.effect(),
            _ => Effect::NotApplied,
        }
    }

    /// Whether it is worth another try.
    pub fn retry(&self) -> Retry {
        match self {
            ClientError::Rpc(source) => source.retry(),
            _ => Retry::Never,
        }
    }
}

impl From<RpcError> for ClientError {
    fn from(source: RpcError) -> Self {
        let Some(exception) = source.exception() else { return ClientError::Rpc(source) };
        let message = exception.message.clone();
        if exception.is("ApplicationNotFoundException") {
            ClientError::NoSuchApplication { message }
        } else if exception.class.starts_with("org.apache.hadoop.yarn.exceptions.") {
            ClientError::Refused { class: exception.class.clone(), message }
        } else {
            ClientError::Rpc(source)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::expected_response;

    #[test]
    fn the_expected_number_is_read_from_the_words() {
        let text = "Invalid responseId in AllocateRequest from application attempt: \
                    appattempt_1_0001_000001, expect responseId to be 12 but get 9";
        assert_eq!(expected_response(text), Some(12));
        for other in ["", "expect responseId to be ", "expect responseId to be 99999999999 but"] {
            assert_eq!(expected_response(other), None);
        }
    }
}
