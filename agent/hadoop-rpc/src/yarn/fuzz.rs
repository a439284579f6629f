//! What [`crate::fuzz`] needs of YARN's messages.

use bytes::Bytes;
use prost::Message;

use super::{convert, master, node};
use crate::{proto::yarn as pb, testing::vector_token, wire};

fn container_id() -> pb::ContainerId {
    let application_id = Some(pb::ApplicationId { id: Some(1), cluster_timestamp: Some(1_700_000_000_000) });
    let attempt = Some(pb::ApplicationAttemptId { application_id, attempt_id: Some(1) });
    pb::ContainerId { attempt, id: Some(2) }
}

fn node_id() -> Option<pb::NodeId> {
    Some(pb::NodeId { host: Some("node-1".into()), port: Some(8041) })
}

fn size() -> Option<pb::Resource> {
    Some(pb::Resource { memory: Some(1024), virtual_cores: Some(1), entries: vec![] })
}

fn container() -> pb::Container {
    pb::Container {
        id: Some(container_id()),
        node: node_id(),
        node_http_address: Some("node-1:8042".into()),
        resource: size(),
        priority: Some(pb::Priority { priority: Some(1) }),
        container_token: Some((&vector_token()).into()),
        ..Default::default()
    }
}

fn status() -> pb::ContainerStatus {
    pb::ContainerStatus {
        id: Some(container_id()),
        state: Some(3),
        exit_status: Some(-100),
        diagnostics: Some("released".into()),
    }
}

/// Answers of a ResourceManager and of a NodeManager, encoded.
pub(crate) fn answers() -> Vec<Vec<u8>> {
    let token = || pb::NodeToken { node: node_id(), token: Some((&vector_token()).into()) };
    let exception = pb::JavaException {
        class_name: Some("org.apache.hadoop.yarn.exceptions.YarnException".into()),
        message: Some("no\n\tat a.b.C".into()),
        ..Default::default()
    };
    let failure = pb::ContainerFailure { id: Some(container_id()), exception: Some(exception) };
    vec![
        pb::AllocateResponse {
            response_id: Some(7),
            allocated: vec![container(), container()],
            completed: vec![status()],
            node_tokens: vec![token()],
            headroom: size(),
            am_rm_token: Some((&vector_token()).into()),
            cluster_nodes: Some(2),
            ..Default::default()
        }
        .encode_to_vec(),
        pb::RegisterResponse {
            maximum_capability: size(),
            queue: Some("default".into()),
            containers_from_previous_attempts: vec![container()],
            node_tokens_from_previous_attempts: vec![token()],
        }
        .encode_to_vec(),
        pb::StartContainersResponse { succeeded: vec![container_id()], failed: vec![failure] }
            .encode_to_vec(),
        pb::ContainerStatusesResponse { status: vec![status()], failed: vec![] }.encode_to_vec(),
    ]
}

/// Reads a response as everything that it may be.
pub(crate) fn read_all(body: &Bytes) {
    fn read<M: Message + Default>(body: &Bytes) -> Option<M> {
        wire::decode(body.clone(), "response").ok()
    }
    let _ = read(body).map(master::allocated);
    let _ = read(body).map(|answer: pb::RegisterResponse| {
        let running = convert::all(answer.containers_from_previous_attempts, convert::container);
        (running, convert::all(answer.node_tokens_from_previous_attempts, convert::node_token))
    });
    let asked = convert::container_id(Some(container_id()));
    let _ = read(body).map(|answer: pb::StartContainersResponse| {
        node::outcomes(asked.iter().copied(), node::succeeded(answer.succeeded)?, answer.failed)
    });
    let _ = read(body).map(|answer: pb::ContainerStatusesResponse| {
        node::outcomes(asked.iter().copied(), convert::all(answer.status, node::status)?, answer.failed)
    });
}
