//! Plain files: a file system that all machines share, or a test's directory. Owners are numbers.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::Path,
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::{task::spawn_blocking, time::timeout};

use crate::{Attempt, Cause, Deadlines, Entry, FileSystem, FsError, Kind, Sink, encode_path};

/// The files of this machine.
#[derive(Debug, Clone)]
pub struct PlainFiles {
    user: String,
    deadlines: Deadlines,
}

impl PlainFiles {
    /// As the user of this process.
    pub fn new(deadlines: Deadlines) -> Self {
        Self { user: rustix::process::geteuid().as_raw().to_string(), deadlines }
    }

    /// Runs a call that blocks, on a thread that may outlive its deadline.
    async fn run<T: Send + 'static>(
        &self,
        attempt: Attempt,
        path: &str,
        call: impl FnOnce(&Path) -> Result<T, Cause> + Send + 'static,
    ) -> Result<T, FsError> {
        let limit = self.deadlines.call;
        let name = path.to_string();
        let done = match timeout(limit, spawn_blocking(move || call(Path::new(&name)))).await {
            Err(_) => Err(Cause::TimedOut(limit)),
            Ok(Err(error)) => Err(Cause::Other(error.to_string())),
            Ok(Ok(result)) => result,
        };
        done.map_err(|cause| FsError { attempt, url: self.url(path), cause })
    }
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Cause::Absent,
            io::ErrorKind::AlreadyExists => Cause::Exists,
            io::ErrorKind::PermissionDenied => Cause::Denied(error.to_string()),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Cause::NoRoom(error.to_string()),
            _ => Cause::Other(error.to_string()),
        }
    }
}

fn entry(path: &Path) -> io::Result<Entry> {
    let meta = fs::symlink_metadata(path)?;
    let kind = match () {
        () if meta.is_file() => Kind::File,
        () if meta.is_dir() => Kind::Directory,
        () => Kind::Other,
    };
    let mtime = meta.mtime() * 1000 + meta.mtime_nsec() / 1_000_000;
    Ok(Entry {
        path: path.to_string_lossy().into_owned(),
        kind,
        size: meta.len(),
        mtime: u64::try_from(mtime).unwrap_or_default(),
        owner: meta.uid().to_string(),
        mode: meta.mode() & 0o7777,
    })
}

fn absent_as_default<T: Default>(result: io::Result<T>) -> Result<T, Cause> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(T::default()),
        result => Ok(result?),
    }
}

#[async_trait]
impl FileSystem for PlainFiles {
    fn user(&self) -> &str {
        &self.user
    }

    fn url(&self, path: &str) -> String {
        format!("file://{}", encode_path(path))
    }

    async fn look(&self, path: &str) -> Result<Option<Entry>, FsError> {
        self.run(Attempt::Look, path, |path| absent_as_default(entry(path).map(Some))).await
    }

    async fn list(&self, dir: &str) -> Result<Vec<Entry>, FsError> {
        self.run(Attempt::List, dir, |dir| {
            let mut found = Vec::new();
            for child in absent_as_default(fs::read_dir(dir).map(Some))?.into_iter().flatten() {
                // What vanishes meanwhile is not there.
                found.extend(absent_as_default(entry(&child?.path()).map(Some))?);
            }
            Ok(found)
        })
        .await
    }

    async fn make_dir(&self, path: &str, mode: u32) -> Result<(), FsError> {
        self.run(Attempt::MakeDir, path, move |path| {
            match DirBuilder::new().mode(mode).create(path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
                // The umask may have taken something away.
                result => {
                    Ok(result.and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode)))?)
                }
            }
        })
        .await
    }

    async fn create(&self, path: &str, mode: u32) -> Result<Box<dyn Sink>, FsError> {
        let file = self.run(Attempt::Create, path, move |path| {
            let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
            file.set_permissions(fs::Permissions::from_mode(mode))?;
            Ok(file)
        });
        Ok(Box::new(Writing { files: self.clone(), path: path.into(), file: Arc::new(file.await?) }))
    }

    async fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, FsError> {
        self.run(Attempt::Read, path, move |path| {
            let mut content = Vec::new();
            File::open(path)?.take(limit.saturating_add(1)).read_to_end(&mut content)?;
            let size = content.len() as u64;
            if size > limit { Err(Cause::TooLarge { size, limit }) } else { Ok(content) }
        })
        .await
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), FsError> {
        let to = to.to_string();
        // A plain rename would replace what has the name; a second link does not, over NFS either.
        self.run(Attempt::Rename, from, move |from| {
            fs::hard_link(from, &to)?;
            Ok(fs::remove_file(from)?)
        })
        .await
    }

    async fn remove(&self, path: &str) -> Result<(), FsError> {
        self.run(Attempt::Remove, path, |path| {
            let is_dir = absent_as_default(fs::symlink_metadata(path).map(|meta| meta.is_dir()))?;
            absent_as_default(if is_dir { fs::remove_dir_all(path) } else { fs::remove_file(path) })
        })
        .await
    }
}

struct Writing {
    files: PlainFiles,
    path: String,
    file: Arc<File>,
}

#[async_trait]
impl Sink for Writing {
    async fn write(&mut self, piece: Bytes) -> Result<(), FsError> {
        let file = self.file.clone();
        self.files.run(Attempt::Write, &self.path, move |_| Ok((&*file).write_all(&piece)?)).await
    }

    async fn close(self: Box<Self>) -> Result<(), FsError> {
        let file = self.file.clone();
        self.files.run(Attempt::Close, &self.path, move |_| Ok(file.sync_all()?)).await
    }
}
