//! The store: contents by their digest, kept across sessions and shared where that is safe.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use futures_util::future::try_join_all;
use jiff::Timestamp;
use kobel_plan::ClusterName;

use crate::{
    AppId, Blob, Cause, Digest, Directory, Distrust, Effect, Entry, FileSystem, FsError, Kind, Progress,
    Source, StagingError, Trust, Visibility,
    names::{self, APPS, BLOBS, HISTORY, LEASES, PARTIAL, base_name, with_ancestors},
    transfer,
    trust::judge_private,
    visibility,
};

/// Directories on the way to what may be seen by all.
pub(crate) const OPEN: u32 = 0o755;
/// Directories of what may not.
pub(crate) const CLOSED: u32 = 0o700;
/// A content.
pub(crate) const SEEN: u32 = 0o644;
/// A secret, or a mark for ourselves.
pub(crate) const SECRET: u32 = 0o600;

/// A staging directory.
#[derive(Debug, Clone)]
pub struct Staging {
    pub(crate) fs: Arc<dyn FileSystem>,
    pub(crate) base: String,
    pub(crate) shared: Vec<String>,
    trust: Trust,
}

/// What a node needs to fetch a staged file: YARN compares size and time to the millisecond.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staged {
    /// Its path.
    pub path: String,
    /// The same as a URL.
    pub url: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its modification time, milliseconds since 1970.
    pub mtime: u64,
    /// Where a node may cache it.
    pub visibility: Visibility,
    /// How many bytes were sent for it now: none if it was there.
    pub sent: u64,
}

/// A content to look for.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// Its name: its own digest, or that of what it was made of.
    pub(crate) name: Digest,
    pub(crate) extension: &'a str,
    /// Its length in bytes.
    pub(crate) size: u64,
}

/// Where a content is, or can be put.
pub(crate) enum Place {
    Whole(Staged),
    Free(String),
}

/// What lies at a content's name.
pub(crate) enum Found {
    Nothing,
    Whole(Staged),
    Stranger(Distrust),
}

impl Staging {
    /// The user's own staging directory `base`, further ones of the same kind to look into
    /// before something is uploaded, and the setting `staging.trusted-owners`.
    pub fn new(
        fs: Arc<dyn FileSystem>,
        base: &str,
        shared: &[String],
        trusted_owners: &BTreeSet<String>,
    ) -> Self {
        let trust = Trust { user: fs.user().into(), others: trusted_owners.clone() };
        let plain = |path: &str| path.trim_end_matches('/').to_string();
        Self { fs, base: plain(base), shared: shared.iter().map(|path| plain(path)).collect(), trust }
    }

    /// Makes sure that this content is there, and that `gc` knows that the application uses it. Whole
    /// contents are never touched: what is not to be trusted is left alone, and the content uploaded under
    /// another name. `progress` is called only while something is uploaded.
    pub async fn ensure(
        &self,
        blob: &Blob,
        app: &AppId,
        progress: Progress<'_>,
    ) -> Result<Staged, StagingError> {
        let extension = blob.source.extension();
        let wanted = Wanted { name: blob.digest, extension, size: blob.size };
        self.obtain(&wanted, &blob.source, app, progress).await
    }

    async fn obtain(
        &self,
        wanted: &Wanted<'_>,
        source: &Source,
        app: &AppId,
        progress: Progress<'_>,
    ) -> Result<Staged, StagingError> {
        // The second time if a stranger took the name meanwhile, or gc the content.
        for _ in 0..2 {
            let path = match self.seek(wanted, app).await? {
                Place::Whole(staged) => return Ok(staged),
                Place::Free(path) => path,
            };
            self.upload(wanted, source, &path, progress).await?;
            if let Found::Whole(mut staged) = self.find(&path, wanted).await? {
                staged.sent = staged.size;
                return Ok(staged);
            }
        }
        Err(StagingError::Vanished { what: source.to_string(), url: self.fs.url(&self.base) })
    }

