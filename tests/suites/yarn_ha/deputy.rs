//! The master's node dies, or the master hangs: the deputy beside the standby has YARN start another.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use kobel_flink::ha::{Access, ClusterRoot, HaClient, LeaderNode, Quorum};
use kobel_kit::{Flink, hadoop::Daemon, http, wait};
use kobel_tests::Endless;
use serde_json::Value;

use super::{SOON, Session, cluster, signal_to as signal, standbys::znodes};

/// ZooKeeper's sessions last so long, and a master may be silent for [`SILENCE`] then.
const SESSION: &str = "high-availability.zookeeper.client.session-timeout=4 s";
const SILENCE: Duration = Duration::from_secs(10);

pub(super) fn lives(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
}

impl Session<'_> {
    pub(super) fn master(&self) -> i32 {
        let all = self.processes("./kobel am");
        assert_eq!(all.len(), 1, "{all:?}");
        all[0]
    }

    /// The daemon of the node that this process runs on.
    pub(super) fn node_of(&self, pid: i32) -> &Daemon {
        let dir = fs::read_link(format!("/proc/{pid}/cwd")).expect("a container");
        let mut nodes = self.cluster.yarn().node_managers.iter();
        nodes.find(|node| dir.starts_with(node.dir())).expect("a node")
    }

    /// Where the leader's REST API is, as ZooKeeper has it: a master that is frozen forwards nothing.
    pub(super) fn leader(&self) -> Option<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let ask = async {
            let quorum = Quorum::parse(&self.cluster.zookeeper().address).expect("a quorum");
            let root = ClusterRoot::new(&quorum, "/flink", &self.application).expect("a place in it");
            let deadline = Duration::from_secs(5);
            let client = HaClient::connect(&quorum, &Access::default(), deadline, deadline).await.ok()?;
            match client.leader(&root).await.ok()? {
                LeaderNode::Known { info, .. } => Some(info.address),
                _ => None,
            }
        };
        runtime.block_on(ask)
    }

    /// Asks the leader itself, until the job runs there and has completed a checkpoint above this one.
    #[track_caller]
    pub(super) fn runs_at(&self, leader: &str, checkpoint: u64) {
        let get = |path: &str| -> Result<Value, String> {
            let reply = http::get(&format!("{leader}/jobs/{}{path}", self.job))?;
            serde_json::from_str(&reply.body).map_err(|error| format!("{error}: {}", reply.body))
        };
        wait::until("the job runs there", SOON, || {
            let (job, checkpoints) = (get("")?, get("/checkpoints")?);
            match checkpoints["latest"]["completed"]["id"].as_u64() {
                Some(newest) if job["state"] == "RUNNING" && newest > checkpoint => Ok(()),
                newest => Err(format!("{} at {newest:?}", job["state"])),
            }
        });
    }

    /// Waits until a deputy tells that it had this attempt failed.
    #[track_caller]
    pub(super) fn failed_by_deputy(&self, attempt: u32) {
        let line = format!("YARN starts another attempt={}_{attempt:06}", self.attempts());
        wait::until("a deputy acts", SOON, || {
            let told = self.deputies();
            if told.contains(&line) { Ok(()) } else { Err(told) }
        });
    }

    /// What all deputies have logged.
    fn deputies(&self) -> String {
        let nodes = self.cluster.yarn().node_managers.iter().map(Daemon::dir);
        let logs = nodes.flat_map(|dir| entries(&dir.join("logs").join(&self.application)));
        logs.filter_map(|container| fs::read_to_string(container.join("deputy.log")).ok()).collect()
    }

    /// The beginning of the names of its attempts.
    fn attempts(&self) -> String {
        self.application.replace("application_", "appattempt_")
    }

    /// Waits until YARN counts one container of each: the master, the standby, two TaskManagers.
    #[track_caller]
    pub(super) fn no_container_is_lost(&self) {
        let path = format!("/apps/{}", self.application);
        wait::until("YARN has let the old master's container go", SOON, || {
            match self.cluster.yarn().get(&path)?["app"]["runningContainers"].as_u64() {
                Some(4) => Ok(()),
                other => Err(format!("{other:?} containers")),
            }
        });
    }

    /// The processes that nothing here may touch: the standby that leads and every TaskManager.
    pub(super) fn kept(&self) -> Vec<i32> {
        let mut kept = self.processes("TaskManagerRunner");
        kept.push(self.job_manager("jm-1"));
        kept
    }
}

