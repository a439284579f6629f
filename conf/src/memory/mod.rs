//! Flink's memory model: from a configuration to the sizes of a process's parts, its JVM arguments
//! and the keys that `TaskManagerRunner` and the JobManager want to find spelled out. Equal to what
//! Flink's `BashJavaUtils` computes, failures included, so that no helper JVM runs at a start; the
//! suite `memory_parity` proves it against both. Beside it [`fit`], which makes room in processes
//! that are too small for Flink's defaults.
//!
//! All sums are in bytes and bounded by a Java `long`; what leaves it is an error, as in Flink.

mod error;
pub mod fit;
mod fraction;
mod job_manager;
mod options;
mod process;
mod resources;
mod task_manager;

use std::collections::BTreeMap;

pub use error::{MemoryError, Sum, Term};
pub use fit::{Fitted, fit_job_manager, fit_task_manager};
pub use job_manager::{JobManagerMemory, job_manager};
pub use task_manager::{TaskManagerMemory, task_manager};

const FLINK_1_ONLY: [&str; 5] = [
    "jobmanager.heap.size",
    "jobmanager.heap.mb",
    "taskmanager.heap.size",
    "taskmanager.heap.mb",
    "taskmanager.network.numberOfBuffers",
];

/// A Flink configuration by flat key.
pub type Conf = BTreeMap<String, String>;

/// Which Flink's rules hold. They differ in what old keys are still read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// Flink 1.20: also reads `jobmanager.heap.size`, `taskmanager.heap.size`, their kin in `.mb`, and
    /// `taskmanager.network.numberOfBuffers`.
    Flink1,
    /// Flink 2: does not.
    Flink2,
}

impl Model {
    /// The model of a Flink of this major version.
    pub fn of_major(major: u32) -> Self {
        if major < 2 { Model::Flink1 } else { Model::Flink2 }
    }

    /// The configuration without what this Flink does not read.
    fn view(self, conf: &Conf) -> Conf {
        let mut conf = conf.clone();
        if self == Model::Flink2 {
            conf.retain(|key, _| !FLINK_1_ONLY.contains(&key.as_str()));
        }
        conf
    }
}
