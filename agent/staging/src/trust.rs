//! Who can see and who could have changed what is staged: pure decisions on the entries from the
//! file system's root to a file.

use std::collections::BTreeSet;

/// A file or directory, as the file system reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its absolute path, without scheme and authority.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// Its length in bytes.
    pub size: u64,
    /// Its modification time in milliseconds since 1970, by the file system's clock.
    pub mtime: u64,
    /// Its owner's name, or number where there are no names.
    pub owner: String,
    /// Its permissions, in POSIX bits.
    pub mode: u32,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A link or anything else: nothing of ours.
    Other,
}

/// Where on a node a staged file is cached, YARN's `LocalResourceVisibility`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// Once per node, for everyone.
    Public,
    /// Once per node and user.
    Private,
}

/// Whose files are believed to be what their name says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// The user who submits.
    pub user: String,
    /// The setting `staging.trusted-owners`.
    pub others: BTreeSet<String>,
}

/// Why something is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// Its owner, or a directory's above it, is nobody we trust.
    #[error("{path} belongs to {owner}")]
    Owner {
        /// Which entry.
        path: String,
        /// Whose it is.
        owner: String,
    },
    /// Others could change it, or put something in its place.
    #[error("others may write to {path} (mode {mode:04o})")]
    Writable {
        /// Which entry.
        path: String,
        /// Its permissions.
        mode: u32,
    },
    /// Others could read what is secret in it.
    #[error("others may look into {path} (mode {mode:04o})")]
    Open {
        /// Which entry.
        path: String,
        /// Its permissions.
        mode: u32,
    },
    /// It is not the kind of thing it should be.
    #[error("{path} is not a {wanted}")]
    Kind {
        /// Which entry.
        path: String,
        /// `file` or `directory`.
        wanted: &'static str,
    },
    /// Its length is not the content's.
    #[error("{path} has {size} bytes instead of {wanted}")]
    Size {
        /// Which entry.
        path: String,
        /// Its length.
        size: u64,
        /// The content's.
        wanted: u64,
    },
}

const OTHERS_WRITE: u32 = 0o022;
const STICKY: u32 = 0o1000;

impl Trust {
    /// Judges a path by its entries, from the root to the last. Every owner on the way must be the
    /// submitting user, the file system's superuser (who owns the root) or trusted by name: an owner can
    /// always let others in. In a sticky directory others may make entries, but neither
    /// remove nor replace those of another owner, so only the owner of the next entry counts there.
    pub fn judge(&self, path: &[Entry], last: Kind) -> Result<(), Distrust> {
        let superuser = path.first().map(|root| root.owner.as_str());
        for (at, entry) in path.iter().enumerate() {
            let wanted = if at + 1 == path.len() { last } else { Kind::Directory };
            if entry.kind != wanted {
                let wanted = if wanted == Kind::File { "file" } else { "directory" };
                return Err(Distrust::Kind { path: entry.path.clone(), wanted });
            }
            let known = entry.owner == self.user
                || superuser == Some(&entry.owner)
                || self.others.contains(&entry.owner);
            if !known {
                return Err(Distrust::Owner { path: entry.path.clone(), owner: entry.owner.clone() });
            }
            let sticky = entry.kind == Kind::Directory && entry.mode & STICKY != 0;
            if entry.mode & OTHERS_WRITE != 0 && !sticky {
                return Err(Distrust::Writable { path: entry.path.clone(), mode: entry.mode & 0o7777 });
            }
        }
        Ok(())
    }
}

/// Judges a directory for secrets: the user's own, and closed to everyone else.
pub(crate) fn judge_private(directory: &Entry, user: &str) -> Result<(), Distrust> {
    if directory.owner != user {
        return Err(Distrust::Owner { path: directory.path.clone(), owner: directory.owner.clone() });
    }
    if directory.mode & 0o077 != 0 {
        return Err(Distrust::Open { path: directory.path.clone(), mode: directory.mode });
    }
    Ok(())
}

