//! Faults of section 2 of reference/reliability.md that a cluster of one machine can meet. Each test
//! prints its figure.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use kobel_kit::{Done, Flink, Lab, wait};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(60);

fn status(lab: &Lab) -> Value {
    lab.kobel(&["status", "default", "-o", "json"]).json()
}

fn ready(lab: &Lab) -> Value {
    lab.kobel(&["wait", "default", "--for", "ready", "--timeout", "60s"]).ok();
    status(lab)
}

fn pid(value: &Value) -> i32 {
    value["pid"].as_i64().unwrap_or_else(|| panic!("no pid in {value}")) as i32
}

/// The pids of the JobManager and the TaskManager, as kobel tells them.
fn told(status: &Value) -> [i32; 2] {
    [pid(&status["masters"][0]), pid(&status["taskManagers"]["list"][0])]
}

/// The JVMs of this lab that run, whatever kobel says: by the marker in their environment.
fn jvms(lab: &Lab) -> Vec<i32> {
    let is_flink = |pid: &i32| {
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).contains("org.apache.flink.runtime")
    };
    let mut pids: Vec<i32> = lab.processes().into_iter().filter(is_flink).collect();
    pids.sort_unstable();
    pids
}

fn sorted(mut pids: [i32; 2]) -> Vec<i32> {
    pids.sort_unstable();
    pids.to_vec()
}

fn kill_9(pid: i32) {
    assert!(Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap().success());
    // The first thread is a zombie at once; what the process held open goes with its last one.
    wait::until("it is dead", SOON, || match (state(pid), threads(pid)) {
        (None, _) | (Some('Z'), ..=1) => Ok(()),
        (state, threads) => Err(format!("{state:?}, {threads} threads")),
    });
}

fn threads(pid: i32) -> usize {
    fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count)
}

