//! Finds processes of workers in `/proc`, without any record of them.

use std::{
    ffi::OsStr,
    io,
    time::{Duration, Instant},
};

use kobel_plan::Launch;
use procfs::process::Process as ProcDir;

use super::{
    identity::{ProcessIdentity, boot_id, plain},
    process::PidFd,
};

/// How long the kernel may take to end processes that were sent SIGKILL: long, because one that
/// waits for a hung disk cannot be ended sooner.
const KILL_TAKES: Duration = Duration::from_secs(5);

/// How long a process may take over the start of another program: long, because a busy machine may
/// leave it halfway for a while.
const EXEC_TAKES: Duration = Duration::from_secs(1);

/// A process of our user.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// Which process.
    pub(super) identity: ProcessIdentity,
    /// Its process group.
    pub(super) group: i32,
    /// Its session.
    pub(super) session: i32,
    /// Its [`Launch::MARKER`], which descendants of a worker inherit.
    pub(super) marker: Option<String>,
}

impl Seen {
    /// Whether it looks like the process that a provider spawned: the leader of a process group, as
    /// no plain descendant is, and not of a session, as a daemon among the descendants is.
    pub(super) fn may_be_a_worker(&self) -> bool {
        self.group == self.identity.pid && self.session != self.identity.pid
    }

    fn read(dir: &ProcDir, boot_id: &str) -> procfs::ProcResult<Self> {
        let stat = dir.stat()?;
        Ok(Self {
            identity: ProcessIdentity::from_stat(&stat, boot_id.into()),
            group: stat.pgrp,
            session: stat.session,
            marker: marker(dir),
        })
    }
}

/// A variable in the environment that a living process was started with, where it is text.
pub(super) fn variable(pid: i32, name: &str) -> Option<String> {
    let environ = ProcDir::new(pid).and_then(|dir| dir.environ()).ok()?;
    environ.get(OsStr::new(name))?.to_str().map(String::from)
}

/// The marker in a process's environment. To overlook a worker would be to start it twice. But while
/// a process starts another program, its environment reads as empty or cut short: then it is looked
/// at again.
fn marker(dir: &ProcDir) -> Option<String> {
    let until = Instant::now() + EXEC_TAKES;
    loop {
        let before = environ_end(dir)?;
        // Unreadable in a process that switched its dumps off: then it is not known to be ours.
        let environ = dir.environ().ok()?;
        if let Some(marker) = environ.get(OsStr::new(Launch::MARKER)) {
            return marker.to_str().map(String::from);
        }
        if (before != 0 && before == environ_end(dir)?) || Instant::now() > until {
            return None;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Where in its memory a process's environment ends; 0 in the midst of an exec, which sets it last of
/// all. `None` for what has no memory, zombies and the kernel's own threads.
fn environ_end(dir: &ProcDir) -> Option<u64> {
    dir.stat().ok().filter(|stat| stat.vsize > 0)?.env_end
}

/// All processes of our user but this one. What comes or goes meanwhile may be missing.
pub(super) fn own_processes() -> io::Result<Vec<Seen>> {
    let (boot_id, user) = (boot_id()?, rustix::process::geteuid().as_raw());
    let ours = |dir: &ProcDir| dir.uid().is_ok_and(|uid| uid == user);
    let seen = plain(procfs::process::all_processes())?
        .filter_map(Result::ok)
        .filter(|dir| ours(dir) && dir.pid() != std::process::id() as i32)
        .filter_map(|dir| Seen::read(&dir, &boot_id).ok());
    Ok(seen.collect())
}

/// Kills, and waits for the end of, whatever is left of a worker whose leader is dead: the rest of
/// its process group, and descendants that left the group but carry its marker. Returns how many.
///
/// Each one is killed by a pidfd of its own, so nothing is hit that merely got a number later.
pub(super) fn kill_remains(leader: Option<&ProcessIdentity>, marker: &str) -> io::Result<usize> {
    let deadline = Instant::now() + KILL_TAKES;
    let mut killed = 0;
    loop {
        let remains = living_remains(leader, marker)?;
        if remains.is_empty() {
            return Ok(killed);
        }
        killed += remains.len();
        remains.iter().try_for_each(PidFd::kill)?;
        let left = || deadline.saturating_duration_since(Instant::now());
        if !remains.iter().all(|process| process.is_dead_within(left())) || left().is_zero() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "killed processes do not end"));
        }
    }
}

