//! The NameNode that is active dies, and another one takes its place: under an upload, under a running job, and
//! just before a JobManager is lost. Row 18 of section 2 of reference/reliability.md.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kobel_kit::{
    Flink,
    hadoop::{Cluster, Daemon, Hadoop, Hdfs},
    wait,
};
use kobel_tests::Endless;

use super::{
    SOON, Session, USER, kill_9, one_at_a_time, setup,
    standbys::{names, znodes},
};

/// What the row allows after another NameNode is active.
const ALLOWED: Duration = Duration::from_secs(20);

/// The active NameNode is killed, and the other one made active.
struct Handover<'a> {
    dead: &'a Daemon,
    killed: Instant,
    active: Instant,
}

impl<'a> Handover<'a> {
    /// Does it, and something else while none is active.
    fn of<T>(hdfs: &'a Hdfs, meanwhile: impl FnOnce() -> T) -> (Self, T) {
        let dead = hdfs.active().expect("an active one");
        dead.kill9();
        let killed = Instant::now();
        let done = meanwhile();
        hdfs.activate();
        (Self { dead, killed, active: Instant::now() }, done)
    }

    /// Tells what was held up until now, and fails if that took too long.
    #[track_caller]
    fn over(&self, what: &str) {
        let (away, took) = (self.active - self.killed, self.active.elapsed());
        println!("row 18: {what} {took:.1?} after another NameNode is active; none was for {away:.1?}");
        assert!(took <= ALLOWED, "{what} {took:?}");
    }

    /// Starts the NameNode that was killed: it is the standby from now on.
    fn bring_back(self) {
        self.dead.start();
        self.dead.wait_ready();
    }
}

#[test]
fn a_session_goes_on_when_another_name_node_takes_over() {
    let (Some(flink), Some(hadoop)) = (Flink::v1(), Hadoop::from_env()) else { return };
    let _one = one_at_a_time();
    let cluster = Cluster::start(&hadoop, setup().name_nodes(2));
    let mut session = Session::new(&cluster, &flink);
    under_an_upload(&mut session);
    session.submit(&flink);
    session.led_by("jm-0");
    session.both_stand();
    under_a_job(&session);
    before_the_leader_dies(&session);
    println!("{}", session.events());

    session.lab.kobel(&["stop", "ha"]).ok();
    cluster.no_container_left();
    session.lab.no_process_left();
    assert_eq!(znodes(&cluster.zookeeper().address, "/flink"), Vec::<String>::new());
    let home = format!("/user/{USER}");
    assert_eq!(names(&cluster, &format!("{home}/ha")), ["job-result-store"], "Flink's, for all clusters");
    assert_eq!(names(&cluster, &format!("{home}/ha/job-result-store")), Vec::<String>::new());
    assert_eq!(names(&cluster, &format!("{home}/.kobel/apps")), Vec::<String>::new());
}

/// The names of the contents that are on HDFS, and of those on their way there.
fn uploads(hdfs: &Hdfs) -> (Vec<String>, Vec<String>) {
    let blobs = format!("/user/{USER}/.kobel/blobs");
    let found = hdfs.status(&blobs).map(|_| hdfs.list(&blobs)).unwrap_or_default();
    let names = found.iter().filter_map(|file| Some(file["pathSuffix"].as_str()?.to_string()));
    names.partition(|name| !name.starts_with(".partial-"))
}

/// Flink and kobel are on their way to HDFS.
fn under_an_upload(session: &mut Session<'_>) {
    let hdfs = session.cluster.hdfs();
    let start = session.begin(&["--tm", "2", "--masters", "2"]);
    wait::until("an upload is under way", SOON, || match uploads(hdfs) {
        (whole, partial) if partial.is_empty() => Err(format!("{whole:?}")),
        _ => Ok(()),
    });
    let killed = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_millis() as u64;
    let (handover, ()) = Handover::of(hdfs, || ());
    let whole = wait::until("all is uploaded", SOON, || match uploads(hdfs) {
        (whole, partial) if partial.is_empty() => Ok(whole),
        state => Err(format!("{state:?} {}", start.stderr())),
    });
    handover.over("uploaded");
    let made = |name: &String| {
        let file = hdfs.status(&format!("/user/{USER}/.kobel/blobs/{name}")).expect("it is there");
        file["modificationTime"].as_u64().expect("a time")
    };
    assert!(whole.iter().map(made).max() > Some(killed), "it was held up");
    session.started(start);
    handover.bring_back();
}

/// Checkpoints, and what keeps track of them, lie on HDFS.
fn under_a_job(session: &Session<'_>) {
    let hdfs = session.cluster.hdfs();
    let before = (session.timestamps(), session.status()["failovers"].clone(), processes(session));
    // One that was begun before may be complete; the next one is all new.
    let (handover, checkpoint) = Handover::of(hdfs, || session.checkpoint().unwrap() + 1);
    session.running_since(checkpoint);
    handover.over("a new checkpoint");
    let after = (session.timestamps(), session.status()["failovers"].clone(), processes(session));
    assert_eq!(after, before, "the job was never restarted, and no process");
    handover.bring_back();
}

/// Every process of Flink's and of kobel's in the containers.
fn processes(session: &Session<'_>) -> Vec<i32> {
    ["./kobel am", "ClusterEntrypoint", "TaskManagerRunner"].map(|word| session.processes(word)).concat()
}

/// The next JobManager reads the jobs from HDFS.
fn before_the_leader_dies(session: &Session<'_>) {
    let hdfs = session.cluster.hdfs();
    session.both_stand();
    let leader = session.job_manager("jm-0");
    let (handover, checkpoint) = Handover::of(hdfs, || session.checkpoint().unwrap() + 1);
    kill_9(leader);
    session.running_since(checkpoint);
    handover.over("the leader killed at once, and the job RUNNING under the next with a new checkpoint");
    session.led_by("jm-1");
    session.both_stand();
}
