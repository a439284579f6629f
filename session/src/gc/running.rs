//! Which processes of this user there are, as far as they could use what lies around.

use std::{
    fs, io,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use super::{GcError, look};

/// The processes of this user at one moment, this one left out.
#[derive(Debug)]
pub(super) struct Running(Vec<Process>);

#[derive(Debug)]
struct Process {
    /// Its working directory; a worker's is its own.
    cwd: Option<PathBuf>,
    /// Its arguments, each with a zero at its end.
    command: Vec<u8>,
}

impl Running {
    pub(super) fn look() -> Result<Self, GcError> {
        let proc = Path::new("/proc");
        let me = (rustix::process::geteuid().as_raw(), std::process::id().to_string());
        let mut found = Vec::new();
        for entry in fs::read_dir(proc).map_err(look(proc))?.flatten() {
            let pid = entry.file_name();
            let is_ours = entry.metadata().is_ok_and(|found| found.uid() == me.0);
            let is_process = pid.as_bytes().iter().all(u8::is_ascii_digit);
            if is_process && is_ours && pid.as_bytes() != me.1.as_bytes() {
                found.extend(Process::read(&entry.path()).map_err(look(&entry.path()))?);
            }
        }
        Ok(Self(found))
    }

    /// Whether a process works below this directory, or was told of something in it.
    pub(super) fn uses(&self, dir: &Path) -> bool {
        let mut below = dir.as_os_str().as_bytes().to_vec();
        below.push(b'/');
        let mentions = |command: &[u8]| command.windows(below.len()).any(|part| part == below);
        self.0.iter().any(|process| {
            process.cwd.as_ref().is_some_and(|cwd| cwd.starts_with(dir)) || mentions(&process.command)
        })
    }
}

impl Process {
    /// What is to be known of a process; nothing of one that is gone or going.
    fn read(dir: &Path) -> io::Result<Option<Self>> {
        match fs::read(dir.join("cmdline")) {
            Ok(command) => Ok(Some(Self { cwd: fs::read_link(dir.join("cwd")).ok(), command })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            // No such process (ESRCH): it went while it was looked at.
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        process::{Child, Command, Stdio},
        time::{Duration, Instant},
    };

    use super::*;

    struct Sleeper(Child);

    impl Drop for Sleeper {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn who_works_below_a_directory_or_was_told_of_it_uses_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().canonicalize().unwrap().join(name);
        for name in ["cwd/tmp", "told", "told2"] {
            fs::create_dir_all(path(name)).unwrap();
        }
        let uses = |name| Running::look().unwrap().uses(&path(name));
        assert!(!uses("cwd") && !uses("told"));
        let mut command = Command::new("sleep");
        let _worker = Sleeper(command.arg("60").current_dir(path("cwd/tmp")).spawn().unwrap());
        let mut command = Command::new("sh");
        command.args(["-c", "read wait", &format!("-Darchive={}", path("told/a.jsa").display())]);
        let _told = Sleeper(command.stdin(Stdio::piped()).current_dir("/").spawn().unwrap());
        // Just after its start a process has no arguments yet: Linux writes them after it has told us of the start.
        let deadline = Instant::now() + Duration::from_secs(30);
        while !(uses("cwd") && uses("told")) {
            assert!(Instant::now() < deadline, "{:?}", Running::look());
        }
        assert!(!uses("told2") && !uses("tol"), "a name that only begins alike is another's");
    }
}
