//! What the application's next attempt must know of this one: the record and the timeline. A container's
//! directory goes with the container, so they are kept in the application's directory.

use std::{fs, io, time::Duration};

use kobel_conf::chain;
use kobel_plan::ClusterDir;
use kobel_staging::{Directory, StagingError};
use serde::{Deserialize, Serialize};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{error::AgentError, record::Record, run::io_error};

/// Memories are told apart by a number that rises: a file is never overwritten, so that one is always whole.
const PREFIX: &str = "memory-";
/// How long a former attempt's memory is looked for while HDFS does not answer.
const WITHIN: Duration = Duration::from_secs(60);
/// At least so long lies between two of them.
const PAUSE: Duration = Duration::from_secs(1);

/// What is kept.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Memory {
    record: Record,
    timeline: String,
}

/// Keeps what the next attempt must know.
#[derive(Debug)]
pub(crate) struct Keeper {
    directory: Directory,
    dir: ClusterDir,
    /// The number of the newest memory.
    newest: u64,
}

impl Keeper {
    /// The keeper of an application's first attempt.
    pub(super) fn new(directory: Directory, dir: ClusterDir) -> Self {
        Self { directory, dir, newest: 0 }
    }

    /// Puts the newest memory of the attempts before this one into the cluster's directory, as if they had died here.
    /// Their record is returned.
    ///
    /// One of them may yet wake and keep what it knows before it hears that it is over: an attempt's numbers are above
    /// all that those before it can come to.
    pub(super) async fn recall(&mut self, attempt: i32) -> Result<Option<Record>, AgentError> {
        let mut numbers = self.numbers().await?;
        numbers.sort_unstable();
        let above = u64::from(attempt.unsigned_abs().saturating_sub(1)) << 32;
        self.newest = numbers.last().copied().unwrap_or_default().max(above);
        for number in numbers.into_iter().rev() {
            if let Some(memory) = self.read(number).await {
                self.put_back(&memory)?;
                return Ok(Some(memory.record));
            }
        }
        Ok(None)
    }

