use kobel_hadoop_rpc::{
    Credentials, Secret, Token,
    yarn::{ApplicationId, Resource},
};

use super::*;

pub(in super::super) const ID: &str = "application_1700000000000_0007";

pub(in crate::yarn) fn id() -> ApplicationId {
    ID.parse().unwrap()
}

pub(in crate::yarn) fn example() -> Submission {
    let file = LocalResource {
        url: "hdfs://ns/a%20b".parse().unwrap(),
        size: 3,
        modified_ms: 1_700_000_000_123,
        kind: ResourceKind::Archive,
        visibility: Visibility::Private,
    };
    let token =
        Token { identifier: vec![1], password: Secret::new(vec![2]), kind: "K".into(), service: "S".into() };
    let launch = Launch {
        commands: vec!["./kobel".into(), "am".into()],
        environment: [("A".to_string(), "1".to_string())].into(),
        files: [("link".to_string(), file)].into(),
        credentials: Credentials {
            tokens: vec![("alias".into(), token)],
            secrets: vec![("key".into(), Secret::new(vec![0xff, 0xfe]))],
        },
        view_acl: Some("*".into()),
        modify_acl: None,
    };
    Submission {
        id: id(),
        name: "n".into(),
        kind: "KOBEL".into(),
        queue: None,
        priority: None,
        max_attempts: Some(2),
        failures_validity_ms: None,
        keep_containers: true,
        tags: vec!["t".into()],
        node_label: None,
        size: Resource::new(512, 1),
        logs: LogCollection { rolled_include: Some(".*".into()), ..Default::default() },
        master: Master::Launched(launch),
    }
}

#[test]
fn a_submission_is_written_in_the_words_of_the_api() {
    let body = json(&example()).unwrap();
    assert_eq!(
        body,
        json!({
            "application-id": ID, "application-name": "n", "application-type": "KOBEL", "unmanaged-AM": false,
            "am-container-spec": {
                "commands": { "command": "./kobel am" },
                "environment": { "entry": [{ "key": "A", "value": "1" }] },
                "local-resources": { "entry": [{ "key": "link", "value": {
                    "resource": "hdfs://ns/a%20b", "type": "ARCHIVE", "visibility": "PRIVATE",
                    "size": 3, "timestamp": 1_700_000_000_123_i64,
                } }] },
                "credentials": {
                    "tokens": { "entry": [{ "key": "alias", "value": "AQEBAgFLAVM" }] },
                    "secrets": { "entry": [{ "key": "key", "value": "__4" }] },
                },
                "application-acls": { "entry": [{ "key": "VIEW_APP", "value": "*" }] },
            },
            "resource": { "memory": 512, "vCores": 1 }, "cancel-tokens-when-complete": true,
            "keep-containers-across-application-attempts": true, "max-app-attempts": 2,
            "application-tags": { "tag": ["t"] }, "log-aggregation-context": { "rolled-log-include-pattern": ".*" },
        })
    );
    let launch = Launch { commands: vec!["./kobel am".into()], ..Launch::default() };
    let bare = Submission { master: Master::Launched(launch), ..example() };
    let spec = &json(&bare).unwrap()["am-container-spec"];
    assert_eq!(spec, &json!({ "commands": { "command": "./kobel am" } }), "Hadoop 2.10 takes no empty map");
    let mut unmanaged = example();
    unmanaged.master = Master::Unmanaged;
    assert!(matches!(json(&unmanaged), Err(SubmitError::NotOverRest { .. })));
}
