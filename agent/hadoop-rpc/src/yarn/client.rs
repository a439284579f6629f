//! A client's talk with the ResourceManager (ApplicationClientProtocol).

use std::time::Duration;

use super::{
    AppReport, AppState, ApplicationId, AttemptId, ClientError, ClusterMetrics, ContainerReport, Malformed,
    NewApplication, NodeReport, NodeState, Queue, Submission, convert,
};
use crate::{Auth, Client, Config, Method, Protocol, Repeat, RetryPolicy, RpcError, proto::yarn as pb};

const PROTOCOL: Protocol =
    Protocol { name: "org.apache.hadoop.yarn.api.ApplicationClientProtocolPB", version: 1 };
const NEW_APPLICATION: Method = Method::new("getNewApplication", Repeat::Idempotent);
// Submitting an id that the ResourceManager has is answered as if it were new.
const SUBMIT: Method = Method::new("submitApplication", Repeat::Idempotent);
const REPORT: Method = Method::new("getApplicationReport", Repeat::Idempotent);
const REPORTS: Method = Method::new("getApplications", Repeat::Idempotent);
const KILL: Method = Method::new("forceKillApplication", Repeat::Idempotent);
// A repetition could fail the next attempt's start, were the id not named.
const FAIL_ATTEMPT: Method = Method::new("failApplicationAttempt", Repeat::Idempotent);
const ATTEMPT_REPORT: Method = Method::new("getApplicationAttemptReport", Repeat::Idempotent);
const METRICS: Method = Method::new("getClusterMetrics", Repeat::Idempotent);
const NODES: Method = Method::new("getClusterNodes", Repeat::Idempotent);
const CONTAINERS: Method = Method::new("getContainers", Repeat::Idempotent);
const QUEUE: Method = Method::new("getQueueInfo", Repeat::Idempotent);

/// Which applications to list: all that fit every part that is not empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppFilter {
    /// Of these types.
    pub kinds: Vec<String>,
    /// In these states.
    pub states: Vec<AppState>,
    /// Of these users.
    pub users: Vec<String>,
    /// With any of these tags.
    pub tags: Vec<String>,
}

/// The client's port of the ResourceManager.
#[derive(Debug, Clone)]
pub struct ResourceManager {
    client: Client,
    deadline: Duration,
}

impl ResourceManager {
    /// Names the ResourceManagers, host:port each, who calls, and the time that a call may take. Nothing
    /// is sent yet.
    pub fn new(addresses: Vec<String>, auth: Auth, deadline: Duration) -> Result<Self, RpcError> {
        Ok(Self { client: Client::new(Config::new(PROTOCOL, addresses, auth))?, deadline })
    }

    /// The same for callers who decide themselves whether to try again: each address is called once at
    /// most, for so long.
    pub fn each_once(addresses: Vec<String>, auth: Auth, at_each: Duration) -> Result<Self, RpcError> {
        let attempts = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
        let mut config = Config::new(PROTOCOL, addresses, auth);
        config.retry = RetryPolicy { attempts, attempt_timeout: Some(at_each), ..RetryPolicy::default() };
        config.dial.connect_timeout = at_each;
        Ok(Self { client: Client::new(config)?, deadline: at_each.saturating_mul(attempts.max(1)) })
    }

    /// The address that was called last, or will be called first.
    pub fn active(&self) -> &str {
        self.client.active()
    }

    /// Has an id made for an application to submit.
    pub async fn new_application(&self) -> Result<NewApplication, ClientError> {
        let answer: pb::NewApplicationResponse =
            self.call(&NEW_APPLICATION, &pb::NewApplicationRequest {}).await?;
        Ok(NewApplication {
            id: convert::application(answer.id)?,
            largest: convert::resource(answer.maximum_capability),
        })
    }

    /// Submits an application. That it was taken shows in its report, once that is no longer
    /// [undecided](AppState::is_undecided). Submitting the same again does no harm, and is what to do after
    /// a lost reply.
    pub async fn submit(&self, submission: &Submission) -> Result<(), ClientError> {
        let request = pb::SubmitRequest { submission: Some(submission.into()) };
        self.call::<_, pb::SubmitResponse>(&SUBMIT, &request).await.map(drop)
    }

