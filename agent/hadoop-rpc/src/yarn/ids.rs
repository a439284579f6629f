//! YARN's ids: applications, their attempts, containers and nodes, with the texts that YARN writes for them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize, de};

/// Why a text is not the id it claims to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text is no application id.
    #[error("{0:?} is not an application id, such as application_1700000000000_0001")]
    Application(String),
    /// The text is no application attempt id.
    #[error("{0:?} is not an application attempt id, such as appattempt_1700000000000_0001_000001")]
    Attempt(String),
    /// The text is no container id.
    #[error("{0:?} is not a container id, such as container_e01_1700000000000_0001_01_000001")]
    Container(String),
    /// The text is no node id.
    #[error("{0:?} is not the host:port of a NodeManager")]
    Node(String),
}

/// One application: which ResourceManager (by the time it first started) gave it which number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApplicationId {
    /// When the cluster's ResourceManager started, in milliseconds since the epoch.
    pub cluster_timestamp: i64,
    /// The application's number, from 1.
    pub number: i32,
}

/// One attempt at running an application's master.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId {
    /// The application.
    pub application: ApplicationId,
    /// The attempt's number, from 1.
    pub number: i32,
}

/// One container. It keeps the id of the attempt that asked for it, also when a later attempt inherits it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerId {
    /// The attempt that it was allocated for.
    pub attempt: AttemptId,
    /// The epoch of the ResourceManager above 40 bits of number: unique within the attempt, and neither
    /// small nor rising.
    pub id: i64,
}

/// The bits of a container's id that hold its number (`ContainerId.CONTAINER_ID_BITMASK`).
const NUMBER_BITS: u32 = 40;
const NUMBER_MASK: i64 = (1 << NUMBER_BITS) - 1;

impl ContainerId {
    /// How often the ResourceManager had started anew when it gave out the container.
    pub fn epoch(self) -> i64 {
        self.id >> NUMBER_BITS
    }

    /// Its number within attempt and epoch, from 1; the master's own container is the first.
    pub fn number(self) -> i64 {
        self.id & NUMBER_MASK
    }

    /// The application that it belongs to.
    pub fn application(self) -> ApplicationId {
        self.attempt.application
    }
}

/// A NodeManager by the address of its ContainerManagementProtocol.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId {
    /// The host, as the NodeManager names itself.
    pub host: String,
    /// The port of its RPC server.
    pub port: u16,
}

impl fmt::Display for ApplicationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "application_{}_{:04}", self.cluster_timestamp, self.number)
    }
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ApplicationId { cluster_timestamp, number } = self.application;
        write!(f, "appattempt_{cluster_timestamp}_{number:04}_{:06}", self.number)
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("container_")?;
        if self.epoch() > 0 {
            write!(f, "e{:02}_", self.epoch())?;
        }
        let ApplicationId { cluster_timestamp, number } = self.application();
        write!(f, "{cluster_timestamp}_{number:04}_{:02}_{:06}", self.attempt.number, self.number())
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// A part of an id: digits only, where `parse` alone would also take a sign.
fn number<T: FromStr>(text: Option<&str>) -> Option<T> {
    text.filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()
}

/// The parts behind `prefix_`, all of them taken by `read`.
fn parts<T>(
    text: &str,
    prefix: &str,
    read: impl FnOnce(&mut std::str::Split<'_, char>) -> Option<T>,
) -> Option<T> {
    let mut parts = text.strip_prefix(prefix)?.strip_prefix('_')?.split('_');
    let id = read(&mut parts)?;
    parts.next().is_none().then_some(id)
}

fn application(parts: &mut std::str::Split<'_, char>) -> Option<ApplicationId> {
    Some(ApplicationId { cluster_timestamp: number(parts.next())?, number: number(parts.next())? })
}

impl FromStr for ApplicationId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        parts(text, "application", application).ok_or_else(|| IdError::Application(text.into()))
    }
}

