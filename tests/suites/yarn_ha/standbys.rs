//! A standby in a container of its own takes over, whoever dies.

use std::{
    thread,
    time::{Duration, Instant},
};

use kobel_kit::{Flink, hadoop::Cluster, wait};
use serde_json::Value;
use zookeeper_client::Client;

use kobel_tests::Endless;

use super::{SOON, Session, USER, cluster, kill_9, signal_to};

/// For how long HDFS does not answer.
const AWAY: Duration = Duration::from_secs(20);

impl Session<'_> {
    /// Waits until it is ready with two JobManagers, of which this one leads.
    #[track_caller]
    pub(super) fn led_by(&self, id: &str) -> Value {
        wait::until("it is whole, and led by the right one", SOON, || {
            let now = self.status();
            let masters = now["masters"].as_array().cloned().unwrap_or_default();
            let leads = masters.iter().any(|master| master["id"] == id && master["leader"] == true);
            if leads && masters.len() == 2 && now["state"] == "Ready" {
                Ok(now)
            } else {
                Err(now.to_string())
            }
        })
    }

    /// The process of a JobManager's newest attempt: there is one by its name.
    #[track_caller]
    pub(super) fn job_manager(&self, id: &str) -> i32 {
        let of_it = format!("/{id}.");
        wait::until("its process is there", SOON, || {
            let mut all = self.cluster.containers();
            all.retain(|(_, line)| line.contains("ClusterEntrypoint") && line.contains(&of_it));
            all.retain(|(_, line)| !(line.contains("bash") || line.contains("--leash")));
            match all[..] {
                [(pid, _)] => Ok(pid),
                _ => Err(format!("{all:?}")),
            }
        })
    }

    /// When the job came to each of its states.
    pub(super) fn timestamps(&self) -> Value {
        self.rest(&format!("/jobs/{}", self.job)).expect("the job")["timestamps"].clone()
    }

    pub(super) fn events(&self) -> String {
        self.lab.kobel(&["events", "ha"]).ok().stdout
    }

    /// Waits until both JobManagers stand for election: a process that has only been started is no standby yet.
    #[track_caller]
    pub(super) fn both_stand(&self) {
        let (server, app) =
            (&self.cluster.zookeeper().address, self.status()["yarn"]["applicationId"].clone());
        let latches = format!("/flink/{}/leader/latch", app.as_str().expect("an id"));
        wait::until("both stand for election", SOON, || match znodes(server, &latches).len() {
            2 => Ok(()),
            count => Err(format!("{count} latches")),
        });
    }

    /// Has the first JobManager, which leads, replaced, so that the other one leads.
    #[track_caller]
    pub(super) fn restart_first(&self) {
        self.both_stand();
        self.lab.kobel(&["restart", "ha", "jm", "0"]).ok();
        self.led_by("jm-1");
    }

    /// Does this to the leader, and tells what it cost until the job ran again with a new checkpoint.
    #[track_caller]
    fn lose_leader(&self, leader: &str, next: &str, what: &str, lose: impl FnOnce()) {
        self.both_stand();
        let checkpoint = self.checkpoint().unwrap();
        lose();
        let since = Instant::now();
        self.running_since(checkpoint);
        let took = since.elapsed();
        println!("{what}: {leader} lost, job RUNNING under {next} with a new checkpoint after {took:?}");
        self.led_by(next);
    }
}

/// The leader dies while HDFS is away, where the next one would read the jobs.
fn without_the_name_node(session: &Session) {
    session.both_stand();
    let name_node = &session.cluster.hdfs().name_node;
    let checkpoint = session.checkpoint().unwrap();
    name_node.kill9();
    kill_9(session.job_manager("jm-0"));
    thread::sleep(AWAY);
    name_node.start();
    name_node.wait_ready();
    let since = Instant::now();
    session.running_since(checkpoint);
    println!(
        "row 17, HDFS away for {AWAY:?}: job RUNNING with a new checkpoint {:?} after it is back",
        since.elapsed()
    );
}

/// What ZooKeeper has below this path.
pub(super) fn znodes(server: &str, path: &str) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = Client::connect(server).await.expect("a session");
        client.list_children(path).await.unwrap_or_default()
    })
}

pub(super) fn names(cluster: &Cluster, path: &str) -> Vec<String> {
    let entries = cluster.hdfs().list(path);
    entries.iter().filter_map(|entry| Some(entry["pathSuffix"].as_str()?.to_string())).collect()
}

#[test]
fn a_standby_in_a_container_of_its_own_takes_over() {
    let (Some(flink), Some((cluster, _one))) = (Flink::v1(), cluster()) else { return };
    let session = Session::start(&cluster, &flink, &["--masters", "2"]);
    let before = session.led_by("jm-0");
    let hosts: Vec<_> = before["masters"].as_array().unwrap().iter().map(|master| &master["host"]).collect();
    assert_ne!(hosts[0], hosts[1], "a node of its own: {before}");
    let tms = session.processes("TaskManagerRunner");
    assert_eq!(tms.len(), 2);

    for (leader, next) in [("jm-0", "jm-1"), ("jm-1", "jm-0")] {
        session.lose_leader(leader, next, "row 1, killed", || kill_9(session.job_manager(leader)));
    }
    assert_eq!(session.events().matches("latch and").count(), 2, "{}", session.events());
    session.restart_first();

    session.both_stand();
    let (standby, timestamps) = (session.job_manager("jm-1"), session.timestamps());
    let checkpoint = session.checkpoint().unwrap();
    let failovers = session.status()["failovers"].clone();
    kill_9(session.processes("./kobel am")[0]);
    let since = Instant::now();
    session.running_since(checkpoint);
    println!("row 5, the master killed, jm-1 leads: its front answers again after {:?}", since.elapsed());
    let after = session.led_by("jm-1");
    assert_eq!(session.job_manager("jm-1"), standby, "the leader is the same");
    assert_eq!(session.timestamps(), timestamps, "the job was never restarted");
    assert_eq!((&after["failovers"], &after["startedAt"]), (&failovers, &before["startedAt"]));
    wait::until("the dead standby's latch is gone, too", SOON, || {
        let events = session.events();
        if events.matches("latch and").count() == 3 { Ok(()) } else { Err(events) }
    });

    session.both_stand();
    println!("{}", session.lab.kobel(&["failover", "ha"]).ok().stdout);
    session.led_by("jm-0");
    session.restart_first();
    let freeze = || signal_to("STOP", session.job_manager("jm-1"));
    session.lose_leader("jm-1", "jm-0", "row 4, stopped", freeze);
    assert_eq!(session.processes("TaskManagerRunner"), tms, "every TaskManager is the same");
    println!("{}", session.events());
    without_the_name_node(&session);

    session.lab.kobel(&["stop", "ha"]).ok();
    cluster.no_container_left();
    session.lab.no_process_left();
    assert_eq!(znodes(&cluster.zookeeper().address, "/flink"), Vec::<String>::new());
    let storage = format!("/user/{USER}/ha");
    assert_eq!(names(&cluster, &storage), ["job-result-store"], "Flink's, for all clusters");
    assert_eq!(names(&cluster, &format!("{storage}/job-result-store")), Vec::<String>::new());
}
