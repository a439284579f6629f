//! Row 20: a full disk.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::Instant,
};

use kobel_kit::{Done, Flink, Lab, wait};
use serde_json::Value;

use super::{SOON, kill_9, pid, told};

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
