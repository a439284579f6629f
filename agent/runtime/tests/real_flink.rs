//! The agent as a process of its own, over the local provider and a real Flink. Not run by the test
//! harness, because this program is also the agent that it starts: `real_flink agent DIR`.

#![expect(clippy::unwrap_used, reason = "all of it is a test")]

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use kobel_conf::flink::Dialect;
use kobel_plan::*;
use rustix::process::{Pid, Signal, kill_process};

/// How long anything may take: a JVM on a loaded machine takes its time.
const PATIENCE: Duration = Duration::from_secs(120);
/// A jar as large as those of real jobs get.
const JAR: usize = 90 << 20;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some("agent") {
        return kobel_agent::run(args.next().unwrap_or_default().into());
    }
    for variable in ["KOBEL_TEST_FLINK", "KOBEL_TEST_FLINK2"] {
        let Some(home) = std::env::var_os(variable) else {
            assert!(std::env::var_os("CI").is_none(), "{variable} is not set: run scripts/test.sh");
            println!("skipped: {variable} is not set (scripts/test.sh sets it)");
            continue;
        };
        println!("with {}", home.display());
        a_cluster_lives_through_the_death_of_everything_in_it(Path::new(&home));
        a_jvm_option_that_is_wrong_fails_the_start_and_is_named(Path::new(&home));
    }
    ExitCode::SUCCESS
}

fn a_cluster_lives_through_the_death_of_everything_in_it(home: &Path) {
    let mut cluster = Cluster::start(home, |_| {});
    let started = Instant::now();
    let ready = cluster.until("ready", |status| status.state == ClusterState::Ready);
    println!("  ready after {:.1?}, agent {} MB", started.elapsed(), cluster.agent_peak() >> 20);
    assert_eq!((ready.task_managers.running, ready.slots.total), (2, 4));
    let (head, body) = cluster.front("GET /overview");
    assert!(head.starts_with("HTTP/1.1 200") && body.contains("slots-total"), "{head}{body}");
    assert!(cluster.front("GET /").1.contains("Apache Flink"), "the web UI is at the root");

    let tm = ready.task_managers.list[0].pid.unwrap();
    kill(tm);
    let killed = Instant::now();
    let back = cluster.until("another tm-0", |status| {
        status.state == ClusterState::Ready && status.task_managers.list.iter().all(|it| it.pid != Some(tm))
    });
    println!("  TaskManager replaced after {:.1?}", killed.elapsed());
    assert_eq!(back.failovers, 0);

    kill(back.masters[0].pid.unwrap());
    let killed = Instant::now();
    let back = cluster
        .until("another leader", |status| status.state == ClusterState::Ready && status.failovers == 1);
    println!("  JobManager replaced after {:.1?}", killed.elapsed());

    cluster.agent.kill().unwrap();
    cluster.agent.wait().unwrap();
    cluster.launch();
    let adopted = cluster.until("ready again", |status| status.state == ClusterState::Ready);
    assert_eq!(pids(&adopted), pids(&back), "the processes are the same");
    assert_eq!((&adopted.rest_url, adopted.failovers), (&back.rest_url, 1));

    let before = cluster.agent_peak();
    cluster.upload_a_jar();
    let grown = cluster.agent_peak() - before;
    println!("  agent at {} MB after a jar of {} MB", cluster.agent_peak() >> 20, JAR >> 20);
    assert!(grown < 8 << 20, "the agent grew by {} MB", grown >> 20);

    let (head, body) = cluster.front("DELETE /cluster");
    assert!(head.starts_with("HTTP/1.1 202") && body == "{}", "{head}{body}");
    let asked = Instant::now();
    let over = cluster.ended();
    println!("  stopped after {:.1?}", asked.elapsed());
    assert_eq!(
        (over.state, over.reason.as_deref()),
        (ClusterState::Stopped, Some("stopped by DELETE /cluster"))
    );
    for pid in pids(&adopted) {
        assert!(is_gone(pid), "{pid} is left");
    }
    assert!(!cluster.dir.workers().exists() && !cluster.dir.socket().exists());
}

