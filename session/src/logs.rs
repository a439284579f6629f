//! A cluster's log files, those of processes that are gone too: which there are, their last lines,
//! and what is appended to them.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use kobel_plan::{Attempt, Role, WorkerId};

use crate::fsx;

/// Whose file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The agent's.
    Agent,
    /// A process's of a worker.
    Worker(WorkerId, Attempt),
}

/// What is written to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stream {
    /// What it logs.
    Log,
    /// Its standard output.
    Out,
    /// Its standard error.
    Err,
}

impl Stream {
    /// The extension of such a file.
    pub fn extension(self) -> &'static str {
        match self {
            Stream::Log => "log",
            Stream::Out => "out",
            Stream::Err => "err",
        }
    }

    fn of_extension(text: &str) -> Option<Self> {
        [Stream::Log, Stream::Out, Stream::Err].into_iter().find(|s| s.extension() == text)
    }
}

/// A log file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogFile {
    /// Whose.
    pub source: Source,
    /// What.
    pub stream: Stream,
    /// Where.
    pub path: PathBuf,
}

impl LogFile {
    /// The file of a worker's process.
    pub fn of_worker(log_dir: &Path, id: WorkerId, attempt: Attempt, stream: Stream) -> Self {
        let name = format!("{}.{}", id.attempt_name(attempt), stream.extension());
        Self { source: Source::Worker(id, attempt), stream, path: log_dir.join(name) }
    }

    /// Its name, `tm-0.1.out`, by which lines of several files are told apart.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Whether a log file could be called this, without a directory.
    pub(crate) fn is_name(name: &str) -> bool {
        Self::stream_of_name(name).is_some()
    }

    /// What is in a log file that is called this, if one could be.
    pub(crate) fn stream_of_name(name: &str) -> Option<Stream> {
        Self::parse(name.into()).filter(|file| file.name() == name).map(|file| file.stream)
    }

    fn parse(path: PathBuf) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let (stem, extension) = name.rsplit_once('.')?;
        let stream = Stream::of_extension(extension)?;
        let source = match stem {
            "agent" => Source::Agent,
            _ => WorkerId::parse_attempt_name(stem).map(|(id, attempt)| Source::Worker(id, attempt)).ok()?,
        };
        Some(Self { source, stream, path })
    }
}

/// Which files are asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Which {
    /// Of every worker's latest process.
    #[default]
    Latest,
    /// Of every process that ever was, and the agent.
    All,
    /// The agent's.
    Agent,
    /// Of all processes of a role.
    Role(Role),
    /// Of all processes of one worker.
    Worker(WorkerId),
}

impl Which {
    fn takes(self, source: Source) -> bool {
        match (self, source) {
            (Which::All, _) | (Which::Agent, Source::Agent) | (Which::Latest, Source::Worker(..)) => true,
            (Which::Role(role), Source::Worker(id, _)) => id.role == role,
            (Which::Worker(wanted), Source::Worker(id, _)) => id == wanted,
            _ => false,
        }
    }
}

