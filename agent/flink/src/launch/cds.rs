//! Archives of loaded classes (AppCDS), which halve a JVM's start: one per JDK, class path, role and
//! the options that decide whether the JVM takes it. A JVM that is given one that does not fit
//! ignores it, so all that a wrong decision here costs is time.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use kobel_plan::{JavaHome, Role, RolePlan};
use sha2::{Digest, Sha256};

/// The first Java that can write an archive when it exits (JEP 350).
const FIRST_JAVA: u32 = 13;
/// From this size in bytes on the heap has no compressed pointers, and an archive made with them is no use.
const LARGE_HEAP: u64 = 32 << 30;

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
    fn key(&self, roles: [&RolePlan; 2]) -> String {
        let mut hash = Sha256::new();
        let mut add = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
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
        Ok(checked) => Some(base.join(checked.key(roles))),
        Err(error) => {
            tracing::debug!(%error, "no archive of classes: the JDK or a jar cannot be looked at");
            None
        }
    }
}

/// `jm.jsa` or `tm.jsa`.
pub fn archive_name(role: Role) -> String {
    format!("{}.jsa", role.prefix())
}

/// The user's own choice of archives, or classes from where no archive reaches.
fn is_settled(role: &RolePlan) -> bool {
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
pub(super) fn options(role: &RolePlan) -> Vec<String> {
    let made = role.archive.as_ref().filter(|path| path.is_file()).and_then(|path| path.to_str());
    made.map_or_else(Vec::new, |path| vec![format!("-XX:SharedArchiveFile={path}"), "-Xshare:auto".into()])
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
    fn an_archive_is_used_once_it_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(archive_name(Role::JobManager));
        let role = RolePlan { archive: Some(path.clone()), ..RolePlan::default() };
        assert!(options(&role).is_empty());
        fs::write(&path, "").unwrap();
        assert_eq!(
            options(&role),
            [format!("-XX:SharedArchiveFile={}", path.display()), "-Xshare:auto".into()]
        );
    }
}
