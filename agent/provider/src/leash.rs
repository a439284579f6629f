//! A process that dies with the one that started it.

use std::{ffi::OsString, io, os::unix::process::CommandExt, process::Command};

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

/// What stands between kobel's program and the number of the parent, the program and its arguments.
pub const ARGS: [&str; 2] = ["exec", "--leash"];

/// This program itself, whatever became of its file.
pub const THIS_PROGRAM: &str = "/proc/self/exe";

/// Becomes this program, and dies when `parent` does, by whatever means. Returns only why it could not.
///
/// The kernel sends the signal when the *thread* ends that started us (`prctl(2)`, `PR_SET_PDEATHSIG`):
/// the agent starts processes from a thread that lives as long as it does.
pub fn become_leashed(parent: i32, program: &OsString, args: &[OsString]) -> io::Error {
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return error.into();
    }
    // It may have died before the signal was ordered.
    if getppid() != Pid::from_raw(parent) {
        return io::Error::other("the agent is gone already");
    }
    Command::new(program).args(args).exec()
}
