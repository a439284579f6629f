//! Carries a decision out: looks again right before each removal, and removes what belongs together in one
//! transaction.

use super::{ClusterRoot, Evidence, Fence, HaClient, Refusal, ZkError, fence, zk::Znode};

/// How often things may change under our hands before it is left to the session's timeout.
const ROUNDS: usize = 3;

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fenced {
    /// The latch is gone and what was published with it, and another JobManager leads or will. The locks of its
    /// sessions may go, too ([`HaClient::release_locks`]).
    Done(Fence),
    /// Nothing was touched.
    Refused(Refusal),
}

impl HaClient {
    /// Removes what the election has of a dead JobManager's, if the evidence allows it. The time until another one
    /// can lead is that of this call.
    ///
    /// After an error it may have been done or not: asking again tells.
    pub async fn fence(&self, root: &ClusterRoot, evidence: &Evidence) -> Result<Fenced, ZkError> {
        for _ in 0..ROUNDS {
            let election = self.election(root).await?;
            let fence = match fence(evidence, &election) {
                Ok(fence) => fence,
                Err(refusal) => return Ok(Fenced::Refused(refusal)),
            };
            if self.is_unchanged(&fence.election).await? && self.delete_together(&fence.election).await? {
                return Ok(Fenced::Done(fence));
            }
        }
        Ok(Fenced::Refused(Refusal::NothingLeft))
    }

    /// Removes the locks of a fenced JobManager, each only while it is the znode that was seen. They keep nobody
    /// from leading, but from removing what is locked. Tells which are gone.
    pub async fn release_locks(&self, root: &ClusterRoot, fence: &Fence) -> Result<Vec<String>, ZkError> {
        let locks = fence.locks(root, &self.locks(root).await?);
        let mut released = Vec::new();
        for lock in locks {
            let lock = [lock];
            if self.is_unchanged(&lock).await? && self.delete_together(&lock).await? {
                released.extend(lock.map(|lock| lock.path));
            }
        }
        Ok(released)
    }

    /// Whether all of these are still the znodes that were seen, with the owners they had.
    async fn is_unchanged(&self, znodes: &[Znode]) -> Result<bool, ZkError> {
        Ok(self.stats(znodes.iter().map(|znode| znode.path.clone()).collect()).await? == znodes)
    }
}
