//! What a person asked for: a cluster's specification, before anything is looked up.

use std::{num::NonZeroU32, path::PathBuf, str::FromStr};

use kobel_conf::{Category, Explain};
use kobel_plan::{ClusterName, JobId, ProviderKind, Restore};

/// A cluster as asked for. What is `None` is decided by the configuration below the flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterSpec {
    /// Its name.
    pub name: ClusterName,
    /// Where its workers come from.
    pub provider: ProviderKind,
    /// Which Flink: `--flink`.
    pub flink: FlinkChoice,
    /// JobManagers, all but one of them on standby: `--masters`; 0 for a cluster that begins with
    /// `taskmanager.sh start`.
    pub job_managers: u32,
    /// Pinned TaskManagers: `--tm`.
    pub task_managers: Option<u32>,
    /// TaskManagers that there may be when jobs need more: `--max-tm`.
    pub max_task_managers: Option<u32>,
    /// Slots of a TaskManager: `--slots`.
    pub slots: Option<NonZeroU32>,
    /// Memory of a TaskManager's process in bytes: `--tm-mem`.
    pub tm_memory: Option<u64>,
    /// Memory of a JobManager's process in bytes: `--jm-mem`.
    pub jm_memory: Option<u64>,
    /// Ports of the JobManagers' own web UIs, by their numbers; 0 is any.
    pub web_ports: Vec<u16>,
    /// ZooKeeper for high availability: `--zookeeper`.
    pub zookeeper: Option<ZooKeeperChoice>,
    /// The cluster's name in ZooKeeper: `-z`.
    pub namespace: Option<String>,
    /// YARN's queue: `--queue`.
    pub queue: Option<String>,
    /// The application's name on YARN, if it is not the cluster's: `--name`.
    pub application_name: Option<String>,
    /// The label of the YARN nodes that may be used: `--node-label`.
    pub node_label: Option<String>,
    /// Files, directories and archives for every container, on YARN: `--ship`.
    pub ship: Vec<PathBuf>,
    /// The job that it is for: `run --per-job`.
    pub job: Option<JobSpec>,
    /// Flink's configuration directory: `--conf`.
    pub conf_dir: Option<PathBuf>,
    /// `-D key=value`, in order; the last one of a key wins.
    pub overrides: Vec<Override>,
}

impl ClusterSpec {
    /// A local session of this name with nothing else asked.
    pub fn local(name: ClusterName) -> Self {
        Self {
            name,
            provider: ProviderKind::Local,
            flink: FlinkChoice::Default,
            job_managers: 1,
            task_managers: None,
            max_task_managers: None,
            slots: None,
            tm_memory: None,
            jm_memory: None,
            web_ports: Vec::new(),
            zookeeper: None,
            namespace: None,
            queue: None,
            application_name: None,
            node_label: None,
            ship: Vec::new(),
            job: None,
            conf_dir: None,
            overrides: Vec::new(),
        }
    }
}

/// A job that is to have a cluster of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobSpec {
    /// Its id.
    pub id: JobId,
    /// The program's jar, on this machine.
    pub jar: PathBuf,
    /// The program's class: `-c`.
    pub class: Option<String>,
    /// What its `main` is given.
    pub args: Vec<String>,
    /// `-p`.
    pub parallelism: Option<u32>,
    /// The state that it starts with: `-s` and its kin.
    pub restore: Option<Restore>,
}

/// Most workers of a role that make sense to ask for at once: past this it is a typing mistake.
pub const MAX_WORKERS: u32 = 10_000;

/// Which Flink to run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum FlinkChoice {
    /// `FLINK_HOME`, else the configured version, else the only one installed.
    #[default]
    Default,
    /// The distribution in this directory.
    Home(PathBuf),
    /// This version, installed by `kobel flink install`.
    Version(String),
}

impl FromStr for FlinkChoice {
    type Err = std::convert::Infallible;

    /// A version starts with a digit and holds no `/`; anything else is a directory.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let version = text.starts_with(|c: char| c.is_ascii_digit()) && !text.contains('/');
        Ok(if version { Self::Version(text.into()) } else { Self::Home(text.into()) })
    }
}

/// Which ZooKeeper elects the leading JobManager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ZooKeeperChoice {
    /// One of the cluster's own: the ZooKeeper in Flink's distribution, for one machine.
    Embedded,
    /// These servers, `host:port,…[/chroot]`.
    Quorum(String),
}

impl FromStr for ZooKeeperChoice {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(if text == "embedded" { Self::Embedded } else { Self::Quorum(text.into()) })
    }
}

/// One `-D key=value`.
#[derive(Clone, PartialEq, Eq)]
pub struct Override {
    /// The key.
    pub key: String,
    /// The value, possibly empty.
    pub value: String,
}

/// The value may be a password.
impl std::fmt::Debug for Override {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Override({}=…)", self.key)
    }
}

/// A `-D` that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OverrideError {
    /// No `=`.
    #[error("-D {0:?} has no '=': it must be -D key=value")]
    NoValue(String),
    /// Nothing, or white space, before the `=`.
    #[error("-D has no key before the '='")]
    NoKey,
    /// A character that no key of Flink's has.
    #[error("-D {0:?} is not a key of Flink's")]
    BadKey(String),
}

impl Explain for OverrideError {
    fn category(&self) -> Category {
        Category::Usage
    }

    fn hint(&self) -> Option<String> {
        Some("-D taskmanager.numberOfTaskSlots=2".into())
    }
}

impl FromStr for Override {
    type Err = OverrideError;

    fn from_str(text: &str) -> Result<Self, OverrideError> {
        let (key, value) = text.split_once('=').ok_or_else(|| OverrideError::NoValue(text.into()))?;
        let key = key.trim();
        if key.is_empty() {
            return Err(OverrideError::NoKey);
        }
        if key.contains(|c: char| c.is_control() || c.is_whitespace() || c == ':') {
            return Err(OverrideError::BadKey(key.into()));
        }
        Ok(Self { key: key.into(), value: value.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flink_is_a_version_or_a_directory() {
        let choice = |t: &str| t.parse::<FlinkChoice>().unwrap();
        assert_eq!(choice("1.20.5"), FlinkChoice::Version("1.20.5".into()));
        for dir in ["/opt/flink-1.20.5", "./1.20.5", "flink", "1.20/x"] {
            assert_eq!(choice(dir), FlinkChoice::Home(dir.into()));
        }
    }

    #[test]
    fn overrides_are_key_and_value() {
        let parse = |t: &str| t.parse::<Override>().map(|o| (o.key, o.value));
        assert_eq!(parse("a.b=c=d"), Ok(("a.b".into(), "c=d".into())));
        assert_eq!(parse("a="), Ok(("a".into(), "".into())));
        assert!(matches!(parse("a"), Err(OverrideError::NoValue(_))));
        assert_eq!(parse("=v"), Err(OverrideError::NoKey));
        assert!(matches!(parse("a b=v"), Err(OverrideError::BadKey(_))));
    }

    #[test]
    fn the_value_of_an_override_is_not_shown() {
        let secret: Override = "s3.secret-key=hunter2".parse().unwrap();
        assert!(!format!("{secret:?}").contains("hunter2"));
    }
}
