//! Row 15: a whole node is cut off from all others for a while, and all on it lives on: the node where the leader is,
//! then the one where its master is, too. Nobody knows of anybody there that he is dead.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use kobel_kit::{
    Flink,
    hadoop::{Cluster, Daemon, Hadoop, Wire},
    wait,
};
use kobel_tests::{Endless, History};

use super::{SOON, Session, deputy::lives, one_at_a_time, processes, setup, standbys::znodes};

/// How long ZooKeeper's sessions last.
const TIMEOUT: Duration = Duration::from_secs(8);
/// By then another one leads.
const IN_TIME: Duration = Duration::from_secs(8 + 8);
/// For how long nothing passes: several calls of a master could come to nothing one after the other.
const CUT: Duration = Duration::from_secs(45);

#[test]
fn a_node_that_is_cut_off_and_comes_back_makes_no_second_leader() {
    let (Some(flink), Some(hadoop)) = (Flink::v1(), Hadoop::from_env()) else { return };
    let Some(setup) = setup().far_node() else { return };
    let _one = one_at_a_time();
    let cluster = Cluster::start(&hadoop, setup);
    let wire = cluster.wire().name();
    leaders_node_is_cut_off(&cluster, &flink);
    masters_node_is_cut_off(&cluster, &flink);
    drop(cluster);
    assert!(Wire::is_gone(&wire), "{wire} is left");
}

/// The node that stays and the one behind the wire.
fn nodes(cluster: &Cluster) -> (&Daemon, &Daemon) {
    let [near, far] = &cluster.yarn().node_managers[..] else { panic!("two nodes") };
    (near, far)
}

impl<'a> Session<'a> {
    /// One whose master and first JobManager are on one node, its standby on the other one, and a TaskManager on each.
    fn start_at(at: &Daemon, other: &Daemon, cluster: &'a Cluster, flink: &Flink) -> Self {
        let timeout = format!("high-availability.zookeeper.client.session-timeout={TIMEOUT:?}");
        let mut session = Self::new(cluster, flink);
        // YARN gives no container of a node that it does not hear.
        other.pause();
        thread::scope(|scope| {
            scope.spawn(|| {
                wait::until("the master runs", SOON, || match processes(cluster, "./kobel am")[..] {
                    [_] => Ok(()),
                    ref other => Err(format!("{other:?}")),
                });
                other.resume();
            });
            session.start_cluster(&["--masters", "2", "--tm", "0", "-D", &timeout]);
        });
        session.grow_at(at, other, 1);
        session.grow_at(other, at, 2);
        session.submit(flink);
        session.led_by("jm-0");
        session.both_stand();
        assert_eq!(session.node_of(session.master()).pid(), at.pid());
        assert_eq!(session.node_of(session.job_manager("jm-1")).pid(), other.pid());
        session
    }

    /// As many TaskManagers, the newest of them on this node.
    fn grow_at(&self, at: &Daemon, other: &Daemon, count: usize) {
        other.pause();
        self.lab.kobel(&["scale", "ha", "--tm", &count.to_string()]).ok();
        wait::until("it runs there", SOON, || match self.processes("TaskManagerRunner") {
            all if all.len() == count => Ok(()),
            all => Err(format!("{all:?}")),
        });
        other.resume();
        let here = |pid: &i32| self.node_of(*pid).pid() == at.pid();
        assert_eq!(self.processes("TaskManagerRunner").iter().filter(|pid| here(pid)).count(), 1);
    }

    /// When, after the cut, ZooKeeper named another leader than this one, and which: not before the session was over,
    /// which counts from the last word of its client, said every third of it.
    #[track_caller]
    fn is_succeeded(&self, former: &str, since: Instant) -> (Duration, String) {
        let next = wait::until("another one leads", IN_TIME, || match self.leader() {
            Some(next) if next != former => Ok(next),
            other => Err(format!("{other:?}")),
        });
        let led = since.elapsed();
        assert!(led > TIMEOUT / 2, "{led:?}");
        (led, next)
    }

    /// Waits until the cluster's master says that this JobManager leads, whatever else there is.
    #[track_caller]
    fn says_leads(&self, id: &str) {
        wait::until("it leads", SOON, || {
            let now = self.status();
            let leads = |master: &serde_json::Value| master["id"] == id && master["leader"] == true;
            let it_does = now["masters"].as_array().is_some_and(|all| all.iter().any(leads));
            if it_does { Ok(()) } else { Err(now.to_string()) }
        });
    }

