//! Logs of living containers, copied from their nodes into the cluster's directory, where those of a
//! cluster on this machine are. What a node no longer has stays as it was copied last.

use std::{
    fmt,
    io::{self, Write},
    os::unix::fs::FileExt,
    path::Path,
    time::Duration,
};

use futures_util::{TryStreamExt, future::try_join_all, stream};
use kobel_conf::{Category, Explain, dirs::ensure_private};
use kobel_hadoop_rpc::yarn::ContainerLog;
use kobel_plan::ClusterDir;
use serde::Deserialize;

use super::{
    Application, CollectedError,
    manager::{RmError, Sighting},
    rest::ContainerInfo,
};
use crate::{
    fsx,
    logs::{LogFile, Stream},
    registry::{RegistryError, file_error},
};

/// How long a node may take for a file.
const ANSWER: Duration = Duration::from_secs(15);
/// Of what is here already, so much is fetched again.
const OVERLAP: u64 = 64 << 10;
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
    /// What YARN has collected cannot be had.
    #[error(transparent)]
    Collected(#[from] CollectedError),
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
            LogsError::Collected(e) => e.category(),
            LogsError::Node { .. } | LogsError::NotYarn { .. } => Category::Other,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            LogsError::Rm(e) => e.hint(),
            LogsError::Registry(e) => e.hint(),
            LogsError::Collected(e) => e.hint(),
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
    /// A number in quotes.
    file_size: String,
}

/// Copies the logs of the containers that run, or those of their streams alone.
pub(crate) async fn copy_logs(
    dir: &ClusterDir,
    application: &Application,
    only: Option<Stream>,
) -> Result<(), LogsError> {
    let manager = application.resource_manager()?;
    let Sighting::Seen(report) = manager.report(application.id).await? else { return Ok(()) };
    let Some(attempt) = report.attempt.filter(|_| !report.state.is_over()) else { return Ok(()) };
    let containers = manager.containers(attempt).await?;
    ensure_private(&dir.logs()).map_err(RegistryError::from)?;
    let http = reqwest::Client::builder().no_proxy().timeout(ANSWER).build();
    let http = http.map_err(|source| LogsError::Node { what: "anything".into(), source })?;
    let user = &application.user;
    let nodes = containers.iter().map(|container| Node { http: &http, user, container, only });
    try_join_all(nodes.map(async |node| node.copy(dir).await)).await.map(drop)
}

/// The node of a container.
struct Node<'a> {
    http: &'a reqwest::Client,
    user: &'a str,
    container: &'a ContainerInfo,
    /// Of all streams, if none is named.
    only: Option<Stream>,
}

impl Node<'_> {
    async fn copy(&self, dir: &ClusterDir) -> Result<(), LogsError> {
        let Some(listing) = self.get("", None).await? else { return Ok(()) };
        let listing: Listing =
            serde_json::from_slice(&listing).map_err(|_| self.not_yarn(&"the list of logs"))?;
        let files = listing.container_logs_info.container_log_info;
        // YARN's own files are no log of ours, and a name of ours is no path.
        let wanted = |file: &FileInfo| {
            let stream = LogFile::stream_of_name(&file.file_name);
            stream.is_some() && self.only.is_none_or(|only| stream == Some(only))
        };
        let ours = files.into_iter().filter(wanted);
        stream::iter(ours.map(Ok))
            .try_for_each_concurrent(AT_ONCE, async |file| {
                let size = file.file_size.parse().map_err(|_| self.not_yarn(&file.file_name))?;
                self.bring(&dir.logs().join(&file.file_name), &file.file_name, size).await
            })
            .await
    }

    /// Brings a log here: what is new of it, or all of it if what is here is not its beginning.
    async fn bring(&self, path: &Path, name: &str, size: u64) -> Result<(), LogsError> {
        let read = || std::fs::metadata(path).map(|meta| meta.len()).ok();
        let here = match read() {
            Some(here) if here == size => return Ok(()),
            here => here.filter(|here| *here < size).unwrap_or(0),
        };
        // It goes on growing while it is asked for, and what overlaps shows that it is the same log.
        let last = (here > 0).then(|| size - here + OVERLAP);
        let Some(sent) = self.get(&format!("/{name}"), last).await? else { return Ok(()) };
        let log = ContainerLog::parse(&sent, last).ok_or_else(|| self.not_yarn(&name))?;
        if let Some(new) = news(path, here, &log).map_err(file_error("read", path))? {
            let appended = fsx::private_append(path).and_then(|mut file| file.write_all(new));
            return Ok(appended.map_err(file_error("write", path))?);
        }
        let whole = match last {
            None => sent,
            Some(_) => match self.get(&format!("/{name}"), None).await? {
                Some(whole) => whole,
                None => return Ok(()),
            },
        };
        let log = ContainerLog::parse(&whole, None).ok_or_else(|| self.not_yarn(&name))?;
        Ok(fsx::write_whole(path, log.bytes).map_err(file_error("write", path))?)
    }

    /// What the node answers; nothing when the container is gone by now.
    async fn get(&self, file: &str, last: Option<u64>) -> Result<Option<Vec<u8>>, LogsError> {
        let (address, id) = (&self.container.node_http_address, self.container.container_id);
        let base = if address.contains("://") { address.clone() } else { format!("http://{address}") };
        let url = format!("{base}/ws/v1/node/containers/{id}/logs{file}");
        let failed = |source| LogsError::Node { what: format!("{id}{file}"), source };
        let request = self.http.get(url).query(&[("user.name", self.user)]);
        let request = match last {
            Some(last) => request.query(&[("size", format!("-{last}"))]),
            None => request,
        };
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

/// What of a log's last part comes behind the bytes that are here; nothing if they are not what comes before.
fn news<'a>(path: &Path, here: u64, log: &ContainerLog<'a>) -> io::Result<Option<&'a [u8]>> {
    if here == 0 || log.start() > here || log.length < here {
        return Ok(None);
    }
    let overlap = usize::try_from(here - log.start()).unwrap_or(usize::MAX).min(log.bytes.len());
    let mut known = vec![0; overlap];
    std::fs::File::open(path)?.read_exact_at(&mut known, log.start())?;
    let (old, new) = log.bytes.split_at(overlap);
    Ok((old == known).then_some(new))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_of_a_log_is_told_from_another_log_of_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("jm-0.1.log");
        std::fs::write(&path, "one\ntwo\n").unwrap();
        let news = |length, bytes: &'static str| {
            news(&path, 8, &ContainerLog { length, bytes: bytes.as_bytes() }).unwrap().map(<[u8]>::len)
        };
        assert_eq!(news(14, "two\nthree\n"), Some(6));
        assert_eq!(news(14, "one\ntwo\nthree\n"), Some(6));
        assert_eq!(news(14, "three\n"), Some(6), "nothing overlaps");
        assert_eq!(news(14, "TWO\nthree\n"), None, "another log");
        assert_eq!(news(20, "three\n"), None, "a gap");
        assert_eq!(news(4, "new\n"), None, "shorter than what is here");
    }
}
