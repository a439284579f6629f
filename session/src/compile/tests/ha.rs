//! High availability.

use kobel_conf::Category;
use kobel_plan::{HaPlan, ZooKeeper};

use super::*;
use crate::spec::ZooKeeperChoice;

const ON: (&str, &str) = ("high-availability.type", "zookeeper");
const SERVERS: (&str, &str) = ("high-availability.zookeeper.quorum", "zk1:2181,zk2/prod");

fn case(file: &[(&str, &str)]) -> Case {
    Case::new(&[file, STOCK].concat())
}

fn with_zookeeper(choice: &str) -> Case {
    let mut case = Case::new(STOCK);
    case.spec.zookeeper = choice.parse().ok();
    case
}

fn ha(case: Case) -> HaPlan {
    case.plan().ha.expect("high availability")
}

#[test]
fn without_a_word_of_it_there_is_none_and_what_needs_it_is_refused() {
    assert_eq!(Case::new(STOCK).plan().ha, None);
    assert_eq!(case(&[ON, SERVERS]).with(&["high-availability.type=NONE"]).plan().ha, None);
    let mut masters = Case::new(STOCK);
    masters.spec.job_managers = 3;
    let mut namespace = Case::new(STOCK);
    namespace.spec.namespace = Some("etl".into());
    for (case, what) in [(masters, "--masters 3"), (namespace, "-z etl")] {
        let refused = error(case);
        assert_eq!(refused.to_string(), format!("{what} needs high availability, and there is none"));
        assert_eq!(refused.category(), Category::Usage);
        assert!(refused.hint().unwrap().contains("--zookeeper embedded"));
    }
}

#[test]
fn only_zookeepers_is_kobels_and_every_other_is_refused_by_name_and_place() {
    for key in ["high-availability", "high-availability.type", "recovery.mode"] {
        for kind in ["kubernetes", "KUBERNETES", "com.example.Factory"] {
            let refused = error(case(&[(key, kind)]));
            let text = refused.to_string();
            assert!(text.contains(kind) && text.contains("conf/config.yaml:1"), "{text}");
            assert!(refused.hint().unwrap().contains("high-availability.type=NONE"));
        }
        let plan = ha(case(&[(key, "ZooKeeper"), SERVERS]));
        assert_eq!(plan.zookeeper, ZooKeeper::Quorum("zk1:2181,zk2:2181/prod".into()));
    }
}

#[test]
fn flinks_own_keys_are_kept_and_the_rest_is_filled() {
    for version in ["1.17.2", "1.20.5", "2.3.0"] {
        let compiled = Case { version, ..case(&[ON, SERVERS]) }.compile().unwrap();
        let (plan, ha) = (&compiled.plan, compiled.plan.ha.as_ref().unwrap());
        assert_eq!((ha.root.as_str(), ha.cluster_id.as_str()), ("/flink", "default"));
        assert_eq!(ha.storage_dir, "file:///state/ha/default/storage");
        assert_eq!((ha.session_timeout_ms, ha.silence_ms, ha.keep), (10_000, 8_000, false));
        for (key, value) in [
            ("high-availability.type", "zookeeper"),
            ("high-availability.zookeeper.quorum", SERVERS.1),
            ("high-availability.cluster-id", "default"),
            ("high-availability.storageDir", "file:///state/ha/default/storage"),
            ("high-availability.zookeeper.client.session-timeout", "10000"),
            ("heartbeat.interval", "500"),
            ("cluster.registration.error-delay", "1000"),
            ("job-result-store.delete-on-commit", "false"),
        ] {
            assert_eq!(plan.conf[key], value, "{version}: {key}");
        }
        assert_eq!(plan.origins["heartbeat.timeout"], "kobel: ha.profile standard");
        assert_eq!(plan.origins["high-availability.cluster-id"], "kobel: the cluster's name");
    }
}

#[test]
fn the_servers_by_flag_make_it_one_word() {
    let compiled = with_zookeeper("zk1:2181,zk2:2181").compile().unwrap();
    assert_eq!(compiled.plan.conf["high-availability.type"], "zookeeper");
    assert_eq!(compiled.plan.origins["high-availability.zookeeper.quorum"], "--zookeeper");
    assert_eq!(compiled.plan.ha.unwrap().zookeeper, ZooKeeper::Quorum("zk1:2181,zk2:2181".into()));
    let off = with_zookeeper("zk1:2181").with(&["high-availability.type=NONE"]);
    assert_eq!(off.plan().ha, None, "-D beats flags");
}

