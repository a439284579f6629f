use std::{collections::BTreeMap, fs};

use kobel_conf::flink::Dialect;
use kobel_plan::{
    FlinkHome, FlinkVersion, FrontPlan, HaPlan, JavaHome, PortChoice, ProviderKind, Wanted, ZooKeeper,
};

use super::*;

const PORTS: JobManagerPorts = JobManagerPorts { rpc: 20001, rest: 20002 };
const PEERS: Peers = Peers { job_manager: Some(PORTS), zookeeper: None };

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

fn role(memory: u64, args: &[&str]) -> RolePlan {
    RolePlan {
        process_bytes: memory,
        jvm_args: args.iter().map(|a| a.to_string()).collect(),
        ..Default::default()
    }
}

pub(crate) fn plan() -> ClusterPlan {
    ClusterPlan {
        api_version: kobel_plan::API_VERSION.into(),
        name: "etl".parse().unwrap(),
        provider: ProviderKind::Local,
        flink: FlinkHome {
            home: "/opt/flink".into(),
            version: FlinkVersion::try_from("1.20.5".to_string()).unwrap(),
            class_path: vec!["/opt/flink/lib/a.jar".into(), "/opt/flink/lib/flink-dist-1.20.5.jar".into()],
        },
        java: JavaHome { home: "/usr/lib/jvm/17".into(), version: 17 },
        wanted: Wanted { job_managers: 1, task_managers: 1 },
        max_task_managers: None,
        conf: map(&[("rest.port", "8081"), ("rest.bind-address", "0.0.0.0"), ("my.key", "my value")]),
        origins: BTreeMap::new(),
        hadoop: Default::default(),
        dialect: Dialect::Standard,
        job_manager: role(1 << 30, &["-Xmx448m", "-Duser=1"]),
        task_manager: RolePlan {
            conf: map(&[("taskmanager.numberOfTaskSlots", "4")]),
            env: map(&[("LANG", "de_DE.UTF-8"), ("FLINK_LOG_DIR", "/elsewhere")]),
            ..role(2 << 30, &["-Xmx1g"])
        },
        logging_conf_dir: "/home/u/conf".into(),
        log_dir: "/logs".into(),
        front: FrontPlan {
            bind: "localhost".into(),
            address: "localhost".into(),
            port: PortChoice::Prefer(8081),
        },
        rpc_address: "localhost".into(),
        rpc_port: PortChoice::Free,
        ha: None,
        job: None,
        yarn: None,
    }
}

fn spec_of(plan: &ClusterPlan, id: WorkerId) -> WorkerSpec {
    worker_spec(plan, &PEERS, id, Attempt::FIRST, "/state/clusters/etl/x").unwrap()
}

fn has_line(spec: &WorkerSpec, line: &str) -> bool {
    spec.files[0].contents.lines().any(|l| l == line)
}

#[test]
fn a_job_manager_runs_flinks_session_entry_point() {
    let spec = spec_of(&plan(), WorkerId::jm(0));
    assert_eq!(spec.launch.program, "/usr/lib/jvm/17/bin/java");
    let expected = [
        "-XX:+IgnoreUnrecognizedVMOptions",
        "-Djava.io.tmpdir=@KOBEL_WORKER_DIR@/tmp",
        "-XX:ErrorFile=@KOBEL_LOG_DIR@/jm-0.1.hs_err.log",
        "-XX:Tier4InvocationThreshold=50000",
        "-XX:Tier4MinInvocationThreshold=6000",
        "-XX:Tier4CompileThreshold=150000",
        "-XX:Tier4BackEdgeThreshold=400000",
        "-XX:+UseSerialGC",
        "-Xmx448m",
        "-Duser=1",
        "-Dlog.file=@KOBEL_LOG_DIR@/jm-0.1.log",
        "-Dlog4j.configuration=file:///opt/flink/conf/log4j.properties",
        "-Dlog4j.configurationFile=file:///opt/flink/conf/log4j.properties",
        "-Dlogback.configurationFile=file:///opt/flink/conf/logback.xml",
        "-classpath",
        "/opt/flink/lib/a.jar:/opt/flink/lib/flink-dist-1.20.5.jar",
        "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint",
        "--configDir",
        "@KOBEL_WORKER_DIR@/conf",
        "--executionMode",
        "cluster",
    ];
    assert_eq!(spec.launch.args, expected);
    assert_eq!(spec.resources, Resources { memory_bytes: 1 << 30, vcores: 1 });
}

