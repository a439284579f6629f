use std::{collections::BTreeMap, path::Path};

use kobel_conf::{
    Explain,
    flink::{Dialect, Entry},
    units::MemorySize,
};
use kobel_plan::{FlinkVersion, FrontPlan, PortChoice};
use proptest::prelude::*;

use super::*;

mod ha;

const STOCK: &[(&str, &str)] =
    &[("jobmanager.memory.process.size", "1600m"), ("taskmanager.memory.process.size", "1728m")];

/// What one test changes.
struct Case {
    spec: ClusterSpec,
    settings: Settings,
    env: Env,
    file: FlinkConf,
    version: &'static str,
    machine: Option<u64>,
}

impl Case {
    fn new(file: &[(&str, &str)]) -> Self {
        let mut conf = FlinkConf::new();
        for (key, value) in file {
            conf.set(*key, *value, Origin::File { path: "conf/config.yaml".into(), line: Some(1) });
        }
        Self {
            spec: ClusterSpec::local(Default::default()),
            settings: settings(&[]),
            env: Env::default(),
            file: conf,
            version: "1.20.5",
            machine: None,
        }
    }

    fn with(mut self, overrides: &[&str]) -> Self {
        self.spec.overrides = overrides.iter().map(|o| o.parse().unwrap()).collect();
        self
    }

    fn env(mut self, pairs: &[(&str, &str)]) -> Self {
        self.env = pairs.iter().copied().collect();
        self
    }

    fn compile(self) -> Result<Compiled, CompileError> {
        let loaded = Loaded { conf: self.file, dialect: Dialect::Standard, file: None, notes: Vec::new() };
        let version = FlinkVersion::try_from(self.version.to_string()).unwrap();
        compile(Inputs {
            spec: &self.spec,
            settings: &self.settings,
            env: &self.env,
            conf_dir: "/flink/conf".into(),
            loaded,
            flink: FlinkHome { home: "/flink".into(), version, class_path: Vec::new() },
            java: JavaHome { home: "/java".into(), version: 17 },
            hadoop: HadoopPlan::default(),
            cluster_dir: ClusterDir::new("/state"),
            ha_dir: "/state/ha".into(),
            machine_memory: self.machine,
        })
    }

    fn plan(self) -> ClusterPlan {
        self.compile().unwrap().plan
    }
}

fn settings(env: &[(&str, &str)]) -> Settings {
    let env: BTreeMap<_, _> = env.iter().copied().collect();
    let lookup = |name: &str| env.get(name).map(std::ffi::OsString::from);
    Settings::load(Path::new("/nonexistent/config.toml"), &lookup).unwrap()
}

fn error(case: Case) -> CompileError {
    case.compile().unwrap_err()
}

#[test]
fn the_stock_configuration_gives_a_loopback_cluster() {
    let plan = Case::new(STOCK).plan();
    assert_eq!(plan.conf["cluster.intercept-user-system-exit"], "THROW");
    for key in ["jobmanager.bind-host", "taskmanager.bind-host", "taskmanager.host"] {
        assert_eq!(plan.conf[key], "localhost", "{key}");
    }
    let front =
        FrontPlan { bind: "localhost".into(), address: "localhost".into(), port: PortChoice::Prefer(8081) };
    assert_eq!(plan.front, front);
    assert_eq!((plan.rpc_port, plan.rpc_address.as_str()), (PortChoice::Free, "localhost"));
    assert!(network::AGENTS.iter().all(|key| !plan.conf.contains_key(*key)), "{:?}", plan.conf.keys());
    assert_eq!(plan.task_manager.process_bytes, 1728 << 20);
    let args = &plan.job_manager.jvm_args;
    assert!(args.iter().any(|a| a == "-Xmx1073741824"), "{args:?}");
    assert!(args.iter().any(|a| a == "--add-opens=java.base/java.lang=ALL-UNNAMED"), "{args:?}");
    assert_eq!(plan.log_dir, Path::new("/state/log"));
}

