//! How the program's `main` ended, from a log file that holds nothing else.
//!
//! A job that is over says nothing of the `main` that submitted it: it may still print what it collected. Flink's
//! REST API does not tell of it either before 2.3; but whoever runs it (`ApplicationDispatcherBootstrap`, from Flink 2.3 on
//! `PackagedProgramApplication`) logs its end ([`crate::own_log::MAIN`]).
//!
//! Nor does Flink say of a program with several jobs that it ran only one: where each has an environment of its own, the
//! second `execute()` is given the first one's job, as if that had been recovered (`EmbeddedExecutor`).

use std::{collections::BTreeSet, io, path::Path};

use kobel_conf::file::file_end;
use kobel_plan::job::Failure;

use crate::rest::failure;

/// What stands at the beginning of the line of a job that `main` submitted, or was given; its id follows.
const JOB: &str = "Job ";
/// What stands at the beginning of the line of its end.
const APPLICATION: &str = "Application ";
/// What follows when it ended well.
const COMPLETED: &str = "completed";
/// What follows when it was broken off, as with a job that was canceled.
const BROKEN_OFF: [&str; 3] = ["CANCELED", "has been cancelled", "execution is canceled"];
/// Flink's words for a second job of a program whose job has an id before it runs (`StreamContextEnvironment`).
const MORE: &str = "Cannot have more than ";
/// What is wrong with such a program.
const SEVERAL: &str = "it has several jobs, of which a cluster of its own runs only the first";
/// Larger traces are cut.
const MOST: u64 = 256 << 10;

/// How `main` stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Main {
    /// It has not ended.
    Runs,
    /// It returned.
    Returned,
    /// It threw, or returned without all of its jobs.
    Threw(Thrown),
    /// It was broken off, which may be what its job's end does to it.
    BrokenOff(Failure),
    /// Nobody tells: its logging is not log4j's.
    Untold,
}

/// What the program failed of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thrown {
    /// As a person reads it.
    pub failure: Failure,
    /// Whether that is its having several jobs: every JobManager would fail it for that.
    pub has_several_jobs: bool,
}

impl From<Failure> for Thrown {
    fn from(failure: Failure) -> Self {
        Self { failure, has_several_jobs: false }
    }
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
            Some(_) if end.starts_with(COMPLETED) && is_one_given_twice(&text[..start]) => {
                let failure = Failure { cause: SEVERAL.into(), trace: String::new() };
                Self::Threw(Thrown { failure, has_several_jobs: true })
            }
            Some(_) if end.starts_with(COMPLETED) => Self::Returned,
            Some((words, trace)) => {
                let told = if trace.trim().is_empty() { words } else { trace };
                let failure = failure(told.trim_end().into());
                let broken_off = BROKEN_OFF.iter().any(|beginning| words.starts_with(beginning));
                if broken_off { Self::BrokenOff(failure) } else { Self::Threw(thrown(failure)) }
            }
        }
    }
}

/// Whether a job is told of for the second time.
fn is_one_given_twice(text: &str) -> bool {
    let mut known = BTreeSet::new();
    let ids = text.lines().filter_map(|line| line.strip_prefix(JOB)?.split(' ').next());
    ids.into_iter().any(|id| !known.insert(id))
}

/// Flink says of a program with several jobs only what it refuses.
fn thrown(failure: Failure) -> Thrown {
    if !failure.cause.starts_with(MORE) {
        return failure.into();
    }
    let failure = Failure { cause: format!("{SEVERAL} ({})", failure.cause), ..failure };
    Thrown { failure, has_several_jobs: true }
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
        let Main::Threw(thrown) = Main::parse(&format!("Application failed unexpectedly: \n{trace}\n"))
        else {
            panic!()
        };
        assert!(!thrown.has_several_jobs && thrown.failure.cause.contains("after the job"), "{thrown:?}");
        assert_eq!(thrown.failure.trace, trace);
        assert!(
            matches!(Main::parse("Application CANCELED:\n"), Main::BrokenOff(failure) if failure.cause == "CANCELED:")
        );
    }

    #[test]
    fn a_program_with_several_jobs_is_told_as_that() {
        let refused = "Application failed unexpectedly: \norg.apache.flink.X: Could not execute application.\n\
                       Caused by: org.apache.flink.Y: Cannot have more than one execute() call in a single environment.\n";
        let Main::Threw(thrown) = Main::parse(refused) else { panic!() };
        assert!(thrown.has_several_jobs && thrown.failure.cause.starts_with(SEVERAL), "{thrown:?}");
        assert!(thrown.failure.cause.contains("one execute() call"), "{thrown:?}");

        let (ran, given) = ("Job 0a is submitted.\n", "Job 0a was recovered successfully.\n");
        let completed = "Application completed SUCCESSFULLY\n";
        let ends = |jobs: [&str; 2]| Main::parse(&format!("{}{completed}", jobs.concat()));
        assert!(matches!(ends([ran, given]), Main::Threw(thrown) if thrown.has_several_jobs));
        // A job that another JobManager had, and batch jobs of Flink 2, which have ids of their own.
        assert_eq!(ends([given, ""]), Main::Returned);
        assert_eq!(ends([ran, "Job 0b is submitted.\n"]), Main::Returned);
        assert_eq!(Main::parse(&format!("{ran}{given}")), Main::Runs);
    }

    #[test]
    fn without_a_file_nobody_tells() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Main::read(&dir.path().join("jm-0.1.main")).unwrap(), Main::Untold);
    }
}
