//! What is kept of a cluster whose agent's machine forgets it: on YARN, in a history directory on HDFS.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Status;

/// The file [`Kept::FILE`] of a history directory. Beside it lie the timeline ([`Kept::EVENTS`]), what its
/// jobs can be started from ([`Kept::SNAPSHOTS`]), and the last part of each log, under its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// `application_…`, which is no part of the directory's name.
    pub application_id: String,
    /// How the cluster ended.
    pub status: Status,
    /// Each log that is kept, with the length that it had as a whole.
    pub logs: BTreeMap<String, u64>,
}

impl Kept {
    /// Written last: what has it is whole.
    pub const FILE: &'static str = "cluster.json";
    /// The timeline, a [`crate::ClusterEvent`] a line.
    pub const EVENTS: &'static str = "events.jsonl";
    /// What its jobs can be started from, [`crate::Snapshots`].
    pub const SNAPSHOTS: &'static str = "snapshots.json";
    /// So many bytes of each log are kept, its last ones.
    pub const TAIL: u64 = 256 << 10;
}
