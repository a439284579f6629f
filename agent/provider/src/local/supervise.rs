//! Stays with one process until it is gone and everything of it is.
//!
//! ```text
//! running ──ended──────────────────────────────► cleared away, reaped ──► Exited(how it ended)
//!    │ release: TERM
//!    ▼
//! leaving ──ended, or at the deadline KILL, ended ► cleared away, reaped ──► Exited(Released)
//! ```

use std::path::PathBuf;

use kobel_plan::Exit;
use rustix::process::Signal;
use tokio::{sync::watch, time::Instant};
use tracing::warn;

use super::{launch::remove_worker_dir, process::Process, scan::kill_remains};

/// Until when a worker may take to leave, once it was released. It only gets earlier.
pub(super) type Deadline = Option<Instant>;

/// What is to go with the process.
#[derive(Debug)]
pub(super) struct Belongings {
    /// Its directory.
    pub(super) dir: PathBuf,
    /// The marker in the environment of its descendants.
    pub(super) marker: String,
}

/// Returns when the process, its group and descendants and its directory are gone.
pub(super) async fn supervise(
    process: Process,
    belongings: Belongings,
    mut deadline: watch::Receiver<Deadline>,
) -> Exit {
    let released = tokio::select! {
        biased;
        () = process.ended() => false,
        () = released(&mut deadline) => true,
    };
    if released {
        end(&process, &mut deadline).await;
    }
    // The dead leader is reaped last: until then the number of its group is surely its own.
    let cleared = tokio::task::spawn_blocking(move || {
        clear_away(&process, &belongings);
        process.reap()
    });
    match cleared.await {
        Ok(_) if released => Exit::Released,
        Ok(exit) => exit,
        Err(error) => Exit::Unknown(format!("its end could not be followed: {error}")),
    }
}

async fn released(deadline: &mut watch::Receiver<Deadline>) {
    if deadline.wait_for(Option::is_some).await.is_err() {
        // Nobody is left who could release it.
        std::future::pending::<()>().await;
    }
}

/// Politely, then surely.
async fn end(process: &Process, deadline: &mut watch::Receiver<Deadline>) {
    signal(process, Signal::TERM);
    loop {
        let Some(at) = *deadline.borrow_and_update() else { return };
        tokio::select! {
            biased;
            () = process.ended() => return,
            () = tokio::time::sleep_until(at) => break,
            Ok(()) = deadline.changed() => {}
        }
    }
    signal(process, Signal::KILL);
    process.ended().await;
}

fn signal(process: &Process, signal: Signal) {
    if let Err(error) = process.signal_group(signal) {
        warn!(pid = process.identity().pid, ?signal, %error, "could not signal a worker");
    }
}

fn clear_away(process: &Process, Belongings { dir, marker }: &Belongings) {
    if let Err(error) = kill_remains(Some(process.identity()), marker) {
        warn!(pid = process.identity().pid, %error, "could not kill what a dead worker left");
    }
    remove_worker_dir(dir);
}
