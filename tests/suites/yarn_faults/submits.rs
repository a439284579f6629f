//! Rows 19 and 21 to 25: what goes wrong while an application is submitted.

use std::{
    fs,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use kobel_kit::{Flink, Lab, hadoop::Cluster, http, wait};

use super::{SOON, lab, nothing_left, said, shared, staged, start_with};

/// What a submit has come to when it is cut.
const STEPS: [&str; 4] = ["has claimed its name", "has written its id", "uploads", "has submitted"];

/// Waits until a submit in this lab has come so far.
fn until_it(step: &str, cluster: &Cluster, lab: &Lab) {
    let dir = lab.cluster_dir("wc");
    wait::until(step, SOON, || {
        let reached = match step {
            "has claimed its name" => dir.join("plan.json").exists(),
            "has written its id" => dir.join("yarn.json").exists(),
            "uploads" => !staged(cluster).is_empty(),
            _ => !cluster.yarn().unfinished().is_empty(),
        };
        if reached { Ok(()) } else { Err(format!("{:?}", lab.files("state"))) }
    });
}

#[test]
fn a_submit_that_is_cut_leaves_nothing_that_is_not_found() {
    let (Some(flink), Some((_turn, cluster))) = (Flink::v1(), shared()) else { return };
    let lab = lab(&cluster, "cut", &flink);
    for step in STEPS {
        lab.kobel(&["rm", "wc"]);
        let starting = lab.spawn_kobel(&start_with(&["--tm", "0"]));
        until_it(step, &cluster, &lab);
        starting.signal("KILL");
        starting.wait();
        // Submitted, it is a cluster like any other; otherwise it is over, and gc clears up.
        if !cluster.yarn().unfinished().is_empty() {
            let again = lab.kobel(&["start", "wc", "--on", "yarn"]).expect(3);
            assert!(again.stderr.contains("wc exists already"), "{}", said(&again));
            lab.kobel(&["kill", "wc"]).ok();
        } else {
            let state = lab.kobel(&["status", "wc", "-o", "json"]).json()["state"].clone();
            assert_eq!(state, "Failed", "{step}");
            lab.kobel(&["gc"]).ok();
        }
        nothing_left(&cluster, &lab);
    }
    println!("row 21: kill -9 at {} steps of a submit: 0 orphans after gc, never 2 clusters", STEPS.len());
    let mut slowest = Duration::ZERO;
    for (step, (signal, code)) in STEPS.iter().zip([("TERM", 143), ("INT", 130)].into_iter().cycle()) {
        // What it wrote last time would look like a step reached.
        lab.kobel(&["rm", "wc"]);
        let starting = lab.spawn_kobel(&start_with(&["--tm", "0"]));
        until_it(step, &cluster, &lab);
        let since = Instant::now();
        starting.signal(signal);
        starting.wait().expect(code);
        slowest = slowest.max(since.elapsed());
        nothing_left(&cluster, &lab);
    }
    println!("row 22: SIGTERM and SIGINT at {} steps: taken back within {slowest:?}", STEPS.len());
}

#[test]
fn one_name_is_one_application() {
    let (Some(flink), Some((_turn, cluster))) = (Flink::v1(), shared()) else { return };
    let mut lab = lab(&cluster, "double", &flink);
    let before = cluster.yarn().apps().len();
    let all: Vec<_> = (0..20).map(|_| lab.spawn_kobel(&start_with(&["--tm", "0"]))).collect();
    let done: Vec<_> = all.into_iter().map(|start| start.wait()).collect();
    let (won, lost): (Vec<_>, Vec<_>) = done.iter().partition(|done| done.code == 0);
    assert_eq!(won.len(), 1, "{done:?}");
    assert!(lost.iter().all(|done| done.code == 3 && done.stderr.contains("wc exists already")), "{lost:?}");
    assert_eq!(cluster.yarn().apps().len(), before + 1);
    println!("row 23: 20 starts of one name at once: 1 application");
    lab.kobel(&["kill", "wc"]).ok();

    let proxy = ReplyLost::before(&cluster);
    lab.env("HADOOP_CONF_DIR", proxy.conf_dir(&cluster, &lab).to_str().unwrap());
    lab.kobel(&start_with(&["--tm", "0"])).ok();
    assert!(proxy.dropped.load(Ordering::SeqCst), "a reply was lost");
    assert_eq!(cluster.yarn().apps().len(), before + 2);
    println!("row 24: the reply of a submit lost: 1 application");
    lab.kobel(&["kill", "wc"]).ok();
    nothing_left(&cluster, &lab);
}

/// Stands before the ResourceManager and loses the reply to the first application that is submitted.
struct ReplyLost {
    address: String,
    dropped: Arc<AtomicBool>,
}

impl ReplyLost {
    fn before(cluster: &Cluster) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let upstream = cluster.yarn().web().replace("http://", "");
        let dropped = Arc::new(AtomicBool::new(false));
        let (once, upstream) = (dropped.clone(), Arc::new(upstream));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (once, upstream) = (once.clone(), upstream.clone());
                thread::spawn(move || pass_on(client, TcpStream::connect(&*upstream).unwrap(), &once));
            }
        });
        Self { address, dropped }
    }

    /// A client's configuration that knows only this way to the ResourceManager.
    fn conf_dir(&self, cluster: &Cluster, lab: &Lab) -> std::path::PathBuf {
        for name in ["core-site.xml", "hdfs-site.xml", "yarn-site.xml"] {
            let text = fs::read_to_string(cluster.conf_dir().join(name)).unwrap();
            let web = format!(
                "<property><name>yarn.resourcemanager.webapp.address</name><value>{}</value></property>\
                 </configuration>",
                self.address
            );
            let text = if name == "yarn-site.xml" { text.replace("</configuration>", &web) } else { text };
            lab.file(&format!("hadoop/{name}"), &text);
        }
        lab.path("hadoop")
    }
}

