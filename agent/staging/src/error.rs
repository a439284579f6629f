//! What can go wrong with staging.

use std::io;

use kobel_conf::{Category, Explain};

use crate::{Distrust, FsError};

/// Why something is not staged.
#[derive(Debug, thiserror::Error)]
pub enum StagingError {
    /// The file system did not do it.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// What is to be staged cannot be read.
    #[error("could not read {what}")]
    Source {
        /// What was read.
        what: String,
        /// Why not.
        source: io::Error,
    },
    /// What is to be staged changed after its digest was computed.
    #[error("{what} changed while it was uploaded")]
    Changed {
        /// What changed.
        what: String,
    },
    /// What was written is not what is there.
    #[error("{url} has {found} bytes after {sent} were sent")]
    Damaged {
        /// The file.
        url: String,
        /// Its length.
        found: u64,
        /// What was sent.
        sent: u64,
    },
    /// Others could change what is put into the staging directory.
    #[error("refusing the staging directory {url}")]
    Unsafe {
        /// The directory.
        url: String,
        /// Why it is not safe.
        source: Distrust,
    },
    /// All names of a content are taken by what is not trusted.
    #[error("no trusted place left for {name} in {url}")]
    Taken {
        /// The content's name.
        name: String,
        /// The directory.
        url: String,
        /// Why the last one is not trusted.
        source: Distrust,
    },
    /// It was uploaded, and is not there.
    #[error("{what} does not stay in {url}")]
    Vanished {
        /// What was uploaded.
        what: String,
        /// The staging directory.
        url: String,
    },
    /// A name that cannot be that of a file here.
    #[error("{name:?} cannot be the name of a staged file")]
    Name {
        /// The name.
        name: String,
    },
}

impl StagingError {
    /// Whether the file system is away, for now.
    pub fn is_outage(&self) -> bool {
        matches!(self, StagingError::Fs(error) if error.cause.is_outage())
    }

    /// Whether the same may succeed a little later.
    pub fn passing(&self) -> bool {
        matches!(self, StagingError::Fs(error) if error.passing())
    }
}

impl Explain for StagingError {
    fn category(&self) -> Category {
        match self {
            StagingError::Fs(error) => error.category(),
            StagingError::Unsafe { .. } | StagingError::Taken { .. } => Category::Denied,
            StagingError::Source { .. }
            | StagingError::Changed { .. }
            | StagingError::Damaged { .. }
            | StagingError::Vanished { .. } => Category::Environment,
            StagingError::Name { .. } => Category::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            StagingError::Fs(error) => error.hint(),
            StagingError::Unsafe { source: Distrust::Writable { path, .. }, .. } => {
                Some(format!("hdfs dfs -chmod go-w {path}"))
            }
            StagingError::Unsafe { source: Distrust::Owner { owner, .. }, .. } => {
                Some(format!("name another with staging.dir, or trust {owner} with staging.trusted-owners"))
            }
            StagingError::Unsafe { .. } => Some("name another directory with staging.dir".into()),
            StagingError::Taken { url, .. } => Some(format!("see what is there: hdfs dfs -ls {url}")),
            StagingError::Changed { .. } | StagingError::Vanished { .. } => {
                Some("run the command again".into())
            }
            StagingError::Name { .. } => Some("rename the file: no / and no :".into()),
            StagingError::Source { .. } | StagingError::Damaged { .. } => None,
        }
    }
}
