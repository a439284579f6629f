//! The plan: what a cluster is, decided once by the submitting side and carried out by the agent.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use kobel_conf::{
    flink::{
        Dialect,
        secret::{HIDDEN, is_secret},
    },
    hadoop::SiteFile,
};
use serde::{Deserialize, Serialize};

use crate::{ha::HaPlan, ids::ClusterName, job::JobPlan, yarn::YarnPlan};

/// Everything an agent needs to run one cluster. Written once as `plan.json`, 0600, because the
/// Flink configuration in it may hold passwords.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterPlan {
    /// Always [`crate::API_VERSION`].
    pub api_version: String,
    /// The cluster's name, unique among the user's clusters.
    pub name: ClusterName,
    /// Where its workers come from.
    pub provider: ProviderKind,
    /// The Flink distribution.
    pub flink: FlinkHome,
    /// The Java that runs it.
    pub java: JavaHome,
    /// How many workers to start with.
    pub wanted: Wanted,
    /// How many TaskManagers there may be when jobs need more than are pinned; none for the pinned alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_task_managers: Option<u32>,
    /// The effective Flink configuration by flat key, without what only the agent knows: ports,
    /// directories, resource ids and the memory of a role.
    pub conf: BTreeMap<String, String>,
    /// Where each value of the configuration came from, by key, in words: a file and line, a flag. Of
    /// the keys that the agent fills too; none in plans that were written before it was kept.
    #[serde(default)]
    pub origins: BTreeMap<String, String>,
    /// What of Hadoop the JVMs get; nothing where none was given.
    #[serde(default)]
    pub hadoop: HadoopPlan,
    /// Which of Flink's two file formats the configuration was written in, and is handed on in.
    pub dialect: Dialect,
    /// How a JobManager is launched.
    pub job_manager: RolePlan,
    /// How a TaskManager is launched.
    pub task_manager: RolePlan,
    /// The user's directory of logging configurations (`log4j.properties`, `logback.xml`).
    pub logging_conf_dir: PathBuf,
    /// Where logs and standard output of all processes go.
    pub log_dir: PathBuf,
    /// The one HTTP address of the cluster.
    pub front: FrontPlan,
    /// Host name or address that JobManager and TaskManagers tell each other, Flink's
    /// `jobmanager.rpc.address`.
    pub rpc_address: String,
    /// The JobManager's RPC port, Flink's `jobmanager.rpc.port`.
    pub rpc_port: PortChoice,
    /// What the agent does for high availability; nothing without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ha: Option<HaPlan>,
    /// The job that the cluster belongs to; none of a session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobPlan>,
    /// What is YARN's, of a cluster there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub yarn: Option<YarnPlan>,
}

impl ClusterPlan {
    /// Session or per-job.
    pub fn kind(&self) -> ClusterKind {
        if self.job.is_some() { ClusterKind::PerJob } else { ClusterKind::Session }
    }

    /// Whether Flink is to find its job's program by itself, which every process then reads for itself: until 1.19 the
    /// entry point takes no jar, and sends TaskManagers none.
    pub fn finds_program(&self) -> bool {
        self.job.is_some() && !self.flink.version.at_least(1, 19)
    }

    /// Whether JobManagers run on several machines, and must be reached from each.
    pub fn spreads_masters(&self) -> bool {
        self.ha.is_some() && self.provider == ProviderKind::Yarn
    }

    /// How many TaskManagers there may be while so many are pinned.
    pub fn most_task_managers(&self, pinned: u32) -> u32 {
        self.max_task_managers.map_or(pinned, |most| most.max(pinned))
    }

    /// Slots of each TaskManager.
    pub fn slots_each(&self) -> u32 {
        slots_of_task_manager(self.conf.get(SLOTS_KEY).map(String::as_str))
    }

