//! Rows 25, 28, 29 and 30 on a cluster that is strict: users keep to their queues, queues get their share back,
//! containers keep to their memory, and whatever fits is granted at once.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use kobel_kit::{
    Flink, Lab,
    hadoop::{Cluster, Daemon, Hadoop, Setup, Site},
    http, sockets, wait,
};
use serde_json::{Value, json};

use super::{SOON, Session, USER, cycles::cycles, lab, nothing_left, start_with, turn};

/// Who may use the queue `default`; [`USER`] may use `guest` alone.
const OTHER: &str = "bob";
/// Twice the memory of a TaskManager's container, at once.
const TOO_MUCH: &str = "-Xms1600m -Xmx1600m -XX:+AlwaysPreTouch\n";

/// A JVM that exits before it runs anything, and what it says.
const IMPOSSIBLE: (&str, &str) = ("-Xms64m -Xmx32m\n", "Initial heap size set to a larger value");

fn setup() -> Setup {
    let preemption = |key: &str| format!("yarn.resourcemanager.monitor.capacity.preemption.{key}");
    let queue = |key: &str| format!("yarn.scheduler.capacity.root.{key}");
    Setup::yarn()
        .set(Site::Yarn, "yarn.nodemanager.pmem-check-enabled", "true")
        // Unless set, the node takes it that a cgroup does it, there being none or not (`ContainersMonitorImpl`).
        .set(Site::Yarn, "yarn.nodemanager.resource.memory.enforced", "false")
        .set(Site::Yarn, "yarn.nodemanager.container-monitor.interval-ms", "1000")
        .set(Site::Yarn, "yarn.acl.enable", "true")
        // Who looks at it in these tests, by no name.
        .set(Site::Yarn, "yarn.admin.acl", "dr.who")
        .set(Site::Yarn, "yarn.resourcemanager.scheduler.monitor.enable", "true")
        .set(Site::Yarn, &preemption("monitoring_interval"), "500")
        .set(Site::Yarn, &preemption("max_wait_before_kill"), "1000")
        .set(Site::Yarn, &preemption("natural_termination_factor"), "1")
        .set(
            Site::Scheduler,
            "yarn.scheduler.capacity.per-node-heartbeat.maximum-offswitch-assignments",
            "20",
        )
        .set(Site::Scheduler, "yarn.scheduler.capacity.maximum-am-resource-percent", "1")
        .set(Site::Scheduler, &queue("queues"), "default,guest")
        .set(Site::Scheduler, &queue("guest.capacity"), "10")
        .set(Site::Scheduler, &queue("guest.maximum-capacity"), "100")
        .set(Site::Scheduler, &queue("guest.user-limit-factor"), "10")
        .set(Site::Scheduler, &queue("acl_submit_applications"), "nobody")
        .set(Site::Scheduler, &queue("acl_administer_queue"), "dr.who")
        .set(Site::Scheduler, &queue("default.acl_submit_applications"), OTHER)
        .set(Site::Scheduler, &queue("guest.acl_submit_applications"), USER)
}

#[test]
fn a_session_gives_way_and_comes_back() {
    let (Some(flink), Some(hadoop)) = (Flink::v1(), Hadoop::from_env()) else { return };
    let _turn = turn();
    let cluster = Cluster::start(&hadoop, setup());
    let lab = lab(&cluster, "pressure", &flink);
    let options = Options(lab.file("options", ""));
    let session = Session::start(&cluster, &lab, &["--tm", "2", "--queue", "guest", "-D", &options.flag()]);
    not_this_queue(&cluster, &lab);
    preempted(&session);
    over_memory(&session, &options);
    more_than_wanted(&session);
    node_hangs(&session);
    never_starts(session, &options);
}

/// The file that TaskManagers' JVMs read more options from when they start.
struct Options(PathBuf);

impl Options {
    fn flag(&self) -> String {
        format!("env.java.opts.taskmanager=-XX:VMOptionsFile={}", self.0.display())
    }

    fn set(&self, text: &str) {
        fs::write(&self.0, text).unwrap();
    }
}

fn not_this_queue(cluster: &Cluster, lab: &Lab) {
    let staged =
        || super::staged(cluster).iter().map(|dir| dir["pathSuffix"].to_string()).collect::<Vec<_>>();
    let before = staged();
    for api in ["rest", "rpc"] {
        lab.file("config.toml", &format!("yarn.api = \"{api}\"\n"));
        let mut args = start_with(&["--tm", "0", "--queue", "default"]);
        args[1] = "elsewhere";
        let done = lab.kobel(&args).expect(6);
        let why = done.stderr.lines().find(|line| line.contains(" why: ")).unwrap_or_default();
        println!("row 25: a queue for others ({api}): refused after {:?}: {}", done.took, why.trim());
        assert!(["queue default", USER].iter().all(|word| why.contains(word)), "{}", done.stderr);
        assert!(done.took < Duration::from_secs(10), "{:?}", done.took);
        assert_eq!(staged(), before);
        lab.kobel(&["rm", "elsewhere"]).ok();
    }
    fs::remove_file(lab.path("config.toml")).unwrap();
}

