//! The command lines of this crate start real JobManagers and TaskManagers, and its REST client
//! understands them: Flink 1.20 and 2.

#![allow(clippy::unwrap_used, reason = "in a test")]

mod process;

use std::{
    collections::BTreeMap,
    fs,
    future::Future,
    net::TcpListener,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use kobel_conf::flink::Dialect;
use kobel_flink::{
    Effect, FlinkRest, JobManagerPorts, Peers, RestError, inspect,
    rest::{JarId, JobEnd, JobState, RunRequest},
    worker_spec,
};
use kobel_kit::{Flink, compile_job, example_jar};
use kobel_plan::{
    Attempt, ClusterPlan, FrontPlan, JavaHome, JobId, PortChoice, ProviderKind, RolePlan, Wanted, WorkerId,
};
use process::Process;

/// How long `main` may take.
const MAIN: Duration = Duration::from_secs(60);

struct Cluster {
    rest: FlinkRest,
    jm: Process,
    tm: Process,
    dir: tempfile::TempDir,
}

impl Cluster {
    async fn start(flink: &Flink, dialect: Dialect) -> Cluster {
        // A name with everything that a path may hold and a careless command line chokes on.
        let dir = tempfile::Builder::new().prefix("kobel flink ü").tempdir().unwrap();
        let logs = dir.path().join("log");
        let plan = plan(flink, dialect, &logs);
        let ports = JobManagerPorts { rpc: free_port(), rest: free_port() };
        let peers = Peers { job_manager: Some(ports), zookeeper: None };
        let start = |id: WorkerId| {
            let spec = worker_spec(&plan, &peers, id, Attempt::FIRST, "test").unwrap();
            Process::start(&spec, &dir.path().join(spec.name()), &logs)
        };
        let (jm, tm) = (start(WorkerId::jm(0)), start(WorkerId::tm(0)));
        let rest = FlinkRest::new(&format!("http://127.0.0.1:{}", ports.rest)).unwrap();
        let cluster = Cluster { rest, jm, tm, dir };
        cluster
            .until("a TaskManager registers", async || {
                let ids: Vec<_> =
                    cluster.rest.task_managers().await.ok()?.into_iter().map(|tm| tm.id).collect();
                (ids == ["tm-0.1"]).then_some(())
            })
            .await;
        cluster
    }

    /// Waits for an answer; panics with the logs when none comes.
    async fn until<T>(&self, what: &str, question: impl AsyncFn() -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(90);
        loop {
            if let Some(answer) = question().await {
                return answer;
            }
            let words = || format!("{}{}", self.jm.last_words(), self.tm.last_words());
            assert!(Instant::now() < deadline, "waited in vain: {what}\n{}", words());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn upload(&self, flink: &Flink, class: &str) -> JarId {
        self.rest.upload_jar(&compile_job(flink, class, self.dir.path()), Default::default()).await.unwrap()
    }

    async fn state(&self, job: JobId, wanted: JobState) {
        self.until(&format!("{job} is {wanted:?}"), async || {
            (self.rest.job_state(job).await.ok()? == wanted).then_some(())
        })
        .await;
    }

    fn stop(self) {
        self.tm.stop();
        self.jm.stop();
    }
}

fn plan(flink: &Flink, dialect: Dialect, logs: &Path) -> ClusterPlan {
    let text = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    };
    let role = |args: &str, conf| RolePlan {
        process_bytes: 1 << 30,
        jvm_args: args.split(' ').chain(OPENS.split(' ')).map(String::from).collect(),
        conf,
        ..RolePlan::default()
    };
    ClusterPlan {
        api_version: kobel_plan::API_VERSION.into(),
        name: "test".parse().unwrap(),
        provider: ProviderKind::Local,
        flink: inspect(&flink.home).unwrap(),
        java: java(),
        wanted: Wanted { job_managers: 1, task_managers: 1 },
        max_task_managers: None,
        conf: text(CONF),
        origins: Default::default(),
        hadoop: Default::default(),
        dialect,
        job_manager: role("-Xmx448m -XX:MaxMetaspaceSize=256m", BTreeMap::new()),
        task_manager: role(
            "-Xmx256m -XX:MaxDirectMemorySize=192m -XX:MaxMetaspaceSize=256m",
            text(TM_MEMORY),
        ),
        logging_conf_dir: "/nonexistent".into(),
        log_dir: logs.into(),
        front: FrontPlan { bind: "localhost".into(), address: "localhost".into(), port: PortChoice::Free },
        rpc_address: "localhost".into(),
        rpc_port: PortChoice::Free,
        ha: None,
        job: None,
        yarn: None,
    }
}

const OPENS: &str = "--add-opens=java.base/java.lang=ALL-UNNAMED --add-opens=java.base/java.util=ALL-UNNAMED \
                     --add-opens=java.base/java.net=ALL-UNNAMED";
const CONF: &[(&str, &str)] = &[
    ("cluster.intercept-user-system-exit", "THROW"),
    ("cluster.registration.error-delay", "500 ms"),
    ("jobmanager.bind-host", "localhost"),
    ("taskmanager.bind-host", "localhost"),
    ("taskmanager.host", "localhost"),
];
const TM_MEMORY: &[(&str, &str)] = &[
    ("taskmanager.numberOfTaskSlots", "2"),
    ("taskmanager.cpu.cores", "1.0"),
    ("taskmanager.memory.framework.heap.size", "128m"),
    ("taskmanager.memory.framework.off-heap.size", "128m"),
    ("taskmanager.memory.task.heap.size", "128m"),
    ("taskmanager.memory.task.off-heap.size", "0b"),
    ("taskmanager.memory.network.min", "64m"),
    ("taskmanager.memory.network.max", "64m"),
    ("taskmanager.memory.managed.size", "64m"),
    ("taskmanager.memory.jvm-metaspace.size", "256m"),
    ("taskmanager.memory.jvm-overhead.min", "256m"),
    ("taskmanager.memory.jvm-overhead.max", "256m"),
];

/// The Java on `PATH`, or another by `JAVA_HOME`.
fn java() -> JavaHome {
    let home = std::env::var_os("JAVA_HOME").map(PathBuf::from).unwrap_or_else(|| {
        let path = std::env::var_os("PATH").unwrap();
        let java = std::env::split_paths(&path).map(|dir| dir.join("java")).find(|file| file.is_file());
        let real = java.expect("no java on PATH").canonicalize().unwrap();
        real.parent().unwrap().parent().unwrap().into()
    });
    let release = fs::read_to_string(home.join("release")).unwrap();
    let version = release.split("JAVA_VERSION=\"").nth(1).unwrap();
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    JavaHome { home, version: digits.parse().unwrap() }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn job_id(number: u8) -> JobId {
    JobId::from_bytes([number; 16])
}

fn request(job: JobId, class: &str, args: &[&str]) -> RunRequest {
    RunRequest {
        job_id: Some(job),
        entry_class: Some(class.into()),
        program_args: args.iter().map(|arg| arg.to_string()).collect(),
        ..Default::default()
    }
}

async fn word_count(cluster: &Cluster, flink: &Flink) {
    let rest = &cluster.rest;
    let (input, output) = (cluster.dir.path().join("in.txt"), cluster.dir.path().join("out"));
    fs::write(&input, "to be or not to be\n").unwrap();
    let jar = rest.upload_jar(&example_jar(flink), Default::default()).await.unwrap();
    assert!(rest.jars().await.unwrap().iter().any(|listed| listed.id == jar));
    let args = ["--input", input.to_str().unwrap(), "--output", output.to_str().unwrap()];
    let class = "org.apache.flink.streaming.examples.wordcount.WordCount";
    let job = job_id(1);
    assert_eq!(rest.run_jar(&jar, &request(job, class, &args), MAIN).await.unwrap(), job);
    cluster.state(job, JobState::Finished).await;
    let result = rest.job_result(job).await.unwrap().unwrap();
    assert_eq!((result.end, result.failure), (JobEnd::Succeeded, None));
    assert!(result.net_runtime > 0);
    assert_eq!(rest.job_task_managers(job).await.unwrap().into_iter().collect::<Vec<_>>(), ["tm-0.1"]);
    assert!(files_below(&output).iter().any(|text| text.contains("(be,2)")));
    rest.delete_jar(&jar).await.unwrap();
    let gone = rest.run_jar(&jar, &request(job_id(2), class, &args), MAIN).await.unwrap_err();
    assert!(matches!(gone, RestError::NotFound { .. }), "{gone}");
    assert!(matches!(rest.delete_jar(&jar).await, Err(RestError::NotFound { .. })));
}

fn files_below(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(
            |path| if path.is_dir() { files_below(&path) } else { vec![fs::read_to_string(path).unwrap()] },
        )
        .collect()
}

/// A refusal of `run` says why and leaves open whether a job came of it.
fn refused(result: Result<JobId, RestError>, expected: &str) {
    let error = result.unwrap_err();
    let RestError::Rejected { cause, .. } = &error else { panic!("{error}") };
    assert!(cause.contains(expected), "{cause}");
    assert_eq!(error.effect(), Effect::Unknown);
}

async fn exits_and_failures(cluster: &Cluster, flink: &Flink) {
    let rest = &cluster.rest;
    let jar = cluster.upload(flink, "ExitingMain").await;
    let exit = rest.run_jar(&jar, &request(job_id(3), "ExitingMain", &["3"]), MAIN).await;
    refused(exit, "Flink user code attempted to exit JVM");
    assert!(matches!(rest.job_state(job_id(3)).await, Err(RestError::NotFound { .. })));
    let late = rest.run_jar(&jar, &request(job_id(4), "ExitingMain", &["3", "after"]), MAIN).await;
    refused(late, "Flink user code attempted to exit JVM");
    cluster.state(job_id(4), JobState::Finished).await;
    let again = rest.run_jar(&jar, &request(job_id(4), "ExitingMain", &["3", "after"]), MAIN).await;
    refused(again, "has already been submitted");
    let jar = cluster.upload(flink, "FailingJob").await;
    rest.run_jar(&jar, &request(job_id(5), "FailingJob", &[]), MAIN).await.unwrap();
    cluster.state(job_id(5), JobState::Failed).await;
    let result = rest.job_result(job_id(5)).await.unwrap().unwrap();
    assert_eq!(result.end, JobEnd::Failed);
    let cause = "IllegalStateException: the reason, in a task";
    assert_eq!(result.failure.unwrap().cause, cause);
    assert_eq!(rest.job_failure(job_id(5)).await.unwrap().unwrap().cause, cause);
}

async fn collecting(cluster: &Cluster, flink: &Flink) {
    let rest = &cluster.rest;
    let programs: &[_] =
        if flink.is_v2() { &["CollectingStream"] } else { &["CollectingStream", "CollectingMain"] };
    for (number, class) in (6..).zip(programs) {
        let jar = cluster.upload(flink, class).await;
        let result = rest.run_jar(&jar, &request(job_id(number), class, &[]), MAIN).await;
        assert_eq!(result.unwrap_err().effect(), Effect::Unknown);
        cluster.state(job_id(number), JobState::Finished).await;
    }
}

async fn cancelling(cluster: &Cluster, flink: &Flink) {
    let (rest, job) = (&cluster.rest, job_id(8));
    let jar = cluster.upload(flink, "SleepingJob").await;
    rest.run_jar(&jar, &request(job, "SleepingJob", &["600", "my sleep"]), MAIN).await.unwrap();
    cluster
        .until("all tasks run", async || (rest.job(job).await.ok()?.tasks().running > 0).then_some(()))
        .await;
    assert_eq!(rest.job_result(job).await.unwrap(), None);
    let listed = rest.jobs().await.unwrap().into_iter().find(|listed| listed.jid == job).unwrap();
    assert_eq!((listed.name.as_str(), listed.state), ("my sleep", JobState::Running));
    assert_eq!(rest.overview().await.unwrap().jobs_running, 1);
    rest.cancel_job(job).await.unwrap();
    cluster.state(job, JobState::Canceled).await;
    rest.cancel_job(job).await.unwrap();
    let unknown = rest.cancel_job(job_id(99)).await.unwrap_err();
    assert!(matches!(&unknown, RestError::NotFound { .. }), "{unknown}");
    assert!(rest.job_failure(job).await.unwrap().is_none());
}

async fn whole_round(flink: Option<Flink>) {
    let Some(flink) = flink else { return };
    let cluster = Cluster::start(&flink, Dialect::Standard).await;
    assert_eq!(cluster.rest.overview().await.unwrap().flink_version, flink.version);
    word_count(&cluster, &flink).await;
    exits_and_failures(&cluster, &flink).await;
    collecting(&cluster, &flink).await;
    cancelling(&cluster, &flink).await;
    cluster.stop();
}

/// The tests of this file start two JVMs each: one after the other.
fn alone(test: impl Future<Output = ()>) {
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _turn = TURN.lock();
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

#[test]
fn flink_1_runs_jobs_by_these_command_lines_and_calls() {
    alone(whole_round(Flink::v1()));
}

#[test]
fn flink_2_runs_jobs_by_these_command_lines_and_calls() {
    alone(whole_round(Flink::v2()));
}

#[test]
fn flink_1_starts_from_a_configuration_in_the_old_format() {
    alone(async {
        let Some(flink) = Flink::v1() else { return };
        Cluster::start(&flink, Dialect::Legacy).await.stop();
    });
}
