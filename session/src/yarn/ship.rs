//! Files of the user's that lie beside Flink in every container: `yarn.ship-files` and `yarn.ship-archives`.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use kobel_conf::{Category, Explain, flink::FlinkConf};
use kobel_plan::JobPlan;
use kobel_staging::{Source, Tar, TarError};

/// Names in a container that are taken.
const TAKEN: [&str; 11] = [
    "cluster",
    "conf",
    "flink",
    "hadoop",
    "kobel",
    "plan.json",
    "secret",
    "tmp",
    JobPlan::DIR,
    "worker.json",
    "workers",
];
/// What YARN unpacks (`FSDownload`).
const ARCHIVES: [&str; 5] = [".tar.gz", ".tgz", ".tar", ".zip", ".jar"];
/// Directories below each other; a link that leads in a circle makes more.
const DEEPEST: usize = 32;

/// Something of this machine that goes to the nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipped {
    /// Its name in every container.
    pub link: String,
    /// Where it is here.
    pub path: PathBuf,
    /// What becomes of it.
    pub how: How,
}

/// How something is shipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// A file, as it is.
    File,
    /// A directory, with all that is in it.
    Directory,
    /// An archive, which becomes a directory of its name.
    Archive,
}

/// Something cannot be shipped.
#[derive(Debug, thiserror::Error)]
pub enum ShipError {
    /// It is not there, or cannot be read.
    #[error("{key} ({origin}): cannot read {}", path.display())]
    Read {
        /// The key.
        key: &'static str,
        /// Where its value came from.
        origin: String,
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is no archive that YARN unpacks, or a directory.
    #[error("{key} ({origin}): {} is no archive that YARN unpacks ({})", path.display(), ARCHIVES.join(", "))]
    NoArchive {
        /// The key.
        key: &'static str,
        /// Where its value came from.
        origin: String,
        /// Which file.
        path: PathBuf,
    },
    /// It lies elsewhere.
    #[error("{key} ({origin}): {text} is not on this machine, and only what is here is shipped")]
    Remote {
        /// The key.
        key: &'static str,
        /// Where its value came from.
        origin: String,
        /// What was named.
        text: String,
    },
    /// Two have one name, or one has a name of kobel's.
    #[error("{key} ({origin}): the name {link:?} of {} is taken in a container", path.display())]
    Taken {
        /// The key.
        key: &'static str,
        /// Where its value came from.
        origin: String,
        /// The name.
        link: String,
        /// Which file.
        path: PathBuf,
    },
}

impl Explain for ShipError {
    fn category(&self) -> Category {
        Category::Environment
    }

    fn hint(&self) -> Option<String> {
        match self {
            ShipError::Remote { .. } => Some("hdfs dfs -get it, and name the copy".into()),
            ShipError::Taken { .. } => Some("give it another name".into()),
            ShipError::Read { .. } | ShipError::NoArchive { .. } => None,
        }
    }
}

/// What is to be shipped by this configuration, and what of it goes onto the class path: as Flink has it,
/// every jar, and every directory that holds another file.
pub(crate) fn find(conf: &FlinkConf) -> Result<(Vec<Shipped>, Vec<PathBuf>), ShipError> {
    let (mut shipped, mut jars, mut others) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    // The second is the first's former name.
    let keys = [("yarn.ship-files", false), ("yarn.ship-directories", false), ("yarn.ship-archives", true)];
    for (key, unpacked) in keys {
        let Some(entry) = conf.get(key) else { continue };
        let origin = entry.origin.to_string();
        for text in list(&entry.value) {
            let (link, path) = named(key, &origin, &text, &shipped)?;
            let unread = |source| ShipError::Read { key, origin: origin.clone(), path: path.clone(), source };
            let meta = fs::metadata(&path).map_err(unread)?;
            let is_archive = ARCHIVES.iter().any(|end| link.to_lowercase().ends_with(end));
            let how = match (unpacked, meta.is_dir()) {
                (true, false) if is_archive => How::Archive,
                (true, _) => return Err(ShipError::NoArchive { key, origin, path }),
                (false, true) => How::Directory,
                (false, false) => How::File,
            };
            if how != How::Archive {
                class_path(Path::new(&link), &path, DEEPEST, &mut jars, &mut others).map_err(unread)?;
            }
            shipped.push(Shipped { link, path, how });
        }
    }
    Ok((shipped, others.into_iter().chain(jars).collect()))
}

/// Its name in a container, and where it is here.
fn named(
    key: &'static str,
    origin: &str,
    text: &str,
    before: &[Shipped],
) -> Result<(String, PathBuf), ShipError> {
    let origin = || origin.to_string();
    let local = text.strip_prefix("file://").unwrap_or(text);
    if local.contains("://") {
        return Err(ShipError::Remote { key, origin: origin(), text: text.into() });
    }
    let unread = |source| ShipError::Read { key, origin: origin(), path: local.into(), source };
    let path = std::path::absolute(local).map_err(unread)?;
    let link = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let is_taken = TAKEN.contains(&link.as_str()) || before.iter().any(|other| other.link == link);
    if link.is_empty() || link.contains(['#', ':', char::REPLACEMENT_CHARACTER]) || is_taken {
        return Err(ShipError::Taken { key, origin: origin(), link, path });
    }
    Ok((link, path))
}

/// Flink's lists: `a;b`, and YAML's `[a, b]`.
fn list(value: &str) -> Vec<String> {
    let value = value.trim();
    let flow = value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let parts = flow.map_or_else(|| value.split(';').collect::<Vec<_>>(), |items| items.split(',').collect());
    let plain = parts.into_iter().map(|part| part.trim().trim_matches(['"', '\'']).to_string());
    plain.filter(|part| !part.is_empty()).collect()
}

fn class_path(
    link: &Path,
    path: &Path,
    depth: usize,
    jars: &mut BTreeSet<PathBuf>,
    others: &mut BTreeSet<PathBuf>,
) -> io::Result<()> {
    if fs::metadata(path)?.is_dir() {
        if depth == 0 {
            return Err(io::Error::other("its directories are too deep, or a link in it leads in a circle"));
        }
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            class_path(&link.join(entry.file_name()), &entry.path(), depth - 1, jars, others)?;
        }
    } else if link.extension().is_some_and(|extension| extension == "jar") {
        jars.insert(link.into());
    } else {
        let dir = link.parent().filter(|dir| !dir.as_os_str().is_empty());
        others.insert(dir.unwrap_or(Path::new(".")).into());
    }
    Ok(())
}

