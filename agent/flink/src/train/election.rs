//! High availability for a training, so that the archives know ZooKeeper's client, too: an election of one, in a
//! ZooKeeper of its own, of nobody else's.

use std::{io, path::Path};

use kobel_conf::ha::{STORAGE_KEY, TYPE_KEYS};
use kobel_plan::{ClusterPlan, HaPlan, ZooKeeper};

use super::UNFINISHED;
use crate::ha::ClusterRoot;

const ROOT: &str = "/kobel";
const CLUSTER: &str = "train";
/// For how long ZooKeeper is asked to keep a session, in milliseconds: nobody waits for its end.
const SESSION_MS: u64 = 40_000;
/// The first checkpoint of the training's job is not to be waited for.
const CHECKPOINTS: (&str, &str) = ("execution.checkpointing.interval", "100ms");

/// The plan with a ZooKeeper whose data lie in `dir`, as do Flink's files unless there is an `output` that goes by
/// itself. A JobManager in training must not stand for election in the cluster whose plan it is.
pub(super) fn of_its_own(plan: &ClusterPlan, dir: &Path, output: Option<&str>) -> io::Result<ClusterPlan> {
    let place = tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(dir)?.keep();
    let storage = match output {
        Some(url) => format!("{url}-ha"),
        None => format!("file://{}", place.join("ha").display()),
    };
    let mut plan = plan.clone();
    plan.conf.retain(|key, _| !key.starts_with("high-availability"));
    let keys = [
        (TYPE_KEYS[0], "zookeeper"),
        (STORAGE_KEY, &storage),
        (ClusterRoot::ROOT_KEY, ROOT),
        (ClusterRoot::ID_KEY, CLUSTER),
        CHECKPOINTS,
    ];
    plan.conf.extend(keys.map(|(key, value)| (key.into(), value.into())));
    plan.ha = Some(HaPlan {
        zookeeper: ZooKeeper::Embedded(place.join("zookeeper")),
        root: ROOT.into(),
        cluster_id: CLUSTER.into(),
        storage_dir: storage,
        session_timeout_ms: SESSION_MS,
        silence_ms: SESSION_MS,
        keep: false,
        web_ports: Vec::new(),
    });
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::tests::plan;

    #[test]
    fn a_training_takes_part_in_no_election_but_its_own() {
        let mut theirs = plan();
        for (key, value) in [("quorum", "zk1:2181"), ("client.acl", "creator"), ("path.root", "/theirs")] {
            theirs.conf.insert(format!("high-availability.zookeeper.{key}"), value.into());
        }
        let dir = tempfile::tempdir().unwrap();
        for output in [None, Some("hdfs://nn/app/rehearsal")] {
            let own = of_its_own(&theirs, dir.path(), output).unwrap();
            let keys: Vec<_> = own.conf.keys().filter(|key| key.starts_with("high-availability")).collect();
            let expected = ["cluster-id", "storageDir", "type", "zookeeper.path.root"];
            assert_eq!(
                keys,
                expected.map(|key| format!("high-availability.{key}")).iter().collect::<Vec<_>>()
            );
            assert_eq!(own.conf[ClusterRoot::ROOT_KEY], ROOT);
            let storage = own.conf[STORAGE_KEY].as_str();
            match output {
                Some(_) => assert_eq!(storage, "hdfs://nn/app/rehearsal-ha"),
                None => {
                    assert!(storage.starts_with(&format!("file://{}", dir.path().display())), "{storage}")
                }
            }
            let Some(ZooKeeper::Embedded(data)) = own.ha.map(|ha| ha.zookeeper) else {
                panic!("not its own")
            };
            let name = data.strip_prefix(dir.path()).unwrap().to_string_lossy().into_owned();
            assert!(name.starts_with(UNFINISHED), "{name} is not swept");
        }
    }
}
