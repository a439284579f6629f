//! A host that can be cut off from all others: a network namespace, and one wire to it (a veth pair). The addresses of
//! all others are on the near end of the wire, so what is between them and that host goes over it.
//!
//! Both ends have one hardware address, and neither looks for any (ARP is off): what one sends is for the other. The
//! wire is cut by giving the far end another hardware address: from then on each end takes what arrives for somebody
//! else's and drops it. So nobody is told. No link goes down, no route and no address changes, nothing is refused:
//! it is as if a switch in between had died.

use std::{fs, io, process::Command};

use super::network::anywhere;
use crate::artifacts;

/// The networks to choose from: `198.18.0.0/15`, which is set aside for test beds (RFC 2544).
const PLACES: u32 = 512;
/// The hardware address of both ends.
const OURS: &str = "02:00:00:00:00:01";
/// That of the far end while the wire is cut.
const STRANGE: &str = "02:00:00:00:00:02";

/// A wire to a host of its own.
pub struct Wire {
    second: u8,
    third: u8,
}

impl Wire {
    /// Whether this machine lets us lay one, which takes root and `ip`. If not, says so; under CI `ip` must not be
    /// missing.
    pub(crate) fn can_be_laid() -> bool {
        let why = match Wire::lay(2).map(|wire| wire.remove()) {
            Ok(()) => return true,
            Err(why) => why,
        };
        if why.kind() == io::ErrorKind::NotFound {
            artifacts::missing("ip", "apt-get install -y iproute2");
        } else {
            eprintln!("skipped: no host of its own can be made here: {why}");
        }
        false
    }

    /// Lays one in a free network, whose host of this number is at its far end. Those of lower numbers are here.
    pub(crate) fn lay(far: u8) -> io::Result<Wire> {
        let start = anywhere();
        for step in 0..PLACES {
            let place = start.wrapping_add(step) % PLACES;
            let wire = Wire { second: (18 + place / 256) as u8, third: (place % 256) as u8 };
            match ip(&format!("netns add {}", wire.name())) {
                Ok(()) => return wire.connect(far).map(|()| wire),
                Err(error) if error.to_string().contains("File exists") => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("every network is taken"))
    }

    fn connect(&self, far: u8) -> io::Result<()> {
        let name = self.name();
        let pair = format!("{name} address {OURS} type veth peer name eth0 address {OURS} netns {name}");
        let mut steps = vec![format!("link add {pair}"), format!("link set {name} arp off up")];
        steps.extend((1..far).map(|n| format!("addr add {}/24 dev {name}", self.host(n))));
        let there = |step: &str| format!("-n {name} {step}");
        steps.push(there(&format!("addr add {}/24 dev eth0", self.host(far))));
        steps.extend(["link set lo up", "link set eth0 arp off up"].map(there));
        let laid = steps.iter().try_for_each(|step| ip(step));
        laid.inspect_err(|_| self.remove())
    }

    /// Takes it away; of a cluster's, the reaper does so. The namespace goes with its last process.
    fn remove(&self) {
        for what in ["link", "netns"] {
            let _ = ip(&format!("{what} del {}", self.name()));
        }
    }

    /// The name of its near end and of the namespace at its far end.
    pub fn name(&self) -> String {
        format!("kobel-{}-{}", self.second, self.third)
    }

    /// The address of a host.
    pub(crate) fn host(&self, n: u8) -> String {
        format!("198.{}.{}.{n}", self.second, self.third)
    }

    /// From now on nothing passes, either way, and nobody is told.
    #[track_caller]
    pub fn cut(&self) {
        self.be_at(STRANGE);
    }

    /// All passes again.
    #[track_caller]
    pub fn heal(&self) {
        self.be_at(OURS);
    }

    #[track_caller]
    fn be_at(&self, address: &str) {
        ip(&format!("-n {} link set eth0 address {address}", self.name())).expect("the wire is there");
    }

    /// Whether nothing is left of the one by this name.
    pub fn is_gone(name: &str) -> bool {
        ["/run/netns", "/sys/class/net"].iter().all(|dir| fs::metadata(format!("{dir}/{name}")).is_err())
    }
}

/// Runs `ip` with these words.
fn ip(words: &str) -> io::Result<()> {
    let out = Command::new("ip").args(words.split_whitespace()).output()?;
    let failed = || format!("ip {words}: {}", String::from_utf8_lossy(&out.stderr).trim());
    if out.status.success() { Ok(()) } else { Err(io::Error::other(failed())) }
}
