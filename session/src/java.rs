//! Finding a Java that can run a given Flink, without starting a JVM where that can be avoided.

use std::{
    fmt, fs,
    io::{self, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use kobel_conf::{Category, Explain};
use kobel_plan::{FlinkVersion, JavaHome};

use crate::Env;

/// Where a Java was named, or found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// `env.java.home` in Flink's configuration.
    FlinkConf,
    /// The variable `JAVA_HOME`.
    Variable,
    /// `java.home` in kobel's configuration.
    Setting,
    /// `java` on the `PATH`.
    Path,
    /// A directory of `/usr/lib/jvm`.
    System,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Origin::FlinkConf => "env.java.home",
            Origin::Variable => "JAVA_HOME",
            Origin::Setting => "java.home",
            Origin::Path => "PATH",
            Origin::System => "/usr/lib/jvm",
        })
    }
}

/// Where to look for a Java, in this order.
#[derive(Debug, Clone)]
pub struct Search<'a> {
    /// Flink's `env.java.home`.
    pub flink_conf: Option<&'a Path>,
    /// `JAVA_HOME` and `PATH` are taken from here.
    pub env: &'a Env,
    /// kobel's setting `java.home`.
    pub setting: Option<&'a Path>,
    /// The directory with the system's Javas.
    pub system: &'a Path,
}

impl<'a> Search<'a> {
    /// Looks where a user's environment points to, and in `/usr/lib/jvm`.
    pub fn new(env: &'a Env) -> Self {
        Self { flink_conf: None, env, setting: None, system: Path::new("/usr/lib/jvm") }
    }
}

/// A Java that was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its directory and version.
    pub java: JavaHome,
    /// Why this one.
    pub origin: Origin,
    /// What a person should know: that Flink does not support it.
    pub note: Option<String>,
}

/// Why no Java was chosen.
#[derive(Debug, thiserror::Error)]
pub enum JavaError {
    /// The named directory holds none.
    #[error("{origin} names {}, which has no bin/java", home.display())]
    NotAHome {
        /// Where it was named.
        origin: Origin,
        /// The directory.
        home: PathBuf,
    },
    /// Its version could not be told.
    #[error("cannot tell the version of {}", program.display())]
    Unreadable {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is none that fits.
    #[error("no Java {} for Flink {flink} was found; looked at {}", either(fit), looked.join(", "))]
    NoneFits {
        /// The Flink to run.
        flink: FlinkVersion,
        /// The Java versions that run it.
        fit: &'static [u32],
        /// Everything that was looked at, with what it is.
        looked: Vec<String>,
    },
}

impl Explain for JavaError {
    fn category(&self) -> Category {
        Category::Environment
    }

    fn hint(&self) -> Option<String> {
        let version = match self {
            JavaError::NoneFits { fit, .. } => fit.first().copied().unwrap_or(17),
            JavaError::NotAHome { origin, .. } => return Some(format!("correct or unset {origin}")),
            JavaError::Unreadable { .. } => 17,
        };
        Some(format!(
            "sudo apt-get install openjdk-{version}-jre-headless   \
             (or: sudo dnf install java-{version}-openjdk-headless; or set JAVA_HOME)"
        ))
    }
}

fn either(versions: &[u32]) -> String {
    let words: Vec<_> = versions.iter().map(u32::to_string).collect();
    words.join(" or ")
}

/// The Java versions that run a Flink, the best first. Flink's documentation: Java 17 since 1.18, and
/// 21, as an experiment, since 1.19; Java 8 until 1.20, which kobel does not use. Flink 1.17 is made
/// for Java 11, and runs on 17 with the packages opened that kobel opens for every Flink.
pub fn fit(flink: &FlinkVersion) -> &'static [u32] {
    match flink {
        v if v.at_least(1, 19) => &[17, 11, 21],
        v if v.at_least(1, 18) => &[17, 11],
        v if v.at_least(1, 17) => &[11, 17],
        _ => &[11],
    }
}

/// Chooses a Java for a Flink: the first that somebody named, even if it does not fit (with a note);
/// else the first on the `PATH` or of the system that fits.
pub fn find(flink: &FlinkVersion, search: &Search<'_>) -> Result<Found, JavaError> {
    let variable = search.env.get("JAVA_HOME").map(Path::new);
    let named = [
        (Origin::FlinkConf, search.flink_conf),
        (Origin::Variable, variable),
        (Origin::Setting, search.setting),
    ];
    if let Some((origin, home)) = named.into_iter().find_map(|(origin, home)| Some((origin, home?))) {
        return explicit(flink, origin, home);
    }
    let mut looked: Vec<String> = Vec::new();
    let mut candidates: Vec<_> = on_path(search.env).into_iter().map(|p| (Origin::Path, p)).collect();
    let mut system = in_system(search.system, fit(flink));
    system.retain(|program| candidates.iter().all(|(_, seen)| seen != program));
    candidates.extend(system.into_iter().map(|program| (Origin::System, program)));
    for (origin, program) in candidates {
        match inspect(&program) {
            Ok(java) if fit(flink).contains(&java.version) => return Ok(Found { java, origin, note: None }),
            Ok(java) => looked.push(format!("{} (Java {})", java.home.display(), java.version)),
            Err(error) => looked.push(format!("{} ({error})", program.display())),
        }
    }
    looked.push(format!("PATH and {}", search.system.display()));
    Err(JavaError::NoneFits { flink: flink.clone(), fit: fit(flink), looked })
}