#[test]
fn later_layers_win_and_each_value_knows_its_origin() {
    let slots = "taskmanager.numberOfTaskSlots";
    let layered = |env: &[(&str, &str)], flag: Option<u32>, dynamic: &[&str]| {
        let mut case = Case::new(&[(slots, "2"), STOCK[0], STOCK[1]]).with(dynamic);
        case.settings = settings(env);
        case.spec.slots = flag.and_then(std::num::NonZeroU32::new);
        let Entry { value, origin } = case.compile().unwrap().conf.get(slots).unwrap().clone();
        (value, origin.to_string())
    };
    let pair = |value: &str, origin: &str| (value.to_string(), origin.to_string());
    assert_eq!(layered(&[], None, &[]), pair("2", "conf/config.yaml:1"));
    let env = [("KOBEL_SESSION_SLOTS", "3")];
    assert_eq!(layered(&env, None, &[]).0, "3");
    assert_eq!(layered(&env, Some(4), &[]), pair("4", "--slots"));
    let dynamic = ["taskmanager.numberOfTaskSlots=5"];
    assert_eq!(layered(&env, Some(4), &dynamic), pair("5", "-D"));
}

#[test]
fn the_last_of_two_overrides_counts_with_a_note() {
    let compiled = Case::new(STOCK).with(&["a.b=1", "a.b=2"]).compile().unwrap();
    assert_eq!(compiled.plan.conf["a.b"], "2");
    assert!(compiled.notes.iter().any(|n| n.contains("more than once")), "{:?}", compiled.notes);
}

#[test]
fn a_size_by_flag_replaces_the_file_s_other_sizes() {
    let mut case =
        Case::new(&[("taskmanager.memory.flink.size", "1280m"), ("jobmanager.heap.size", "1024m")]);
    case.spec.tm_memory = Some(2 << 30);
    case.spec.jm_memory = Some(1600 << 20);
    let compiled = case.compile().unwrap();
    assert_eq!(compiled.plan.task_manager.process_bytes, 2 << 30);
    assert_eq!(compiled.plan.job_manager.process_bytes, 1600 << 20);
    assert!(compiled.notes.iter().any(|n| n.contains("gives way")), "{:?}", compiled.notes);
}

#[test]
fn a_small_task_manager_is_fitted_and_told() {
    for version in ["1.20.5", "2.3.0"] {
        let mut case = Case { version, ..Case::new(STOCK) };
        case.spec.tm_memory = Some(800 << 20);
        let compiled = case.compile().unwrap();
        assert_eq!(compiled.plan.task_manager.process_bytes, 800 << 20);
        assert!(compiled.notes.iter().any(|n| n.contains("below Flink's defaults")), "{:?}", compiled.notes);
    }
}

#[test]
fn what_cannot_be_met_fails_before_anything_starts() {
    let mut tiny = Case::new(STOCK);
    tiny.spec.tm_memory = Some(100 << 20);
    assert!(matches!(error(tiny), CompileError::Memory { role: FlinkRole::TaskManager, .. }));
    let mut large = Case { machine: Some(4 << 30), ..Case::new(STOCK) };
    large.spec.tm_memory = Some(5 << 30);
    let error = error(large);
    assert_eq!(error.to_string(), "a TaskManager of 5g does not fit: this machine has 4g");
    let many = Case { machine: Some(2 << 30), ..Case::new(STOCK) }.compile().unwrap();
    assert!(many.notes.iter().any(|n| n.contains("together")), "{:?}", many.notes);
}

#[test]
fn keys_that_only_kobel_can_fill_are_refused_or_left_out() {
    let refused = error(Case::new(STOCK).with(&["taskmanager.resource-id=x"]));
    assert!(matches!(refused, CompileError::Owned { .. }), "{refused}");
    let compiled = Case::new(&[("taskmanager.resource-id", "x"), STOCK[0], STOCK[1]]).compile().unwrap();
    assert!(!compiled.plan.conf.contains_key("taskmanager.resource-id"));
    assert!(compiled.notes.iter().any(|n| n.contains("left out")), "{:?}", compiled.notes);
}