#[test]
fn an_embedded_zookeeper_is_the_agents_to_place() {
    let mut embedded = with_zookeeper("embedded");
    embedded.file.set("high-availability.zookeeper.quorum", "elsewhere:1", Origin::Default);
    embedded.spec.job_managers = 2;
    let compiled = embedded.compile().unwrap();
    let ha = compiled.plan.ha.unwrap();
    assert_eq!(ha.zookeeper, ZooKeeper::Embedded("/state/ha/default/zookeeper".into()));
    assert!(!compiled.plan.conf.contains_key("high-availability.zookeeper.quorum"));
    assert!(compiled.notes.iter().any(|note| note.contains("gives way to --zookeeper embedded")));
    assert_eq!(compiled.plan.wanted.job_managers, 2);
    let mut on_yarn = on_yarn(STOCK, &[]);
    on_yarn.spec.zookeeper = Some(ZooKeeperChoice::Embedded);
    assert!(error(on_yarn).to_string().contains("--zookeeper embedded is not for provider yarn"));
}

#[test]
fn a_namespace_is_the_clusters_id_and_keeps_what_is_recovered_by_it() {
    let key = "high-availability.cluster-id";
    let named = |file: &[(&str, &str)], flag: Option<&str>, dynamic: &[&str]| {
        let mut case = case(&[&[ON, SERVERS], file].concat()).with(dynamic);
        case.spec.namespace = flag.map(String::from);
        ha(case)
    };
    assert_eq!(named(&[(key, "/of-file/")], None, &[]).cluster_id, "of-file");
    let plan = named(&[(key, "/of-file")], Some("team/etl"), &[]);
    assert_eq!((plan.cluster_id.as_str(), plan.keep), ("team/etl", true));
    assert_eq!(plan.storage_dir, "file:///state/ha/team~2fetl/storage");
    let by_property = named(&[], Some("etl"), &["high-availability.cluster-id=of-d"]);
    assert_eq!(by_property.cluster_id, "of-d");
}

#[test]
fn a_bad_address_or_path_in_zookeeper_is_refused_with_key_and_place() {
    let quorum = "high-availability.zookeeper.quorum";
    let refused = error(case(&[ON]));
    assert!(refused.to_string().contains("conf/config.yaml:1") && refused.to_string().contains(quorum));
    assert!(refused.hint().unwrap().contains("--zookeeper HOST:PORT"));
    for bad in [" ", "host:port:x", "host:0", ":2181", "::1:2181", "a,,b", "zk/a//b", "zk/a/../b", "zk/a/"] {
        let refused = error(case(&[ON]).with(&[&format!("{quorum}={bad}")]));
        assert_eq!(refused.to_string(), format!("{quorum} (-D) cannot be used"), "{bad:?}");
        assert!(std::error::Error::source(&refused).is_some() && refused.hint().is_some(), "{bad:?}");
    }
    for (key, bad) in [
        ("high-availability.zookeeper.path.root", "/a//b"),
        ("high-availability.zookeeper.path.root", "/zookeeper"),
        ("high-availability.cluster-id", ".."),
        ("high-availability.cluster-id", "//"),
    ] {
        let refused =
            error(case(&[ON, ("high-availability.zookeeper.quorum", "zk"), (key, bad)])).to_string();
        assert!(refused.starts_with(key) && refused.contains("conf/config.yaml:1"), "{bad:?}: {refused}");
    }
}

#[test]
fn the_storage_directory_is_one_that_all_job_managers_reach() {
    let key = "high-availability.storageDir";
    let told = |value: &str| case(&[ON, SERVERS]).with(&[&format!("{key}={value}")]);
    for (value, dir) in [
        ("/ha", "file:///ha"),
        ("file:/ha", "file:///ha"),
        ("file:///ha", "file:///ha"),
        ("hdfs://nn/ha", "hdfs://nn/ha"),
        ("s3://bucket/ha", "s3://bucket/ha"),
    ] {
        let plan = told(value).plan();
        assert_eq!(plan.ha.unwrap().storage_dir, dir);
        assert_eq!(plan.conf[key], value, "Flink gets it as it is");
    }
    for bad in ["ha", "./ha", "file:ha", "file://host/ha"] {
        assert!(matches!(error(told(bad)), CompileError::Value { .. }), "{bad}");
    }
    assert!(matches!(error(on_yarn(&[ON, SERVERS], &[])), CompileError::NoStorage));
    let local = on_yarn(&[ON, SERVERS], &[&format!("{key}=/ha")]);
    assert!(error(local).to_string().contains("where all nodes reach it"));
}