    /// How an application fares. [`ClientError::NoSuchApplication`] can be trusted, unlike a 404 over REST:
    /// the port opens only when the ResourceManager has read its notes after a start.
    pub async fn report(&self, id: ApplicationId) -> Result<AppReport, ClientError> {
        let request = pb::ReportRequest { id: Some(id.into()) };
        let answer: pb::ReportResponse = self.call(&REPORT, &request).await?;
        Ok(convert::app_report(answer.report.ok_or(Malformed("report"))?)?)
    }

    /// The applications that fit the filter.
    pub async fn applications(&self, filter: &AppFilter) -> Result<Vec<AppReport>, ClientError> {
        let request = pb::ReportsRequest {
            types: filter.kinds.clone(),
            states: filter.states.iter().filter_map(|state| state.number()).collect(),
            users: filter.users.clone(),
            tags: filter.tags.clone(),
        };
        let answer: pb::ReportsResponse = self.call(&REPORTS, &request).await?;
        Ok(convert::all(answer.reports, convert::app_report)?)
    }

    /// Kills an application, and says whether it is dead: until then it has to be asked again.
    pub async fn kill(&self, id: ApplicationId, diagnostics: &str) -> Result<bool, ClientError> {
        let request = pb::KillRequest { id: Some(id.into()), diagnostics: Some(diagnostics.into()) };
        let answer: pb::KillResponse = self.call(&KILL, &request).await?;
        Ok(answer.is_killed.unwrap_or(false))
    }

    /// Ends an attempt at once, as a failure, also when its node does not answer; the next one starts.
    pub async fn fail_attempt(&self, attempt: AttemptId) -> Result<(), ClientError> {
        let request = pb::FailAttemptRequest { attempt: Some(attempt.into()) };
        self.call::<_, pb::FailAttemptResponse>(&FAIL_ATTEMPT, &request).await.map(drop)
    }

    /// What the ResourceManager says of an attempt. [`ContainerExit::of_master`](super::ContainerExit::of_master) reads it.
    pub async fn attempt_diagnostics(&self, attempt: AttemptId) -> Result<String, ClientError> {
        let request = pb::AttemptReportRequest { attempt: Some(attempt.into()) };
        let answer: pb::AttemptReportResponse = self.call(&ATTEMPT_REPORT, &request).await?;
        let report = answer.report.ok_or(Malformed("report"))?;
        if convert::attempt(report.id)? != attempt {
            return Err(Malformed("attempt").into());
        }
        Ok(report.diagnostics.unwrap_or_default())
    }

    /// How many nodes there are.
    pub async fn metrics(&self) -> Result<ClusterMetrics, ClientError> {
        let answer: pb::MetricsResponse = self.call(&METRICS, &pb::MetricsRequest {}).await?;
        let metrics = answer.metrics.ok_or(Malformed("metrics"))?;
        Ok(ClusterMetrics {
            nodes: convert::count(metrics.node_managers),
            active: convert::count(metrics.active),
            lost: convert::count(metrics.lost),
            unhealthy: convert::count(metrics.unhealthy),
            decommissioned: convert::count(metrics.decommissioned),
        })
    }

    /// The nodes in these states; without any, all nodes.
    pub async fn nodes(&self, states: &[NodeState]) -> Result<Vec<NodeReport>, ClientError> {
        let states = states.iter().filter_map(|state| state.number()).collect();
        let answer: pb::NodesResponse = self.call(&NODES, &pb::NodesRequest { states }).await?;
        Ok(convert::all(answer.nodes, convert::node_report)?)
    }

    /// The containers of an attempt that run.
    pub async fn containers(&self, attempt: AttemptId) -> Result<Vec<ContainerReport>, ClientError> {
        let request = pb::ContainersRequest { attempt: Some(attempt.into()) };
        let answer: pb::ContainersResponse = self.call(&CONTAINERS, &request).await?;
        Ok(convert::all(answer.containers, convert::container_report)?)
    }

    /// A queue with those below it; `None` when there is no such queue.
    pub async fn queue(&self, name: &str) -> Result<Option<Queue>, ClientError> {
        let request = pb::QueueRequest {
            name: Some(name.into()),
            include_applications: Some(false),
            include_children: Some(true),
            recursive: Some(true),
        };
        let answer: pb::QueueResponse = self.call(&QUEUE, &request).await?;
        Ok(answer.queue.map(convert::queue))
    }

    async fn call<Q: prost::Message, R: prost::Message + Default>(
        &self,
        method: &Method,
        request: &Q,
    ) -> Result<R, ClientError> {
        Ok(self.client.call(method, request, self.deadline).await?)
    }
}