/// The log files that are there, those of the agent first, then by worker and attempt.
pub fn list(log_dir: &Path, which: Which) -> io::Result<Vec<LogFile>> {
    let entries = match std::fs::read_dir(log_dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut files = Vec::new();
    for entry in entries {
        files.extend(LogFile::parse(entry?.path()).filter(|f| which.takes(f.source)));
    }
    files.sort();
    if which == Which::Latest {
        let latest: BTreeMap<WorkerId, Attempt> = files.iter().filter_map(worker_of).collect();
        files.retain(|f| worker_of(f).is_none_or(|(id, attempt)| latest.get(&id) == Some(&attempt)));
    }
    Ok(files)
}

fn worker_of(file: &LogFile) -> Option<(WorkerId, Attempt)> {
    match file.source {
        Source::Agent => None,
        Source::Worker(id, attempt) => Some((id, attempt)),
    }
}

/// The last lines of a file, read from its end, and how far that was.
pub fn tail(path: &Path, lines: usize) -> io::Result<(Vec<String>, u64)> {
    const BLOCK: u64 = 64 << 10;
    let file = File::open(path)?;
    let end = file.metadata()?.len();
    let (mut from, mut text) = (end, Vec::new());
    // One line break more than lines: the one before the first of them.
    while from > 0 && bytecount(&text) <= lines {
        let start = from.saturating_sub(BLOCK);
        let mut block = vec![0; (from - start) as usize];
        file.read_exact_at(&mut block, start)?;
        block.append(&mut text);
        (from, text) = (start, block);
    }
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    let last = &all[all.len().saturating_sub(lines)..];
    Ok((last.iter().map(|l| l.to_string()).collect(), end))
}

fn bytecount(text: &[u8]) -> usize {
    text.iter().filter(|b| **b == b'\n').count()
}

/// Reads the lines that are appended to one file. A file that is not there yet is an empty one.
#[derive(Debug)]
pub struct Growing {
    path: PathBuf,
    offset: u64,
    /// The beginning of a line that is not complete yet.
    partial: Vec<u8>,
}

impl Growing {
    /// Lines that begin at or after this offset.
    pub fn from_offset(path: impl Into<PathBuf>, offset: u64) -> Self {
        Self { path: path.into(), offset, partial: Vec::new() }
    }

    /// Lines appended from now on.
    pub fn from_end(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let offset = std::fs::metadata(&path).map_or(0, |m| m.len());
        Self::from_offset(path, offset)
    }

    /// The lines completed since the last time.
    pub fn poll(&mut self) -> io::Result<Vec<String>> {
        let mut file = match File::open(&self.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        if file.metadata()?.len() < self.offset {
            // Rolled over by the logging framework: what follows is a new file.
            self.offset = 0;
            self.partial.clear();
        }
        file.seek(SeekFrom::Start(self.offset))?;
        self.offset += file.read_to_end(&mut self.partial)? as u64;
        let Some(last) = self.partial.iter().rposition(|b| *b == b'\n') else { return Ok(Vec::new()) };
        let rest = self.partial.split_off(last + 1);
        let complete = std::mem::replace(&mut self.partial, rest);
        Ok(String::from_utf8_lossy(&complete).lines().map(str::to_string).collect())
    }

    /// What was written after the last line break: a program's last words may lack one.
    pub fn rest(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.partial);
        (!rest.is_empty()).then(|| String::from_utf8_lossy(&rest).into_owned())
    }
}

/// Follows all files of a choice, those that appear later too.
#[derive(Debug)]
pub struct Follower {
    log_dir: PathBuf,
    which: Which,
    files: BTreeMap<LogFile, Growing>,
}

impl Follower {
    /// Follows from where each file is now; one that appears later is followed from its beginning.
    pub fn new(log_dir: impl Into<PathBuf>, which: Which) -> io::Result<Self> {
        let log_dir = log_dir.into();
        let files = list(&log_dir, which)?;
        let files = files.into_iter().map(|f| (f.clone(), Growing::from_end(f.path))).collect();
        Ok(Self { log_dir, which, files })
    }

    /// The lines completed since the last time, file by file.
    pub fn poll(&mut self) -> io::Result<Vec<(LogFile, String)>> {
        for file in list(&self.log_dir, self.which)? {
            let path = file.path.clone();
            self.files.entry(file).or_insert_with(|| Growing::from_offset(path, 0));
        }
        let mut lines = Vec::new();
        for (file, growing) in &mut self.files {
            lines.extend(growing.poll()?.into_iter().map(|line| (file.clone(), line)));
        }
        Ok(lines)
    }
}

/// How many lines explain a failure.
pub const EXPLAINING: usize = 20;
/// Among so many last lines of a log the cause is looked for: Java's traces are long.
const LOOKED_AT: usize = 2000;

/// The last lines of the log that explains a failure, under the name of its file. `reason` may name
/// the worker that it is about; else the agent's own log speaks.
pub fn explaining(log_dir: &Path, reason: Option<&str>) -> Option<String> {
    let candidates = match reason.and_then(worker_in) {
        Some(worker) => latest_of(log_dir, worker),
        None => list(log_dir, Which::Agent).ok()?,
    };
    let read = |stream: Stream| {
        let file = candidates.iter().find(|f| f.stream == stream)?;
        let mut lines = tail(&file.path, LOOKED_AT).ok()?.0;
        lines.retain(|line| !is_noise(line));
        (!lines.is_empty()).then(|| (file.name(), lines))
    };
    // A JVM that cannot start says so on standard error, a Flink that cannot in its log.
    let (name, lines) = read(Stream::Log)
        .filter(|(_, lines)| lines.iter().any(|line| is_error(line)))
        .or_else(|| read(Stream::Err))
        .or_else(|| read(Stream::Log))
        .or_else(|| read(Stream::Out))?;
    // The last lines, or those that begin with the last error, if it is further up.
    let last = lines.len().saturating_sub(EXPLAINING);
    let from = lines.iter().rposition(|line| is_error(line)).map_or(last, |error| error.min(last));
    let shown: Vec<_> = lines[from..].iter().take(EXPLAINING).map(String::as_str).collect();
    Some(format!("{name}:\n{}", shown.join("\n")))
}

/// The first worker that a text names: `jm-0 exited`, `tm-1.2: killed`.
fn worker_in(text: &str) -> Option<WorkerId> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    words.into_iter().find_map(|word| word.parse().ok())
}

