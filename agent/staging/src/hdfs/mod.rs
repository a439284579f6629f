//! HDFS by the crate `hdfs-native`, with what that crate lacks: a deadline for every call, a fresh
//! connection after one ran out, panics that stay inside a call, and a configuration that comes from
//! the caller and not from this process's environment.
//!
//! Of the environment it still reads `HADOOP_TOKEN_FILE_LOCATION`, as every Hadoop client does.

mod cause;
mod connection;
mod unhurried;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use hdfs_native::{Client, HdfsError, WriteOptions, client::FileStatus, file::FileWriter};

use crate::{Attempt, Cause, Deadlines, Entry, FileSystem, FsError, Kind, Sink, encode_path};
use connection::{Connection, Connections};
use unhurried::Unhurried;

/// A call of hdfs-native's. Its futures are large: they live on the heap.
type Work<T> = BoxFuture<'static, Result<T, HdfsError>>;

/// An HDFS seen by one user.
#[derive(Debug, Clone)]
pub struct Hdfs {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    connections: Connections,
    user: String,
    home: String,
    deadlines: Deadlines,
}

impl Hdfs {
    /// The file system of this URL (`hdfs://host:port`, `hdfs://nameservice`, or `None` for
    /// `fs.defaultFS`), with the properties of the user's core-site and hdfs-site. Nothing is sent yet.
    ///
    /// `user` is the short name that stands in the owners of files. Where Hadoop is not secured it is
    /// also who we say we are; else the Kerberos ticket or the token decides that.
    pub fn new(
        url: Option<&str>,
        properties: &BTreeMap<String, String>,
        user: &str,
        deadlines: Deadlines,
    ) -> Result<Self, FsError> {
        let connections = Connections::new(url, properties, user)?;
        let prefix = properties.get("dfs.user.home.dir.prefix").map_or("/user", |prefix| prefix.trim());
        let home = format!("{}/{user}", prefix.trim_end_matches('/'));
        Ok(Self { inner: Arc::new(Inner { connections, user: user.into(), home, deadlines }) })
    }

    /// The user's home directory.
    pub fn home(&self) -> &str {
        &self.inner.home
    }

    /// A part of a file, which must have it.
    pub async fn read_part(&self, path: &str, offset: u64, length: u64) -> Result<Vec<u8>, FsError> {
        let name = path.to_string();
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        let part = self.ask(Attempt::Read, path, move |client| {
            let name = name.clone();
            Box::pin(async move { client.read(&name).await?.read_range(size(offset), size(length)).await })
        });
        Ok(part.await?.into())
    }

    fn error(&self, attempt: Attempt, path: &str, cause: Cause) -> FsError {
        FsError { attempt, url: self.url(path), cause }
    }

    /// Runs a call in a task of the connection's own runtime, with the deadline given. When it runs
    /// out, the connection is given up: hdfs-native would go on sending calls into it.
    async fn call<T: Send + 'static>(
        &self,
        attempt: Attempt,
        path: &str,
        limit: Duration,
        call: impl FnOnce(Client) -> Work<T> + Send,
    ) -> Result<T, FsError> {
        let failed = |cause| self.error(attempt, path, cause);
        let connection = self.inner.connections.get().map_err(failed)?;
        let running = connection.run(limit, call(connection.client().clone())).await;
        self.settle(&connection, running).map_err(failed)
    }

    fn settle<T>(
        &self,
        connection: &Arc<Connection>,
        done: Result<Result<T, HdfsError>, Cause>,
    ) -> Result<T, Cause> {
        let result = done.and_then(|result| result.map_err(Cause::from));
        if let Err(Cause::TimedOut(_)) = result {
            self.inner.connections.give_up(connection);
        }
        result
    }

    /// A call that may be made twice: made again at the next NameNode when one does not answer, or dies while it
    /// should.
    async fn ask<T: Send + 'static>(
        &self,
        attempt: Attempt,
        path: &str,
        call: impl Fn(Client) -> Work<T> + Send + Sync,
    ) -> Result<T, FsError> {
        let name_nodes = self.inner.connections.name_nodes();
        let limit = self.inner.deadlines.call / name_nodes;
        for _ in 1..name_nodes {
            match self.call(attempt, path, limit, &call).await {
                Err(FsError { cause: Cause::TimedOut(_) | Cause::Unreachable(_), .. }) => {
                    tracing::debug!(path, "a namenode does not answer, asking the next");
                }
                settled => return settled,
            }
        }
        self.call(attempt, path, limit, &call).await
    }
}

#[async_trait]
impl FileSystem for Hdfs {
    fn user(&self) -> &str {
        &self.inner.user
    }

    fn fails_over(&self) -> bool {
        self.inner.connections.name_nodes() > 1
    }

    fn url(&self, path: &str) -> String {
        format!("{}{}", self.inner.connections.authority(), encode_path(path))
    }

    async fn look(&self, path: &str) -> Result<Option<Entry>, FsError> {
        let name = path.to_string();
        let found = self.ask(Attempt::Look, path, move |client| {
            let name = name.clone();
            Box::pin(async move { client.get_file_info(&name).await })
        });
        absent_as_none(found.await.map(Entry::from))
    }

