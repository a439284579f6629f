//! A loopback network for each cluster, `127.a.b.0/24`: daemons keep Hadoop's standard ports, each NodeManager
//! is a host of its own, and a restart finds its port free.

use std::{
    net::{Ipv4Addr, TcpListener},
    process,
    time::{SystemTime, UNIX_EPOCH},
};

/// The port that says "this network is taken" while it is bound.
const CLAIM: u16 = 18020;

/// A network of our own.
pub(crate) struct Network {
    second: u8,
    third: u8,
    _claim: TcpListener,
}

impl Network {
    /// Takes a free one. The claim ends with this process, the addresses with the cluster.
    pub(crate) fn claim() -> Network {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.subsec_nanos());
        let start = time ^ process::id().wrapping_mul(0x9E37_79B9);
        let free = (0..1000).find_map(|step| {
            let place = start.wrapping_add(step) % (250 * 250);
            let (second, third) = ((place / 250 + 2) as u8, (place % 250 + 2) as u8);
            let claim = TcpListener::bind((Ipv4Addr::new(127, second, third, 254), CLAIM)).ok()?;
            Some(Network { second, third, _claim: claim })
        });
        free.expect("a free loopback network")
    }

    /// The address of a host of it.
    pub(crate) fn host(&self, n: u8) -> String {
        Ipv4Addr::new(127, self.second, self.third, n).to_string()
    }
}