    /// A request through the front for which the leader waits: a part of it is missing.
    fn begin_request(&self) -> TcpStream {
        const GO_ON: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
        let status = self.status();
        let front = status["restUrl"].as_str().and_then(|url| url.strip_prefix("http://")).expect("a front");
        let mut stream = TcpStream::connect(front).expect("the front");
        stream.set_read_timeout(Some(CUT)).expect("a deadline");
        let head = format!("POST /jobs/{}/savepoints HTTP/1.1\r\nHost: {front}", self.job);
        let more = "Connection: close\r\nContent-Length: 2\r\nExpect: 100-continue";
        stream.write_all(format!("{head}\r\n{more}\r\n\r\n").as_bytes()).expect("a request");
        // Said when the front has sent the leader what there is.
        let mut told = [0; GO_ON.len()];
        stream.read_exact(&mut told).expect("an answer");
        assert_eq!(told, GO_ON, "{}", String::from_utf8_lossy(&told));
        stream
    }

    /// The master called the node that is out of reach to have the former leader killed, and turned to the next leader
    /// before that came to nothing.
    #[track_caller]
    fn no_call_was_waited_for(&self) {
        let logs = self.logs(|name| name == "agent.log");
        let [(_, log)] = &logs[..] else { panic!("one master: {}", logs.len()) };
        let at = |told| log.find(told).unwrap_or_else(|| panic!("no {told}: {log}"));
        assert!(at("jm-0.2 leads kind=LeaderElected") < at("could not kill it"), "{log}");
    }

    /// How often somebody was removed from ZooKeeper who was proven dead.
    fn fences(&self) -> usize {
        self.events().matches("latch and").count()
    }

    /// The logs of this kind in all containers, with their names.
    fn logs(&self, kind: impl Fn(&str) -> bool) -> Vec<(String, String)> {
        let nodes = self.cluster.yarn().node_managers.iter();
        let containers = nodes.flat_map(|node| below(node.dir().join("logs").join(&self.application)));
        let named = containers.flat_map(below).filter_map(|path| {
            let name = path.file_name()?.to_str()?.to_string();
            kind(&name).then(|| (name, fs::read_to_string(path).expect("a log")))
        });
        named.collect()
    }

    /// Who led in turn; who was cut off as the leader completed no checkpoint once the next one led.
    #[track_caller]
    fn look_back(&self, leaders: &[&str]) {
        let logs = self.logs(|name| name.starts_with("jm-") && name.ends_with(".log"));
        let history = History::new(logs, &self.job);
        history.checkpoints_only_rise();
        let reigns = history.reigns();
        let whose: Vec<&str> = reigns.iter().map(|reign| reign.whose.as_str()).collect();
        assert_eq!(whose, leaders, "{reigns:#?}");
        let [.., former, next] = &reigns[..] else { panic!("two led: {reigns:#?}") };
        let ms = history.overlap(former, next);
        println!("row 15: the one that was cut off took itself for the leader for {ms} ms more");
    }

    #[track_caller]
    fn stops_and_leaves_nothing(&self) {
        self.lab.kobel(&["stop", "ha"]).ok();
        self.cluster.no_container_left();
        self.lab.no_process_left();
        assert_eq!(znodes(&self.cluster.zookeeper().address, "/flink"), Vec::<String>::new());
    }
}

fn below(dir: std::path::PathBuf) -> Vec<std::path::PathBuf> {
    fs::read_dir(dir).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect()
}

/// Nothing passes until so long after `since`.
fn stay_cut(since: Instant) {
    thread::sleep(CUT.saturating_sub(since.elapsed()));
}

