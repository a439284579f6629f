//! Keys of former Flinks, from 1.6 on: one table says what became of each.
//!
//! Where Flink itself still reads an old key in every release (a `ConfigOption`'s fallback keys) and
//! kobel takes no decision by it, the key has no row and stays as it is. The rows follow what Flink
//! 1.20.5 and 2.3.0 read, found by asking every `ConfigOption` of their jars for its fallback keys.

use super::{ConfError, Entry, FlinkConf, Note, Release};
use crate::units::MemorySize;

/// What became of a key.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// It has other names now.
    Renamed(&'static [&'static str]),
    /// Its bare numbers were megabytes, and Flink would read bytes now.
    Megabytes,
    /// Some of its values are written otherwise now; compared in lower case.
    Values(&'static [(&'static str, &'static str)]),
    /// Flink has nothing like it any more.
    Gone(&'static str),
}

use Fate::{Gone, Megabytes, Renamed, Values};

/// A key, since when something is otherwise with it, and what. Rows apply in their order, so one can
/// go on where another stopped.
type Row = (&'static str, Release, Fate);

const V1_2: Release = Release { major: 1, minor: 2 };
const V1_5: Release = Release { major: 1, minor: 5 };
const V1_9: Release = Release { major: 1, minor: 9 };
const V1_10: Release = Release { major: 1, minor: 10 };
const V1_15: Release = Release { major: 1, minor: 15 };
const V1_17: Release = Release { major: 1, minor: 17 };
const V2_0: Release = Release { major: 2, minor: 0 };

#[rustfmt::skip]
const ROWS: &[Row] = &[
    // Memory
    ("jobmanager.heap.mb", V1_5, Megabytes),
    ("jobmanager.heap.mb", V1_5, Renamed(&["jobmanager.heap.size"])),
    ("jobmanager.heap.size", V1_5, Megabytes),
    ("jobmanager.heap.size", V2_0, Renamed(&["jobmanager.memory.heap.size"])),
    ("taskmanager.heap.mb", V1_5, Megabytes),
    ("taskmanager.heap.mb", V1_5, Renamed(&["taskmanager.heap.size"])),
    ("taskmanager.heap.size", V1_5, Megabytes),
    ("taskmanager.heap.size", V2_0, Renamed(&["taskmanager.memory.flink.size"])),
    ("taskmanager.memory.size", V1_5, Megabytes),
    ("taskmanager.memory.size", V1_10, Renamed(&["taskmanager.memory.managed.size"])),
    ("taskmanager.memory.fraction", V1_10, Gone("managed memory is sized by taskmanager.memory.managed.fraction, a share of another whole")),
    ("taskmanager.memory.off-heap", V1_10, Gone("managed memory is always off-heap")),
    ("taskmanager.memory.preallocate", V1_10, Gone("managed memory is allocated when it is used")),
    ("taskmanager.network.memory.fraction", V1_10, Renamed(&["taskmanager.memory.network.fraction"])),
    ("taskmanager.network.memory.min", V1_10, Renamed(&["taskmanager.memory.network.min"])),
    ("taskmanager.network.memory.max", V1_10, Renamed(&["taskmanager.memory.network.max"])),
    ("taskmanager.network.numberOfBuffers", V2_0, Gone("network memory is sized by taskmanager.memory.network.min and .max")),
    ("containerized.heap-cutoff-ratio", V1_10, Gone(OVERHEAD)),
    ("containerized.heap-cutoff-min", V1_10, Gone(OVERHEAD)),
    ("yarn.heap-cutoff-ratio", V1_10, Gone(OVERHEAD)),
    ("yarn.heap-cutoff-min", V1_10, Gone(OVERHEAD)),
    // Web and REST
    ("jobmanager.web.port", V1_5, Renamed(&["rest.port"])),
    ("web.port", V1_5, Renamed(&["rest.port"])),
    ("jobmanager.web.address", V1_5, Renamed(&["rest.bind-address"])),
    ("web.address", V1_5, Renamed(&["rest.bind-address"])),
    ("jobmanager.web.access-control-allow-origin", V1_5, Renamed(&["web.access-control-allow-origin"])),
    ("jobmanager.web.checkpoints.disable", V1_5, Gone("checkpoint statistics are always there")),
    ("jobmanager.web.checkpoints.history", V1_5, Renamed(&["web.checkpoints.history"])),
    ("jobmanager.web.history", V1_5, Renamed(&["web.history"])),
    ("jobmanager.web.log.path", V1_5, Renamed(&["web.log.path"])),
    ("jobmanager.web.refresh-interval", V1_5, Renamed(&["web.refresh-interval"])),
    ("jobmanager.web.submit.enable", V1_5, Renamed(&["web.submit.enable"])),
    ("jobmanager.web.tmpdir", V1_5, Renamed(&["web.tmpdir"])),
    ("jobmanager.web.upload.dir", V1_5, Renamed(&["web.upload.dir"])),
    ("jobmanager.web.ssl.enabled", V1_5, Gone(REST_SSL)),
    ("web.ssl.enabled", V1_5, Gone(REST_SSL)),
    ("security.ssl.enabled", V2_0, Renamed(&["security.ssl.internal.enabled", "security.ssl.rest.enabled"])),
    // Files and state
    ("taskmanager.tmp.dirs", V1_5, Renamed(&["io.tmp.dirs"])),
    ("state.backend", V1_17, Renamed(&["state.backend.type"])),
    ("state.backend.type", V2_0, Values(&[("filesystem", "hashmap"), ("jobmanager", "hashmap")])),
    ("state.backend.async", V2_0, Gone("snapshots are always asynchronous")),
    ("state.backend.fs.checkpointdir", V1_5, Renamed(&["state.checkpoints.dir"])),
    ("savepoints.state.backend.fs.dir", V1_5, Renamed(&["state.savepoints.dir"])),
    ("state.backend.rocksdb.checkpointdir", V1_5, Renamed(&["state.backend.rocksdb.localdir"])),
    ("fs.hdfs.hadoopconf", V2_0, Gone(HADOOP)),
    ("fs.hdfs.hdfsdefault", V2_0, Gone(HADOOP)),
    ("fs.hdfs.hdfssite", V2_0, Gone(HADOOP)),
    // High availability
    ("recovery.mode", V1_2, Renamed(&["high-availability"])),
    ("high-availability", V1_17, Renamed(&["high-availability.type"])),
    ("high-availability.type", V1_17, Values(&[("standalone", "NONE")])),
    ("recovery.zookeeper.quorum", V1_2, Renamed(&["high-availability.zookeeper.quorum"])),
    ("recovery.zookeeper.storageDir", V1_2, Renamed(&["high-availability.zookeeper.storageDir"])),
    ("high-availability.zookeeper.storageDir", V1_5, Renamed(&["high-availability.storageDir"])),
    ("recovery.zookeeper.path.root", V1_2, Renamed(&["high-availability.zookeeper.path.root"])),
    ("recovery.zookeeper.path.namespace", V1_2, Renamed(&["high-availability.zookeeper.path.namespace"])),
    ("high-availability.zookeeper.path.namespace", V1_5, Renamed(&["high-availability.cluster-id"])),
    ("recovery.zookeeper.path.jobgraphs", V1_2, Renamed(&["high-availability.zookeeper.path.jobgraphs"])),
    ("high-availability.zookeeper.path.jobgraphs", V2_0, Renamed(&["high-availability.zookeeper.path.execution-plans"])),
    ("high-availability.zookeeper.path.latch", V1_15, Gone(PATHS)),
    ("high-availability.zookeeper.path.leader", V1_15, Gone(PATHS)),
    ("high-availability.zookeeper.path.checkpoints", V1_15, Gone(PATHS)),
    ("high-availability.zookeeper.path.checkpoint-counter", V1_15, Gone(PATHS)),
    ("high-availability.zookeeper.path.running-registry", V1_15, Gone(PATHS)),
    ("recovery.zookeeper.client.session-timeout", V1_2, Renamed(&["high-availability.zookeeper.client.session-timeout"])),
    ("recovery.zookeeper.client.connection-timeout", V1_2, Renamed(&["high-availability.zookeeper.client.connection-timeout"])),
    ("recovery.zookeeper.client.retry-wait", V1_2, Renamed(&["high-availability.zookeeper.client.retry-wait"])),
    ("recovery.zookeeper.client.max-retry-attempts", V1_2, Renamed(&["high-availability.zookeeper.client.max-retry-attempts"])),
    ("recovery.jobmanager.port", V1_2, Renamed(&["high-availability.jobmanager.port"])),
    ("recovery.job.delay", V1_2, Renamed(&["high-availability.job.delay"])),
    ("high-availability.job.delay", V2_0, Gone("a job starts as soon as its JobManager leads")),
    // Processes
    ("mode", V1_9, Gone("there is only the mode that was called new")),
    ("env.java.opts", V1_17, Renamed(&["env.java.opts.all"])),
    ("slotmanager.taskmanager-timeout", V1_5, Renamed(&["resourcemanager.taskmanager-timeout"])),
    ("akka.watch.heartbeat.interval", V2_0, Gone(WATCH)),
    ("akka.watch.heartbeat.pause", V2_0, Gone(WATCH)),
    ("akka.watch.threshold", V2_0, Gone(WATCH)),
    ("taskmanager.initial-registration-pause", V2_0, Gone(REGISTRATION)),
    ("taskmanager.max-registration-pause", V2_0, Gone(REGISTRATION)),
    ("taskmanager.refused-registration-pause", V2_0, Gone(REGISTRATION)),
    ("cluster.evenly-spread-out-slots", V2_0, Gone("write taskmanager.load-balance.mode: SLOTS")),
];

const OVERHEAD: &str = "what a JVM needs beside Flink is set by *.memory.jvm-overhead.*";
const REST_SSL: &str = "write security.ssl.rest.enabled";
const HADOOP: &str = "Hadoop's configuration is found by HADOOP_CONF_DIR";
const PATHS: &str = "Flink chooses its paths below high-availability.zookeeper.path.root itself";
const WATCH: &str = "heartbeat.interval and heartbeat.timeout do its work";
const REGISTRATION: &str = "registration is paced by cluster.registration.*";

/// Rewrites the keys that Flink of this release no longer reads, or would read otherwise than they
/// were meant, and tells what it did. Also brings keys by which kobel decides to their present names.
pub fn upgrade(conf: &mut FlinkConf, release: Release) -> Result<Vec<Note>, ConfError> {
    let mut notes = Vec::new();
    for (key, _, fate) in ROWS.iter().filter(|(_, since, _)| release >= *since) {
        let Some(entry) = conf.get(key).cloned() else { continue };
        let text = match *fate {
            Renamed(names) => Some(rename(conf, key, names, &entry)),
            Megabytes => megabytes(conf, key, &entry)?,
            Values(pairs) => rewrite(conf, key, pairs, &entry),
            Gone(why) => {
                conf.remove(key);
                Some(format!("ignored, Flink {} has no such key: {why}", release.major))
            }
        };
        notes.extend(text.map(|text| Note { key: (*key).into(), text }));
    }
    Ok(notes)
}

/// As in Flink, the present name wins where both are set.
fn rename(conf: &mut FlinkConf, key: &str, names: &[&str], entry: &Entry) -> String {
    conf.remove(key);
    let (taken, free): (Vec<&str>, Vec<&str>) = names.iter().partition(|name| conf.contains(name));
    for name in &free {
        conf.set(*name, entry.value.clone(), entry.origin.clone());
    }
    if free.is_empty() {
        format!("ignored, {} is set", taken.join(" and "))
    } else {
        format!("is called {} now", free.join(" and "))
    }
}

fn megabytes(conf: &mut FlinkConf, key: &str, entry: &Entry) -> Result<Option<String>, ConfError> {
    let size = MemorySize::parse_bare_mb(&entry.value).map_err(|error| ConfError::Value {
        key: key.into(),
        origin: entry.origin.to_string(),
        what: error.to_string(),
    })?;
    let bare = entry.value.trim().bytes().all(|b| b.is_ascii_digit());
    if !bare {
        return Ok(None);
    }
    conf.set(key, size.to_string(), entry.origin.clone());
    Ok(Some(format!("a number without a unit is read as megabytes: {size}")))
}

fn rewrite(conf: &mut FlinkConf, key: &str, pairs: &[(&str, &str)], entry: &Entry) -> Option<String> {
    let value = entry.value.to_lowercase();
    let (old, new) = pairs.iter().find(|(old, _)| *old == value)?;
    conf.set(key, *new, entry.origin.clone());
    Some(format!("{old} is written {new} now"))
}

#[cfg(test)]
mod tests {
    use super::{super::Origin, *};

    const FLINK_1: Release = Release { major: 1, minor: 20 };
    const FLINK_2: Release = Release { major: 2, minor: 3 };

    /// The configuration after the upgrade as `key: value` lines, and its notes.
    fn upgraded(release: Release, entries: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
        let mut conf = FlinkConf::new();
        for (key, value) in entries {
            conf.set(*key, *value, Origin::Default);
        }
        let notes = upgrade(&mut conf, release).unwrap();
        let lines = conf.iter().map(|(key, entry)| format!("{key}: {}", entry.value)).collect();
        (lines, notes.iter().map(Note::to_string).collect())
    }

    #[test]
    fn bare_heap_sizes_are_megabytes_and_end_where_the_release_reads_them() {
        let old = [("jobmanager.heap.size", "1024"), ("taskmanager.heap.mb", "800")];
        let (conf, notes) = upgraded(FLINK_1, &old);
        assert_eq!(conf, ["jobmanager.heap.size: 1g", "taskmanager.heap.size: 800m"]);
        assert_eq!(notes.len(), 3, "{notes:?}");
        assert!(notes[0].contains("read as megabytes: 1g"), "{notes:?}");
        let (conf, _) = upgraded(FLINK_2, &old);
        assert_eq!(conf, ["jobmanager.memory.heap.size: 1g", "taskmanager.memory.flink.size: 800m"]);
        let (conf, notes) = upgraded(FLINK_1, &[("jobmanager.heap.size", "1024m")]);
        assert_eq!((conf.len(), notes.len()), (1, 0), "a size with a unit stays as it is");
    }

    #[test]
    fn a_heap_size_that_is_none_is_an_error_that_names_key_and_place() {
        let mut conf = FlinkConf::new();
        conf.set("jobmanager.heap.size", "lots", Origin::File { path: "/f".into(), line: Some(3) });
        let error = upgrade(&mut conf, FLINK_1).unwrap_err().to_string();
        assert!(error.starts_with("jobmanager.heap.size (/f:3): "), "{error}");
    }

    #[test]
    fn zookeeper_keys_of_the_first_days_arrive_under_their_present_names() {
        let (conf, _) = upgraded(
            FLINK_1,
            &[
                ("recovery.mode", "zookeeper"),
                ("recovery.zookeeper.quorum", "a:2181"),
                ("recovery.zookeeper.storageDir", "hdfs:///ha"),
                ("recovery.zookeeper.path.namespace", "/one"),
                ("recovery.job.delay", "5 s"),
            ],
        );
        assert_eq!(
            conf,
            [
                "high-availability.cluster-id: /one",
                "high-availability.job.delay: 5 s",
                "high-availability.storageDir: hdfs:///ha",
                "high-availability.type: zookeeper",
                "high-availability.zookeeper.quorum: a:2181",
            ]
        );
        assert_eq!(upgraded(FLINK_1, &[("recovery.mode", "standalone")]).0, ["high-availability.type: NONE"]);
    }

    #[test]
    fn an_old_release_keeps_the_names_it_knows() {
        let release = Release { major: 1, minor: 9 };
        let old = [
            ("env.java.opts", "-ea"),
            ("high-availability", "zookeeper"),
            ("taskmanager.memory.preallocate", "true"),
        ];
        let (conf, notes) = upgraded(release, &old);
        assert_eq!((conf.len(), notes.len()), (3, 0), "{conf:?} {notes:?}");
    }

    #[test]
    fn the_present_name_wins_over_the_old_one() {
        let (conf, notes) = upgraded(FLINK_2, &[("rest.port", "1"), ("jobmanager.web.port", "2")]);
        assert_eq!(conf, ["rest.port: 1"]);
        assert_eq!(notes, ["jobmanager.web.port: ignored, rest.port is set"]);
    }

    #[test]
    fn what_is_gone_is_named_and_removed() {
        let (conf, notes) = upgraded(FLINK_1, &[("taskmanager.memory.preallocate", "false"), ("x.y", "z")]);
        assert_eq!(conf, ["x.y: z"]);
        assert_eq!(notes.len(), 1);
        assert!(notes[0].contains("has no such key"), "{notes:?}");
    }

    #[test]
    fn flink_2_encrypts_what_flink_1_encrypted() {
        let (conf, _) =
            upgraded(FLINK_2, &[("security.ssl.enabled", "true"), ("state.backend", "filesystem")]);
        assert_eq!(
            conf,
            [
                "security.ssl.internal.enabled: true",
                "security.ssl.rest.enabled: true",
                "state.backend.type: hashmap",
            ]
        );
    }

    #[test]
    fn an_upgrade_leaves_nothing_to_upgrade() {
        for release in [FLINK_1, FLINK_2] {
            let mut conf = FlinkConf::new();
            for (key, _, fate) in ROWS {
                let value = if matches!(fate, Megabytes) { "7" } else { "filesystem" };
                conf.set(*key, value, Origin::Default);
            }
            for key in ["heap.size", "heap.mb"]
                .iter()
                .flat_map(|k| [format!("jobmanager.{k}"), format!("taskmanager.{k}")])
            {
                conf.set(key, "7", Origin::Default);
            }
            conf.set("taskmanager.memory.size", "7", Origin::Default);
            upgrade(&mut conf, release).unwrap();
            assert_eq!(upgrade(&mut conf, release).unwrap(), [], "{release:?}");
        }
    }
}
