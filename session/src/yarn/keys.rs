//! Flink's `yarn.*` keys: each is honoured, or without a meaning here as in Flink's own session, or refused
//! by name. None is passed over in silence.

use std::str::FromStr;

use kobel_conf::{
    Category, Explain,
    flink::{Entry, FlinkConf},
};
use kobel_hadoop_rpc::yarn::LogCollection;

use super::adopt::TAG;

/// A key has a value that YARN does not take, or that kobel cannot bring about.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// What it asks for is not to be had.
    #[error("{key} ({origin}) is not for kobel: {why}")]
    Refused {
        /// The key.
        key: String,
        /// Where its value came from.
        origin: String,
        /// Why not.
        why: &'static str,
    },
    /// It has a value of another kind.
    #[error("{key} ({origin}) must be {expected}")]
    Value {
        /// The key.
        key: &'static str,
        /// Where its value came from.
        origin: String,
        /// What it must be.
        expected: &'static str,
    },
    /// A tag is not one that YARN takes.
    #[error(
        "yarn.tags ({origin}): {tag:?} is no tag: YARN takes up to {MAX_TAG} printable characters of ASCII"
    )]
    Tag {
        /// The tag, or its beginning.
        tag: String,
        /// Where it came from.
        origin: String,
    },
    /// There are more tags than YARN takes.
    #[error("yarn.tags ({origin}) has {count} tags, and YARN takes {MAX_TAGS} with kobel's own")]
    Tags {
        /// How many.
        count: usize,
        /// Where they came from.
        origin: String,
    },
}

impl Explain for KeyError {
    fn category(&self) -> Category {
        match self {
            KeyError::Tag { .. } | KeyError::Tags { .. } => Category::Usage,
            KeyError::Refused { .. } | KeyError::Value { .. } => Category::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            KeyError::Refused { key, .. } => Some(format!("leave out {key}, or -D {key}=   (empty)")),
            KeyError::Value { key, .. } => Some(format!("-D {key}=VALUE wins over every file")),
            KeyError::Tag { .. } | KeyError::Tags { .. } => Some("-D yarn.tags=etl,nightly".into()),
        }
    }
}

/// `ApplicationSubmissionContext.setApplicationTags`, `YarnConfiguration.APPLICATION_MAX_TAGS` and
/// `APPLICATION_MAX_TAG_LENGTH`.
const MAX_TAGS: usize = 10;
const MAX_TAG: usize = 100;

/// What becomes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It does what it does with Flink's own client.
    Honoured,
    /// It says nothing of a session like this one, in Flink neither.
    Moot(&'static str),
    /// It cannot be honoured, but for a value with which it changes nothing.
    Refused { but: &'static str, why: &'static str },
}

use Fate::{Honoured, Moot, Refused};

const NO_USER_JAR: &str = "a session has no program of its own";
const NO_KERBEROS: &str = "without Kerberos there is nothing for it to do";

/// Every key of `YarnConfigOptions`, Flink 1.7 to 2.1.
const KEYS: &[(&str, Fate)] = &[
    ("yarn.appmaster.rpc.address", Moot("the agent tells where the JobManager is")),
    ("yarn.appmaster.rpc.port", Moot("the agent tells where the JobManager is")),
    ("yarn.appmaster.vcores", Honoured),
    ("yarn.application-attempt-failures-validity-interval", Honoured),
    ("yarn.application-attempts", Honoured),
    ("yarn.application-master.port", Honoured),
    ("yarn.application.id", Refused { but: "", why: "YARN gives each session an id of its own" }),
    ("yarn.application.name", Honoured),
    ("yarn.application.node-label", Honoured),
    ("yarn.application.priority", Honoured),
    ("yarn.application.queue", Honoured),
    ("yarn.application.type", Honoured),
    ("yarn.classpath.include-user-jar", Moot(NO_USER_JAR)),
    (
        "yarn.container-start-command-template",
        Refused { but: "", why: "kobel starts the JVMs itself; their options are env.java.opts.*" },
    ),
    ("yarn.containers.vcores", Honoured),
    (
        "yarn.file-replication",
        Refused { but: "-1", why: "what is staged has the replication that HDFS gives it" },
    ),
    (
        "yarn.flink-dist-jar",
        Refused { but: "", why: "it ships the distribution whole, the one of --flink or FLINK_HOME" },
    ),
    ("yarn.heartbeat-delay", Honoured),
    ("yarn.heartbeat.container-request-interval", Honoured),
    ("yarn.heartbeat.interval", Honoured),
    (
        "yarn.maximum-failed-containers",
        Moot("a TaskManager that dies five times in ten minutes ends the cluster"),
    ),
    ("yarn.modify.acls", Honoured),
    ("yarn.per-job-cluster.include-user-jar", Moot(NO_USER_JAR)),
    ("yarn.properties-file.location", Honoured),
    (
        "yarn.provided.lib.dirs",
        Refused {
            but: "",
            why: "Flink's lib and plugins are uploaded once and shared without it; further jars go by --ship",
        },
    ),
    ("yarn.provided.usrlib.dir", Refused { but: "", why: NO_USER_JAR }),
    ("yarn.rolled-logs.exclude-pattern", Honoured),
    ("yarn.rolled-logs.include-pattern", Honoured),
    ("yarn.security.appmaster.delegation.token.services", Moot(NO_KERBEROS)),
    ("yarn.security.kerberos.localized-keytab-path", Moot(NO_KERBEROS)),
    ("yarn.security.kerberos.ship-local-keytab", Moot(NO_KERBEROS)),
    ("yarn.ship-archives", Honoured),
    ("yarn.ship-directories", Honoured),
    ("yarn.ship-files", Honoured),
    ("yarn.staging-directory", Honoured),
    ("yarn.tags", Honoured),
    ("yarn.taskmanager.node-label", Honoured),
    ("yarn.view.acls", Honoured),
];

