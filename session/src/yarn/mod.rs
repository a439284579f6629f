//! YARN from the submitting side: an application is submitted, found again, and ended.
//!
//! Of a cluster on YARN the agent is the application's master, and its record lies in a container. Here is
//! only what finds it again, in `yarn.json`, and what was last seen of it.

mod adopt;
pub mod application;
mod archives;
mod collected;
mod container;
mod end;
mod history;
mod keys;
mod logs;
pub mod manager;
pub mod rest;
pub mod rpc;
mod seen;
mod ship;
pub mod site;
pub mod submit;

pub use kobel_hadoop_rpc::yarn::{ApplicationId, NodeId, NodeReport, NodeState, QueueState, Resource};

pub use adopt::AdoptError;
pub(crate) use adopt::adopt;
pub use application::Application;
pub use collected::{CollectedError, Collection, TFileError};
pub(crate) use collected::{collect, collected};
pub use container::Cargo;
pub(crate) use container::in_container;
pub(crate) use end::end;
pub(crate) use history::{recall, recalled};
pub use keys::KeyError;
pub(crate) use keys::{Asked, notes};
pub use logs::LogsError;
pub(crate) use logs::copy_logs;
pub(crate) use seen::{copy_events, status};
pub(crate) use ship::find as find_shipped;
pub use ship::{How, ShipError, Shipped};
pub use site::{Site, SiteError};
pub use submit::{Stage, StartError, start};

/// What somebody else said, on one line.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
