//! One uncompressed tar of a few directory trees, made while it is read: nothing is written to disk
//! and nothing large is held in memory. The same files give the same bytes, so its digest names it.
//!
//! Modification times of files are kept to the second: HotSpot's class data sharing compares the
//! jars' times with the archive's, and a node's `tar` restores them. Owners, groups, a directory's
//! times, and all permissions but "executable" are not kept: they differ between two installations
//! of one Flink.

use std::{
    collections::BTreeMap,
    fs::{self, File, Metadata},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use kobel_conf::{Category, Explain};

use crate::Digest;

/// The unit of a tar: every header and every file's end is filled up to it.
const BLOCK: u64 = 512;
/// A directory's time: 2000-01-01. GNU tar warns about zero.
const DIRECTORY_TIME: u64 = 946_684_800;
/// No distribution is larger; a link that leads back to its own parents is.
const MAX_MEMBERS: usize = 100_000;

/// What goes into a tar.
#[derive(Debug, Clone)]
pub struct Tar {
    members: Vec<Member>,
}

#[derive(Debug, Clone)]
struct Member {
    /// Its header, ready to be sent: one block.
    header: Box<[u8]>,
    /// The file to read and its length; nothing for a directory.
    content: Option<(PathBuf, u64)>,
    /// Tells this very state of the file from every other.
    identity: String,
}

/// Why a tar cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// A file or directory cannot be read.
    #[error("could not read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is neither a file nor a directory: a device, a pipe or a socket.
    #[error("{} is neither a file nor a directory", path.display())]
    Special {
        /// Which.
        path: PathBuf,
    },
    /// Its name does not fit into a tar's header.
    #[error("the name {} is too long for a tar", name.display())]
    Name {
        /// The name inside the tar.
        name: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There are too many files, or a link leads in a circle.
    #[error("{} holds more than {MAX_MEMBERS} files, or a link in it leads in a circle", path.display())]
    Endless {
        /// The directory.
        path: PathBuf,
    },
}

impl Explain for TarError {
    fn category(&self) -> Category {
        Category::Environment
    }

    fn hint(&self) -> Option<String> {
        match self {
            TarError::Special { path } => {
                Some(format!("remove it from the distribution: rm {}", path.display()))
            }
            TarError::Read { .. } | TarError::Name { .. } | TarError::Endless { .. } => None,
        }
    }
}

impl Tar {
    /// The tar of these trees, each under its name. Links are followed, as Flink's scripts and its
    /// plugin finder do.
    pub fn of(trees: &[(&str, &Path)]) -> Result<Self, TarError> {
        let mut found = BTreeMap::new();
        for (name, path) in trees {
            collect(Path::new(name), path, path, &mut found)?;
        }
        let members = found.into_iter().map(|(name, (path, meta))| Member::new(name, path, &meta));
        Ok(Self { members: members.collect::<Result<_, _>>()? })
    }

    /// What JobManagers and TaskManagers need of a distribution: `lib/`, and `plugins/` if it is there.
    pub fn of_distribution(lib: &Path, plugins: &Path) -> Result<Self, TarError> {
        let mut trees = vec![("lib", lib)];
        if plugins.is_dir() {
            trees.push(("plugins", plugins));
        }
        Self::of(&trees)
    }

    /// How many bytes it will have.
    pub fn size(&self) -> u64 {
        let padded = |size: u64| BLOCK + size.div_ceil(BLOCK) * BLOCK;
        let members =
            self.members.iter().map(|member| padded(member.content.as_ref().map_or(0, |(_, size)| *size)));
        members.sum::<u64>() + 2 * BLOCK
    }

    /// Its bytes, made while they are read.
    pub fn reader(&self) -> TarReader {
        TarReader {
            members: self.members.clone().into_iter(),
            ready: Vec::new(),
            sent: 0,
            file: None,
            ended: false,
        }
    }

    /// Tells this state of the files from every other without reading them.
    pub(crate) fn identity(&self) -> Digest {
        let all: Vec<_> = self.members.iter().map(|member| member.identity.as_str()).collect();
        Digest::of(all.join("\n").as_bytes())
    }
}

impl Member {
    fn new(name: PathBuf, path: PathBuf, meta: &Metadata) -> Result<Self, TarError> {
        let mut header = ::tar::Header::new_ustar();
        let entry = if meta.is_dir() { ::tar::EntryType::Directory } else { ::tar::EntryType::Regular };
        let executable = meta.is_dir() || meta.mode() & 0o100 != 0;
        header.set_entry_type(entry);
        header.set_mode(if executable { 0o755 } else { 0o644 });
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(if meta.is_dir() { 0 } else { meta.len() });
        header.set_mtime(if meta.is_dir() { DIRECTORY_TIME } else { meta.mtime().max(1).unsigned_abs() });
        let in_tar = if meta.is_dir() { name.join("") } else { name.clone() };
        header.set_path(&in_tar).map_err(|source| TarError::Name { name: name.clone(), source })?;
        header.set_cksum();
        let identity = if meta.is_dir() {
            format!("{name:?}")
        } else {
            format!("{name:?} {}", identity_of(&path, meta))
        };
        let content = (!meta.is_dir()).then_some((path, meta.len()));
        Ok(Self { header: Box::from(&header.as_bytes()[..]), content, identity })
    }
}

/// Tells this state of a file from every other: a change of its content changes its inode, its
/// times or its size, and the inode's own time cannot be set back.
pub(crate) fn identity_of(path: &Path, meta: &Metadata) -> String {
    format!(
        "{path:?} {} {} {} {}.{} {}.{} {:o}",
        meta.dev(),
        meta.ino(),
        meta.len(),
        meta.mtime(),
        meta.mtime_nsec(),
        meta.ctime(),
        meta.ctime_nsec(),
        meta.mode()
    )
}

type Found = BTreeMap<PathBuf, (PathBuf, Metadata)>;

fn collect(name: &Path, path: &Path, top: &Path, found: &mut Found) -> Result<(), TarError> {
    let failed = |source| TarError::Read { path: path.into(), source };
    let meta = fs::metadata(path).map_err(failed)?;
    if !meta.is_dir() && !meta.is_file() {
        return Err(TarError::Special { path: path.into() });
    }
    // A circle of links ends in ELOOP or ENAMETOOLONG at the latest; many crossing ones end here.
    if found.len() == MAX_MEMBERS {
        return Err(TarError::Endless { path: top.into() });
    }
    let is_dir = meta.is_dir();
    found.insert(name.into(), (path.into(), meta));
    if is_dir {
        for entry in fs::read_dir(path).map_err(failed)? {
            let entry = entry.map_err(failed)?.file_name();
            collect(&name.join(&entry), &path.join(&entry), top, found)?;
        }
    }
    Ok(())
}

/// The bytes of a [`Tar`].
#[derive(Debug)]
pub struct TarReader {
    members: std::vec::IntoIter<Member>,
    /// A header or padding, of which `sent` bytes are gone.
    ready: Vec<u8>,
    sent: usize,
    /// The file being sent.
    file: Option<Sending>,
    ended: bool,
}

#[derive(Debug)]
struct Sending {
    path: PathBuf,
    file: File,
    size: u64,
    left: u64,
}

impl Read for TarReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let ready = &self.ready[self.sent..];
            if !ready.is_empty() {
                let n = ready.len().min(buffer.len());
                buffer[..n].copy_from_slice(&ready[..n]);
                self.sent += n;
                return Ok(n);
            }
            let n = match &mut self.file {
                Some(sending) => sending.read(buffer)?,
                None if self.ended => return Ok(0),
                None => 0,
            };
            if n > 0 || buffer.is_empty() {
                return Ok(n);
            }
            self.next()?;
        }
    }
}

impl TarReader {
    /// Goes on to a file's padding, the next member's header, or the end.
    fn next(&mut self) -> io::Result<()> {
        self.sent = 0;
        self.ready.clear();
        if let Some(sent) = self.file.take() {
            self.ready.resize((sent.size.next_multiple_of(BLOCK) - sent.size) as usize, 0);
        } else if let Some(member) = self.members.next() {
            self.ready.extend_from_slice(&member.header);
            if let Some((path, size)) = member.content {
                let file = File::open(&path)?;
                self.file = Some(Sending { path, file, size, left: size });
            }
        } else {
            self.ready.resize(2 * BLOCK as usize, 0);
            self.ended = true;
        }
        Ok(())
    }
}

impl Sending {
    /// The file's next bytes; none when all have been read.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let n = self.file.read(&mut buffer[..wanted])?;
        if n == 0 && wanted > 0 {
            let text = format!("{} became shorter while it was read", self.path.display());
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
        }
        self.left -= n as u64;
        Ok(n)
    }
}

#[cfg(test)]
#[path = "tar_tests.rs"]
mod tests;
