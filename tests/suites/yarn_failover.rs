//! Several ResourceManagers, of which the active one dies: row 11 of section 2 of reference/reliability.md.

use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};

use kobel_kit::{
    Flink, Lab,
    hadoop::{Cluster, Hadoop, Setup},
    wait,
};
use serde_json::Value;

const USER: &str = "ann";
/// Longer than YARN takes for anything here.
const PROMPT: Duration = Duration::from_secs(90);
/// What the row allows until YARN and the session have found each other again.
const ALLOWED: Duration = Duration::from_secs(15);

fn status(lab: &Lab) -> Value {
    lab.kobel(&["status", "wc", "-o", "json"]).json()
}

/// The JVMs of Flink in the cluster's containers.
fn jvms(cluster: &Cluster) -> BTreeSet<i32> {
    let is_flink = |line: &str| line.contains("org.apache.flink.runtime");
    cluster.containers().into_iter().filter(|(_, line)| is_flink(line)).map(|(pid, _)| pid).collect()
}

#[test]
fn a_session_goes_on_when_another_resource_manager_takes_over() {
    let (Some(flink), Some(hadoop)) = (Flink::v1(), Hadoop::from_env()) else { return };
    let cluster = Cluster::start(&hadoop, Setup::yarn().resource_managers(2));
    let lab = cluster.lab(USER, "yarn-failover", &flink);
    lab.kobel(&["start", "wc", "--on", "yarn", "--tm", "1", "--jm-mem", "1g", "--tm-mem", "800m"]).ok();
    let (before, running) = (status(&lab), jvms(&cluster));
    assert_eq!(running.len(), 2, "{:?}", cluster.containers());

    let since = Instant::now();
    cluster.yarn().active().expect("an active one").kill9();
    wait::until("another one is active", PROMPT, || {
        cluster.yarn().active().map(|_| ()).ok_or_else(|| "none".into())
    });
    let elected = since.elapsed();
    wait::until("the session's master is known to it", PROMPT, || {
        let now = status(&lab);
        if now["state"] == "Ready" { Ok(()) } else { Err(now.to_string()) }
    });
    let whole = since.elapsed();
    wait::until("the session gets what it asks for", PROMPT, || {
        let scaled = lab.kobel(&["scale", "wc", "--tm", "2"]);
        if scaled.code == 0 { Ok(()) } else { Err(scaled.stderr) }
    });
    println!(
        "row 11: YARN had elected another ResourceManager after {elected:.1?}, the session was whole again \
         after {whole:.1?} (allowed: {ALLOWED:?}), with 0 restarts; it had one more TaskManager from it after {:.1?}",
        since.elapsed()
    );
    let after = status(&lab);
    assert_eq!((after["state"].as_str(), after["failovers"].as_u64()), (Some("Ready"), Some(0)), "{after}");
    assert_eq!(after["restUrl"], before["restUrl"]);
    assert!(jvms(&cluster).is_superset(&running), "the same processes: {running:?}, {:?}", jvms(&cluster));

    // The first one is still dead; RPC goes on to the next as REST does.
    let record = lab.cluster_dir("wc").join("yarn.json");
    let text = fs::read_to_string(&record).unwrap();
    fs::write(&record, text.replace("\"api\": \"auto\"", "\"api\": \"rpc\"")).unwrap();
    assert_eq!(status(&lab)["state"], "Ready");
    lab.kobel(&["stop", "wc"]).ok();
    assert_eq!(status(&lab)["reason"], "stopped by `kobel stop`");
    cluster.no_container_left();
    lab.no_process_left();
    // How long YARN takes is its own matter, and the machine's.
    assert!(whole - elected <= ALLOWED, "{whole:?}");
}
