//! Which znodes of a dead JobManager may be removed before its session times out. A decision from facts alone.
//!
//! Removing a living JobManager's latch makes two leaders, and waiting for the session's timeout costs seconds:
//! so whatever is not certain is refused.

use std::fmt;

use kobel_plan::Death;

use super::{
    ClusterRoot, SessionId,
    layout::is_loopback,
    zk::{Election, Latches, LeaderNode, Znode},
};

/// What is known of the ZooKeeper sessions of a JobManager's process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sessions {
    /// All that its own log tells, the newest last.
    Logged(Vec<SessionId>),
    /// It has no such log, but while it lived this session owned the leader's `connection_info`, and the address
    /// in that was its own.
    Observed(SessionId),
    /// Nothing.
    Unknown,
}

/// All that is known of a JobManager's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// How its process ended.
    pub death: Death,
    /// Its sessions.
    pub sessions: Sessions,
    /// What it told others its REST API's address is: `http://host:port`.
    pub rest_address: String,
    /// The sessions of the cluster's JobManagers that live.
    pub alive: Vec<SessionId>,
}

/// Why nothing may be removed: the session's own timeout decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody saw it die.
    NotProvenDead(Death),
    /// Nothing tells which session was its own.
    UnknownSession,
    /// The session is said to be a living JobManager's as well.
    SharedSession(SessionId),
    /// The leader's `connection_info` contradicts what is known.
    LeaderDisagrees {
        /// The owner of that znode.
        owner: Option<SessionId>,
        /// The address in it, if it can be read.
        address: Option<String>,
    },
    /// The address in `connection_info` means another process on every machine, and more than one can reach
    /// ZooKeeper.
    AmbiguousAddress(String),
    /// The cluster has no latches.
    NoElection,
    /// More znodes beside the latch than any election has.
    TooMany(usize),
    /// Something that is no latch of Flink's lies among them.
    ForeignLatch(String),
    /// No znode of its sessions is there any more.
    NothingLeft,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NotProvenDead(_) => f.write_str("it is not proven that the JobManager is dead"),
            Refusal::UnknownSession => f.write_str("its ZooKeeper session is not known"),
            Refusal::SharedSession(id) => write!(f, "session {id} is also that of a JobManager that lives"),
            Refusal::LeaderDisagrees { owner: Some(owner), .. } => {
                write!(f, "the leader's connection_info belongs to session {owner}, which does not fit")
            }
            Refusal::LeaderDisagrees { owner: None, .. } => {
                f.write_str("the leader's connection_info does not fit")
            }
            Refusal::AmbiguousAddress(address) => {
                write!(f, "{address} is an address on every machine, and others may use this ZooKeeper")
            }
            Refusal::NoElection => f.write_str("the cluster has no latches in ZooKeeper"),
            Refusal::TooMany(count) => write!(f, "{count} znodes are more than an election has"),
            Refusal::ForeignLatch(name) => write!(f, "{name:?} among the latches is not Flink's"),
            Refusal::NothingLeft => f.write_str("ZooKeeper has removed its znodes already"),
        }
    }
}

/// What may be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// To be removed together or not at all: the latch first, then what the leader published. While the latch is
    /// there nobody else leads, so nobody else can have put his own in place of these.
    pub election: Vec<Znode>,
    /// The sessions whose other ephemeral znodes may go then.
    pub sessions: Vec<SessionId>,
}

impl Fence {
    /// Those of these locks that may go, too: the dead JobManager's, below the cluster's root.
    pub fn locks(&self, root: &ClusterRoot, locks: &[Znode]) -> Vec<Znode> {
        owned(locks, root, &self.sessions)
    }

    /// The paths in the order in which they go.
    pub fn paths(&self) -> Vec<&str> {
        self.election.iter().map(|znode| znode.path.as_str()).collect()
    }
}

/// Decides what may be removed of what ZooKeeper holds, which must have been read after the death was seen.
pub fn fence(evidence: &Evidence, election: &Election) -> Result<Fence, Refusal> {
    if !evidence.death.is_proven() {
        return Err(Refusal::NotProvenDead(evidence.death));
    }
    let sessions = proven_sessions(evidence, election)?;
    if let Some(shared) = sessions.iter().find(|id| evidence.alive.contains(id)) {
        return Err(Refusal::SharedSession(*shared));
    }
    let latches = match &election.latches {
        Latches::Absent => return Err(Refusal::NoElection),
        Latches::TooMany(count) => return Err(Refusal::TooMany(*count)),
        Latches::Present { foreign: Some(name), .. } => return Err(Refusal::ForeignLatch(name.clone())),
        Latches::Present { latches, foreign: None } => latches,
    };
    let mut own = owned(latches, &election.root, &sessions);
    if own.is_empty() {
        return Err(Refusal::NothingLeft);
    }
    own.extend(owned(&election.infos, &election.root, &sessions));
    Ok(Fence { election: own, sessions })
}

fn owned(znodes: &[Znode], root: &ClusterRoot, sessions: &[SessionId]) -> Vec<Znode> {
    let is_owned = |znode: &&Znode| znode.owner.is_some_and(|owner| sessions.contains(&owner));
    znodes.iter().filter(|znode| root.contains(&znode.path)).filter(is_owned).cloned().collect()
}

/// The sessions that are the dead JobManager's beyond doubt.
fn proven_sessions(evidence: &Evidence, election: &Election) -> Result<Vec<SessionId>, Refusal> {
    let (owner, address) = match &election.leader {
        LeaderNode::Absent => (None, None),
        LeaderNode::Unknown(znode) => (znode.owner, None),
        LeaderNode::Known { znode, info } => (znode.owner, Some(info.address.as_str())),
    };
    let disagrees = || Refusal::LeaderDisagrees { owner, address: address.map(String::from) };
    let is_own_address = address.map(|address| address == evidence.rest_address);
    match &evidence.sessions {
        Sessions::Logged(sessions) if !sessions.is_empty() => {
            let is_own_session = owner.is_some_and(|owner| sessions.contains(&owner));
            match is_own_address {
                // Both or neither: the log is another process's, or its last lines are missing.
                Some(own) if own != is_own_session => Err(disagrees()),
                _ => Ok(sessions.clone()),
            }
        }
        Sessions::Observed(session) => match is_own_address {
            Some(true) if owner == Some(*session) => {
                let ambiguous = || Refusal::AmbiguousAddress(evidence.rest_address.clone());
                let unique = election.is_local || !is_on_loopback(&evidence.rest_address);
                if unique { Ok(vec![*session]) } else { Err(ambiguous()) }
            }
            None if owner.is_none() => Err(Refusal::NothingLeft),
            _ => Err(disagrees()),
        },
        Sessions::Logged(_) | Sessions::Unknown => Err(Refusal::UnknownSession),
    }
}

fn is_on_loopback(address: &str) -> bool {
    let url = reqwest::Url::parse(address).ok();
    url.as_ref().and_then(|url| url.host_str()).is_none_or(is_loopback)
}

#[cfg(test)]
#[path = "fence_tests.rs"]
mod tests;
