//! What is kept of a cluster that is over, in a history directory on HDFS: how it ended, its timeline, what its jobs
//! can be started from, and the last part of each log. YARN removes the nodes' own files as soon as the application is
//! over.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{FutureExt, StreamExt, stream};
use jiff::Timestamp;
use kobel_conf::{chain, file::file_end};
use kobel_hadoop_rpc::yarn::ContainerLog;
use kobel_plan::{
    ClusterDir, ClusterName, ClusterPlan, ClusterState, Kept, Status, WorkerId, yarn::YarnPlan,
};
use kobel_provider::{
    Outcome,
    yarn::{Historian, Placed},
};
use kobel_staging::{Source, Staging, StagingError};
use serde::Deserialize;

/// How long it may all take: who stops a cluster waits for it.
const WITHIN: Duration = Duration::from_secs(10);
/// How long a node may take for a log.
const ANSWER: Duration = Duration::from_secs(3);
/// Logs that are fetched at once.
const AT_ONCE: usize = 8;
/// What the files of a process end with.
const EXTENSIONS: [&str; 3] = ["log", "out", "err"];

/// Keeps what is to be known of one cluster.
#[derive(Debug)]
pub(super) struct History {
    cluster: ClusterName,
    application: String,
    user: String,
    log_dir: PathBuf,
    dir: ClusterDir,
    staging: Staging,
}

/// A log's last part, and its whole length.
struct Tail {
    name: String,
    length: u64,
    bytes: Vec<u8>,
}

/// What of `record.json` is told.
#[derive(Deserialize)]
struct Record {
    status: Status,
}

#[async_trait]
impl Historian for History {
    async fn keep(&self, outcome: Outcome, words: &str, containers: &[Placed]) {
        match tokio::time::timeout(WITHIN, self.write(outcome, words, containers)).await {
            Ok(Ok(url)) => tracing::info!(url, "timeline and logs are kept"),
            Ok(Err(error)) => tracing::warn!(error = chain(&error), "timeline and logs could not be kept"),
            Err(_) => tracing::warn!("timeline and logs could not be kept in time"),
        }
    }
}

impl History {
    pub(super) fn new(plan: &ClusterPlan, yarn: &YarnPlan, staging: Staging, dir: ClusterDir) -> Self {
        Self {
            cluster: plan.name.clone(),
            application: yarn.application_id.clone(),
            user: yarn.user.clone(),
            log_dir: plan.log_dir.clone(),
            dir,
            staging,
        }
    }

    async fn write(
        &self,
        outcome: Outcome,
        words: &str,
        containers: &[Placed],
    ) -> Result<String, StagingError> {
        let Some(status) = self.status(outcome, words) else {
            return Ok("nowhere: there is no record".into());
        };
        let mut tails = here(&self.log_dir).unwrap_or_else(|error| {
            tracing::warn!(%error, "the logs of the master's container cannot be read");
            Vec::new()
        });
        tails.extend(self.of_containers(containers).await);
        let kept = Kept {
            application_id: self.application.clone(),
            status,
            logs: tails.iter().map(|tail| (tail.name.clone(), tail.length)).collect(),
        };
        let history = self.staging.history(&self.cluster, Timestamp::now()).await?;
        let mut files: BTreeMap<_, _> =
            tails.into_iter().map(|tail| (tail.name, Source::Bytes(tail.bytes.into()))).collect();
        let beside = [(Kept::EVENTS, self.dir.events()), (Kept::SNAPSHOTS, self.dir.snapshots())];
        for (name, path) in beside {
            if let Ok(bytes) = std::fs::read(path) {
                files.insert(name.into(), Source::Bytes(bytes.into()));
            }
        }
        history.put_all(&files.into_iter().collect::<Vec<_>>(), &|_| ()).await?;
        let json = serde_json::to_vec_pretty(&kept).unwrap_or_default();
        history.put(Kept::FILE, json).await?;
        Ok(history.url())
    }

