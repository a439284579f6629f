//! What an ApplicationMaster has to know of YARN and HDFS that only the submitting side could find out.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::ids::{FlinkRole, Role, WorkerId};

/// What an agent may use of a container that it shares with a JobManager, in bytes.
pub const AGENT_BYTES: u64 = 64 << 20;

/// Whether this worker runs in the container of the ApplicationMaster. All others have one of their own.
pub fn is_masters_own(id: WorkerId) -> bool {
    id.role == Role::JobManager && id.index == 0
}

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
    /// The ResourceManagers' ports for clients, host:port each (`yarn.resourcemanager.address`).
    #[serde(default)]
    pub resource_managers: Vec<String>,
    /// The attempt with which YARN gives the application up, where failures count for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attempt: Option<u32>,
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
    /// Archives of classes for the JVMs, unless there shall be none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archives: Option<Archives>,
}

impl YarnPlan {
    /// How often the ResourceManager is called while nothing is awaited, where the user has said so: Flink's key and
    /// its name in Flink 1.6.
    pub fn heartbeat_seconds(&self, conf: &BTreeMap<String, String>) -> Option<u32> {
        let keys = ["yarn.heartbeat.interval", "yarn.heartbeat-delay"];
        keys.iter().find_map(|key| conf.get(*key)?.trim().parse().ok())
    }
}

/// Archives of Flink's classes (AppCDS) in the staging directory. Whether one fits a node, only the node
/// can tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Archives {
    /// The digest of what they are made of: Flink's distribution, the options that count.
    pub recipe: String,
    /// Those that there are, by the end of their names, which tells [`Archives::kind`].
    pub made: BTreeMap<String, RemoteFile>,
    /// The plan of the small cluster that makes them.
    pub training: RemoteFile,
}

impl Archives {
    /// The end of the name of an archive: whose JVMs it is for, and for which Java and Hadoop of a node, by
    /// the name that those have by their looks.
    pub fn kind(role: FlinkRole, machine: &str) -> String {
        format!("{}-{machine}.jsa", role.prefix())
    }

    /// Whether this is the end of the name of an archive for that role.
    pub fn is_kind(role: FlinkRole, text: &str) -> bool {
        let machine = text.strip_suffix(".jsa").and_then(|rest| rest.split_once('-'));
        machine.is_some_and(|(prefix, machine)| {
            let plain = machine.bytes().all(|byte| byte.is_ascii_hexdigit());
            prefix == role.prefix() && !machine.is_empty() && plain
        })
    }

    /// The link to an archive in a container.
    pub fn link(kind: &str) -> String {
        format!("cds/{kind}")
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archives_name_reads_what_it_writes_and_nothing_else() {
        let kind = Archives::kind(FlinkRole::JobManager, "0123456789abcdef");
        assert!(Archives::is_kind(FlinkRole::JobManager, &kind));
        assert!(!Archives::is_kind(FlinkRole::TaskManager, &kind));
        for foreign in ["", "tar", "jm-.jsa", "xjm-00.jsa", "jm-0/0.jsa", "jm-00.tar", "jm.jsa", "jm-0-0.jsa"]
        {
            assert!(!Archives::is_kind(FlinkRole::JobManager, foreign), "{foreign:?}");
        }
    }
}
