//! Which process a process id means.

use std::{fmt, io};

use procfs::{ProcError, ProcResult, process::Stat};
use serde::{Deserialize, Serialize};

/// A process, told apart from every other that ever had or will have its number: a process id is
/// given out again, but not with the same start time, and start times count from a boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessIdentity {
    /// The process id.
    pub pid: i32,
    /// When it started, in clock ticks since the boot: field 22 of `/proc/PID/stat`.
    pub start_time_ticks: u64,
    /// Which boot: `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
}

impl ProcessIdentity {
    /// The process that has this number now, a zombie included; `None` when there is none.
    pub fn of(pid: i32) -> io::Result<Option<Self>> {
        match procfs::process::Process::new(pid).and_then(|process| process.stat()) {
            Ok(stat) => Ok(Some(Self::from_stat(&stat, boot_id()?))),
            Err(error) => absent_or(error),
        }
    }

    /// The process that `stat` describes, on this boot.
    pub(super) fn from_stat(stat: &Stat, boot_id: String) -> Self {
        Self { pid: stat.pid, start_time_ticks: stat.starttime, boot_id }
    }

    /// Whether this very process still holds its number, be it as a zombie.
    pub fn holds_its_pid(&self) -> io::Result<bool> {
        Ok(Self::of(self.pid)?.as_ref() == Some(self))
    }
}

impl fmt::Display for ProcessIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}", self.pid)
    }
}

/// The id of the running boot.
pub(super) fn boot_id() -> io::Result<String> {
    plain(procfs::sys::kernel::random::boot_id()).map(|id| id.trim().to_string())
}

/// A result of procfs with its error as one of the standard library's.
pub(super) fn plain<T>(result: ProcResult<T>) -> io::Result<T> {
    result.map_err(|error| match error {
        ProcError::PermissionDenied(_) => io::ErrorKind::PermissionDenied.into(),
        ProcError::NotFound(_) => io::ErrorKind::NotFound.into(),
        ProcError::Io(error, _) => error,
        other => io::Error::other(other.to_string()),
    })
}

/// Reading `/proc/PID` of a process that is gone, or goes meanwhile, says "not found" or ESRCH.
fn absent_or<T>(error: ProcError) -> io::Result<Option<T>> {
    let error = plain::<()>(Err(error)).err().unwrap_or_else(|| io::ErrorKind::Other.into());
    let gone = error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error());
    if gone { Ok(None) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_itself_and_no_other() {
        let me = ProcessIdentity::of(std::process::id() as i32).unwrap().unwrap();
        assert!(me.holds_its_pid().unwrap());
        let earlier = ProcessIdentity { start_time_ticks: me.start_time_ticks - 1, ..me.clone() };
        assert!(!earlier.holds_its_pid().unwrap());
        let other_boot = ProcessIdentity { boot_id: "another".into(), ..me };
        assert!(!other_boot.holds_its_pid().unwrap());
    }

    #[test]
    fn a_number_that_nobody_has_is_nobody() {
        // The kernel's limit, PID_MAX_LIMIT, is 2^22.
        assert_eq!(ProcessIdentity::of(i32::MAX).unwrap(), None);
    }

    #[test]
    fn a_zombie_still_holds_its_number() {
        let mut child = std::process::Command::new("/bin/true").spawn().unwrap();
        let identity = ProcessIdentity::of(child.id() as i32).unwrap().unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        let state = |pid| procfs::process::Process::new(pid).unwrap().stat().unwrap().state;
        while state(identity.pid) != 'Z' {
            assert!(std::time::Instant::now() < deadline, "/bin/true runs on");
            std::thread::yield_now();
        }
        assert!(identity.holds_its_pid().unwrap());
        child.wait().unwrap();
        assert!(!identity.holds_its_pid().unwrap());
    }
}
