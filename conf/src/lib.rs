//! Configuration: units, Flink's YAML files, Flink's memory model and kobel's own settings.
//!
//! Everything that people write by hand passes through this crate: it parses at the edge, keeps
//! where each value came from, and hands on typed values.

pub mod dirs;
pub mod explain;
pub mod file;
pub mod flink;
#[cfg(test)]
mod fuzz;
pub mod ha;
pub mod hadoop;
pub mod hosts;
pub mod memory;
pub mod nearest;
pub mod settings;
pub mod units;

pub use explain::{Category, Explain, chain};
pub use nearest::nearest;
