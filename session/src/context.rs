//! What every operation of the submitting side starts from: directories, settings, environment.

use std::path::PathBuf;

use kobel_conf::{dirs::Dirs, settings::Settings};
use kobel_plan::ClusterName;

use crate::{
    Cluster, Env,
    launch::{LaunchError, revive},
    registry::Registry,
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

    /// The cluster of this name; the one started last, without a name. If it is not over and lost its
    /// agent, it has one again, which took over its processes.
    pub async fn find(&self, name: Option<&ClusterName>) -> Result<Cluster, LaunchError> {
        let registry = self.registry();
        let cluster = match name {
            Some(name) => registry.find(name)?,
            None => registry.newest()?,
        };
        revive(&self.agent, &cluster).await?;
        Ok(cluster)
    }
}