impl Shipped {
    /// Its name in the application's own directory, where it tells YARN how to unpack it; `number` makes it
    /// unlike every other.
    pub(super) fn name(&self, number: usize) -> String {
        let extension = if self.how == How::Directory { ".tar" } else { "" };
        format!("ship-{number}-{}{extension}", self.link)
    }

    /// Its bytes. Blocks while a directory is walked.
    pub(super) fn source(&self) -> Result<Source, TarError> {
        if self.how != How::Directory {
            return Ok(Source::File(self.path.clone()));
        }
        let failed = |source| TarError::Read { path: self.path.clone(), source };
        let mut trees = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().into_string().map_err(|name| TarError::Name {
                name: name.into(),
                source: io::ErrorKind::InvalidFilename.into(),
            })?;
            trees.push((name, entry.path()));
        }
        let trees: Vec<_> = trees.iter().map(|(name, path)| (name.as_str(), path.as_path())).collect();
        Ok(Source::Tar(Tar::of(&trees)?))
    }
}

#[cfg(test)]
mod tests {
    use kobel_conf::flink::Origin;

    use super::*;

    fn conf(pairs: &[(&str, String)]) -> FlinkConf {
        let mut conf = FlinkConf::new();
        for (key, value) in pairs {
            conf.set(*key, value.clone(), Origin::Dynamic);
        }
        conf
    }

    #[test]
    fn files_and_directories_go_onto_the_class_path_as_flink_has_it_and_archives_do_not() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        fs::create_dir_all(dir.path().join("deps/etc")).unwrap();
        for file in ["deps/b.jar", "deps/a.jar", "deps/etc/x.properties", "one.jar", "data.tgz", "words.txt"]
        {
            fs::write(dir.path().join(file), "x").unwrap();
        }
        let files = format!("{};{}", at("deps"), at("one.jar"));
        let given =
            conf(&[("yarn.ship-files", files), ("yarn.ship-archives", format!("['{}']", at("data.tgz")))]);
        let (shipped, class_path) = find(&given).unwrap();
        let hows: Vec<_> = shipped.iter().map(|it| (it.link.as_str(), it.how)).collect();
        assert_eq!(hows, [("deps", How::Directory), ("one.jar", How::File), ("data.tgz", How::Archive)]);
        let entries = ["deps/etc", "deps/a.jar", "deps/b.jar", "one.jar"].map(PathBuf::from);
        assert_eq!(class_path, entries);
        assert_eq!(
            (shipped[0].name(0), shipped[2].name(2)),
            ("ship-0-deps.tar".into(), "ship-2-data.tgz".into())
        );
        assert!(shipped.iter().all(|it| it.source().is_ok()));
        let (_, class_path) = find(&conf(&[("yarn.ship-files", at("words.txt"))])).unwrap();
        assert_eq!(class_path, [PathBuf::from(".")]);
    }

    /// Case 47 of the bad inputs: the program's own jar has a place there, too.
    #[test]
    fn what_cannot_be_shipped_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("conf")).unwrap();
        fs::write(dir.path().join("a.jar"), "x").unwrap();
        fs::create_dir(dir.path().join("usrlib")).unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        let twice = format!("{0};{0}", at("a.jar"));
        for (key, value, words) in [
            ("yarn.ship-files", at("none.jar"), "cannot read"),
            ("yarn.ship-files", at("conf"), "\"conf\""),
            ("yarn.ship-files", twice, "\"a.jar\""),
            ("yarn.ship-files", at("usrlib"), "\"usrlib\""),
            ("yarn.ship-files", "hdfs://nn/x.jar".into(), "not on this machine"),
            ("yarn.ship-archives", at("conf").replace("conf", ""), "no archive"),
        ] {
            let error = find(&conf(&[(key, value.clone())])).unwrap_err().to_string();
            assert!(error.contains(words) && error.contains(key), "{key}={value}: {error}");
        }
        assert_eq!(find(&conf(&[("yarn.ship-files", " ; ".into())])).unwrap(), (vec![], vec![]));
    }
}