#[test]
fn only_a_small_job_manager_whose_collector_nobody_chose_gets_a_serial_one() {
    let serial = |change: fn(&mut ClusterPlan), id| {
        let mut plan = plan();
        change(&mut plan);
        spec_of(&plan, id).launch.args.iter().any(|arg| arg == "-XX:+UseSerialGC")
    };
    assert!(serial(|_| (), WorkerId::jm(0)));
    assert!(!serial(|_| (), WorkerId::tm(0)));
    assert!(!serial(|plan| plan.job_manager.process_bytes = 4 << 30, WorkerId::jm(0)));
    assert!(!serial(|plan| plan.job_manager.jvm_args.push("-XX:+UseZGC".into()), WorkerId::jm(0)));
    let variable = |plan: &mut ClusterPlan| {
        plan.job_manager.env.insert("JAVA_TOOL_OPTIONS".into(), "-XX:+UseG1GC".into());
    };
    assert!(!serial(variable, WorkerId::jm(0)));
}

#[test]
fn a_job_managers_own_rest_server_hides_behind_the_front() {
    let spec = spec_of(&plan(), WorkerId::jm(0));
    assert_eq!(spec.files[0].path, "conf/config.yaml");
    let own = [
        "rest.port: 20002",
        "rest.bind-port: 20002",
        "rest.bind-address: 127.0.0.1",
        "rest.address: 127.0.0.1",
    ];
    for line in own.iter().chain(&["jobmanager.rpc.port: 20001", "jobmanager.rpc.address: localhost"]) {
        assert!(has_line(&spec, line), "{line} in {}", spec.files[0].contents);
    }
    assert!(has_line(&spec, "my.key: \"my value\""), "{}", spec.files[0].contents);
}

#[test]
fn a_task_manager_knows_its_name_and_where_to_register() {
    let spec = spec_of(&plan(), WorkerId::tm(3));
    let lines =
        ["taskmanager.resource-id: tm-3.1", "taskmanager.numberOfTaskSlots: 4", "jobmanager.rpc.port: 20001"];
    for line in lines {
        assert!(has_line(&spec, line), "{line} in {}", spec.files[0].contents);
    }
    assert!(!spec.launch.args.iter().any(|arg| arg == "--executionMode"));
    assert_eq!(spec.resources, Resources { memory_bytes: 2 << 30, vcores: 4 });
    for (cores, expected) in [("2", 2), ("-1", 4)] {
        let mut plan = plan();
        plan.conf.insert("yarn.containers.vcores".into(), cores.into());
        assert_eq!(spec_of(&plan, WorkerId::tm(3)).resources.vcores, expected);
    }
}

#[test]
fn temporary_files_stay_in_the_workers_directory_unless_the_user_chose() {
    let contents = |plan: &ClusterPlan| spec_of(plan, WorkerId::tm(0)).files[0].contents.clone();
    let mut plan = plan();
    assert!(contents(&plan).contains("io.tmp.dirs: |-\n  @KOBEL_WORKER_DIR@/tmp\n"), "{}", contents(&plan));
    for key in ["io.tmp.dirs", "taskmanager.tmp.dirs"] {
        plan.conf = map(&[(key, "/fast/disk")]);
        assert!(contents(&plan).contains(&format!("{key}: /fast/disk")));
        assert_eq!(contents(&plan).matches("tmp.dirs").count(), 1);
    }
}

