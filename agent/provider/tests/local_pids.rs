//! A number that was a worker's is a stranger's by now: row 34 of the fault matrix.

#![allow(clippy::unwrap_used, reason = "tests")]

#[allow(dead_code, reason = "shared with another test target")]
mod common;

use std::{
    fs,
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    time::Duration,
};

use common::{LocalFixture, open, signal, wait_until};
use kobel_plan::{Attempt, WorkerId};
use kobel_provider::{Provider, local::ProcessIdentity};
use procfs::process::Process;

const ROUNDS: u64 = 1000;

/// The leader of a process group that has every signal blocked: the kernel keeps what it was sent,
/// and the two that cannot be blocked show in its state.
struct Stranger(Child);

impl Stranger {
    async fn new() -> Self {
        let mut command = Command::new("/usr/bin/env");
        command.args(["--block-signal", "/bin/sleep", "600"]).process_group(0);
        // Should the test be killed, nobody waits for what this one could still write.
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let stranger = Self(child);
        wait_until("sleep with its signals blocked", || stranger.process().stat().unwrap().comm == "sleep")
            .await;
        stranger
    }

    fn process(&self) -> Process {
        Process::new(self.0.id() as i32).unwrap()
    }

    /// How many signals it was sent, those of one kind counted once.
    fn signals(&self) -> u32 {
        let (status, state) = (self.process().status().unwrap(), self.process().stat().unwrap().state);
        let stopped_or_killed = u32::from(!matches!(state, 'S' | 'R'));
        (status.sigpnd | status.shdpnd).count_ones() + stopped_or_killed
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The identities of dead workers whose number is this living process's.
fn former_holders(now: &ProcessIdentity) -> [ProcessIdentity; 4] {
    let start = now.start_time_ticks;
    let (earlier, boot) = (start - 1, "00000000-0000-0000-0000-000000000000");
    [
        ProcessIdentity { start_time_ticks: earlier, ..now.clone() },
        ProcessIdentity { start_time_ticks: 0, ..now.clone() },
        // Before a reboot the same number was given out at the same time.
        ProcessIdentity { boot_id: boot.into(), ..now.clone() },
        ProcessIdentity { boot_id: boot.into(), start_time_ticks: start + 1, ..now.clone() },
    ]
}

#[tokio::test]
async fn of_a_thousand_reused_pids_none_is_signalled() {
    let (fixture, stranger) = (LocalFixture::new(), Stranger::new().await);
    let holders = former_holders(&ProcessIdentity::of(stranger.process().pid).unwrap().unwrap());
    let (id, mut attempt) = (WorkerId::tm(0), Attempt::FIRST);
    for (round, dead) in (0..ROUNDS).zip(holders.iter().cycle()) {
        let dir = fixture.worker(id, attempt);
        fs::create_dir_all(&dir).unwrap();
        let record = serde_json::json!({ "id": id, "attempt": attempt, "process": dead });
        fs::write(dir.join("worker.json"), record.to_string()).unwrap();
        let provider = open(fixture.path());
        assert_eq!(provider.recover().await.unwrap(), [], "round {round}: {dead:?}");
        provider.release(id, attempt, Duration::ZERO).await.unwrap();
        assert!(!dir.exists(), "round {round}: a dead worker's directory is cleared away");
        assert_eq!(stranger.signals(), 0, "round {round}: {dead:?}");
        attempt = attempt.next();
    }
    println!("row 34: {ROUNDS} rounds, 0 signals to the process that has the number now");
    // What was counted would have been seen.
    assert!(signal(stranger.0.id(), "-TERM") && signal(stranger.0.id(), "-HUP"));
    assert_eq!(stranger.signals(), 2);
}
