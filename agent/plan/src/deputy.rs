//! What `kobel exec` has to know beside a JobManager in a container of its own, to stand in for the master when that
//! one falls silent: nobody else is left who knows that the session goes on without it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{ClusterPlan, Role, WorkerId, ZooKeeper, yarn::is_masters_own};

/// What a deputy has to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeputyPlan {
    /// `application_…`.
    pub application_id: String,
    /// Whose application it is.
    pub user: String,
    /// The ResourceManagers' ports for clients, host:port each.
    pub resource_managers: Vec<String>,
    /// The ZooKeeper servers: [`ZooKeeper::Quorum`].
    pub quorum: String,
    /// [`crate::HaPlan::root`].
    pub root: String,
    /// [`crate::HaPlan::cluster_id`].
    pub cluster_id: String,
    /// [`crate::HaPlan::session_timeout_ms`].
    pub session_timeout_ms: u64,
    /// How long a master is silent until it counts as lost, in milliseconds.
    pub silence_ms: u64,
    /// The attempt with which YARN gives the application up: to fail it would end what still runs. None where YARN
    /// forgets failures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attempt: Option<u32>,
}

/// No master is given up sooner: the node may be busy, and another master costs some seconds too.
const PATIENCE: Duration = Duration::from_secs(10);
/// So many sessions of ZooKeeper's could have ended in the silence.
const SESSIONS: u32 = 2;
/// So many heartbeats to YARN could have been made in it.
const HEARTBEATS: u32 = 3;

impl DeputyPlan {
    /// What the deputy of this worker is told. The first JobManager runs beside the master and dies with it, and other
    /// workers are no masters: they have none.
    pub fn of(plan: &ClusterPlan, id: WorkerId) -> Option<Self> {
        let (ha, yarn) = (plan.ha.as_ref()?, plan.yarn.as_ref()?);
        let stands_by =
            id.role == Role::JobManager && !is_masters_own(id) && !yarn.resource_managers.is_empty();
        let ZooKeeper::Quorum(quorum) = &ha.zookeeper else { return None };
        let heartbeat = Duration::from_secs(yarn.heartbeat_seconds(&plan.conf).unwrap_or_default().into());
        let silence = PATIENCE.max(ha.session_timeout() * SESSIONS).max(heartbeat * HEARTBEATS);
        stands_by.then(|| Self {
            application_id: yarn.application_id.clone(),
            user: yarn.user.clone(),
            resource_managers: yarn.resource_managers.clone(),
            quorum: quorum.clone(),
            root: ha.root.clone(),
            cluster_id: ha.cluster_id.clone(),
            session_timeout_ms: ha.session_timeout_ms,
            silence_ms: kobel_conf::units::millis(silence),
            last_attempt: yarn.last_attempt,
        })
    }

    /// For how long a session of ZooKeeper's is asked for.
    pub fn session_timeout(&self) -> Duration {
        Duration::from_millis(self.session_timeout_ms)
    }
}
