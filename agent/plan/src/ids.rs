//! Ids with a shape: parsed at the edge, never bare strings within.

use std::{fmt, num::NonZeroU32, str::FromStr};

use serde::{Deserialize, Serialize, de};

/// Why a text is not the id it claims to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text is no cluster name.
    #[error(
        "{0:?} is not a cluster name: 1 to 63 letters, digits, '-', '_' or '.', starting with a letter or digit"
    )]
    ClusterName(String),
    /// The text is no worker id.
    #[error("{0:?} is not a worker id: jm-N or tm-N, with an optional attempt as in tm-0.2")]
    Worker(String),
    /// The text is no Flink job id.
    #[error("{0:?} is not a job id: 32 hexadecimal digits")]
    Job(String),
}

/// The name of a cluster: also a directory name, so its alphabet is narrow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterName(String);

impl ClusterName {
    /// The longest name allowed, in bytes: the limit of a DNS label.
    pub const MAX: usize = 63;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ClusterName {
    fn default() -> Self {
        Self("default".into())
    }
}

impl FromStr for ClusterName {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let ok = text.len() <= Self::MAX
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.chars().all(inner);
        if ok { Ok(Self(text.into())) } else { Err(IdError::ClusterName(text.into())) }
    }
}

/// What a worker process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Holds Dispatcher, ResourceManager and the JobMasters.
    JobManager,
    /// Offers slots and does the work.
    TaskManager,
    /// The cluster's own ZooKeeper.
    ZooKeeper,
}

/// What a process of Flink's does: the roles that a plan has memory and options for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FlinkRole {
    /// [`Role::JobManager`].
    JobManager,
    /// [`Role::TaskManager`].
    TaskManager,
}

impl From<FlinkRole> for Role {
    fn from(role: FlinkRole) -> Role {
        match role {
            FlinkRole::JobManager => Role::JobManager,
            FlinkRole::TaskManager => Role::TaskManager,
        }
    }
}

impl FlinkRole {
    /// [`Role::prefix`].
    pub fn prefix(self) -> &'static str {
        Role::from(self).prefix()
    }

    /// [`Role::noun`].
    pub fn noun(self) -> &'static str {
        Role::from(self).noun()
    }
}

impl Role {
    /// The prefix of this role's worker ids.
    pub fn prefix(self) -> &'static str {
        match self {
            Role::JobManager => "jm",
            Role::TaskManager => "tm",
            Role::ZooKeeper => "zk",
        }
    }

    /// The role as a person reads it.
    pub fn noun(self) -> &'static str {
        match self {
            Role::JobManager => "JobManager",
            Role::TaskManager => "TaskManager",
            Role::ZooKeeper => "ZooKeeper",
        }
    }
}

/// A worker's lasting identity, `jm-0` or `tm-3`; its processes come and go as attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId {
    /// What it does.
    pub role: Role,
    /// Its number within the role, from 0.
    pub index: u32,
}

impl WorkerId {
    /// The JobManager of this number.
    pub fn jm(index: u32) -> Self {
        Self { role: Role::JobManager, index }
    }

    /// The TaskManager of this number.
    pub fn tm(index: u32) -> Self {
        Self { role: Role::TaskManager, index }
    }

    /// The cluster's own ZooKeeper.
    pub fn zookeeper() -> Self {
        Self { role: Role::ZooKeeper, index: 0 }
    }

    /// Name of one attempt, `tm-0.2`: Flink's `taskmanager.resource-id`, and the stem of log files.
    pub fn attempt_name(self, attempt: Attempt) -> String {
        format!("{self}.{attempt}")
    }

    /// Parses what [`WorkerId::attempt_name`] wrote.
    pub fn parse_attempt_name(text: &str) -> Result<(Self, Attempt), IdError> {
        let bad = || IdError::Worker(text.into());
        let (id, attempt) = text.split_once('.').ok_or_else(bad)?;
        let attempt = attempt.parse::<NonZeroU32>().map_err(|_| bad())?;
        Ok((id.parse().map_err(|_| bad())?, Attempt(attempt)))
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.role.prefix(), self.index)
    }
}

impl FromStr for WorkerId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let bad = || IdError::Worker(text.into());
        let (role, index) = text.split_once('-').ok_or_else(bad)?;
        let role = match role {
            "jm" => Role::JobManager,
            "tm" => Role::TaskManager,
            "zk" => Role::ZooKeeper,
            _ => return Err(bad()),
        };
        if !index.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bad());
        }
        Ok(Self { role, index: index.parse().map_err(|_| bad())? })
    }
}

/// Which process of a worker this is, from 1. After a partition two live processes may hold one
/// worker id; the attempt tells them apart, and the lower one is the one to fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Attempt(pub NonZeroU32);

impl Attempt {
    /// The first attempt.
    pub const FIRST: Attempt = Attempt(NonZeroU32::MIN);

    /// The attempt after this one.
    pub fn next(self) -> Self {
        Attempt(self.0.saturating_add(1))
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A Flink job id (`org.apache.flink.api.common.JobID`): 16 bytes, written as 32 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId([u8; 16]);

impl JobId {
    /// The id made of these bytes; the caller takes them from a random source.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl FromStr for JobId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let bad = || IdError::Job(text.into());
        if text.len() != 32 || !text.is_ascii() {
            return Err(bad());
        }
        let mut bytes = [0u8; 16];
        for (i, byte) in bytes.iter_mut().enumerate() {
            let digits = &text[2 * i..2 * i + 2];
            if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(bad());
            }
            *byte = u8::from_str_radix(digits, 16).map_err(|_| bad())?;
        }
        Ok(Self(bytes))
    }
}

/// Writes an id as its text and reads it back through `FromStr`, so that a bad id in a file is an
/// error where it is read.
macro_rules! serde_as_text {
    ($($id:ty),*) => {$(
        impl Serialize for $id {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $id {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

serde_as_text!(ClusterName, WorkerId, JobId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cluster_names_are_safe_directory_names() {
        for good in ["default", "etl-1", "A.b_c", "0"] {
            assert_eq!(good.parse::<ClusterName>().unwrap().as_str(), good);
        }
        let long = "x".repeat(64);
        for bad in ["", "-x", "..", ".x", "a/b", "a b", "ä", "a\0", "a\n", long.as_str()] {
            assert!(bad.parse::<ClusterName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn worker_ids_round_trip() {
        for text in ["jm-0", "tm-17"] {
            assert_eq!(text.parse::<WorkerId>().unwrap().to_string(), text);
        }
        for bad in ["tm", "tm-", "tm-x", "tm--1", "tm-+1", "xx-0", "tm-99999999999"] {
            assert!(bad.parse::<WorkerId>().is_err(), "{bad:?}");
        }
        let name = WorkerId::tm(3).attempt_name(Attempt::FIRST.next());
        assert_eq!(name, "tm-3.2");
        assert_eq!(WorkerId::parse_attempt_name(&name).unwrap(), (WorkerId::tm(3), Attempt::FIRST.next()));
        assert!(WorkerId::parse_attempt_name("tm-3.0").is_err());
    }

    #[test]
    fn job_ids_are_32_hex_digits() {
        let text = "00ff10203040506070809000a0b0c0d0";
        assert_eq!(text.parse::<JobId>().unwrap().to_string(), text);
        for bad in ["", "00ff", "zzff10203040506070809000a0b0c0d0", "+0ff10203040506070809000a0b0c0d0"] {
            assert!(bad.parse::<JobId>().is_err(), "{bad:?}");
        }
    }
}
