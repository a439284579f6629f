//! Where the local provider keeps what belongs to its workers.

use std::path::{Path, PathBuf};

use super::Surroundings;
use crate::{ProviderError, furnish::Node};

/// The directories of one provider and what its workers' processes are marked with.
#[derive(Debug, Clone)]
pub(super) struct Places {
    workers: PathBuf,
    logs: PathBuf,
    marker_prefix: String,
    surroundings: Surroundings,
}

impl Places {
    /// Absolute directories. They end up in command lines and configuration files, so they have to
    /// be text.
    pub(super) fn new(
        workers: &Path,
        logs: &Path,
        marker_prefix: String,
        surroundings: Surroundings,
    ) -> Result<Self, ProviderError> {
        let absolute = |path: &Path| {
            let path = std::path::absolute(path)?;
            match path.to_str() {
                Some(_) => Ok(path),
                None => Err(std::io::Error::other("its name is not UTF-8")),
            }
        };
        let named = |path: &Path| absolute(path).map_err(ProviderError::io("use", path.display()));
        Ok(Self { workers: named(workers)?, logs: named(logs)?, marker_prefix, surroundings })
    }

    /// The directory of all workers.
    pub(super) fn workers(&self) -> &Path {
        &self.workers
    }

    /// The directory of logs.
    pub(super) fn logs(&self) -> &Path {
        &self.logs
    }

    /// The directory of one attempt, named `tm-0.2`.
    pub(super) fn worker(&self, name: &str) -> PathBuf {
        self.workers.join(name)
    }

    /// Where the standard output (`out`) or error (`err`) of one attempt goes.
    pub(super) fn output(&self, name: &str, extension: &str) -> PathBuf {
        self.logs.join(format!("{name}.{extension}"))
    }

    /// What [`Launch::MARKER`] holds in the environment of one attempt.
    pub(super) fn marker(&self, name: &str) -> String {
        format!("{}/{name}", self.marker_prefix)
    }

    /// The attempt's name in a marker of ours.
    pub(super) fn marked_name<'a>(&self, marker: &'a str) -> Option<&'a str> {
        marker.strip_prefix(&self.marker_prefix)?.strip_prefix('/')
    }

    /// What one attempt finds on this machine.
    pub(super) fn node(&self, name: &str) -> Node {
        Node::here(&self.worker(name), &self.logs, |name| std::env::var(name).ok())
    }

    /// Where the processes run.
    pub(super) fn surroundings(&self) -> &Surroundings {
        &self.surroundings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        Places::new(Path::new("/c/workers"), Path::new("/c/log"), "/c".into(), Surroundings::Machine).unwrap()
    }

    #[test]
    fn placeholders_become_directories_wherever_they_stand() {
        let text = "-Dlog.file=@KOBEL_LOG_DIR@/a.log:@KOBEL_WORKER_DIR@:@KOBEL_WORKER_DIR@/conf @KOBEL";
        let expected = "-Dlog.file=/c/log/a.log:/c/workers/tm-0.1:/c/workers/tm-0.1/conf @KOBEL";
        assert_eq!(places().node("tm-0.1").fill(text), expected);
    }

    #[test]
    fn only_our_own_markers_are_ours() {
        let places = places();
        assert_eq!(places.marked_name(&places.marker("tm-0.1")), Some("tm-0.1"));
        for foreign in ["/c", "/c/", "/cc/tm-0.1", "/d/tm-0.1", ""] {
            assert_eq!(places.marked_name(foreign).filter(|name| !name.is_empty()), None, "{foreign}");
        }
    }

    #[test]
    fn directories_that_are_no_text_are_refused() {
        use std::os::unix::ffi::OsStrExt;
        let odd = Path::new(std::ffi::OsStr::from_bytes(b"/c/\xff"));
        assert!(Places::new(odd, Path::new("/c"), String::new(), Surroundings::Machine).is_err());
    }
}