    /// The same plan for showing: the values of secrets are hidden.
    pub fn without_secrets(&self) -> Self {
        let mut shown = self.clone();
        let roles = [&mut shown.job_manager, &mut shown.task_manager];
        let maps = roles.into_iter().flat_map(|role| [&mut role.conf, &mut role.env]);
        for (key, value) in maps.chain([&mut shown.conf]).flatten() {
            if is_secret(key) {
                *value = HIDDEN.into();
            }
        }
        if let Some(job) = &mut shown.job {
            job.hide_secrets();
        }
        let properties = shown.hadoop.sites.iter_mut().flat_map(|site| &mut site.properties);
        for property in properties.filter(|property| property.is_secret()) {
            property.value = HIDDEN.into();
        }
        shown
    }
}

/// Flink's key for the slots of a TaskManager.
pub const SLOTS_KEY: &str = "taskmanager.numberOfTaskSlots";

/// How many slots a TaskManager has by that value of [`SLOTS_KEY`]; 1 is Flink's own default.
pub fn slots_of_task_manager(value: Option<&str>) -> u32 {
    value.and_then(|slots| slots.trim().parse().ok()).filter(|slots| *slots > 0).unwrap_or(1)
}

/// How many TaskManagers of so many slots a job of this parallelism needs, if its operators share slots, as they do
/// unless they are told otherwise.
pub fn needed_task_managers(parallelism: u32, slots: u32) -> u32 {
    parallelism.div_ceil(slots.max(1))
}

/// Whether a cluster serves many jobs or belongs to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClusterKind {
    /// Many jobs share it; it ends when it is stopped.
    Session,
    /// One job owns it and takes it down with it.
    PerJob,
}

/// Where workers come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// Processes on this machine.
    Local,
    /// A list of hosts with an agent each.
    Hosts,
    /// Containers of Hadoop YARN.
    Yarn,
}

impl fmt::Display for ProviderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            ProviderKind::Local => "local",
            ProviderKind::Hosts => "hosts",
            ProviderKind::Yarn => "yarn",
        })
    }
}

/// An unpacked Flink distribution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlinkHome {
    /// Its directory, holding `lib`, `plugins` and `conf`.
    pub home: PathBuf,
    /// Its version, as `lib/flink-dist-VERSION.jar` says.
    pub version: FlinkVersion,
    /// Jars of the class path in their order: `lib`, sorted, `flink-dist` last as Flink's own
    /// `constructFlinkClassPath` has it.
    pub class_path: Vec<PathBuf>,
}

/// Hadoop for JVMs whose Flink has none in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HadoopPlan {
    /// Entries of the class path behind Flink's, in their order: jars, and directories as given.
    pub class_path: Vec<PathBuf>,
    /// Hadoop's configuration as it was when the plan was made. Each worker gets it as files of its
    /// own, so that one that is started again, by whichever agent and on whichever host, has the same.
    pub sites: Vec<SiteFile>,
}

/// A Flink version, `1.20.5` or `2.3-SNAPSHOT`: the numbers decide, the text is kept. It is safe as part
/// of a path, an address or a command line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FlinkVersion {
    text: String,
    /// 1 or 2.
    pub major: u32,
    /// The number after the first dot.
    pub minor: u32,
}

impl TryFrom<String> for FlinkVersion {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let is_safe = text.len() <= Self::LONGEST && text.chars().all(safe) && !text.contains("..");
        let numbers = text.split('-').next().unwrap_or_default();
        let mut parts = numbers.split('.').map(|p| p.parse::<u32>().ok());
        match (parts.next().flatten(), parts.next().flatten(), parts.all(|p| p.is_some())) {
            (Some(major), Some(minor), true) if is_safe => Ok(Self { text, major, minor }),
            _ => Err(format!("{text:?} is not a Flink version such as 1.20.5")),
        }
    }
}

impl From<FlinkVersion> for String {
    fn from(version: FlinkVersion) -> String {
        version.text
    }
}

impl FlinkVersion {
    /// Bytes of the longest text that is a version.
    const LONGEST: usize = 64;