fn a_jvm_option_that_is_wrong_fails_the_start_and_is_named(home: &Path) {
    let started = Instant::now();
    // An option that the JVM does not know at all would be ignored, as Flink's scripts have it.
    let wrong = "-XX:MaxMetaspaceSize=foo";
    let mut cluster = Cluster::start(home, |plan| plan.job_manager.jvm_args.push(wrong.into()));
    let over = cluster.ended();
    println!("  failed after {:.1?}: {}", started.elapsed(), over.reason.as_deref().unwrap_or_default());
    assert_eq!(over.state, ClusterState::Failed);
    let reason = over.reason.unwrap();
    assert!(reason.contains("MaxMetaspaceSize=foo") && reason.contains("(jm-0.2.err)"), "{reason}");
}

struct Cluster {
    dir: ClusterDir,
    agent: Child,
    tmp: Option<tempfile::TempDir>,
}

impl Cluster {
    fn start(home: &Path, change: impl FnOnce(&mut ClusterPlan)) -> Self {
        let tmp = tempfile::tempdir().unwrap();
        let dir = ClusterDir::new(tmp.path());
        let mut plan = plan(home, &dir);
        change(&mut plan);
        fs::write(dir.plan(), serde_json::to_vec(&plan).unwrap()).unwrap();
        let agent = spawn_agent(&dir);
        Self { dir, agent, tmp: Some(tmp) }
    }

    fn launch(&mut self) {
        self.agent = spawn_agent(&self.dir);
    }

