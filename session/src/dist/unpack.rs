//! Unpacking archives as hostile input: nothing lands outside the target directory, nothing special
//! lands inside it, and nothing grows without bound.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read},
    os::unix::{
        ffi::OsStrExt,
        fs::{OpenOptionsExt, symlink},
    },
    path::{Component, Path, PathBuf},
    time::{Duration, SystemTime},
};

use flate2::read::MultiGzDecoder;
use tar::EntryType;

use super::{
    DistError,
    progress::{Counted, Work},
};

/// Entries of an archive. A whole Flink has about 300, its Python packages 2,000.
const MAX_ENTRIES: usize = 100_000;
/// Bytes unpacked. A whole Flink has about 0.6 GB.
const MAX_BYTES: u64 = 8 << 30;
/// Bytes unpacked per byte packed, above [`FREE_BYTES`]: jars, the bulk, hardly shrink at all.
const MAX_RATIO: u64 = 50;
const FREE_BYTES: u64 = 16 << 20;
/// Directories within directories.
const MAX_DEPTH: usize = 64;

/// Unpacks a `.tar.gz` into an existing, private directory.
pub(super) fn tgz(archive: &Path, into: &Path, work: &Work) -> Result<(), DistError> {
    let mut sink = Sink::new(archive, into);
    let file = File::open(archive).map_err(DistError::io("open", archive))?;
    let packed = file.metadata().map_err(DistError::io("look at", archive))?.len();
    let unpacked = MultiGzDecoder::new(Counted { inner: io::BufReader::with_capacity(1 << 17, file), work });
    let mut tar = tar::Archive::new(Capped { inner: unpacked, left: allowance(packed) });
    let entries = tar.entries().map_err(|e| sink.unreadable(e))?;
    for entry in entries {
        let mut entry = entry.map_err(|e| sink.unreadable(e))?;
        tar_entry(&mut sink, &mut entry)?;
    }
    // Up to the end of the stream, so that gzip's own checksum is looked at.
    io::copy(&mut tar.into_inner(), &mut io::sink()).map_err(|e| sink.unreadable(e))?;
    sink.finish()
}

fn tar_entry<R: Read>(sink: &mut Sink<'_>, entry: &mut tar::Entry<'_, R>) -> Result<(), DistError> {
    let kind = entry.header().entry_type();
    if kind == EntryType::XGlobalHeader {
        return Ok(());
    }
    let path = sink.admit(&entry.path_bytes())?;
    let target = entry.link_name_bytes().map(|t| t.into_owned()).unwrap_or_default();
    match kind {
        EntryType::Directory => sink.dir(&path),
        EntryType::Regular | EntryType::Continuous => {
            let mode = entry.header().mode().unwrap_or(0o644);
            let mtime = entry.header().mtime().ok().map(Duration::from_secs);
            sink.file(path, mode, mtime, entry)
        }
        EntryType::Link => sink.hard_link(path, &target),
        EntryType::Symlink => sink.symlink(path, &target),
        EntryType::Char | EntryType::Block => Err(sink.hostile("it is a device")),
        EntryType::Fifo => Err(sink.hostile("it is a pipe")),
        _ => Err(sink.hostile("it is neither file, directory nor link")),
    }
}

