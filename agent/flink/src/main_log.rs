//! How the program's `main` ended, from a log file that holds nothing else.
//!
//! A job that is over says nothing of the `main` that submitted it: it may still print what it collected. Flink's
//! REST API does not tell of it either before 2.3; but whoever runs it (`ApplicationDispatcherBootstrap`, from Flink 2.3 on
//! `PackagedProgramApplication`) logs its end ([`crate::own_log::MAIN`]).

use std::{io, path::Path};

use kobel_conf::file::file_end;
use kobel_plan::job::Failure;

use crate::rest::failure;

/// What stands at the beginning of each line.
const APPLICATION: &str = "Application ";
/// What follows when it ended well.
const COMPLETED: &str = "completed";
/// Larger traces are cut.
const MOST: u64 = 256 << 10;

/// How `main` stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Main {
    /// It has not ended.
    Runs,
    /// It returned.
    Returned,
    /// It threw, or was broken off.
    Threw(Failure),
    /// Nobody tells: its logging is not log4j's.
    Untold,
}

impl Main {
    /// Reads the file, which log4j makes when the JVM starts.
    pub fn read(path: &Path) -> io::Result<Self> {
        match file_end(path, MOST) {
            Ok((_, bytes)) => Ok(Self::parse(&String::from_utf8_lossy(&bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::Untold),
            Err(error) => Err(error),
        }
    }

    /// The first end that is told of counts: what follows is of the cluster's own.
    fn parse(text: &str) -> Self {
        let Some((start, _)) =
            text.match_indices(APPLICATION).find(|(at, _)| *at == 0 || text[..*at].ends_with('\n'))
        else {
            return Self::Runs;
        };
        let end = &text[start + APPLICATION.len()..];
        // A line without its end is being written.
        match end.split_once('\n') {
            None => Self::Runs,
            Some(_) if end.starts_with(COMPLETED) => Self::Returned,
            Some((words, trace)) if trace.trim().is_empty() => Self::Threw(failure(words.trim_end().into())),
            Some((_, trace)) => Self::Threw(failure(trace.trim_end().into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mains_end_is_read() {
        assert_eq!(Main::parse(""), Main::Runs);
        assert_eq!(Main::parse("Application compl"), Main::Runs);
        assert_eq!(Main::parse("Application completed SUCCESSFULLY\n"), Main::Returned);
        let decoupled =
            "Application completed SUCCESSFULLY (decoupled from job results)\nApplication CANCELED:\n";
        assert_eq!(Main::parse(decoupled), Main::Returned);
        let trace = "java.util.concurrent.CompletionException: java.lang.IllegalStateException: after the job\n\tat a.B.c(D.java:1)\n\
                     Caused by: java.lang.IllegalStateException: after the job\n\tat e.F.g(H.java:2)";
        let Main::Threw(failure) = Main::parse(&format!("Application failed unexpectedly: \n{trace}\n"))
        else {
            panic!()
        };
        assert!(failure.cause.contains("after the job"), "{}", failure.cause);
        assert_eq!(failure.trace, trace);
        assert!(
            matches!(Main::parse("Application CANCELED:\n"), Main::Threw(failure) if failure.cause == "CANCELED:")
        );
    }

    #[test]
    fn without_a_file_nobody_tells() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Main::read(&dir.path().join("jm-0.1.main")).unwrap(), Main::Untold);
    }
}
