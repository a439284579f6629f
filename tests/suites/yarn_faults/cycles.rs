//! Row 41: a cluster ends, and nothing of it is left.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use kobel_kit::{Flink, hadoop::Cluster};

use super::{USER, lab, nothing_left, shared, start_with};

/// How often; the variable is for a long run.
const CYCLES: &str = "KOBEL_TEST_CYCLES";

/// So many cycles, unless the variable says otherwise.
pub(super) fn cycles(usual: usize) -> usize {
    std::env::var(CYCLES).ok().and_then(|count| count.parse().ok()).unwrap_or(usual)
}

#[test]
fn nothing_is_left_of_clusters_that_are_stopped_and_killed() {
    let (Some(flink), Some((_turn, cluster))) = (Flink::v1(), shared()) else { return };
    let lab = lab(&cluster, "cycles", &flink);
    let cycles = cycles(4);
    // What all sessions share is there after the first.
    let mut before = None;
    let mut slowest = Duration::ZERO;
    for cycle in 0..cycles {
        lab.kobel(&start_with(&["--tm", "1"])).ok();
        let verb = ["stop", "kill"][cycle % 2];
        slowest = slowest.max(lab.kobel(&[verb, "wc"]).ok().took);
        nothing_left(&cluster, &lab);
        let now = everything(&cluster);
        let former = before.get_or_insert_with(|| now.clone());
        let more: Vec<_> = now.difference(former).collect();
        assert!(more.is_empty(), "cycle {cycle}: {more:?}");
    }
    println!("row 41: {cycles} cycles of start, and stop or kill: 0 leftovers, ended within {slowest:?}");
}

/// What could grow: files of ours on HDFS but leases, which are an application's each, and temporary ones
/// on this machine.
fn everything(cluster: &Cluster) -> BTreeSet<String> {
    let hdfs = cluster.hdfs();
    let base = format!("/user/{USER}/.kobel");
    let below = |dir: &str| {
        let path = format!("{base}/{dir}");
        let found = hdfs.status(&path).map_or_else(Vec::new, |_| hdfs.list(&path));
        found.into_iter().map(move |entry| format!("{path}/{}", entry["pathSuffix"])).collect::<Vec<_>>()
    };
    let nodes = cluster.yarn().node_managers.iter().map(|node| node.dir().join("tmp"));
    let temporary = nodes.chain([std::env::temp_dir()]).flat_map(|dir| entries(&dir));
    // Those of tests that run at the same time.
    let ours = temporary.filter(|name| name.contains("flink") || name.contains("kobel-am"));
    below("blobs").into_iter().chain(below("apps")).chain(ours).collect()
}

fn entries(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.path().display().to_string()).collect()
}
