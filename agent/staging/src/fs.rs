//! The few operations that staging needs of a file system. Each has a deadline of its own, and each
//! failure says whether it may have taken effect all the same.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use kobel_conf::{Category, Explain};

use crate::Entry;

/// How long an operation may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// One question or order.
    pub call: Duration,
    /// One piece of an upload, [`PIECE`] bytes at most, until it is taken.
    pub piece: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { call: Duration::from_secs(15), piece: Duration::from_secs(30) }
    }
}

/// The largest piece that is written at once.
pub const PIECE: usize = 1 << 20;

/// A file system with owners and permissions. Paths are absolute, without scheme and authority.
#[async_trait]
pub trait FileSystem: std::fmt::Debug + Send + Sync {
    /// The user that it sees in us.
    fn user(&self) -> &str;

    /// Whether somebody else may answer a moment after nobody did: a NameNode that takes another one's place.
    fn fails_over(&self) -> bool {
        false
    }

    /// The URL of a path, as YARN and Flink take it.
    fn url(&self, path: &str) -> String;

    /// What is there, if anything.
    async fn look(&self, path: &str) -> Result<Option<Entry>, FsError>;

    /// What is in a directory; nothing if there is no such directory.
    async fn list(&self, dir: &str) -> Result<Vec<Entry>, FsError>;

    /// Makes a directory in one that is there. That it exists is no failure.
    async fn make_dir(&self, path: &str, mode: u32) -> Result<(), FsError>;

    /// Makes a file that is not there yet, in a directory that is.
    async fn create(&self, path: &str, mode: u32) -> Result<Box<dyn Sink>, FsError>;

    /// Reads a file of at most so many bytes.
    async fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, FsError>;

    /// Gives a file another name, unless that is taken ([`Cause::Exists`]).
    async fn rename(&self, from: &str, to: &str) -> Result<(), FsError>;

    /// Removes a file, or a directory with all that is in it. That it is gone is no failure.
    async fn remove(&self, path: &str) -> Result<(), FsError>;
}

/// A file being written. It is whole only after `close`.
#[async_trait]
pub trait Sink: Send {
    /// Writes a piece.
    async fn write(&mut self, piece: Bytes) -> Result<(), FsError>;

    /// Makes all that was written last.
    async fn close(self: Box<Self>) -> Result<(), FsError>;
}

/// What was attempted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// Asking what is there.
    Look,
    /// Listing a directory.
    List,
    /// Making a directory.
    MakeDir,
    /// Making a file.
    Create,
    /// Writing to it.
    Write,
    /// Closing it.
    Close,
    /// Reading one.
    Read,
    /// Renaming one.
    Rename,
    /// Removing something.
    Remove,
}

impl std::fmt::Display for Attempt {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Attempt::Look => "look at",
            Attempt::List => "list",
            Attempt::MakeDir => "make the directory",
            Attempt::Create => "create",
            Attempt::Write => "write to",
            Attempt::Close => "finish",
            Attempt::Read => "read",
            Attempt::Rename => "rename",
            Attempt::Remove => "remove",
        })
    }
}

/// An operation of a file system that failed.
#[derive(Debug, thiserror::Error)]
#[error("could not {attempt} {url}")]
pub struct FsError {
    /// What was attempted.
    pub attempt: Attempt,
    /// On what.
    pub url: String,
    /// Why it failed.
    #[source]
    pub cause: Cause,
}

/// Why an operation failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// It, or a directory above it, is not there.
    #[error("it is not there")]
    Absent,
    /// The name is taken.
    #[error("the name is taken")]
    Exists,
    /// Not allowed.
    #[error("permission denied: {0}")]
    Denied(String),
    /// Who we are was not accepted.
    #[error("the login failed: {0}")]
    Login(String),
    /// A quota, a full disk, or no node that takes a block.
    #[error("there is no room: {0}")]
    NoRoom(String),
    /// The NameNode takes no changes yet.
    #[error("the NameNode is in safe mode: {0}")]
    SafeMode(String),
    /// Nobody answers at that address, or not as a NameNode does.
    #[error("no connection: {0}")]
    Unreachable(String),
    /// No answer in time.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The file is larger than it may be.
    #[error("it has {size} bytes, more than the {limit} allowed")]
    TooLarge {
        /// Its length.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// Anything else, in the words of the file system.
    #[error("{0}")]
    Other(String),
}

impl Cause {
    /// Whether it may be over by itself: the file system is away, for now.
    pub fn is_outage(&self) -> bool {
        matches!(self, Cause::SafeMode(_) | Cause::Unreachable(_) | Cause::TimedOut(_))
    }
}

/// Whether an operation that failed changed anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// No.
    NotApplied,
    /// It may have.
    Unknown,
}

impl FsError {
    /// Whether it changed anything.
    pub fn effect(&self) -> Effect {
        match (&self.cause, self.attempt) {
            (_, Attempt::Look | Attempt::List | Attempt::Read) => Effect::NotApplied,
            (Cause::TimedOut(_) | Cause::Unreachable(_) | Cause::Other(_), _) => Effect::Unknown,
            _ => Effect::NotApplied,
        }
    }

    /// Whether the same may succeed a little later.
    pub fn passing(&self) -> bool {
        matches!(self.cause, Cause::TimedOut(_) | Cause::Unreachable(_) | Cause::SafeMode(_))
    }
}

impl Explain for FsError {
    fn category(&self) -> Category {
        match self.cause {
            Cause::Denied(_) | Cause::Login(_) => Category::Denied,
            Cause::Absent | Cause::Exists | Cause::TooLarge { .. } | Cause::Other(_) => Category::Other,
            Cause::NoRoom(_) | Cause::SafeMode(_) | Cause::Unreachable(_) | Cause::TimedOut(_) => {
                Category::Environment
            }
        }
    }

    fn hint(&self) -> Option<String> {
        match &self.cause {
            Cause::Login(_) => Some("get a ticket: kinit".into()),
            Cause::Denied(_) => Some("name a directory of yours with the setting staging.dir".into()),
            Cause::NoRoom(_) => Some("see what can go: kobel gc --dry-run".into()),
            Cause::SafeMode(_) => Some("wait for it: hdfs dfsadmin -safemode wait".into()),
            Cause::Unreachable(_) | Cause::TimedOut(_)
                if matches!(self.attempt, Attempt::Write | Attempt::Close | Attempt::Read) =>
            {
                Some("check that this machine reaches the DataNodes: hdfs dfsadmin -report".into())
            }
            Cause::Unreachable(_) | Cause::TimedOut(_) => Some(
                "check that fs.defaultFS in core-site.xml names a NameNode's RPC address, and that it is up"
                    .into(),
            ),
            Cause::Absent | Cause::Exists | Cause::TooLarge { .. } | Cause::Other(_) => None,
        }
    }
}
