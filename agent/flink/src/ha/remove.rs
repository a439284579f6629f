//! Removes what a cluster that is over has left in ZooKeeper.

use zookeeper_client::Error;

use super::{ClusterRoot, HaClient, Latches, ZkError};

/// More znodes than any cluster has: what it leaves is not removed in one go.
const MOST: usize = 100_000;

/// What became of a cluster's znodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// So many are gone: all there were.
    All(usize),
    /// None: so many JobManagers stand for election.
    InUse(usize),
}

impl HaClient {
    /// Removes the cluster's root and all below, unless a JobManager stands for election there.
    pub async fn remove_cluster(&self, root: &ClusterRoot) -> Result<Removed, ZkError> {
        match self.latches(root).await? {
            Latches::Present { latches, .. } if !latches.is_empty() => {
                return Ok(Removed::InUse(latches.len()));
            }
            Latches::TooMany(count) => return Ok(Removed::InUse(count)),
            Latches::Present { .. } | Latches::Absent => {}
        }
        let mut levels = vec![vec![root.path().to_string()]];
        let mut found = 0;
        while let Some(level) = levels.last().filter(|level| !level.is_empty() && found < MOST) {
            found += level.len();
            let below = self.below(level.clone()).await?;
            levels.push(below);
        }
        let mut removed = 0;
        for path in levels.into_iter().rev().flatten() {
            removed += usize::from(self.remove(&path).await?);
        }
        Ok(Removed::All(removed))
    }

    /// Whether it was there.
    async fn remove(&self, path: &str) -> Result<bool, ZkError> {
        let gone = async {
            match self.client.delete(path, None).await {
                Ok(()) => Ok(true),
                Err(Error::NoNode) => Ok(false),
                Err(error) => Err(error),
            }
        };
        self.within(|| format!("remove {path}"), gone).await
    }
}
