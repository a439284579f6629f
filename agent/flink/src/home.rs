//! What an unpacked Flink distribution consists of.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use kobel_conf::{Category, Explain};
use kobel_plan::{FlinkHome, FlinkVersion};

/// Parts of the distribution that share classes with `flink-dist` and must be of its version.
/// Connectors and formats are released on their own and are not among them.
const CORE_PARTS: [&str; 8] = [
    "flink-table-api-java-uber",
    "flink-table-planner-loader",
    "flink-table-planner",
    "flink-table-runtime",
    "flink-runtime",
    "flink-clients",
    "flink-streaming-java",
    "flink-cep",
];

/// Why a directory is not a Flink that can be run.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// A directory of the distribution could not be read.
    #[error("could not read {} of the Flink distribution", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// There is no `flink-dist` jar.
    #[error("{} is not the lib directory of a Flink distribution: there is no flink-dist-*.jar in it", lib.display())]
    NoDist {
        /// The directory searched.
        lib: PathBuf,
    },
    /// There are several `flink-dist` jars.
    #[error("{} holds more than one Flink: {}", lib.display(), list(jars))]
    ManyDists {
        /// The directory searched.
        lib: PathBuf,
        /// The `flink-dist` jars found.
        jars: Vec<PathBuf>,
    },
    /// The name of the `flink-dist` jar does not tell a version.
    #[error("the Flink version cannot be told from the name of {}", jar.display())]
    NoVersion {
        /// The `flink-dist` jar.
        jar: PathBuf,
    },
    /// Jars of another Flink lie among this one's.
    #[error("{} mixes Flink versions: flink-dist is {dist}, but there is {}", lib.display(), list(others))]
    MixedVersions {
        /// The directory searched.
        lib: PathBuf,
        /// The version of `flink-dist`.
        dist: FlinkVersion,
        /// The jars of other versions.
        others: Vec<PathBuf>,
    },
}

impl Explain for HomeError {
    fn category(&self) -> Category {
        Category::Environment
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            HomeError::Read { .. } | HomeError::NoDist { .. } => {
                "name a Flink with --flink DIR|VERSION, or get one: kobel flink install 1.20.5".into()
            }
            HomeError::ManyDists { jars, .. } => format!("remove all but one: rm {}", paths(&jars[1..])),
            HomeError::NoVersion { .. } => "restore its name, as in flink-dist-1.20.5.jar".into(),
            HomeError::MixedVersions { others, .. } => format!("remove them: rm {}", paths(others)),
        })
    }
}

/// File names, for an error's one line.
fn list(jars: &[PathBuf]) -> String {
    let names = jars.iter().map(|jar| jar.file_name().unwrap_or_default().to_string_lossy().into_owned());
    names.collect::<Vec<_>>().join(", ")
}

fn paths(jars: &[PathBuf]) -> String {
    jars.iter().map(|jar| jar.display().to_string()).collect::<Vec<_>>().join(" ")
}

/// Reads what the distribution in this directory consists of.
pub fn inspect(home: &Path) -> Result<FlinkHome, HomeError> {
    inspect_with_lib(home, &home.join("lib"))
}

/// The same for a distribution whose jars lie elsewhere, Flink's `FLINK_LIB_DIR`.
pub fn inspect_with_lib(home: &Path, lib: &Path) -> Result<FlinkHome, HomeError> {
    let mut jars = BTreeSet::new();
    collect_jars(lib, &mut jars)?;
    let (dists, mut class_path): (Vec<_>, Vec<_>) =
        jars.into_iter().map(PathBuf::from).partition(|jar| file_name(jar).starts_with("flink-dist"));
    let dist = match <[PathBuf; 1]>::try_from(dists) {
        Ok([dist]) => dist,
        Err(none) if none.is_empty() => return Err(HomeError::NoDist { lib: lib.into() }),
        Err(jars) => return Err(HomeError::ManyDists { lib: lib.into(), jars }),
    };
    let version = dist_version(&dist)?;
    let others: Vec<_> = class_path.iter().filter(|jar| is_core_of_other(jar, &version)).cloned().collect();
    if !others.is_empty() {
        return Err(HomeError::MixedVersions { lib: lib.into(), dist: version, others });
    }
    class_path.push(dist);
    Ok(FlinkHome { home: home.into(), version, class_path })
}

/// All jars below a directory, as `config.sh` finds them: `find DIR ! -type d -name '*.jar'`, which
/// does not follow links to directories. The set's order is that of the whole path's bytes, which
/// `sort -z` has in the C locale.
fn collect_jars(dir: &Path, jars: &mut BTreeSet<std::ffi::OsString>) -> Result<(), HomeError> {
    let failed = |source| HomeError::Read { path: dir.into(), source };
    for entry in fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        if entry.file_type().map_err(failed)?.is_dir() {
            collect_jars(&path, jars)?;
        } else if path.as_os_str().as_bytes().ends_with(b".jar") {
            jars.insert(path.into_os_string());
        }
    }
    Ok(())
}

