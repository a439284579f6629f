//! Running a command to its end, with everything needed to tell what happened.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Longer than any command of the tests takes on a loaded machine: past it, it hangs.
const HANG: Duration = Duration::from_secs(180);

/// A command that ran to its end.
#[derive(Debug)]
pub struct Done {
    /// What was run.
    pub line: String,
    /// Its exit code; 128 + the signal when one ended it, as a shell says.
    pub code: i32,
    /// What it wrote on stdout.
    pub stdout: String,
    /// What it wrote on stderr.
    pub stderr: String,
    /// How long it took.
    pub took: Duration,
}

impl Done {
    /// Fails unless the exit code is this one.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert!(
            self.code == code,
            "{}\nexited with {} instead of {code}\n--- stdout\n{}\n--- stderr\n{}",
            self.line,
            self.code,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Fails unless it exited with 0.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.expect(0)
    }

    /// Its stdout as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| {
            panic!("{}\nprinted no JSON: {e}\n{}\n{}", self.line, self.stdout, self.stderr)
        })
    }
}

/// A command under way, its output going to files so that no pipe can fill.
pub struct Running {
    child: Child,
    line: String,
    stdout: PathBuf,
    stderr: PathBuf,
    since: Instant,
}

impl Running {
    pub(crate) fn spawn(mut command: Command, output_stem: PathBuf) -> Running {
        let line = format!("{command:?}");
        let stdout = output_stem.with_extension("stdout");
        let stderr = output_stem.with_extension("stderr");
        let child = command
            .stdin(Stdio::null())
            .stdout(File::create(&stdout).expect("a file for stdout"))
            .stderr(File::create(&stderr).expect("a file for stderr"))
            .spawn()
            .unwrap_or_else(|e| panic!("{line}: {e}"));
        Running { child, line, stdout, stderr, since: Instant::now() }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote on stdout so far.
    pub fn stdout(&self) -> String {
        read(&self.stdout)
    }

    /// What it wrote on stderr so far.
    pub fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// Sends it a signal by name: `INT`, `TERM`, `KILL`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status();
        assert!(status.expect("kill").success(), "kill -{name} {}", self.line);
    }

    /// Waits for its end, which must come within three minutes.
    pub fn wait(mut self) -> Done {
        use std::os::unix::process::ExitStatusExt;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("wait") {
                break status;
            }
            if self.since.elapsed() > HANG {
                let _ = self.child.kill();
                let _ = self.child.wait();
                panic!("{}\nhangs\n--- stdout\n{}\n--- stderr\n{}", self.line, self.stdout(), self.stderr());
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
        Done {
            code,
            stdout: self.stdout(),
            stderr: self.stderr(),
            took: self.since.elapsed(),
            line: std::mem::take(&mut self.line),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn read(path: &PathBuf) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}