    /// The last status, as it will be when YARN was told.
    fn status(&self, outcome: Outcome, words: &str) -> Option<Status> {
        let record: Record = serde_json::from_slice(&std::fs::read(self.dir.record()).ok()?).ok()?;
        let state = match outcome {
            Outcome::Failed => ClusterState::Failed,
            Outcome::Succeeded | Outcome::Killed => ClusterState::Stopped,
        };
        let mut status =
            Status { state, reason: Some(words.into()), agent: None, rest_url: None, ..record.status };
        status.masters.clear();
        status.task_managers.list.clear();
        status.jobs.running = 0;
        Some(status)
    }

    /// The logs of the containers, as far as their nodes hand them out.
    async fn of_containers(&self, containers: &[Placed]) -> Vec<Tail> {
        let http = match reqwest::Client::builder().no_proxy().timeout(ANSWER).build() {
            Ok(http) => http,
            Err(error) => {
                tracing::warn!(%error, "the logs of the workers' containers cannot be fetched");
                return Vec::new();
            }
        };
        let mut fetched = Vec::new();
        for placed in containers {
            for extension in EXTENSIONS {
                let name = format!("{}.{extension}", placed.id.attempt_name(placed.attempt));
                fetched.push(self.fetch(&http, placed, name).boxed());
            }
        }
        stream::iter(fetched).buffered(AT_ONCE).filter_map(std::future::ready).collect().await
    }

    async fn fetch(&self, http: &reqwest::Client, placed: &Placed, name: String) -> Option<Tail> {
        let url = format!("http://{}/ws/v1/node/containers/{}/logs/{name}", placed.web, placed.container);
        let query = [("size", format!("-{}", Kept::TAIL)), ("user.name", self.user.clone())];
        let answer = async { http.get(url).query(&query).send().await?.error_for_status()?.bytes().await };
        let sent = answer.await.map_err(|error| tracing::debug!(name, %error, "a log is not kept")).ok()?;
        let log = ContainerLog::parse(&sent, Some(Kept::TAIL)).filter(|log| !log.bytes.is_empty())?;
        Some(Tail { name, length: log.length, bytes: log.bytes.to_vec() })
    }
}

/// The logs in this directory, those of the agent and of its JobManagers.
fn here(dir: &Path) -> io::Result<Vec<Tail>> {
    let mut tails = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|name| is_log(name)) {
            tails.extend(tail(&path, name)?);
        }
    }
    Ok(tails)
}

/// Whether it is one of ours: YARN has files of its own there.
fn is_log(name: &str) -> bool {
    let Some((stem, extension)) = name.rsplit_once('.') else { return false };
    EXTENSIONS.contains(&extension) && (stem == "agent" || WorkerId::parse_attempt_name(stem).is_ok())
}

/// The last part of a file that is not empty.
fn tail(path: &Path, name: &str) -> io::Result<Option<Tail>> {
    let (length, bytes) = file_end(path, Kept::TAIL)?;
    Ok((!bytes.is_empty()).then(|| Tail { name: name.into(), length, bytes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_containers_files_ours_are_kept_and_of_each_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let long = "x".repeat(usize::try_from(Kept::TAIL).unwrap()) + "end";
        let files = [
            ("agent.log", "a\n"),
            ("jm-0.1.log", &long),
            ("jm-0.1.out", ""),
            ("prelaunch.err", "p"),
            ("x", "x"),
        ];
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let mut tails = here(dir.path()).unwrap();
        tails.sort_by(|a, b| a.name.cmp(&b.name));
        let [agent, jm] = &tails[..] else { panic!("{} of them", tails.len()) };
        assert_eq!((agent.name.as_str(), agent.length, &agent.bytes[..]), ("agent.log", 2, &b"a\n"[..]));
        assert_eq!((jm.name.as_str(), jm.length), ("jm-0.1.log", Kept::TAIL + 3));
        assert!(jm.bytes.len() as u64 == Kept::TAIL && jm.bytes.ends_with(b"xend"));
    }
}