fn pass_on(mut client: TcpStream, mut server: TcpStream, dropped: &AtomicBool) {
    let lose = Arc::new(AtomicBool::new(false));
    let (mut to, mut from, submits) =
        (server.try_clone().unwrap(), client.try_clone().unwrap(), lose.clone());
    thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(n @ 1..) = from.read(&mut buffer) {
            if String::from_utf8_lossy(&buffer[..n]).starts_with("POST /ws/v1/cluster/apps?")
                || String::from_utf8_lossy(&buffer[..n]).starts_with("POST /ws/v1/cluster/apps ")
            {
                submits.store(true, Ordering::SeqCst);
            }
            if to.write_all(&buffer[..n]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
    let mut buffer = vec![0; 64 << 10];
    while let Ok(n @ 1..) = server.read(&mut buffer) {
        if lose.load(Ordering::SeqCst) && !dropped.swap(true, Ordering::SeqCst) {
            break;
        }
        if client.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
}

#[test]
fn what_cannot_be_submitted_is_said_soon_and_leaves_nothing() {
    let (Some(flink), Some((_turn, cluster))) = (Flink::v1(), shared()) else { return };
    let before = cluster.yarn().apps().len();
    full(&cluster, &flink);
    forbidden(&cluster, &flink);
    assert_eq!(cluster.yarn().apps().len(), before, "none came as far as the ResourceManager");
}

/// A home directory that holds no more, and a DataNode that is gone.
fn full(cluster: &Cluster, flink: &Flink) {
    let (quinn, hdfs) = (cluster.lab("quinn", "quota", flink), cluster.hdfs());
    let quota = format!("{}/webhdfs/v1/user/quinn?op=SETQUOTA&storagespacequota=20000000", hdfs.web());
    let reply = http::request("PUT", &format!("{quota}&user.name={}", hdfs.superuser), &[]).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
    let done = quinn.kobel(&start_with(&["--tm", "0"])).expect(5);
    assert!(done.took < Duration::from_secs(10), "{:?}", done.took);
    assert!(done.stderr.contains("/user/quinn") && done.stderr.contains("quota"), "{}", said(&done));
    println!("row 19: a quota of 20 MB: refused after {:?}: {}", done.took, said(&done));
    quinn.kobel(&["gc"]).ok();
    hdfs.data_node.kill9();
    // A home that has nothing yet.
    let nina = cluster.lab("nina", "no-datanode", flink);
    let done = nina.kobel(&start_with(&["--tm", "0"]));
    hdfs.data_node.start();
    hdfs.data_node.wait_ready();
    assert_ne!(done.code, 0);
    assert!(done.stderr.contains("/user/nina"), "{}", said(&done));
    println!("row 19: no DataNode: refused after {:?}: {}", done.took, said(&done));
    for (user, lab) in [("quinn", &quinn), ("nina", &nina)] {
        let files = hdfs.list(&format!("/user/{user}/.kobel/apps"));
        assert!(files.is_empty(), "{files:?}");
        lab.no_process_left();
    }
}

fn forbidden(cluster: &Cluster, flink: &Flink) {
    let (eve, hdfs) = (cluster.lab("eve", "denied", flink), cluster.hdfs());
    hdfs.chown("/user/eve", &hdfs.superuser);
    let done = eve.kobel(&start_with(&["--tm", "0"])).expect(6);
    assert!(done.stderr.contains("/user/eve"), "{}", said(&done));
    println!("row 25: no right to the home directory: refused after {:?}: {}", done.took, said(&done));
    assert!(done.took < Duration::from_secs(10), "{:?}", done.took);
    eve.no_process_left();
}
