//! Addresses of a cluster's own: daemons keep Hadoop's standard ports, each NodeManager is a host of its own, and a
//! restart finds its port free.
//!
//! All are on the loopback device, `127.a.b.0/24`, unless one node is to be a host apart: see [`Wire`].

use std::{
    net::{Ipv4Addr, TcpListener},
    process,
    time::{SystemTime, UNIX_EPOCH},
};

use super::wire::Wire;

/// The port that says "this network is taken" while it is bound.
const CLAIM: u16 = 18020;

/// A network of our own.
pub(crate) enum Network {
    /// Its claim ends with this process, its addresses with the cluster.
    Loopback { second: u8, third: u8, _claim: TcpListener },
    /// With a host at the far end of a wire. It stays until the reaper takes it away.
    Wired(Wire),
}

impl Network {
    /// Takes a free one on loopback.
    pub(crate) fn on_loopback() -> Network {
        let start = anywhere();
        let free = (0..1000).find_map(|step| {
            let place = start.wrapping_add(step) % (250 * 250);
            let (second, third) = ((place / 250 + 2) as u8, (place % 250 + 2) as u8);
            let _claim = TcpListener::bind((Ipv4Addr::new(127, second, third, 254), CLAIM)).ok()?;
            Some(Network::Loopback { second, third, _claim })
        });
        free.expect("a free loopback network")
    }

    /// Takes a free one in which this host is behind a wire.
    #[track_caller]
    pub(crate) fn with_far_host(far: u8) -> Network {
        Network::Wired(Wire::lay(far).expect("a wire"))
    }

    /// The address of a host of it.
    pub(crate) fn host(&self, n: u8) -> String {
        match self {
            Network::Loopback { second, third, .. } => Ipv4Addr::new(127, *second, *third, n).to_string(),
            Network::Wired(wire) => wire.host(n),
        }
    }

    /// The address that calls of hosts on this machine come from, whichever they are of: its device's first.
    pub(crate) fn caller(&self) -> String {
        match self {
            Network::Loopback { .. } => Ipv4Addr::LOCALHOST.to_string(),
            Network::Wired(wire) => wire.host(1),
        }
    }

    /// The wire to the host behind one.
    pub(crate) fn wire(&self) -> Option<&Wire> {
        match self {
            Network::Loopback { .. } => None,
            Network::Wired(wire) => Some(wire),
        }
    }
}

/// Where to begin the search, so that two that begin at the same time seldom meet.
pub(super) fn anywhere() -> u32 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.subsec_nanos());
    time ^ process::id().wrapping_mul(0x9E37_79B9)
}
