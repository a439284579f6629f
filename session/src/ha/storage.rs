//! Whether Flink can keep its files where it shall.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::Path,
};

use kobel_conf::{dirs::ensure_private, ha::STORAGE_KEY};
use kobel_plan::{ClusterPlan, FlinkHome, HaPlan};

use super::HaError;
use crate::compile::scheme;

/// File systems that Flink has plugins for, and what the names of their jars begin with.
const PLUGINS: [(&str, &str); 9] = [
    ("s3", "flink-s3-fs-"),
    ("s3a", "flink-s3-fs-hadoop"),
    ("s3p", "flink-s3-fs-presto"),
    ("gs", "flink-gs-fs-hadoop"),
    ("oss", "flink-oss-fs-hadoop"),
    ("abfs", "flink-azure-fs-hadoop"),
    ("abfss", "flink-azure-fs-hadoop"),
    ("wasb", "flink-azure-fs-hadoop"),
    ("wasbs", "flink-azure-fs-hadoop"),
];

/// Makes a directory of this machine, and looks whether one elsewhere can be reached at all. Of Hadoop's file
/// systems that is known already.
pub(super) fn check(state: &Path, plan: &ClusterPlan, ha: &HaPlan) -> Result<Vec<String>, HaError> {
    let Some(path) = ha.storage_dir.strip_prefix("file://").map(Path::new) else {
        return Ok(lacks_plugin(&plan.flink, &ha.storage_dir).into_iter().collect());
    };
    if path.starts_with(state) {
        ensure_private(state)?;
        ensure_private(path)?;
        return Ok(Vec::new());
    }
    let origin = || plan.origins.get(STORAGE_KEY).cloned().unwrap_or_default();
    let writable_by_all = ensure_writable(path).map_err(|source| HaError::Storage {
        path: path.into(),
        origin: origin(),
        source,
    })?;
    let note = || {
        format!(
            "{STORAGE_KEY} {} can be written to by everybody, and a JobManager runs what is in it",
            path.display()
        )
    };
    Ok(writable_by_all.then(note).into_iter().collect())
}

/// Makes the directory (0700) and its parents unless it is there. Whether everybody may write to it.
fn ensure_writable(path: &Path) -> io::Result<bool> {
    use rustix::fs::Access;
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    rustix::fs::access(path, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK)?;
    Ok(fs::metadata(path)?.mode() & 0o002 != 0)
}

fn lacks_plugin(flink: &FlinkHome, storage_dir: &str) -> Option<String> {
    let scheme = scheme(storage_dir)?;
    let (_, jar) = PLUGINS.iter().find(|(name, _)| name.eq_ignore_ascii_case(scheme))?;
    let plugins = flink.home.join("plugins");
    let in_plugins = fs::read_dir(&plugins)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|dir| fs::read_dir(dir.path()).ok());
    let names = in_plugins.flatten().flatten().map(|entry| entry.file_name());
    let on_path = flink.class_path.iter().filter_map(|path| path.file_name().map(Into::into));
    let has = names.chain(on_path).any(|name| name.to_string_lossy().starts_with(jar));
    let note =
        || format!("{STORAGE_KEY} is {storage_dir}, and no {jar}*.jar is in {} or lib", plugins.display());
    (!has).then(note)
}
