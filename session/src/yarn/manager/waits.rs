//! Why YARN makes an application wait.

use std::fmt;

use kobel_hadoop_rpc::yarn::{AppReport, AppState, NodeReport, NodeState, QueueState, Resource};

use super::QueueUse;

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The size of the container.
    pub size: Resource,
    /// The label that its node must have.
    pub node_label: Option<String>,
}

/// Why an application waits: the first reason that fits, the most certain ones first.
#[derive(Debug, Clone, PartialEq)]
pub enum Wait {
    /// The ResourceManager has not looked at it yet.
    Undecided,
    /// Its master's process starts.
    MasterStarts,
    /// No node runs.
    NoNodes {
        /// How many nodes there are that do not.
        known: usize,
    },
    /// No node that runs has the label.
    NoNodeWithLabel {
        /// The label.
        label: String,
    },
    /// No node is large enough, even when it is free.
    TooLarge {
        /// What is wanted.
        wanted: Resource,
        /// The largest node.
        largest: Resource,
    },
    /// The queue takes nothing.
    QueueStopped {
        /// The queue.
        queue: String,
        /// Where it stands.
        state: QueueState,
    },
    /// The queue's share for ApplicationMasters is used up.
    MasterShare {
        /// The queue.
        queue: String,
        /// What masters use, and may use, where it is known.
        used: Option<(Resource, Resource)>,
    },
    /// The user's share for ApplicationMasters in the queue is used up.
    UserMasterShare {
        /// The queue.
        queue: String,
    },
    /// The queue is at its limit.
    QueueFull {
        /// The queue.
        queue: String,
        /// What it uses.
        used: Resource,
        /// Its limit.
        max: Resource,
    },
    /// The nodes are full.
    NodesFull {
        /// What is wanted.
        wanted: Resource,
        /// The most that one node has left.
        most: Resource,
    },
    /// What YARN says, and nothing that was looked at explains.
    Told {
        /// Its words.
        words: String,
    },
    /// Nothing is known.
    Unknown,
}

impl Wait {
    /// Finds why the application waits for a container. `queues` and `nodes` as they are now; both may be
    /// empty where they could not be had.
    pub fn of(
        report: &AppReport,
        wanted: &Wanted,
        queues: &[QueueUse],
        nodes: Option<&[NodeReport]>,
    ) -> Wait {
        let words = Words::of(&report.diagnostics);
        if report.state.is_undecided() {
            return Wait::Undecided;
        }
        let for_master = report.state == AppState::Accepted;
        if for_master && words.say("AM container is launched") {
            return Wait::MasterStarts;
        }
        let queue = queues.iter().find(|queue| queue.is_named(&report.queue));
        None.or_else(|| nodes.and_then(|nodes| nowhere(wanted, nodes)))
            .or_else(|| queue.and_then(stopped))
            .or_else(|| for_master.then(|| master_share(report, &words, queue)).flatten())
            .or_else(|| queue.and_then(|queue| full(wanted, queue, nodes)))
            .or_else(|| nodes.and_then(|nodes| crowded(wanted, nodes)))
            .or_else(|| words.told())
            .unwrap_or(Wait::Unknown)
    }
}

/// What YARN wrote, less the date before and the details behind.
struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    fn of(diagnostics: &'a str) -> Self {
        let text = match diagnostics.strip_prefix('[').and_then(|text| text.split_once(']')) {
            Some((_date, text)) => text,
            None => diagnostics,
        };
        let text = text.split_once("Details :").map_or(text, |(text, _)| text);
        Self(text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default())
    }

    fn say(&self, text: &str) -> bool {
        self.0.contains(text)
    }

    fn told(&self) -> Option<Wait> {
        (!self.0.is_empty()).then(|| Wait::Told { words: self.0.into() })
    }
}

/// The nodes that would do, were they free; or why there is none.
fn nowhere(wanted: &Wanted, nodes: &[NodeReport]) -> Option<Wait> {
    let running = || nodes.iter().filter(|node| node.state == NodeState::Running);
    if running().next().is_none() {
        return Some(Wait::NoNodes { known: nodes.len() });
    }
    let largest = running().filter(|node| has_label(wanted, node)).map(|node| &node.capacity);
    let Some(largest) = largest.max_by_key(|size| (size.memory_mib, size.vcores)) else {
        return Some(Wait::NoNodeWithLabel { label: wanted.node_label.clone().unwrap_or_default() });
    };
    (largest.memory_mib < wanted.size.memory_mib)
        .then(|| Wait::TooLarge { wanted: wanted.size.clone(), largest: largest.clone() })
}

