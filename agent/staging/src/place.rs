//! A place that a URL of Flink's configuration names, or Flink itself, as far as kobel knows the file system.

use std::sync::Arc;

use kobel_plan::ClusterPlan;

use crate::{Deadlines, FileSystem, FsError, Hdfs, PlainFiles};

/// A place in a file system that this process can read and write.
#[derive(Debug, Clone)]
pub struct Place {
    /// The file system.
    pub files: Arc<dyn FileSystem>,
    /// Absolute, without a slash at its end.
    pub path: String,
}

/// It cannot be got at.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// kobel does not know this kind of file system.
    #[error("{0} is neither a file: nor an hdfs: directory")]
    Elsewhere(String),
    /// The file system refused.
    #[error(transparent)]
    Fs(#[from] FsError),
}

impl Place {
    /// What this URL means to a cluster of this plan. Nothing is looked at yet.
    pub fn of(plan: &ClusterPlan, url: &str) -> Result<Self, PlaceError> {
        let elsewhere = || PlaceError::Elsewhere(url.into());
        let (scheme, rest) = url.split_once(':').unwrap_or(("file", url));
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => rest.split_at(rest.find('/').ok_or_else(elsewhere)?),
            None => ("", rest),
        };
        let files: Arc<dyn FileSystem> = match scheme {
            "file" if authority.is_empty() => Arc::new(PlainFiles::new(Deadlines::default())),
            "hdfs" => Arc::new(hdfs(plan, authority)?),
            _ => return Err(elsewhere()),
        };
        let path = path.trim_end_matches('/');
        if path.starts_with('/') { Ok(Self { files, path: path.into() }) } else { Err(elsewhere()) }
    }

    /// One in this directory.
    pub fn below(&self, name: &str) -> Self {
        Self { files: self.files.clone(), path: format!("{}/{name}", self.path) }
    }
}

/// The HDFS of this authority, or `fs.defaultFS`, as the cluster's JVMs know it.
fn hdfs(plan: &ClusterPlan, authority: &str) -> Result<Hdfs, FsError> {
    let url = (!authority.is_empty()).then(|| format!("hdfs://{authority}"));
    let (properties, user) = match &plan.yarn {
        Some(yarn) => (yarn.hadoop.clone(), yarn.user.clone()),
        None => {
            let properties = plan.hadoop.sites.iter().flat_map(|site| &site.properties);
            let properties = properties.map(|property| (property.name.clone(), property.value.clone()));
            let named = plan.job_manager.env.get("HADOOP_USER_NAME").cloned();
            (properties.collect(), named.or_else(|| std::env::var("USER").ok()).unwrap_or_default())
        }
    };
    Hdfs::new(url.as_deref(), &properties, &user, Deadlines::default())
}
