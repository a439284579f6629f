//! Where YARN collects the logs of what is over, by its configuration and an application's id.

use kobel_conf::hadoop::{HadoopConf, HadoopConfError};
use kobel_hadoop_rpc::yarn::ApplicationId;
use serde::{Deserialize, Serialize};

/// The form of files that is read here.
const TFILE: &str = "TFile";

/// How a YARN cluster collects logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Collection {
    /// The directory of everybody's, a path on `fs.defaultFS` or a URL.
    pub root: String,
    /// A directory in each user's own, by its name since Hadoop 3, and before.
    pub suffixes: [String; 2],
    /// How the files are written.
    pub format: String,
}

impl Collection {
    /// What this configuration says; nothing where logs are not collected.
    pub(crate) fn of(conf: &HadoopConf) -> Result<Option<Self>, HadoopConfError> {
        if conf.flag("yarn.log-aggregation-enable")? != Some(true) {
            return Ok(None);
        }
        let filled = |name: &str| {
            let text = conf.text(name)?.map(|text| text.trim().to_string());
            Ok::<_, HadoopConfError>(text.filter(|text| !text.is_empty()))
        };
        let old = filled("yarn.nodemanager.remote-app-log-dir-suffix")?.unwrap_or_else(|| "logs".into());
        let of_format = filled("yarn.log-aggregation.TFile.remote-app-log-dir-suffix")?;
        let root = match filled("yarn.log-aggregation.TFile.remote-app-log-dir")? {
            Some(root) => Some(root),
            None => filled("yarn.nodemanager.remote-app-log-dir")?,
        };
        // NodeManagers write in the first form of those that are known.
        let format = conf.list("yarn.log-aggregation.file-formats")?.into_iter().next();
        Ok(Some(Self {
            root: root.unwrap_or_else(|| "/tmp/logs".into()),
            suffixes: [of_format.unwrap_or_else(|| format!("{old}-{}", TFILE.to_lowercase())), old],
            format: format.unwrap_or_else(|| TFILE.into()),
        }))
    }

    /// Whether its files can be read here.
    pub(super) fn is_known(&self) -> bool {
        self.format.eq_ignore_ascii_case(TFILE)
    }

    /// The file system, unless it is `fs.defaultFS`, and the path on it.
    pub(super) fn split_root(&self) -> (Option<&str>, &str) {
        let Some(begin) = self.root.find("://").map(|at| at + 3) else { return (None, &self.root) };
        let end = self.root[begin..].find('/').map_or(self.root.len(), |at| begin + at);
        let (file_system, path) = self.root.split_at(end);
        (Some(file_system).filter(|it| !it.ends_with("://")), path)
    }

    /// Where an application's may be: since Hadoop 3.3 in one of 10,000 directories, by its number.
    pub(super) fn directories(&self, user: &str, id: ApplicationId) -> [String; 3] {
        let of_user = format!("{}/{user}", self.split_root().1.trim_end_matches('/'));
        let [suffix, old] = &self.suffixes;
        [
            format!("{of_user}/bucket-{suffix}/{:04}/{id}", id.number % 10_000),
            format!("{of_user}/{suffix}/{id}"),
            format!("{of_user}/{old}/{id}"),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collection(root: &str) -> Collection {
        let suffixes = ["logs-tfile".into(), "logs".into()];
        Collection { root: root.into(), suffixes, format: "TFile".into() }
    }

    #[test]
    fn an_application_has_its_directory_by_its_number_and_where_it_was_before() {
        let id = "application_1700000000000_120034".parse().unwrap();
        let dirs = collection("/tmp/logs/").directories("ann", id);
        assert_eq!(
            dirs,
            [
                "/tmp/logs/ann/bucket-logs-tfile/0034/application_1700000000000_120034",
                "/tmp/logs/ann/logs-tfile/application_1700000000000_120034",
                "/tmp/logs/ann/logs/application_1700000000000_120034",
            ]
        );
    }

    #[test]
    fn the_root_may_be_on_a_file_system_of_its_own() {
        for (root, file_system, path) in [
            ("/tmp/logs", None, "/tmp/logs"),
            ("hdfs://other:9000/a/b", Some("hdfs://other:9000"), "/a/b"),
            ("hdfs://other", Some("hdfs://other"), ""),
            ("hdfs:///a", None, "/a"),
        ] {
            assert_eq!(collection(root).split_root(), (file_system, path), "{root}");
        }
    }
}