impl FromStr for AttemptId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        parts(text, "appattempt", |parts| {
            Some(Self { application: application(parts)?, number: number(parts.next())? })
        })
        .ok_or_else(|| IdError::Attempt(text.into()))
    }
}

impl FromStr for ContainerId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let (epoch, rest) = match text.strip_prefix("container_e").and_then(|rest| rest.split_once('_')) {
            Some((epoch, rest)) => (number::<i64>(Some(epoch)), format!("container_{rest}")),
            None => (Some(0), text.to_string()),
        };
        let read = |epoch: i64| {
            parts(&rest, "container", |parts| {
                let attempt = AttemptId { application: application(parts)?, number: number(parts.next())? };
                let number: i64 = number(parts.next())?;
                Some(Self { attempt, id: (epoch << NUMBER_BITS) | number })
                    .filter(|id| id.number() == number && id.epoch() == epoch)
            })
        };
        epoch.and_then(read).ok_or_else(|| IdError::Container(text.into()))
    }
}

impl FromStr for NodeId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let bad = || IdError::Node(text.into());
        let (host, port) = text.rsplit_once(':').filter(|(host, _)| !host.is_empty()).ok_or_else(bad)?;
        Ok(Self { host: host.into(), port: number(Some(port)).ok_or_else(bad)? })
    }
}

/// Writes an id as its text, and reads it back through `FromStr`.
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

serde_as_text!(ApplicationId, AttemptId, ContainerId, NodeId);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_are_written_as_yarn_writes_them() {
        let application = ApplicationId { cluster_timestamp: 1410901177871, number: 1 };
        let attempt = AttemptId { application, number: 1 };
        assert_eq!(application.to_string(), "application_1410901177871_0001");
        assert_eq!(attempt.to_string(), "appattempt_1410901177871_0001_000001");
        let first = ContainerId { attempt, id: 5 };
        assert_eq!(first.to_string(), "container_1410901177871_0001_01_000005");
        let later = ContainerId { attempt, id: 0x30000000001 };
        assert_eq!(later.to_string(), "container_e03_1410901177871_0001_01_000001");
        assert_eq!((later.epoch(), later.number()), (3, 1));
        assert_eq!(later.to_string().parse(), Ok(later));
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for bad in
            ["", "application_1", "application_1_2_3", "application_+1_2", "job_1_0001", "application_1_"]
        {
            assert!(bad.parse::<ApplicationId>().is_err(), "{bad:?}");
        }
        for bad in [
            "container_1_1_1",
            "container_e_1_1_1_1",
            "container_e-1_1_1_1_1",
            "container_e9999999999_1_1_1_1",
            "container_1_1_1_1099511627776",
            "container_e01_1_1_1_1_1",
        ] {
            assert!(bad.parse::<ContainerId>().is_err(), "{bad:?}");
        }
        for bad in ["", "host", ":1", "host:", "host:70000", "host:+1"] {
            assert!(bad.parse::<NodeId>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn containers_round_trip(
            cluster_timestamp in 0..i64::MAX, app in 0..i32::MAX, attempt in 0..i32::MAX, id in 0..i64::MAX,
        ) {
            let application = ApplicationId { cluster_timestamp, number: app };
            let attempt = AttemptId { application, number: attempt };
            let container = ContainerId { attempt, id };
            prop_assert_eq!(application.to_string().parse(), Ok(application));
            prop_assert_eq!(attempt.to_string().parse(), Ok(attempt));
            prop_assert_eq!(container.to_string().parse(), Ok(container));
        }

        #[test]
        fn no_text_panics(text in ".{0,60}", ours in "(application|appattempt|container)(_e?[0-9]{0,20}){0,6}") {
            for text in [text, ours] {
                let _ = text.parse::<ApplicationId>();
                let _ = text.parse::<AttemptId>();
                let _ = text.parse::<ContainerId>();
                let _ = text.parse::<NodeId>();
            }
        }
    }
}
