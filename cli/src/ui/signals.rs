//! Signals that ask this process to end.

use std::process::ExitCode;

use kobel_conf::Category;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;

/// Which signal came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caught {
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl Caught {
    /// 128 and the signal's number, as shells have it.
    pub(crate) fn exit_code(self) -> ExitCode {
        match self {
            Caught::Interrupt => ExitCode::from(130),
            Caught::Terminate => ExitCode::from(143),
        }
    }
}

/// From its making on, SIGINT and SIGTERM end nothing by themselves; each is told here.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Makes signals news.
    pub(crate) fn catch() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind)
                .map_err(|e| Failure::new(Category::Environment, "cannot listen for signals").because(&e))
        };
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// The next signal. Safe to drop and ask again: none is lost.
    pub(crate) async fn next(&mut self) -> Caught {
        tokio::select! {
            _ = self.interrupt.recv() => Caught::Interrupt,
            _ = self.terminate.recv() => Caught::Terminate,
        }
    }
}
