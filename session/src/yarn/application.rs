//! What finds a cluster on YARN again, and opens what changes it: the file `yarn.json`, written before
//! anything of the application lies anywhere else.

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc, time::Duration};

use kobel_conf::settings::Settings;
use kobel_hadoop_rpc::yarn::{AppReport, AppState, ApplicationId, Resource};
use kobel_plan::{ClusterDir, ClusterName};
use kobel_staging::{AppId, Deadlines, Hdfs, Staging, StagingError};
use serde::{Deserialize, Serialize};

use super::{
    Collection,
    manager::{Manager, Managers, RmError, Sighting},
};
use crate::{
    fsx,
    registry::{RegistryError, file_error},
};

/// How long the ResourceManager may take to end an application.
const KILL: Duration = Duration::from_secs(20);
/// How long a call of the ResourceManager may take where a person waits.
const ANSWER: Duration = Duration::from_secs(5);

/// An application of ours.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Application {
    /// Its id.
    pub id: ApplicationId,
    /// As whom it was submitted.
    pub user: String,
    /// Where YARN's ResourceManagers are.
    #[serde(flatten)]
    pub managers: Managers,
    /// The user's staging directory, a path on `fs.defaultFS`.
    pub staging: String,
    /// The properties of core-site and hdfs-site.
    pub hadoop: BTreeMap<String, String>,
    /// The master's container in MiB.
    pub master_mib: i64,
    /// What the master wants to see of who changes the cluster.
    pub secret: String,
    /// How YARN collects logs, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<Collection>,
    /// What the master calls the cluster, where it has another name here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub called: Option<ClusterName>,
}

/// The secret is one, and properties may be.
impl fmt::Debug for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Application({} of {})", self.id, self.user)
    }
}

fn path(dir: &ClusterDir) -> PathBuf {
    dir.path().join("yarn.json")
}

impl Application {
    /// The one of this cluster, if it is one on YARN.
    pub fn of(dir: &ClusterDir) -> Result<Option<Self>, RegistryError> {
        let path = path(dir);
        match std::fs::read(&path) {
            Ok(text) => match serde_json::from_slice(&text) {
                Ok(application) => Ok(Some(application)),
                Err(source) => Err(RegistryError::Damaged { path, source }),
            },
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(file_error("read", path)(e)),
        }
    }

    /// Whether a cluster is one on YARN.
    pub(crate) fn is_of(dir: &ClusterDir) -> bool {
        path(dir).exists()
    }

    /// Writes it down.
    pub(crate) fn write(&self, dir: &ClusterDir) -> Result<(), RegistryError> {
        let path = path(dir);
        let json = serde_json::to_vec_pretty(self)
            .map_err(|source| RegistryError::Damaged { path: path.clone(), source })?;
        fsx::write_whole(&path, &json).map_err(file_error("write", path))
    }

    /// Takes away what a former run left.
    pub(crate) fn forget(dir: &ClusterDir) -> std::io::Result<()> {
        match std::fs::remove_file(path(dir)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    /// The ResourceManager.
    pub fn resource_manager(&self) -> Result<Box<dyn Manager>, RmError> {
        self.managers.open_within(&self.user, ANSWER)
    }

    /// How the application fares.
    pub async fn report(&self) -> Result<Sighting<AppReport>, RmError> {
        self.resource_manager()?.report(self.id).await
    }

    /// The size of the master's container.
    pub(crate) fn master_size(&self) -> Resource {
        Resource::new(self.master_mib, 1)
    }

    /// Has the ResourceManager end it; none when it does not know the application.
    pub(crate) async fn kill(&self, why: &str) -> Result<Option<AppState>, RmError> {
        match self.resource_manager()?.kill(self.id, why, KILL).await {
            Ok(state) => Ok(Some(state)),
            Err(RmError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Its name as that of a directory.
    pub(crate) fn app_id(&self) -> Result<AppId, StagingError> {
        AppId::try_from(self.id.to_string().as_str())
    }

    /// The user's staging directory.
    pub(crate) fn staging(&self) -> Result<Staging, StagingError> {
        let hdfs = Hdfs::new(None, &self.hadoop, &self.user, Deadlines::default())?;
        Ok(Staging::new(Arc::new(hdfs), &self.staging, &[], &Default::default()))
    }

    /// Removes the application's own directory: nobody fetches anything of an application that is over.
    pub(crate) async fn remove_files(&self) -> Result<(), StagingError> {
        self.staging()?.application(&self.app_id()?).await?.remove().await
    }
}

/// The user's staging directory, a path on `fs.defaultFS`; `above` is where it is to be instead of in the
/// user's home.
pub(crate) fn staging_dir(settings: &Settings, hdfs: &Hdfs, above: Option<&str>) -> String {
    let above = above.unwrap_or_else(|| hdfs.home());
    settings.staging_dir.value.clone().unwrap_or_else(|| format!("{above}/.kobel"))
}

/// The address at which a master that runs serves its front.
pub(crate) fn front(report: &AppReport) -> Option<String> {
    let (host, port) = report.master.as_ref().filter(|_| report.state == AppState::Running)?;
    let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    (*port != 0).then(|| format!("http://{host}:{port}"))
}