    /// A NameNode may be away for a while: what it keeps is worth waiting for.
    async fn numbers(&self) -> Result<Vec<u64>, StagingError> {
        let deadline = Instant::now() + WITHIN;
        loop {
            match self.directory.list().await {
                Ok(entries) => return Ok(entries.iter().filter_map(|entry| number(&entry.path)).collect()),
                Err(error) if Instant::now() >= deadline => return Err(error),
                Err(error) => tracing::warn!(error = chain(&error), "could not look for a memory yet"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn put_back(&self, memory: &Memory) -> Result<(), AgentError> {
        let json = serde_json::to_vec(&memory.record).unwrap_or_default();
        for (path, contents) in
            [(self.dir.record(), &json[..]), (self.dir.events(), memory.timeline.as_bytes())]
        {
            fs::write(&path, contents).map_err(io_error("write", &path))?;
        }
        Ok(())
    }

    /// One that was cut is as good as none.
    async fn read(&self, number: u64) -> Option<Memory> {
        let bytes = self.directory.read(&name(number)).await;
        let bytes = bytes.inspect_err(|error| tracing::warn!(number, error = chain(error), "lost a memory"));
        let memory = serde_json::from_slice(&bytes.ok()?);
        memory.inspect_err(|error| tracing::warn!(number, %error, "lost a memory")).ok()
    }

    /// Keeps up with the record as long as it changes, until it is over.
    pub(crate) async fn keep<T>(mut self, mut changes: watch::Receiver<T>, over: CancellationToken) {
        let mut kept = None;
        loop {
            let memory = self.present().ok().filter(|memory| Some(memory.record.lasting()) != kept);
            let mut done = true;
            if let Some(memory) = memory {
                done = self.write(&memory).await;
                kept = done.then(|| memory.record.lasting());
            }
            let change = async {
                tokio::time::sleep(PAUSE).await;
                // What could not be written is tried again.
                if done && changes.changed().await.is_err() {
                    std::future::pending().await
                }
            };
            tokio::select! {
                () = over.cancelled() => return,
                () = change => {}
            }
        }
    }

    fn present(&self) -> io::Result<Memory> {
        let record = serde_json::from_slice(&fs::read(self.dir.record())?)?;
        let timeline = fs::read_to_string(self.dir.events()).unwrap_or_default();
        Ok(Memory { record, timeline })
    }

    /// Writes a new one, and then takes the former away. False when the new one could not be written.
    async fn write(&mut self, memory: &Memory) -> bool {
        let former = self.newest;
        self.newest += 1;
        let json = serde_json::to_vec(memory).unwrap_or_default();
        if let Err(error) = self.directory.put(&name(self.newest), json).await {
            tracing::warn!(error = chain(&error), "a next attempt may not know what became of this one");
            return false;
        }
        if let Err(error) = self.directory.take_away(&name(former)).await {
            tracing::debug!(
                former,
                error = chain(&error),
                "a former memory stays until the application goes"
            );
        }
        true
    }
}

fn name(number: u64) -> String {
    format!("{PREFIX}{number}.json")
}

fn number(path: &str) -> Option<u64> {
    path.rsplit('/').next()?.strip_prefix(PREFIX)?.strip_suffix(".json")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kobel_plan::{ClusterEvent, EventKind, Wanted};
    use kobel_staging::{AppId, Deadlines, PlainFiles, Staging};

    use super::*;
    use crate::{
        record::Timeline,
        testing::{plan, soon},
    };

    /// An application's directory, here on this machine, and the directories of two attempts.
    struct Lab {
        tmp: tempfile::TempDir,
        directory: Directory,
    }

    impl Lab {
        async fn new() -> Self {
            let tmp = tempfile::tempdir().unwrap();
            let files = Arc::new(PlainFiles::new(Deadlines::default()));
            let root = tmp.path().join("staging").display().to_string();
            let staging = Staging::new(files, &root, &[], &Default::default());
            let directory =
                staging.application(&AppId::try_from("application_1_0001").unwrap()).await.unwrap();
            Self { tmp, directory }
        }

        fn keeper(&self, attempt: &str) -> Keeper {
            let path = self.tmp.path().join(attempt);
            fs::create_dir_all(&path).unwrap();
            Keeper::new(self.directory.clone(), ClusterDir::new(path))
        }

        async fn names(&self) -> Vec<String> {
            let entries = self.directory.list().await.unwrap();
            entries.iter().filter_map(|entry| Some(entry.path.rsplit('/').next()?.to_string())).collect()
        }
    }

    #[tokio::test]
    async fn the_next_attempt_finds_record_and_timeline_and_keeps_on_where_the_former_ended() {
        let lab = Lab::new().await;
        let first = lab.keeper("first");
        let dir = first.dir.clone();
        let mut record = Record::of_agent(None, &plan(dir.path()), 4711);
        record.save(&dir).await;
        let event = ClusterEvent {
            at: record.status.started_at,
            kind: EventKind::Scaled,
            worker: None,
            message: "scaled".into(),
        };
        Timeline::new(&dir).append(&event);
        let (changed, changes) = watch::channel(());
        let over = CancellationToken::new();
        let keeping = tokio::spawn(first.keep(changes, over.clone()));
        soon("the first memory", async {
            while lab.names().await != ["memory-1.json"] {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        record.wanted = Wanted { job_managers: 1, task_managers: 7 };
        record.save(&dir).await;
        changed.send_replace(());
        soon("the second memory in place of the first", async {
            while lab.names().await != ["memory-2.json"] {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        over.cancel();
        soon("the end", keeping).await.unwrap();

        // Cut while it was written.
        lab.directory.put("memory-3.json", &b"{\"record\":"[..]).await.unwrap();
        let mut second = lab.keeper("second");
        assert_eq!(second.recall(2).await.unwrap().unwrap().front_port, 4711);
        assert_eq!(second.newest, 1 << 32, "the first one may go on counting");
        assert_eq!(second.present().unwrap().record, record);
        assert_eq!(fs::read(dir.events()).unwrap(), fs::read(second.dir.events()).unwrap());
    }

    #[tokio::test]
    async fn where_nothing_was_kept_nothing_is_found() {
        let lab = Lab::new().await;
        lab.directory.put("tm-0.1.json", &b"{}"[..]).await.unwrap();
        let mut keeper = lab.keeper("second");
        assert_eq!(keeper.recall(2).await.unwrap(), None);
        assert!(!keeper.dir.record().exists());
    }
}
