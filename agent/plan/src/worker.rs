//! What the agent asks a provider for, and what it hears back.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    DeputyPlan,
    ids::{Attempt, WorkerId},
};

/// One worker process to be had: the same on every provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerSpec {
    /// Whose process this is.
    pub id: WorkerId,
    /// Which of that worker's processes.
    pub attempt: Attempt,
    /// What it needs.
    pub resources: Resources,
    /// What to run.
    pub launch: Launch,
    /// Files to lie in the worker's directory before it starts.
    pub files: Vec<WorkerFile>,
    /// What runs beside it has to know, where that is to stand in for the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deputy: Option<DeputyPlan>,
}

impl WorkerSpec {
    /// `tm-0.2`.
    pub fn name(&self) -> String {
        self.id.attempt_name(self.attempt)
    }
}

/// The size of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Virtual cores, YARN's unit.
    pub vcores: u32,
}

/// A command line. In arguments, environment values and file contents the provider replaces
/// [`Launch::WORKER_DIR`] and [`Launch::LOG_DIR`] by the absolute directories that only it knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// The program, an absolute path.
    pub program: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its whole environment: nothing is inherited.
    pub env: BTreeMap<String, String>,
}

impl Launch {
    /// Stands for the worker's own directory (0700), which is gone when the worker is. Its
    /// subdirectory `tmp` exists; it is the process's working directory.
    pub const WORKER_DIR: &'static str = "@KOBEL_WORKER_DIR@";
    /// Stands for the directory of logs, which stays.
    pub const LOG_DIR: &'static str = "@KOBEL_LOG_DIR@";
    /// Stands for the home of the node's own Java, where the plan leaves it to the node.
    pub const JAVA_HOME: &'static str = "@KOBEL_JAVA_HOME@";
    /// Stands, in a class path behind other entries, for the jars of the node's own Hadoop.
    pub const HADOOP_JARS: &'static str = "@KOBEL_HADOOP_JARS@";
    /// Environment variable of a container with the class path of the node's Hadoop, `DIR/*` not expanded.
    pub const HADOOP_CLASSPATH: &'static str = "KOBEL_HADOOP_CLASSPATH";
    /// Stands for the name of the node, where workers run on several.
    pub const HOST: &'static str = "@KOBEL_HOST@";
    /// Environment variable by which a worker's process is known to be ours, whatever became of
    /// our records: `<cluster directory>/<worker>.<attempt>`.
    pub const MARKER: &'static str = "KOBEL_ID";
    /// Environment variable with what an agent wants to hear again from the worker itself, should
    /// its own records be gone. The provider hands it back and does not read it.
    pub const NOTE: &'static str = "KOBEL_NOTE";
}

/// A file in a worker's directory, mode 0600.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerFile {
    /// Path below the worker's directory, such as `conf/config.yaml`.
    pub path: String,
    /// What it holds; possibly passwords, so `Debug` does not show it.
    pub contents: String,
}

impl fmt::Debug for WorkerFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WorkerFile({:?}, {} bytes)", self.path, self.contents.len())
    }
}

/// News of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerEvent {
    /// Whose.
    pub id: WorkerId,
    /// Which of its processes.
    pub attempt: Attempt,
    /// When it was observed.
    pub at: Timestamp,
    /// What it is now.
    pub phase: Phase,
}

/// Where a worker's process stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Phase {
    /// Recorded; not running yet.
    Pending,
    /// Running here.
    Running {
        /// Host name.
        host: String,
        /// Process id on that host, where the provider can know it.
        pid: Option<u32>,
        /// YARN's container id.
        container: Option<String>,
    },
    /// Gone, and why.
    Exited(Exit),
}

/// What a drill does to a worker's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// SIGKILL: it is gone at once.
    Kill,
    /// SIGSTOP: it lives, and does nothing any more.
    Freeze,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Kill => "killed (SIGKILL)",
            Fault::Freeze => "frozen (SIGSTOP)",
        })
    }
}

/// Why a worker's process is gone. What is not known stays `Unknown`, never guessed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Exit {
    /// It ended by itself with this code.
    Code(i32),
    /// It ended by itself with this code, not 0, where only who ran it can read its logs.
    Failed {
        /// The code.
        code: i32,
        /// Its last words.
        words: String,
    },
    /// A signal ended it that was not ours.
    Signal(i32),
    /// The kernel or the node killed it for its memory.
    OutOfMemory,
    /// The scheduler took its container back.
    Preempted,
    /// Its node no longer answers; the process may be alive.
    NodeLost,
    /// It never ran.
    LaunchFailed {
        /// What the provider said.
        diagnostics: String,
    },
    /// We asked for it.
    Released,
    /// It is gone, and no one can say why.
    Unknown(String),
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exited with code {code}"),
            Exit::Failed { code, words } => write!(f, "exited with code {code}: {words}"),
            Exit::Signal(signal) => write!(f, "killed by signal {signal}"),
            Exit::OutOfMemory => f.write_str("killed for its memory"),
            Exit::Preempted => f.write_str("preempted"),
            Exit::NodeLost => f.write_str("its node was lost"),
            Exit::LaunchFailed { diagnostics } => write!(f, "could not be launched: {diagnostics}"),
            Exit::Released => f.write_str("released"),
            Exit::Unknown(what) => write!(f, "gone: {what}"),
        }
    }
}