fn file_name(path: &Path) -> &str {
    path.file_name().and_then(OsStr::to_str).unwrap_or_default()
}

/// `flink-dist-1.20.5.jar`, or `flink-dist_2.12-1.14.6.jar` with the Scala version of older days.
fn dist_version(jar: &Path) -> Result<FlinkVersion, HomeError> {
    split_version(file_name(jar))
        .and_then(|(_, version)| FlinkVersion::try_from(version.to_string()).ok())
        .ok_or_else(|| HomeError::NoVersion { jar: jar.into() })
}

/// Splits `flink-cep-1.20.5.jar` into `flink-cep` and `1.20.5`: the version begins after the first
/// hyphen that a digit follows.
fn split_version(jar: &str) -> Option<(&str, &str)> {
    let stem = jar.strip_suffix(".jar")?;
    let (at, _) =
        stem.match_indices('-').find(|(at, _)| stem[at + 1..].starts_with(|c: char| c.is_ascii_digit()))?;
    Some((&stem[..at], &stem[at + 1..]))
}

fn is_core_of_other(jar: &Path, version: &FlinkVersion) -> bool {
    let Some((artifact, other)) = split_version(file_name(jar)) else { return false };
    let artifact = artifact.split_once("_2.").map_or(artifact, |(name, _scala)| name);
    CORE_PARTS.contains(&artifact) && other != version.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(jars: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for jar in jars {
            let path = dir.path().join("lib").join(jar);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        dir
    }

    fn names(home: &FlinkHome, dir: &Path) -> Vec<String> {
        let lib = dir.join("lib");
        home.class_path.iter().map(|p| p.strip_prefix(&lib).unwrap().display().to_string()).collect()
    }

    #[test]
    fn class_path_is_sorted_by_bytes_with_dist_last() {
        let dir = home(&[
            "log4j-core-2.24.3.jar",
            "flink-dist-1.20.5.jar",
            "Zebra.jar",
            "flink-cep-1.20.5.jar",
            "ext/a.jar",
            "ext.jar",
            "notes.txt",
        ]);
        let found = inspect(dir.path()).unwrap();
        assert_eq!(found.version.to_string(), "1.20.5");
        let expected = [
            "Zebra.jar",
            "ext.jar",
            "ext/a.jar",
            "flink-cep-1.20.5.jar",
            "log4j-core-2.24.3.jar",
            "flink-dist-1.20.5.jar",
        ];
        assert_eq!(names(&found, dir.path()), expected);
    }

    #[test]
    fn a_home_without_dist_is_named() {
        let dir = home(&["flink-cep-1.20.5.jar"]);
        let error = inspect(dir.path()).unwrap_err();
        assert!(matches!(&error, HomeError::NoDist { .. }), "{error}");
        assert!(error.hint().unwrap().contains("kobel flink install"));
        assert!(matches!(inspect(Path::new("/nonexistent")), Err(HomeError::Read { .. })));
    }

    #[test]
    fn two_dists_are_listed() {
        let dir = home(&["flink-dist-1.20.5.jar", "old/flink-dist-1.19.1.jar"]);
        let error = inspect(dir.path()).unwrap_err();
        assert!(error.to_string().ends_with("flink-dist-1.20.5.jar, flink-dist-1.19.1.jar"), "{error}");
    }

    #[test]
    fn parts_of_another_flink_are_listed() {
        let dir = home(&[
            "flink-dist-1.20.5.jar",
            "flink-table-runtime-1.19.1.jar",
            "flink-table-planner_2.12-1.18.0.jar",
        ]);
        let error = inspect(dir.path()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("1.20.5") && text.contains("flink-table-runtime-1.19.1.jar"), "{text}");
        assert!(text.contains("flink-table-planner_2.12-1.18.0.jar"), "{text}");
    }

    #[test]
    fn connectors_have_versions_of_their_own() {
        let jars = [
            "flink-dist-1.20.5.jar",
            "flink-connector-datagen-1.20.0.jar",
            "flink-sql-connector-kafka-3.4.0-1.20.jar",
        ];
        assert_eq!(inspect(home(&jars).path()).unwrap().class_path.len(), 3);
    }

    #[test]
    fn dist_without_a_version_is_refused() {
        let error = inspect(home(&["flink-dist.jar"]).path()).unwrap_err();
        assert!(matches!(error, HomeError::NoVersion { .. }), "{error}");
    }

    #[test]
    fn scala_in_the_name_of_old_dists_is_no_version() {
        let found = inspect(home(&["flink-dist_2.12-1.14.6.jar"]).path()).unwrap();
        assert_eq!(found.version.to_string(), "1.14.6");
    }

    proptest::proptest! {
        #[test]
        fn any_file_name_is_split_or_left(name in ".*") {
            if let Some((artifact, version)) = split_version(&name) {
                proptest::prop_assert_eq!(format!("{artifact}-{version}.jar"), name);
            }
        }
    }
}