    /// The content, or else the first of its names that is free.
    pub(crate) async fn seek(&self, wanted: &Wanted<'_>, app: &AppId) -> Result<Place, StagingError> {
        // First the lease, then the look: see `gc`.
        self.lease(wanted.name, app).await?;
        for place in &self.shared {
            let path = format!("{place}/{BLOBS}/{}.{}", wanted.name, wanted.extension);
            match self.find(&path, wanted).await {
                Ok(Found::Whole(staged)) => return Ok(Place::Whole(staged)),
                Ok(Found::Nothing) => {}
                Ok(Found::Stranger(why)) => tracing::info!(path, %why, "not trusting a shared blob"),
                Err(error) => tracing::info!(path, %error, "cannot look into a shared staging directory"),
            }
        }
        let dir = self.prepare(BLOBS, OPEN).await?;
        let mut last = Distrust::Kind { path: dir.clone(), wanted: "directory" };
        for name in names::blob_names(wanted.name, wanted.extension) {
            let path = format!("{dir}/{name}");
            match self.find(&path, wanted).await? {
                Found::Whole(staged) => return Ok(Place::Whole(staged)),
                Found::Nothing => return Ok(Place::Free(path)),
                Found::Stranger(why) => {
                    tracing::warn!(path, %why, "not trusting a blob, and leaving it alone");
                    last = why;
                }
            }
        }
        Err(StagingError::Taken { name: wanted.name.to_string(), url: self.fs.url(&dir), source: last })
    }

    /// The application's own directory, closed to everyone else; made unless it is there.
    pub async fn application(&self, app: &AppId) -> Result<Directory, StagingError> {
        self.prepare(APPS, CLOSED).await?;
        self.private(format!("{APPS}/{app}")).await
    }

    /// Where an application's own directory is, or would be.
    pub fn url_of(&self, app: &AppId) -> String {
        self.fs.url(&format!("{}/{APPS}/{app}", self.base))
    }

    /// The directory of an application that was submitted before, if it is there.
    pub async fn existing(&self, app: &AppId) -> Result<Option<Directory>, StagingError> {
        let path = format!("{}/{APPS}/{app}", self.base);
        let Some(entry) = self.fs.look(&path).await? else { return Ok(None) };
        judge_private(&entry, self.fs.user()).map_err(|source| self.unsafe_at(&path, source))?;
        Ok(Some(Directory::new(self.fs.clone(), path)))
    }

    /// A directory for what is to be kept of a cluster that is over. Its name does not hold the
    /// application's id: aggregated logs and results are told apart by cluster and time.
    pub async fn history(&self, cluster: &ClusterName, at: Timestamp) -> Result<Directory, StagingError> {
        self.prepare(HISTORY, CLOSED).await?;
        self.private(format!("{HISTORY}/{cluster}-{}", at.strftime("%Y%m%dT%H%M%S"))).await
    }

    /// What is kept of clusters of this name, the newest first.
    pub async fn histories(&self, cluster: &ClusterName) -> Result<Vec<Directory>, StagingError> {
        let of_cluster = |entry: &Entry| {
            let time = base_name(&entry.path).strip_prefix(cluster.as_str())?.strip_prefix('-')?;
            // Another cluster's name may begin with this one's.
            (!time.contains('-') && judge_private(entry, self.fs.user()).is_ok()).then(|| entry.path.clone())
        };
        let dirs = self.fs.list(&format!("{}/{HISTORY}", self.base)).await?;
        let mut paths: Vec<_> = dirs.iter().filter_map(of_cluster).collect();
        paths.sort_unstable_by(|a, b| b.cmp(a));
        Ok(paths.into_iter().map(|path| Directory::new(self.fs.clone(), path)).collect())
    }

    async fn private(&self, name: String) -> Result<Directory, StagingError> {
        let path = self.prepare(&name, CLOSED).await?;
        if let Some(entry) = self.fs.look(&path).await? {
            judge_private(&entry, self.fs.user()).map_err(|source| self.unsafe_at(&path, source))?;
        }
        Ok(Directory::new(self.fs.clone(), path))
    }

    /// Writes down that the application uses what has this name, in shared directories as far as they let us.
    pub(crate) async fn lease(&self, name: Digest, app: &AppId) -> Result<(), StagingError> {
        let name = names::lease_name(name, app);
        for place in &self.shared {
            if let Err(error) = self.touch(&format!("{place}/{LEASES}/{name}")).await {
                tracing::debug!(place, %error, "no lease in a shared staging directory");
            }
        }
        let dir = self.prepare(LEASES, CLOSED).await?;
        self.touch(&format!("{dir}/{name}")).await
    }

