//! What a container may use, and what a master asks for.

use std::{collections::BTreeMap, fmt};

use super::{ContainerId, NodeId};
use crate::Token;

/// An amount of resources: what a container may use, what a node has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resource {
    /// Memory in MiB.
    pub memory_mib: i64,
    /// Virtual cores.
    pub vcores: i32,
    /// Amounts of the other types that the cluster has, such as `yarn.io/gpu`.
    pub others: BTreeMap<String, i64>,
}

impl Resource {
    /// Memory in MiB and virtual cores, nothing else.
    pub fn new(memory_mib: i64, vcores: i32) -> Self {
        Self { memory_mib, vcores, others: BTreeMap::new() }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cores = if self.vcores == 1 { "core" } else { "cores" };
        write!(f, "{} MiB and {} {cores}", self.memory_mib, self.vcores)?;
        self.others.iter().try_for_each(|(name, amount)| write!(f, " and {amount} {name}"))
    }
}

/// How many containers are wanted *in all* and not yet granted, of one kind at one place. A later ask with
/// the same key replaces the earlier one; the size is not part of the key (`AppSchedulingInfo`), so every
/// size of container needs a priority or an allocation id of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Lower numbers are served first. Part of the key.
    pub priority: i32,
    /// The second part of the key, echoed in the containers granted. Hadoop 2.10 has none.
    pub allocation_id: Option<i64>,
    /// Where. The third part of the key.
    pub place: Place,
    /// The size of each.
    pub size: Resource,
    /// How many are still wanted; 0 takes the ask back.
    pub count: i32,
    /// Only nodes with this label; only together with [`Place::Any`].
    pub node_label: Option<String>,
}

/// Where containers are wanted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// Anywhere.
    Any,
    /// On this host or in this rack, and elsewhere when it has no room. It takes effect only beside asks for
    /// the wider places: the host's rack, and [`Place::Any`].
    Preferred(String),
    /// A wider place, which is there for the sake of a narrower one and not to be used itself.
    Closed(String),
    /// Nowhere but at the narrower places asked for.
    NowhereElse,
}

impl Place {
    /// YARN's name for anywhere (`ResourceRequest.ANY`).
    pub const ANY: &str = "*";

    /// YARN's name of the place.
    pub fn name(&self) -> &str {
        match self {
            Place::Any | Place::NowhereElse => Self::ANY,
            Place::Preferred(name) | Place::Closed(name) => name,
        }
    }

    /// Whether the scheduler may use the place itself.
    pub fn is_open(&self) -> bool {
        matches!(self, Place::Any | Place::Preferred(_))
    }
}

/// A container, wherever its life stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Which.
    pub id: ContainerId,
    /// Where.
    pub node: NodeId,
    /// The web address of the node's NodeManager, host:port.
    pub node_http: String,
    /// Its size, which YARN has rounded up.
    pub size: Resource,
    /// The priority it was asked for with.
    pub priority: i32,
    /// The allocation id it was asked for with.
    pub allocation_id: Option<i64>,
}

/// A container that may be started, within the ten minutes that its token holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Granted {
    /// The container.
    pub container: Container,
    /// What the node wants to see.
    pub token: Token,
}
