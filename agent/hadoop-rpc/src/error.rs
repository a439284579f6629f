//! What a call can fail with, and what a caller may conclude from it.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::proto::common::RpcResponseHeaderProto;
pub use crate::proto::common::rpc_response_header_proto::RpcErrorCodeProto as ErrorCode;
use crate::sasl::SaslError;
use crate::wire::WireError;

/// Did a failed call take effect at the server?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing was done.
    NotApplied,
    /// It was done, only its answer could not be used.
    Applied,
    /// It may have been done: the answer got lost, or does not tell.
    Unknown,
}

/// Is it worth calling again?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// At once, at another address if there is one.
    Now,
    /// After a pause.
    After,
    /// It would fail again.
    Never,
    /// The server has taken another in the caller's place: stop, and touch nothing.
    Fenced,
}

/// An exception of Java that a server answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteException {
    /// The class with its package.
    pub class: String,
    /// The message's first line; a stack trace follows it on the wire.
    pub message: String,
    /// What the server's RPC layer says of it.
    pub code: Option<ErrorCode>,
}

impl RemoteException {
    const STANDBY: &str = "org.apache.hadoop.ipc.StandbyException";
    const RETRIABLE: &str = "org.apache.hadoop.ipc.RetriableException";
    const INVALID_TOKEN: &str = "org.apache.hadoop.security.token.SecretManager$InvalidToken";
    /// What becomes of a token whose password is wrong.
    const SASL: &str = "javax.security.sasl.SaslException";
    const ATTEMPT_GONE: &str = "org.apache.hadoop.yarn.exceptions.ApplicationAttemptNotFoundException";
    const YARN: &str = "org.apache.hadoop.yarn.exceptions.";
    const SECURITY: &str = "org.apache.hadoop.security.";

    pub(crate) fn new(class: Option<String>, message: Option<&str>, code: Option<ErrorCode>) -> Self {
        let message = message.unwrap_or_default();
        // Many messages begin with the class again, as Java's `Throwable.toString` has it.
        let class =
            class.filter(|class| !class.is_empty()).unwrap_or_else(|| "java.lang.Throwable".to_owned());
        let line = message.lines().next().unwrap_or_default();
        let line = line.strip_prefix(class.as_str()).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(line);
        Self { message: line.trim().to_owned(), class, code }
    }

    /// Whether it is of this class, given with or without its package.
    pub fn is(&self, class: &str) -> bool {
        self.class == class || self.simple_class() == class
    }

    /// The class without its package; an inner class with its outer one (`SecretManager$InvalidToken`).
    pub fn simple_class(&self) -> &str {
        self.class.rsplit('.').next().unwrap_or(&self.class)
    }

    /// Another server of the same service is the active one.
    pub fn standby(&self) -> bool {
        self.class == Self::STANDBY
    }

    /// The server says to try again.
    pub fn retriable(&self) -> bool {
        self.class == Self::RETRIABLE
    }

    /// The token that was shown is not, or no longer, good.
    pub fn token_refused(&self) -> bool {
        self.class == Self::INVALID_TOKEN || self.class == Self::SASL
    }

    /// The application attempt that calls is over: killed, expired, or another has begun.
    pub fn fenced(&self) -> bool {
        self.class == Self::ATTEMPT_GONE
            || self.token_refused() && self.message.contains("not found in AMRMTokenSecretManager")
    }

    fn effect(&self) -> Effect {
        let refused_before_the_method = matches!(
            self.code,
            Some(
                ErrorCode::ErrorNoSuchMethod
                    | ErrorCode::ErrorNoSuchProtocol
                    | ErrorCode::ErrorRpcServer
                    | ErrorCode::ErrorRpcVersionMismatch
                    | ErrorCode::FatalUnsupportedSerialization
                    | ErrorCode::FatalInvalidRpcHeader
                    | ErrorCode::FatalDeserializingRequest
                    | ErrorCode::FatalVersionMismatch
                    | ErrorCode::FatalUnauthorized
            )
        );
        if self.code == Some(ErrorCode::ErrorSerializingResponse) {
            return Effect::Applied;
        }
        // A plain YarnException only wraps another, an IOException for one.
        let typed = self.class.starts_with(Self::YARN) && !self.is("YarnException");
        let declined = typed || self.class.starts_with(Self::SECURITY) || self.standby() || self.retriable();
        if refused_before_the_method || declined { Effect::NotApplied } else { Effect::Unknown }
    }

    fn retry(&self) -> Retry {
        match self {
            _ if self.fenced() => Retry::Fenced,
            _ if self.standby() => Retry::Now,
            _ if self.retriable() => Retry::After,
            _ => Retry::Never,
        }
    }
}

impl From<RpcResponseHeaderProto> for RemoteException {
    fn from(header: RpcResponseHeaderProto) -> Self {
        let code = header.error_detail.and_then(|code| ErrorCode::try_from(code).ok());
        Self::new(header.exception_class_name, header.error_msg.as_deref(), code)
    }
}

impl fmt::Display for RemoteException {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.message.is_empty() {
            f.write_str(self.simple_class())
        } else {
            write!(f, "{}: {}", self.simple_class(), self.message)
        }
    }
}

