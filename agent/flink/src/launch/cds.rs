//! Archives of loaded classes (AppCDS), which halve a JVM's start: one per JDK, class path, role and
//! the options that decide whether the JVM takes it. A JVM that is given one that does not fit
//! ignores it, so all that a wrong decision here costs is time.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use kobel_plan::{FlinkRole, JavaHome, RolePlan};
use sha2::{Digest, Sha256};

/// The first Java that can write an archive when it exits (JEP 350).
const FIRST_JAVA: u32 = 13;
/// From this size in bytes on the heap has no compressed pointers, and an archive made with them is no use.
const LARGE_HEAP: u64 = 32 << 30;

/// What trainings do: where a newer one has JVMs load more, older archives would do, and are not used.
const GENERATION: &[u8] = b"2: ZooKeeper and checkpoints";

/// What a JVM checks before it takes an archive, beside its own options.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Checked {
    /// The JDK's `release` file, which names the build.
    release: String,
    /// The class path: each jar's path, size in bytes and time of change in seconds.
    jars: Vec<(PathBuf, u64, i64)>,
}

impl Checked {
    fn look(java: &JavaHome, class_path: &[PathBuf]) -> io::Result<Self> {
        let jar = |path: &PathBuf| fs::metadata(path).map(|found| (path.clone(), found.len(), found.mtime()));
        Ok(Self {
            release: fs::read_to_string(java.home.join("release"))?,
            jars: class_path.iter().map(jar).collect::<io::Result<_>>()?,
        })
    }

