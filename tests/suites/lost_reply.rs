//! A reply that the network drops: what was asked for is found again, and not done twice.

use std::{
    fs,
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use kobel_flink::{
    FlinkRest,
    rest::{JobState, SavepointKind},
};
use kobel_kit::{Lab, compile_job, example_jar, on_each_flink, wait};
use kobel_session::job::{self, JobRequest, Outcome, SavepointRequest, Stage, Target};

/// A call that is cut, the first time it is made.
struct Cut {
    /// What its request line begins with, and has in it.
    call: (&'static str, &'static str),
    /// Whether Flink sees the request.
    is_seen: bool,
    made: AtomicBool,
}

impl Cut {
    fn of(call: (&'static str, &'static str), is_seen: bool) -> Arc<Self> {
        Arc::new(Self { call, is_seen, made: AtomicBool::new(false) })
    }

    /// Whether it is this one that is cut.
    fn hits(&self, request: &[u8]) -> bool {
        let head = String::from_utf8_lossy(request);
        let line = head.lines().next().unwrap_or_default();
        let (begins, has) = self.call;
        line.starts_with(begins) && line.contains(has) && !self.made.swap(true, Ordering::SeqCst)
    }
}

/// Passes connections on to `upstream`; with the call that is cut the connection goes, too.
fn cutting_proxy(upstream: SocketAddr, cut: &Arc<Cut>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let cut = Arc::clone(cut);
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let (server, cut) = (TcpStream::connect(upstream).unwrap(), Arc::clone(&cut));
            thread::spawn(move || pass_on(client, server, cut));
        }
    });
    address
}

fn pass_on(mut client: TcpStream, mut server: TcpStream, cut: Arc<Cut>) {
    let is_cut = Arc::new(AtomicBool::new(false));
    let (mut to, mut from) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let cuts = Arc::clone(&is_cut);
    thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(n @ 1..) = from.read(&mut buffer) {
            if cut.hits(&buffer[..n]) {
                cuts.store(true, Ordering::SeqCst);
                if !cut.is_seen {
                    let _ = to.shutdown(Shutdown::Both);
                    break;
                }
            }
            if to.write_all(&buffer[..n]).is_err() {
                break;
            }
        }
    });
    let mut buffer = vec![0; 64 << 10];
    while let Ok(n @ 1..) = server.read(&mut buffer) {
        if is_cut.load(Ordering::SeqCst) || client.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
}

fn target(lab: &Lab, url: &str) -> Target {
    Target { rest: FlinkRest::new(url).unwrap(), log_dir: lab.path("none"), agent: None }
}

/// The address of the session's front.
fn front(url: &str) -> SocketAddr {
    let port = url.rsplit(':').next().unwrap().trim_end_matches('/').parse().unwrap();
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// A job all of whose tasks run.
fn running_job(lab: &Lab, jar: &str) -> String {
    let run = lab.kobel(&["run", "-d", jar]).ok();
    let id =
        run.stdout.trim().strip_prefix("Job has been submitted with JobID ").expect("its id").to_string();
    wait::until("the job runs", Duration::from_secs(60), || {
        let jobs = lab.kobel(&["job", "list", "-o", "json"]).ok().json();
        let job = jobs.as_array().unwrap().iter().find(|job| job["id"] == id.as_str()).cloned();
        job.filter(|job| job["tasks"] == job["tasksRunning"]).map(drop).ok_or_else(|| jobs.to_string())
    });
    id
}

/// What lies in a directory for savepoints.
fn savepoints(dir: &std::path::Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.join("_metadata").is_file()).map(|path| path.display().to_string()).collect()
}

on_each_flink! {
    fn a_job_whose_reply_is_lost_is_found_and_runs_once(flink: Flink) {
        let lab = Lab::with_flink("lost", &flink);
        let status = lab.kobel(&["start", "-o", "json"]).ok().json();
        let url = status["restUrl"].as_str().unwrap();
        let proxy = cutting_proxy(front(url), &Cut::of(("POST /jars/", "/run "), true));
        let request = JobRequest {
            jar: example_jar(&flink),
            class: Some("org.apache.flink.streaming.examples.wordcount.WordCount".into()),
            ..JobRequest::default()
        };
        let id = job::random_job_id().unwrap();

        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut settled = false;
            let lossy = target(&lab, &format!("http://{proxy}"));
            let on_stage = &mut |stage: Stage| settled |= matches!(stage, Stage::Settling);
            let outcome = job::submit(&lossy, id, &request, on_stage).await.unwrap();
            assert_eq!(outcome, Outcome::Submitted(id));
            assert!(settled, "the reply was lost, or this test shows nothing");

            let target = target(&lab, url);
            let ended = job::follow(&target, id, None, &mut |_| {}).await.unwrap();
            assert_eq!(ended.state, JobState::Finished);
            assert_eq!(job::list(&target.rest).await.unwrap().len(), 1, "it ran once");
        });
        lab.kobel(&["stop"]).ok();
        lab.no_process_left();
    }

    fn a_stop_that_is_cut_anywhere_makes_one_savepoint(flink: Flink) {
        let lab = Lab::with_flink("cut-stop", &flink);
        let jar = compile_job(&flink, "SleepingJob", lab.dir());
        let status = lab.kobel(&["start", "-o", "json"]).ok().json();
        let url = status["restUrl"].as_str().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let calls =
            [("GET", "/checkpoints "), ("POST", "/stop "), ("GET", "/savepoints/"), ("GET", "/execution-result ")];
        for (n, (call, is_seen)) in calls.iter().flat_map(|call| [(*call, false), (*call, true)]).enumerate() {
            let id = running_job(&lab, jar.to_str().unwrap()).parse().unwrap();
            let cut = Cut::of(call, is_seen);
            let lossy = target(&lab, &format!("http://{}", cutting_proxy(front(url), &cut)));
            let dir = lab.path(&format!("savepoints-{n}"));
            let request = SavepointRequest {
                job: id,
                wish: SavepointKind::Stop { drain: false }.into(),
                directory: dir.to_str(),
                within: Duration::from_secs(60),
            };
            let began = std::time::Instant::now();
            let (location, ended) = runtime.block_on(async {
                let location = job::savepoint(&lossy, request).await.unwrap_or_else(|e| panic!("{call:?}: {e}"));
                (location, job::follow(&lossy, id, None, &mut |_| {}).await.unwrap())
            });
            println!("{call:?}, seen by Flink {is_seen}: {:?}", began.elapsed());
            assert!(cut.made.load(Ordering::SeqCst), "{call:?} was cut, or this shows nothing");
            assert_eq!(ended.state, JobState::Finished);
            assert_eq!(savepoints(&dir), [location.trim_start_matches("file:").to_string()], "{call:?}");
        }
        lab.kobel(&["stop"]).ok();
        lab.no_process_left();
    }
}