/// The standby's node, when it leads. Its master sees that it answers nobody, and cannot do anything about it.
fn leaders_node_is_cut_off(cluster: &Cluster, flink: &Flink) {
    let (near, far) = nodes(cluster);
    let session = Session::start_at(near, far, cluster, flink);
    session.restart_first();
    session.both_stand();
    let (checkpoint, fences) = (session.checkpoint().unwrap(), session.fences());
    let former = session.leader().expect("a leader");
    let mut request = session.begin_request();
    cluster.wire().cut();
    let since = Instant::now();
    let answered = thread::spawn(move || {
        let mut reply = String::new();
        request.read_to_string(&mut reply).map(|_| (reply, since.elapsed()))
    });
    let (led, _) = session.is_succeeded(&former, since);
    session.says_leads("jm-0");
    session.running_since(checkpoint);
    let ran = since.elapsed();
    println!(
        "row 15: the leader's node is cut off: jm-0 leads after {led:.1?} (session timeout: {TIMEOUT:?}), \
         job RUNNING with a new checkpoint after {ran:.1?}"
    );
    let (reply, gave_up) = answered.join().expect("a thread").expect("a reply before all is well again");
    println!("row 15: who waited for an answer of the leader's had one of the front's after {gave_up:.1?}");
    assert!(reply.starts_with("HTTP/1.1 502 "), "{reply}");
    stay_cut(since);
    cluster.wire().heal();
    let since = Instant::now();
    wait::until("the one that answered nobody is replaced", SOON, || match session.events() {
        told if told.contains("jm-1.2 runs") => Ok(()),
        told => Err(told),
    });
    session.led_by("jm-0");
    session.both_stand();
    println!("row 15: healed after {CUT:?}: whole again after {:.1?}", since.elapsed());
    println!("{}", session.events());
    session.no_call_was_waited_for();
    assert_eq!(session.fences(), fences, "nobody was proven dead: {}", session.events());
    assert!(!session.events().contains("jm-1.3"), "replaced once: {}", session.events());
    session.job_manager("jm-1");
    session.no_container_is_lost();
    session.look_back(&["jm-0.1.log", "jm-1.1.log", "jm-0.2.log"]);
    session.stops_and_leaves_nothing();
}

/// The node of the master and of the first JobManager, which leads. The standby's deputy has YARN start another master;
/// the old one ends itself as soon as it can hear.
fn masters_node_is_cut_off(cluster: &Cluster, flink: &Flink) {
    let (near, far) = nodes(cluster);
    let session = Session::start_at(far, near, cluster, flink);
    let (master, kept) = (session.master(), session.kept());
    let container = fs::read_link(format!("/proc/{master}/cwd")).expect("a container");
    let (checkpoint, former) = (session.checkpoint().unwrap(), session.leader().expect("a leader"));
    cluster.wire().cut();
    let since = Instant::now();
    let (led, next) = session.is_succeeded(&former, since);
    session.runs_at(&next, checkpoint);
    let ran = since.elapsed();
    println!(
        "row 15: the master's node is cut off: jm-1 leads after {led:.1?} (session timeout: {TIMEOUT:?}), \
         job RUNNING with a new checkpoint after {ran:.1?}"
    );
    let status = session.lab.kobel(&["status", "ha"]);
    println!(
        "row 15: kobel status, of a master that does not answer: {} after {:.1?}",
        status.code, status.took
    );
    session.failed_by_deputy(1);
    let failed = since.elapsed();
    session.says_leads("jm-1");
    println!(
        "row 15: the deputy had YARN fail the master after {failed:.1?}, the next one is in charge after {:.1?}",
        since.elapsed()
    );
    let timestamps = session.timestamps();
    stay_cut(since);
    // Its JobManager may have given up by itself, for want of ZooKeeper; then it has another one.
    assert!(lives(master), "nothing could end it");
    // It could end the old master, in whose place that shall do it itself.
    far.pause();
    cluster.wire().heal();
    let since = Instant::now();
    wait::until("it ends itself and its JobManager", SOON, || {
        let mut left = cluster.containers();
        left.retain(|(pid, _)| {
            fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|dir| dir.starts_with(&container))
        });
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
    println!("row 15: healed after {CUT:?}: the old master was gone {:.1?} later", since.elapsed());
    far.resume();
    session.led_by("jm-1");
    session.both_stand();
    println!("row 15: whole again after {:.1?}", since.elapsed());
    println!("{}", session.events());
    assert_eq!(session.fences(), 0, "nobody was proven dead: {}", session.events());
    assert_eq!(session.kept(), kept, "the same processes");
    assert_eq!(session.timestamps(), timestamps, "the job was not restarted once more");
    session.no_container_is_lost();
    session.look_back(&["jm-0.1.log", "jm-1.1.log"]);
    session.stops_and_leaves_nothing();
}