    fn status(&self) -> Status {
        let stream = UnixStream::connect(self.dir.socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (_, body) = exchange(stream, "GET /kobel/v1/status");
        serde_json::from_str(&body).unwrap()
    }

    fn until(&mut self, what: &str, holds: impl Fn(&Status) -> bool) -> Status {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(exit) = self.agent.try_wait().unwrap() {
                panic!("{what}: the agent ended with {exit}: {:?}", self.recorded());
            }
            let status = self.status();
            if holds(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}: {status:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for the agent's end and tells the status that it left.
    fn ended(&mut self) -> Status {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(exit) = self.agent.try_wait().unwrap() {
                assert!(exit.success(), "{exit}");
                return self.recorded();
            }
            assert!(Instant::now() < deadline, "the agent does not end: {:?}", self.status());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn front(&self, request: &str) -> (String, String) {
        exchange(self.connect(), request)
    }

    fn connect(&self) -> TcpStream {
        let url = self.status().rest_url.unwrap();
        let stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Flink takes what is named a jar and asks no further, so anything of that size will do.
    fn upload_a_jar(&self) {
        let mut stream = self.connect();
        let start = "--b\r\nContent-Disposition: form-data; name=\"jarfile\"; filename=\"big.jar\"\r\n\
                     Content-Type: application/x-java-archive\r\n\r\n";
        let end = "\r\n--b--\r\n";
        let length = start.len() + JAR + end.len();
        write!(
            stream,
            "POST /jars/upload HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {length}\r\n\r\n{start}"
        )
        .unwrap();
        let piece = vec![7u8; 1 << 20];
        (0..JAR >> 20).for_each(|_| stream.write_all(&piece).unwrap());
        stream.write_all(end.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("big.jar"), "{answer}");
    }

    /// The status that the agent left.
    fn recorded(&self) -> Status {
        let record: serde_json::Value =
            serde_json::from_slice(&fs::read(self.dir.record()).unwrap()).unwrap();
        serde_json::from_value(record["status"].clone()).unwrap()
    }

    /// The peak of the agent's memory, in bytes.
    fn agent_peak(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.agent.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Ok(None) = self.agent.try_wait() {
            let _ = kill_process(Pid::from_child(&self.agent), Signal::TERM);
            let _ = self.agent.wait();
        }
        // The scene of a failure stays.
        if let Some(tmp) = self.tmp.take().filter(|_| std::thread::panicking()) {
            println!("kept {}", tmp.keep().display());
        }
    }
}

fn spawn_agent(dir: &ClusterDir) -> Child {
    let lock = File::create(dir.lock()).unwrap();
    lock.lock().unwrap();
    let mut agent = Command::new(std::env::current_exe().unwrap())
        .args(["agent".as_ref(), dir.path()])
        .stdin(lock)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(agent.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "{\"ready\":true}\n");
    agent
}

fn exchange(mut stream: impl Read + Write, request: &str) -> (String, String) {
    let head = format!("{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.into(), body.into())
}

fn kill(pid: u32) {
    kill_process(Pid::from_raw(pid as i32).unwrap(), Signal::KILL).unwrap();
}

/// Also a zombie is gone: an adopted process was another's child, who may never ask for it.
fn is_gone(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().and_then(|rest| rest.trim().chars().next());
    state.is_none_or(|state| state == 'Z' || state == 'X')
}

fn pids(status: &Status) -> Vec<u32> {
    let masters = status.masters.iter().filter_map(|jm| jm.pid);
    masters.chain(status.task_managers.list.iter().filter_map(|tm| tm.pid)).collect()
}

/// Two small TaskManagers of two slots. The memory is not the model's but by hand: this is a test of
/// the agent.
fn plan(home: &Path, dir: &ClusterDir) -> ClusterPlan {
    let opens = fs::read_to_string(home.join("conf/config.yaml")).unwrap();
    let opens = opens.lines().find_map(|line| line.trim().strip_prefix("all: ")).unwrap();
    let jvm = |heap: &str| {
        let own = [format!("-Xmx{heap}"), format!("-Xms{heap}"), "-XX:+UseSerialGC".into()];
        own.into_iter().chain(opens.split_whitespace().map(String::from)).collect()
    };
    let pairs = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    let localhost = [
        "rest.address",
        "jobmanager.bind-host",
        "jobmanager.rpc.address",
        "taskmanager.bind-host",
        "taskmanager.host",
    ];
    let mut conf: std::collections::BTreeMap<String, String> = pairs(&[
        ("cluster.registration.error-delay", "500 ms"),
        ("cluster.registration.refused-delay", "500 ms"),
        // By Flink's own 50 s a TaskManager would go on waiting for a JobManager that was replaced.
        ("heartbeat.interval", "1 s"),
        ("heartbeat.timeout", "5 s"),
        ("taskmanager.numberOfTaskSlots", "2"),
    ]);
    conf.extend(localhost.map(|key| (key.into(), "localhost".into())));
    let tm_memory = pairs(&[
        ("taskmanager.cpu.cores", "2.0"),
        ("taskmanager.memory.task.heap.size", "128m"),
        ("taskmanager.memory.task.off-heap.size", "0b"),
        ("taskmanager.memory.framework.heap.size", "128m"),
        ("taskmanager.memory.framework.off-heap.size", "128m"),
        ("taskmanager.memory.managed.size", "64m"),
        ("taskmanager.memory.network.min", "64m"),
        ("taskmanager.memory.network.max", "64m"),
        ("taskmanager.memory.jvm-metaspace.size", "192m"),
        ("taskmanager.memory.jvm-overhead.min", "128m"),
        ("taskmanager.memory.jvm-overhead.max", "128m"),
    ]);
    ClusterPlan {
        api_version: API_VERSION.into(),
        name: ClusterName::default(),
        provider: ProviderKind::Local,
        flink: kobel_flink::inspect(home).unwrap(),
        java: JavaHome { home: java_home(), version: 17 },
        wanted: Wanted { job_managers: 1, task_managers: 2 },
        max_task_managers: None,
        conf,
        origins: Default::default(),
        hadoop: Default::default(),
        dialect: Dialect::Standard,
        job_manager: RolePlan { process_bytes: 1 << 29, jvm_args: jvm("192m"), ..RolePlan::default() },
        task_manager: RolePlan {
            process_bytes: 1 << 29,
            jvm_args: jvm("256m"),
            conf: tm_memory,
            ..RolePlan::default()
        },
        logging_conf_dir: home.join("conf"),
        log_dir: dir.logs(),
        front: FrontPlan {
            bind: "localhost".into(),
            address: "localhost".into(),
            port: PortChoice::Prefer(8081),
        },
        rpc_address: "localhost".into(),
        rpc_port: PortChoice::Prefer(6123),
        ha: None,
        job: None,
        yarn: None,
    }
}

/// The Java on the path.
fn java_home() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let java = std::env::split_paths(&path).map(|dir| dir.join("java")).find(|java| java.exists()).unwrap();
    fs::canonicalize(java).unwrap().ancestors().nth(2).unwrap().into()
}