#[test]
fn on_yarn_the_id_is_the_applications() {
    let key = "high-availability.storageDir=hdfs:///ha";
    let compiled = on_yarn(&[ON, SERVERS], &[key]).compile().unwrap();
    assert_eq!(compiled.plan.ha.unwrap().cluster_id, "", "filled when it is known");
    assert!(!compiled.plan.conf.contains_key("high-availability.cluster-id"));
    let mut two = on_yarn(&[ON, SERVERS], &[key]);
    two.spec.job_managers = 2;
    assert_eq!(two.compile().unwrap().plan.wanted.job_managers, 2);
}

#[test]
fn a_profile_sets_what_the_user_did_not() {
    let mut fast = case(&[ON, SERVERS, ("heartbeat.timeout", "30 s")]);
    fast.settings = settings(&[("KOBEL_HA_PROFILE", "fast")]);
    let compiled = fast.compile().unwrap();
    let conf = &compiled.plan.conf;
    assert_eq!(conf["high-availability.zookeeper.client.session-timeout"], "6000");
    assert_eq!((conf["heartbeat.interval"].as_str(), conf["heartbeat.timeout"].as_str()), ("500", "30 s"));
    let (plan, timings) = (compiled.plan.ha.clone().unwrap(), compiled.timings.unwrap());
    assert_eq!((plan.session_timeout_ms, plan.silence_ms), (6_000, 30_000));
    assert_eq!(timings.heartbeat_timeout.as_secs(), 30);
    let mut least = case(&[ON, SERVERS]);
    least.settings = settings(&[("KOBEL_HA_PROFILE", "fast")]);
    assert_eq!(ha(least).silence_ms, 5_000, "a pause of 4 s is no death");
    let bad = error(case(&[ON, SERVERS]).with(&["heartbeat.timeout=soon"])).to_string();
    assert!(bad.starts_with("heartbeat.timeout (-D) must be a duration"), "{bad}");
}

#[test]
fn what_works_against_failovers_is_told() {
    let notes = |dynamic: &[&str]| case(&[ON, SERVERS]).with(dynamic).compile().unwrap().notes;
    assert_eq!(notes(&[]), Vec::<String>::new());
    for (given, told) in [
        ("high-availability.zookeeper.client.tolerate-suspended-connections=false", "restarts all jobs"),
        ("job-result-store.delete-on-commit=true", "may run once more"),
        ("high-availability.zookeeper.client.session-timeout=500", "no longer than heartbeat.interval"),
        ("high-availability.zookeeper.client.authorization=digest:secret", "is Flink's alone"),
        ("jobmanager.rpc.port=7000", "changes nothing"),
    ] {
        let notes = notes(&[given]);
        assert!(notes.len() == 1 && notes[0].contains(told), "{given}: {notes:?}");
        assert!(!notes[0].contains("secret"));
    }
}

#[test]
fn one_port_is_for_one_job_manager() {
    let key = "high-availability.jobmanager.port";
    let masters = |count, value: &str| {
        let mut case = case(&[ON, SERVERS]).with(&[&format!("{key}={value}"), "jobmanager.rpc.port=7000"]);
        case.spec.job_managers = count;
        case.compile().map(|compiled| compiled.plan.rpc_port)
    };
    let refused = masters(2, "50010").unwrap_err().to_string();
    assert_eq!(refused, format!("{key} (-D) pins one port for 2 JobManagers of one machine"));
    for (count, value) in [(1, "50010"), (2, "0"), (2, "50010-50025")] {
        assert_eq!(masters(count, value).unwrap(), PortChoice::Free, "each has its own");
    }
}

proptest! {
    #[test]
    fn any_address_and_id_make_a_plan_or_are_refused(quorum in r"[a-z0-9:,/.\[\] ]{0,30}", id in r"\PC{0,20}") {
        let mut case = with_zookeeper(&quorum);
        case.spec.namespace = Some(id);
        if let Ok(compiled) = case.compile() {
            let dir = compiled.plan.ha.unwrap().storage_dir;
            let name = dir.strip_prefix("file:///state/ha/").and_then(|dir| dir.strip_suffix("/storage")).unwrap();
            prop_assert!(!name.contains('/') && name != "." && name != ".." && !name.is_empty(), "{}", dir);
        }
    }
}
