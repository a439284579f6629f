//! A living process and the only ways in which it may be waited for and signalled.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd, RawFd},
    time::Duration,
};

use kobel_plan::{Exit, Fault};
use rustix::{
    event::{PollFd, PollFlags, Timespec},
    io::Errno,
    process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitIdStatus},
};
use tokio::io::{Interest, unix::AsyncFd};

use super::identity::ProcessIdentity;

/// A pidfd: it means one process for ever, whatever becomes of the number.
#[derive(Debug)]
pub(super) struct PidFd(OwnedFd);

impl PidFd {
    /// The living process of this identity; `None` when it is gone or a zombie. The identity is read
    /// *after* the pidfd was opened: had the number passed on before that, its holder would be
    /// another now, and did it pass on later, the pidfd means the process that we want.
    pub(super) fn of(identity: &ProcessIdentity) -> io::Result<Option<Self>> {
        let Some(fd) = Self::open(identity.pid)? else { return Ok(None) };
        Ok((identity.holds_its_pid()? && !fd.is_dead_within(Duration::ZERO)).then_some(fd))
    }

    /// Of whatever process has this number now.
    fn open(pid: i32) -> io::Result<Option<Self>> {
        let Some(pid) = Pid::from_raw(pid) else { return Ok(None) };
        match rustix::process::pidfd_open(pid, PidfdFlags::NONBLOCK) {
            Ok(fd) => Ok(Some(Self(fd))),
            Err(Errno::SRCH) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the process, all its threads, is dead or dies within this time. A pidfd becomes
    /// readable at that moment, reaped or not.
    pub(super) fn is_dead_within(&self, time: Duration) -> bool {
        let timeout = Timespec {
            tv_sec: time.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: time.subsec_nanos().into(),
        };
        let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
        matches!(rustix::event::poll(&mut fds, Some(&timeout)), Ok(1..))
    }

    /// Kills this process alone.
    pub(super) fn kill(&self) -> io::Result<()> {
        self.signal(Signal::KILL)
    }

    /// Does this to this process alone.
    pub(super) fn strike(&self, fault: Fault) -> io::Result<()> {
        self.signal(match fault {
            Fault::Kill => Signal::KILL,
            Fault::Freeze => Signal::STOP,
        })
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        match rustix::process::pidfd_send_signal(&self.0, signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsRawFd for PidFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// The leader of a worker's process group, a child of ours or adopted: both are waited for in the
/// same way.
#[derive(Debug)]
pub(super) struct Process {
    identity: ProcessIdentity,
    fd: AsyncFd<PidFd>,
}

impl Process {
    /// A child that nobody has waited for, so that its number is surely its own.
    pub(super) fn of_child(child: &std::process::Child) -> io::Result<Self> {
        let gone = || io::Error::other("it was reaped by somebody else");
        let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
        let fd = PidFd::open(pid)?.ok_or_else(gone)?;
        Self::new(ProcessIdentity::of(pid)?.ok_or_else(gone)?, fd)
    }

    /// A process of a former agent, if it is still alive.
    pub(super) fn adopt(identity: &ProcessIdentity) -> io::Result<Option<Self>> {
        PidFd::of(identity)?.map(|fd| Self::new(identity.clone(), fd)).transpose()
    }

    #[expect(
        deprecated,
        reason = "its successors are unsafe; an OwnedFd that never leaves is what they demand"
    )]
    fn new(identity: ProcessIdentity, fd: PidFd) -> io::Result<Self> {
        Ok(Self { identity, fd: AsyncFd::with_interest(fd, Interest::READABLE)? })
    }

    /// Which process this is.
    pub(super) fn identity(&self) -> &ProcessIdentity {
        &self.identity
    }

    /// Returns when the process is dead. It is not reaped yet: a child of ours keeps its number,
    /// and with it the number of its group, until [`Process::reap`].
    pub(super) async fn ended(&self) {
        // An error means that the runtime is being shut down, and this task with it.
        if self.fd.readable().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Signals the whole process group, unless its leader is dead; of a process that leads none, as in
    /// somebody else's container, that process alone. A living process holds its number and so the
    /// number of the group. An adopted one could die between the check and the kill, and
    /// its number become another group's: for that the kernel, which hands out all other numbers
    /// first, would have to start that many processes within a microsecond.
    pub(super) fn signal_group(&self, signal: Signal) -> io::Result<()> {
        let Some(group) = Pid::from_raw(self.identity.pid) else { return Ok(()) };
        if self.fd.get_ref().is_dead_within(Duration::ZERO) {
            return Ok(());
        }
        let sent = match rustix::process::getpgid(Some(group)) {
            Ok(leads) if leads == group => rustix::process::kill_process_group(group, signal),
            _ => rustix::process::pidfd_send_signal(&self.fd.get_ref().0, signal),
        };
        match sent {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes note of how a dead process ended. Only a parent may know that: init keeps it for what
    /// a former agent left.
    pub(super) fn reap(&self) -> Exit {
        let status = rustix::process::waitid(
            WaitId::PidFd(self.fd.get_ref().0.as_fd()),
            WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
        );
        match status {
            Ok(Some(status)) => exit_of(&status),
            Err(Errno::CHILD) => Exit::Unknown("adopted process ended".into()),
            Ok(None) => Exit::Unknown("the kernel told no status".into()),
            Err(error) => Exit::Unknown(format!("its status could not be read: {error}")),
        }
    }
}

fn exit_of(status: &WaitIdStatus) -> Exit {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Unknown("neither exited nor killed".into()),
    }
}