#[test]
fn the_environment_is_made_from_scratch() {
    let env = spec_of(&plan(), WorkerId::tm(0)).launch.env;
    assert_eq!(env["FLINK_CONF_DIR"], "@KOBEL_WORKER_DIR@/conf");
    assert_eq!(env["FLINK_PLUGINS_DIR"], "/opt/flink/plugins");
    assert_eq!(env["FLINK_LIB_DIR"], "/opt/flink/lib");
    assert_eq!(env[Launch::MARKER], "/state/clusters/etl/x");
    assert_eq!(env["LANG"], "de_DE.UTF-8", "the role's variables win");
    assert_eq!(env["FLINK_LOG_DIR"], "@KOBEL_LOG_DIR@", "but not over kobel's own");
    assert!(!env.contains_key("CARGO_MANIFEST_DIR"), "{env:?}");
}

#[test]
fn log_settings_of_the_configuration_reach_log4j() {
    let mut plan = plan();
    plan.conf = map(&[("env.log.level", "DEBUG"), ("env.log.max", "3")]);
    let env = spec_of(&plan, WorkerId::jm(0)).launch.env;
    assert_eq!((env["ROOT_LOG_LEVEL"].as_str(), env["MAX_LOG_FILE_NUMBER"].as_str()), ("DEBUG", "3"));
}

#[test]
fn the_users_logging_configuration_wins_over_the_distributions() {
    let dir = tempfile::tempdir().unwrap();
    let conf = dir.path().join("my conf");
    fs::create_dir(&conf).unwrap();
    fs::write(conf.join("log4j.properties"), "").unwrap();
    let plan = ClusterPlan { logging_conf_dir: conf, ..plan() };
    let args = spec_of(&plan, WorkerId::jm(0)).launch.args;
    let own = format!("-Dlog4j.configurationFile=file://{}/my%20conf/log4j.properties", dir.path().display());
    assert!(args.contains(&own), "{args:?}");
    assert!(args.contains(&"-Dlogback.configurationFile=file:///opt/flink/conf/logback.xml".to_string()));
}

#[test]
fn the_security_manager_is_allowed_only_where_it_must_and_can_be() {
    for (version, expected) in
        [(11, false), (17, false), (18, true), (21, true), (23, true), (24, false), (25, false)]
    {
        let plan = ClusterPlan { java: JavaHome { version, ..plan().java }, ..plan() };
        let args = spec_of(&plan, WorkerId::jm(0)).launch.args;
        assert_eq!(args.contains(&"-Djava.security.manager=allow".to_string()), expected, "Java {version}");
    }
}