    async fn list(&self, dir: &str) -> Result<Vec<Entry>, FsError> {
        let name = dir.to_string();
        let found = self.ask(Attempt::List, dir, move |client| {
            let name = name.clone();
            Box::pin(async move { client.list_status(&name, false).await })
        });
        let found = absent_as_none(found.await)?.unwrap_or_default();
        Ok(found.into_iter().map(Entry::from).collect())
    }

    async fn make_dir(&self, path: &str, mode: u32) -> Result<(), FsError> {
        let name = path.to_string();
        let made = self.ask(Attempt::MakeDir, path, move |client| {
            let name = name.clone();
            Box::pin(async move { client.mkdirs(&name, mode, false).await })
        });
        made.await
    }

    async fn create(&self, path: &str, mode: u32) -> Result<Box<dyn Sink>, FsError> {
        let name = path.to_string();
        let options = WriteOptions::default().permission(mode).create_parent(false).overwrite(false);
        let failed = |cause| self.error(Attempt::Create, path, cause);
        let connection = self.inner.connections.get().map_err(failed)?;
        let client = connection.client().clone();
        let creating = Box::pin(async move { client.create(&name, options).await });
        let created = connection.run(self.inner.deadlines.call, creating).await;
        let writer = Some(self.settle(&connection, created).map_err(failed)?);
        Ok(Box::new(Writing { hdfs: self.clone(), connection, path: path.into(), writer }))
    }

    async fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, FsError> {
        let name = path.to_string();
        let found = self.ask(Attempt::Read, path, move |client| {
            let name = name.clone();
            Box::pin(async move {
                let mut reader = client.read(&name).await?;
                let size = reader.file_length();
                let bytes = if size as u64 > limit { Bytes::new() } else { reader.read_bytes(size).await? };
                Ok((size as u64, bytes))
            })
        });
        match found.await? {
            (size, _) if size > limit => {
                Err(self.error(Attempt::Read, path, Cause::TooLarge { size, limit }))
            }
            (_, bytes) => Ok(bytes.into()),
        }
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), FsError> {
        let limit = self.inner.deadlines.call;
        let rename = |client: Client| -> Work<()> {
            let (source, target) = (from.to_string(), to.to_string());
            Box::pin(async move { client.rename(&source, &target, false).await })
        };
        match self.call(Attempt::Rename, from, limit, rename).await {
            Err(error) if self.fails_over() && error.passing() => {
                // If it was done all the same, there is nothing to rename any more.
                absent_as_none(self.call(Attempt::Rename, from, limit, rename).await).map(drop)
            }
            settled => settled,
        }
    }

    async fn remove(&self, path: &str) -> Result<(), FsError> {
        let name = path.to_string();
        let removed = self.ask(Attempt::Remove, path, move |client| {
            let name = name.clone();
            Box::pin(async move { client.delete(&name, true).await })
        });
        absent_as_none(removed.await).map(drop)
    }
}

fn absent_as_none<T>(found: Result<T, FsError>) -> Result<Option<T>, FsError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(FsError { cause: Cause::Absent, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

impl From<FileStatus> for Entry {
    fn from(status: FileStatus) -> Self {
        Self {
            path: status.path,
            kind: if status.isdir { Kind::Directory } else { Kind::File },
            size: status.length as u64,
            mtime: status.modification_time,
            owner: status.owner,
            mode: u32::from(status.permission) & 0o7777,
        }
    }
}

/// A file being written. The writer is moved into each call's task and comes back with its result.
struct Writing {
    hdfs: Hdfs,
    connection: Arc<Connection>,
    path: String,
    writer: Option<FileWriter>,
}

impl Writing {
    async fn step(
        &mut self,
        attempt: Attempt,
        step: impl FnOnce(FileWriter) -> Work<(FileWriter, Result<(), HdfsError>)>,
    ) -> Result<(), FsError> {
        let failed = |cause| self.hdfs.error(attempt, &self.path, cause);
        let Some(writer) = self.writer.take() else {
            return Err(failed(Cause::Other("an earlier piece was not taken".into())));
        };
        let done = self.connection.run(self.hdfs.inner.deadlines.piece, step(writer)).await;
        let (writer, result) = self.hdfs.settle(&self.connection, done).map_err(failed)?;
        result.map_err(|error| failed(Cause::from(error)))?;
        self.writer = Some(writer);
        Ok(())
    }
}

#[async_trait]
impl Sink for Writing {
    async fn write(&mut self, piece: Bytes) -> Result<(), FsError> {
        let write = |mut writer: FileWriter| -> Work<_> {
            Box::pin(async move {
                let result = Box::pin(writer.write_bytes(piece)).await.map(drop);
                Ok((writer, result))
            })
        };
        self.step(Attempt::Write, write).await
    }

    async fn close(mut self: Box<Self>) -> Result<(), FsError> {
        let close = |mut writer: FileWriter| -> Work<_> {
            Box::pin(async move {
                let result = Unhurried::new(writer.close()).await;
                Ok((writer, result))
            })
        };
        self.step(Attempt::Close, close).await
    }
}
