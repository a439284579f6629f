//! Reading files: small ones that people wrote, and the ends of those that grow.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;
use thiserror::Error;

/// The largest configuration file that is read: Flink's own is some 20 KiB.
pub const MAX_BYTES: u64 = 1 << 20;

/// Why a file could not be read as text.
#[derive(Debug, Error)]
pub enum FileError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The path leads to a directory, a pipe or a device.
    #[error("{} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// The file is larger than any configuration is.
    #[error("{} is larger than {MAX_BYTES} bytes", .0.display())]
    TooLarge(PathBuf),
    /// The file is not text.
    #[error("{} is not UTF-8 at byte {offset}", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The first byte that does not belong, from 0.
        offset: usize,
    },
}

impl FileError {
    /// Whether there simply is no such file.
    pub fn is_missing(&self) -> bool {
        matches!(self, FileError::Read { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// The text of a regular file of at most [`MAX_BYTES`], without a byte order mark.
pub fn read_text(path: &Path) -> Result<String, FileError> {
    let failed = |source| FileError::Read { path: path.into(), source };
    // Without NONBLOCK, opening a pipe would wait for a writer.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(FileError::NotAFile(path.into()));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(FileError::TooLarge(path.into()));
    }
    let text = String::from_utf8(bytes)
        .map_err(|e| FileError::NotUtf8 { path: path.into(), offset: e.utf8_error().valid_up_to() })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// The length of a file, and its last bytes, so many at the most.
pub fn file_end(path: &Path, most: u64) -> io::Result<(u64, Vec<u8>)> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(most)))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok((length, bytes))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_small_regular_utf8_files_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            fs::write(&path, bytes).unwrap();
            path
        };
        assert_eq!(read_text(&write("ok", "\u{feff}a\r\nb".as_bytes())).unwrap(), "a\r\nb");
        let latin = read_text(&write("latin", b"ab\xe9c")).unwrap_err();
        assert!(matches!(latin, FileError::NotUtf8 { offset: 2, .. }), "{latin}");
        let large = read_text(&write("large", &vec![b'#'; MAX_BYTES as usize + 1]));
        assert!(matches!(large, Err(FileError::TooLarge(_))));
        assert!(matches!(read_text(dir.path()), Err(FileError::NotAFile(_))));
        assert!(matches!(read_text(Path::new("/dev/zero")), Err(FileError::NotAFile(_))));
        assert!(read_text(&dir.path().join("none")).unwrap_err().is_missing());
    }

    #[test]
    fn a_pipe_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
        assert!(matches!(read_text(&path), Err(FileError::NotAFile(_))));
    }
}
