//! What is left of a test: processes, and the last lines of logs.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use kobel_plan::Launch;
use procfs::process::{Process, all_processes};

/// A process of ours that still runs.
pub(crate) struct Left {
    pub(crate) pid: i32,
    command: String,
}

impl fmt::Debug for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.pid, self.command)
    }
}

/// Processes whose environment or command line names this directory: workers by their marker, agents
/// and clients by their arguments.
pub(crate) fn processes_of(dir: &Path) -> Vec<Left> {
    let me = std::process::id() as i32;
    let of_ours = |process: Process| -> Option<Left> {
        if process.pid == me || process.stat().ok()?.state == 'Z' {
            return None;
        }
        let command = process.cmdline().unwrap_or_default().join(" ");
        let marked = process.environ().ok().is_some_and(|env| {
            let names = |value: &std::ffi::OsString| Path::new(value).starts_with(dir);
            env.iter().any(|(key, value)| key == Launch::MARKER && names(value))
        });
        let argued = command.contains(dir.to_str().unwrap_or("\0"));
        (marked || argued).then_some(Left { pid: process.pid, command })
    };
    all_processes().into_iter().flatten().filter_map(Result::ok).filter_map(of_ours).collect()
}

/// The last lines of every log below a directory.
pub(crate) fn log_tails(dir: &Path, lines: usize) -> String {
    let mut text = String::new();
    for file in files_below(dir) {
        let is_log =
            file.extension().is_some_and(|e| ["log", "out", "err", "stderr"].iter().any(|l| e == *l));
        let content = String::from_utf8_lossy(&fs::read(&file).unwrap_or_default()).into_owned();
        if is_log && !content.is_empty() {
            let all: Vec<&str> = content.lines().collect();
            let tail = &all[all.len().saturating_sub(lines)..];
            text += &format!("--- {}\n{}\n", file.display(), tail.join("\n"));
        }
    }
    text
}

/// Every regular file below a directory.
pub(crate) fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files_below(&entry.path())),
            Ok(kind) if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
    found.sort();
    found
}
