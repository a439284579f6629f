//! Streams that are closed, full or no terminal. Case 11 of reference/reliability.md, section 3.

use std::{
    fs::{File, OpenOptions},
    process::Stdio,
};

use super::Kobel;

/// The writing end of a pipe that nobody reads.
fn nobody() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[test]
fn a_reader_that_left_is_no_error() {
    let kobel = Kobel::new();
    for args in
        [&["--help"][..], &["ps", "-q", "-o", "json"], &["version"], &["completions", "bash"], &["man"]]
    {
        let output = kobel.command(args).stdout(nobody()).output().unwrap();
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{args:?}");
        assert_eq!(output.status.code(), Some(0), "{args:?}");
    }
}

#[test]
fn nobody_at_stderr_changes_no_exit_code() {
    let kobel = Kobel::new();
    for (args, code) in [(&["stop", "nope"][..], 4), (&["strat"], 2), (&["ps"], 0)] {
        let output = kobel.command(args).stderr(nobody()).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}");
    }
}

#[test]
fn a_full_disk_is_an_error() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = Kobel::new().command(["version"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("cannot write to the standard output"));
}

#[test]
fn colour_is_where_it_was_asked_for() {
    let kobel = Kobel::new();
    let stderr = |args: &[&str], no_color: &str| {
        let output = kobel.command(args).env("NO_COLOR", no_color).env("TERM", "dumb").output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(!stderr(&["stop", "nope"], "").contains('\u{1b}'), "a pipe is no terminal");
    assert!(stderr(&["stop", "nope", "--color", "always"], "").contains('\u{1b}'));
    assert!(!stderr(&["stop", "nope", "--color", "never"], "1").contains('\u{1b}'));
}

#[test]
fn a_closed_stdin_is_no_error() {
    let kobel = Kobel::new();
    let null = File::open("/dev/null").unwrap();
    assert_eq!(kobel.command(["ps"]).stdin(null).status().unwrap().code(), Some(0));
}
