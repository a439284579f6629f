//! The ResourceManager's RPC port, asked as its web is.

use std::time::Duration;

use async_trait::async_trait;
use kobel_conf::settings::YarnApi;
use kobel_hadoop_rpc::{
    Auth, RpcError,
    yarn::{
        AppReport, AppState, ApplicationId, AttemptId, ClientError, NewApplication, NodeReport, Queue,
        ResourceManager, Submission,
    },
};

use super::{
    manager::{Call, Manager, QueueUse, RmError, Sighting, SubmitError},
    rest::ContainerInfo,
};

/// The clients' RPC ports of a cluster's ResourceManagers, of which one is active.
#[derive(Debug)]
pub struct RmRpc {
    port: ResourceManager,
    addresses: String,
    user: String,
}

impl RmRpc {
    /// Names the ResourceManagers, `host:port` each, who calls, and the time that a call has at each.
    pub fn new(addresses: &[String], user: &str, within: Duration) -> Result<Self, RmError> {
        let auth = Auth::Simple { user: user.into() };
        let port = ResourceManager::each_once(addresses.to_vec(), auth, within);
        let port = port.map_err(|_| RmError::NoAddress)?;
        Ok(Self { port, addresses: addresses.join(", "), user: user.into() })
    }

    fn failed(&self, call: Call, error: ClientError) -> RmError {
        match error {
            ClientError::NoSuchApplication { message } => RmError::NotFound { call, message },
            ClientError::Refused { class, message } => RmError::refused(call, &self.user, class, message),
            ClientError::Malformed(source) => {
                RmError::NotYarn { call, address: self.port.active().into(), found: source.to_string() }
            }
            ClientError::Rpc(source) => self.lost(call, source),
        }
    }

    fn lost(&self, call: Call, source: RpcError) -> RmError {
        let Some(exception) = source.exception() else {
            return match source {
                RpcError::Deadline { address, after, .. } => RmError::Timeout { call, address, after },
                source => RmError::Port { call, source: Box::new(source) },
            };
        };
        let message = exception.message.clone();
        if exception.standby() {
            RmError::NoneActive { call, addresses: self.addresses.clone() }
        } else if exception.is("AccessControlException") && message.contains("authentication is not enabled")
        {
            RmError::Unauthenticated { call, address: self.port.active().into() }
        } else if exception.is("AccessControlException") || exception.is("AuthorizationException") {
            RmError::Denied { call, user: self.user.clone(), message }
        } else {
            RmError::Port { call, source: Box::new(source) }
        }
    }
}

#[async_trait]
impl Manager for RmRpc {
    fn way(&self) -> YarnApi {
        YarnApi::Rpc
    }

    fn active(&self) -> String {
        self.port.active().into()
    }

    async fn new_application(&self) -> Result<NewApplication, RmError> {
        let call = || Call::changes("get an application id");
        self.port.new_application().await.map_err(|e| self.failed(call(), e))
    }

    async fn hand_in(&self, submission: &Submission) -> Result<(), SubmitError> {
        let id = submission.id;
        let failed =
            |error| SubmitError::Rm { id, source: self.failed(Call::changes(format!("submit {id}")), error) };
        self.port.submit(submission).await.map_err(failed)
    }

    async fn app(&self, id: ApplicationId) -> Result<AppReport, RmError> {
        let call = || Call::reads(format!("ask about {id}"));
        self.port.report(id).await.map_err(|e| self.failed(call(), e))
    }

    /// The port opens only when the ResourceManager is active and has read its notes, so it never is too
    /// early to tell.
    async fn report(&self, id: ApplicationId) -> Result<Sighting<AppReport>, RmError> {
        match self.app(id).await {
            Err(RmError::NotFound { .. }) => Ok(Sighting::Gone),
            told => told.map(Sighting::Seen),
        }
    }

    async fn ask_to_die(&self, id: ApplicationId, words: &str) -> Result<Option<AppState>, RmError> {
        let call = || Call::changes(format!("kill {id}"));
        if !self.port.kill(id, words).await.map_err(|e| self.failed(call(), e))? {
            return Ok(None);
        }
        let state = self.app(id).await?.state;
        Ok(state.is_over().then_some(state))
    }

    /// Ids have it in them, and there is no other call that tells.
    async fn started_ms(&self) -> Result<i64, RmError> {
        Ok(self.new_application().await?.id.cluster_timestamp)
    }

    async fn nodes(&self) -> Result<Vec<NodeReport>, RmError> {
        self.port.nodes(&[]).await.map_err(|e| self.failed(Call::reads("list the nodes"), e))
    }

    async fn queues(&self) -> Result<Vec<QueueUse>, RmError> {
        let call = || Call::reads("ask for the queues");
        let root = self.port.queue("root").await.map_err(|e| self.failed(call(), e))?;
        let mut leaves = Vec::new();
        if let Some(root) = root {
            gather(root, "", 1.0, &mut leaves);
        }
        Ok(leaves)
    }

    async fn containers(&self, attempt: AttemptId) -> Result<Vec<ContainerInfo>, RmError> {
        let call = || Call::reads(format!("list the containers of {attempt}"));
        let containers = self.port.containers(attempt).await.map_err(|e| self.failed(call(), e))?;
        let info = |report: kobel_hadoop_rpc::yarn::ContainerReport| ContainerInfo {
            container_id: report.id,
            node_id: report.node.to_string(),
            node_http_address: report.node_http,
            allocated_mib: report.size.memory_mib,
            allocated_vcores: report.size.vcores.into(),
            log_url: String::new(),
        };
        Ok(containers.into_iter().map(info).collect())
    }
}

/// Adds the queues below and including this one that have none below themselves. Each tells what it may grow
/// to as a part of the one above.
fn gather(queue: Queue, above: &str, of_cluster: f32, leaves: &mut Vec<QueueUse>) {
    let path = QueueUse::path_below(above, queue.name);
    let maximum = of_cluster * queue.maximum.clamp(0.0, 1.0);
    if !queue.children.is_empty() {
        queue.children.into_iter().for_each(|queue| gather(queue, &path, maximum, leaves));
        return;
    }
    leaves.push(QueueUse {
        path,
        state: queue.state,
        used: queue.allocated,
        max_percent: Some(100.0 * maximum),
        max: None,
        masters: None,
        masters_max: None,
        pending: queue.pending,
    });
}
