//! The kit's own Hadoop: what the other suites build on really is a HDFS and a YARN, its daemons come back
//! from `kill -9`, and nothing of it outlives its process.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use kobel_kit::{
    Lab,
    hadoop::{self, Cluster, Hadoop, Setup, Wire},
    http, wait,
};

fn setup() -> Setup {
    Setup::yarn().zookeeper().node_recovery()
}

#[test]
fn a_file_written_to_hdfs_is_read_back() {
    let Some(cluster) = hadoop::shared(setup) else { return };
    let hdfs = cluster.hdfs();
    hdfs.put("alice", "/user/alice/text", b"to be or not to be\n");
    assert_eq!(hdfs.read("/user/alice/text"), "to be or not to be\n");
    let status = hdfs.status("/user/alice/text").expect("it exists");
    assert_eq!((&status["owner"], &status["length"]), (&"alice".into(), &19.into()), "{status}");
    assert_eq!(hdfs.list("/user/alice")[0]["pathSuffix"], "text");
    hdfs.remove("/user/alice/text");
    assert_eq!(hdfs.status("/user/alice/text"), None);
}

#[test]
fn permissions_of_hdfs_hold_between_users() {
    let Some(cluster) = hadoop::shared(setup) else { return };
    let hdfs = cluster.hdfs();
    hdfs.mkdir("bob", "/user/bob", "755");
    hdfs.mkdir("bob", "/user/bob/private", "700");
    let url = format!("{}/webhdfs/v1/user/bob/private?op=LISTSTATUS&user.name=eve", hdfs.web());
    assert_eq!(http::get(&url).unwrap().status, 403);
    hdfs.chown("/user/bob/private", "eve");
    assert_eq!(http::get(&url).unwrap().status, 200);
}

#[test]
fn the_resource_manager_shows_two_nodes() {
    let Some(cluster) = hadoop::shared(setup) else { return };
    let nodes = cluster.yarn().nodes();
    let running = nodes.iter().filter(|node| node["state"] == "RUNNING").count();
    assert_eq!(running, 2, "{nodes:?}");
    let metrics = cluster.yarn().get("/metrics").unwrap();
    assert_eq!(metrics["clusterMetrics"]["totalMB"], 16384);
    let site = fs::read_to_string(cluster.conf_dir().join("yarn-site.xml")).unwrap();
    assert!(site.contains("yarn.application.classpath"), "{site}");
}

#[test]
fn daemons_that_are_killed_or_paused_come_back() {
    let Some(hadoop) = Hadoop::from_env() else { return };
    let since = Instant::now();
    let cluster = Cluster::start(&hadoop, setup());
    println!("HDFS, YARN with 2 nodes and ZooKeeper serve after {:.1} s", since.elapsed().as_secs_f32());
    cluster.hdfs().put("alice", "/user/alice/kept", b"kept");
    let container = start_container(&cluster);
    for daemon in cluster.daemons() {
        let (before, since) = (daemon.pid(), Instant::now());
        daemon.restart();
        assert_ne!(daemon.pid(), before);
        println!("{daemon:?}: back {:.1} s after kill -9", since.elapsed().as_secs_f32());
    }
    let name_node = &cluster.hdfs().name_node;
    name_node.pause();
    // The signal is sent, and heard a moment later.
    wait::until("it is stopped", Duration::from_secs(5), || {
        match fs::read_to_string(format!("/proc/{}/stat", name_node.pid())).unwrap() {
            state if state.contains(") T ") => Ok(()),
            state => Err(state),
        }
    });
    name_node.resume();
    assert_eq!(cluster.hdfs().read("/user/alice/kept"), "kept");
    assert_eq!(cluster.yarn().nodes().len(), 2);
    assert!(cluster.containers().contains(&container), "it outlives its NodeManager");
    let dir = cluster.dir().to_path_buf();
    assert_eq!(members(&dir).len(), cluster.daemons().len() + cluster.containers().len());
    drop(cluster);
    wait::until("the container ends with it", Duration::from_secs(5), || {
        match fs::read_to_string(format!("/proc/{}/stat", container.0)) {
            Ok(state) => Err(state),
            Err(_) => Ok(()),
        }
    });
    assert_eq!(members(&dir), Vec::<PathBuf>::new());
    assert!(!dir.exists());
}

