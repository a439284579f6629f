//! What one user has uploaded serves another who trusts them, and nobody else.

use std::collections::BTreeSet;

use kobel_kit::{Flink, Lab, hadoop::Cluster};

use super::{USER, Yarn, start};

const OTHER: &str = "bob";

/// The names of contents in a user's staging directory.
fn blobs(cluster: &Cluster, user: &str) -> BTreeSet<String> {
    let dir = format!("/user/{user}/.kobel/blobs");
    let hdfs = cluster.hdfs();
    let names = hdfs.status(&dir).map_or_else(Vec::new, |_| hdfs.list(&dir));
    names.iter().filter_map(|file| file["pathSuffix"].as_str()).map(String::from).collect()
}

fn started_and_stopped(lab: &Lab) {
    start(lab, &["--tm", "0"]).ok();
    lab.kobel(&["stop", "wc"]).ok();
}

#[test]
fn contents_of_another_user_are_used_where_they_are_trusted() {
    let (Some(flink), Some(yarn)) = (Flink::v1(), Yarn::get()) else { return };
    let ann = yarn.lab("yarn-shares", &flink);
    started_and_stopped(&ann);
    let hers = blobs(&yarn.cluster, USER);
    assert!(hers.len() >= 2, "Flink and kobel: {hers:?}");

    let mut bob = yarn.lab_of(OTHER, "yarn-shared", &flink);
    bob.env("KOBEL_STAGING_SHARED", &format!("/user/{USER}/.kobel"));
    bob.env("KOBEL_STAGING_TRUSTED_OWNERS", USER);
    started_and_stopped(&bob);
    assert_eq!(blobs(&yarn.cluster, OTHER), BTreeSet::new(), "nothing is uploaded again");

    bob.env("KOBEL_STAGING_TRUSTED_OWNERS", "carol");
    started_and_stopped(&bob);
    let his = blobs(&yarn.cluster, OTHER);
    assert_eq!(his.intersection(&hers).count(), 2, "uploaded anew: {his:?} beside {hers:?}");
    yarn.nothing_left(&ann);
    bob.no_process_left();
}