#[test]
fn configurations_of_flink_1_6_start() {
    let old = [
        ("jobmanager.rpc.address", "localhost"),
        ("jobmanager.rpc.port", "6123"),
        ("jobmanager.heap.size", "1024"),
        ("taskmanager.heap.size", "1024"),
        ("taskmanager.numberOfTaskSlots", "1"),
        ("jobmanager.web.port", "9091"),
        ("taskmanager.tmp.dirs", "/tmp"),
        ("taskmanager.memory.preallocate", "false"),
        ("state.backend.fs.checkpointdir", "file:///tmp/c"),
    ];
    for version in ["1.20.5", "2.3.0"] {
        let compiled = Case { version, ..Case::new(&old) }.compile().unwrap();
        let plan = compiled.plan;
        assert_eq!(plan.front.port, PortChoice::Pinned { from: 9091, to: 9091 });
        assert_eq!(plan.rpc_port, PortChoice::Free);
        assert_eq!(plan.conf["state.checkpoints.dir"], "file:///tmp/c");
        assert!(plan.job_manager.jvm_args.iter().any(|a| a == "-Xmx1073741824"), "{:?}", plan.job_manager);
        assert!(compiled.notes.len() >= 3, "{:?}", compiled.notes);
    }
}

#[test]
fn a_port_that_is_no_default_is_a_pin() {
    let front = |dynamic: &[&str]| Case::new(STOCK).with(dynamic).plan().front.port;
    assert_eq!(front(&["rest.port=8081"]), PortChoice::Pinned { from: 8081, to: 8081 });
    assert_eq!(front(&["rest.port=0"]), PortChoice::Free);
    assert_eq!(front(&["rest.port=9000"]), PortChoice::Pinned { from: 9000, to: 9000 });
    assert_eq!(front(&["rest.bind-port=9000-9010"]), PortChoice::Pinned { from: 9000, to: 9010 });
    for bad in ["rest.port=x", "rest.port=70000", "rest.bind-port=9-1", "rest.bind-port=1,2"] {
        assert!(matches!(error(Case::new(STOCK).with(&[bad])), CompileError::Value { .. }), "{bad}");
    }
    let file = [("rest.bind-port", "8081-8089"), STOCK[0], STOCK[1]];
    let by_flag = Case::new(&file).with(&["rest.port=9000"]).plan().front.port;
    assert_eq!(by_flag, PortChoice::Pinned { from: 9000, to: 9000 });
    let mut two = Case::new(STOCK).with(&["taskmanager.data.port=9001"]);
    two.spec.task_managers = Some(2);
    assert!(matches!(error(two), CompileError::OnePort { role: FlinkRole::TaskManager, count: 2, .. }));
}

#[test]
fn an_address_that_is_named_is_bound() {
    let plan = Case::new(STOCK).with(&["jobmanager.rpc.address=box1", "rest.address=box1"]).plan();
    assert_eq!((plan.rpc_address.as_str(), plan.conf["jobmanager.bind-host"].as_str()), ("box1", "box1"));
    assert_eq!((plan.front.bind.as_str(), plan.front.address.as_str()), ("box1", "box1"));
}

#[test]
fn jvm_options_come_in_the_order_of_flink_s_scripts() {
    let file = [
        ("env.java.opts.all", "-Da=1 --add-opens=x/y=ALL-UNNAMED"),
        ("env.java.opts.jobmanager", "-Dpath=\"$HOME/x y\" -Xloggc:${FLINK_LOG_PREFIX}.gc"),
        STOCK[0],
        STOCK[1],
    ];
    let env = [("JVM_ARGS", "-Dj=\"1\" -Dk=2"), ("HOME", "/home/me")];
    let args = Case::new(&file).env(&env).plan().job_manager.jvm_args;
    let at =
        |wanted: &str| args.iter().position(|a| a == wanted).unwrap_or_else(|| panic!("{wanted}: {args:?}"));
    let order = ["-Dj=\"1\"", "-Dk=2", "-Xmx1073741824", "-Da=1", "-Dpath=/home/me/x y"].map(at);
    assert!(order.is_sorted(), "{args:?}");
    assert!(args.contains(&format!("-Xloggc:{}/jm.gc", kobel_plan::Launch::LOG_DIR)), "{args:?}");
    let by_env =
        Case::new(&file).env(&[("FLINK_ENV_JAVA_OPTS", "-De=1"), ("FLINK_ENV_JAVA_OPTS_JM", "-Df=1")]);
    let args = by_env.plan().job_manager.jvm_args;
    assert_eq!(args[args.len() - 2..], ["-De=1", "-Df=1"]);
    assert!(!args.contains(&"-Da=1".to_string()), "{args:?}");
    let open = error(Case::new(STOCK).with(&["env.java.opts.all='x"]));
    assert!(matches!(open, CompileError::Words { .. }), "{open}");
}

