//! The command line as scripts and people meet it: the built program, its output and exit codes.
//! Nothing here needs Flink or Java.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bad_files;
mod bad_input;
mod clusters;
mod flink_script;
mod help;
mod machine;
mod output;
mod streams;
mod yarn;

use std::{
    ffi::OsStr,
    path::Path,
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// kobel in an environment that holds nothing but a home of its own.
struct Kobel {
    home: TempDir,
}

/// What one invocation did.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Kobel {
    fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap() }
    }

    fn home(&self) -> &Path {
        self.home.path()
    }

    fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kobel"));
        command.args(args).env_clear().env("HOME", self.home()).stdin(Stdio::null());
        command
    }

    fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ran {
        finish(&mut self.command(args))
    }
}

fn finish(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let ran = Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) };
    assert!(!ran.stderr.contains("panicked"), "{ran:?}");
    ran
}

/// Fails unless the command line was refused as misused, with this text on stderr and nothing on stdout.
#[track_caller]
fn assert_misuse(ran: &Ran, says: &[&str]) {
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{ran:?}");
    for text in says {
        assert!(ran.stderr.contains(text), "{text:?} is not in:\n{}", ran.stderr);
    }
}
