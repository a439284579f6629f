//! Programs with several jobs. In a session Flink gives a second `execute()` the first one's job, as if it had been
//! recovered (`EmbeddedExecutor`), and answers as if all were well; only the JobManager's log tells.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use kobel_plan::JobId;

/// The most that is read of a log: `main` runs for seconds.
const MOST: u64 = 16 << 20;

/// How long the logs of the JobManagers on this machine are at a moment.
#[derive(Debug)]
pub(super) struct Logs(Vec<(PathBuf, u64)>);

impl Logs {
    /// As they are now; none where they are not on this machine.
    pub(super) fn now(dir: &Path) -> Self {
        let files = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
        let of_job_manager = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name.starts_with("jm-") && name.ends_with(".log")
        };
        let length = |path: &PathBuf| std::fs::metadata(path).map_or(0, |meta| meta.len());
        Self(files.filter(of_job_manager).map(|path| (path.clone(), length(&path))).collect())
    }

    /// Whether since then a second job of the program was taken for this one.
    pub(super) fn tell_of_a_second_job(&self, job: JobId) -> bool {
        let line = format!("Job {job} was recovered successfully");
        self.0.iter().any(|(path, from)| {
            let mut text = Vec::new();
            let read = File::open(path).and_then(|mut file| {
                file.seek(SeekFrom::Start(*from))?;
                file.take(MOST).read_to_end(&mut text)
            });
            read.is_ok() && String::from_utf8_lossy(&text).contains(&line)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_logged_from_then_on_counts() {
        let dir = tempfile::tempdir().unwrap();
        let (job, log) = (JobId::from_bytes(*b"0123456789abcdef"), dir.path().join("jm-0.1.log"));
        let line = format!("INFO EmbeddedExecutor [] - Job {job} was recovered successfully.\n");
        std::fs::write(&log, &line).unwrap();
        let logs = Logs::now(dir.path());
        assert!(!logs.tell_of_a_second_job(job));
        std::fs::write(&log, line.repeat(2)).unwrap();
        assert!(logs.tell_of_a_second_job(job));
        assert!(!logs.tell_of_a_second_job(JobId::from_bytes([0; 16])));
        assert!(!Logs::now(Path::new("")).tell_of_a_second_job(job));
    }
}
