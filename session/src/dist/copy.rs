//! Copying a Flink home. The copy shares the disk blocks where the file system can (`std::fs::copy`
//! uses copy_file_range), but never the inode: a jar overwritten in the original must not change
//! under a running cluster.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{DistError, progress::Work};

/// Directories within directories: an end for loops of links.
const MAX_DEPTH: usize = 16;

/// The size of what [`tree`] would copy.
pub(super) fn size(from: &Path) -> Result<u64, DistError> {
    walk(from)?.iter().try_fold(0, |sum, file| {
        let meta = fs::metadata(file).map_err(DistError::io("look at", file))?;
        Ok(sum + meta.len())
    })
}

/// Copies a home without its `log` directory. Links are followed, as a packaged Flink often has its
/// `conf` elsewhere; modes and modification times are kept.
pub(super) fn tree(from: &Path, to: &Path, work: &Work) -> Result<(), DistError> {
    for file in walk(from)? {
        let target = to.join(file.strip_prefix(from).unwrap_or(&file));
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(DistError::io("create", parent))?;
        }
        let bytes = fs::copy(&file, &target).map_err(DistError::io("copy", &file))?;
        keep_time(&file, &target).map_err(DistError::io("set the time of", &target))?;
        work.done(bytes).map_err(DistError::io("copy", &file))?;
    }
    Ok(())
}

fn keep_time(from: &Path, to: &Path) -> std::io::Result<()> {
    let modified = fs::metadata(from)?.modified()?;
    // Of a file without write permission, too: times belong to the owner, whatever the mode.
    fs::File::open(to)?.set_modified(modified)
}

/// Every file below a home but its logs.
fn walk(home: &Path) -> Result<Vec<PathBuf>, DistError> {
    let mut files = Vec::new();
    let mut dirs = vec![(home.to_path_buf(), 0)];
    while let Some((dir, depth)) = dirs.pop() {
        for entry in fs::read_dir(&dir).map_err(DistError::io("read", &dir))? {
            let path = entry.map_err(DistError::io("read", &dir))?.path();
            let meta = fs::metadata(&path).map_err(DistError::io("look at", &path))?;
            if meta.is_file() {
                files.push(path);
            } else if !meta.is_dir() || depth >= MAX_DEPTH {
                let why = std::io::Error::other("neither a file nor a directory, or too deep");
                return Err(DistError::io("copy", path)(why));
            } else if path != home.join("log") {
                dirs.push((path, depth + 1));
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::fs::symlink,
        time::{Duration, SystemTime},
    };

    use super::*;

    #[test]
    fn a_copy_keeps_times_follows_links_and_leaves_logs() {
        let dir = tempfile::tempdir().unwrap();
        let (from, elsewhere, to) = (dir.path().join("a"), dir.path().join("etc"), dir.path().join("b"));
        for d in [&from.join("lib"), &from.join("log"), &elsewhere] {
            fs::create_dir_all(d).unwrap();
        }
        fs::write(from.join("lib/x.jar"), "12345").unwrap();
        fs::write(from.join("log/x.log"), "old").unwrap();
        fs::write(elsewhere.join("config.yaml"), "a: b").unwrap();
        symlink(&elsewhere, from.join("conf")).unwrap();
        let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000);
        fs::File::options().write(true).open(from.join("lib/x.jar")).unwrap().set_modified(then).unwrap();

        tree(&from, &to, &Work::default()).unwrap();

        assert_eq!(fs::metadata(to.join("lib/x.jar")).unwrap().modified().unwrap(), then);
        assert!(!fs::symlink_metadata(to.join("conf")).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(to.join("conf/config.yaml")).unwrap(), "a: b");
        assert!(!to.join("log").exists());
        assert_eq!(size(&from).unwrap(), 5 + 4);
    }

    #[test]
    fn a_loop_of_links_ends_as_an_error() {
        let dir = tempfile::tempdir().unwrap();
        symlink(dir.path(), dir.path().join("loop")).unwrap();
        assert!(tree(dir.path(), &dir.path().join("../never"), &Work::default()).is_err());
    }
}
