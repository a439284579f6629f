//! Rows 6 and 9: YARN's daemons are killed under a session.

use std::time::Instant;

use kobel_kit::{Flink, wait};

use super::{SOON, Session, lab, shared};

#[test]
fn a_session_does_not_notice_that_daemons_of_yarn_are_killed() {
    let (Some(flink), Some((_turn, cluster))) = (Flink::v1(), shared()) else { return };
    let lab = lab(&cluster, "daemons", &flink);
    let session = Session::start(&cluster, &lab, &["--tm", "2"]);
    node_managers_killed(&session);
    resource_manager_killed_while_containers_are_pending(&session);
    session.stop();
}

/// All the processes of a session.
fn all(session: &Session<'_>) -> (i32, i32, Vec<i32>) {
    (session.agent(), session.jm(), session.tms())
}

fn node_managers_killed(session: &Session<'_>) {
    session.ready(2);
    let (before, yarn) = (all(session), session.cluster.yarn());
    let since = Instant::now();
    yarn.node_managers.iter().for_each(|node| node.kill9());
    yarn.node_managers.iter().for_each(|node| node.start());
    yarn.node_managers.iter().for_each(|node| node.wait_ready());
    let away = since.elapsed();
    wait::until("the nodes have told of their containers", SOON, || match session.held() {
        3 => Ok(()),
        held => Err(format!("{held} containers")),
    });
    session.ready(2);
    assert_eq!(all(session), before);
    println!("row 6: NodeManagers with recovery killed and back after {away:?}, 0 restarts");
}

fn resource_manager_killed_while_containers_are_pending(session: &Session<'_>) {
    let (before, yarn) = (all(session), session.cluster.yarn());
    yarn.node_managers.iter().for_each(|node| node.pause());
    let scaling = session.lab.spawn_kobel(&["scale", "wc", "--tm", "4"]);
    pending(session, 2);
    yarn.resource_manager.kill9();
    yarn.node_managers.iter().for_each(|node| node.resume());
    let told = session.status();
    assert_eq!(told["restUrl"].as_str().map(|url| url.starts_with("http")), Some(true), "{told}");
    assert_eq!(told["agent"]["pid"], before.0, "the master answers for itself: {told}");
    yarn.resource_manager.start();
    yarn.resource_manager.wait_ready();
    let since = Instant::now();
    session.ready(4);
    let filled = since.elapsed();
    scaling.wait().ok();
    let (agent, jm, tms) = all(session);
    assert_eq!((agent, jm), (before.0, before.1));
    assert!(before.2.iter().all(|pid| tms.contains(pid)), "the former TaskManagers are the same");
    assert_eq!(session.held(), 5, "exactly as many as are wanted");
    println!(
        "row 9: ResourceManager killed with 2 containers pending: filled {filled:?} after it is back, 0 restarts"
    );
}

/// Containers that YARN has been asked for and has not given.
fn waiting(session: &Session<'_>) -> i64 {
    let metrics = session.cluster.yarn().get("/metrics").unwrap_or_default();
    metrics["clusterMetrics"]["containersPending"].as_i64().unwrap_or(-1)
}

pub(super) fn pending(session: &Session<'_>, count: i64) {
    wait::until("the ResourceManager knows of them", SOON, || match waiting(session) {
        now if now == count => Ok(()),
        now => Err(format!("{now} pending")),
    });
}