/// Unpacks a zip file, such as a Python wheel, into an existing, private directory.
pub(super) fn zip(archive: &Path, into: &Path, work: &Work) -> Result<(), DistError> {
    let mut sink = Sink::new(archive, into);
    let broken = |source| DistError::Broken { archive: archive.display().to_string(), source };
    let file = File::open(archive).map_err(DistError::io("open", archive))?;
    let packed = file.metadata().map_err(DistError::io("look at", archive))?.len();
    let mut left = allowance(packed);
    let mut zip = zip::ZipArchive::new(io::BufReader::new(file)).map_err(|e| broken(e.into()))?;
    for index in 0..zip.len() {
        let mut entry = zip.by_index(index).map_err(|e| broken(e.into()))?;
        let path = sink.admit(entry.name_raw())?;
        if entry.is_symlink() {
            return Err(sink.hostile("it is a symbolic link"));
        }
        if entry.is_dir() {
            sink.dir(&path)?;
            continue;
        }
        let (mode, mtime, packed) = (entry.unix_mode(), zip_time(&entry), entry.compressed_size());
        let mut data = Capped { inner: &mut entry, left };
        sink.file(path, mode.unwrap_or(0o644), mtime, &mut data)?;
        left = data.left;
        work.done(packed).map_err(|e| sink.unreadable(e))?;
    }
    sink.finish()
}

/// A zip's times have no zone; read as UTC, so that the same wheel gives the same times everywhere.
fn zip_time<R: Read>(entry: &zip::read::ZipFile<'_, R>) -> Option<Duration> {
    let t = entry.last_modified()?;
    let small = |n: u8| n as i8;
    let civil = jiff::civil::DateTime::new(
        t.year() as i16,
        small(t.month()),
        small(t.day()),
        small(t.hour()),
        small(t.minute()),
        small(t.second()),
        0,
    );
    let seconds = civil.ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second();
    u64::try_from(seconds).ok().map(Duration::from_secs)
}

fn allowance(packed: u64) -> u64 {
    packed.saturating_mul(MAX_RATIO).saturating_add(FREE_BYTES).min(MAX_BYTES)
}

/// A reader that fails, rather than ends, when too much comes out of it.
struct Capped<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        match self.left.checked_sub(n as u64) {
            Some(left) => self.left = left,
            None => return Err(io::ErrorKind::FileTooLarge.into()),
        }
        Ok(n)
    }
}

/// Where entries land. Symbolic links are made last, so that nothing can be written through one.
struct Sink<'a> {
    archive: &'a Path,
    root: &'a Path,
    /// The entry at hand, for messages.
    entry: String,
    count: usize,
    files: BTreeSet<PathBuf>,
    dirs: BTreeSet<PathBuf>,
    links: BTreeMap<PathBuf, PathBuf>,
}

impl<'a> Sink<'a> {
    fn new(archive: &'a Path, root: &'a Path) -> Self {
        let dirs = BTreeSet::from([PathBuf::new()]);
        Self {
            archive,
            root,
            entry: String::new(),
            count: 0,
            files: BTreeSet::new(),
            dirs,
            links: BTreeMap::new(),
        }
    }

    fn hostile(&self, why: impl Into<String>) -> DistError {
        DistError::Hostile {
            archive: self.archive.display().to_string(),
            entry: self.entry.clone(),
            why: why.into(),
        }
    }

    /// What an error while reading means.
    fn unreadable(&self, error: io::Error) -> DistError {
        match error.kind() {
            io::ErrorKind::FileTooLarge => self.hostile("the archive unpacks to far more than a Flink"),
            _ => DistError::Broken { archive: self.archive.display().to_string(), source: error.into() },
        }
    }

    /// The path below the root that an entry's name means.
    fn admit(&mut self, name: &[u8]) -> Result<PathBuf, DistError> {
        self.entry = String::from_utf8_lossy(name).into_owned();
        self.count += 1;
        if self.count > MAX_ENTRIES {
            return Err(self.hostile(format!("the archive has more than {MAX_ENTRIES} entries")));
        }
        inside(name).map_err(|why| self.hostile(why))
    }

    fn dir(&mut self, path: &Path) -> Result<(), DistError> {
        let full = self.root.join(path);
        if path.ancestors().any(|p| self.files.contains(p)) {
            return Err(self.hostile("it goes through a file of the same archive"));
        }
        fs::create_dir_all(&full).map_err(DistError::io("create", full))?;
        self.dirs.extend(path.ancestors().map(Path::to_path_buf));
        Ok(())
    }