    /// The same for two clusters exactly when one's archives fit the other.
    fn key(&self, roles: &[&RolePlan]) -> String {
        let mut hash = Sha256::new();
        let mut add = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        add(GENERATION);
        add(self.release.as_bytes());
        for (path, size, changed) in &self.jars {
            add(path.as_os_str().as_encoded_bytes());
            add(&size.to_le_bytes());
            add(&changed.to_le_bytes());
        }
        for role in roles {
            add(b"role");
            relevant(role).iter().for_each(|option| add(option.as_bytes()));
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The directory below `base` for the archives that fit these roles; none where this Java cannot make
/// them, a role's options are about archives already, or the files cannot be looked at.
pub fn archive_dir(
    base: &Path,
    java: &JavaHome,
    class_path: &[PathBuf],
    roles: [&RolePlan; 2],
) -> Option<PathBuf> {
    if java.version < FIRST_JAVA || roles.iter().any(|role| is_settled(role)) {
        return None;
    }
    match Checked::look(java, class_path) {
        Ok(checked) => Some(base.join(checked.key(&roles))),
        Err(error) => {
            tracing::debug!(%error, "no archive of classes: the JDK or a jar cannot be looked at");
            None
        }
    }
}

/// Names what a JVM checks of the machine that it is on before it takes an archive, in 16 hex digits: the
/// build of its JDK, and the jars behind Flink's, as far as they are [`archivable`]. None where this Java
/// makes no archives, or cannot be looked at.
pub fn machine(java_home: &Path, behind: &[PathBuf]) -> Option<String> {
    let java = JavaHome { home: java_home.into(), version: FIRST_JAVA };
    let mut checked = Checked::look(&java, archivable(behind))
        .inspect_err(|error| tracing::info!(%error, "no archive of classes: the JDK cannot be looked at"))
        .ok()?;
    if feature(&checked.release)? < FIRST_JAVA {
        return None;
    }
    // Two builds of one version, by different hands.
    let jvm = fs::metadata(java_home.join("lib/server/libjvm.so")).map_or(0, |found| found.len());
    checked.release.push_str(&jvm.to_string());
    Some(checked.key(&[])[..MACHINE_DIGITS].into())
}

/// Enough to tell the machines of one cluster apart.
const MACHINE_DIGITS: usize = 16;

/// The feature version in a JDK's `release` file.
fn feature(release: &str) -> Option<u32> {
    let version = release.lines().find_map(|line| line.strip_prefix("JAVA_VERSION="))?;
    version.trim_matches('"').split(['.', '-', '+']).next()?.parse().ok()
}

/// The entries of a class path that an archive can be made with: those before the first directory.
pub fn archivable(entries: &[PathBuf]) -> &[PathBuf] {
    let directory = entries.iter().position(|entry| !entry.is_file());
    &entries[..directory.unwrap_or(entries.len())]
}

/// `jm.jsa` or `tm.jsa`.
pub fn archive_name(role: FlinkRole) -> String {
    format!("{}.jsa", role.prefix())
}

/// The user's own choice of archives, or classes from where no archive reaches.
pub fn is_settled(role: &RolePlan) -> bool {
    const OWN: [&str; 7] = [
        "-Xshare",
        "-XX:SharedArchiveFile",
        "-XX:ArchiveClassesAtExit",
        "-XX:AOT",
        "--patch-module",
        "--upgrade-module-path",
        "--limit-modules",
    ];
    role.jvm_args.iter().any(|arg| OWN.iter().any(|own| arg.starts_with(own)))
}

/// The options of a role that an archive must have been made with: collector, pointers, modules.
pub fn relevant(role: &RolePlan) -> Vec<String> {
    const SWITCHES: [&str; 2] = ["-XX:+Use", "-XX:-Use"];
    const OTHERS: [&str; 5] =
        ["--add-exports", "--add-opens", "--add-modules", "--add-reads", "-XX:ObjectAlignmentInBytes="];
    let is_relevant = |arg: &str| {
        SWITCHES.iter().any(|switch| {
            arg.strip_prefix(switch)
                .is_some_and(|name| name.ends_with("GC") || name.starts_with("Compressed"))
        }) || OTHERS.iter().any(|other| arg.starts_with(other))
    };
    let mut options: Vec<String> = role.jvm_args.iter().filter(|arg| is_relevant(arg)).cloned().collect();
    let heap = role.jvm_args.iter().rev().find_map(|arg| arg.strip_prefix("-Xmx")?.parse::<u64>().ok());
    if heap.is_some_and(|bytes| bytes >= LARGE_HEAP) {
        options.push("-XX:-UseCompressedOops".into());
    }
    options
}

/// The options by which a JVM uses the role's archive, if it is there by now.
///
/// A relative path leads from a container's directory, into which the archive is put before the JVM starts. It
/// was on its way by then, and a JVM that maps a damaged one dies unless it compares checksums first (25 ms).
pub(super) fn options(role: &RolePlan) -> Vec<String> {
    let path = role.archive.as_ref().filter(|path| path.is_relative() || path.is_file());
    let Some(text) = path.and_then(|path| path.to_str()) else { return Vec::new() };
    let travelled = path.is_some_and(|path| path.is_relative());
    let verify = travelled.then(|| "-XX:+VerifySharedSpaces".to_string());
    let options = [format!("-XX:SharedArchiveFile={text}"), "-Xshare:auto".into()];
    options.into_iter().chain(verify).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(args: &[&str]) -> RolePlan {
        RolePlan { jvm_args: args.iter().map(ToString::to_string).collect(), ..RolePlan::default() }
    }

    fn lay_out(dir: &Path) -> (JavaHome, Vec<PathBuf>) {
        fs::write(dir.join("release"), "JAVA_VERSION=\"17\"").unwrap();
        let jar = dir.join("a.jar");
        fs::write(&jar, "x").unwrap();
        (JavaHome { home: dir.into(), version: 17 }, vec![jar])
    }

    #[test]
    fn what_the_jvm_checks_makes_another_key() {
        let dir = tempfile::tempdir().unwrap();
        let (java, jars) = lay_out(dir.path());
        let key = |role: &RolePlan| archive_dir(Path::new("/c"), &java, &jars, [role, role]).unwrap();
        let plain = role(&["-Xmx1g"]);
        let first = key(&plain);
        assert_eq!(key(&plain), first);
        assert_eq!(key(&role(&["-Xmx2g", "-Duser=1"])), first, "what the JVM does not check");
        assert_ne!(key(&role(&["-XX:+UseZGC"])), first);
        assert_ne!(key(&role(&["-Xmx34359738368"])), first, "pointers of another size");
        assert_ne!(key(&role(&["--add-opens=java.base/java.lang=ALL-UNNAMED"])), first);
        let file = fs::File::options().write(true).open(&jars[0]).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        let touched = key(&plain);
        assert_ne!(touched, first, "another time of change");
        fs::write(dir.path().join("release"), "JAVA_VERSION=\"17.0.1\"").unwrap();
        assert_ne!(key(&plain), touched, "another build of the JDK");
    }

    #[test]
    fn no_archive_where_none_can_be_used() {
        let dir = tempfile::tempdir().unwrap();
        let (java, jars) = lay_out(dir.path());
        let of = |java: &JavaHome, jars: &[PathBuf], role: &RolePlan| {
            archive_dir(Path::new("/c"), java, jars, [role, role])
        };
        assert_eq!(of(&JavaHome { version: 11, ..java.clone() }, &jars, &role(&[])), None);
        assert_eq!(of(&java, &["/nonexistent.jar".into()], &role(&[])), None);
        for own in ["-Xshare:off", "-XX:SharedArchiveFile=/a", "--patch-module=a=b"] {
            assert_eq!(of(&java, &jars, &role(&[own])), None, "{own}");
        }
        assert!(of(&java, &jars, &role(&[])).is_some());
    }

    #[test]
    fn a_machine_is_named_by_its_java_and_by_the_jars_before_the_first_directory() {
        let dir = tempfile::tempdir().unwrap();
        let (java, mut behind) = lay_out(dir.path());
        fs::write(dir.path().join("release"), "A=\"1\"\nJAVA_VERSION=\"17.0.15\"\n").unwrap();
        let name = |behind: &[PathBuf]| machine(&java.home, behind).unwrap();
        let first = name(&behind);
        assert!(first.len() == 16 && first.bytes().all(|byte| byte.is_ascii_hexdigit()), "{first}");
        assert_ne!(name(&[]), first);
        behind.extend([dir.path().into(), dir.path().join("release")]);
        assert_eq!(archivable(&behind).len(), 1);
        assert_eq!(name(&behind), first, "what no archive can be made with");
        fs::create_dir_all(dir.path().join("lib/server")).unwrap();
        fs::write(dir.path().join("lib/server/libjvm.so"), "another build").unwrap();
        assert_ne!(name(&behind), first);
        for old in ["JAVA_VERSION=\"1.8.0_402\"", "JAVA_VERSION=\"11.0.2\"", "JAVA_VERSION=x", ""] {
            fs::write(dir.path().join("release"), old).unwrap();
            assert_eq!(machine(&java.home, &[]), None, "{old}");
        }
        assert_eq!(machine(Path::new("/nonexistent"), &[]), None);
    }

    #[test]
    fn an_archive_is_used_once_it_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(archive_name(FlinkRole::JobManager));
        let role = RolePlan { archive: Some(path.clone()), ..RolePlan::default() };
        assert!(options(&role).is_empty());
        fs::write(&path, "").unwrap();
        assert_eq!(
            options(&role),
            [format!("-XX:SharedArchiveFile={}", path.display()), "-Xshare:auto".into()]
        );
        let inside = RolePlan { archive: Some("cds/jm.jsa".into()), ..RolePlan::default() };
        let expected = ["-XX:SharedArchiveFile=cds/jm.jsa", "-Xshare:auto", "-XX:+VerifySharedSpaces"];
        assert_eq!(options(&inside), expected, "in a container");
    }
}
