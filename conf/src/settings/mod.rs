//! kobel's own settings: `default.toml`, the user's file, `KOBEL_*`, the last one wins.

mod error;
mod layers;

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

pub use error::SettingsError;
use serde::{Deserialize, Serialize};

use crate::{
    flink::Origin,
    ha::HaProfile,
    settings::layers::Layers,
    units::{self, MemorySize},
};

/// kobel's own settings with their defaults and explanations: the manual.
pub const DEFAULT: &str = include_str!("../../default.toml");

/// A setting and where its value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Where it came from.
    pub origin: Origin,
}

/// Where a Flink distribution is fetched from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlinkSource {
    /// Apache's site, and the Python package index where that does not answer.
    Auto,
    /// Apache's site.
    Apache,
    /// The Python package index, by way of pip.
    PyPi,
}

impl FromStr for FlinkSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "apache" => Ok(Self::Apache),
            "pypi" => Ok(Self::PyPi),
            _ => Err(format!("must be auto, apache or pypi, not {text:?}")),
        }
    }
}

/// Whether archives of Flink's classes are made and used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClassArchives {
    /// Made in the background where they are missing, and used.
    Auto,
    /// Neither.
    Off,
}

impl FromStr for ClassArchives {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "off" => Ok(Self::Off),
            _ => Err(format!("must be auto or off, not {text:?}")),
        }
    }
}

/// How YARN's ResourceManager is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum YarnApi {
    /// Over REST, and over RPC where its web takes no applications or cannot be reached.
    #[default]
    Auto,
    /// Over the REST API of its web address.
    Rest,
    /// Over its RPC port.
    Rpc,
}

impl FromStr for YarnApi {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "rest" => Ok(Self::Rest),
            "rpc" => Ok(Self::Rpc),
            _ => Err(format!("must be rest, rpc or auto, not {text:?}")),
        }
    }
}

/// kobel's own settings, each with its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `flink.version`: the version that runs when none is named.
    pub flink_version: Sourced<String>,
    /// `flink.source`.
    pub flink_source: Sourced<FlinkSource>,
    /// `flink.mirror`: holds `flink-V/flink-V-bin-scala_2.12.tgz`.
    pub flink_mirror: Sourced<String>,
    /// `flink.archive`: holds what the mirror no longer does.
    pub flink_archive: Sourced<String>,
    /// `flink.checksums`: holds the `.sha512` files; never a mirror.
    pub flink_checksums: Sourced<String>,
    /// `java.home`: the Java that runs Flink; none looks for one.
    pub java_home: Sourced<Option<PathBuf>>,
    /// `start.timeout`: how long a cluster may take to be ready, or a job of its own to run (once YARN has begun it).
    pub start_timeout: Sourced<Duration>,
    /// `start.cds`: archives of classes.
    pub start_cds: Sourced<ClassArchives>,
    /// `stop.grace`: how long processes may take to end before they are killed.
    pub stop_grace: Sourced<Duration>,
    /// `session.task-managers`: pinned TaskManagers.
    pub task_managers: Sourced<u32>,
    /// `session.max-task-managers`: how many there may be when jobs need more; none for the pinned alone.
    pub max_task_managers: Sourced<Option<u32>>,
    /// `session.slots`: slots of a TaskManager; none leaves it to Flink's configuration.
    pub slots: Sourced<Option<u32>>,
    /// `session.tm-memory`: a TaskManager's process; none leaves it to Flink's configuration.
    pub tm_memory: Sourced<Option<MemorySize>>,
    /// `session.jm-memory`: a JobManager's process; none leaves it to Flink's configuration.
    pub jm_memory: Sourced<Option<MemorySize>>,
    /// `ha.profile`: how quickly a cluster with high availability recovers.
    pub ha_profile: Sourced<HaProfile>,
    /// `yarn.queue`: the queue of applications; none leaves it to Flink's configuration, or to YARN.
    pub yarn_queue: Sourced<Option<String>>,
    /// `yarn.api`: how the ResourceManager is asked.
    pub yarn_api: Sourced<YarnApi>,
    /// `staging.dir`: an absolute path on `fs.defaultFS`; none is `.kobel` in the user's home there.
    pub staging_dir: Sourced<Option<String>>,
    /// `staging.shared`: further staging directories that are looked into and never written to.
    pub staging_shared: Sourced<Vec<String>>,
    /// `staging.trusted-owners`: users whose staged files are taken for what they are called.
    pub staging_trusted_owners: Sourced<BTreeSet<String>>,
}