fn living_remains(leader: Option<&ProcessIdentity>, marker: &str) -> io::Result<Vec<PidFd>> {
    let seen = own_processes()?;
    // Asked after the look at all processes: had the number passed on before, it shows now.
    let group = leader.filter(|leader| group_is_still_theirs(leader)).map(|leader| leader.pid);
    let remains =
        seen.into_iter().filter(|seen| Some(seen.group) == group || seen.marker.as_deref() == Some(marker));
    remains.filter_map(|seen| PidFd::of(&seen.identity).transpose()).collect()
}

/// The number of a group stays taken while it has members, even when its leader is long reaped. So
/// it is another's only if a new process could get it, which shows for as long as that one lives.
fn group_is_still_theirs(leader: &ProcessIdentity) -> bool {
    ProcessIdentity::of(leader.pid).is_ok_and(|now| now.is_none_or(|now| now == *leader))
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::process::CommandExt,
        process::{Child, Command},
    };

    use super::*;

    /// Ends with the test, also with one that fails.
    struct Guarded(Child);

    impl Guarded {
        fn spawn(command: &mut Command) -> Self {
            Self(command.process_group(0).spawn().unwrap())
        }

        fn pid(&self) -> i32 {
            self.0.id() as i32
        }

        fn is_alive(&mut self) -> bool {
            self.0.try_wait().unwrap().is_none()
        }
    }

    impl Drop for Guarded {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn marked_processes_are_found_and_killed_and_no_others() {
        let sleeper =
            |marker: &str| Guarded::spawn(Command::new("/bin/sleep").arg("60").env(Launch::MARKER, marker));
        let ours = format!("/scan-{}/tm-0.1", std::process::id());
        let (mut one, mut other) = (sleeper(&ours), sleeper(&format!("{ours}0")));
        let found = own_processes().unwrap();
        let seen = found.iter().find(|seen| seen.marker.as_deref() == Some(&ours)).unwrap();
        assert_eq!(seen.identity.pid, one.pid());
        assert!(seen.may_be_a_worker());

        assert_eq!(kill_remains(None, &ours).unwrap(), 1);
        assert!(!one.is_alive());
        assert!(other.is_alive(), "another marker is another worker");
    }

    #[test]
    fn a_process_that_starts_program_after_program_is_never_overlooked() {
        let ours = format!("/exec-{}/tm-0.1", std::process::id());
        let again = r#"exec /bin/sh -c "$AGAIN""#;
        let mut command = Command::new("/bin/sh");
        let restless = Guarded::spawn(
            command.args(["-c", again]).env_clear().env("AGAIN", again).env(Launch::MARKER, &ours),
        );
        for look in 0..300 {
            let seen = Seen::read(&ProcDir::new(restless.pid()).unwrap(), "boot").unwrap();
            assert_eq!(seen.marker.as_deref(), Some(ours.as_str()), "look {look}");
        }
    }

    #[test]
    fn a_reused_number_protects_its_group() {
        let mut stranger = Guarded::spawn(Command::new("/bin/sleep").arg("60"));
        let now = ProcessIdentity::of(stranger.pid()).unwrap().unwrap();
        let dead = ProcessIdentity { start_time_ticks: now.start_time_ticks - 1, ..now };
        assert_eq!(kill_remains(Some(&dead), "/nobody/tm-0.1").unwrap(), 0);
        assert!(stranger.is_alive());
    }
}
