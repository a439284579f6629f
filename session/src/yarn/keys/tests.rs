use kobel_conf::flink::Origin;

use super::*;

fn conf(pairs: &[(&str, &str)]) -> FlinkConf {
    let mut conf = FlinkConf::new();
    for (key, value) in pairs {
        conf.set(*key, *value, Origin::Dynamic);
    }
    conf
}

fn asked(pairs: &[(&str, &str)]) -> Result<Asked, KeyError> {
    Asked::of(&conf(pairs), "hdfs://nn:8020")
}

/// Flink's own list, 1.7 to 2.1, and the deprecated names of its keys.
const OF_FLINK: &str = "yarn.appmaster.vcores yarn.classpath.include-user-jar \
    yarn.per-job-cluster.include-user-jar yarn.containers.vcores yarn.application-attempts \
    yarn.application-attempt-failures-validity-interval yarn.heartbeat.interval yarn.heartbeat-delay \
    yarn.heartbeat.container-request-interval yarn.properties-file.location yarn.application-master.port \
    yarn.application.priority yarn.file-replication yarn.tags yarn.view.acls yarn.modify.acls \
    yarn.staging-directory yarn.ship-files yarn.ship-directories yarn.ship-archives yarn.flink-dist-jar \
    yarn.application.id yarn.application.queue yarn.application.name yarn.application.type \
    yarn.application.node-label yarn.taskmanager.node-label yarn.security.kerberos.ship-local-keytab \
    yarn.security.kerberos.localized-keytab-path yarn.security.appmaster.delegation.token.services \
    yarn.provided.lib.dirs yarn.provided.usrlib.dir yarn.container-start-command-template \
    yarn.rolled-logs.include-pattern yarn.rolled-logs.exclude-pattern flink.hadoop.a.b flink.yarn.a.b \
    external-resource.gpu.yarn.config-key yarn.maximum-failed-containers yarn.appmaster.rpc.address \
    yarn.appmaster.rpc.port";

#[test]
fn every_key_of_flinks_has_its_fate() {
    for key in OF_FLINK.split_whitespace() {
        let fate = fate(key).unwrap_or_else(|| panic!("{key} is passed over"));
        let refused = asked(&[(key, "1")]).err().is_some_and(|e| matches!(e, KeyError::Refused { .. }));
        assert_eq!(refused, matches!(fate, Refused { .. }), "{key}");
        assert_eq!(notes(&conf(&[(key, "1")])).len(), usize::from(matches!(fate, Moot(_))), "{key}");
    }
    for other in
        ["yarn.", "external-resource.gpu.amount", "external-resource..yarn.config-key", "flink.yarn."]
    {
        assert_eq!(fate(other), None, "{other}");
    }
    assert!(notes(&conf(&[("yarn.tag", "x")]))[0].contains("it is no key of Flink's"));
}

#[test]
fn what_cannot_be_honoured_is_refused_by_name() {
    let error = asked(&[("yarn.flink-dist-jar", "file:///dist.jar")]).unwrap_err();
    assert!(error.to_string().starts_with("yarn.flink-dist-jar (-D) is not for kobel: "), "{error}");
    assert_eq!(error.category(), Category::Environment);
    for harmless in [("yarn.file-replication", "-1"), ("yarn.application.id", " ")] {
        asked(&[harmless]).unwrap();
    }
}

#[test]
fn what_is_asked_of_yarn_is_read() {
    let all = asked(&[
        ("yarn.application.name", "etl"),
        ("yarn.application.priority", "-1"),
        ("yarn.application-attempts", "3"),
        ("yarn.application-attempt-failures-validity-interval", "10000"),
        ("yarn.appmaster.vcores", "2"),
        ("yarn.tags", "a, b,,"),
        ("yarn.view.acls", "ann ops"),
        ("yarn.rolled-logs.include-pattern", ".*log"),
        ("yarn.staging-directory", "hdfs://nn:8020/apps/flink/"),
    ])
    .unwrap();
    assert_eq!((all.name.as_deref(), all.priority, all.max_attempts), (Some("etl"), None, Some(3)));
    assert_eq!((all.failures_validity_ms, all.master_vcores), (Some(10_000), 2));
    assert_eq!(all.last_attempt(), None, "YARN forgets failures");
    assert_eq!(all.tags, ["kobel", "a", "b"]);
    assert_eq!(all.view_acl.as_deref(), Some("ann ops"));
    assert_eq!(all.logs.rolled_include.as_deref(), Some(".*log"));
    assert_eq!(all.staging_in.as_deref(), Some("/apps/flink"));
    assert_eq!(asked(&[]).unwrap().master_vcores, 1);
}

#[test]
fn failures_of_long_ago_count_unless_there_is_high_availability_or_the_user_says() {
    let (attempts, validity) =
        ("yarn.application-attempts", "yarn.application-attempt-failures-validity-interval");
    let plain = asked(&[(attempts, "5")]).unwrap();
    assert_eq!((plain.failures_validity_ms, plain.last_attempt()), (None, Some(5)));
    let ha = plain.for_high_availability();
    assert_eq!((ha.failures_validity_ms, ha.last_attempt()), (Some(10_000), None));
    let pinned = asked(&[(validity, "-1")]).unwrap().for_high_availability();
    assert_eq!((pinned.failures_validity_ms, pinned.last_attempt()), (Some(-1), Some(2)));
}

#[test]
fn values_of_another_kind_are_named() {
    for (key, value) in [
        ("yarn.application.priority", "high"),
        ("yarn.application-attempts", "0"),
        ("yarn.appmaster.vcores", "-1"),
        ("yarn.containers.vcores", "0"),
        ("yarn.heartbeat.interval", "5 s"),
        ("yarn.heartbeat.container-request-interval", "0"),
        ("yarn.application-attempt-failures-validity-interval", "10 s"),
        ("yarn.staging-directory", "hdfs://other:8020/x"),
        ("yarn.staging-directory", "/x/../y"),
    ] {
        let error = asked(&[(key, value)]).unwrap_err();
        assert!(error.to_string().starts_with(&format!("{key} (-D) must be ")), "{error}");
    }
}

/// Case 59 of reference/reliability.md, section 3.
#[test]
fn bad_tags_are_refused_before_anything_is_sent() {
    let long = "x".repeat(101);
    let many = (0..10).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    for tags in [long.as_str(), "über", "a\tb", &many] {
        let error = asked(&[("yarn.tags", tags)]).unwrap_err();
        assert_eq!(error.category(), Category::Usage, "{error}");
        assert!(error.to_string().lines().count() == 1 && error.to_string().len() < 200, "{error}");
    }
    assert_eq!(asked(&[("yarn.tags", &"x".repeat(100))]).unwrap().tags.len(), 2);
}
