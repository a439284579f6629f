//! What was made on a node of what is staged, such as an archive of Flink's classes: kept for later
//! applications, under the name of what it was made of, since nobody can know its own digest before.

use crate::{
    AppId, Cause, Digest, Directory, Effect, Entry, FsError, Source, Staged, Staging, StagingError,
    names::{self, BLOBS, base_name, check_name},
    store::{Found, Place, SEEN, Wanted},
    transfer,
};

/// Something that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// What it is, the end of its name.
    pub kind: String,
    /// Where it is.
    pub staged: Staged,
}

impl Staging {
    /// All that was made of what `key` is the digest of, the newest first, of each kind the first that is
    /// trusted; from now on `gc` knows that the application uses it.
    pub async fn all_made(&self, key: Digest, app: &AppId) -> Result<Vec<Made>, StagingError> {
        // First the lease, then the look: see `gc`.
        self.lease(key, app).await?;
        let mut found = Vec::new();
        for place in &self.shared {
            match self.fs.list(&format!("{place}/{BLOBS}")).await {
                Ok(files) => found.extend(files),
                Err(error) => tracing::info!(place, %error, "cannot look into a shared staging directory"),
            }
        }
        found.extend(self.fs.list(&self.at(BLOBS)).await?);
        found.sort_by_key(|file| std::cmp::Reverse(file.mtime));
        let mut all: Vec<Made> = Vec::new();
        for file in &found {
            let Some((size, kind)) = names::made_of(base_name(&file.path), key) else { continue };
            if all.iter().any(|made| made.kind == kind) {
                continue;
            }
            let wanted = Wanted { name: key, extension: kind, size };
            match self.find(&file.path, &wanted).await? {
                Found::Whole(staged) => all.push(Made { kind: kind.into(), staged }),
                Found::Nothing => {}
                Found::Stranger(why) => {
                    tracing::warn!(path = file.path, %why, "not trusting a blob, and leaving it alone");
                }
            }
        }
        Ok(all)
    }

    /// Keeps what lies as a draft in the application's directory, for `all_made`. If somebody was faster,
    /// theirs is kept. The draft is gone afterwards.
    pub async fn adopt(
        &self,
        key: Digest,
        kind: &str,
        directory: &Directory,
        draft: &str,
        app: &AppId,
    ) -> Result<(), StagingError> {
        let from = format!("{}/{}", directory.path(), check_name(draft)?);
        let Some(Entry { size, .. }) = self.fs.look(&from).await? else {
            return Err(StagingError::Vanished { what: draft.into(), url: directory.url() });
        };
        let extension = format!("{size}.{}", check_name(kind)?);
        let wanted = Wanted { name: key, extension: &extension, size };
        if let Place::Free(path) = self.seek(&wanted, app).await? {
            match self.fs.rename(&from, &path).await {
                Ok(()) => return Ok(()),
                Err(FsError { cause: Cause::Exists, .. }) => {}
                // The reply was lost: the name tells.
                Err(error) if error.effect() == Effect::Unknown => match self.fs.look(&from).await? {
                    None => return Ok(()),
                    Some(_) => return Err(error.into()),
                },
                Err(error) => return Err(error.into()),
            }
        }
        directory.take_away(draft).await
    }
}

impl Directory {
    /// Puts what was made here as a draft: nobody else sees it until it is adopted, and everybody then.
    /// What is cut goes with the directory.
    pub async fn put_draft(&self, name: &str, source: &Source) -> Result<(), StagingError> {
        let path = format!("{}/{}", self.path(), check_name(name)?);
        let sent = transfer::send(&*self.fs, &path, SEEN, source, &|_| ()).await?;
        let found = self.fs.look(&path).await?.map_or(0, |entry| entry.size);
        if found != sent.size {
            return Err(StagingError::Damaged { url: self.fs.url(&path), found, sent: sent.size });
        }
        Ok(())
    }
}
