//! How a container ended: YARN's exit statuses by name (`ContainerExitStatus`, `ExitCode`).

use std::fmt;

use super::AttemptId;

/// What a ResourceManager that was started anew puts before what it had noted, without so much as a blank
/// (`RMAppAttemptImpl`).
const RECOVERED: &str = "Attempt recovered after RM restart";

/// How a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContainerExit {
    /// Its process exited with this code; 128 and a signal's number where a signal ended it.
    Code(i32),
    /// It was never started: its files could not be brought to the node, or its launch failed before.
    NeverLaunched,
    /// Released before it started, or lost with its node, or over with its attempt.
    Aborted,
    /// The node's disks failed.
    DisksFailed,
    /// The scheduler took it back for somebody else.
    Preempted,
    /// It used more virtual memory than allowed.
    OverVirtualMemory,
    /// It used more memory than allowed.
    OverMemory,
    /// The master stopped it.
    StoppedByMaster,
    /// The ResourceManager had it killed.
    KilledByResourceManager,
    /// It was killed since its application was over.
    ApplicationOver,
    /// The node's own scheduler killed it (an opportunistic container).
    KilledByNodeScheduler,
    /// It wrote more logs than allowed.
    TooManyLogs,
    /// The NodeManager came back and found no trace of how it had ended.
    Lost,
    /// A status that this program does not know.
    Unknown(i32),
}

impl ContainerExit {
    /// Reads YARN's number.
    pub fn from_status(status: i32) -> Self {
        match status {
            154 => Self::Lost,
            0.. => Self::Code(status),
            -1000 => Self::NeverLaunched,
            -100 => Self::Aborted,
            -101 => Self::DisksFailed,
            -102 => Self::Preempted,
            -103 => Self::OverVirtualMemory,
            -104 => Self::OverMemory,
            -105 => Self::StoppedByMaster,
            -106 => Self::KilledByResourceManager,
            -107 => Self::ApplicationOver,
            -108 => Self::KilledByNodeScheduler,
            -109 => Self::TooManyLogs,
            other => Self::Unknown(other),
        }
    }

    /// YARN's number.
    pub fn status(self) -> i32 {
        match self {
            Self::Code(status) | Self::Unknown(status) => status,
            Self::Lost => 154,
            Self::NeverLaunched => -1000,
            Self::Aborted => -100,
            Self::DisksFailed => -101,
            Self::Preempted => -102,
            Self::OverVirtualMemory => -103,
            Self::OverMemory => -104,
            Self::StoppedByMaster => -105,
            Self::KilledByResourceManager => -106,
            Self::ApplicationOver => -107,
            Self::KilledByNodeScheduler => -108,
            Self::TooManyLogs => -109,
        }
    }

    /// The signal that ended its process, as a shell tells it.
    pub fn signal(self) -> Option<i32> {
        match self {
            Self::Code(code @ 129..=192) => Some(code - 128),
            _ => None,
        }
    }

    /// How the container of this attempt's master ended, by what the ResourceManager says of the attempt; none if that
    /// tells of another end: the attempt was failed by somebody, went silent or never came to run.
    ///
    /// The ResourceManager's words begin so (`RMAppAttemptImpl`). Where they were cut, the beginning is what is missing.
    pub fn of_master(attempt: AttemptId, diagnostics: &str) -> Option<Self> {
        let words = diagnostics.trim_start_matches(RECOVERED);
        let rest = words.strip_prefix("AM Container for ")?.strip_prefix(&attempt.to_string())?;
        let line = rest.strip_prefix(" exited with ")?.lines().next()?;
        let status = line.trim_start().strip_prefix("exitCode: ")?.trim_end();
        status.parse().ok().map(Self::from_status)
    }

    /// Whether a live NodeManager has seen the process end. The others come from the ResourceManager
    /// alone, and the process may still be running somewhere.
    pub fn seen_by_the_node(self) -> bool {
        matches!(
            self,
            Self::Code(_)
                | Self::OverVirtualMemory
                | Self::OverMemory
                | Self::StoppedByMaster
                | Self::TooManyLogs
                | Self::KilledByNodeScheduler
        )
    }
}

