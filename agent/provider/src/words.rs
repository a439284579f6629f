//! A dead worker's last words: the line of its logs that best says why it died.

use std::path::Path;

use kobel_conf::file::file_end;
use kobel_plan::{Attempt, WorkerId};

/// Of a log's end, so much is looked at.
const TAIL: u64 = 64 << 10;
/// A longer line is cut: a reason is one line.
const LONGEST: usize = 300;

/// The line, and the name of the file it stands in, of those that this attempt left in the directory of logs.
pub fn last_words(log_dir: &Path, id: WorkerId, attempt: Attempt) -> Option<(String, String)> {
    let name = id.attempt_name(attempt);
    // What the JVM itself complains of goes to standard error, before any logging.
    let from_jvm = || tail(log_dir, format!("{name}.err"), of_stderr);
    // But for what keeps it from starting at all once it has read its options.
    let unstarted = || tail(log_dir, format!("{name}.out"), of_stdout);
    tail(log_dir, format!("{name}.log"), of_log).or_else(from_jvm).or_else(unstarted)
}

fn tail(log_dir: &Path, file: String, find: fn(&str) -> Option<&str>) -> Option<(String, String)> {
    let (_, bytes) = file_end(&log_dir.join(&file), TAIL).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let line: String = find(&text)?.trim().chars().take(LONGEST).collect();
    Some((line, file))
}

/// Of a log4j log with stack traces: the innermost cause of the last one, else the last line of
/// level ERROR.
fn of_log(text: &str) -> Option<&str> {
    let cause = text.lines().rev().find_map(|line| line.trim_start().strip_prefix("Caused by: "));
    cause.or_else(|| text.lines().rev().find(|line| line.contains(" ERROR ") || line.contains(" FATAL ")))
}

/// Of standard error: the first line that is no remark. "Could not create the Java Virtual Machine"
/// and the like come after the line that says why.
fn of_stderr(text: &str) -> Option<&str> {
    const REMARKS: [&str; 4] = ["Picked up ", "NOTE: ", "WARNING: ", "SLF4J: "];
    let remark = |line: &&str| REMARKS.iter().any(|r| line.starts_with(r)) || line.contains(" warning: ");
    text.lines().find(|line| !line.trim().is_empty() && !remark(line))
}

/// Of standard output: the line in which the JVM says why it did not start. The rest is the program's.
fn of_stdout(text: &str) -> Option<&str> {
    let (_, said) = text.split_once("Error occurred during initialization of VM\n")?;
    said.lines().find(|line| !line.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_jvms_complaint_is_found() {
        let tmp = tempfile::tempdir().unwrap();
        let err = "Picked up JDK_JAVA_OPTIONS: -Dx\nOpenJDK 64-Bit Server VM warning: old\n\
                   Unrecognized option: -Xfoo\nError: Could not create the Java Virtual Machine.\n";
        std::fs::write(tmp.path().join("jm-0.2.err"), err).unwrap();
        let found = last_words(tmp.path(), WorkerId::jm(0), Attempt::FIRST.next());
        assert_eq!(found, Some(("Unrecognized option: -Xfoo".into(), "jm-0.2.err".into())));
        assert_eq!(last_words(tmp.path(), WorkerId::jm(0), Attempt::FIRST), None);
        let out = "Error occurred during initialization of VM\nToo small maximum heap\n";
        std::fs::write(tmp.path().join("tm-0.1.out"), out).unwrap();
        let found = last_words(tmp.path(), WorkerId::tm(0), Attempt::FIRST);
        assert_eq!(found, Some(("Too small maximum heap".into(), "tm-0.1.out".into())));
        assert_eq!(of_stdout("a word\n"), None, "the program's own");
    }

    #[test]
    fn the_innermost_cause_of_a_trace_is_found() {
        let tmp = tempfile::tempdir().unwrap();
        let log = "10:00 INFO  a.b starting\n10:00 ERROR a.b could not start\njava.lang.A: outer\n\tat x\n\
                   Caused by: java.lang.B: middle\n\tat y\nCaused by: java.net.BindException: in use\n\tat z\n";
        std::fs::write(tmp.path().join("jm-0.1.log"), log).unwrap();
        let found = last_words(tmp.path(), WorkerId::jm(0), Attempt::FIRST);
        assert_eq!(found, Some(("java.net.BindException: in use".into(), "jm-0.1.log".into())));
    }

    #[test]
    fn a_quiet_log_says_nothing() {
        assert_eq!(of_log("10:00 INFO  a.b fine\n"), None);
        assert_eq!(of_stderr("\n"), None);
    }
}