fn has_label(wanted: &Wanted, node: &NodeReport) -> bool {
    match wanted.node_label.as_deref() {
        None | Some("") => true,
        Some(label) => node.labels.iter().any(|has| has == label),
    }
}

fn stopped(queue: &QueueUse) -> Option<Wait> {
    (queue.state != QueueState::Running)
        .then(|| Wait::QueueStopped { queue: queue.path.clone(), state: queue.state })
}

/// The scheduler says it itself (`CSAMContainerLaunchDiagnosticsConstants`).
fn master_share(report: &AppReport, words: &Words<'_>, queue: Option<&QueueUse>) -> Option<Wait> {
    let name = queue.map_or(&report.queue, |queue| &queue.path).clone();
    if words.say("User's AM resource limit exceeded") {
        return Some(Wait::UserMasterShare { queue: name });
    }
    let used = queue.and_then(|queue| queue.masters.clone().zip(queue.masters_max.clone()));
    words.say("Queue's AM resource limit exceeded").then_some(Wait::MasterShare { queue: name, used })
}

/// Whether the container would take the queue above its limit.
fn full(wanted: &Wanted, queue: &QueueUse, nodes: Option<&[NodeReport]>) -> Option<Wait> {
    let share = queue.max_percent.zip(nodes).map(|(percent, nodes)| {
        let running = nodes.iter().filter(|node| node.state == NodeState::Running);
        let memory: i64 = running.map(|node| node.capacity.memory_mib).sum();
        (memory as f64 * f64::from(percent) / 100.0) as i64
    });
    let max = match (&queue.max, share) {
        (Some(max), _) => max.clone(),
        // The scheduler's default counts memory alone (`DefaultResourceCalculator`).
        (None, Some(memory)) => Resource::new(memory, i32::MAX),
        (None, None) => return None,
    };
    (queue.used.memory_mib + wanted.size.memory_mib > max.memory_mib).then(|| Wait::QueueFull {
        queue: queue.path.clone(),
        used: queue.used.clone(),
        max,
    })
}

/// Whether no node has so much left.
fn crowded(wanted: &Wanted, nodes: &[NodeReport]) -> Option<Wait> {
    let running = nodes.iter().filter(|node| node.state == NodeState::Running && has_label(wanted, node));
    let left = running.map(|node| {
        let (all, used) = (&node.capacity, &node.used);
        Resource::new(all.memory_mib - used.memory_mib, all.vcores - used.vcores)
    });
    let most = left.max_by_key(|left| (left.memory_mib, left.vcores))?;
    (most.memory_mib < wanted.size.memory_mib).then(|| Wait::NodesFull { wanted: wanted.size.clone(), most })
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wait::Undecided => f.write_str("the ResourceManager has not looked at it yet"),
            Wait::MasterStarts => f.write_str("its ApplicationMaster is starting"),
            Wait::NoNodes { known: 0 } => f.write_str("the cluster has no node"),
            Wait::NoNodes { known } => write!(f, "none of the cluster's {known} nodes is running"),
            Wait::NoNodeWithLabel { label } => write!(f, "no running node has the label {label}"),
            Wait::TooLarge { wanted, largest } => {
                write!(f, "it wants {wanted}, and the largest node has {largest}")
            }
            Wait::QueueStopped { queue, state } => write!(f, "queue {queue} is {state} and starts nothing"),
            Wait::MasterShare { queue, used: Some((used, max)) } => write!(
                f,
                "queue {queue} gives ApplicationMasters {} MiB and they use {} MiB",
                max.memory_mib, used.memory_mib
            ),
            Wait::MasterShare { queue, used: None } => {
                write!(f, "queue {queue} gives ApplicationMasters no more than they use")
            }
            Wait::UserMasterShare { queue } => {
                write!(f, "queue {queue} gives this user's ApplicationMasters no more than they use")
            }
            Wait::QueueFull { queue, used, max } => {
                write!(f, "queue {queue} is full: it uses {} of {} MiB", used.memory_mib, max.memory_mib)
            }
            Wait::NodesFull { wanted, most } => write!(
                f,
                "the nodes are full: it wants {} MiB, and the most that one has left is {} MiB",
                wanted.memory_mib, most.memory_mib
            ),
            Wait::Told { words } => write!(f, "YARN says: {words}"),
            Wait::Unknown => f.write_str("YARN does not say why"),
        }
    }
}

#[cfg(test)]
mod tests;