/// How many lines of the timeline say this.
fn told(session: &Session<'_>, words: &str) -> usize {
    session.lab.kobel(&["events", "wc"]).ok().stdout.lines().filter(|line| line.contains(words)).count()
}

/// Applications of one container each, until the cluster is full and beyond.
fn preempted(session: &Session<'_>) {
    session.ready(2);
    let (yarn, before) = (session.cluster.yarn(), (session.agent(), session.jm()));
    let free = yarn.get("/metrics").unwrap()["clusterMetrics"]["availableMB"].as_u64().unwrap() / 1024;
    let others: Vec<String> = (0..=free).map(|_| sleeper(session.cluster)).collect();
    let since = Instant::now();
    wait::until("a container is taken away", SOON, || match told(session, "preempted") {
        0 => Err(format!("{}", session.app())),
        _ => Ok(()),
    });
    let away = since.elapsed();
    wait::until("it is said", SOON, || match session.status() {
        status if status["state"] == "Degraded" => Ok(()),
        status => Err(status.to_string()),
    });
    others.iter().for_each(|id| kill(session.cluster, id));
    let since = Instant::now();
    session.ready(2);
    let replaced = since.elapsed();
    assert_eq!((session.agent(), session.jm()), before);
    println!(
        "row 28: {free} containers and one more wanted by others: preempted after {away:?}, said so, replaced \
         {replaced:?} after there was room"
    );
}

/// An application of the other's that takes a GiB and does nothing.
fn sleeper(cluster: &Cluster) -> String {
    let new = post(cluster, "POST", "/new-application", &json!({}));
    let id = new["application-id"].as_str().expect("an id").to_string();
    let submission = json!({
        "application-id": id, "application-name": "sleeper", "queue": "default", "max-app-attempts": 1,
        "am-container-spec": { "commands": { "command": "exec sleep 600" } },
        "resource": { "memory": 1024, "vCores": 1 },
    });
    post(cluster, "POST", "", &submission);
    id
}

fn kill(cluster: &Cluster, id: &str) {
    post(cluster, "PUT", &format!("/{id}/state"), &json!({ "state": "KILLED" }));
}

fn post(cluster: &Cluster, method: &str, path: &str, body: &Value) -> Value {
    let url = format!("{}/ws/v1/cluster/apps{path}?user.name={OTHER}", cluster.yarn().web());
    let headers = [("Content-Type", "application/json"), ("Accept", "application/json")];
    let reply = http::send(method, &url, &headers, body.to_string().as_bytes()).unwrap();
    assert!(reply.status < 300, "{url}: {reply:?}");
    serde_json::from_str(&reply.body).unwrap_or_default()
}

/// A TaskManager takes more memory than its container has.
fn over_memory(session: &Session<'_>, options: &Options) {
    let cycles = cycles(2);
    let mut slowest = Duration::ZERO;
    for cycle in 0..cycles {
        let before = session.tms();
        options.set(TOO_MUCH);
        let restarting = session.lab.spawn_kobel(&["restart", "wc", "tm", "0"]);
        // Its JVM has read the options by now; the one that replaces it must not.
        let since = wait::until("a TaskManager takes its heap", SOON, || {
            let new = session.tms().into_iter().filter(|pid| !before.contains(pid));
            let sizes: Vec<_> = new.map(|pid| (pid, sockets::memory_kib(pid))).collect();
            let has_begun = sizes.iter().any(|(_, kib)| kib.is_some_and(|kib| kib > 128 << 10));
            if has_begun { Ok(Instant::now()) } else { Err(format!("{sizes:?}")) }
        });
        options.set("");
        wait::until("it is said", SOON, || match told(session, "killed for its memory") {
            now if now > cycle => Ok(()),
            now => Err(format!("{now} times\n{}", session.lab.kobel(&["events", "wc"]).stdout)),
        });
        session.ready(2);
        slowest = slowest.max(since.elapsed());
        restarting.wait().ok();
        assert_eq!(told(session, "killed for its memory"), cycle + 1);
    }
    println!("row 28: over memory {cycles} times: cause exact in {cycles}, replaced within {slowest:?}");
}

/// Asks the master itself: the command asks YARN first where it is.
fn scale(session: &Session<'_>, status: &Value, task_managers: u32) {
    let record = fs::read_to_string(session.lab.cluster_dir("wc").join("yarn.json")).unwrap();
    let record: Value = serde_json::from_str(&record).unwrap();
    let bearer = format!("Bearer {}", record["secret"].as_str().unwrap());
    let url = format!("{}/kobel/v1/scale", status["restUrl"].as_str().unwrap().trim_end_matches('/'));
    let body = json!({ "task-managers-to": task_managers }).to_string();
    let headers = [("Content-Type", "application/json"), ("Authorization", bearer.as_str())];
    let reply = http::send("POST", &url, &headers, body.as_bytes()).unwrap();
    assert_eq!(reply.status, 200, "{url}: {reply:?}");
}