impl fmt::Display for ContainerExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Code(code) => match self.signal() {
                Some(9) => return f.write_str("killed (SIGKILL)"),
                Some(15) => return f.write_str("terminated (SIGTERM)"),
                Some(signal) => return write!(f, "ended by signal {signal}"),
                None => return write!(f, "exited with code {code}"),
            },
            Self::NeverLaunched => "was never launched",
            Self::Aborted => "was released, or lost with its node",
            Self::DisksFailed => "ended because the node's disks failed",
            Self::Preempted => "was preempted",
            Self::OverVirtualMemory => "was killed for using more virtual memory than allowed",
            Self::OverMemory => "was killed for using more memory than allowed",
            Self::StoppedByMaster => "was stopped by its ApplicationMaster",
            Self::KilledByResourceManager => "was killed by the ResourceManager",
            Self::ApplicationOver => "was killed at the end of its application",
            Self::KilledByNodeScheduler => "was killed by the node's scheduler",
            Self::TooManyLogs => "was killed for writing more logs than allowed",
            Self::Lost => "ended while its NodeManager was down",
            Self::Unknown(status) => return write!(f, "ended with YARN's status {status}"),
        };
        f.write_str(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn exits_are_told_in_words() {
        assert_eq!(ContainerExit::from_status(1).to_string(), "exited with code 1");
        assert_eq!(ContainerExit::from_status(137).to_string(), "killed (SIGKILL)");
        assert_eq!(ContainerExit::from_status(-102), ContainerExit::Preempted);
        assert_eq!(ContainerExit::from_status(154), ContainerExit::Lost);
    }

    #[test]
    fn only_what_a_node_saw_proves_that_a_process_ended() {
        for status in [0, 1, 137, 143, -103, -104, -105] {
            assert!(ContainerExit::from_status(status).seen_by_the_node(), "{status}");
        }
        for status in [-100, -102, -106, -107, -1000, 154, -7] {
            assert!(!ContainerExit::from_status(status).seen_by_the_node(), "{status}");
        }
    }

    fn attempt(number: i32) -> AttemptId {
        format!("appattempt_1_0001_{number:06}").parse().unwrap()
    }

    #[test]
    fn of_an_attempt_only_the_words_on_its_own_masters_exit_are_read() {
        let exited = |status: &str| {
            format!(
                "AM Container for appattempt_1_0001_000001 exited with  exitCode: {status}\nFailing this \
                 attempt.Diagnostics: [2026-11-22 01:00:00.000]Container killed on request. Exit code is 137\n"
            )
        };
        let none = [
            "",
            "N/A",
            "ApplicationMaster for attempt appattempt_1_0001_000001 timed out",
            "Attempt failed by user.Exit code is 137",
            "Diagnostic messages truncated, showing last 65536 chars out of 65600:\nAM Container for \
             appattempt_1_0001_000001 exited with  exitCode: 137",
            "AM Container for appattempt_1_0001_0000011 exited with  exitCode: 137",
            "AM Container for appattempt_1_0001_000001 exited with  exitCode:",
            "AM Container for appattempt_1_0001_000001 exited with ",
        ];
        let mut table: Vec<_> = none.map(|text| (text.to_string(), None)).into();
        let statuses =
            [("137", 137), ("0", 0), ("154", 154), ("-100", -100), ("-106", -106), ("-1000", -1000)];
        table.extend(statuses.map(|(text, status)| (exited(text), Some(ContainerExit::from_status(status)))));
        table.extend(["13 7", "x", "1e2", "99999999999", ""].map(|text| (exited(text), None)));
        for (text, exit) in table {
            assert_eq!(ContainerExit::of_master(attempt(1), &text), exit, "{text}");
        }
        assert_eq!(ContainerExit::of_master(attempt(2), &exited("137")), None, "another attempt");
        let recovered = format!("{RECOVERED}{RECOVERED}{}", exited("137"));
        assert_eq!(ContainerExit::of_master(attempt(1), &recovered), Some(ContainerExit::Code(137)));
    }

    proptest! {
        #[test]
        fn any_text_is_an_exit_or_none(text in "(AM Container for |appattempt_1_0001_000001| exited with |exitCode: |-?[0-9]{1,12}|.){0,8}") {
            let exit = ContainerExit::of_master(attempt(1), &text);
            prop_assert!(exit.is_none_or(|exit| text.contains(&exit.status().to_string())));
        }

        #[test]
        fn every_status_round_trips(status: i32) {
            prop_assert_eq!(ContainerExit::from_status(status).status(), status);
        }

        #[test]
        fn small_statuses_round_trip(status in -1100..300) {
            prop_assert_eq!(ContainerExit::from_status(status).status(), status);
        }
    }
}
