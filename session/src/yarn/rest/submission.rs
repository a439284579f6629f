//! A submission in the words of the REST API.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use kobel_hadoop_rpc::yarn::{
    Launch, LocalResource, LogCollection, Master, ResourceKind, Submission, Visibility,
};
use serde_json::{Map, Value, json};

use crate::yarn::manager::SubmitError;

/// The body of `POST /apps`.
pub(super) fn json(submission: &Submission) -> Result<Value, SubmitError> {
    let Master::Launched(launch) = &submission.master else {
        return Err(SubmitError::NotOverRest { what: "an unmanaged application" });
    };
    if !submission.size.others.is_empty() {
        return Err(SubmitError::NotOverRest { what: "a master with resources beside memory and cores" });
    }
    let mut body = json!({
        "application-id": submission.id,
        "application-name": submission.name,
        "application-type": submission.kind,
        "am-container-spec": container(launch),
        "unmanaged-AM": false,
        "resource": { "memory": submission.size.memory_mib, "vCores": submission.size.vcores },
        "cancel-tokens-when-complete": true,
        "keep-containers-across-application-attempts": submission.keep_containers,
    });
    let optional = [
        ("queue", submission.queue.as_ref().map(|queue| json!(queue))),
        ("priority", submission.priority.map(|priority| json!(priority))),
        ("max-app-attempts", submission.max_attempts.map(|attempts| json!(attempts))),
        ("attempt-failures-validity-interval", submission.failures_validity_ms.map(|ms| json!(ms))),
        ("app-node-label-expression", submission.node_label.as_ref().map(|label| json!(label))),
        ("application-tags", (!submission.tags.is_empty()).then(|| json!({ "tag": submission.tags }))),
        ("log-aggregation-context", logs(&submission.logs)),
    ];
    if let Some(body) = body.as_object_mut() {
        body.extend(optional.into_iter().filter_map(|(key, value)| Some((key.to_string(), value?))));
    }
    Ok(body)
}

fn container(launch: &Launch) -> Value {
    // One string: the API takes no list.
    let command = launch.commands.join(" ");
    let acls = [("VIEW_APP", &launch.view_acl), ("MODIFY_APP", &launch.modify_acl)];
    let acls = acls.into_iter().filter_map(|(key, acl)| Some((key.to_string(), json!(acl.as_ref()?))));
    let files = launch.files.iter().map(|(link, file)| (link.clone(), local_resource(file)));
    let environment = launch.environment.iter().map(|(key, value)| (key.clone(), json!(value)));
    let credentials = &launch.credentials;
    let tokens =
        credentials.tokens.iter().map(|(alias, token)| (alias.clone(), json!(*token.to_url_string())));
    let secrets = credentials
        .secrets
        .iter()
        .map(|(alias, secret)| (alias.clone(), json!(BASE64_URL_SAFE_NO_PAD.encode(secret.expose()))));
    let credentials = object([("tokens", entries(tokens)), ("secrets", entries(secrets))]);
    json!(object([
        ("commands", Some(json!({ "command": command }))),
        ("local-resources", entries(files)),
        ("environment", entries(environment)),
        ("credentials", credentials),
        ("application-acls", entries(acls)),
    ]))
}

fn local_resource(file: &LocalResource) -> Value {
    let kind = match file.kind {
        ResourceKind::Archive => "ARCHIVE",
        ResourceKind::File => "FILE",
    };
    let visibility = match file.visibility {
        Visibility::Public => "PUBLIC",
        Visibility::Private => "PRIVATE",
        Visibility::Application => "APPLICATION",
    };
    json!({
        "resource": file.url.to_string(),
        "type": kind,
        "visibility": visibility,
        "size": file.size,
        "timestamp": file.modified_ms,
    })
}

/// A map as this API writes it. An empty one is left out: Hadoop 2.10 answers it with a NullPointerException.
fn entries(entries: impl Iterator<Item = (String, Value)>) -> Option<Value> {
    let entries: Vec<Value> = entries.map(|(key, value)| json!({ "key": key, "value": value })).collect();
    (!entries.is_empty()).then(|| json!({ "entry": entries }))
}

/// What there is of these parts, if there is any.
fn object<const N: usize>(parts: [(&str, Option<Value>); N]) -> Option<Value> {
    let parts: Map<String, Value> =
        parts.into_iter().filter_map(|(key, part)| Some((key.to_string(), part?))).collect();
    (!parts.is_empty()).then_some(Value::Object(parts))
}

fn logs(logs: &LogCollection) -> Option<Value> {
    let parts = [
        ("log-include-pattern", &logs.include),
        ("log-exclude-pattern", &logs.exclude),
        ("rolled-log-include-pattern", &logs.rolled_include),
        ("rolled-log-exclude-pattern", &logs.rolled_exclude),
    ];
    object(parts.map(|(key, part)| (key, part.as_ref().map(|pattern| json!(pattern)))))
}

#[cfg(test)]
pub(in crate::yarn) mod tests;
