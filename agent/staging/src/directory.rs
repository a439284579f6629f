//! A directory that belongs to one application or one history: 0700, its files 0600.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};

use crate::{
    Entry, FileSystem, Progress, Source, Staged, StagingError, Visibility, names::check_name, store::SECRET,
    transfer,
};

/// Files that are uploaded at once.
const AT_ONCE: usize = 4;
/// The largest file that is read back into memory.
const READ_LIMIT: u64 = 16 << 20;

/// A directory that only its user can look into.
#[derive(Debug, Clone)]
pub struct Directory {
    pub(crate) fs: Arc<dyn FileSystem>,
    path: String,
}

impl Directory {
    pub(crate) fn new(fs: Arc<dyn FileSystem>, path: String) -> Self {
        Self { fs, path }
    }

    /// Its path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its URL.
    pub fn url(&self) -> String {
        self.fs.url(&self.path)
    }

    /// Makes a file that is not there yet: what a node may already have fetched is never overwritten.
    pub async fn put(&self, name: &str, content: impl Into<Bytes>) -> Result<Staged, StagingError> {
        self.put_source(name, &Source::Bytes(content.into()), &|_| ()).await
    }

    /// The same with a content from anywhere, with progress. On failure nothing of it is left, as far
    /// as the file system lets us.
    pub async fn put_source(
        &self,
        name: &str,
        source: &Source,
        progress: Progress<'_>,
    ) -> Result<Staged, StagingError> {
        let path = format!("{}/{}", self.path, check_name(name)?);
        let sent = match transfer::send(&*self.fs, &path, SECRET, source, progress).await {
            Ok(sent) => sent,
            Err(error) => {
                self.withdraw(&path, &error).await;
                return Err(error);
            }
        };
        let url = self.fs.url(&path);
        match self.fs.look(&path).await? {
            Some(Entry { size, mtime, .. }) if size == sent.size => {
                Ok(Staged { path, url, size, mtime, visibility: Visibility::Private, sent: size })
            }
            other => {
                Err(StagingError::Damaged { url, found: other.map_or(0, |it| it.size), sent: sent.size })
            }
        }
    }

    /// Puts several, some at a time. The answers come in the order of the files.
    pub async fn put_all(
        &self,
        files: &[(String, Source)],
        progress: Progress<'_>,
    ) -> Result<Vec<Staged>, StagingError> {
        // Boxed, so that the compiler sees that the whole may move between threads.
        let puts: Vec<_> =
            files.iter().map(|(name, source)| self.put_source(name, source, progress).boxed()).collect();
        stream::iter(puts).buffered(AT_ONCE).try_collect().await
    }

    /// The content of a file of ours, of 16 MB at most.
    pub async fn read(&self, name: &str) -> Result<Vec<u8>, StagingError> {
        Ok(self.fs.read(&format!("{}/{}", self.path, check_name(name)?), READ_LIMIT).await?)
    }

    /// Removes a file of ours; one that is not there is fine.
    pub async fn take_away(&self, name: &str) -> Result<(), StagingError> {
        Ok(self.fs.remove(&format!("{}/{}", self.path, check_name(name)?)).await?)
    }

    /// What is in it.
    pub async fn list(&self) -> Result<Vec<Entry>, StagingError> {
        Ok(self.fs.list(&self.path).await?)
    }

    /// Removes it with all that is in it.
    pub async fn remove(&self) -> Result<(), StagingError> {
        Ok(self.fs.remove(&self.path).await?)
    }

    /// Removes what is left of a file that was not made, unless its name was another's.
    async fn withdraw(&self, path: &str, error: &StagingError) {
        use crate::{Attempt, Cause};
        let created = !matches!(error, StagingError::Fs(error)
            if error.attempt == Attempt::Create && !matches!(error.cause, Cause::TimedOut(_)));
        if created && let Err(error) = self.fs.remove(path).await {
            tracing::warn!(path, %error, "a cut upload is left in the application's directory");
        }
    }
}