/// Keys that are named by what they begin and end with.
const FAMILIES: &[(&str, &str, Fate)] = &[
    (
        "external-resource.",
        ".yarn.config-key",
        Refused { but: "", why: "it asks for memory and cores alone" },
    ),
    ("flink.yarn.", "", Refused { but: "", why: "Hadoop's own keys belong into yarn-site.xml" }),
    // Flink's JVMs read them, as with Flink's own client.
    ("flink.hadoop.", "", Honoured),
];

fn fate(key: &str) -> Option<Fate> {
    let one = KEYS.iter().find(|(known, _)| *known == key).map(|(_, fate)| *fate);
    let of = |(begin, end, _): &&(&str, &str, Fate)| {
        key.strip_prefix(begin)
            .is_some_and(|rest| rest.strip_suffix(end).is_some_and(|name| !name.is_empty()))
    };
    one.or_else(|| FAMILIES.iter().find(of).map(|(_, _, fate)| *fate))
}

/// What the configuration asks of YARN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) name: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) queue: Option<String>,
    pub(crate) priority: Option<i32>,
    pub(crate) max_attempts: Option<u32>,
    pub(crate) failures_validity_ms: Option<i64>,
    pub(crate) tags: Vec<String>,
    pub(crate) node_label: Option<String>,
    pub(crate) master_vcores: i32,
    pub(crate) logs: LogCollection,
    pub(crate) view_acl: Option<String>,
    pub(crate) modify_acl: Option<String>,
    /// The directory that the user's staging directory is to be in.
    pub(crate) staging_in: Option<String>,
}

impl Asked {
    /// Reads all keys; `file_system` is Hadoop's own, `hdfs://…`.
    pub(crate) fn of(conf: &FlinkConf, file_system: &str) -> Result<Self, KeyError> {
        refuse(conf)?;
        // The agent reads them; a mistake shall show here.
        for key in ["yarn.heartbeat.interval", "yarn.heartbeat-delay"] {
            number::<u32>(conf, key, |seconds| *seconds > 0, "a whole number of seconds from 1")?;
        }
        let key = "yarn.heartbeat.container-request-interval";
        number::<u32>(conf, key, |ms| *ms > 0, "a whole number of milliseconds from 1")?;
        number::<i32>(
            conf,
            "yarn.containers.vcores",
            |n| *n == -1 || *n > 0,
            "a whole number from 1, or -1",
        )?;
        let text = |key| value(conf, key).map(|entry| entry.value.trim().to_string());
        let validity = "yarn.application-attempt-failures-validity-interval";
        let priority = number::<i32>(conf, "yarn.application.priority", |_| true, "a whole number")?;
        let cores = number::<i32>(conf, "yarn.appmaster.vcores", |n| *n > 0, "a whole number from 1")?;
        Ok(Self {
            name: text("yarn.application.name"),
            kind: text("yarn.application.type"),
            queue: text("yarn.application.queue"),
            priority: priority.filter(|priority| *priority >= 0),
            max_attempts: number(conf, "yarn.application-attempts", |n| *n > 0, "a whole number from 1")?,
            failures_validity_ms: number(conf, validity, |ms| *ms >= -1, "milliseconds, or -1")?,
            tags: tags(conf)?,
            node_label: text("yarn.application.node-label"),
            master_vcores: cores.unwrap_or(1),
            logs: LogCollection {
                rolled_include: text("yarn.rolled-logs.include-pattern"),
                rolled_exclude: text("yarn.rolled-logs.exclude-pattern"),
                ..LogCollection::default()
            },
            view_acl: text("yarn.view.acls"),
            modify_acl: text("yarn.modify.acls"),
            staging_in: staging(conf, file_system)?,
        })
    }

