//! Case numbers are those of reference/reliability.md, section 3.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

use super::{Kobel, assert_misuse};

/// Case 1.
#[test]
fn an_unknown_verb_or_flag_is_answered_with_the_nearest() {
    let kobel = Kobel::new();
    assert_misuse(&kobel.run(["strat"]), &["strat", "start"]);
    assert_misuse(&kobel.run(["start", "--slot", "1"]), &["--slot", "--slots"]);
    assert_misuse(&kobel.run::<&str>([]), &["Usage: kobel"]);
}

/// Case 2.
#[test]
fn numbers_out_of_range_are_answered_with_the_range() {
    let kobel = Kobel::new();
    for slots in ["0", "-1", "1000000000"] {
        assert_misuse(&kobel.run(["start", "--slots", slots]), &["--slots", "1..=1000"]);
    }
    for slots in ["1e9", "abc", ""] {
        assert_misuse(&kobel.run(["start", "--slots", slots]), &["--slots <N>"]);
    }
    assert_misuse(&kobel.run(["start", "--tm", "-1"]), &["--tm", "0..=1000"]);
    assert_misuse(&kobel.run(["start", "--max-tm", "1001"]), &["--max-tm", "0..=1000"]);
    assert_misuse(&kobel.run(["run", "-p", "0", "x.jar"]), &["--parallelism", "1..=32768"]);
}

/// Case 3.
#[test]
fn bad_memory_is_answered_with_examples() {
    let kobel = Kobel::new();
    for flag in ["--tm-mem", "--jm-mem"] {
        for size in ["1.5.g", "-1g", "99999t", "10", "0g", "", "99999999999999999999t"] {
            assert_misuse(&kobel.run(["start", flag, size]), &[flag, "write it as 800m"]);
        }
    }
}

/// Case 5.
#[test]
fn a_bad_name_is_answered_with_what_a_name_is() {
    let kobel = Kobel::new();
    let long = "x".repeat(300);
    for name in ["a/b", "..", "a\nb", long.as_str(), "", ".hidden", "ä", "a b"] {
        for verb in ["start", "status", "stop", "kill", "rm", "logs", "wait"] {
            assert_misuse(&kobel.run([verb, name]), &["1 to 63 letters"]);
        }
    }
    assert_misuse(&kobel.run(["start", "-x"]), &["-x"]);
    assert_misuse(&kobel.run(["start", "--", "-x"]), &["1 to 63 letters"]);
}

/// Case 6.
#[test]
fn an_argument_that_is_not_utf_8_is_shown_escaped() {
    let bad = OsStr::from_bytes(b"a\xff\x1b[2J");
    assert_misuse(&Kobel::new().run([OsStr::new("start"), bad]), &[r"'a\xff\u{1b}[2J' is not UTF-8"]);
}

/// Case 7.
#[test]
fn an_unknown_provider_is_answered_with_those_there_are() {
    assert_misuse(&Kobel::new().run(["start", "--on", "foo"]), &["foo", "local, hosts, yarn"]);
}

#[test]
fn a_provider_that_is_not_here_yet_is_named() {
    let ran = Kobel::new().run(["start", "--on", "hosts"]);
    assert_eq!(ran.code, Some(5), "{ran:?}");
    assert!(ran.stderr.contains("hosts"), "{ran:?}");
}

/// Case 9.
#[test]
fn an_option_of_flinks_needs_a_key_and_a_value() {
    let kobel = Kobel::new();
    assert_misuse(&kobel.run(["start", "-Dkey"]), &["-D", "'='"]);
    assert_misuse(&kobel.run(["start", "-D", "=v"]), &["-D", "no key"]);
    assert_misuse(&kobel.run(["start", "-D"]), &["-D"]);
}

#[test]
fn bad_values_never_echo_a_password() {
    let ran = Kobel::new().run(["start", "-D", "s3.secret key=hunter2"]);
    assert_eq!(ran.code, Some(2));
    assert!(!ran.stderr.contains("hunter2"), "{ran:?}");
}

#[test]
fn conditions_durations_formats_and_job_ids_are_checked() {
    let kobel = Kobel::new();
    assert_misuse(&kobel.run(["wait", "--for", "redy"]), &["ready, stopped or job=ID:finished"]);
    assert_misuse(&kobel.run(["wait", "--timeout", "5"]), &["30s"]);
    assert_misuse(&kobel.run(["ps", "-o", "xml"]), &["table, wide, json, yaml, name"]);
    assert_misuse(&kobel.run(["job", "cancel", "12"]), &["32 hexadecimal digits"]);
    assert_misuse(&kobel.run(["run"]), &["JAR"]);
    assert_misuse(&kobel.run(["start", "--attach", "--no-wait"]), &["--no-wait"]);
    assert_misuse(&kobel.run(["logs", "--jm", "--agent"]), &["cannot be used with"]);
}

/// Case 66: Flink would ignore what it does not know, and run the job.
#[test]
fn what_a_job_starts_from_and_how_is_checked_here() {
    let kobel = Kobel::new();
    assert_misuse(&kobel.run(["run", "--from", "newest", "x.jar"]), &["newest", "latest"]);
    assert_misuse(
        &kobel.run(["run", "--from", "latest", "-s", "/s", "x.jar"]),
        &["--from", "--from-savepoint"],
    );
    assert_misuse(&kobel.run(["run", "--claim-mode", "claim", "x.jar"]), &["--from-savepoint", "--from"]);
    assert_misuse(&kobel.run(["run", "-s", "/s", "--claim-mode", "clam", "x.jar"]), &["clam", "claim"]);
    assert_misuse(&kobel.run(["run", "--allow-non-restored-state", "x.jar"]), &["--from-savepoint"]);
    assert_misuse(&kobel.run(["stop", "--drain"]), &["--savepoint"]);
    assert_misuse(&kobel.run(["job", "stop", &"0".repeat(33)]), &["32 hexadecimal digits"]);
    assert_misuse(&kobel.run(["job", "savepoint", "x/../y"]), &["32 hexadecimal digits"]);
}
