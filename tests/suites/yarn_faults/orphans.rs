//! Row 7: a NodeManager without recovery forgets its containers, and YARN leaves what runs in them alone. On
//! the same cluster, which is quick to lose patience and to change its keys: a ResourceManager that is silent
//! for too long, and rolls of the keys.

use std::{
    thread,
    time::{Duration, Instant},
};

use kobel_kit::{
    Flink,
    hadoop::{Cluster, Hadoop, Setup, Site},
    wait,
};

use super::{SOON, Session, gone, lab, processes, turn};

/// After this silence YARN takes a master or a node for lost; keys must live three times as long.
const EXPIRY: Duration = Duration::from_secs(8);
const ROLL: &str = "25";

fn setup() -> Setup {
    let roll = |whose: &str| format!("yarn.resourcemanager.{whose}.master-key-rolling-interval-secs");
    Setup::yarn()
        .expiry(EXPIRY)
        .set(Site::Yarn, "yarn.resourcemanager.am.max-attempts", "20")
        .set(Site::Yarn, &roll("am-rm-tokens"), ROLL)
        .set(Site::Yarn, &roll("container-tokens"), ROLL)
        .set(Site::Yarn, &roll("nm-tokens"), ROLL)
}

#[test]
fn who_is_not_in_charge_any_more_goes() {
    let (Some(flink), Some(hadoop)) = (Flink::v1(), Hadoop::from_env()) else { return };
    let _turn = turn();
    let cluster = Cluster::start(&hadoop, setup());
    let lab = lab(&cluster, "orphans", &flink);
    let session = Session::start(&cluster, &lab, &["--tm", "2"]);
    forgotten_by_the_nodes(&session);
    the_resource_manager_is_silent(&session);
    keys_roll(&session);
    session.stop();
}

fn forgotten_by_the_nodes(session: &Session<'_>) {
    let before = session.ready(2);
    let orphans: Vec<i32> = session.cluster.containers().into_iter().map(|(pid, _)| pid).collect();
    let nodes = &session.cluster.yarn().node_managers;
    nodes.iter().for_each(|node| node.kill9());
    assert!(orphans.contains(&session.agent()) && session.tms().len() == 2, "they all live on");
    let since = Instant::now();
    nodes.iter().for_each(|node| node.start());
    nodes.iter().for_each(|node| node.wait_ready());
    let registered = Instant::now();
    gone(session.cluster, &orphans);
    assert!(registered.elapsed() < Duration::from_secs(10), "{:?}", registered.elapsed());
    let orphans_gone = since.elapsed();
    let after = session.ready(2);
    println!(
        "row 7: NodeManagers without recovery killed and started: {} orphans gone after {orphans_gone:?}, ready \
         after {:?}",
        orphans.len(),
        since.elapsed()
    );
    assert_eq!(after["startedAt"], before["startedAt"]);
    assert_eq!(session.held(), 3);
}

/// The master goes before YARN may start another, and its JobManager with it.
fn the_resource_manager_is_silent(session: &Session<'_>) {
    session.ready(2);
    let ours = [session.agent(), session.jm()];
    let manager = &session.cluster.yarn().resource_manager;
    manager.pause();
    let since = Instant::now();
    gone(session.cluster, &ours);
    let silent = since.elapsed();
    manager.resume();
    assert!(silent < EXPIRY, "{silent:?}");
    session.ready(2);
    println!(
        "fencing: a ResourceManager that is silent: the master is gone after {silent:?} of {EXPIRY:?}, ready after {:?}",
        since.elapsed()
    );
}

/// Tokens of before two rolls open nothing any more.
fn keys_roll(session: &Session<'_>) {
    let begun = Instant::now();
    let rolls = |log: &str| log.matches("Rolling master-key for amrm-tokens").count();
    let (log, agent) = (|| session.cluster.yarn().resource_manager.log(), session.agent());
    let so_far = rolls(&log());
    let jm = session.jm();
    while rolls(&log()) < so_far + 2 {
        assert!(begun.elapsed() < 2 * SOON, "keys do not roll");
        assert_eq!(session.agent(), agent, "it is not fenced by a roll");
        thread::sleep(Duration::from_millis(500));
    }
    // The former key is good for a while yet.
    let activated = log().matches("Activating next master key").count();
    wait::until("the new key is used", SOON, || match log().matches("Activating next master key").count() {
        now if now > activated => Ok(()),
        now => Err(format!("{now} activations")),
    });
    session.lab.kobel(&["scale", "wc", "--tm", "3"]).ok();
    session.ready(3);
    assert_eq!((session.agent(), session.jm()), (agent, jm));
    assert_eq!(processes(session.cluster, "kobel am").len(), 1);
    println!(
        "rolls: {} rolls of the keys in {:?}: 0 restarts, scaled up after them",
        rolls(&log()) - so_far,
        begun.elapsed()
    );
}
