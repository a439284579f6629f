//! Looking at a jar before it is sent: Flink takes any file whose name ends in `.jar`, and says
//! what is wrong with it only when it is run.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use kobel_conf::{Category, Explain};

/// A jar that can be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JarFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// The class in its manifest, by which Flink starts it if none is named.
    pub main_class: Option<String>,
}

/// A jar that cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum JarError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is a directory, a pipe or a device.
    #[error("{} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// Flink wants the name to end in `.jar`.
    #[error("{} is not named *.jar", .0.display())]
    Name(PathBuf),
    /// It is no zip archive.
    #[error("{} is not a jar", path.display())]
    NotAJar {
        /// The file.
        path: PathBuf,
        /// What the archive's reader says.
        source: zip::result::ZipError,
    },
    /// Nothing says which class to start.
    #[error("{} names no class to start: its manifest has no Main-Class", .0.display())]
    NoMainClass(PathBuf),
    /// The class is not in it.
    #[error("{} has no class {class}", path.display())]
    NoSuchClass {
        /// The file.
        path: PathBuf,
        /// The class asked for.
        class: String,
    },
    /// It does not fit on the cluster's disk.
    #[error(
        "{} is too large: Flink keeps {COPIES} copies of its {} MB, and {} has {} MB left",
        path.display(), size >> 20, dir.display(), free >> 20
    )]
    NoRoom {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
        /// Where the cluster would keep it.
        dir: PathBuf,
        /// How many bytes there are left.
        free: u64,
    },
}

impl Explain for JarError {
    fn category(&self) -> Category {
        Category::Environment
    }

    fn hint(&self) -> Option<String> {
        match self {
            JarError::NoMainClass(path) => Some(format!("kobel run -c CLASS {}", path.display())),
            JarError::NoSuchClass { path, .. } => Some(format!("unzip -l {}", path.display())),
            JarError::NoRoom { dir, .. } => Some(format!("df -h {}", dir.display())),
            _ => None,
        }
    }
}

/// Copies of a jar that a cluster on one machine makes: the upload, the JobManager's blob, and the
/// TaskManager's.
const COPIES: u64 = 3;
/// The largest manifest that is read; real ones have some KB.
const MANIFEST: u64 = 1 << 20;

impl JarFile {
    /// Looks at the file and makes sure that it can be started by `class` or by its manifest.
    pub fn check(path: &Path, class: Option<&str>) -> Result<Self, JarError> {
        let unreadable = |source| JarError::Unreadable { path: path.into(), source };
        let meta = std::fs::metadata(path).map_err(unreadable)?;
        if !meta.is_file() {
            return Err(JarError::NotAFile(path.into()));
        }
        if path.extension().is_none_or(|e| e != "jar") {
            return Err(JarError::Name(path.into()));
        }
        let file = File::open(path).map_err(unreadable)?;
        let not_a_jar = |source| JarError::NotAJar { path: path.into(), source };
        let mut archive = zip::ZipArchive::new(io::BufReader::new(file)).map_err(not_a_jar)?;
        let main_class = manifest(&mut archive).map_err(not_a_jar)?.as_deref().and_then(main_class_of);
        match class {
            None if main_class.is_none() => return Err(JarError::NoMainClass(path.into())),
            // A named class may also come from Flink's own class path; only a plain typing mistake
            // in a jar that has nothing of that package is certain.
            Some(class) if !has_package_of(&archive, class) => {
                return Err(JarError::NoSuchClass { path: path.into(), class: class.into() });
            }
            _ => {}
        }
        Ok(Self { path: path.into(), size: meta.len(), main_class })
    }

    /// Makes sure that there is room for it in the cluster's directory on this machine.
    pub fn fits(&self, dir: &Path) -> Result<(), JarError> {
        let (path, size) = (self.path.clone(), self.size);
        // Of a directory that is yet to be made, where that will be.
        let there = dir.ancestors().find(|dir| dir.exists()).unwrap_or(dir);
        match rustix::fs::statvfs(there).map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize)) {
            Ok(free) if size > free / COPIES => Err(JarError::NoRoom { path, size, dir: dir.into(), free }),
            // A disk that cannot be looked at says no, if it must, when the jar is there.
            _ => Ok(()),
        }
    }
}

