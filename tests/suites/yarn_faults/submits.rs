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

use kobel_kit::{Flink, Lab, Running, compile_job, example_jar, hadoop::Cluster, http, wait};

use super::{SIZES, SOON, lab, nothing_left, said, shared, staged, start_with};

const WORD_COUNT: &str = "org.apache.flink.streaming.examples.wordcount.WordCount";

/// What a submit has come to when it is cut.
const STEPS: [&str; 5] =
    ["has claimed its name", "has written its id", "uploads", "has submitted", "has a master"];

/// What is submitted.
#[derive(Clone, Copy)]
enum Kind {
    Session,
    PerJob,
}

/// The arguments that start a cluster, and how often its program has run.
struct Submit<'a> {
    kind: Kind,
    lab: &'a Lab,
    flink: &'a Flink,
}

impl<'a> Submit<'a> {
    fn new(kind: Kind, lab: &'a Lab, flink: &'a Flink) -> Self {
        lab.file("in.txt", "once\n");
        Self { kind, lab, flink }
    }

    /// A job is one that writes down each time it runs.
    fn args(&self) -> Vec<String> {
        let all = |args: &[&str]| args.iter().map(ToString::to_string).collect();
        let Kind::PerJob = self.kind else { return all(&start_with(&["--tm", "0"])) };
        let run = ["run", "--per-job", "-d", "--cluster", "wc", "--on", "yarn"];
        let (jar, input) = (example_jar(self.flink), self.lab.path("in.txt"));
        let [jar, input, output] =
            [jar, input, self.lab.path("counts")].map(|path| path.display().to_string());
        let program = ["-c", WORD_COUNT, &jar, "--input", &input, "--output", &output];
        all(&[&run[..], &SIZES, &program].concat())
    }

