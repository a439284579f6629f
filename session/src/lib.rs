//! The submitting side: what a person asks for becomes a plan, the plan an agent, and a running
//! cluster is found again, fed with jobs and ended.

pub mod compile;
pub mod context;
pub mod control;
pub mod dist;
pub mod doctor;
mod env;
mod fsx;
pub mod gc;
pub mod ha;
pub mod hadoop;
pub mod java;
pub mod job;
pub mod launch;
pub mod logs;
pub mod prepare;
pub mod registry;
pub mod spec;
pub mod timeline;
pub mod train;
pub mod words;
pub mod yarn;

pub use compile::{Compiled, compile};
pub use context::Context;
pub use control::Control;
pub use env::Env;
pub use prepare::prepare;
pub use registry::{Cluster, Registry};
pub use spec::{ClusterSpec, FlinkChoice};
