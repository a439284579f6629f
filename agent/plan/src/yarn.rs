//! What an ApplicationMaster has to know of YARN and HDFS that only the submitting side could find out.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// The part of a plan that is YARN's. In such a plan paths are relative to the container's directory, and
/// names of machines are [`crate::Launch::HOST`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct YarnPlan {
    /// `application_…`.
    pub application_id: String,
    /// Whose application it is.
    pub user: String,
    /// The ResourceManagers' schedulers, host:port each (`yarn.resourcemanager.scheduler.address`).
    pub scheduler: Vec<String>,
    /// How long the ResourceManager may be silent before the master must take it that another one was
    /// started, in milliseconds: less than `yarn.am.liveness-monitor.expiry-interval-ms`.
    pub patience_ms: u64,
    /// The user's staging directory, a path on the file system of `hadoop`'s `fs.defaultFS`.
    pub staging: String,
    /// The properties of core-site and hdfs-site.
    pub hadoop: BTreeMap<String, String>,
    /// The class path of Hadoop on the nodes, with variables of theirs (`yarn.application.classpath`).
    #[serde(default)]
    pub hadoop_class_path: String,
    /// Files for every worker's container, by the name of the link.
    pub worker_files: BTreeMap<String, RemoteFile>,
}

/// Properties may be secrets, so `Debug` does not show them.
impl fmt::Debug for YarnPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("YarnPlan")
            .field("application_id", &self.application_id)
            .field("user", &self.user)
            .field("scheduler", &self.scheduler)
            .field("staging", &self.staging)
            .field("worker_files", &self.worker_files)
            .finish_non_exhaustive()
    }
}

/// A file that nodes fetch. They compare size and time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RemoteFile {
    /// `hdfs://…`.
    pub url: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its modification time in milliseconds, as its file system tells it.
    pub modified_ms: u64,
    /// Whether the node unpacks it into a directory.
    pub archive: bool,
    /// Who may use the node's copy.
    pub shared_with: SharedWith,
}

/// Who may use a copy that a node keeps: YARN's visibility.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SharedWith {
    /// PUBLIC.
    Everybody,
    /// PRIVATE: the user's applications.
    User,
    /// APPLICATION: with which it goes.
    Application,
}
