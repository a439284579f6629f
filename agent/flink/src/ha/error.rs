//! What talking to ZooKeeper can come to.

use std::{fmt, time::Duration};

use kobel_conf::{Category, Explain};
use zookeeper_client::Error;

/// What a server of the quorum is found to be when no session can be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Nobody takes connections there, or the name means nothing.
    Unreachable(String),
    /// It takes connections and says nothing.
    Silent,
    /// It is a ZooKeeper without a quorum.
    NoQuorum,
    /// It is a ZooKeeper that takes no writes.
    ReadOnly,
    /// It is a ZooKeeper that serves.
    Serving,
    /// It is something else.
    NotZooKeeper(String),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Unreachable(why) => write!(f, "cannot be reached ({why})"),
            Finding::Silent => f.write_str("takes connections but does not answer"),
            Finding::NoQuorum => f.write_str("has no quorum"),
            Finding::ReadOnly => f.write_str("is read-only"),
            Finding::Serving => f.write_str("serves, but gave no session in time"),
            Finding::NotZooKeeper(said) => write!(f, "is no ZooKeeper, it said {said:?}"),
        }
    }
}

/// Why ZooKeeper did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum ZkError {
    /// No session was established.
    #[error("could not connect to ZooKeeper: {}", told(findings))]
    Connect {
        /// Each server and what it is found to be.
        findings: Vec<(String, Finding)>,
        /// What the client says.
        source: Option<Error>,
    },
    /// The servers do not accept who we are.
    #[error("ZooKeeper at {quorum} refuses the authentication")]
    Auth {
        /// The servers.
        quorum: String,
    },
    /// The chroot of the quorum is not there, and Flink does not make it.
    #[error("the chroot {chroot} does not exist in ZooKeeper at {quorum}")]
    NoChroot {
        /// The servers.
        quorum: String,
        /// The chroot.
        chroot: String,
    },
    /// A request was refused or lost.
    #[error("could not {attempt} in ZooKeeper at {quorum}")]
    Call {
        /// What was attempted: "read /flink/etl/leader".
        attempt: String,
        /// The servers.
        quorum: String,
        /// Why not.
        source: Error,
    },
    /// No answer within the time allowed. What should have been changed may have been.
    #[error("could not {attempt}: ZooKeeper at {quorum} did not answer within {} s", after.as_secs_f32())]
    Timeout {
        /// What was attempted.
        attempt: String,
        /// The servers.
        quorum: String,
        /// The time allowed.
        after: Duration,
    },
}

fn told(findings: &[(String, Finding)]) -> String {
    let told: Vec<String> = findings.iter().map(|(server, found)| format!("{server} {found}")).collect();
    told.join(", ")
}

impl ZkError {
    /// Whether the session is over, so that only a new client helps.
    pub fn is_terminal(&self) -> bool {
        match self {
            ZkError::Connect { .. } | ZkError::Auth { .. } => true,
            ZkError::Call { source, .. } => {
                matches!(
                    source,
                    Error::SessionExpired | Error::AuthFailed | Error::ClientClosed | Error::NoHosts
                )
            }
            ZkError::NoChroot { .. } | ZkError::Timeout { .. } => false,
        }
    }
}

impl Explain for ZkError {
    fn category(&self) -> Category {
        match self {
            ZkError::Connect { .. } | ZkError::NoChroot { .. } => Category::Environment,
            ZkError::Auth { .. } => Category::Denied,
            ZkError::Call { source: Error::NoAuth | Error::AuthFailed | Error::InvalidAcl, .. } => {
                Category::Denied
            }
            ZkError::Call { source: Error::NotReadOnly, .. } => Category::Environment,
            ZkError::Call { .. } => Category::NotReady,
            ZkError::Timeout { .. } => Category::Timeout,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            ZkError::Connect { findings, .. } => {
                let found = |is: fn(&Finding) -> bool| findings.iter().any(|(_, finding)| is(finding));
                if found(|finding| matches!(finding, Finding::NotZooKeeper(_))) {
                    "give the port that ZooKeeper's clients use (clientPort, 2181 unless set)"
                } else if found(|finding| matches!(finding, Finding::NoQuorum | Finding::ReadOnly)) {
                    "start more of ZooKeeper's servers: more than half of them must run"
                } else {
                    "check high-availability.zookeeper.quorum, and that ZooKeeper runs: echo srvr | nc HOST PORT"
                }
            }
            ZkError::Auth { .. } | ZkError::Call { source: Error::NoAuth | Error::AuthFailed, .. } => {
                "check high-availability.zookeeper.client.authorization and the ACL of the znode: zkCli.sh getAcl PATH"
            }
            ZkError::NoChroot { quorum, chroot } => {
                return Some(format!("zkCli.sh -server {quorum} create {chroot}"));
            }
            ZkError::Call { source: Error::NotReadOnly, .. } => {
                "start more of ZooKeeper's servers: more than half of them must run"
            }
            ZkError::Call { .. } | ZkError::Timeout { .. } => return None,
        };
        Some(hint.into())
    }
}
