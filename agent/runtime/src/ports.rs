//! Choosing ports: the front's, and those of the JobManager, which a TaskManager must know before
//! the JobManager listens.
//!
//! A port that is chosen now and bound later by another process is best taken from outside the
//! kernel's ephemeral range, where no outgoing connection can grab it in between; and it is reserved,
//! so that no other agent chooses it in between.

use std::{
    hash::{BuildHasher, RandomState},
    io,
    net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs},
    ops::RangeInclusive,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr as UnixAddr, UnixListener},
    },
};

use kobel_plan::PortChoice;
use serde::{Deserialize, Serialize};

/// Where Linux tells its ephemeral ports: two numbers, both ends included.
const EPHEMERAL: &str = "/proc/sys/net/ipv4/ip_local_port_range";
/// Below this live the well-known servers of most machines.
const LOWEST: u16 = 20_000;
/// Where the cluster's own ZooKeeper listens.
const LOOPBACK: &str = kobel_flink::launch::REST_HOST;
/// So many ports are tried before giving up on finding a free one.
const TRIES: usize = 200;

/// The ports of a JobManager. A restarted one gets the same, so that TaskManagers find it that were told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ports {
    /// Flink's `jobmanager.rpc.port`.
    pub(crate) rpc: u16,
    /// Its REST server's, behind the front.
    pub(crate) rest: u16,
}

/// Why no port could be had.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// The address to bind is none of this machine's.
    #[error("could not resolve the address to bind, {host:?}")]
    Resolve {
        /// The address.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// The user asked for exactly this port or range.
    #[error("could not bind {what} to {host}:{ports}")]
    Pinned {
        /// Whose port it is.
        what: &'static str,
        /// The address.
        host: String,
        /// A port, or `from-to`.
        ports: String,
        /// Why the last one failed.
        source: io::Error,
    },
    /// Not even one free port.
    #[error("found no free port for {what} on {host}")]
    NoneFree {
        /// Whose port it is.
        what: &'static str,
        /// The address.
        host: String,
        /// Why the last one failed.
        source: io::Error,
    },
    /// The search itself broke.
    #[error("could not look for a free port: {0}")]
    Broken(String),
}

