//! `.yarn-properties-USER`, the file by which `yarn-session.sh` tells `flink` of its session. Its name and
//! its keys are those of Flink's `FlinkYarnSessionCli`, so that Flink's own client finds the session too.

use std::{
    fmt::Write as _,
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Write as _},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use kobel_conf::flink::secret::is_secret;
use kobel_session::{Env, spec::Override};

/// The key of the application's id.
const APPLICATION: &str = "applicationID";
/// The key of the session's `-D`, joined by `@@`.
const DYNAMIC: &str = "dynamicPropertiesString";

/// Where the file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PropertiesFile(PathBuf);

impl PropertiesFile {
    /// The user's file in this directory, that of `yarn.properties-file.location`; without it, in Java's
    /// `java.io.tmpdir`, which is `/tmp` on every Linux.
    pub(super) fn of(location: Option<&str>, env: &Env) -> io::Result<Self> {
        let name = format!(".yarn-properties-{}", user(env)?);
        Ok(Self(Path::new(location.unwrap_or("/tmp")).join(name)))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Tells of a session. The file is readable by all, as Flink's is, so secrets are left out; it takes its
    /// place whole, so that a link that somebody laid there is replaced and not followed.
    pub(super) fn write(&self, application: &str, dynamic: &[Override]) -> io::Result<()> {
        let new = self.0.with_extension(format!("{}.new", std::process::id()));
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(&new)
            .and_then(|mut file| file.write_all(text(application, dynamic).as_bytes()))
            .and_then(|()| fs::rename(&new, &self.0));
        if written.is_err() {
            // Nothing more can be done about a file that was not even made.
            let _ = fs::remove_file(&new);
        }
        written
    }

    /// The session's application, if the file is there. One that another user laid there is not trusted.
    pub(super) fn application(&self) -> io::Result<Option<String>> {
        let meta = match fs::symlink_metadata(&self.0) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        if !meta.is_file() || meta.uid() != uid()? {
            return Err(io::Error::other("it is not a file of yours"));
        }
        let text = fs::read_to_string(&self.0)?;
        let value = |line: &str| {
            line.trim()
                .strip_prefix(APPLICATION)?
                .trim_start()
                .strip_prefix(['=', ':'])
                .map(str::trim)
                .map(String::from)
        };
        match text.lines().find_map(value) {
            Some(id) => Ok(Some(id)),
            None => Err(io::Error::other(format!("it has no {APPLICATION}"))),
        }
    }

    /// Takes the file away if it tells of this application.
    pub(super) fn forget(&self, application: &str) -> io::Result<()> {
        match self.application() {
            Ok(Some(id)) if id == application => fs::remove_file(&self.0),
            _ => Ok(()),
        }
    }
}

fn text(application: &str, dynamic: &[Override]) -> String {
    let shown = dynamic.iter().filter(|o| !is_secret(&o.key));
    let pairs: Vec<_> = shown.map(|o| format!("{}={}", o.key, o.value)).collect();
    format!(
        "#Generated YARN properties file\n{APPLICATION}={application}\n{DYNAMIC}={}\n",
        escape(&pairs.join("@@"))
    )
}

/// A value as `java.util.Properties` reads it.
fn escape(value: &str) -> String {
    let mut out = String::new();
    for (at, c) in value.char_indices() {
        match c {
            '\\' | '=' | ':' | '#' | '!' => out.extend(['\\', c]),
            ' ' if at == 0 => out.push_str("\\ "),
            ' '..='~' => out.push(c),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    // Writing to a string cannot fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out
}

/// Whoever owns this process.
fn uid() -> io::Result<u32> {
    Ok(fs::metadata("/proc/self")?.uid())
}

/// Java's `user.name`: that of the process, whatever Hadoop is told.
fn user(env: &Env) -> io::Result<String> {
    let uid = uid()?.to_string();
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let of_line = |line: &str| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number == uid).then(|| name.to_string())
    };
    // A directory service knows users that this file does not.
    let named = || ["USER", "LOGNAME"].into_iter().find_map(|name| env.get(name).map(String::from));
    users
        .lines()
        .find_map(of_line)
        .or_else(named)
        .ok_or_else(|| io::Error::other(format!("user {uid} has no name")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(dir: &Path) -> PropertiesFile {
        PropertiesFile::of(dir.to_str(), &Env::default()).unwrap()
    }

    #[test]
    fn what_is_written_is_found_again_and_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let file = file(dir.path());
        assert_eq!(file.application().unwrap(), None);
        let given: Vec<Override> =
            ["a.b=c d", "s3.secret-key=hunter2", "x=/é:"].iter().map(|t| t.parse().unwrap()).collect();
        file.write("application_1_0002", &given).unwrap();
        let text = fs::read_to_string(file.path()).unwrap();
        assert!(
            text.ends_with(
                "applicationID=application_1_0002\ndynamicPropertiesString=a.b\\=c d@@x\\=/\\u00e9\\:\n"
            ),
            "{text}"
        );
        assert_eq!(fs::metadata(file.path()).unwrap().mode() & 0o777, 0o644 & !umask());
        assert_eq!(file.application().unwrap().as_deref(), Some("application_1_0002"));
        file.forget("application_1_0003").unwrap();
        assert!(file.path().exists());
        file.forget("application_1_0002").unwrap();
        assert!(!file.path().exists());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    /// What this process takes from the modes of new files.
    fn umask() -> u32 {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("Umask:")).unwrap();
        u32::from_str_radix(line.trim(), 8).unwrap()
    }

    #[test]
    fn a_link_is_replaced_and_never_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (file, target) = (file(dir.path()), dir.path().join("target"));
        fs::write(&target, "applicationID=application_6_0006\n").unwrap();
        std::os::unix::fs::symlink(&target, file.path()).unwrap();
        assert!(file.application().unwrap_err().to_string().contains("not a file of yours"));
        file.write("application_1_0002", &[]).unwrap();
        assert_eq!(file.application().unwrap().as_deref(), Some("application_1_0002"));
        assert_eq!(fs::read_to_string(&target).unwrap(), "applicationID=application_6_0006\n");
    }

    #[test]
    fn flinks_own_file_is_read_and_a_broken_one_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = file(dir.path());
        fs::write(file.path(), "#Generated YARN properties file\n#Sat\ndynamicPropertiesString=\napplicationID = application_5_0001\n").unwrap();
        assert_eq!(file.application().unwrap().as_deref(), Some("application_5_0001"));
        fs::write(file.path(), "nothing").unwrap();
        assert!(file.application().unwrap_err().to_string().contains("no applicationID"));
    }
}
