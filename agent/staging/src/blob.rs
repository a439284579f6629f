//! A content that is to be staged, and its name: the digest, computed once and remembered.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use kobel_conf::{
    Category, Explain,
    dirs::{self, DirsError},
};
use sha2::Digest as _;

use crate::{Digest, PIECE, Tar, TarError, tar::identity_of};

/// A content with its name.
#[derive(Debug, Clone)]
pub struct Blob {
    /// Its SHA-256.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Where its bytes come from.
    pub source: Source,
}

/// Where bytes come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A tar that is made on the way.
    Tar(Tar),
    /// A file of this machine.
    File(PathBuf),
    /// These bytes.
    Bytes(Bytes),
}

impl Source {
    /// What its file's name ends with, so that a person sees what it is.
    pub(crate) fn extension(&self) -> &'static str {
        match self {
            Source::Tar(_) => "tar",
            Source::File(_) | Source::Bytes(_) => "bin",
        }
    }
}

/// Why a content has no name.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// Its tar cannot be made.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// It cannot be read.
    #[error("could not read {what}")]
    Read {
        /// What was read.
        what: String,
        /// Why not.
        source: io::Error,
    },
    /// It changed while it was read.
    #[error("{what} changed while it was read")]
    Changed {
        /// What was read.
        what: String,
    },
    /// There is no directory to remember digests in.
    #[error(transparent)]
    Cache(#[from] DirsError),
}

impl Explain for BlobError {
    fn category(&self) -> Category {
        Category::Environment
    }

    fn hint(&self) -> Option<String> {
        match self {
            BlobError::Tar(error) => error.hint(),
            BlobError::Cache(error) => error.hint(),
            BlobError::Read { .. } | BlobError::Changed { .. } => None,
        }
    }
}

/// Digests of files that have not changed since, so that 200 MB are read once: one small file for each,
/// named by what tells that state of the files from every other.
#[derive(Debug, Clone)]
pub struct Digests {
    dir: PathBuf,
}

impl Digests {
    /// Remembers them in this directory, which is made (0700) when it is needed.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The tar of a distribution with its name. Blocks while files are read.
    pub fn distribution(&self, lib: &Path, plugins: &Path) -> Result<Blob, BlobError> {
        let tar = Tar::of_distribution(lib, plugins)?;
        let (identity, size) = (tar.identity(), tar.size());
        let source = Source::Tar(tar);
        let digest = self.digest(&source, identity, || Ok(Tar::of_distribution(lib, plugins)?.identity()))?;
        Ok(Blob { digest, size, source })
    }

    /// A file with its name. Blocks while it is read.
    pub fn file(&self, path: &Path) -> Result<Blob, BlobError> {
        let look = || {
            let failed = |source| BlobError::Read { what: path.display().to_string(), source };
            let meta = fs::metadata(path).map_err(failed)?;
            Ok::<_, BlobError>((Digest::of(identity_of(path, &meta).as_bytes()), meta.len()))
        };
        let (identity, size) = look()?;
        let source = Source::File(path.into());
        let digest = self.digest(&source, identity, || Ok(look()?.0))?;
        Ok(Blob { digest, size, source })
    }

    fn digest(
        &self,
        source: &Source,
        identity: Digest,
        again: impl Fn() -> Result<Digest, BlobError>,
    ) -> Result<Digest, BlobError> {
        dirs::ensure_private(&self.dir)?;
        let remembered = self.dir.join(identity.to_string());
        if let Some(digest) = fs::read_to_string(&remembered).ok().and_then(|text| text.trim().parse().ok()) {
            return Ok(digest);
        }
        let digest = source.hash()?;
        if again()? != identity {
            return Err(BlobError::Changed { what: source.to_string() });
        }
        if let Err(error) = self.remember(&remembered, digest) {
            tracing::warn!(path = %remembered.display(), %error, "could not remember a digest");
        }
        Ok(digest)
    }

    fn remember(&self, path: &Path, digest: Digest) -> io::Result<()> {
        let file = tempfile::NamedTempFile::new_in(&self.dir)?;
        fs::write(file.path(), format!("{digest}\n"))?;
        file.persist(path)?;
        Ok(())
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Source::Tar(_) => out.write_str("the tar of the Flink distribution"),
            Source::File(path) => path.display().fmt(out),
            Source::Bytes(bytes) => write!(out, "{} bytes of kobel's own", bytes.len()),
        }
    }
}

impl Source {
    /// Its bytes.
    pub(crate) fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Source::Tar(tar) => Box::new(tar.reader()),
            Source::File(path) => Box::new(File::open(path)?),
            Source::Bytes(bytes) => Box::new(io::Cursor::new(bytes.clone())),
        })
    }

    fn hash(&self) -> Result<Digest, BlobError> {
        let failed = |source| BlobError::Read { what: self.to_string(), source };
        let mut reader = self.open().map_err(failed)?;
        let (mut state, mut buffer) = (sha2::Sha256::new(), vec![0; PIECE]);
        loop {
            match reader.read(&mut buffer).map_err(failed)? {
                0 => return Ok(state.into()),
                n => state.update(&buffer[..n]),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_computed_once_and_anew_when_the_file_changes() {
        let dir = tempfile::tempdir().unwrap();
        let digests = Digests::new(dir.path().join("digests"));
        let path = dir.path().join("kobel");
        fs::write(&path, "abc").unwrap();
        let blob = digests.file(&path).unwrap();
        assert_eq!((blob.digest, blob.size), (Digest::of(b"abc"), 3));

        // What is remembered is believed: here is a wrong one.
        let remembered = fs::read_dir(&digests.dir).unwrap().next().unwrap().unwrap().path();
        fs::write(&remembered, Digest::of(b"other").to_string()).unwrap();
        assert_eq!(digests.file(&path).unwrap().digest, Digest::of(b"other"));

        // Same size, same modification time: still another file.
        let time = fs::metadata(&path).unwrap().modified().unwrap();
        fs::write(&path, "abd").unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        assert_eq!(digests.file(&path).unwrap().digest, Digest::of(b"abd"));
    }

    #[test]
    fn a_damaged_memory_is_ignored() {
        let dir = tempfile::tempdir().unwrap();
        let digests = Digests::new(dir.path().join("digests"));
        let path = dir.path().join("kobel");
        fs::write(&path, "abc").unwrap();
        digests.file(&path).unwrap();
        let remembered = fs::read_dir(&digests.dir).unwrap().next().unwrap().unwrap().path();
        fs::write(&remembered, "ba78").unwrap();
        assert_eq!(digests.file(&path).unwrap().digest, Digest::of(b"abc"));
    }

    #[test]
    fn a_distribution_is_named_by_its_tar() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("lib")).unwrap();
        fs::write(dir.path().join("lib/a.jar"), "abc").unwrap();
        let digests = Digests::new(dir.path().join("digests"));
        let blob = digests.distribution(&dir.path().join("lib"), &dir.path().join("plugins")).unwrap();
        let mut bytes = Vec::new();
        blob.source.open().unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!((blob.digest, blob.size), (Digest::of(&bytes), bytes.len() as u64));
        assert!(digests.distribution(&dir.path().join("none"), dir.path()).is_err());
    }
}
