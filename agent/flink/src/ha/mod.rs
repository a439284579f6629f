//! Flink's high availability in ZooKeeper, seen from outside: which znodes a cluster has, who leads, and which
//! znodes of a dead JobManager may go before its session times out.
//!
//! Flink (`ZooKeeperLeaderElectionHaServices`, since 1.15) elects one leader per JobManager process:
//!
//! ```text
//! <root>/<cluster-id>/leader/latch/_c_<uuid>-latch-<10 digits>     ephemeral, empty, one of each JobManager
//!                           /leader/<component>/connection_info    ephemeral, the leader's
//!                           /jobgraphs/<job>/locks/<uuid>          ephemeral, the leader's (execution-plans in 2.x)
//!                           /jobs/<job>/checkpoints/<n>/locks/<uuid>
//! ```
//!
//! The znodes do not tell which process made them; the ZooKeeper session that owns them does, and of that a
//! JobManager tells in its log.

pub mod connection_info;
mod error;
mod execute;
pub mod fence;
pub mod layout;
mod leader;
mod remove;
mod session_log;
mod zk;

use std::{fmt, num::NonZeroI64, str::FromStr};

pub use kobel_plan::Death;

pub use connection_info::ConnectionInfo;
pub use error::ZkError;
pub use execute::Fenced;
pub use fence::{Evidence, Fence, Refusal, Sessions, fence};
pub use layout::{ClusterRoot, LayoutError, Quorum};
pub use leader::{LeaderView, LeaderWatch};
pub use remove::Removed;
pub use session_log::SessionLog;
pub use zk::{Access, Election, HaClient, Latches, LeaderNode, Znode};

/// The quorum of a cluster's own ZooKeeper, which listens on loopback.
pub fn embedded_quorum(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// A ZooKeeper session.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(NonZeroI64);

/// What ZooKeeper puts where an ephemeral znode has its owner to mark a container (`EphemeralType.CONTAINER_EPHEMERAL_OWNER`).
const CONTAINER: i64 = i64::MIN;
/// The highest byte of that place in a znode with a time to live (`EphemeralType.TTL`), never of a session then.
const TTL: u64 = 0xff;

impl SessionId {
    /// The session of this number, as ZooKeeper's client and server count.
    pub fn new(id: i64) -> Option<SessionId> {
        NonZeroI64::new(id).map(SessionId)
    }

    /// The session that owns a znode with this `ephemeralOwner`; none owns a persistent znode, a container, or
    /// one with a time to live.
    pub fn owner(ephemeral_owner: i64) -> Option<SessionId> {
        let is_session = ephemeral_owner != CONTAINER && (ephemeral_owner as u64) >> 56 != TTL;
        SessionId::new(ephemeral_owner).filter(|_| is_session)
    }

    /// Its number.
    pub fn get(self) -> i64 {
        self.0.get()
    }
}

/// As ZooKeeper writes it.
impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads what ZooKeeper's client writes: `0x` and hexadecimal digits.
impl FromStr for SessionId {
    type Err = ();

    fn from_str(text: &str) -> Result<SessionId, ()> {
        let digits = text.strip_prefix("0x").filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let id = u64::from_str_radix(digits.ok_or(())?, 16).map_err(|_| ())?;
        SessionId::new(id as i64).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_read_as_it_is_written() {
        for (id, text) in
            [(0x1000_0001, "0x10000001"), (i64::MAX, "0x7fffffffffffffff"), (-2, "0xfffffffffffffffe")]
        {
            let session = SessionId::new(id).unwrap();
            assert_eq!(session.to_string(), text);
            assert_eq!(text.parse(), Ok(session));
        }
        for text in ["", "0x", "0x0", "12", "0x+1", "0xg", "0x10000000000000000", " 0x1"] {
            assert!(text.parse::<SessionId>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn only_ephemeral_znodes_have_an_owner() {
        for persistent in [0, i64::MIN, 0xff00_0000_0000_1000_u64 as i64] {
            assert_eq!(SessionId::owner(persistent), None);
        }
        assert_eq!(SessionId::owner(0x0100_0001), SessionId::new(0x0100_0001));
    }
}