    /// The same for a cluster with high availability, whose session outlives many masters: failures of long ago do not
    /// count, unless the user will have it otherwise.
    pub(crate) fn for_high_availability(self) -> Self {
        Self { failures_validity_ms: self.failures_validity_ms.or(Some(VALIDITY_MS)), ..self }
    }

    /// For a job that nobody remembers when its master is gone: a second attempt could only run it from its beginning.
    pub(crate) fn only_once(self) -> Self {
        Self { max_attempts: Some(1), ..self }
    }

    /// The attempt with which YARN gives the application up, where failures count for ever. The cluster's own number is
    /// taken for YARN's default.
    pub(crate) fn last_attempt(&self) -> Option<u32> {
        let forgotten = self.failures_validity_ms.is_some_and(|ms| ms > 0);
        (!forgotten).then(|| self.max_attempts.unwrap_or(MAX_ATTEMPTS))
    }
}

/// Flink's default of `yarn.application-attempt-failures-validity-interval`.
const VALIDITY_MS: i64 = 10_000;
/// `yarn.resourcemanager.am.max-attempts` of `yarn-default.xml`.
const MAX_ATTEMPTS: u32 = 2;

/// What a person may want to know of keys that change nothing.
pub(crate) fn notes(conf: &FlinkConf) -> Vec<String> {
    let note = |(key, entry): (&str, &Entry)| match fate(key) {
        Some(Moot(why)) => Some(format!("{key} ({}) changes nothing: {why}", entry.origin)),
        None if key.starts_with("yarn.") => {
            Some(format!("{key} ({}) changes nothing: it is no key of Flink's", entry.origin))
        }
        _ => None,
    };
    conf.iter().filter_map(note).collect()
}

fn refuse(conf: &FlinkConf) -> Result<(), KeyError> {
    for (key, entry) in conf.iter() {
        if let Some(Refused { but, why }) = fate(key)
            && !entry.value.trim().is_empty()
            && entry.value.trim() != but
        {
            return Err(KeyError::Refused { key: key.into(), origin: entry.origin.to_string(), why });
        }
    }
    Ok(())
}

fn value<'a>(conf: &'a FlinkConf, key: &str) -> Option<&'a Entry> {
    conf.get(key).filter(|entry| !entry.value.trim().is_empty())
}

fn number<T: FromStr>(
    conf: &FlinkConf,
    key: &'static str,
    good: impl Fn(&T) -> bool,
    expected: &'static str,
) -> Result<Option<T>, KeyError> {
    let Some(entry) = value(conf, key) else { return Ok(None) };
    let wrong = || KeyError::Value { key, origin: entry.origin.to_string(), expected };
    entry.value.trim().parse().ok().filter(good).map(Some).ok_or_else(wrong)
}

/// kobel's own tag, then the user's.
fn tags(conf: &FlinkConf) -> Result<Vec<String>, KeyError> {
    let mut tags = vec![TAG.to_string()];
    let Some(entry) = value(conf, "yarn.tags") else { return Ok(tags) };
    let origin = || entry.origin.to_string();
    for tag in entry.value.split(',').map(str::trim).filter(|tag| !tag.is_empty()) {
        if tag.len() > MAX_TAG || !tag.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
            return Err(KeyError::Tag { tag: tag.chars().take(30).collect(), origin: origin() });
        }
        tags.push(tag.to_string());
    }
    match tags.len() {
        count if count > MAX_TAGS => Err(KeyError::Tags { count, origin: origin() }),
        _ => Ok(tags),
    }
}

fn staging(conf: &FlinkConf, file_system: &str) -> Result<Option<String>, KeyError> {
    let key = "yarn.staging-directory";
    let Some(entry) = value(conf, key) else { return Ok(None) };
    let text = entry.value.trim();
    let path = text.strip_prefix(file_system.trim_end_matches('/')).unwrap_or(text).trim_end_matches('/');
    let part = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains(':');
    if path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(part)) {
        return Ok(Some(path.into()));
    }
    let expected = "an absolute path on the file system of fs.defaultFS";
    Err(KeyError::Value { key, origin: entry.origin.to_string(), expected })
}

#[cfg(test)]
mod tests;
