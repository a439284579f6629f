//! The cluster's address is taken by somebody else while the agent is dead.

use std::net::TcpListener;

use kobel_kit::{Flink, Lab, http};

use super::{jvms, kill_9, pid, ready, sorted, told};

#[test]
fn a_front_whose_port_was_taken_is_elsewhere_and_that_is_told() {
    let Some(flink) = Flink::v1() else { return };
    let lab = Lab::with_flink("front", &flink);
    // Pinned, so that it is not given up for the mere liking of another.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    lab.kobel(&["start", "-D", &format!("rest.port={port}")]).ok();
    let before = ready(&lab);
    assert_eq!(before["restUrl"], format!("http://localhost:{port}"));

    kill_9(pid(&before["agent"]));
    let thief = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let after = ready(&lab);
    assert_eq!((told(&after), jvms(&lab)), (told(&before), sorted(told(&before))));
    let moved = after["restUrl"].as_str().unwrap().to_string();
    assert_ne!(after["restUrl"], before["restUrl"]);
    assert_eq!(http::get(&format!("{moved}/overview")).unwrap().status, 200);
    let events = lab.kobel(&["events", "default"]).ok().stdout;
    let told_so = format!("port {port} was taken by another process: the cluster's address is now {moved}");
    assert!(events.contains(&told_so), "{events}");
    lab.kobel(&["job", "list"]).ok();

    // One move is enough: the next agent keeps to what people know by now.
    drop(thief);
    kill_9(pid(&after["agent"]));
    assert_eq!(ready(&lab)["restUrl"], moved);
    println!("the front's pinned port was taken: same processes, another address, told");
    lab.kobel(&["stop"]).ok();
    lab.no_process_left();
}
