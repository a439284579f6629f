//! What every error of kobel's can tell beside its text. Libraries attach it as data; only the
//! command line prints it and turns it into an exit code.

use std::error::Error;

/// An error and its causes in one line, for logs and for reasons.
pub fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// What kind of failure it is: the command line's exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    /// Anything else (1).
    Other,
    /// The command was misused (2).
    Usage,
    /// It exists but is not ready (3).
    NotReady,
    /// No such cluster or job (4).
    NotFound,
    /// The environment or a configuration is wrong (5).
    Environment,
    /// Not allowed (6).
    Denied,
    /// A cluster or job reached a failed end (7).
    FailedEnd,
    /// The time allowed ran out (124).
    Timeout,
}

/// An error that knows how to be explained. The convention for its text: `Display` is one line
/// naming what was attempted on what and never repeats its source; `source()` says why.
pub trait Explain: Error {
    /// Decides the exit code.
    fn category(&self) -> Category {
        Category::Other
    }

    /// A command to run, or a change to make, that mends it.
    fn hint(&self) -> Option<String> {
        None
    }

    /// The last lines of the log that explains it.
    fn log_tail(&self) -> Option<String> {
        None
    }
}
