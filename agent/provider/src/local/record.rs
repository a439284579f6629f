//! `worker.json`: which process is a worker's, for the agent that comes after this one.

use std::{fs, io, io::Write, path::Path};

use kobel_plan::{Attempt, WorkerId};
use serde::{Deserialize, Serialize};

use super::identity::ProcessIdentity;

/// Name of the file in a worker's directory.
const FILE: &str = "worker.json";

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    /// Whose process it is.
    pub(super) id: WorkerId,
    /// Which of them.
    pub(super) attempt: Attempt,
    /// Which process it is.
    pub(super) process: ProcessIdentity,
}

impl Record {
    /// Writes it whole or not at all, and so that it outlives a crash of the machine.
    pub(super) fn write(&self, worker_dir: &Path) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(worker_dir)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.as_file().sync_all()?;
        file.persist(worker_dir.join(FILE))?;
        fs::File::open(worker_dir)?.sync_all()
    }

    /// Reads the record of this attempt. What is no record, or another's, is an error.
    pub(super) fn read(worker_dir: &Path, id: WorkerId, attempt: Attempt) -> io::Result<Self> {
        let record: Self = serde_json::from_slice(&fs::read(worker_dir.join(FILE))?)?;
        if (record.id, record.attempt) == (id, attempt) {
            Ok(record)
        } else {
            Err(io::Error::other(format!("it is the record of {}.{}", record.id, record.attempt)))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record() -> Record {
        let process = ProcessIdentity { pid: 4711, start_time_ticks: 12345, boot_id: "b".into() };
        Record { id: WorkerId::tm(3), attempt: Attempt::FIRST, process }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        record().write(dir.path()).unwrap();
        assert_eq!(Record::read(dir.path(), WorkerId::tm(3), Attempt::FIRST).unwrap(), record());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn a_record_of_another_worker_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        record().write(dir.path()).unwrap();
        assert!(Record::read(dir.path(), WorkerId::tm(4), Attempt::FIRST).is_err());
        assert!(Record::read(dir.path(), WorkerId::tm(3), Attempt::FIRST.next()).is_err());
    }

    proptest! {
        /// A damaged record is an error or says the truth about its worker, and never a panic.
        #[test]
        fn a_damaged_record_names_no_other_worker(at in 0usize..100, byte: u8, cut in 0usize..100) {
            let dir = tempfile::tempdir().unwrap();
            let mut bytes = serde_json::to_vec(&record()).unwrap();
            let at = at % bytes.len();
            bytes[at] = byte;
            bytes.truncate(bytes.len() - cut.min(bytes.len()));
            fs::write(dir.path().join(FILE), &bytes).unwrap();
            if let Ok(read) = Record::read(dir.path(), WorkerId::tm(3), Attempt::FIRST) {
                prop_assert_eq!((read.id, read.attempt), (WorkerId::tm(3), Attempt::FIRST));
            }
        }
    }
}
