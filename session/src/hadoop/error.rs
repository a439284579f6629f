//! Why Hadoop's part of a cluster will not do.

use kobel_conf::{Category, Explain, hadoop::HadoopConfError};

use super::needs::Need;
use crate::Env;

/// What Hadoop there is is not what the configuration needs.
#[derive(Debug, thiserror::Error)]
pub enum HadoopError {
    /// Its configuration cannot be read.
    #[error("the Hadoop configuration by {by} cannot be used")]
    Conf {
        /// The variables or settings that name it.
        by: String,
        /// Why not.
        source: HadoopConfError,
    },
    /// A setting leads to a file system whose classes are on no class path.
    #[error("{key} is {value} ({origin}), and no jar of the class path opens {scheme}://")]
    NoJars {
        /// The setting.
        key: &'static str,
        /// Its value.
        value: String,
        /// Where that came from.
        origin: String,
        /// The file system.
        scheme: &'static str,
        /// Where jars were looked for.
        source: Looked,
    },
    /// A setting names no HDFS cluster, and nothing says which is the default.
    #[error("{key} is {value} ({origin}), which does not say which HDFS")]
    NoCluster {
        /// The setting.
        key: &'static str,
        /// Its value.
        value: String,
        /// Where that came from.
        origin: String,
        /// What was found instead of a default.
        source: Looked,
    },
}

/// Where was looked for something in vain.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Looked(String);

impl HadoopError {
    pub(super) fn no_jars(need: &Need<'_>, env: &Env) -> Self {
        HadoopError::NoJars {
            key: need.key,
            value: need.entry.value.clone(),
            origin: need.entry.origin.to_string(),
            scheme: need.scheme,
            source: Looked(states(env, &["HADOOP_CLASSPATH", "HADOOP_HOME"], "gives no such jar")),
        }
    }

    pub(super) fn no_cluster(need: &Need<'_>, found: String, env: &Env) -> Self {
        let places = states(env, &["HADOOP_CONF_DIR", "YARN_CONF_DIR", "HADOOP_HOME"], "does not set it");
        HadoopError::NoCluster {
            key: need.key,
            value: need.entry.value.clone(),
            origin: need.entry.origin.to_string(),
            source: Looked(format!("{found}; {places}")),
        }
    }
}

/// Each variable with whether it is set.
fn states(env: &Env, names: &[&str], but: &str) -> String {
    let state = |name: &&str| match env.get(name) {
        Some(_) => format!("{name} {but}"),
        None => format!("{name} is not set"),
    };
    names.iter().map(state).collect::<Vec<_>>().join(", ")
}

impl Explain for HadoopError {
    fn category(&self) -> Category {
        Category::Environment
    }

    fn hint(&self) -> Option<String> {
        match self {
            HadoopError::Conf { source, .. } => source.hint(),
            HadoopError::NoJars { .. } => Some(
                "export HADOOP_CLASSPATH=\"$(hadoop classpath)\"   (or DIR/* with Hadoop's jars, or HADOOP_HOME)"
                    .into(),
            ),
            HadoopError::NoCluster { .. } => {
                Some("export HADOOP_CONF_DIR=DIR   (or write hdfs://HOST:PORT/…)".into())
            }
        }
    }
}
