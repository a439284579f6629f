//! The agent: the one process beside a Flink cluster that keeps it running.
//!
//! It asks a [`Provider`](kobel_provider::Provider) for workers and for new ones when they die
//! (`reconcile` decides, `supervisor` does), watches the JobManager (`observe`), follows who leads and
//! fences the dead (`election`), follows the job that a cluster may belong to (`job`), keeps what jobs can be started
//! from (`snapshots`), and shows and changes the cluster for others: over a Unix socket (`control`) and over HTTP
//! (`front`).
//! On YARN a small part of it runs beside every standby, and has it replaced when it is lost ([`deputy`]).
//!
//! ```text
//!   provider ──events──►┌────────────┐◄──requests── control (Unix socket), front (DELETE /cluster)
//!   observe ──answers──►│ supervisor │──status────► control, front, record.json
//!   time ──────────────►└────────────┘──ensure, release──► provider
//! ```

mod am;
mod api;
mod control;
mod demand;
pub mod deputy;
mod election;
mod error;
mod front;
mod handle;
mod job;
mod observe;
mod ports;
mod recall;
mod reconcile;
mod record;
mod run;
#[cfg(test)]
mod scale;
mod servers;
mod snapshots;
mod standing;
mod supervisor;
#[cfg(test)]
mod testing;

pub use am::{run as run_master, train};
pub use error::AgentError;
pub use front::FrontError;
pub use kobel_provider::{exec, leash};
pub use ports::PortError;
pub use run::run;