fn explicit(flink: &FlinkVersion, origin: Origin, home: &Path) -> Result<Found, JavaError> {
    let program = home.join("bin/java");
    if !program.is_file() {
        return Err(JavaError::NotAHome { origin, home: home.into() });
    }
    let home = std::path::absolute(home).unwrap_or_else(|_| home.into());
    let unreadable = |source| JavaError::Unreadable { program: program.clone(), source };
    let version = match released_version(&home) {
        Some(version) => version,
        None => ask(&program).map_err(unreadable)?.version,
    };
    let fits = fit(flink).contains(&version);
    let note = (!fits).then(|| {
        format!("{origin} names Java {version}; Flink {flink} is made for Java {}", either(fit(flink)))
    });
    Ok(Found { java: JavaHome { home, version }, origin, note })
}

/// The first `java` on the `PATH`, by its real name.
fn on_path(env: &Env) -> Option<PathBuf> {
    let dirs: Vec<PathBuf> = std::env::split_paths(env.get("PATH")?).collect();
    dirs.iter().map(|dir| dir.join("java")).find(|p| p.is_file()).and_then(|p| fs::canonicalize(p).ok())
}

/// The system's Javas by their real names, those of the best version first.
fn in_system(dir: &Path, fit: &[u32]) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let real = entries.filter_map(|e| fs::canonicalize(e.path().join("bin/java")).ok());
    let rank = |program: &PathBuf| {
        let version = home_of(program).and_then(|home| released_version(&home));
        let rank = version.and_then(|v| fit.iter().position(|f| *f == v));
        (rank.unwrap_or(fit.len()), program.clone())
    };
    let mut found: Vec<_> = real.map(|p| rank(&p)).collect();
    found.sort();
    found.dedup();
    found.into_iter().map(|(_, program)| program).collect()
}

/// The home of a `bin/java`.
fn home_of(program: &Path) -> Option<PathBuf> {
    let bin = program.parent().filter(|dir| dir.ends_with("bin"))?;
    Some(bin.parent()?.to_path_buf())
}

/// The home and version of a java program, from its `release` file; by running it where it has none,
/// as with a version manager's script.
fn inspect(program: &Path) -> io::Result<JavaHome> {
    let told = home_of(program).and_then(|home| Some((released_version(&home)?, home)));
    match told {
        Some((version, home)) => Ok(JavaHome { home, version }),
        None => ask(program),
    }
}

/// The feature version that a JDK's or JRE's `release` file tells.
fn released_version(home: &Path) -> Option<u32> {
    let text = fs::read_to_string(home.join("release")).ok()?;
    let line = text.lines().find_map(|line| line.trim().strip_prefix("JAVA_VERSION="))?;
    feature(line.trim_matches('"'))
}

/// The feature version of `17.0.15`, `25-ea`, or `1.8.0_392` as until Java 8.
fn feature(version: &str) -> Option<u32> {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    match numbers.next()?.ok()? {
        1 => numbers.next()?.ok(),
        modern => Some(modern),
    }
}