#[test]
fn the_environment_of_roles_comes_from_their_keys() {
    let file =
        [("containerized.master.env.A", "1"), ("containerized.taskmanager.env.B", "2"), STOCK[0], STOCK[1]];
    let plan = Case::new(&file).env(&[("HADOOP_CONF_DIR", "/etc/hadoop"), ("AWS_SECRET", "x")]).plan();
    let env = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
    };
    assert_eq!(plan.job_manager.env, env(&[("A", "1"), ("HADOOP_CONF_DIR", "/etc/hadoop")]));
    assert_eq!(plan.task_manager.env, env(&[("B", "2"), ("HADOOP_CONF_DIR", "/etc/hadoop")]));
}

#[test]
fn logs_of_clusters_in_one_directory_do_not_mix() {
    let plan = Case::new(&[("env.log.dir", "/var/log/flink"), STOCK[0], STOCK[1]]).plan();
    assert_eq!(plan.log_dir, Path::new("/var/log/flink/default"));
}

proptest! {
    #[test]
    fn an_override_of_any_other_key_reaches_flink_as_it_is(
        key in "x[a-z]{1,8}(\\.[a-z-]{1,8}){0,3}", value in "[^\\x00]{0,40}",
    ) {
        let text = format!("{key}={value}");
        let compiled = Case::new(&[(key.as_str(), "file"), STOCK[0], STOCK[1]]).with(&[&text]).compile().unwrap();
        prop_assert_eq!(&compiled.plan.conf[&key], &value);
    }

    #[test]
    fn task_managers_from_the_floor_up_have_the_size_asked_for(mib in 800u64..20_000) {
        let mut case = Case::new(STOCK);
        case.spec.tm_memory = Some(MemorySize::from_mib(mib).bytes());
        prop_assert_eq!(case.plan().task_manager.process_bytes, mib << 20);
    }
}

fn on_yarn(file: &[(&str, &str)], overrides: &[&str]) -> Case {
    let mut case = Case::new(file).with(overrides);
    case.spec.provider = ProviderKind::Yarn;
    case
}

#[test]
fn on_yarn_each_process_is_reached_by_its_node() {
    let stock = [
        ("jobmanager.rpc.address", "localhost"),
        ("jobmanager.bind-host", "localhost"),
        ("taskmanager.bind-host", "127.0.0.1"),
        ("taskmanager.host", "localhost"),
        ("rest.address", "elsewhere"),
        ("rest.bind-address", "0.0.0.0"),
    ];
    let plan =
        on_yarn(&stock, &[]).env(&[("HADOOP_CONF_DIR", "/etc/mine"), ("FLINK_LOG_DIR", "/logs")]).plan();
    for key in ["taskmanager.bind-host", "taskmanager.host"] {
        assert_eq!(plan.conf[key], kobel_plan::Launch::HOST, "{key}");
    }
    assert_eq!(plan.conf["jobmanager.bind-host"], "0.0.0.0", "its blob server is asked at localhost, too");
    assert_eq!(plan.rpc_address, kobel_plan::Launch::HOST);
    assert_eq!(
        (plan.front.address.as_str(), plan.front.bind.as_str()),
        (kobel_plan::Launch::HOST, "0.0.0.0")
    );
    assert!(plan.job_manager.env.is_empty(), "what is on this machine is not on the nodes");
    assert_eq!(plan.log_dir, Path::new("/state/log"));
    let error = error(on_yarn(&[], &["taskmanager.host=here"]));
    assert_eq!(error.to_string(), "taskmanager.host cannot be set: YARN chooses the nodes");
}

#[test]
fn on_yarn_the_job_managers_port_has_a_key_of_its_own() {
    let port =
        |value: &str| on_yarn(STOCK, &[&format!("yarn.application-master.port={value}")]).plan().rpc_port;
    assert_eq!(port("0"), PortChoice::Free);
    assert_eq!(port("8081"), PortChoice::Pinned { from: 8081, to: 8081 });
    assert_eq!(port("50100-50200"), PortChoice::Pinned { from: 50100, to: 50200 });
    let wrong = error(on_yarn(STOCK, &["yarn.application-master.port=5,6"])).to_string();
    assert!(wrong.starts_with("yarn.application-master.port (-D) must be a port"), "{wrong}");
}

