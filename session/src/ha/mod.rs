//! What high availability needs of the world around, looked at before anything is started.

mod storage;

use std::{path::PathBuf, time::Duration};

use kobel_conf::{
    Category, Explain,
    dirs::DirsError,
    ha::{HaTimings, Recovery},
};
use kobel_flink::ha::{Access, ClusterRoot, HaClient, Latches, LayoutError, Quorum, ZkError};
use kobel_plan::{ClusterName, ClusterPlan, HaPlan, ZooKeeper};

use crate::{
    Compiled, Context,
    registry::{Registry, RegistryError},
};

/// How long ZooKeeper may take to answer.
const DEADLINE: Duration = Duration::from_secs(5);

/// High availability cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum HaError {
    /// Another cluster of ours has the same place in ZooKeeper.
    #[error("cluster {other} has the same high-availability.cluster-id {id} already")]
    SameId {
        /// The id.
        id: String,
        /// Whose it is.
        other: ClusterName,
    },
    /// The storage directory is of no use.
    #[error("high-availability.storageDir {} ({origin}) cannot be used", path.display())]
    Storage {
        /// The directory.
        path: PathBuf,
        /// Where its path came from.
        origin: String,
        /// Why not.
        source: std::io::Error,
    },
    /// kobel's own directory for it is of no use.
    #[error(transparent)]
    Dirs(#[from] DirsError),
    /// ZooKeeper's address, or a path in it, is of no use.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// ZooKeeper does not serve.
    #[error(transparent)]
    ZooKeeper(#[from] ZkError),
    /// The other clusters cannot be looked at.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl Explain for HaError {
    fn category(&self) -> Category {
        match self {
            HaError::SameId { .. } | HaError::Storage { .. } => Category::Environment,
            HaError::Dirs(e) => e.category(),
            HaError::Layout(e) => e.category(),
            HaError::ZooKeeper(e) => e.category(),
            HaError::Registry(e) => e.category(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            HaError::SameId { other, .. } => Some(format!("-z ANOTHER   (or: kobel stop {other})")),
            HaError::Storage { .. } => {
                Some("-D high-availability.storageDir=/a/directory/of/yours   (or hdfs:///flink/ha)".into())
            }
            HaError::Dirs(e) => e.hint(),
            HaError::Layout(e) => e.hint(),
            HaError::ZooKeeper(e) => e.hint(),
            HaError::Registry(e) => e.hint(),
        }
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// How long a fault costs at most.
    pub recovery: Recovery,
    /// What a person may want to know, a line each.
    pub notes: Vec<String>,
}

/// Looks whether a cluster of this plan can have its high availability; nothing is looked at of one that shall
/// have none. Makes the storage directory if it is one of this machine and missing.
pub async fn check(ctx: &Context, compiled: &Compiled) -> Result<Option<Found>, HaError> {
    let plan = &compiled.plan;
    let (Some(ha), Some(timings)) = (&plan.ha, &compiled.timings) else { return Ok(None) };
    refuse_same_id(&ctx.registry(), plan, ha)?;
    let mut notes = storage::check(&ctx.dirs.state, plan, ha)?;
    let granted = match &ha.zookeeper {
        ZooKeeper::Embedded(_) => timings.session_timeout,
        ZooKeeper::Quorum(quorum) => ask(&Quorum::parse(quorum)?, ha, timings, &mut notes).await?,
    };
    Ok(Some(Found { recovery: timings.recovery(granted), notes }))
}

/// Two clusters of one id would elect one leader among them. One of the same name is another matter: whose it is
/// to say is who claims it.
fn refuse_same_id(registry: &Registry, plan: &ClusterPlan, ha: &HaPlan) -> Result<(), HaError> {
    let place = |ha: &HaPlan| (ha.zookeeper.clone(), ha.root.clone(), ha.cluster_id.clone());
    for other in registry.list()?.into_iter().filter(|other| other.name != plan.name) {
        // What cannot be read has no place that could be compared.
        let Ok(theirs) = other.plan() else { continue };
        let is_same = theirs.ha.as_ref().is_some_and(|theirs| place(theirs) == place(ha));
        if is_same && !ha.cluster_id.is_empty() && other.is_unfinished().unwrap_or(true) {
            return Err(HaError::SameId { id: ha.cluster_id.clone(), other: other.name });
        }
    }
    Ok(())
}

/// For how long ZooKeeper keeps a session that asks for what Flink will ask for.
async fn ask(
    quorum: &Quorum,
    ha: &HaPlan,
    timings: &HaTimings,
    notes: &mut Vec<String>,
) -> Result<Duration, HaError> {
    let asked = timings.session_timeout;
    let client = HaClient::connect(quorum, &Access::default(), asked, DEADLINE).await?;
    let granted = client.granted();
    notes.extend(timings.check(granted).note(asked));
    // On YARN a cluster has no id yet, and nobody else has it.
    if !ha.cluster_id.is_empty() {
        let root = ClusterRoot::new(quorum, &ha.root, &ha.cluster_id)?;
        if let Latches::Present { latches, .. } = client.latches(&root).await?
            && !latches.is_empty()
        {
            notes.push(format!(
                "JobManagers stand for election at {} already ({}): another cluster's, or they died just now",
                root.path(),
                latches.len(),
            ));
        }
    }
    Ok(granted)
}

#[cfg(test)]
mod tests;
