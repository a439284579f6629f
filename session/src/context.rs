//! What every operation of the submitting side starts from: directories, settings, environment.

use std::path::PathBuf;

use kobel_conf::{dirs::Dirs, settings::Settings};
use kobel_hadoop_rpc::yarn::ApplicationId;
use kobel_plan::ClusterName;

use crate::{
    Cluster, Env,
    launch::{LaunchError, revive},
    registry::{Registry, RegistryError},
    yarn::{AdoptError, adopt},
};

/// Made once by the command line.
#[derive(Debug, Clone)]
pub struct Context {
    /// Where state, data, cache and configuration are.
    pub dirs: Dirs,
    /// kobel's own settings: its file, then `KOBEL_*`.
    pub settings: Settings,
    /// The environment of this invocation.
    pub env: Env,
    /// The program that is started as the agent: kobel itself.
    pub agent: PathBuf,
}

impl Context {
    /// The clusters of this user.
    pub fn registry(&self) -> Registry {
        Registry::new(&self.dirs)
    }

    /// The cluster of this name; the session started last, without a name. If it is not over and lost its
    /// agent, it has one again, which took over its processes.
    pub async fn find(&self, name: Option<&ClusterName>) -> Result<Cluster, LaunchError> {
        let cluster = match name {
            Some(name) => self.look_for(name).await?,
            None => self.registry().newest_session()?,
        };
        revive(&self.agent, &cluster).await?;
        Ok(cluster)
    }

    /// The cluster of this name, as it is. The id of a YARN application is a name of the cluster that runs
    /// as it, wherever that was started.
    pub async fn look_for(&self, name: &ClusterName) -> Result<Cluster, LaunchError> {
        let found = self.registry().find(name);
        match (found, name.as_str().parse()) {
            (Err(RegistryError::NoSuchCluster { .. }), Ok(id)) => Ok(self.of_application(id).await?),
            (found, _) => Ok(found?),
        }
    }

    /// The cluster that runs as this application of YARN: known here, or made known.
    pub async fn of_application(&self, id: ApplicationId) -> Result<Cluster, AdoptError> {
        match self.registry().of_application(id)? {
            Some(known) => Ok(known),
            None => Box::pin(adopt(self, id)).await,
        }
    }
}
