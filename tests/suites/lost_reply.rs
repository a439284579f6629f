//! A reply that the network drops: the job ran, so it is found again and not run twice.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use kobel_flink::{FlinkRest, rest::JobState};
use kobel_kit::{Lab, example_jar, on_each_flink};
use kobel_session::job::{self, JobRequest, Outcome, Stage, Target};

/// Passes connections on to `upstream`; the reply to a request that runs a jar it drops, and the
/// connection with it.
fn dropping_proxy(upstream: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let server = TcpStream::connect(upstream).unwrap();
            thread::spawn(move || pass_on(client, server));
        }
    });
    address
}

fn pass_on(mut client: TcpStream, mut server: TcpStream) {
    let runs = Arc::new(AtomicBool::new(false));
    let (mut to, mut from) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let runs_a_jar = Arc::clone(&runs);
    thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(n @ 1..) = from.read(&mut buffer) {
            let head = String::from_utf8_lossy(&buffer[..n]);
            if head.starts_with("POST /jars/") && head.contains("/run ") {
                runs_a_jar.store(true, Ordering::SeqCst);
            }
            if to.write_all(&buffer[..n]).is_err() {
                break;
            }
        }
    });
    let mut buffer = vec![0; 64 << 10];
    while let Ok(n @ 1..) = server.read(&mut buffer) {
        if runs.load(Ordering::SeqCst) || client.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
}

on_each_flink! {
    fn a_job_whose_reply_is_lost_is_found_and_runs_once(flink: Flink) {
        let lab = Lab::with_flink("lost", &flink);
        let status = lab.kobel(&["start", "-o", "json"]).ok().json();
        let url = status["restUrl"].as_str().unwrap();
        let port = url.rsplit(':').next().unwrap().trim_end_matches('/').parse().unwrap();
        let proxy = dropping_proxy(SocketAddr::from(([127, 0, 0, 1], port)));
        let request = JobRequest {
            jar: example_jar(&flink),
            class: Some("org.apache.flink.streaming.examples.wordcount.WordCount".into()),
            ..JobRequest::default()
        };
        let id = job::random_job_id().unwrap();

        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut settled = false;
            let at = |url: &str| Target {
                rest: FlinkRest::new(url).unwrap(),
                log_dir: lab.path("none"),
                agent: None,
            };
            let lossy = at(&format!("http://{proxy}"));
            let on_stage = &mut |stage: Stage| settled |= matches!(stage, Stage::Settling);
            let outcome = job::submit(&lossy, id, &request, on_stage).await.unwrap();
            assert_eq!(outcome, Outcome::Submitted(id));
            assert!(settled, "the reply was lost, or this test shows nothing");

            let target = at(url);
            let ended = job::follow(&target, id, None, &mut |_| {}).await.unwrap();
            assert_eq!(ended.state, JobState::Finished);
            assert_eq!(job::list(&target.rest).await.unwrap().len(), 1, "it ran once");
        });
        lab.kobel(&["stop"]).ok();
        lab.no_process_left();
    }
}