fn is_error(line: &str) -> bool {
    line.contains(" ERROR ") || line.contains(" FATAL ")
}

/// The frames of Java's traces, and what every JVM that runs Flink warns of.
fn is_noise(line: &str) -> bool {
    let trimmed = line.trim_start();
    trimmed.starts_with("at ") && line.starts_with(char::is_whitespace)
        || trimmed.starts_with("... ") && trimmed.ends_with(" more")
        || line.starts_with("WARNING: ")
}

fn latest_of(log_dir: &Path, worker: WorkerId) -> Vec<LogFile> {
    let mut files = list(log_dir, Which::Worker(worker)).unwrap_or_default();
    let latest = files.iter().map(|f| f.source).max();
    files.retain(|f| Some(f.source) == latest);
    files
}

/// The last line that a dead agent wrote, on standard error or in its log.
pub(crate) fn last_words(log_dir: &Path) -> Option<String> {
    [Stream::Err, Stream::Log].into_iter().find_map(|stream| {
        let path = log_dir.join(format!("agent.{}", stream.extension()));
        tail(&path, 1).ok()?.0.pop()
    })
}

/// Writes down the end of a log of which all has this length. What is here of it already stays: it is the
/// beginning of the same log, or all of it.
pub(crate) fn bring(path: &Path, length: u64, tail: &[u8]) -> io::Result<()> {
    let start = length.saturating_sub(tail.len() as u64);
    match std::fs::metadata(path).map(|meta| meta.len()) {
        Ok(here) if here >= length => Ok(()),
        Ok(here) if here >= start => {
            let mut whole = Vec::new();
            File::open(path)?.take(start).read_to_end(&mut whole)?;
            whole.extend_from_slice(tail);
            fsx::write_whole(path, &whole)
        }
        _ => fsx::write_whole(path, tail),
    }
}

/// Moves the logs of a former run to `<dir>.1`, in place of those of the run before.
pub(crate) fn rotate(log_dir: &Path) -> io::Result<()> {
    if !log_dir.exists() {
        return Ok(());
    }
    let mut old = log_dir.as_os_str().to_owned();
    old.push(".1");
    match std::fs::remove_dir_all(&old) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => std::fs::rename(log_dir, old),
    }
}

#[cfg(test)]
mod tests;