/// This test runs itself a second time, in a process that starts a cluster and is then killed.
#[test]
fn a_kit_that_is_killed_leaves_nothing() {
    let Some(hadoop) = Hadoop::from_env() else { return };
    if let Some(dir) = env::var_os("KOBEL_TEST_HOLD") {
        let far = Setup::hdfs().far_node();
        let cluster = Cluster::start_in(&hadoop, far.clone().unwrap_or_else(Setup::hdfs), dir.into());
        let wire = far.map(|_| cluster.wire().name()).unwrap_or_default();
        fs::write(cluster.dir().join("wire"), wire).unwrap();
        fs::write(cluster.dir().join("serves"), "").unwrap();
        loop {
            std::thread::park();
        }
    }
    let lab = Lab::new("hold");
    let dir = lab.path("cluster");
    fs::create_dir(&dir).unwrap();
    let mut kit = Command::new(env::current_exe().unwrap())
        .args(["--exact", "a_kit_that_is_killed_leaves_nothing"])
        .env("KOBEL_TEST_HOLD", &dir)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait::until("the cluster serves", Duration::from_secs(180), || {
        assert_eq!(kit.try_wait().unwrap(), None, "the kit ended early");
        if dir.join("serves").exists() { Ok(()) } else { Err("not yet".into()) }
    });
    assert_eq!(members(&dir).len(), 2, "NameNode and DataNode");
    let wire = fs::read_to_string(dir.join("wire")).unwrap();
    assert!(wire.is_empty() || !Wire::is_gone(&wire), "{wire} is there");
    kit.kill().unwrap();
    kit.wait().unwrap();
    wait::until("all of it is gone", Duration::from_secs(15), || match members(&dir) {
        left if left.is_empty() && !dir.exists() => Ok(()),
        left => Err(format!("{left:?}")),
    });
    assert!(wire.is_empty() || Wire::is_gone(&wire), "{wire} is left");
    lab.no_process_left();
}

/// Has YARN start an ApplicationMaster that only sleeps, and returns its process.
fn start_container(cluster: &Cluster) -> (i32, String) {
    let apps = format!("{}/ws/v1/cluster/apps", cluster.yarn().web());
    let post = |url: &str, body: &str| {
        let json = [("Content-Type", "application/json")];
        http::send("POST", &format!("{url}?user.name=alice"), &json, body.as_bytes()).unwrap()
    };
    let new: serde_json::Value =
        serde_json::from_str(&post(&format!("{apps}/new-application"), "").body).unwrap();
    let app = serde_json::json!({
        "application-id": new["application-id"],
        "application-name": "sleeper",
        "application-type": "test",
        "am-container-spec": { "commands": { "command": "exec sleep 1000" } },
        "resource": { "memory": 256, "vCores": 1 },
    });
    assert_eq!(post(&apps, &app.to_string()).status, 202);
    wait::until("the container runs", Duration::from_secs(60), || {
        let found = cluster.containers().into_iter().find(|(_, command)| command == "sleep 1000");
        found.ok_or_else(|| format!("{:?}", cluster.yarn().apps()))
    })
}

/// The processes whose environment names this cluster, read apart from the kit's own way.
fn members(dir: &Path) -> Vec<PathBuf> {
    let marker = format!("KOBEL_TEST_CLUSTER={}", dir.display());
    let entries = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let marked = |process: &PathBuf| {
        let env = fs::read(process.join("environ")).unwrap_or_default();
        env.split(|byte| *byte == 0).any(|pair| pair == marker.as_bytes())
    };
    entries.filter(marked).collect()
}
