//! Logs of living containers, copied from their nodes into the cluster's directory, where those of a
//! cluster on this machine are. What a node no longer has stays as it was copied last.

use std::{fmt, time::Duration};

use futures_util::{TryStreamExt, future::try_join_all, stream};
use kobel_conf::{Category, Explain, dirs::ensure_private};
use kobel_plan::ClusterDir;
use serde::Deserialize;

use super::{
    Application,
    manager::{RmError, Sighting},
    rest::ContainerInfo,
};
use crate::{
    fsx,
    logs::LogFile,
    registry::{RegistryError, file_error},
};

/// How long a node may take for a file.
const ANSWER: Duration = Duration::from_secs(15);
/// Files that are fetched from a node at once.
const AT_ONCE: usize = 4;

/// The logs of a cluster on YARN cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// The ResourceManager does not tell where they are.
    #[error(transparent)]
    Rm(#[from] RmError),
    /// They cannot be written down.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A node does not hand them out.
    #[error("could not fetch {what} from the node")]
    Node {
        /// Which file, of which container.
        what: String,
        /// Why not.
        source: reqwest::Error,
    },
    /// What a node hands out is no log.
    #[error("{what} from the node is not what a NodeManager sends")]
    NotYarn {
        /// Which file, of which container.
        what: String,
    },
}

impl Explain for LogsError {
    fn category(&self) -> Category {
        match self {
            LogsError::Rm(e) => e.category(),
            LogsError::Registry(e) => e.category(),
            LogsError::Node { .. } | LogsError::NotYarn { .. } => Category::Other,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            LogsError::Rm(e) => e.hint(),
            LogsError::Registry(e) => e.hint(),
            LogsError::Node { .. } | LogsError::NotYarn { .. } => None,
        }
    }
}

/// `ContainerLogsInfo` of a NodeManager.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listing {
    container_logs_info: Files,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Files {
    #[serde(default)]
    container_log_info: Vec<FileInfo>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileInfo {
    file_name: String,
}

/// Copies the logs of the containers that run.
pub(crate) async fn copy_logs(dir: &ClusterDir, application: &Application) -> Result<(), LogsError> {
    let manager = application.resource_manager()?;
    let Sighting::Seen(report) = manager.report(application.id).await? else { return Ok(()) };
    let Some(attempt) = report.attempt.filter(|_| !report.state.is_over()) else { return Ok(()) };
    let containers = manager.containers(attempt).await?;
    ensure_private(&dir.logs()).map_err(RegistryError::from)?;
    let http = reqwest::Client::builder().no_proxy().timeout(ANSWER).build();
    let http = http.map_err(|source| LogsError::Node { what: "anything".into(), source })?;
    let nodes = containers.iter().map(|container| Node { http: &http, user: &application.user, container });
    try_join_all(nodes.map(async |node| node.copy(dir).await)).await.map(drop)
}

/// The node of a container.
struct Node<'a> {
    http: &'a reqwest::Client,
    user: &'a str,
    container: &'a ContainerInfo,
}

impl Node<'_> {
    async fn copy(&self, dir: &ClusterDir) -> Result<(), LogsError> {
        let Some(listing) = self.get("").await? else { return Ok(()) };
        let listing: Listing =
            serde_json::from_slice(&listing).map_err(|_| self.not_yarn(&"the list of logs"))?;
        let names = listing.container_logs_info.container_log_info.into_iter().map(|info| info.file_name);
        // YARN's own files are no log of ours, and a name of ours is no path.
        let ours = names.filter(|name| LogFile::is_name(name));
        stream::iter(ours.map(Ok))
            .try_for_each_concurrent(AT_ONCE, async |name| {
                let Some(sent) = self.get(&format!("/{name}")).await? else { return Ok(()) };
                let contents = contents(&sent).ok_or_else(|| self.not_yarn(&name))?;
                let path = dir.logs().join(&name);
                fsx::write_whole(&path, contents).map_err(file_error("write", path))?;
                Ok(())
            })
            .await
    }

    /// What the node answers; nothing when the container is gone by now.
    async fn get(&self, file: &str) -> Result<Option<Vec<u8>>, LogsError> {
        let (address, id) = (&self.container.node_http_address, self.container.container_id);
        let base = if address.contains("://") { address.clone() } else { format!("http://{address}") };
        let url = format!("{base}/ws/v1/node/containers/{id}/logs{file}");
        let failed = |source| LogsError::Node { what: format!("{id}{file}"), source };
        let request = self.http.get(url).query(&[("user.name", self.user)]);
        let request = if file.is_empty() { request.header("accept", "application/json") } else { request };
        let answer = request.send().await.map_err(failed)?;
        if !answer.status().is_success() {
            tracing::debug!(%id, file, status = %answer.status(), "the node has no such log");
            return Ok(None);
        }
        Ok(Some(answer.bytes().await.map_err(failed)?.into()))
    }

    fn not_yarn(&self, what: &dyn fmt::Display) -> LogsError {
        LogsError::NotYarn { what: format!("{what} of {}", self.container.container_id) }
    }
}

/// The log itself, out of the frame that a NodeManager puts around it: its length stands before it.
fn contents(sent: &[u8]) -> Option<&[u8]> {
    const MARK: &[u8] = b"\nLogContents:\n";
    let at = sent.windows(MARK.len()).position(|window| window == MARK)?;
    let head = std::str::from_utf8(&sent[..at]).ok()?;
    let length = head.lines().find_map(|line| line.strip_prefix("LogLength:"))?.trim().parse().ok()?;
    let rest = &sent[at + MARK.len()..];
    rest.get(..length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn framed(log: &str) -> String {
        format!(
            "Container: container_1_0001_01_000001 on nm:8041\nLogAggregationType: LOCAL\n=====\n\
             LogType:agent.log\nLogLastModifiedTime:Sat Nov 21\nLogLength:{}\nLogContents:\n{log}\
             End of LogType:agent.log.This log file belongs to a running container\n***\n\n",
            log.len()
        )
    }

    #[test]
    fn a_log_comes_out_of_its_frame_whole() {
        for log in ["", "one\n", "no line break", "\nLogContents:\nLogLength:0\nEnd of LogType:x\n", "ü\n"] {
            assert_eq!(contents(framed(log).as_bytes()), Some(log.as_bytes()), "{log:?}");
        }
        for other in ["", "404", "LogLength:9\nLogContents:\nshort", "LogLength:x\nLogContents:\n"] {
            assert_eq!(contents(other.as_bytes()), None, "{other:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_node_sends_gives_an_answer(sent in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = contents(&sent);
        }
    }
}