impl Settings {
    /// Layers the defaults, the user's file (it need not exist) and the environment (`flink.version`
    /// is `KOBEL_FLINK_VERSION`), the last one wins.
    pub fn load(file: &Path, env: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, SettingsError> {
        let mut layers = Layers::defaults()?;
        layers.add_file(file)?;
        layers.add_env(env)?;
        Ok(Self {
            flink_version: layers.get("flink.version", version)?,
            flink_source: layers.get("flink.source", str::parse)?,
            flink_mirror: layers.get("flink.mirror", url)?,
            flink_archive: layers.get("flink.archive", url)?,
            flink_checksums: layers.get("flink.checksums", url)?,
            java_home: layers.find("java.home", absolute)?,
            start_timeout: layers.get("start.timeout", duration)?,
            start_cds: layers.get("start.cds", str::parse)?,
            stop_grace: layers.get("stop.grace", duration)?,
            task_managers: layers.get("session.task-managers", |text| count(text, 0))?,
            max_task_managers: layers.find("session.max-task-managers", |text| count(text, 0))?,
            slots: layers.find("session.slots", |text| count(text, 1))?,
            tm_memory: layers.find("session.tm-memory", size)?,
            jm_memory: layers.find("session.jm-memory", size)?,
            ha_profile: layers.get("ha.profile", str::parse)?,
            yarn_queue: layers.find("yarn.queue", name)?,
            yarn_api: layers.get("yarn.api", str::parse)?,
            staging_dir: layers.find("staging.dir", remote_path)?,
            staging_shared: layers.get("staging.shared", |text| each(text, remote_path))?,
            staging_trusted_owners: layers.get("staging.trusted-owners", |text| each(text, name))?,
        })
    }
}

/// As many workers, and slots of one, as anybody could mean.
const MAX_COUNT: u32 = 10_000;

fn count(text: &str, least: u32) -> Result<u32, String> {
    let number = text.parse().ok().filter(|n| (least..=MAX_COUNT).contains(n));
    number.ok_or_else(|| format!("must be a whole number from {least} to {MAX_COUNT}, not {text:?}"))
}

fn duration(text: &str) -> Result<Duration, String> {
    units::parse_duration_with_unit(text).map_err(|e| is_no("duration", &e))
}

fn size(text: &str) -> Result<MemorySize, String> {
    text.parse().map_err(|e| is_no("size", &e))
}

fn is_no(what: &str, error: &dyn fmt::Display) -> String {
    format!("must be a {what}: {error}")
}

fn absolute(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_absolute() { Ok(path) } else { Err(format!("must be an absolute path, not {text:?}")) }
}

fn name(text: &str) -> Result<String, String> {
    let ok = !text.is_empty() && !text.contains(|c: char| c.is_control() || c.is_whitespace());
    if ok { Ok(text.into()) } else { Err(format!("must be a name without white space, not {text:?}")) }
}

/// Values with commas between them.
fn each<C: FromIterator<String>>(
    text: &str,
    parse: impl Fn(&str) -> Result<String, String>,
) -> Result<C, String> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(parse).collect()
}

/// A path on a remote file system, which `fs.defaultFS` names.
fn remote_path(text: &str) -> Result<String, String> {
    let part = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains(':');
    let ok = text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(part));
    if ok {
        Ok(text.into())
    } else {
        Err(format!("must be an absolute path such as /user/me/.kobel, not {text:?}"))
    }
}

/// It becomes a directory name and part of a URL.
fn version(text: &str) -> Result<String, String> {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    let ok = text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(inner);
    if ok { Ok(text.into()) } else { Err(format!("must be a version such as 1.20.5, not {text:?}")) }
}

/// Plain HTTP is for a mirror in one's own house; what comes from it is checked by `flink.checksums`.
fn url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let ok = rest.is_some_and(|rest| !rest.starts_with('/') && !rest.is_empty())
        && !text.contains(char::is_whitespace);
    if ok {
        Ok(text.trim_end_matches('/').into())
    } else {
        Err(format!("must be an http or https URL, not {text:?}"))
    }
}

#[cfg(test)]
mod tests;