    /// Takes the name for a file or link: each can be had once.
    fn claim(&mut self, path: &Path) -> Result<PathBuf, DistError> {
        if path.as_os_str().is_empty() {
            return Err(self.hostile("it has no name"));
        }
        self.dir(path.parent().unwrap_or(Path::new("")))?;
        let taken = self.files.contains(path) || self.dirs.contains(path);
        match taken || path.ancestors().any(|p| self.links.contains_key(p)) {
            true => Err(self.hostile("its name comes twice, or goes through a link")),
            false => Ok(self.root.join(path)),
        }
    }

    fn file(
        &mut self,
        path: PathBuf,
        mode: u32,
        mtime: Option<Duration>,
        data: &mut impl Read,
    ) -> Result<(), DistError> {
        let full = self.claim(&path)?;
        let mode = if mode & 0o100 != 0 { 0o755 } else { 0o644 };
        let mut out = File::options()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&full)
            .map_err(DistError::io("create", &full))?;
        let mut buf = vec![0u8; 1 << 16];
        loop {
            match data.read(&mut buf).map_err(|e| self.unreadable(e))? {
                0 => break,
                n => io::Write::write_all(&mut out, &buf[..n]).map_err(DistError::io("write", &full))?,
            }
        }
        if let Some(time) = mtime.and_then(|t| SystemTime::UNIX_EPOCH.checked_add(t)) {
            out.set_modified(time).map_err(DistError::io("set the time of", &full))?;
        }
        self.files.insert(path);
        Ok(())
    }

    fn hard_link(&mut self, path: PathBuf, target: &[u8]) -> Result<(), DistError> {
        let target =
            inside(target).map_err(|why| self.hostile(format!("it links to a place where {why}")))?;
        if !self.files.contains(&target) {
            return Err(self.hostile("it links to what is no file of this archive"));
        }
        let full = self.claim(&path)?;
        fs::hard_link(self.root.join(target), &full).map_err(DistError::io("link", full))?;
        self.files.insert(path);
        Ok(())
    }

    fn symlink(&mut self, path: PathBuf, target: &[u8]) -> Result<(), DistError> {
        self.claim(&path)?;
        self.links.insert(path, PathBuf::from(OsStr::from_bytes(target)));
        Ok(())
    }

    /// Makes the symbolic links: each to a file or directory of this archive, none by way of another.
    fn finish(mut self) -> Result<(), DistError> {
        for (path, target) in std::mem::take(&mut self.links) {
            self.entry = path.display().to_string();
            let goal = resolve(path.parent().unwrap_or(Path::new("")), &target);
            if !goal.is_some_and(|g| self.files.contains(&g) || self.dirs.contains(&g)) {
                return Err(self.hostile("it links to what is not in this archive"));
            }
            let full = self.root.join(&path);
            symlink(&target, &full).map_err(DistError::io("link", full))?;
        }
        Ok(())
    }
}

/// The path that an entry's name means, if it stays inside; else why not.
fn inside(name: &[u8]) -> Result<PathBuf, &'static str> {
    if name.contains(&0) || name.is_empty() {
        return Err("its name is empty or holds a NUL");
    }
    let mut path = PathBuf::new();
    for part in Path::new(OsStr::from_bytes(name)).components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            Component::ParentDir => return Err("its path goes up by '..'"),
            Component::RootDir | Component::Prefix(_) => return Err("its path is absolute"),
        }
    }
    match path.components().count() > MAX_DEPTH || name.len() > 4096 {
        true => Err("its path is too deep or too long"),
        false => Ok(path),
    }
}

/// Where a relative link from this directory leads, by its text alone; `None` if out of the root.
fn resolve(from: &Path, target: &Path) -> Option<PathBuf> {
    let mut path = from.to_path_buf();
    for part in target.components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            Component::ParentDir => path.pop().then_some(())?,
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

#[cfg(test)]
#[path = "unpack_tests.rs"]
mod tests;