/// PUBLIC when a node's manager may cache it for everyone, by the check that it makes itself
/// (`FSDownload`): all may read the file and pass every directory above it.
pub fn visibility(path: &[Entry]) -> Visibility {
    let open = path.iter().all(|entry| match entry.kind {
        Kind::Directory => entry.mode & 0o001 != 0,
        Kind::File | Kind::Other => entry.mode & 0o004 != 0,
    });
    if open { Visibility::Public } else { Visibility::Private }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `/user/ann/.kobel/blobs/x.tar`, with one entry's owner and mode as given.
    fn path(changed: usize, owner: &str, mode: u32) -> Vec<Entry> {
        let usual = [("hdfs", 0o755), ("hdfs", 0o755), ("ann", 0o755), ("ann", 0o755), ("ann", 0o644)];
        let entry = |(at, (own, bits)): (usize, &(&str, u32))| Entry {
            path: format!("/{at}"),
            kind: if at == 4 { Kind::File } else { Kind::Directory },
            size: 1,
            mtime: 1,
            owner: if at == changed { owner } else { own }.into(),
            mode: if at == changed { mode } else { *bits },
        };
        usual.iter().enumerate().map(entry).collect()
    }

    fn ann() -> Trust {
        Trust { user: "ann".into(), others: ["carl".to_string()].into() }
    }

    #[test]
    fn the_user_the_superuser_and_the_named_are_trusted_and_nobody_else() {
        for owner in ["ann", "hdfs", "carl"] {
            for at in 1..5 {
                assert_eq!(ann().judge(&path(at, owner, 0o755), Kind::File), Ok(()), "{owner} at {at}");
            }
        }
        for owner in ["mallory", "", "Ann", "ann "] {
            for at in 1..5 {
                let refused = Err(Distrust::Owner { path: format!("/{at}"), owner: owner.into() });
                assert_eq!(ann().judge(&path(at, owner, 0o755), Kind::File), refused, "{owner} at {at}");
            }
        }
        let bob = Trust { user: "bob".into(), ..Trust::default() };
        assert!(bob.judge(&path(9, "", 0), Kind::File).is_err(), "ann is a stranger to bob");
    }

    #[test]
    fn what_others_may_write_to_is_not_trusted_unless_it_is_a_sticky_directory() {
        for at in 0..5 {
            let owner = if at < 2 { "hdfs" } else { "ann" };
            for mode in [0o777, 0o775, 0o757, 0o722, 0o020, 0o002] {
                let refused = Err(Distrust::Writable { path: format!("/{at}"), mode });
                assert_eq!(ann().judge(&path(at, owner, mode), Kind::File), refused, "{mode:o} at {at}");
            }
            for mode in [0o755, 0o700, 0o711, 0o500] {
                assert_eq!(ann().judge(&path(at, owner, mode), Kind::File), Ok(()), "{mode:o} at {at}");
            }
        }
        assert_eq!(ann().judge(&path(1, "hdfs", 0o1777), Kind::File), Ok(()));
        assert!(ann().judge(&path(4, "ann", 0o1666), Kind::File).is_err(), "sticky means nothing on a file");
        assert!(
            ann().judge(&path(3, "mallory", 0o1777), Kind::File).is_err(),
            "a sticky directory's owner may do all"
        );
    }

    #[test]
    fn a_link_or_a_directory_is_not_a_blob() {
        for (at, kind) in [(4, Kind::Other), (4, Kind::Directory), (3, Kind::Other), (2, Kind::File)] {
            let mut path = path(9, "", 0);
            path[at].kind = kind;
            assert!(matches!(ann().judge(&path, Kind::File), Err(Distrust::Kind { .. })), "{kind:?} at {at}");
        }
        assert_eq!(ann().judge(&path(9, "", 0)[..4], Kind::Directory), Ok(()));
    }

    #[test]
    fn a_directory_for_secrets_is_the_users_and_closed() {
        let judge = |owner: &str, mode| judge_private(&path(3, owner, mode)[3], "ann");
        assert_eq!(judge("ann", 0o700), Ok(()));
        assert!(matches!(judge("hdfs", 0o700), Err(Distrust::Owner { .. })));
        for mode in [0o755, 0o701, 0o750, 0o1700 | 0o010] {
            assert!(matches!(judge("ann", mode), Err(Distrust::Open { .. })), "{mode:o}");
        }
    }

    #[test]
    fn public_is_what_all_may_read_behind_directories_that_all_may_pass() {
        for (at, mode, wanted) in [
            (9, 0, Visibility::Public),
            (4, 0o604, Visibility::Public),
            (4, 0o640, Visibility::Private),
            (4, 0o600, Visibility::Private),
            (2, 0o711, Visibility::Public),
            (2, 0o754, Visibility::Private),
            (3, 0o700, Visibility::Private),
            (0, 0o750, Visibility::Private),
        ] {
            assert_eq!(visibility(&path(at, "ann", mode)), wanted, "{mode:o} at {at}");
        }
    }

    proptest! {
        /// Opening a path further never makes it trusted, and closing it never makes it public.
        #[test]
        fn more_rights_for_others_never_earn_trust(at in 0usize..5, mode in 0u32..0o2000, more in 0u32..0o1000) {
            let owner = if at < 2 { "hdfs" } else { "ann" };
            let (before, after) = (path(at, owner, mode), path(at, owner, mode | more));
            if ann().judge(&before, Kind::File).is_err() {
                prop_assert!(ann().judge(&after, Kind::File).is_err());
            }
            if visibility(&before) == Visibility::Public {
                prop_assert_eq!(visibility(&after), Visibility::Public);
            }
        }
    }
}