    fn spawn(&self) -> Running {
        let args = self.args();
        self.lab.spawn_kobel(&args.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Brings one that was submitted to its end: nobody has to end what ends with its job.
    fn ends(&self) {
        match self.kind {
            Kind::Session => self.lab.kobel(&["kill", "wc"]).ok(),
            Kind::PerJob => self.lab.kobel(&["wait", "wc", "--for", "stopped", "--timeout", "90s"]).ok(),
        };
    }

    /// How often the job has come to its end since last asked.
    fn runs(&self) -> usize {
        let files = self.lab.files("counts").into_iter();
        let runs = files.map(|file| fs::read_to_string(file).unwrap().matches("(once,1)").count()).sum();
        let _ = fs::remove_dir_all(self.lab.path("counts"));
        runs
    }
}

/// Waits until a submit in this lab has come so far.
fn until_it(step: &str, cluster: &Cluster, lab: &Lab) {
    let dir = lab.cluster_dir("wc");
    wait::until(step, SOON, || {
        let reached = match step {
            "has claimed its name" => dir.join("plan.json").exists(),
            "has written its id" => dir.join("yarn.json").exists(),
            "uploads" => !staged(cluster).is_empty(),
            "has submitted" => !cluster.yarn().unfinished().is_empty(),
            _ => cluster.yarn().apps().iter().any(|app| app["state"] == "RUNNING"),
        };
        if reached { Ok(()) } else { Err(format!("{:?}", lab.files("state"))) }
    });
}

#[test]
fn a_submit_that_is_cut_leaves_nothing_that_is_not_found() {
    cut(Kind::Session);
}

#[test]
fn a_job_whose_submit_is_cut_runs_once_or_never() {
    cut(Kind::PerJob);
}

fn cut(kind: Kind) {
    let (Some(flink), Some((_turn, cluster))) = (Flink::v1(), shared()) else { return };
    let lab = lab(&cluster, "cut", &flink);
    let submit = Submit::new(kind, &lab, &flink);
    for step in STEPS {
        lab.kobel(&["rm", "wc"]);
        let starting = submit.spawn();
        until_it(step, &cluster, &lab);
        starting.signal("KILL");
        starting.wait();
        // Submitted, it is a cluster like any other; otherwise it is over, and gc clears up.
        let submitted = !cluster.yarn().unfinished().is_empty();
        if submitted {
            let again = submit.spawn().wait().expect(3);
            assert!(again.stderr.contains("wc exists already"), "{}", said(&again));
            submit.ends();
        } else {
            let state = lab.kobel(&["status", "wc", "-o", "json"]).json()["state"].clone();
            assert_eq!(state, "Failed", "{step}");
            lab.kobel(&["gc"]).ok();
        }
        nothing_left(&cluster, &lab);
        let job = matches!(kind, Kind::PerJob);
        assert_eq!(submit.runs(), usize::from(job && submitted), "{step}");
    }
    println!("row 21: kill -9 at {} steps of a submit: 0 orphans after gc, never 2 clusters", STEPS.len());
    let mut slowest = Duration::ZERO;
    for (step, (signal, code)) in STEPS.iter().zip([("TERM", 143), ("INT", 130)].into_iter().cycle()) {
        // What it wrote last time would look like a step reached.
        lab.kobel(&["rm", "wc"]);
        let starting = submit.spawn();
        until_it(step, &cluster, &lab);
        let since = Instant::now();
        starting.signal(signal);
        starting.wait().expect(code);
        slowest = slowest.max(since.elapsed());
        nothing_left(&cluster, &lab);
        assert_eq!(submit.runs(), 0, "{step}");
    }
    println!("row 22: SIGTERM and SIGINT at {} steps: taken back within {slowest:?}", STEPS.len());
}

#[test]
fn one_name_is_one_application() {
    one_name(Kind::Session);
}

#[test]
fn one_name_is_one_cluster_of_one_job() {
    one_name(Kind::PerJob);
}

fn one_name(kind: Kind) {
    let (Some(flink), Some((_turn, cluster))) = (Flink::v1(), shared()) else { return };
    let mut lab = lab(&cluster, "double", &flink);
    let job = usize::from(matches!(kind, Kind::PerJob));
    let submit = Submit::new(kind, &lab, &flink);
    let before = cluster.yarn().apps().len();
    let all: Vec<_> = (0..20).map(|_| submit.spawn()).collect();
    let done: Vec<_> = all.into_iter().map(|start| start.wait()).collect();
    let (won, lost): (Vec<_>, Vec<_>) = done.iter().partition(|done| done.code == 0);
    assert_eq!(won.len(), 1, "{done:?}");
    assert!(lost.iter().all(|done| done.code == 3 && done.stderr.contains("wc exists already")), "{lost:?}");
    assert_eq!(cluster.yarn().apps().len(), before + 1);
    submit.ends();
    assert_eq!(submit.runs(), job);
    println!("row 23: 20 starts of one name at once: 1 application");

    let proxy = ReplyLost::before(&cluster);
    lab.env("HADOOP_CONF_DIR", proxy.conf_dir(&cluster, &lab).to_str().unwrap());
    let submit = Submit::new(kind, &lab, &flink);
    submit.spawn().wait().ok();
    assert!(proxy.dropped.load(Ordering::SeqCst), "a reply was lost");
    submit.ends();
    assert_eq!(cluster.yarn().apps().len(), before + 2);
    assert_eq!(submit.runs(), job);
    println!("row 24: the reply of a submit lost: 1 application");
    nothing_left(&cluster, &lab);
}

/// Row 22, when the job runs: who starts it leaves it running, and says how to end it.
#[test]
fn a_job_that_runs_is_left_by_who_started_it() {
    let (Some(flink), Some((_turn, cluster))) = (Flink::v1(), shared()) else { return };
    let lab = lab(&cluster, "left", &flink);
    let jar = compile_job(&flink, "SleepingJob", lab.dir());
    let run = ["run", "--per-job", "--cluster", "wc", "--on", "yarn"];
    let running = lab.spawn_kobel(&[&run[..], &SIZES, &[jar.to_str().unwrap()]].concat());
    wait::until("it runs", SOON, || {
        let told = running.stdout();
        if told.contains("Job has been submitted") { Ok(()) } else { Err(running.stderr()) }
    });
    let since = Instant::now();
    running.signal("TERM");
    let left = running.wait().expect(143);
    println!("row 22: SIGTERM when the job runs: left after {:?}", since.elapsed());
    let now = lab.kobel(&["status", "wc", "-o", "json"]).json();
    lab.kobel(&["kill", "wc"]).ok();
    let over = lab.kobel(&["status", "wc", "-o", "json"]).json();
    nothing_left(&cluster, &lab);
    assert_eq!((&over["jobs"]["canceled"], &over["jobs"]["running"]), (&1.into(), &0.into()), "{over}");
    assert!(left.stderr.contains("cancel it with: kobel job cancel"), "{}", left.stderr);
    assert_eq!(now["job"]["state"], "RUNNING", "{now}");
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