/// How a connection ended under its calls.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Lost {
    /// The server closed it.
    #[error("the server closed the connection")]
    Closed,
    /// The kernel says so.
    #[error(transparent)]
    Io(Arc<io::Error>),
    /// The server sent what cannot be understood.
    #[error("the server sent {0}")]
    Wire(WireError),
    /// The server sent what its key does not verify or open.
    #[error(transparent)]
    Sasl(SaslError),
    /// The server gave up on the connection and said why.
    #[error("the server gave up on the connection with {0}")]
    Fatal(RemoteException),
    /// This side closed it.
    #[error("the connection was closed here")]
    Here,
}

/// A call that failed.
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// No address to call.
    #[error("no address of a {protocol} to call")]
    NoAddress {
        /// Which service is wanted.
        protocol: &'static str,
    },
    /// TCP found no way.
    #[error("cannot connect to {address}")]
    Connect {
        /// Where to.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A connection that does not come about in its time.
    #[error("{address} did not {step} within {after:?}")]
    ConnectTimeout {
        /// Where to.
        address: String,
        /// How far it came.
        step: &'static str,
        /// How long it was given.
        after: Duration,
    },
    /// The handshake broke off.
    #[error("the connection to {address} broke off before its first call")]
    Handshake {
        /// Where to.
        address: String,
        /// How.
        #[source]
        source: Lost,
    },
    /// The server and this side cannot agree on who is who.
    #[error("cannot authenticate with {address}")]
    Sasl {
        /// Where to.
        address: String,
        /// Why.
        #[source]
        source: SaslError,
    },
    /// The server refused the connection, and with it every call on it.
    #[error("{address} refused the connection: {exception}")]
    Refused {
        /// Who.
        address: String,
        /// Why.
        exception: RemoteException,
    },
    /// The server answered with an exception.
    #[error("{method} failed at {address}: {exception}")]
    Remote {
        /// What was called.
        method: &'static str,
        /// Who answered.
        address: String,
        /// With what.
        exception: RemoteException,
    },
    /// The connection ended before the answer came.
    #[error("lost the connection to {address} with {method} under way")]
    Lost {
        /// What was called.
        method: &'static str,
        /// Where.
        address: String,
        /// Whether the whole request had been handed to the network.
        sent: bool,
        /// How it ended.
        #[source]
        source: Lost,
    },
    /// No answer in time.
    #[error("{address} did not answer {method} within {after:?}")]
    Deadline {
        /// What was called.
        method: &'static str,
        /// Where; the last address, if several were tried.
        address: String,
        /// Whether the whole request had been handed to the network.
        sent: bool,
        /// How long it was given.
        after: Duration,
    },
    /// The call succeeded, but its answer is not what it should be.
    #[error("{address} answered {method} with something else than its response")]
    Reply {
        /// What was called.
        method: &'static str,
        /// Who answered.
        address: String,
        /// What is wrong with it.
        #[source]
        source: WireError,
    },
    /// The request is longer than a server takes.
    #[error("{method}: a request of {size} bytes, and servers take {limit}")]
    TooLarge {
        /// What was to be called.
        method: &'static str,
        /// Bytes of the request.
        size: usize,
        /// Bytes that a server takes (`ipc.maximum.data.length`).
        limit: usize,
    },
    /// The system has no random numbers to give.
    #[error("no random numbers from the system")]
    Random(#[source] getrandom::Error),
}

impl RpcError {
    /// The exception of Java in it.
    pub fn exception(&self) -> Option<&RemoteException> {
        match self {
            Self::Refused { exception, .. } | Self::Remote { exception, .. } => Some(exception),
            Self::Lost { source: Lost::Fatal(exception), .. } => Some(exception),
            _ => None,
        }
    }

    /// Whether it is this exception of Java; see [`RemoteException::is`].
    pub fn is(&self, class: &str) -> bool {
        self.exception().is_some_and(|exception| exception.is(class))
    }

    /// The server does not, or no longer, take the token that was shown.
    pub fn token_refused(&self) -> bool {
        self.exception().is_some_and(RemoteException::token_refused)
    }

    /// Did the call take effect?
    pub fn effect(&self) -> Effect {
        match self {
            Self::Remote { exception, .. } => exception.effect(),
            Self::Lost { sent, .. } | Self::Deadline { sent, .. } if *sent => Effect::Unknown,
            Self::Reply { .. } => Effect::Applied,
            _ => Effect::NotApplied,
        }
    }

    /// Is it worth calling again? This looks at the failure alone: whether the call *may* be repeated
    /// depends on [`RpcError::effect`] and the method too.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Refused { exception, .. } | Self::Remote { exception, .. } => exception.retry(),
            Self::Connect { .. } | Self::ConnectTimeout { .. } | Self::Deadline { .. } => Retry::After,
            // What speaks another protocol today does so tomorrow.
            Self::Lost { source: Lost::Wire(WireError::Foreign(_)), .. }
            | Self::Handshake { source: Lost::Wire(WireError::Foreign(_)), .. } => Retry::Never,
            Self::Lost { .. } | Self::Handshake { .. } => Retry::Now,
            Self::NoAddress { .. }
            | Self::Sasl { .. }
            | Self::Reply { .. }
            | Self::TooLarge { .. }
            | Self::Random(_) => Retry::Never,
        }
    }
}

#[cfg(test)]
mod tests;
