//! A cluster's timeline, read from its file: it outlives the cluster and its agent.

use std::io;

use kobel_plan::{ClusterDir, ClusterEvent};

use crate::logs::Growing;

/// What has happened to a cluster, read as far as it is written.
#[derive(Debug)]
pub struct Timeline(Growing);

impl Timeline {
    /// The timeline of the cluster in this directory, from its beginning.
    pub fn of(dir: &ClusterDir) -> Self {
        Self(Growing::from_offset(dir.events(), 0))
    }

    /// The events that were written since the last call. A line that an agent left half written when
    /// it died is passed over.
    pub fn added(&mut self) -> io::Result<Vec<ClusterEvent>> {
        Ok(self.0.poll()?.iter().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::OpenOptions, io::Write};

    use super::*;

    fn line(message: &str) -> String {
        format!(r#"{{"at":"2026-11-21T12:00:00Z","kind":"scaled","message":"{message}"}}"#) + "\n"
    }

    #[test]
    fn events_come_once_and_a_broken_line_hides_no_other() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = ClusterDir::new(tmp.path());
        let mut timeline = Timeline::of(&dir);
        assert_eq!(timeline.added().unwrap(), [], "no file yet");
        let mut file = OpenOptions::new().create(true).append(true).open(dir.events()).unwrap();
        let mut told = |text: &str| {
            file.write_all(text.as_bytes()).unwrap();
            timeline.added().unwrap().into_iter().map(|event| event.message).collect::<Vec<_>>()
        };
        assert_eq!(told(&line("one")), ["one"]);
        assert_eq!(told(&format!("{{\"at\":\n{}", line("two"))), ["two"]);
        assert!(told("").is_empty());
    }
}