#[test]
fn on_yarn_the_agent_has_its_part_of_the_job_managers_container() {
    let process = |case: Case| case.plan().job_manager.process_bytes >> 20;
    assert_eq!(process(on_yarn(STOCK, &[])), 1600 - 64);
    assert_eq!(process(on_yarn(&[], &[])), 1600 - 64);
    let mut asked = on_yarn(STOCK, &[]);
    asked.spec.jm_memory = Some(1 << 30);
    assert_eq!(process(asked), 1024 - 64);
    assert_eq!(process(Case::new(STOCK)), 1600, "elsewhere it is all the JobManager's");
}

#[test]
fn the_queue_has_its_layers() {
    let queue = |env: &[(&str, &str)], flag: Option<&str>, dynamic: &[&str]| {
        let mut case = on_yarn(&[("yarn.application.queue", "of-flink")], dynamic);
        case.settings = settings(env);
        case.spec.queue = flag.map(String::from);
        case.compile().unwrap().conf.get_str("yarn.application.queue").unwrap().to_string()
    };
    assert_eq!(queue(&[], None, &[]), "of-flink");
    let env = [("KOBEL_YARN_QUEUE", "of-kobel")];
    assert_eq!(queue(&env, None, &[]), "of-kobel");
    assert_eq!(queue(&env, Some("of-flag"), &[]), "of-flag");
    assert_eq!(queue(&env, Some("of-flag"), &["yarn.application.queue=of-d"]), "of-d");
}

#[test]
fn an_applications_name_and_label_are_flinks_keys() {
    let mut case = on_yarn(&[("yarn.application.name", "of-flink")], &["yarn.application.node-label=of-d"]);
    case.spec.application_name = Some("of-flag".into());
    case.spec.node_label = Some("of-flag".into());
    let conf = case.compile().unwrap().conf;
    assert_eq!(conf.get_str("yarn.application.name"), Some("of-flag"));
    assert_eq!(conf.get_str("yarn.application.node-label"), Some("of-d"));
    assert_eq!(conf.get("yarn.application.name").unwrap().origin.to_string(), "--name");
}

#[test]
fn jobs_may_bring_task_managers_up_to_what_was_said_and_flink_takes() {
    let most = |pinned: Option<u32>, flag: Option<u32>, setting: Option<&str>, dynamic: &[&str]| {
        let mut case = Case::new(STOCK).with(dynamic);
        case.settings = settings(
            &setting.map(|max| ("KOBEL_SESSION_MAX_TASK_MANAGERS", max)).into_iter().collect::<Vec<_>>(),
        );
        (case.spec.task_managers, case.spec.max_task_managers) = (pinned, flag);
        case.plan().max_task_managers
    };
    assert_eq!(most(None, None, None, &[]), None);
    assert_eq!(most(Some(0), Some(3), Some("8"), &[]), Some(3));
    assert_eq!(most(Some(2), None, Some("8"), &[]), Some(8));
    assert_eq!(most(Some(9), None, Some("8"), &[]), Some(9), "a setting gives way to a flag");
    let (slots, at_most) = ("taskmanager.numberOfTaskSlots=2", "slotmanager.number-of-slots.max=9");
    assert_eq!(most(Some(1), Some(8), None, &[slots, at_most]), Some(4));
    assert_eq!(most(Some(6), Some(8), None, &[slots, at_most]), Some(6));
    assert_eq!(most(Some(1), None, None, &[slots, at_most]), None);
}

#[test]
fn a_most_below_what_is_pinned_is_refused() {
    let mut case = Case::new(STOCK);
    (case.spec.task_managers, case.spec.max_task_managers) = (Some(2), Some(1));
    let error = error(case);
    assert_eq!(error.to_string(), "--max-tm 1 is less than the TaskManagers that there shall be always, 2");
    assert_eq!(
        (error.category(), error.hint().as_deref()),
        (kobel_conf::Category::Usage, Some("--tm 1 --max-tm 1"))
    );
}

#[test]
fn a_port_for_one_is_refused_where_jobs_may_bring_several() {
    let mut case = Case::new(STOCK).with(&["taskmanager.rpc.port=7000"]);
    case.spec.max_task_managers = Some(2);
    assert!(matches!(error(case), CompileError::OnePort { count: 2, .. }));
}