/// Runs `java` to hear what it is.
fn ask(program: &Path) -> io::Result<JavaHome> {
    let mut child = Command::new(program)
        .args(["-XshowSettings:properties", "-version"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let deadline = Instant::now() + Duration::from_secs(10);
    // Its few kilobytes fit the pipe, so it can end before they are read.
    while child.try_wait()?.is_none() {
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            return Err(io::Error::new(io::ErrorKind::TimedOut, "it did not end within 10 s"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut text = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        stderr.take(1 << 16).read_to_end(&mut text)?;
    }
    properties(&String::from_utf8_lossy(&text)).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, "it does not tell its java.home and version")
    })
}

/// Reads `java.home = …` and `java.specification.version = …`.
fn properties(text: &str) -> Option<JavaHome> {
    let value = |key: &str| {
        let values = text.lines().filter_map(|line| line.split_once(" = "));
        values.filter(|(k, _)| k.trim() == key).map(|(_, v)| v.trim()).next()
    };
    let version = feature(value("java.specification.version")?)?;
    Some(JavaHome { home: PathBuf::from(value("java.home")?), version })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use proptest::prelude::*;

    use super::*;

    fn flink(text: &str) -> FlinkVersion {
        FlinkVersion::try_from(text.to_string()).unwrap()
    }

    /// A directory that looks like a Java of this version.
    fn fake(dir: &Path, name: &str, version: &str) -> PathBuf {
        let home = dir.join(name);
        fs::create_dir_all(home.join("bin")).unwrap();
        fs::write(home.join("bin/java"), "").unwrap();
        fs::write(home.join("release"), format!("IMPLEMENTOR=\"x\"\nJAVA_VERSION=\"{version}\"\n")).unwrap();
        fs::canonicalize(home).unwrap()
    }

    #[test]
    fn the_first_named_java_wins_even_if_unfit() {
        let dir = tempfile::tempdir().unwrap();
        let (old, good) = (fake(dir.path(), "a8", "1.8.0_392"), fake(dir.path(), "b17", "17.0.15"));
        let env = Env::from_iter([("JAVA_HOME", good.to_str().unwrap())]);
        let mut search = Search { system: dir.path(), ..Search::new(&env) };
        assert_eq!(find(&flink("1.20.5"), &search).unwrap().origin, Origin::Variable);
        search.flink_conf = Some(&old);
        let found = find(&flink("1.20.5"), &search).unwrap();
        assert_eq!((found.java.version, found.origin), (8, Origin::FlinkConf));
        assert!(found.note.unwrap().contains("Java 17 or 11 or 21"));
    }

    #[test]
    fn unnamed_javas_are_passed_over_until_one_fits() {
        let dir = tempfile::tempdir().unwrap();
        fake(dir.path(), "a25", "25.0.1");
        let j21 = fake(dir.path(), "b21", "21");
        let j11 = fake(dir.path(), "c11", "11.0.2");
        symlink(&j11, dir.path().join("default")).unwrap();
        let path = dir.path().join("a25/bin");
        let env = Env::from_iter([("PATH", path.to_str().unwrap())]);
        let search = Search { system: dir.path(), ..Search::new(&env) };
        for (version, home) in [("1.17.2", &j11), ("1.20.5", &j11), ("2.3.0", &j11)] {
            assert_eq!(&find(&flink(version), &search).unwrap().java.home, home);
        }
        fs::remove_dir_all(&j11).unwrap();
        let j17 = fake(dir.path(), "d17", "17.0.15");
        assert_eq!(find(&flink("1.17.2"), &search).unwrap().java.home, j17);
        assert!(find(&flink("1.16.3"), &search).is_err());
        fs::remove_dir_all(&j17).unwrap();
        assert_eq!(find(&flink("2.3.0"), &search).unwrap().java.home, j21);
        let error = find(&flink("1.18.1"), &search).unwrap_err();
        assert!(error.to_string().contains("(Java 25)") && error.to_string().contains("17 or 11"), "{error}");
        assert!(error.hint().unwrap().contains("openjdk-17-jre-headless"));
    }

    #[test]
    fn a_named_directory_without_java_is_an_error() {
        let env = Env::from_iter([("JAVA_HOME", "/nonexistent")]);
        let error = find(&flink("1.20.5"), &Search::new(&env)).unwrap_err();
        assert_eq!(error.to_string(), "JAVA_HOME names /nonexistent, which has no bin/java");
    }

    #[test]
    fn a_java_without_release_file_is_asked() {
        let dir = tempfile::tempdir().unwrap();
        let shims = dir.path().join("shims");
        fs::create_dir(&shims).unwrap();
        let script =
            "#!/bin/sh\nprintf '    java.home = /real/home\\n    java.specification.version = 17\\n' >&2\n";
        fs::write(shims.join("java"), script).unwrap();
        fs::set_permissions(shims.join("java"), fs::Permissions::from_mode(0o755)).unwrap();
        let env = Env::from_iter([("PATH", shims.to_str().unwrap())]);
        let search = Search { system: dir.path(), ..Search::new(&env) };
        let found = find(&flink("1.20.5"), &search).unwrap();
        assert_eq!(found.java, JavaHome { home: "/real/home".into(), version: 17 });
    }

    #[test]
    fn versions_old_and_new_are_read() {
        for (text, version) in
            [("17.0.15", 17), ("1.8.0_392", 8), ("25-ea", 25), ("21", 21), ("11.0.2+9", 11)]
        {
            assert_eq!(feature(text), Some(version));
        }
        assert_eq!(feature(""), None);
        assert_eq!(feature("x"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "(java.home = |1\\.|\\PC|\n)*") {
            let _ = feature(&text);
            let _ = properties(&text);
        }
    }
}
