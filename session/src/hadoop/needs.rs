//! Settings that lead to a file system of Hadoop's, which Flink's distribution cannot open by itself.

use kobel_conf::flink::{Entry, FlinkConf};

/// Settings of a cluster that are paths, and may therefore need a file system: of checkpoints,
/// savepoints, high availability and archives, by their present and former names.
const PATHS: [&str; 12] = [
    "execution.checkpointing.dir",
    "execution.checkpointing.savepoint-dir",
    "state.checkpoints.dir",
    "state.savepoints.dir",
    "state.backend.fs.checkpointdir",
    "dstl.dfs.base-path",
    "state.changelog.dstl.dfs.base-path",
    "high-availability.storageDir",
    "high-availability.zookeeper.storageDir",
    "job-result-store.storage-path",
    "jobmanager.archive.fs.dir",
    "fs.default-scheme",
];

/// File systems and the class of each, as `core-default.xml` and the jars' own service files name
/// them. Those that Flink has plugins for (s3a, abfs, gs) are not among them.
const SYSTEMS: [(&str, &str); 4] = [
    ("hdfs", "org/apache/hadoop/hdfs/DistributedFileSystem.class"),
    ("webhdfs", "org/apache/hadoop/hdfs/web/WebHdfsFileSystem.class"),
    ("swebhdfs", "org/apache/hadoop/hdfs/web/SWebHdfsFileSystem.class"),
    ("viewfs", "org/apache/hadoop/fs/viewfs/ViewFileSystem.class"),
];

/// A setting that needs a file system of Hadoop's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Need<'a> {
    pub(super) key: &'static str,
    pub(super) entry: &'a Entry,
    pub(super) scheme: &'static str,
    /// The class that opens it.
    pub(super) class: &'static str,
}

impl Need<'_> {
    /// Whether the path leaves it to `fs.defaultFS` which cluster is meant: `hdfs:///path`.
    pub(super) fn names_no_cluster(&self) -> bool {
        let rest = self.entry.value.split_once(':').map_or("", |(_, rest)| rest);
        let authority = rest.strip_prefix("//").and_then(|rest| rest.split('/').next());
        self.scheme == "hdfs" && authority.unwrap_or_default().is_empty()
    }
}

/// The settings that need one.
pub(super) fn of(conf: &FlinkConf) -> impl Iterator<Item = Need<'_>> {
    PATHS.iter().filter_map(|key| {
        let entry = conf.get(key)?;
        let (scheme, class) = system_of(&entry.value)?;
        Some(Need { key, entry, scheme, class })
    })
}

/// The file system that a path is of.
pub(super) fn system_of(path: &str) -> Option<(&'static str, &'static str)> {
    let (scheme, _) = path.trim().split_once(':')?;
    SYSTEMS.iter().find(|(name, _)| scheme.eq_ignore_ascii_case(name)).copied()
}

#[cfg(test)]
mod tests {
    use kobel_conf::flink::Origin;

    use super::*;

    #[test]
    fn only_paths_of_hadoops_file_systems_need_it() {
        let mut conf = FlinkConf::new();
        for (key, value) in [
            ("state.checkpoints.dir", "hdfs://nn:8020/c"),
            ("state.savepoints.dir", "file:///s"),
            ("fs.default-scheme", "ViewFS://cluster/"),
            ("jobmanager.archive.fs.dir", "/plain"),
            ("high-availability.storageDir", "s3://bucket/ha"),
            ("execution.checkpointing.dir", "hdfs:///c"),
            ("my.key", "hdfs://nn/x"),
        ] {
            conf.set(key, value, Origin::Dynamic);
        }
        let found: Vec<_> = of(&conf).map(|need| (need.key, need.scheme, need.names_no_cluster())).collect();
        let expected = [
            ("execution.checkpointing.dir", "hdfs", true),
            ("state.checkpoints.dir", "hdfs", false),
            ("fs.default-scheme", "viewfs", false),
        ];
        assert_eq!(found, expected);
    }
}
