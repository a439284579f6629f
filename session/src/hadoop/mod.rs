//! What of Hadoop there is for the JVMs: jars and configuration, and whether that will do.
//!
//! The configuration becomes part of the plan, as read when it was made, instead of the directory's
//! path: whoever edits that directory later, or starts a worker again on another host, gives no two
//! workers of a cluster two configurations.

mod error;
mod jars;
mod needs;

use std::path::{Path, PathBuf};

use kobel_conf::{
    flink::FlinkConf,
    hadoop::{ClassPath, HadoopConf, HadoopConfError, SiteFile, Variables, find_jars, read_sites},
};
use kobel_plan::{ClusterPlan, FlinkHome, HadoopPlan};

use crate::Env;

pub use error::HadoopError;

/// Variables that name a directory of Hadoop's configuration, and the keys of Flink's that stand in
/// for them (`config.sh`).
const CONF_DIRS: [(&str, &str); 2] =
    [("HADOOP_CONF_DIR", "env.hadoop.conf.dir"), ("YARN_CONF_DIR", "env.yarn.conf.dir")];

/// Where packages of Hadoop put theirs.
const PACKAGED: &str = "/etc/hadoop/conf";

/// What was found.
#[derive(Debug)]
pub struct Found {
    /// Entries for the class path.
    pub class_path: ClassPath,
    /// Directories of configuration, each with who named it.
    pub conf_dirs: Vec<(String, PathBuf)>,
    /// What is in them.
    pub sites: Result<Vec<SiteFile>, HadoopConfError>,
}

/// Looks for jars and configuration. `setting` answers the value of a key of Flink's configuration.
pub fn find<'a>(env: &Env, setting: impl Fn(&str) -> Option<&'a str>) -> Found {
    let class_path = find_jars(|name| env.get(name));
    let conf_dirs = conf_dirs(env, setting, &class_path);
    let paths: Vec<_> = conf_dirs.iter().map(|(_, dir)| dir.clone()).collect();
    let variables = variables(env);
    let filled =
        |sites: Vec<SiteFile>| sites.into_iter().map(|site| site.with_environment(&variables)).collect();
    Found { class_path, conf_dirs, sites: read_sites(&paths).map(filled) }
}

/// The directories that variables and settings name; without any, the one of the distribution or of
/// the class path, and without Hadoop's variables at all the one of a package, as `config.sh` has it.
fn conf_dirs<'a>(
    env: &Env,
    setting: impl Fn(&str) -> Option<&'a str>,
    class_path: &ClassPath,
) -> Vec<(String, PathBuf)> {
    let absolute = |dir: &str| std::path::absolute(dir).unwrap_or_else(|_| dir.into());
    let named: Vec<_> = CONF_DIRS
        .into_iter()
        .filter_map(|(variable, key)| match env.get(variable) {
            Some(dir) => Some((variable.to_string(), absolute(dir))),
            None => setting(key).filter(|dir| !dir.is_empty()).map(|dir| (key.to_string(), absolute(dir))),
        })
        .collect();
    if !named.is_empty() {
        return named;
    }
    let has_sites =
        |dir: &Path| ["core-site.xml", "hdfs-site.xml"].iter().any(|name| dir.join(name).is_file());
    let home = env.get("HADOOP_HOME").map(|home| ("HADOOP_HOME", absolute(home).join("etc/hadoop")));
    let on_path = class_path.entries.iter().map(|entry| ("HADOOP_CLASSPATH", entry.clone()));
    let packaged = env.get("HADOOP_CLASSPATH").is_none().then(|| ("its usual place", PACKAGED.into()));
    let found = on_path.chain(home).chain(packaged).find(|(_, dir)| has_sites(dir));
    found.map(|(by, dir)| (by.to_string(), dir)).into_iter().collect()
}

pub(crate) fn variables(env: &Env) -> Variables {
    Variables::of_env(env.iter())
}

impl Found {
    /// What goes into the plan. A configuration that cannot be read stops a start only where there is
    /// something of Hadoop's to read it.
    pub fn plan(self, flink: &FlinkHome) -> Result<HadoopPlan, HadoopError> {
        let in_flink = flink.class_path.iter().any(|jar| jars::sounds_like_hadoop(jar));
        let is_read = self.class_path.jars() > 0 || in_flink;
        let by = self.conf_dirs.iter().map(|(by, _)| by.as_str()).collect::<Vec<_>>().join(" and ");
        let sites = match self.sites {
            Err(source) if is_read => return Err(HadoopError::Conf { by, source }),
            sites => sites.unwrap_or_default(),
        };
        Ok(HadoopPlan { class_path: self.class_path.entries, sites })
    }
}

/// Fails if a setting leads to a file system that the JVMs of this plan could not open.
pub fn check_needs(conf: &FlinkConf, plan: &ClusterPlan, env: &Env) -> Result<(), HadoopError> {
    for need in needs::of(conf) {
        let entries = plan.flink.class_path.iter().chain(&plan.hadoop.class_path);
        if !jars::have_class(entries, need.class) {
            return Err(HadoopError::no_jars(&need, env));
        }
        if need.names_no_cluster() {
            check_default_system(&need, plan, env)?;
        }
    }
    Ok(())
}

/// Flink asks `fs.defaultFS` for the cluster that a path does not name (`HadoopFsFactory`).
fn check_default_system(need: &needs::Need<'_>, plan: &ClusterPlan, env: &Env) -> Result<(), HadoopError> {
    let conf = HadoopConf::new(&plan.hadoop.sites, variables(env));
    let unreadable = |source| HadoopError::Conf { by: "fs.defaultFS".into(), source };
    let default = conf.text("fs.defaultFS").map_err(unreadable)?.unwrap_or_default();
    if needs::system_of(&default).is_some() {
        return Ok(());
    }
    let origin = conf.raw("fs.defaultFS").map(|entry| entry.origin.to_string()).unwrap_or_default();
    Err(HadoopError::no_cluster(need, format!("fs.defaultFS is {default} ({origin})"), env))
}

#[cfg(test)]
mod tests;
