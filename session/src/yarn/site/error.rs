//! Why no YARN cluster can be told.

use kobel_conf::{Category, Explain, hadoop::HadoopConfError};

/// No YARN cluster can be told from the configuration.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// Nobody says where the configuration is.
    #[error("neither HADOOP_CONF_DIR nor YARN_CONF_DIR is set, so no YARN cluster is known")]
    NoDirectory,
    /// A file is missing.
    #[error("the Hadoop configuration by {by} has no {name}")]
    NoFile {
        /// The variables or settings that name the directory.
        by: String,
        /// The file.
        name: &'static str,
    },
    /// The configuration cannot be used.
    #[error("the Hadoop configuration by {by} cannot be used")]
    Conf {
        /// The variables or settings that name the directory.
        by: String,
        /// Why not.
        source: HadoopConfError,
    },
    /// The nodes of YARN fetch files from HDFS, and there is none.
    #[error("fs.defaultFS is {value} ({origin}), and a cluster on YARN needs HDFS")]
    NotHdfs {
        /// What it is.
        value: String,
        /// Where that came from.
        origin: String,
    },
    /// Hadoop is secured.
    #[error("hadoop.security.authentication is {value} ({origin}), and kobel knows only simple so far")]
    Secured {
        /// What it is.
        value: String,
        /// Where that came from.
        origin: String,
    },
    /// Calls are to be protected in a way that there is none of.
    #[error("hadoop.rpc.protection is {value} ({origin})")]
    Protection {
        /// What it is.
        value: String,
        /// Where that came from.
        origin: String,
    },
    /// HDFS encrypts what its clients write.
    #[error("dfs.encrypt.data.transfer is true ({origin}), and kobel cannot write to such an HDFS")]
    Encrypted {
        /// Where that came from.
        origin: String,
    },
    /// One of several ResourceManagers has no address.
    #[error("{name} is not set, and yarn.resourcemanager.ha.rm-ids names {id}")]
    NoAddress {
        /// The property.
        name: String,
        /// The ResourceManager.
        id: String,
    },
    /// There is no name to call oneself by.
    #[error("user {uid} has no name, and HADOOP_USER_NAME is not set")]
    NoUser {
        /// The user's number.
        uid: u32,
    },
}

impl Explain for SiteError {
    fn category(&self) -> Category {
        Category::Environment
    }

    fn hint(&self) -> Option<String> {
        match self {
            SiteError::NoDirectory | SiteError::NoFile { .. } => Some(
                "export HADOOP_CONF_DIR=DIR   (the directory with core-site.xml and yarn-site.xml)".into(),
            ),
            SiteError::Conf { source, .. } => source.hint(),
            SiteError::NotHdfs { .. } => {
                Some("set fs.defaultFS in core-site.xml to hdfs://HOST:PORT or hdfs://NAMESERVICE".into())
            }
            SiteError::Secured { .. } | SiteError::Encrypted { .. } => None,
            SiteError::Protection { .. } => {
                Some("set it to authentication, integrity or privacy, or to several of these".into())
            }
            SiteError::NoAddress { name, .. } => Some(format!("set {name} in yarn-site.xml")),
            SiteError::NoUser { .. } => Some("export HADOOP_USER_NAME=NAME".into()),
        }
    }
}
