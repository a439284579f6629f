//! An application from the outside: what is submitted, and how it fares.

use std::fmt;

use super::{ApplicationId, AttemptId, ContainerId, Launch, NodeId, Resource};
use crate::Token;

/// An application to submit (`ApplicationSubmissionContext`).
#[derive(Debug, Clone)]
pub struct Submission {
    /// The id that the ResourceManager gave for it.
    pub id: ApplicationId,
    /// Its name, public.
    pub name: String,
    /// Its type, of which YARN keeps 20 characters.
    pub kind: String,
    /// The queue; without it, `default`.
    pub queue: Option<String>,
    /// Its priority within the queue; without it, the queue's.
    pub priority: Option<i32>,
    /// How many attempts at its master YARN may make; without it, the cluster's own number. With one,
    /// nothing is retried, not even after a preemption.
    pub max_attempts: Option<u32>,
    /// Failures longer ago do not count, in milliseconds; without it, all count.
    pub failures_validity_ms: Option<i64>,
    /// Whether containers outlive an attempt and pass to the next.
    pub keep_containers: bool,
    /// Labels to find it by; YARN writes them small.
    pub tags: Vec<String>,
    /// Only nodes with this label.
    pub node_label: Option<String>,
    /// The size of the master's container.
    pub size: Resource,
    /// Which log files are collected.
    pub logs: LogCollection,
    /// How the master runs.
    pub master: Master,
}

/// How an application's master runs.
#[derive(Debug, Clone)]
pub enum Master {
    /// YARN starts it in a container.
    Launched(Launch),
    /// Some process that YARN does not start, which finds its token in the application's report.
    Unmanaged,
}

/// Which log files YARN collects, by regular expressions on their names (`LogAggregationContext`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogCollection {
    /// At the application's end: only these.
    pub include: Option<String>,
    /// At the application's end: not these.
    pub exclude: Option<String>,
    /// While it runs: these.
    pub rolled_include: Option<String>,
    /// While it runs: not these.
    pub rolled_exclude: Option<String>,
}

/// What the ResourceManager gave for a new application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApplication {
    /// Its id, which lasts until it is submitted.
    pub id: ApplicationId,
    /// The largest container obtainable.
    pub largest: Resource,
}

/// Names an enumeration of YARN's: its number on the wire, its name in JSON, and a place for what a newer
/// Hadoop adds.
macro_rules! yarn_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $number:literal $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)*
            /// One that this program does not know.
            Other,
        }

        impl $name {
            /// Reads YARN's number.
            pub fn from_number(number: i32) -> Self {
                match number {
                    $($number => Self::$variant,)*
                    _ => Self::Other,
                }
            }

            /// Reads YARN's name.
            pub fn from_name(name: &str) -> Self {
                match name {
                    $($text => Self::$variant,)*
                    _ => Self::Other,
                }
            }

            /// YARN's number, where there is one.
            pub fn number(self) -> Option<i32> {
                match self {
                    $(Self::$variant => Some($number),)*
                    Self::Other => None,
                }
            }

            /// YARN's name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other => "UNKNOWN",
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }
    };
}

yarn_enum! {
    /// Where an application stands (`YarnApplicationState`).
    AppState {
        /// Just made.
        New = 1 "NEW",
        /// Being written down.
        NewSaving = 2 "NEW_SAVING",
        /// Taken, and not yet looked at by the scheduler.
        Submitted = 3 "SUBMITTED",
        /// Waiting for its master to start and register.
        Accepted = 4 "ACCEPTED",
        /// Its master has registered.
        Running = 5 "RUNNING",
        /// Its master has unregistered.
        Finished = 6 "FINISHED",
        /// It was refused, or its masters failed.
        Failed = 7 "FAILED",
        /// Somebody killed it.
        Killed = 8 "KILLED",
    }
}

impl AppState {
    /// Whether nothing will change any more.
    pub fn is_over(self) -> bool {
        matches!(self, AppState::Finished | AppState::Failed | AppState::Killed)
    }

    /// Whether the ResourceManager is still about to take or refuse it: only after this is a submission a
    /// success.
    pub fn is_undecided(self) -> bool {
        matches!(self, AppState::New | AppState::NewSaving | AppState::Submitted)
    }
}

yarn_enum! {
    /// What an application's master says of the end (`FinalApplicationStatus`).
    FinalStatus {
        /// Nothing yet.
        Undefined = 0 "UNDEFINED",
        /// All went well.
        Succeeded = 1 "SUCCEEDED",
        /// It failed.
        Failed = 2 "FAILED",
        /// It was killed.
        Killed = 3 "KILLED",
        /// It ended, and good or bad does not apply.
        Ended = 4 "ENDED",
    }
}