/// As `ps` shows it; none for a process that is gone.
fn state(pid: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// A process of ours that has nothing to do with the cluster.
struct Stranger(Child);

impl Stranger {
    fn new() -> Self {
        Self(Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap())
    }

    fn lives(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Rows 32 to 34, on one cluster.
#[test]
fn a_cluster_outlives_its_agent_and_the_next_command_brings_one_back() {
    let Some(flink) = Flink::v1() else { return };
    let lab = Lab::with_flink("agent", &flink);
    // Flink's own port, 8081, another test's cluster may take while the agent is dead.
    lab.kobel(&["start", "-D", "rest.port=0"]).ok();
    row_32_ten_kills_of_the_agent(&lab);
    row_32_two_commands_at_once_bring_back_one_agent(&lab);
    row_32_a_start_of_the_same_name_is_refused(&lab);
    row_33_a_record_that_is_damaged_or_gone(&lab);
    row_34_a_pid_that_is_another_process_by_now(&lab);
    lab.kobel(&["stop"]).ok();
    lab.no_process_left();
}

fn row_32_ten_kills_of_the_agent(lab: &Lab) {
    let before = ready(lab);
    let mut slowest = Duration::ZERO;
    let commands: [&[&str]; 5] = [
        &["status", "default"],
        &["job", "list"],
        &["wait", "default", "--for", "ready"],
        &["status", "default", "-o", "json"],
        &["job", "list", "-o", "json"],
    ];
    for round in 0..10 {
        kill_9(pid(&status(lab)["agent"]));
        assert_eq!(lab.kobel(&["ps", "-o", "json"]).ok().json()[0]["agent"], Value::Null, "ps only reads");
        let since = Instant::now();
        let done = lab.kobel(commands[round % commands.len()]);
        slowest = slowest.max(since.elapsed());
        // A status may say that it is not ready yet.
        assert!(done.code == 0 || done.code == 3, "{done:?}");
        let after = ready(lab);
        assert_eq!(told(&after), told(&before), "round {round}");
        assert_eq!(jvms(lab), sorted(told(&before)), "round {round}");
        assert_eq!(after["restUrl"], before["restUrl"]);
    }
    println!("row 32: 10 kills of the agent, 0 restarts, 0 second copies, back within {slowest:?}");
}

fn row_32_two_commands_at_once_bring_back_one_agent(lab: &Lab) {
    let before = ready(lab);
    for _ in 0..5 {
        kill_9(pid(&status(lab)["agent"]));
        let all: Vec<_> = (0..4).map(|_| lab.spawn_kobel(&["status", "default", "-o", "json"])).collect();
        let told_by_all: Vec<Done> = all.into_iter().map(|running| running.wait()).collect();
        let agent = pid(&ready(lab)["agent"]);
        for done in told_by_all {
            let status = done.json();
            assert_eq!((pid(&status["agent"]), told(&status)), (agent, told(&before)), "{done:?}");
        }
    }
    println!("row 32: 4 commands at once brought back 1 agent, 5 rounds of 5");
}

fn row_32_a_start_of_the_same_name_is_refused(lab: &Lab) {
    let before = ready(lab);
    kill_9(pid(&before["agent"]));
    let refused = lab.kobel(&["start"]);
    assert!(refused.code != 0 && refused.stderr.contains("default exists already"), "{refused:?}");
    assert_eq!(told(&ready(lab)), told(&before));
    assert_eq!(jvms(lab), sorted(told(&before)));
}

/// What is done to a record.
type Damage = fn(&Path);

fn row_33_a_record_that_is_damaged_or_gone(lab: &Lab) {
    let record = lab.cluster_dir("default").join("record.json");
    let truncated: Damage = |path| {
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    };
    let removed: Damage = |path| fs::remove_file(path).unwrap();
    let flipped: Damage = |path| {
        let mut bytes = fs::read(path).unwrap();
        let at = bytes.len() / 3;
        bytes[at] ^= 0x10;
        fs::write(path, bytes).unwrap();
    };
    let mut kept = 0;
    for (what, damage) in [("truncated", truncated), ("removed", removed), ("flipped", flipped)] {
        let before = ready(lab);
        kill_9(pid(&before["agent"]));
        damage(&record);
        let started = lab.kobel(&["start"]);
        assert!(started.code != 0, "{what}: {started:?}");
        assert!(jvms(lab).len() <= 2, "{what}: a second copy runs");
        let after = ready(lab);
        assert_eq!(jvms(lab), sorted(told(&after)), "{what}: what runs is what is told");
        kept += usize::from(told(&after) == told(&before));
        lab.kobel(&["job", "list"]).ok();
    }
    println!("row 33: 3 damaged records, 0 second copies, usable after all 3, same processes after {kept}");
}

fn row_34_a_pid_that_is_another_process_by_now(lab: &Lab) {
    let mut stranger = Stranger::new();
    let rounds = 2;
    for _ in 0..rounds {
        let before = ready(lab);
        let [jm, tm] = told(&before);
        kill_9(pid(&before["agent"]));
        kill_9(tm);
        let path = worker_record(lab, tm);
        let mut record: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        // As if the kernel had given the number to someone else: only the start time is the dead one's.
        record["process"]["pid"] = stranger.0.id().into();
        fs::write(&path, record.to_string()).unwrap();
        let after = wait::until("the TaskManager is back", SOON, || {
            let now = ready(lab);
            let back = now["taskManagers"]["list"].as_array().is_some_and(|l| !l.is_empty());
            if back { Ok(now) } else { Err(now.to_string()) }
        });
        assert_eq!(told(&after)[0], jm, "the JobManager is the same");
        assert_ne!(told(&after)[1], stranger.0.id() as i32);
        assert!(stranger.lives(), "a stranger was signalled");
    }
    println!("row 34: a foreign process in the record, 0 signals to it in {rounds}");
}

/// The `worker.json` of this process.
fn worker_record(lab: &Lab, pid: i32) -> PathBuf {
    let files = lab.files("state/clusters/default/workers");
    let of_it = |path: &PathBuf| {
        let bytes = fs::read(path).unwrap_or_default();
        let record = serde_json::from_slice::<Value>(&bytes).unwrap_or_default();
        path.ends_with("worker.json") && record["process"]["pid"] == pid
    };
    files.into_iter().find(of_it).unwrap_or_else(|| panic!("no record of process {pid}"))
}

/// Row 36.
#[test]
fn a_jobmanager_that_cannot_start_ends_the_cluster_with_its_last_lines() {
    let Some(flink) = Flink::v1() else { return };
    let lab = Lab::with_flink("loop", &flink);
    let started = lab.kobel(&["start", "-D", "env.java.opts.jobmanager=-XX:MaxMetaspaceSize=foo"]).expect(7);
    assert!(started.stderr.contains("MaxMetaspaceSize"), "{}", started.stderr);
    println!("row 36: a crash loop is given up after {:?}", started.took);
    lab.no_process_left();
    assert!(lab.files("state/clusters/default/workers").is_empty());
}

/// Row 36, and the other side of it: what dies without being at fault is back.
#[test]
fn processes_that_are_killed_again_and_again_come_back() {
    let Some(flink) = Flink::v1() else { return };
    let lab = Lab::with_flink("killed", &flink);
    lab.kobel(&["start"]).ok();
    let mut slowest = Duration::ZERO;
    for which in [1, 0, 1] {
        let before = told(&ready(&lab));
        let since = Instant::now();
        kill_9(before[which]);
        wait::until("another process is there", SOON, || {
            let now = status(&lab);
            let list = [&now["masters"][0]["pid"], &now["taskManagers"]["list"][0]["pid"]];
            let other = list[which].as_i64().is_some_and(|pid| pid as i32 != before[which]);
            if other && now["state"] == "Ready" { Ok(()) } else { Err(now.to_string()) }
        });
        slowest = slowest.max(since.elapsed());
    }
    println!("row 36: killed TM, JM, TM; the cluster was ready again within {slowest:?}");
    lab.kobel(&["stop"]).ok();
    lab.no_process_left();
}

/// A mount namespace in which the lab's state directory is a small disk of its own; Flink itself needs
/// some of it to start.
struct SmallDisk<'a> {
    lab: &'a Lab,
    holder: Child,
}

impl<'a> SmallDisk<'a> {
    /// None where we may not mount.
    fn new(lab: &'a Lab) -> Option<Self> {
        let state = lab.path("state");
        fs::create_dir(&state).unwrap();
        let mount =
            "mount -t tmpfs -o size=256m,mode=0700 none \"$0\" && touch \"$0/../mounted\" && exec sleep 600";
        let mut holder = Command::new("unshare")
            .args(["-m", "sh", "-c", mount])
            .arg(&state)
            .stdin(Stdio::null())
            .spawn()
            .ok()?;
        wait::until("the disk is mounted, or refused", SOON, || {
            let over = lab.path("mounted").exists() || holder.try_wait().unwrap().is_some();
            if over { Ok(()) } else { Err("neither".into()) }
        });
        lab.path("mounted").exists().then_some(Self { lab, holder })
    }

    /// Runs a line of shell that sees the disk.
    fn sh(&self, line: &str) -> Done {
        let holder = self.holder.id().to_string();
        self.lab.spawn(Path::new("nsenter"), &["-t", &holder, "-m", "sh", "-c", line]).wait()
    }

    fn status(&self) -> Value {
        self.sh("\"$KOBEL_BIN\" status default -o json").json()
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Row 20.
#[test]
fn a_full_disk_of_state_does_not_end_supervision() {
    let Some(flink) = Flink::v1() else { return };
    let lab = Lab::with_flink("full", &flink);
    let Some(disk) = SmallDisk::new(&lab) else {
        eprintln!("skipped: a mount namespace of our own is refused here");
        return;
    };
    disk.sh("\"$KOBEL_BIN\" start").ok();
    let before = disk.status();
    let record = lab.cluster_dir("default").join("record.json");
    let record = || serde_json::from_str::<Value>(&disk.sh(&format!("cat {}", record.display())).ok().stdout);
    let fill = format!("cat /dev/zero > {}/filler", lab.path("state").display());
    disk.sh(&fill).expect(1);

    // A TaskManager that is killed changes the status, which cannot be written.
    kill_9(told(&before)[1]);
    wait::until("its death is noticed", SOON, || match disk.status() {
        now if now["state"] == "Degraded" => Ok(()),
        now => Err(now.to_string()),
    });
    assert!(record().is_ok(), "a record is there, whole");
    let full = disk.status();
    assert_eq!((pid(&full["agent"]), pid(&full["masters"][0])), (pid(&before["agent"]), told(&before)[0]));

    let since = Instant::now();
    disk.sh(&format!("rm {}/filler", lab.path("state").display())).ok();
    let after = wait::until("the TaskManager is back", SOON, || match disk.status() {
        now if now["state"] == "Ready" => Ok(now),
        now => Err(now.to_string()),
    });
    println!(
        "row 20: full disk, same agent and JobManager; TaskManager back {:?} after room",
        since.elapsed()
    );
    assert_eq!(pid(&after["agent"]), pid(&before["agent"]));
    assert!(record().is_ok());
    disk.sh("\"$KOBEL_BIN\" stop").ok();
    lab.no_process_left();
}

/// The real agent and the real Flink, killed before the JVMs are through with their start.
#[test]
fn of_two_starts_of_one_name_exactly_one_wins() {
    let Some(flink) = Flink::v1() else { return };
    let lab = Lab::with_flink("race", &flink);
    for round in 0..20 {
        let both: Vec<_> = (0..2).map(|_| lab.spawn_kobel(&["start", "--no-wait"])).collect();
        let both: Vec<Done> = both.into_iter().map(|running| running.wait()).collect();
        let lost: Vec<_> = both.iter().filter(|done| done.code != 0).collect();
        assert_eq!(lost.len(), 1, "round {round}: {both:?}");
        assert!(lost[0].stderr.contains("cluster default exists already"), "round {round}: {lost:?}");
        assert!(jvms(&lab).len() <= 2, "round {round}");
        lab.kobel(&["kill", "default"]).ok();
        lab.no_process_left();
    }
    println!("two starts of one name: one won in 20 rounds of 20");
}
