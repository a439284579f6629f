//! The options by which Flink's commands describe a cluster on YARN (`FlinkYarnSessionCli`): those of `yarn-session.sh`, and
//! the same behind a `y` with `flink run -m yarn-cluster`.

use std::path::Path;

use kobel_conf::{Category, units::MemorySize};
use kobel_session::{
    FlinkChoice,
    spec::{MAX_WORKERS, Override, OverrideError},
};

use super::commons_cli::Parsed;
use crate::{
    args::{ClusterArgs, Provider, memory},
    failure::Failure,
};

/// A command line with such options.
#[derive(Debug, Clone, Copy)]
pub(super) struct YarnOptions<'a> {
    parsed: &'a Parsed,
    /// Before each short name.
    short: &'static str,
    /// Before each long name.
    long: &'static str,
}

impl<'a> YarnOptions<'a> {
    /// As `yarn-session.sh` has them.
    pub(super) fn of_session(parsed: &'a Parsed) -> Self {
        Self { parsed, short: "", long: "" }
    }

    /// As `flink` has them.
    pub(super) fn of_job(parsed: &'a Parsed) -> Self {
        Self { parsed, short: "y", long: "yarn" }
    }

    /// What the cluster shall be like. `-D` wins over the options that mean the same, as in Flink.
    pub(super) fn cluster(self) -> Result<ClusterArgs, Failure> {
        Ok(ClusterArgs {
            provider: Provider::Yarn,
            flink: self.flink()?,
            tm: self.number("container", "n", 0)?,
            slots: self.number("slots", "s", 1)?,
            tm_mem: self.megabytes("taskManagerMemory", "tm")?,
            jm_mem: self.megabytes("jobManagerMemory", "jm")?,
            namespace: self.value("zookeeperNamespace").map(String::from),
            queue: self.value("queue").map(String::from),
            application_name: self.value("name").map(String::from),
            node_label: self.value("nodeLabel").map(String::from),
            properties: self.properties()?,
            ..ClusterArgs::default()
        })
    }

    fn value(&self, key: &str) -> Option<&'a str> {
        self.parsed.value(&format!("{}{key}", self.long))
    }

    fn properties(&self) -> Result<Vec<Override>, OverrideError> {
        let key = |key: &str, value: String| Ok(Override { key: key.into(), value });
        let kind = self.value("applicationType").map(|kind| key("yarn.application.type", kind.into()));
        // As they are: what Flink's -t ships, it does not unpack.
        let shipped = Some(self.parsed.values(&format!("{}ship", self.long)).join(";"));
        let shipped = shipped.filter(|paths| !paths.is_empty()).map(|paths| key("yarn.ship-files", paths));
        let given = self.parsed.values(&format!("{}D", self.short));
        kind.into_iter().chain(shipped).chain(given.iter().map(|text| text.parse())).collect()
    }

    fn number(&self, key: &str, option: &str, least: u32) -> Result<Option<u32>, Failure> {
        let Some(text) = self.value(key) else { return Ok(None) };
        match text.parse::<u32>() {
            Ok(n) if (least..=MAX_WORKERS).contains(&n) => Ok(Some(n)),
            _ => {
                let option = format!("-{}{option}", self.short);
                Err(usage(format!("{option} {text}: expected a number from {least} to {MAX_WORKERS}")))
            }
        }
    }

    /// Flink takes a bare number for megabytes here.
    fn megabytes(&self, key: &str, option: &str) -> Result<Option<MemorySize>, Failure> {
        let Some(text) = self.value(key) else { return Ok(None) };
        let bare = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let size = if bare { memory(&format!("{text}m")) } else { memory(text) };
        size.map(Some).map_err(|why| usage(format!("-{}{option} {text}: {why}", self.short)))
    }

    /// Flink's own commands name the `flink-dist` jar; of kobel a whole distribution is wanted.
    fn flink(&self) -> Result<Option<FlinkChoice>, Failure> {
        let Some(text) = self.value("jar") else { return Ok(None) };
        let path = Path::new(text.strip_prefix("file://").unwrap_or(text));
        if path.is_dir() {
            return Ok(Some(FlinkChoice::Home(path.into())));
        }
        let dist = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("flink-dist"));
        let lib = path.parent().filter(|dir| dist && dir.file_name().is_some_and(|name| name == "lib"));
        match lib.and_then(Path::parent) {
            // `lib/flink-dist.jar`, as typed in the distribution itself.
            Some(home) if home.as_os_str().is_empty() => Ok(Some(FlinkChoice::Home(".".into()))),
            Some(home) => Ok(Some(FlinkChoice::Home(home.into()))),
            None => {
                let option = format!("-{}j", self.short);
                let what = "it is neither a Flink distribution nor the flink-dist jar in one's lib directory";
                Err(usage(format!("{option} {}: {what}", path.display()))
                    .hint(format!("leave {option} out, or: {option} FLINK_HOME")))
            }
        }
    }
}

fn usage(what: impl Into<String>) -> Failure {
    Failure::new(Category::Usage, what)
}
