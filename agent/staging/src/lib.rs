//! What nodes fetch: a content-addressed store for Flink's distribution and kobel's own binary, kept
//! across sessions and shared where that is safe, and a closed directory for each application. On
//! HDFS, or on plain files that all machines share.

mod blob;
mod digest;
mod directory;
mod error;
mod fs;
mod gc;
mod hdfs;
mod made;
mod names;
mod place;
mod plain;
mod store;
mod tar;
mod transfer;
mod trust;

pub use blob::{Blob, BlobError, Digests, Source};
pub use digest::{Digest, NoDigest};
pub use directory::Directory;
pub use error::StagingError;
pub use fs::{Attempt, Cause, Deadlines, Effect, FileSystem, FsError, PIECE, Sink};
pub use gc::{Leftover, Rules, What};
pub use hdfs::Hdfs;
pub use made::Made;
pub use names::AppId;
pub use place::{Place, PlaceError};
pub use plain::PlainFiles;
pub use store::{Staged, Staging};
pub use tar::{Tar, TarError, TarReader};
pub use transfer::Progress;
pub use trust::{Distrust, Entry, Kind, Trust, Visibility, visibility};

pub(crate) use names::encode_path;