/// Waits until so many nodes have called a ResourceManager that is paused.
fn heartbeats_queued(session: &Session<'_>, nodes: usize) {
    let manager = &session.cluster.yarn().resource_manager;
    wait::until("the nodes' heartbeats wait", SOON, || match sockets::unread(manager.pid(), 8031) {
        now if now >= nodes => Ok(()),
        now => Err(format!("{now} of {nodes}")),
    });
}

/// The ResourceManager knows of an ask beyond the two that there are, and no node has told it of room since.
fn asked_for(session: &Session<'_>, task_managers: u32, nodes: &[Daemon]) -> Value {
    let status = session.ready(2);
    nodes.iter().for_each(Daemon::pause);
    scale(session, &status, task_managers);
    super::scheduling::pending(session, i64::from(task_managers) - 2);
    status
}

fn more_than_wanted(session: &Session<'_>) {
    let yarn = session.cluster.yarn();
    let before = session.tms();
    let status = asked_for(session, 20, &yarn.node_managers);
    yarn.resource_manager.pause();
    yarn.node_managers.iter().for_each(Daemon::resume);
    heartbeats_queued(session, 2);
    scale(session, &status, 3);
    yarn.resource_manager.resume();
    let since = Instant::now();
    let (mut most, mut excess) = (0, Duration::ZERO);
    wait::until("it is ready with what is wanted", SOON, || {
        let (held, at) = (session.held(), since.elapsed());
        most = most.max(held);
        if held > 4 {
            excess = at;
        }
        let status = session.status();
        let settled = status["state"] == "Ready" && session.tms().len() == 3 && held == 4;
        if settled { Ok(()) } else { Err(format!("{held} held\n{status}")) }
    });
    println!(
        "row 30: 20 asked for and 17 taken back while the ResourceManager hung: up to {most} containers held, \
         more than 4 for {excess:?}, ready after {:?}",
        since.elapsed()
    );
    assert!(excess < Duration::from_secs(5), "{excess:?}");
    assert!(before.iter().all(|pid| session.tms().contains(pid)), "the former ones are the same");
    assert_eq!(told(session, "tm-3.1 runs"), 0, "nothing was started in vain");
    session.lab.kobel(&["scale", "wc", "--tm", "2"]).ok();
}

/// A node hangs between the grant of its container and the call to start it.
fn node_hangs(session: &Session<'_>) {
    let yarn = session.cluster.yarn();
    let [first, second] = &yarn.node_managers[..] else { panic!("two nodes") };
    asked_for(session, 3, &yarn.node_managers);
    yarn.resource_manager.pause();
    first.resume();
    heartbeats_queued(session, 1);
    first.pause();
    yarn.resource_manager.resume();
    wait::until("the container is granted", SOON, || match session.held() {
        4 => Ok(()),
        held => Err(format!("{held} held")),
    });
    let since = Instant::now();
    second.resume();
    wait::until("it is given up", SOON, || match told(session, "could not be launched") {
        0 => Err(session.lab.kobel(&["events", "wc"]).stdout),
        _ => Ok(()),
    });
    let given_up = since.elapsed();
    session.ready(3);
    let elsewhere = since.elapsed();
    first.resume();
    println!(
        "row 29: a node hangs: given up after {given_up:?}, ready with one elsewhere after {elsewhere:?}"
    );
    assert!(given_up < Duration::from_secs(60), "{given_up:?}");
    wait::until("no container is held but those", SOON, || match session.held() {
        4 => Ok(()),
        held => Err(format!("{held} held")),
    });
    assert_eq!(session.tms().len(), 3);
}

/// JVMs that exit at once end the cluster after a few tries, and the reason is what they said.
fn never_starts(session: Session<'_>, options: &Options) {
    options.set(IMPOSSIBLE.0);
    let since = Instant::now();
    let done = session.lab.kobel(&["scale", "wc", "--tm", "4"]).expect(7);
    let took = since.elapsed();
    let reason = session.status()["reason"].as_str().unwrap_or_default().to_string();
    assert!(done.stderr.contains(IMPOSSIBLE.1) && reason.contains(IMPOSSIBLE.1), "{reason}\n{}", done.stderr);
    let events = session.lab.kobel(&["events", "wc"]).ok().stdout;
    let tries = events.lines().filter(|line| line.contains("tm-3.") && line.contains("starts")).count();
    assert!((2..=10).contains(&tries), "{events}");
    // The nodes have the logs of each attempt.
    let tried: Vec<_> = session.cluster.yarn().node_managers.iter().map(attempts).collect();
    assert!(tried.iter().all(|attempts| !attempts.is_empty()), "another node was tried: {tried:?}");
    println!("row 29: a JVM that exits at once: the end after {tries} tries in {took:?}: {reason}");
    nothing_left(session.cluster, session.lab);
}

/// The attempts at `tm-3` that this node has logs of.
fn attempts(node: &Daemon) -> Vec<String> {
    let entries = |dir: PathBuf| fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let containers = entries(node.dir().join("logs")).flat_map(entries);
    let files = containers.flat_map(entries).filter_map(|file| file.file_stem()?.to_str().map(String::from));
    let mut attempts: Vec<_> = files.filter(|stem| stem.starts_with("tm-3.")).collect();
    attempts.sort_unstable();
    attempts.dedup();
    attempts
}
