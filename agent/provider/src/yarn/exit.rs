//! Why a container is over, in the words that every provider uses.

use kobel_hadoop_rpc::yarn::{Completed, ContainerExit};
use kobel_plan::{Death, Exit};

use crate::exec::WORDS;

/// The true cause as far as YARN tells it.
pub(super) fn of_container(completed: &Completed) -> Exit {
    let told = || match completed.diagnostics.trim() {
        "" => completed.exit.to_string(),
        diagnostics => diagnostics.to_string(),
    };
    match completed.exit {
        ContainerExit::Code(code) => match (completed.exit.signal(), last_words(&completed.diagnostics)) {
            (Some(signal), _) => Exit::Signal(signal),
            (None, Some(words)) => Exit::Failed { code, words },
            (None, None) => Exit::Code(code),
        },
        ContainerExit::OverMemory | ContainerExit::OverVirtualMemory => Exit::OutOfMemory,
        ContainerExit::Preempted => Exit::Preempted,
        // -100 without our asking: the ResourceManager lost the node. The process may be alive.
        ContainerExit::Aborted | ContainerExit::Lost => Exit::NodeLost,
        ContainerExit::NeverLaunched => Exit::LaunchFailed { diagnostics: told() },
        _ => Exit::Unknown(told()),
    }
}

/// What an exit of a container proves. A code comes from the node's manager alone, and is that of `kobel exec`, at
/// whose end, whichever it was, the kernel kills what it has on its leash. All else is decided or guessed elsewhere.
pub(super) fn death(exit: &Exit) -> Death {
    let status = match exit {
        Exit::Code(code) | Exit::Failed { code, .. } => *code,
        Exit::Signal(signal) => 128 + signal,
        _ => return Death::Unproven,
    };
    Death::Container { status, node_alive: true }
}

/// What `kobel exec` said last: the node hands on the end of what was written to a file called `*stderr*`
/// (`yarn.nodemanager.container.stderr.pattern`).
fn last_words(diagnostics: &str) -> Option<String> {
    let words = diagnostics.lines().rev().find_map(|line| line.trim().strip_prefix(WORDS))?;
    Some(words.to_string())
}

#[cfg(test)]
mod tests {
    use kobel_hadoop_rpc::yarn::{ApplicationId, AttemptId, ContainerId};

    use super::*;

    fn of(status: i32, diagnostics: &str) -> Exit {
        let application = ApplicationId { cluster_timestamp: 1, number: 1 };
        let id = ContainerId { attempt: AttemptId { application, number: 1 }, id: 2 };
        let exit = ContainerExit::from_status(status);
        of_container(&Completed { id, exit, diagnostics: diagnostics.into() })
    }

    #[test]
    fn yarns_numbers_are_told_truly() {
        let told = |text: &str| Exit::Unknown(text.into());
        let table = [
            (0, Exit::Code(0)),
            (1, Exit::Code(1)),
            (128, Exit::Code(128)),
            (137, Exit::Signal(9)),
            (143, Exit::Signal(15)),
            (154, Exit::NodeLost),
            (239, Exit::Code(239)),
            (-1000, Exit::LaunchFailed { diagnostics: "was never launched".into() }),
            (-100, Exit::NodeLost),
            (-101, told("ended because the node's disks failed")),
            (-102, Exit::Preempted),
            (-103, Exit::OutOfMemory),
            (-104, Exit::OutOfMemory),
            (-105, told("was stopped by its ApplicationMaster")),
            (-106, told("was killed by the ResourceManager")),
            (-107, told("was killed at the end of its application")),
            (-108, told("was killed by the node's scheduler")),
            (-109, told("was killed for writing more logs than allowed")),
            (-4711, told("ended with YARN's status -4711")),
        ];
        for (status, exit) in table {
            assert_eq!(of(status, " \n"), exit, "{status}");
        }
    }

    #[test]
    fn only_a_code_that_its_node_told_proves_a_death() {
        for status in [0, 1, 128, 137, 143, 239, 255] {
            let death = death(&of(status, ""));
            assert_eq!((death, death.is_proven()), (Death::Container { status, node_alive: true }, true));
        }
        let decided = [154, 256, -1000, -100, -101, -102, -103, -104, -105, -106, -107, -108, -109, -4711];
        assert!(decided.iter().all(|status| !death(&of(*status, "")).is_proven()));
        assert!(!death(&Exit::Released).is_proven());
    }

    #[test]
    fn yarns_own_words_come_first() {
        let words = "File does not exist: hdfs://nn/kobel";
        assert_eq!(of(-1000, words), Exit::LaunchFailed { diagnostics: words.into() });
        assert_eq!(of(-106, words), Exit::Unknown(words.into()));
    }

    #[test]
    fn of_a_process_that_failed_its_last_words_are_told() {
        let diagnostics = "[2026-11-21 12:00:00.000]Exception from container-launch.\nExit code: 1\n\n\
            Last 4096 bytes of prelaunch.err :\nLast 4096 bytes of kobel.stderr :\n\
            kobel: Unrecognized option: -Xfoo (tm-0.1.err)\n\n\n";
        let words = "Unrecognized option: -Xfoo (tm-0.1.err)".into();
        assert_eq!(of(1, diagnostics), Exit::Failed { code: 1, words });
        assert_eq!(of(137, diagnostics), Exit::Signal(9));
        assert_eq!(of(1, "Exit code: 1"), Exit::Code(1));
    }
}
