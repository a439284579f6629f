//! From the types of this crate to the records on the wire.

use std::fmt;

use super::{
    ApplicationId, Ask, AttemptId, ContainerId, Launch, LocalResource, LogCollection, Master, Resource,
    ResourceKind, ResourceUrl, Submission, Visibility,
};
use crate::{Credentials, proto::yarn as pb, token::Secret};

impl From<ApplicationId> for pb::ApplicationId {
    fn from(id: ApplicationId) -> Self {
        Self { id: Some(id.number), cluster_timestamp: Some(id.cluster_timestamp) }
    }
}

impl From<AttemptId> for pb::ApplicationAttemptId {
    fn from(id: AttemptId) -> Self {
        Self { application_id: Some(id.application.into()), attempt_id: Some(id.number) }
    }
}

impl From<ContainerId> for pb::ContainerId {
    fn from(id: ContainerId) -> Self {
        Self { attempt: Some(id.attempt.into()), id: Some(id.id) }
    }
}

impl From<&Resource> for pb::Resource {
    fn from(resource: &Resource) -> Self {
        let entry = |(key, value): (&String, &i64)| pb::ResourceInformation {
            key: key.clone(),
            value: Some(*value),
            units: Some(String::new()),
        };
        Self {
            memory: Some(resource.memory_mib),
            virtual_cores: Some(resource.vcores),
            entries: resource.others.iter().map(entry).collect(),
        }
    }
}

impl From<&Ask> for pb::ResourceRequest {
    fn from(ask: &Ask) -> Self {
        Self {
            priority: Some(pb::Priority { priority: Some(ask.priority) }),
            resource_name: Some(ask.place.name().into()),
            capability: Some((&ask.size).into()),
            num_containers: Some(ask.count),
            relax_locality: Some(ask.place.is_open()),
            node_label: ask.node_label.clone(),
            allocation_request_id: ask.allocation_id,
        }
    }
}

impl From<&ResourceUrl> for pb::Url {
    fn from(url: &ResourceUrl) -> Self {
        Self {
            scheme: Some(url.scheme.clone()),
            host: Some(url.host.clone()),
            // Left out, it is read as 0, and the node asks for hdfs://ns:0/.
            port: Some(url.port.map_or(-1, i32::from)),
            file: Some(url.path.clone()),
        }
    }
}

impl From<&LocalResource> for pb::LocalResource {
    fn from(file: &LocalResource) -> Self {
        let kind = match file.kind {
            ResourceKind::Archive => 1,
            ResourceKind::File => 2,
        };
        let visibility = match file.visibility {
            Visibility::Public => 1,
            Visibility::Private => 2,
            Visibility::Application => 3,
        };
        Self {
            resource: Some((&file.url).into()),
            size: Some(file.size),
            timestamp: Some(file.modified_ms),
            r#type: Some(kind),
            visibility: Some(visibility),
        }
    }
}

impl From<&Launch> for pb::ContainerLaunchContext {
    fn from(launch: &Launch) -> Self {
        let file = |(key, value): (&String, &LocalResource)| pb::NamedLocalResource {
            key: Some(key.clone()),
            value: Some(value.into()),
        };
        let variable = |(key, value): (&String, &String)| pb::EnvironmentEntry {
            key: Some(key.clone()),
            value: Some(value.clone()),
        };
        let acl = |(access_type, acl): (i32, &Option<String>)| {
            Some(pb::AccessControl { access_type: Some(access_type), acl: Some(acl.clone()?) })
        };
        let acls = [(1, &launch.view_acl), (2, &launch.modify_acl)];
        let has_credentials = launch.credentials != Credentials::default();
        Self {
            local_resources: launch.files.iter().map(file).collect(),
            tokens: has_credentials.then(|| launch.credentials.to_bytes().to_vec()),
            environment: launch.environment.iter().map(variable).collect(),
            command: launch.commands.clone(),
            access_controls: acls.into_iter().filter_map(acl).collect(),
        }
    }
}

impl fmt::Debug for pb::ContainerLaunchContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContainerLaunchContext")
            .field("command", &self.command)
            .field("tokens", &self.tokens.as_ref().map(|_| Secret::HIDDEN))
            .finish_non_exhaustive()
    }
}

impl From<&LogCollection> for pb::LogAggregation {
    fn from(logs: &LogCollection) -> Self {
        Self {
            include: logs.include.clone(),
            exclude: logs.exclude.clone(),
            rolled_include: logs.rolled_include.clone(),
            rolled_exclude: logs.rolled_exclude.clone(),
        }
    }
}

impl From<&Submission> for pb::Submission {
    fn from(submission: &Submission) -> Self {
        let master = match &submission.master {
            Master::Launched(launch) => launch.into(),
            Master::Unmanaged => pb::ContainerLaunchContext::default(),
        };
        Self {
            id: Some(submission.id.into()),
            name: Some(submission.name.clone()),
            queue: submission.queue.clone(),
            priority: submission.priority.map(|priority| pb::Priority { priority: Some(priority) }),
            master: Some(master),
            cancel_tokens_when_complete: Some(true),
            unmanaged: Some(matches!(submission.master, Master::Unmanaged)),
            max_attempts: submission.max_attempts.map(|n| n.try_into().unwrap_or(i32::MAX)),
            resource: Some((&submission.size).into()),
            r#type: Some(submission.kind.clone()),
            keep_containers: Some(submission.keep_containers),
            tags: submission.tags.clone(),
            failures_validity_interval: submission.failures_validity_ms,
            log_aggregation: (submission.logs != LogCollection::default()).then(|| (&submission.logs).into()),
            node_label: submission.node_label.clone(),
        }
    }
}
