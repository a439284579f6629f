//! What can be removed from a staging directory, as data, so that a dry run is the same run.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{
    AppId, Cause, Digest, Entry, FsError, Kind, Staging, StagingError,
    names::{APPS, BLOBS, HISTORY, LEASES, PARTIAL, base_name, blob_digest, parse_lease},
};

/// What counts as left over.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    /// The present time in milliseconds since 1970.
    pub now: u64,
    /// An upload that has not ended in this time is cut.
    pub partial: Duration,
    /// A content that no application has asked for in this time is unused.
    pub unused: Duration,
    /// What is kept of clusters that are over goes after this time.
    pub history: Duration,
    /// Whether an application is over; `false` when that is not known.
    pub over: &'a (dyn Fn(&AppId) -> bool + Send + Sync),
}

/// Something that can go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// What it is.
    pub what: What,
    /// Its path.
    pub path: String,
    /// How much room it takes.
    pub size: u64,
    /// How long ago it changed last.
    pub age: Duration,
}

/// Kinds of what is left over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The directory of an application that is over.
    Application(AppId),
    /// A content that nobody uses.
    Blob(Digest),
    /// An upload that was cut.
    Partial,
    /// The mark of an application that is over.
    Lease(AppId),
    /// What was kept of a cluster, for long enough.
    History,
}

/// Marks on each content.
type Leases = BTreeMap<Digest, Vec<(AppId, Entry)>>;

impl Staging {
    /// All applications that have something here, to find out which are over.
    pub async fn applications(&self) -> Result<BTreeSet<AppId>, StagingError> {
        let dirs = self.fs.list(&self.at(APPS)).await?;
        let dirs = dirs.iter().filter_map(|dir| AppId::try_from(base_name(&dir.path)).ok());
        let leases = self.leases().await?.into_values().flatten().map(|(app, _)| app);
        Ok(dirs.chain(leases).collect())
    }

    /// What can go by these rules. Nothing is changed.
    pub async fn leftovers(&self, rules: Rules<'_>) -> Result<Vec<Leftover>, StagingError> {
        let age = |entry: &Entry| Duration::from_millis(rules.now.saturating_sub(entry.mtime));
        let mut found = Vec::new();
        for dir in self.fs.list(&self.at(APPS)).await? {
            if let Ok(app) = AppId::try_from(base_name(&dir.path))
                && (rules.over)(&app)
            {
                found.push((What::Application(app), dir));
            }
        }
        for dir in self.fs.list(&self.at(HISTORY)).await? {
            if age(&dir) >= rules.history {
                found.push((What::History, dir));
            }
        }
        let leases = self.leases().await?;
        for file in self.fs.list(&self.at(BLOBS)).await? {
            let name = base_name(&file.path);
            if name.starts_with(PARTIAL) && age(&file) >= rules.partial {
                found.push((What::Partial, file));
            } else if let Some(digest) = blob_digest(name)
                && file.owner == self.fs.user()
                && age(&file) >= rules.unused
                && leases.get(&digest).is_none_or(|leases| unused(leases, rules))
            {
                found.push((What::Blob(digest), file));
            }
        }
        for (app, file) in leases.into_values().flatten() {
            if (rules.over)(&app) && age(&file) >= rules.unused {
                found.push((What::Lease(app), file));
            }
        }
        let mut leftovers = Vec::with_capacity(found.len());
        for (what, entry) in found {
            let age = age(&entry);
            leftovers.push(Leftover { what, size: self.size(&entry).await?, age, path: entry.path });
        }
        Ok(leftovers)
    }

    /// Removes one of them, and says whether it is gone: a content that an application asked for
    /// meanwhile stays.
    pub async fn clear(&self, leftover: &Leftover, rules: Rules<'_>) -> Result<bool, StagingError> {
        let What::Blob(digest) = leftover.what else {
            self.fs.remove(&leftover.path).await?;
            return Ok(true);
        };
        // First the name goes, then the leases are read again. Who takes a lease before that is seen
        // here; who takes one after it does not find the content any more, and uploads it anew.
        let hidden = format!("{}/{PARTIAL}{digest}-cleared", self.at(BLOBS));
        self.fs.rename(&leftover.path, &hidden).await?;
        let leases = self.leases().await?;
        if leases.get(&digest).is_some_and(|leases| !unused(leases, rules)) {
            match self.fs.rename(&hidden, &leftover.path).await {
                // It is there anew already.
                Err(FsError { cause: Cause::Exists, .. }) => self.fs.remove(&hidden).await?,
                result => result?,
            }
            return Ok(false);
        }
        self.fs.remove(&hidden).await?;
        Ok(true)
    }

    async fn leases(&self) -> Result<Leases, FsError> {
        let mut leases = Leases::new();
        for file in self.fs.list(&self.at(LEASES)).await? {
            if let Some((digest, app)) = parse_lease(base_name(&file.path)) {
                leases.entry(digest).or_default().push((app, file));
            }
        }
        Ok(leases)
    }

    /// How much room a file takes, or all files in a directory.
    async fn size(&self, entry: &Entry) -> Result<u64, FsError> {
        let (mut size, mut waiting) = (0, vec![entry.clone()]);
        while let Some(entry) = waiting.pop() {
            match entry.kind {
                Kind::Directory => waiting.extend(self.fs.list(&entry.path).await?),
                Kind::File | Kind::Other => size += entry.size,
            }
        }
        Ok(size)
    }

    pub(crate) fn at(&self, name: &str) -> String {
        format!("{}/{name}", self.base)
    }
}

/// Whether no application uses a content with these leases, and none has asked for it lately.
fn unused(leases: &[(AppId, Entry)], rules: Rules<'_>) -> bool {
    let late = |entry: &Entry| rules.now.saturating_sub(entry.mtime) < rules.unused.as_millis() as u64;
    leases.iter().all(|(app, entry)| (rules.over)(app) && !late(entry))
}
