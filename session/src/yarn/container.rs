//! A plan as the nodes read it, and what they fetch with it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use kobel_conf::hadoop::{SiteFile, render};
use kobel_plan::{ClusterPlan, FlinkHome, HadoopPlan, Launch, PortChoice};
use kobel_staging::Source;

use super::{Shipped, Site};

/// The link to kobel's own program.
pub(super) const KOBEL: &str = "kobel";
/// The link to the directory that Flink's tar is unpacked into.
pub(super) const FLINK: &str = "flink";
/// The directory of the user's logging configuration.
const CONF: &str = "conf";
/// The directory of Hadoop's configuration.
const HADOOP: &str = "hadoop";
/// Logging configurations that Flink looks for.
const LOGGING: [&str; 2] = ["log4j.properties", "logback.xml"];

/// The Flink of this machine that a cluster on YARN is to be given, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cargo {
    /// The distribution.
    pub flink: FlinkHome,
    /// The directory of the user's logging configuration.
    pub conf_dir: PathBuf,
    /// What of the user's goes there too.
    pub shipped: Vec<Shipped>,
    /// The program's jar, of a job that is to have a cluster of its own.
    pub program: Option<PathBuf>,
    /// Where it goes.
    pub site: Site,
}

/// Turns a plan of this machine's paths into one of a container's: a process works in the container's
/// directory, and relative paths lead from there. What was this machine's is returned.
pub(crate) fn in_container(plan: &mut ClusterPlan, site: Site) -> Cargo {
    let class_path =
        plan.flink.class_path.iter().filter_map(|jar| Some(lib().join(jar.file_name()?))).collect();
    let inside = FlinkHome { home: FLINK.into(), version: plan.flink.version.clone(), class_path };
    let flink = std::mem::replace(&mut plan.flink, inside);
    let conf_dir = std::mem::replace(&mut plan.logging_conf_dir, CONF.into());
    plan.java.home = Launch::JAVA_HOME.into();
    plan.hadoop =
        HadoopPlan { class_path: vec![Launch::HADOOP_JARS.into(), HADOOP.into()], sites: Vec::new() };
    // The default of a single machine, where it means something to people.
    if let PortChoice::Prefer(_) = plan.front.port {
        plan.front.port = PortChoice::Free;
    }
    for role in [&mut plan.job_manager, &mut plan.task_manager] {
        let ours =
            [("HADOOP_USER_NAME", &*site.user), ("HADOOP_CONF_DIR", HADOOP), ("YARN_CONF_DIR", HADOOP)];
        for (name, value) in ours {
            role.env.entry(name.into()).or_insert_with(|| value.into());
        }
    }
    Cargo { flink, conf_dir, shipped: Vec::new(), program: None, site }
}

fn lib() -> PathBuf {
    Path::new(FLINK).join("lib")
}

impl Cargo {
    /// Flink's `lib`, which `FLINK_LIB_DIR` may have moved, and its `plugins`.
    pub(super) fn directories(&self) -> (PathBuf, PathBuf) {
        let lib = self.flink.class_path.last().and_then(|jar| jar.parent());
        let lib = lib.map_or_else(|| self.flink.home.join("lib"), PathBuf::from);
        (lib, self.flink.home.join("plugins"))
    }

    /// Files for the application's own directory that every container gets: by link, each with its name
    /// there, which has no slash.
    pub(super) fn files(&self) -> BTreeMap<String, (String, Source)> {
        let site = |file: &SiteFile| {
            let name = (format!("{HADOOP}/{}", file.name), format!("{HADOOP}-{}", file.name));
            (name, Source::Bytes(render(file).into()))
        };
        let logging = |name: &&str| {
            let dirs = [self.conf_dir.clone(), self.flink.home.join("conf")];
            let file = dirs.iter().map(|dir| dir.join(name)).find(|path| path.is_file())?;
            Some(((format!("{CONF}/{name}"), format!("{CONF}-{name}")), Source::File(file)))
        };
        let all = self.site.files.iter().map(site).chain(LOGGING.iter().filter_map(logging));
        all.map(|((link, name), source)| (link, (name, source))).collect()
    }
}
