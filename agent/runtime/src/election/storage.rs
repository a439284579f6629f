//! Flink's files of high availability: what is too large for ZooKeeper, and how jobs ended. They lie in a directory
//! of this machine or of an HDFS.

use std::{path::Path, time::Duration};

use kobel_plan::{ClusterPlan, HaPlan, JobId};
use kobel_staging::{Cause, FsError, Place, PlaceError};

/// Where Flink writes down how jobs ended, unless it is told otherwise by [`RESULTS_KEY`].
const RESULTS: &str = "job-result-store";
const RESULTS_KEY: &str = "job-result-store.storage-path";
/// The same of applications, which Flink has from 2.3 on.
const APPLICATIONS: &str = "application-result-store";
const APPLICATIONS_KEY: &str = "application-result-store.storage-path";
/// What a result's file ends with while what the job left is being removed, and after that.
const SUFFIXES: [&str; 2] = ["_DIRTY.json", ".json"];
/// A larger result is none: accumulators are in it.
const MOST: u64 = 64 << 20;

/// How long it may take to say that they are there.
const DEADLINE: Duration = Duration::from_secs(5);

/// One cluster's files.
#[derive(Debug, Clone)]
pub(crate) struct Storage {
    cluster: Place,
    results: Place,
    applications: Place,
}

impl Storage {
    /// Those of the cluster of this plan. Nothing is looked at yet.
    pub(crate) fn of(plan: &ClusterPlan, ha: &HaPlan) -> Result<Self, PlaceError> {
        let storage = Place::of(plan, &ha.storage_dir)?;
        // A slash would lead elsewhere.
        let id = ha.cluster_id.trim_matches('/');
        let store = |key, name| match plan.conf.get(key).filter(|path| !path.trim().is_empty()) {
            Some(path) => Place::of(plan, path.trim()),
            None => Ok(storage.below(name).below(id)),
        };
        let results = store(RESULTS_KEY, RESULTS)?;
        Ok(Self { cluster: storage.below(id), results, applications: store(APPLICATIONS_KEY, APPLICATIONS)? })
    }

    /// What Flink wrote down of a job's end, if it did.
    pub(crate) async fn result(&self, job: JobId) -> Result<Option<Vec<u8>>, FsError> {
        for suffix in SUFFIXES {
            let Place { files, path } = self.results.below(&format!("{job}{suffix}"));
            match files.read(&path, MOST).await {
                Err(FsError { cause: Cause::Absent, .. }) => {}
                found => return found.map(Some),
            }
        }
        Ok(None)
    }

    /// Why nobody can get at them at this moment, if that is so.
    pub(crate) async fn outage(&self) -> Option<String> {
        let Place { files, path } = &self.cluster;
        match tokio::time::timeout(DEADLINE, files.look(path)).await {
            Ok(Err(error)) if error.cause.is_outage() => Some(format!("{error}: {}", error.cause)),
            Ok(_) => None,
            Err(_) => Some(format!("{} does not answer within {DEADLINE:?}", files.url(path))),
        }
    }

    /// Removes them all.
    pub(crate) async fn remove(&self) -> Result<(), FsError> {
        for Place { files, path } in [&self.cluster, &self.results, &self.applications] {
            files.remove(path).await?;
        }
        Ok(())
    }
}

/// Removes the empty directories around a cluster's files that are kobel's own: those below `own`.
pub(super) fn remove_empty(ha: &HaPlan, own: &Path) {
    let Some(path) = ha.storage_dir.strip_prefix("file://").map(Path::new) else { return };
    for store in [path.join(APPLICATIONS), path.join(RESULTS)] {
        let around = store.ancestors().take_while(|dir| dir.starts_with(own) && *dir != own);
        // One that is not empty, or not there, is no matter.
        around.for_each(|dir| drop(std::fs::remove_dir(dir)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::plan;

    fn ha(dir: &Path, id: &str) -> HaPlan {
        HaPlan {
            zookeeper: kobel_plan::ZooKeeper::Quorum("localhost".into()),
            root: "/flink".into(),
            cluster_id: id.into(),
            storage_dir: format!("file://{}/", dir.display()),
            session_timeout_ms: 10_000,
            silence_ms: 8_000,
            keep: false,
            web_ports: vec![],
        }
    }

    #[tokio::test]
    async fn results_are_found_while_a_job_is_cleaned_up_and_after() {
        let tmp = tempfile::tempdir().unwrap();
        let results = tmp.path().join("job-result-store/a");
        std::fs::create_dir_all(&results).unwrap();
        let storage = Storage::of(&plan(tmp.path()), &ha(tmp.path(), "/a")).unwrap();
        let job: JobId = "ab".repeat(16).parse().unwrap();
        assert_eq!(storage.result(job).await.unwrap(), None);
        std::fs::write(results.join(format!("{job}_DIRTY.json")), "dirty").unwrap();
        assert_eq!(storage.result(job).await.unwrap().unwrap(), b"dirty");
        std::fs::rename(results.join(format!("{job}_DIRTY.json")), results.join(format!("{job}.json")))
            .unwrap();
        assert_eq!(storage.result(job).await.unwrap().unwrap(), b"dirty");
    }

    #[tokio::test]
    async fn a_clusters_files_go_and_no_others() {
        let tmp = tempfile::tempdir().unwrap();
        for file in [
            "a/x/blob",
            "b/blob",
            "job-result-store/a/1.json",
            "job-result-store/b/1.json",
            "application-result-store/a/1",
        ] {
            let path = tmp.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let storage = Storage::of(&plan(tmp.path()), &ha(tmp.path(), "a")).unwrap();
        storage.remove().await.unwrap();
        storage.remove().await.unwrap();
        let left = |file: &str| tmp.path().join(file).exists();
        assert_eq!([left("a"), left("job-result-store/a")], [false, false]);
        assert_eq!([left("b/blob"), left("job-result-store/b/1.json")], [true, true]);
        remove_empty(&ha(tmp.path(), "a"), tmp.path().parent().unwrap());
        assert!(left("b/blob"));
        std::fs::remove_dir_all(tmp.path().join("b")).unwrap();
        std::fs::remove_dir_all(tmp.path().join("job-result-store/b")).unwrap();
        remove_empty(&ha(tmp.path(), "a"), tmp.path());
        assert_eq!([left("job-result-store"), left("")], [false, true]);
    }

    #[test]
    fn a_file_system_that_is_not_known_is_left_alone() {
        let tmp = tempfile::tempdir().unwrap();
        for url in ["s3://bucket/a", "file://host/a", "file:", "hdfs://nn:8020", "relative/a"] {
            let plan = HaPlan { storage_dir: url.into(), ..ha(tmp.path(), "a") };
            let error = Storage::of(&crate::testing::plan(tmp.path()), &plan).unwrap_err();
            assert!(matches!(error, PlaceError::Elsewhere(_)), "{url}: {error}");
        }
    }
}