yarn_enum! {
    /// Where a node stands (`NodeState`).
    NodeState {
        /// Just heard of.
        New = 1 "NEW",
        /// It runs.
        Running = 2 "RUNNING",
        /// Its health check fails.
        Unhealthy = 3 "UNHEALTHY",
        /// Taken out.
        Decommissioned = 4 "DECOMMISSIONED",
        /// Not heard of for too long.
        Lost = 5 "LOST",
        /// Its NodeManager started anew.
        Rebooted = 6 "REBOOTED",
        /// Being taken out.
        Decommissioning = 7 "DECOMMISSIONING",
        /// Its NodeManager went in order.
        Shutdown = 8 "SHUTDOWN",
    }
}

yarn_enum! {
    /// Whether a queue takes applications (`QueueState`).
    QueueState {
        /// It takes none.
        Stopped = 1 "STOPPED",
        /// It does.
        Running = 2 "RUNNING",
        /// It finishes those that it has.
        Draining = 3 "DRAINING",
    }
}

yarn_enum! {
    /// Whether an application's logs are collected from the nodes (`LogAggregationStatus`).
    LogStatus {
        /// They are not.
        Disabled = 1 "DISABLED",
        /// They will be.
        NotStarted = 2 "NOT_START",
        /// Nodes are at it.
        Running = 3 "RUNNING",
        /// All are.
        Succeeded = 4 "SUCCEEDED",
        /// Of some node they could not be.
        Failed = 5 "FAILED",
        /// A node did not say so in time.
        TimedOut = 6 "TIME_OUT",
        /// Nodes are at it, and one has failed.
        RunningWithFailure = 7 "RUNNING_WITH_FAILURE",
    }
}

/// How an application fares (`ApplicationReport`).
#[derive(Debug, Clone, PartialEq)]
pub struct AppReport {
    /// Which.
    pub id: ApplicationId,
    /// Its owner.
    pub user: String,
    /// Its queue.
    pub queue: String,
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Where it stands.
    pub state: AppState,
    /// What its master said of the end.
    pub final_status: FinalStatus,
    /// What YARN and its master have to say, often why it waits or failed.
    pub diagnostics: String,
    /// The address for people, through YARN's proxy.
    pub tracking_url: String,
    /// The attempt that is current, where there is one.
    pub attempt: Option<AttemptId>,
    /// The master's host and RPC port, once registered.
    pub master: Option<(String, u16)>,
    /// How far its master said with its last heartbeat that it is, 0 to 1; never over REST, which rounds it.
    pub progress: Option<f32>,
    /// When it was submitted, in milliseconds since the epoch.
    pub started_ms: i64,
    /// When it ended, in milliseconds since the epoch.
    pub finished_ms: Option<i64>,
    /// Whether its logs are collected.
    pub logs: LogStatus,
    /// The token of an unmanaged master that may register, for its owner; never over REST.
    pub master_token: Option<Token>,
}

/// A node as the ResourceManager sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeReport {
    /// Which.
    pub node: NodeId,
    /// Its web address, host:port.
    pub http_address: String,
    /// Its rack.
    pub rack: String,
    /// Where it stands.
    pub state: NodeState,
    /// What its containers use.
    pub used: Resource,
    /// What it has in all.
    pub capacity: Resource,
    /// How many containers it runs.
    pub containers: u32,
    /// Its labels.
    pub labels: Vec<String>,
    /// What its health check says.
    pub health: String,
}

/// A queue of the scheduler.
#[derive(Debug, Clone, PartialEq)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// Its share of its parent, 0 to 1.
    pub capacity: f32,
    /// The share that it may grow to, 0 to 1.
    pub maximum: f32,
    /// How much of its share is used, above 1 when it has grown.
    pub used: f32,
    /// Whether it takes applications.
    pub state: QueueState,
    /// What its containers have.
    pub allocated: Resource,
    /// How many of its applications wait for their master.
    pub pending: u32,
    /// The queues below it.
    pub children: Vec<Queue>,
}

/// A container as the ResourceManager knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerReport {
    /// Which.
    pub id: ContainerId,
    /// Its node.
    pub node: NodeId,
    /// The web address of that node, with its scheme.
    pub node_http: String,
    /// Its size.
    pub size: Resource,
}

/// How many nodes there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClusterMetrics {
    /// Known.
    pub nodes: u32,
    /// Running.
    pub active: u32,
    /// Not heard of for too long.
    pub lost: u32,
    /// With a failing health check.
    pub unhealthy: u32,
    /// Taken out.
    pub decommissioned: u32,
}