    async fn touch(&self, path: &str) -> Result<(), StagingError> {
        match transfer::send(&*self.fs, path, SECRET, &Source::Bytes(Bytes::new()), &|_| ()).await {
            Err(StagingError::Fs(FsError { cause: Cause::Exists, .. })) => Ok(()),
            sent => sent.map(drop),
        }
    }

    pub(crate) async fn find(&self, path: &str, content: &Wanted<'_>) -> Result<Found, StagingError> {
        let Some(entries) = self.entries(path).await? else { return Ok(Found::Nothing) };
        if let Err(why) = self.trust.judge(&entries, Kind::File) {
            return Ok(Found::Stranger(why));
        }
        let (size, mtime) = entries.last().map_or((0, 0), |file| (file.size, file.mtime));
        if size != content.size {
            return Ok(Found::Stranger(Distrust::Size { path: path.into(), size, wanted: content.size }));
        }
        let (url, visibility) = (self.fs.url(path), visibility(&entries));
        Ok(Found::Whole(Staged { path: path.into(), url, size, mtime, visibility, sent: 0 }))
    }

    /// What lies on the way to a path and there, or nothing if the way ends before.
    async fn entries(&self, path: &str) -> Result<Option<Vec<Entry>>, FsError> {
        let paths = with_ancestors(path);
        let looks = paths.iter().map(|path| self.fs.look(path));
        Ok(try_join_all(looks).await?.into_iter().collect())
    }

    /// Uploads under a name of its own, compares what was sent, and gives it its real name.
    async fn upload(
        &self,
        wanted: &Wanted<'_>,
        source: &Source,
        to: &str,
        progress: Progress<'_>,
    ) -> Result<(), StagingError> {
        let random = getrandom::u64().map_err(|error| StagingError::Source {
            what: "the system's random numbers".into(),
            source: std::io::Error::other(error),
        })?;
        let partial = format!("{}/{BLOBS}/{PARTIAL}{}-{random:016x}", self.base, wanted.name);
        let result = self.upload_as(&partial, wanted, source, to, progress).await;
        if !matches!(result, Ok(true))
            && let Err(error) = self.fs.remove(&partial).await
        {
            tracing::warn!(partial, %error, "a cut upload is left for gc");
        }
        result.map(drop)
    }

    /// Says whether the name is this upload's; else somebody else's was faster.
    async fn upload_as(
        &self,
        partial: &str,
        wanted: &Wanted<'_>,
        source: &Source,
        to: &str,
        progress: Progress<'_>,
    ) -> Result<bool, StagingError> {
        let sent = transfer::send(&*self.fs, partial, SEEN, source, progress).await?;
        if (wanted.name, wanted.size) != (sent.digest, sent.size) {
            return Err(StagingError::Changed { what: source.to_string() });
        }
        let found = self.fs.look(partial).await?.map_or(0, |entry| entry.size);
        if found != sent.size {
            return Err(StagingError::Damaged { url: self.fs.url(partial), found, sent: sent.size });
        }
        match self.fs.rename(partial, to).await {
            Ok(()) => Ok(true),
            Err(FsError { cause: Cause::Exists, .. }) => Ok(false),
            // The reply was lost: the name tells.
            Err(error) if error.effect() == Effect::Unknown => match self.fs.look(partial).await? {
                None => Ok(true),
                Some(_) => Err(error.into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// Makes a directory below the base, and refuses one in which others could change things.
    pub(crate) async fn prepare(&self, name: &str, mode: u32) -> Result<String, StagingError> {
        let path = format!("{}/{name}", self.base);
        let mut entries = self.entries(&path).await?;
        if entries.is_none() {
            // One by one: hdfs-native's mkdirs would give each of them the last one's mode.
            for dir in with_ancestors(&path) {
                if self.fs.look(&dir).await?.is_none() {
                    self.fs.make_dir(&dir, if dir == path { mode } else { OPEN }).await?;
                }
            }
            entries = self.entries(&path).await?;
        }
        self.trust
            .judge(&entries.unwrap_or_default(), Kind::Directory)
            .map_err(|why| self.unsafe_at(&path, why))?;
        Ok(path)
    }

    fn unsafe_at(&self, path: &str, source: Distrust) -> StagingError {
        StagingError::Unsafe { url: self.fs.url(path), source }
    }
}
