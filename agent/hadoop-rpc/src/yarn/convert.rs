//! From the records on the wire to the types of this crate. What a peer leaves out that YARN always sends
//! makes the answer [`Malformed`].

use super::{
    AppReport, AppState, ApplicationId, AttemptId, Completed, Container, ContainerExit, ContainerId,
    ContainerReport, FinalStatus, Granted, LogStatus, NodeId, NodeReport, NodeState, Queue, QueueState,
    Resource,
};
use crate::{Token, proto::yarn as pb};

/// A peer's answer does not hold what it must.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer holds no {0}")]
pub struct Malformed(pub &'static str);

type Read<T> = Result<T, Malformed>;

/// Reads every record of a list.
pub(super) fn all<P, T>(records: Vec<P>, read: impl Fn(P) -> Read<T>) -> Read<Vec<T>> {
    records.into_iter().map(read).collect()
}

/// The number of a field that YARN keeps signed; what is below 0 counts as 0.
pub(super) fn count(value: Option<i32>) -> u32 {
    value.and_then(|value| value.try_into().ok()).unwrap_or(0)
}

pub(super) fn application(id: Option<pb::ApplicationId>) -> Read<ApplicationId> {
    let id = id.ok_or(Malformed("application id"))?;
    let cluster_timestamp = id.cluster_timestamp.filter(|t| *t >= 0).ok_or(Malformed("application id"))?;
    let number = id.id.filter(|n| *n >= 0).ok_or(Malformed("application id"))?;
    Ok(ApplicationId { cluster_timestamp, number })
}

pub(super) fn attempt(id: Option<pb::ApplicationAttemptId>) -> Read<AttemptId> {
    let id = id.ok_or(Malformed("attempt id"))?;
    let number = id.attempt_id.filter(|n| *n >= 0).ok_or(Malformed("attempt id"))?;
    Ok(AttemptId { application: application(id.application_id)?, number })
}

pub(super) fn container_id(id: Option<pb::ContainerId>) -> Read<ContainerId> {
    let id = id.ok_or(Malformed("container id"))?;
    let number = id.id.filter(|n| *n >= 0).ok_or(Malformed("container id"))?;
    Ok(ContainerId { attempt: attempt(id.attempt)?, id: number })
}

pub(super) fn node_id(id: Option<pb::NodeId>) -> Read<NodeId> {
    let id = id.ok_or(Malformed("node id"))?;
    let host = id.host.filter(|host| !host.is_empty()).ok_or(Malformed("node's host"))?;
    let port = id.port.and_then(|port| port.try_into().ok()).ok_or(Malformed("node's port"))?;
    Ok(NodeId { host, port })
}

pub(super) fn resource(resource: Option<pb::Resource>) -> Resource {
    let resource = resource.unwrap_or_default();
    let others = resource.entries.into_iter().filter(|e| !matches!(e.key.as_str(), "memory-mb" | "vcores"));
    Resource {
        memory_mib: resource.memory.unwrap_or(0),
        vcores: resource.virtual_cores.unwrap_or(0),
        others: others.map(|entry| (entry.key, entry.value.unwrap_or(0))).collect(),
    }
}

pub(super) fn container(container: pb::Container) -> Read<Container> {
    Ok(Container {
        id: container_id(container.id)?,
        node: node_id(container.node)?,
        node_http: container.node_http_address.unwrap_or_default(),
        size: resource(container.resource),
        priority: container.priority.and_then(|p| p.priority).unwrap_or(0),
        allocation_id: container.allocation_request_id.filter(|id| *id >= 0),
    })
}

pub(super) fn granted(mut granted: pb::Container) -> Read<Granted> {
    let token = granted.container_token.take().ok_or(Malformed("container token"))?;
    Ok(Granted { container: container(granted)?, token: token.into() })
}

pub(super) fn node_token(token: pb::NodeToken) -> Read<(NodeId, Token)> {
    Ok((node_id(token.node)?, token.token.ok_or(Malformed("node token"))?.into()))
}

pub(super) fn completed(status: pb::ContainerStatus) -> Read<Completed> {
    Ok(Completed {
        id: container_id(status.id)?,
        exit: ContainerExit::from_status(status.exit_status.unwrap_or(-1000)),
        diagnostics: status.diagnostics.unwrap_or_default().trim().into(),
    })
}

pub(super) fn node_report(report: pb::NodeReport) -> Read<NodeReport> {
    Ok(NodeReport {
        node: node_id(report.node)?,
        http_address: report.http_address.unwrap_or_default(),
        rack: report.rack_name.unwrap_or_default(),
        state: NodeState::from_number(report.state.unwrap_or(0)),
        used: resource(report.used),
        capacity: resource(report.capability),
        containers: count(report.num_containers),
        labels: report.labels,
        health: report.health_report.unwrap_or_default(),
    })
}

pub(super) fn app_report(report: pb::Report) -> Read<AppReport> {
    let host = report.host.filter(|host| !host.is_empty() && host != "N/A");
    let port = report.rpc_port.and_then(|port| u16::try_from(port).ok());
    Ok(AppReport {
        id: application(report.id)?,
        user: report.user.unwrap_or_default(),
        queue: report.queue.unwrap_or_default(),
        name: report.name.unwrap_or_default(),
        kind: report.r#type.unwrap_or_default(),
        tags: report.tags,
        state: AppState::from_number(report.state.ok_or(Malformed("application state"))?),
        final_status: FinalStatus::from_number(report.final_status.unwrap_or(0)),
        diagnostics: report.diagnostics.unwrap_or_default().trim().into(),
        tracking_url: report.tracking_url.filter(|url| url != "N/A").unwrap_or_default(),
        // Before the first attempt it is number -1.
        attempt: report
            .attempt
            .filter(|id| id.attempt_id > Some(0))
            .map(|id| attempt(Some(id)))
            .transpose()?,
        master: host.zip(port),
        progress: report.progress,
        started_ms: report.started.unwrap_or(0),
        finished_ms: report.finished.filter(|at| *at > 0),
        logs: LogStatus::from_number(report.logs.unwrap_or(0)),
        master_token: report.am_rm_token.map(Into::into),
    })
}

pub(super) fn container_report(report: pb::ContainerReport) -> Read<ContainerReport> {
    Ok(ContainerReport {
        id: container_id(report.id)?,
        node: node_id(report.node)?,
        node_http: report.node_http_address.unwrap_or_default(),
        size: resource(report.resource),
    })
}

pub(super) fn queue(queue: pb::Queue) -> Queue {
    let uses = queue.statistics.unwrap_or_default();
    let cores = uses.allocated_vcores.and_then(|cores| cores.try_into().ok()).unwrap_or(0);
    Queue {
        name: queue.name.unwrap_or_default(),
        capacity: queue.capacity.unwrap_or(0.0),
        maximum: queue.maximum_capacity.unwrap_or(0.0),
        used: queue.current_capacity.unwrap_or(0.0),
        state: QueueState::from_number(queue.state.unwrap_or(0)),
        allocated: Resource::new(uses.allocated_memory.unwrap_or(0), cores),
        pending: uses.pending_applications.and_then(|count| count.try_into().ok()).unwrap_or(0),
        children: queue.children.into_iter().map(self::queue).collect(),
    }
}