fn entries(dir: &Path) -> Vec<std::path::PathBuf> {
    fs::read_dir(dir).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect()
}

#[test]
fn a_master_that_is_lost_is_replaced_at_once() {
    let (Some(flink), Some((cluster, _one))) = (Flink::v1(), cluster()) else { return };
    let session = Session::start(&cluster, &flink, &["--masters", "2", "-D", SESSION]);
    session.led_by("jm-0");
    session.both_stand();
    node_of_the_leader_dies(&session);
    node_of_the_master_stands_still(&session);
    println!("{}", session.events());
    session.lab.kobel(&["stop", "ha"]).ok();
    cluster.no_container_left();
    session.lab.no_process_left();
    assert_eq!(znodes(&cluster.zookeeper().address, "/flink"), Vec::<String>::new());
}

/// Row 8. Of the node where the first JobManager leads all stands still that would be missed, and never comes back.
fn node_of_the_leader_dies(session: &Session<'_>) {
    let (master, leader, kept) = (session.master(), session.job_manager("jm-0"), session.kept());
    assert_eq!(kept.len(), 3);
    let (checkpoint, led) = (session.checkpoint().unwrap(), session.leader().expect("a leader"));
    let node = session.node_of(master);
    node.pause();
    signal("STOP", master);
    signal("STOP", leader);
    let since = Instant::now();
    let next = wait::until("another one leads", SOON, || match session.leader() {
        Some(next) if next != led => Ok(next),
        other => Err(format!("{other:?}")),
    });
    let elected = since.elapsed();
    session.runs_at(&next, checkpoint);
    println!(
        "row 8: the first master's node is gone: jm-1 leads after {elected:.1?} (session timeout: 4 s), \
         job RUNNING with a new checkpoint after {:.1?}",
        since.elapsed()
    );
    next_master_comes(session, "row 8", 1, master, since);
    assert!(lives(master) && lives(leader), "nothing could end them");
    assert_eq!(session.kept(), kept, "the same processes");
    signal("KILL", master);
    signal("KILL", leader);
    node.resume();
}

/// The node of a master stands still whose own JobManager does not lead. The job never stops, also when it wakes.
fn node_of_the_master_stands_still(session: &Session<'_>) {
    session.both_stand();
    let (master, standby, kept) = (session.master(), session.job_manager("jm-0"), session.kept());
    let timestamps = session.timestamps();
    // It could end the master, in whose place that shall do it itself.
    let node = session.node_of(master);
    node.pause();
    signal("STOP", master);
    signal("STOP", standby);
    next_master_comes(session, "jm-1 leads", 2, master, Instant::now());
    assert!(lives(master) && lives(standby));

    signal("CONT", master);
    signal("CONT", standby);
    let woken = Instant::now();
    wait::until("it ends itself and its JobManager", SOON, || match (lives(master), lives(standby)) {
        (false, false) => Ok(()),
        state => Err(format!("{state:?}")),
    });
    println!(
        "jm-1 leads: the old master woke, and was gone {:.1?} later, with its JobManager",
        woken.elapsed()
    );
    node.resume();
    session.led_by("jm-1");
    session.both_stand();
    assert_eq!(session.kept(), kept, "the same processes");
    assert_eq!(session.timestamps(), timestamps, "the job was never restarted");
}

/// A deputy has this attempt failed, and the next one takes over all that is left.
fn next_master_comes(session: &Session<'_>, row: &str, attempt: u32, former: i32, since: Instant) {
    session.failed_by_deputy(attempt);
    let failed = since.elapsed();
    assert!(failed >= SILENCE, "{failed:?}");
    wait::until("the next master runs", SOON, || {
        let all = session.processes("./kobel am");
        if all.iter().any(|pid| *pid != former) { Ok(()) } else { Err(format!("{all:?}")) }
    });
    session.led_by("jm-1");
    println!(
        "{row}: the deputy had YARN fail the master after {failed:.1?}, the next one is in charge after {:.1?}",
        since.elapsed()
    );
    session.no_container_is_lost();
}