    /// Whether this is `major.minor` or newer.
    pub fn at_least(&self, major: u32, minor: u32) -> bool {
        (self.major, self.minor) >= (major, minor)
    }
}

impl fmt::Display for FlinkVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// A Java installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JavaHome {
    /// Its directory, holding `bin/java`.
    pub home: PathBuf,
    /// Its feature version: 11, 17, 21.
    pub version: u32,
}

/// How many workers of each role there shall be. A cluster with none of either ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wanted {
    /// JobManagers: 1, or more with high availability; 0 after `jobmanager.sh stop`. All but one stand by.
    pub job_managers: u32,
    /// Pinned TaskManagers.
    pub task_managers: u32,
}

impl Wanted {
    /// More JobManagers than this are of no use: one leads, and more than a few stand in each other's way.
    pub const MOST_JOB_MANAGERS: u32 = 10;
}

/// How one role's JVM is launched: the outcome of the memory model and the user's JVM options.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolePlan {
    /// The whole process's memory in bytes: what a container must hold.
    pub process_bytes: u64,
    /// `-Xmx` and its kin, in Flink's order, then the user's options in theirs.
    pub jvm_args: Vec<String>,
    /// Configuration that only this role gets: the parts of its memory.
    pub conf: BTreeMap<String, String>,
    /// Environment variables of the process beside the agent's own choice.
    pub env: BTreeMap<String, String>,
    /// Where the archive of the role's classes is, or will be: used by a JVM that is launched when
    /// the file is there.
    #[serde(default)]
    pub archive: Option<PathBuf>,
}

/// Where the cluster's one HTTP address shall be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FrontPlan {
    /// Host name or address to bind, Flink's `rest.bind-address`; loopback unless the user says so.
    pub bind: String,
    /// Host name or address in the URL that people are shown, Flink's `rest.address`.
    pub address: String,
    /// Its port.
    pub port: PortChoice,
}

/// A port that somebody asked for, or did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PortChoice {
    /// Any free port.
    Free,
    /// This one if it is free, else any: it is only Flink's default.
    Prefer(u16),
    /// The first free one of these, both ends included, or an error: the user pinned it.
    Pinned {
        /// The lowest.
        from: u16,
        /// The highest; equal to `from` for a single port.
        to: u16,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        let v = |t: &str| FlinkVersion::try_from(t.to_string());
        assert!(v("1.20.5").unwrap().at_least(1, 20));
        assert!(!v("1.9.3").unwrap().at_least(1, 20));
        assert!(v("2.3-SNAPSHOT").unwrap().at_least(1, 20));
        assert_eq!(v("1.20.5").unwrap().to_string(), "1.20.5");
        for bad in ["", "1", "x.y", "1.x", "1.20.x"] {
            assert!(v(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_job_needs_a_slot_for_each_of_its_widest() {
        let cases =
            [(0, 1, 0), (1, 1, 1), (3, 1, 3), (3, 2, 2), (4, 2, 2), (5, 0, 5), (u32::MAX, 2, 1 << 31)];
        for (parallelism, slots, expected) in cases {
            assert_eq!(needed_task_managers(parallelism, slots), expected, "{parallelism} by {slots}");
        }
        let slots = [(None, 1), (Some("4"), 4), (Some(" 2 "), 2), (Some("0"), 1), (Some("x"), 1)];
        assert!(slots.iter().all(|(value, expected)| slots_of_task_manager(*value) == *expected));
    }

    #[test]
    fn what_could_leave_a_path_is_no_version() {
        let v = |t: &str| FlinkVersion::try_from(t.to_string());
        assert!(v("1.21-SNAPSHOT_2.x-y").is_ok());
        for bad in
            ["1.20.5-../../x", "1.20-/x", "1.20-..", "1.20-a b", "1.20-a;id", "1.20-a\n", "1.20-\u{e9}"]
        {
            assert!(v(bad).is_err(), "{bad:?}");
        }
        assert!(v(&format!("1.20-{}", "x".repeat(60))).is_err());
    }
}