#[test]
fn hadoop_stands_behind_flink_with_its_configuration_in_the_workers_directory() {
    let mut plan = plan();
    let property = |name: &str, value: &str| kobel_conf::hadoop::Property {
        name: name.into(),
        value: value.into(),
        is_final: false,
        file: "/etc/hadoop/core-site.xml".into(),
        line: 1,
    };
    plan.hadoop.class_path = vec!["/hadoop/b.jar".into(), "/hadoop/conf".into()];
    plan.hadoop.sites = vec![kobel_conf::hadoop::SiteFile {
        name: "core-site.xml".into(),
        properties: vec![property("fs.defaultFS", "hdfs://nn"), property("fs.s3a.secret.key", "hunter2")],
    }];
    plan.task_manager.env.insert("HADOOP_CONF_DIR".into(), "/etc/hadoop".into());
    for id in [WorkerId::jm(0), WorkerId::tm(0)] {
        let spec = spec_of(&plan, id);
        let at = spec.launch.args.iter().position(|arg| arg == "-classpath").unwrap();
        assert_eq!(
            spec.launch.args[at + 1],
            "/opt/flink/lib/a.jar:/opt/flink/lib/flink-dist-1.20.5.jar:/hadoop/b.jar:/hadoop/conf:@KOBEL_WORKER_DIR@/hadoop"
        );
        assert_eq!(spec.launch.env["HADOOP_CONF_DIR"], "@KOBEL_WORKER_DIR@/hadoop");
        assert_eq!(spec.launch.env["FLINK_LIB_DIR"], "/opt/flink/lib");
        assert_eq!(spec.files[1].path, "hadoop/core-site.xml");
        assert!(spec.files[1].contents.contains("<name>fs.defaultFS</name><value>hdfs://nn</value>"));
    }
    let shown = serde_json::to_string(&plan.without_secrets()).unwrap();
    assert!(shown.contains("hdfs://nn") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn a_colon_in_a_jars_path_is_refused() {
    let mut plan = plan();
    plan.flink.class_path[0] = "/opt/a:b/c.jar".into();
    let error = worker_spec(&plan, &PEERS, WorkerId::jm(0), Attempt::FIRST, "x").unwrap_err();
    assert!(
        matches!(&error, LaunchError::Path { path, .. } if path.as_os_str() == "/opt/a:b/c.jar"),
        "{error}"
    );
}

#[test]
fn what_a_format_cannot_hold_is_refused_by_key_not_value() {
    let mut plan = plan();
    plan.dialect = Dialect::Legacy;
    plan.conf = map(&[("my.password", "top#secret")]);
    let error = worker_spec(&plan, &PEERS, WorkerId::jm(0), Attempt::FIRST, "x").unwrap_err();
    let text = format!("{error}: {}", std::error::Error::source(&error).unwrap());
    assert!(text.contains("my.password") && !text.contains("secret"), "{text}");
}

#[test]
fn a_job_manager_that_may_lead_tells_of_its_sessions() {
    let ha = HaPlan {
        zookeeper: ZooKeeper::Embedded("/state/ha".into()),
        root: "/flink".into(),
        cluster_id: "etl".into(),
        storage_dir: "file:///ha".into(),
        session_timeout_ms: 4000,
        silence_ms: 8000,
        keep: false,
        web_ports: Vec::new(),
    };
    let plan = ClusterPlan { ha: Some(ha), ..plan() };
    let peers = Peers { zookeeper: Some(20003), ..PEERS };
    let spec = |id| worker_spec(&plan, &peers, id, Attempt::FIRST, "x").unwrap();
    let jm = spec(WorkerId::jm(1));
    let args = [
        "-Dlog4j.configurationFile=file:///opt/flink/conf/log4j.properties,conf/kobel-sessions.properties",
        "-Dkobel.session.log=@KOBEL_LOG_DIR@/jm-1.1.sessions",
    ];
    assert!(args.iter().all(|arg| jm.launch.args.iter().any(|given| given == arg)), "{:?}", jm.launch.args);
    assert_eq!(jm.files[1].path, "conf/kobel-sessions.properties");
    for line in [
        "high-availability.zookeeper.quorum: \"127.0.0.1:20003\"",
        "high-availability.jobmanager.port: 20001",
    ] {
        assert!(has_line(&jm, line), "{line} in {}", jm.files[0].contents);
    }
    let tm = spec(WorkerId::tm(0));
    assert_eq!(tm.files.len(), 1);
    assert!(!tm.launch.args.iter().any(|arg| arg.contains("kobel")), "{:?}", tm.launch.args);
}

#[test]
fn only_a_standby_in_a_container_of_its_own_has_a_deputy() {
    let ha = HaPlan {
        zookeeper: ZooKeeper::Quorum("zk1:2181/chroot".into()),
        root: "/flink".into(),
        cluster_id: "application_1_0001".into(),
        storage_dir: "hdfs:///ha".into(),
        session_timeout_ms: 4000,
        silence_ms: 8000,
        keep: false,
        web_ports: Vec::new(),
    };
    let yarn = serde_json::json!({
        "applicationId": "application_1_0001", "user": "ann", "scheduler": ["rm:8030"],
        "resourceManagers": ["rm:8032"], "patienceMs": 1000, "staging": "/user/ann/.kobel",
        "hadoop": {}, "workerFiles": {},
    });
    let provider = kobel_plan::ProviderKind::Yarn;
    let on_yarn = ClusterPlan { provider, yarn: serde_json::from_value(yarn).unwrap(), ..plan() };
    let plan = ClusterPlan { ha: Some(ha.clone()), ..on_yarn.clone() };
    let deputy = |plan: &ClusterPlan, id| worker_spec(plan, &PEERS, id, Attempt::FIRST, "x").unwrap().deputy;
    let told = deputy(&plan, WorkerId::jm(1)).unwrap();
    assert_eq!((told.resource_managers[0].as_str(), told.user.as_str()), ("rm:8032", "ann"));
    assert_eq!((told.quorum.as_str(), told.silence_ms), ("zk1:2181/chroot", 10_000));
    let slow = ClusterPlan { ha: Some(HaPlan { session_timeout_ms: 60_000, ..ha }), ..plan.clone() };
    assert_eq!(deputy(&slow, WorkerId::jm(1)).unwrap().silence_ms, 120_000);
    let mut seldom = plan.clone();
    seldom.conf.insert("yarn.heartbeat.interval".into(), "7".into());
    assert_eq!(deputy(&seldom, WorkerId::jm(2)).unwrap().silence_ms, 21_000);
    for (plan, id) in [(&plan, WorkerId::jm(0)), (&plan, WorkerId::tm(1)), (&on_yarn, WorkerId::jm(1))] {
        assert_eq!(deputy(plan, id), None, "{id}");
    }
}

#[test]
fn a_per_job_clusters_job_manager_runs_the_program_whose_arguments_are_not_on_its_command_line() {
    let restore = kobel_plan::Restore { path: "file:///s".into(), allow_non_restored: true };
    let job = JobPlan {
        id: "0123456789abcdef0123456789abcdef".parse().unwrap(),
        jar: "/state/etl/job/w.jar".into(),
        class: Some("org.example.W".into()),
        args: vec!["--password".into(), "secret".into()],
        restore: Some(restore),
    };
    let plan = ClusterPlan { job: Some(job), ..plan() };
    let spec = spec_of(&plan, WorkerId::jm(0));
    assert_eq!(spec.launch.args.last().unwrap(), "@@KOBEL_WORKER_DIR@/conf/program.args");
    assert!(!spec.launch.args.iter().any(|arg| arg.contains("secret")));
    let file =
        |path: &str| spec.files.iter().find(|file| file.path == path).map(|file| file.contents.as_str());
    let args =
        file("conf/program.args").unwrap().lines().map(|line| line.trim_matches('"')).collect::<Vec<_>>();
    let expected = "org.apache.flink.container.entrypoint.StandaloneApplicationClusterEntryPoint --jars \
                    local:///state/etl/job/w.jar --configDir @KOBEL_WORKER_DIR@/conf --job-id \
                    0123456789abcdef0123456789abcdef --job-classname org.example.W --fromSavepoint file:///s \
                    --allowNonRestoredState -- --password secret";
    assert_eq!(args.join(" "), expected);
    assert!(file("conf/kobel-main.properties").is_some());
    assert!(spec.launch.args.contains(&"-Dkobel.main.log=@KOBEL_LOG_DIR@/jm-0.1.main".into()));
    let tm = spec_of(&plan, WorkerId::tm(0));
    assert_eq!(tm.files.len(), 1);
}

/// Until 1.19 Flink's entry point takes no jar.
#[test]
fn an_older_flink_finds_the_program_beside_its_libraries_on_the_same_way_from_each_process() {
    let job = JobPlan {
        id: "0123456789abcdef0123456789abcdef".parse().unwrap(),
        jar: "/state/etl/usrlib/program.jar".into(),
        class: Some("org.example.W".into()),
        args: vec!["x".into()],
        restore: None,
    };
    for (version, finds) in [("1.17.2", true), ("1.18.1", true), ("1.19.0", false)] {
        let version = version.to_string().try_into().unwrap();
        let local =
            ClusterPlan { flink: FlinkHome { version, ..plan().flink }, job: Some(job.clone()), ..plan() };
        let yarn = ClusterPlan { provider: ProviderKind::Yarn, ..local.clone() };
        for (plan, lib) in [(&local, "../../lib"), (&yarn, "lib")] {
            let jm = spec_of(plan, WorkerId::jm(1));
            let args = jm.files.iter().find(|file| file.path == "conf/program.args").unwrap();
            assert_eq!(args.contents.contains("--jars"), !finds, "{}", args.contents);
            let lib = if finds { lib } else { "/opt/flink/lib" };
            assert_eq!(jm.launch.env["FLINK_LIB_DIR"], lib);
            assert_eq!(spec_of(plan, WorkerId::tm(0)).launch.env["FLINK_LIB_DIR"], "/opt/flink/lib");
        }
    }
}