/// Keeps other agents from choosing a port that is chosen and not bound yet. It is a name among the
/// abstract Unix sockets, which like the ports belong to the network namespace, and it is gone when
/// the agent is.
#[derive(Debug)]
pub(crate) struct Reservation(#[expect(dead_code)] UnixListener);

impl Reservation {
    fn of(address: SocketAddr) -> io::Result<Self> {
        let name = UnixAddr::from_abstract_name(format!("kobel/port/{address}"))?;
        UnixListener::bind_addr(&name).map(Self)
    }
}

/// A port bound on every address of a host.
#[derive(Debug)]
pub(crate) struct Bound {
    /// The port.
    pub(crate) port: u16,
    /// One listener per address.
    pub(crate) listeners: Vec<TcpListener>,
    /// What remains when another process is to bind it.
    reservations: Vec<Reservation>,
}

impl Ports {
    /// Ports that are free now on these hosts, as chosen.
    pub(crate) fn choose(
        hosts: &Hosts,
        rpc: PortChoice,
        rest: PortChoice,
    ) -> Result<(Self, Vec<Reservation>), PortError> {
        let rpc = bind("the JobManager's RPC port", &hosts.rpc, rpc)?;
        let rest = bind("the JobManager's REST port", &hosts.rest, rest)?;
        let ports = Self { rpc: rpc.port, rest: rest.port };
        Ok((ports, rpc.reservations.into_iter().chain(rest.reservations).collect()))
    }

    /// Ports for a JobManager on a node that nobody knows yet: any for RPC, which ZooKeeper tells, and for REST one
    /// that is likely to be free there and is none of those `taken`, for by it the JobManager is known.
    pub(crate) fn elsewhere(taken: &[u16]) -> Result<Self, PortError> {
        let start = RandomState::new().hash_one(taken) as usize;
        let rest = candidates(ephemeral(), start).find(|port| !taken.contains(port));
        let none = || PortError::Broken("all are taken".into());
        Ok(Self { rpc: 0, rest: rest.ok_or_else(none)? })
    }

    /// Whether a JobManager could bind them now.
    pub(crate) fn are_free(&self, hosts: &Hosts) -> bool {
        let free = |host: &str, port| resolve(host).map_or(true, |ips| listen_all(&ips, port).is_ok());
        free(&hosts.rpc, self.rpc) && free(&hosts.rest, self.rest)
    }
}

/// What a JobManager of this machine binds its ports on.
#[derive(Debug, Clone)]
pub(crate) struct Hosts {
    /// RPC.
    pub(crate) rpc: String,
    /// Its REST server.
    pub(crate) rest: String,
}

/// A free port for the cluster's own ZooKeeper, on loopback.
pub(crate) fn choose_for_zookeeper() -> Result<(u16, Vec<Reservation>), PortError> {
    let bound = bind("ZooKeeper's port", LOOPBACK, PortChoice::Free)?;
    Ok((bound.port, bound.reservations))
}

/// Binds a port as chosen on every address of the host, `localhost` being two.
pub(crate) fn bind(what: &'static str, host: &str, choice: PortChoice) -> Result<Bound, PortError> {
    let ips = resolve(host)?;
    let host = host.to_string();
    match choice {
        PortChoice::Pinned { from, to } => first_free(&ips, from..=to).map_err(|source| {
            let ports = if from == to { from.to_string() } else { format!("{from}-{to}") };
            PortError::Pinned { what, host, ports, source }
        }),
        PortChoice::Prefer(port) => bind_all(&ips, port)
            .or_else(|_| bind_any(&ips))
            .map_err(|source| PortError::NoneFree { what, host, source }),
        PortChoice::Free => bind_any(&ips).map_err(|source| PortError::NoneFree { what, host, source }),
    }
}

fn resolve(host: &str) -> Result<Vec<IpAddr>, PortError> {
    let failed = |source| PortError::Resolve { host: host.into(), source };
    let mut ips: Vec<IpAddr> = (host, 0).to_socket_addrs().map_err(failed)?.map(|addr| addr.ip()).collect();
    // Java binds and dials the IPv4 address of a name; the IPv6 one is there for browsers.
    ips.sort_by_key(IpAddr::is_ipv6);
    ips.dedup();
    if host == "localhost" {
        ips = vec![[127, 0, 0, 1].into(), std::net::Ipv6Addr::LOCALHOST.into()];
    }
    Ok(ips)
}

fn first_free(ips: &[IpAddr], ports: impl IntoIterator<Item = u16>) -> io::Result<Bound> {
    let mut last = io::Error::new(io::ErrorKind::InvalidInput, "the range is empty");
    for port in ports {
        match bind_all(ips, port) {
            Ok(bound) => return Ok(bound),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn bind_any(ips: &[IpAddr]) -> io::Result<Bound> {
    let start = RandomState::new().hash_one(std::process::id()) as usize;
    first_free(ips, candidates(ephemeral(), start).take(TRIES))
}

fn ephemeral() -> RangeInclusive<u16> {
    let told = std::fs::read_to_string(EPHEMERAL).ok().and_then(|text| parse_range(&text));
    told.unwrap_or(32_768..=60_999)
}

/// The ports outside the ephemeral range, from a given place on and around; inside it where there
/// are no others.
fn candidates(ephemeral: RangeInclusive<u16>, start: usize) -> impl Iterator<Item = u16> {
    let outside: Vec<u16> = (LOWEST..=u16::MAX).filter(|port| !ephemeral.contains(port)).collect();
    let ports = if outside.is_empty() { (LOWEST..=u16::MAX).collect() } else { outside };
    let start = start % ports.len();
    (0..ports.len()).map(move |i| ports[(start + i) % ports.len()])
}

fn parse_range(text: &str) -> Option<RangeInclusive<u16>> {
    let mut numbers = text.split_whitespace().map(|n| n.parse::<u16>().ok());
    Some(numbers.next()??..=numbers.next()??)
}

/// Reserves and binds a port, in this order: to try a port that another agent has chosen, however briefly, could be
/// just when its JobManager binds it.
fn bind_all(ips: &[IpAddr], port: u16) -> io::Result<Bound> {
    let reserve = |ip: &IpAddr| Reservation::of(SocketAddr::new(*ip, port));
    let reservations = ips.iter().map(reserve).collect::<io::Result<_>>()?;
    let listeners = listen_all(ips, port)?;
    Ok(Bound { port, listeners, reservations })
}

/// Binds all addresses that this machine has: a port of which another process holds one of the
/// addresses is not free, or `localhost` would reach now the one, now the other.
fn listen_all(ips: &[IpAddr], port: u16) -> io::Result<Vec<TcpListener>> {
    let (mut listeners, mut missing) = (vec![], None);
    for ip in ips {
        match TcpListener::bind(SocketAddr::new(*ip, port)) {
            Ok(listener) => listeners.push(listener),
            Err(error) if is_absent(&error) => missing = Some(error),
            Err(error) => return Err(error),
        }
    }
    match (listeners.is_empty(), missing) {
        (true, Some(error)) => Err(error),
        (true, None) => Err(io::Error::new(io::ErrorKind::AddrNotAvailable, "the host has no address")),
        (false, _) => Ok(listeners),
    }
}

/// Whether the machine lacks this address, as where IPv6 is switched off.
fn is_absent(error: &io::Error) -> bool {
    let no_ipv6 = rustix::io::Errno::AFNOSUPPORT.raw_os_error();
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(no_ipv6)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn here() -> Hosts {
        Hosts { rpc: "localhost".into(), rest: LOOPBACK.into() }
    }

    #[test]
    fn a_port_for_elsewhere_is_none_that_is_taken_and_likely_to_be_free() {
        let ephemeral = ephemeral();
        let mut taken = vec![];
        for _ in 0..100 {
            let Ports { rpc, rest } = Ports::elsewhere(&taken).unwrap();
            assert!(rpc == 0 && !taken.contains(&rest) && !ephemeral.contains(&rest), "{rest}");
            taken.push(rest);
        }
    }

    #[test]
    fn a_free_port_lies_outside_the_ephemeral_range() {
        let ephemeral = parse_range(&std::fs::read_to_string(EPHEMERAL).unwrap()).unwrap();
        let bound = bind("it", "localhost", PortChoice::Free).unwrap();
        assert!(!ephemeral.contains(&bound.port), "{bound:?}");
        assert!(bound.listeners.iter().all(|listener| listener.local_addr().unwrap().port() == bound.port));
    }

    #[test]
    fn a_preferred_port_gives_way_and_a_pinned_one_does_not() {
        let taken = bind("it", "localhost", PortChoice::Free).unwrap();
        let other = bind("it", "localhost", PortChoice::Prefer(taken.port)).unwrap();
        assert_ne!(other.port, taken.port);
        let pinned = PortChoice::Pinned { from: taken.port, to: taken.port };
        let error = bind("the front", "localhost", pinned).unwrap_err();
        assert_eq!(error.to_string(), format!("could not bind the front to localhost:{}", taken.port));
    }

    #[test]
    fn a_range_gives_its_first_free_port() {
        let taken = bind("it", "127.0.0.1", PortChoice::Free).unwrap();
        let range = PortChoice::Pinned { from: taken.port, to: taken.port.saturating_add(20) };
        let other = bind("it", "127.0.0.1", range).unwrap();
        assert!(other.port > taken.port && other.port <= taken.port + 20);
    }

    #[test]
    fn a_port_held_by_another_process_is_seen() {
        let (ports, _reserved) = Ports::choose(&here(), PortChoice::Free, PortChoice::Free).unwrap();
        assert!(ports.are_free(&here()));
        let _held = TcpListener::bind(("127.0.0.1", ports.rpc)).unwrap();
        assert!(!ports.are_free(&here()));
    }

    #[test]
    fn a_port_chosen_and_not_bound_yet_is_no_other_agents() {
        let (first, reserved) = Ports::choose(&here(), PortChoice::Free, PortChoice::Free).unwrap();
        let prefer = PortChoice::Prefer(first.rpc);
        let (second, _reserved) = Ports::choose(&here(), prefer, PortChoice::Free).unwrap();
        assert_ne!(first.rpc, second.rpc);
        drop(reserved);
        assert_eq!(Ports::choose(&here(), prefer, PortChoice::Free).unwrap().0.rpc, first.rpc);
    }

    #[test]
    fn an_unknown_host_is_named() {
        let error = bind("it", "no such host", PortChoice::Free).unwrap_err();
        assert_eq!(error.to_string(), "could not resolve the address to bind, \"no such host\"");
    }

    proptest! {
        #[test]
        fn candidates_are_all_the_ports_outside_once(low in 1024u16.., span in 0u16.., start: usize) {
            let ephemeral = low..=low.saturating_add(span);
            let mut ports: Vec<u16> = candidates(ephemeral.clone(), start).collect();
            let outside = (LOWEST..=u16::MAX).filter(|port| !ephemeral.contains(port)).count();
            prop_assert!(outside == 0 || ports.iter().all(|port| !ephemeral.contains(port)));
            ports.sort_unstable();
            ports.dedup();
            prop_assert_eq!(ports.len(), if outside == 0 { (u16::MAX - LOWEST) as usize + 1 } else { outside });
        }

        #[test]
        fn any_text_is_a_range_or_none(text in ".*") {
            parse_range(&text);
        }
    }
}