fn has_package_of(archive: &zip::ZipArchive<impl Read + io::Seek>, class: &str) -> bool {
    let path = class.replace('.', "/");
    let package = path.rsplit_once('/').map_or("", |(package, _)| package);
    let prefix = if package.is_empty() { path.clone() } else { format!("{package}/") };
    let is_of_package = |name: &str| name.starts_with(&prefix) && name.ends_with(".class");
    // Flink also loads the jars that lie in a jar's lib directory.
    archive.file_names().flatten().any(|name| is_of_package(&name) || name.ends_with(".jar"))
}

fn manifest(
    archive: &mut zip::ZipArchive<impl Read + io::Seek>,
) -> Result<Option<String>, zip::result::ZipError> {
    let entry = match archive.by_name("META-INF/MANIFEST.MF") {
        Err(zip::result::ZipError::FileNotFound) => return Ok(None),
        other => other?,
    };
    let mut bytes = Vec::new();
    entry.take(MANIFEST).read_to_end(&mut bytes)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// `program-class`, which Flink prefers (`PackagedProgram`), else `Main-Class`, of the main section.
/// A line that begins with a blank continues the one before: lines hold 72 bytes.
fn main_class_of(manifest: &str) -> Option<String> {
    let mut attributes: Vec<String> = Vec::new();
    for line in manifest.lines() {
        match (line.strip_prefix(' '), attributes.last_mut()) {
            _ if line.is_empty() => break,
            (Some(more), Some(last)) => last.push_str(more),
            _ => attributes.push(line.into()),
        }
    }
    let value = |wanted: &str| {
        attributes.iter().find_map(|attribute| {
            let (name, value) = attribute.split_once(':')?;
            let value = value.trim();
            (name.eq_ignore_ascii_case(wanted) && !value.is_empty()).then(|| value.to_string())
        })
    };
    value("program-class").or_else(|| value("Main-Class"))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    pub(crate) fn jar(dir: &Path, name: &str, manifest: Option<&str>) -> PathBuf {
        let path = dir.join(name);
        let mut zip = zip::ZipWriter::new(File::create(&path).unwrap());
        let options = zip::write::SimpleFileOptions::default();
        if let Some(manifest) = manifest {
            zip.start_file("META-INF/MANIFEST.MF", options).unwrap();
            zip.write_all(manifest.as_bytes()).unwrap();
        }
        zip.start_file("org/x/Job.class", options).unwrap();
        zip.finish().unwrap();
        path
    }

    #[test]
    fn a_jar_with_a_main_class_can_be_sent() {
        let dir = tempfile::tempdir().unwrap();
        let path =
            jar(dir.path(), "a.jar", Some("Manifest-Version: 1.0\r\nMain-Class: org.x\r\n .Job\r\n\r\n"));
        assert_eq!(JarFile::check(&path, None).unwrap().main_class.as_deref(), Some("org.x.Job"));
    }

    #[test]
    fn what_is_no_jar_is_named_before_it_is_sent() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let check = |path: &Path| JarFile::check(path, None).unwrap_err();
        assert!(matches!(check(&dir.path().join("none.jar")), JarError::Unreadable { .. }));
        assert!(matches!(check(dir.path()), JarError::NotAFile(_)));
        assert!(matches!(check(&file("a.zip", b"PK")), JarError::Name(_)));
        assert!(matches!(check(&file("empty.jar", b"")), JarError::NotAJar { .. }));
        assert!(matches!(check(&file("text.jar", b"hello")), JarError::NotAJar { .. }));
    }

    #[test]
    fn a_class_must_come_from_somewhere() {
        let dir = tempfile::tempdir().unwrap();
        let path = jar(dir.path(), "a.jar", None);
        assert!(matches!(JarFile::check(&path, None), Err(JarError::NoMainClass(_))));
        assert!(JarFile::check(&path, Some("org.x.Job")).is_ok());
        assert!(matches!(JarFile::check(&path, Some("org.y.Job")), Err(JarError::NoSuchClass { .. })));
    }

    proptest! {
        #[test]
        fn any_manifest_gives_an_answer(text in ".*") {
            let _ = main_class_of(&text);
        }
    }
}
