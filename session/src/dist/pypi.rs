//! Flink from the Python package index, by way of pip: what pip is configured to use is used, and pip
//! checks what it downloads.
//!
//! Two packages make a whole home: `apache-flink-libraries` (`lib`, `opt`, `plugins`, `licenses`), a
//! source archive for Flink 1 (below `deps`) and a wheel for Flink 2 (below `pyflink`); and the
//! `apache-flink` wheel (`bin`, `conf`), which is built per Python version and platform, although
//! those two directories are the same in all of them.

use std::{
    fs,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use kobel_plan::FlinkVersion;
use reqwest::Url;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

use super::{DistError, Progress, Wish, home, version};

/// Python versions whose wheels are looked for, in this order: Flink 1.19 and later have the first,
/// 1.18 and earlier the second, and some later one will have only the third. The Python that runs
/// pip may be any.
const WHEELS_FOR: [&str; 3] = ["3.11", "3.10", "3.12"];
/// The platform of those wheels; Flink's scripts and configuration are the same on all.
const PLATFORMS: [&str; 2] = ["manylinux2014_x86_64", "manylinux1_x86_64"];

/// pip, with the directory it works in.
pub(super) struct Pip<'a> {
    /// A private directory of our own; pip's temporary files go there too, as `/tmp` may be small.
    pub(super) scratch: &'a Path,
    /// The index to use in place of pip's own.
    pub(super) index: Option<&'a Url>,
    pub(super) progress: &'a dyn Progress,
}

impl Pip<'_> {
    /// Downloads the wheel with Flink's scripts and configuration: small, so it also answers which
    /// patch is the newest.
    pub(super) async fn scripts(&self, wish: &Wish) -> Result<(PathBuf, FlinkVersion), DistError> {
        let requirement = match wish {
            Wish::Newest { .. } => format!("apache-flink=={wish}.*"),
            Wish::Exact(_) => format!("apache-flink=={wish}"),
        };
        let mut result = Err(no_such(wish));
        for python in WHEELS_FOR {
            result = self.download(wish, &requirement, &["--only-binary=:all:"], python).await;
            if !matches!(result, Err(DistError::NoSuchRelease { .. })) {
                break;
            }
        }
        let file = result?;
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let version = name.split('-').nth(1).and_then(version::exact).filter(|v| wish.is_met_by(v));
        version.map(|v| (file, v)).ok_or_else(|| no_such(wish))
    }

    /// Downloads Flink's jars.
    pub(super) async fn libraries(&self, version: &FlinkVersion) -> Result<PathBuf, DistError> {
        let requirement = format!("apache-flink-libraries=={version}");
        self.download(&Wish::Exact(version.clone()), &requirement, &[], WHEELS_FOR[0]).await
    }

    async fn download(
        &self,
        wish: &Wish,
        requirement: &str,
        options: &[&str],
        python: &str,
    ) -> Result<PathBuf, DistError> {
        let io = |action| DistError::io(action, self.scratch);
        let package = requirement.split('=').next().unwrap_or(requirement);
        let (out, tmp) = (self.scratch.join(package), self.scratch.join("tmp"));
        fs::create_dir_all(&tmp).map_err(io("create directories in"))?;
        let requirements = self.write_requirements(requirement).map_err(io("write requirements to"))?;
        let errors = self.scratch.join("pip.err");
        let stderr = fs::File::create(&errors).map_err(io("write pip's messages to"))?;
        let mut command = Command::new("python3");
        command.args(["-m", "pip", "download", "--no-deps", "--no-input", "--progress-bar", "off"]);
        command.args(["--implementation", "cp", "--python-version", python]);
        command.args(PLATFORMS.iter().flat_map(|p| ["--platform", p])).args(options);
        command.arg("--dest").arg(&out).arg("--requirement").arg(&requirements);
        command.env("TMPDIR", &tmp).env("PYTHONUNBUFFERED", "1").env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).kill_on_drop(true);
        self.progress.phase(&format!("asking pip for {requirement}"));
        let status = self.watch(command, &tmp).await?;
        if !status.success() {
            let text = fs::read_to_string(&errors).unwrap_or_default();
            return Err(explain(wish, requirement, &text));
        }
        match home::names(&out).as_slice() {
            [one] => Ok(out.join(one)),
            found => Err(DistError::Pip { requirement: requirement.into(), tail: found.join("\n") }),
        }
    }

    /// The requirement and the index go in a file: an index's address may hold a password.
    fn write_requirements(&self, requirement: &str) -> std::io::Result<PathBuf> {
        let path = self.scratch.join("requirements.txt");
        let index = self.index.map(|url| format!("--index-url {url}\n")).unwrap_or_default();
        let mut file = fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        std::io::Write::write_all(&mut file, format!("{index}{requirement}\n").as_bytes())?;
        Ok(path)
    }

    /// Runs pip, telling what it does and how far its download has come.
    async fn watch(&self, mut command: Command, tmp: &Path) -> Result<ExitStatus, DistError> {
        let mut child = command.spawn().map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => DistError::NoPip { what: "python3" },
            _ => DistError::io("run", "python3")(e),
        })?;
        let mut growing: Option<Growing> = None;
        if let Some(stdout) = child.stdout.take() {
            let mut lines = BufReader::new(stdout).lines();
            let mut tick = tokio::time::interval(Duration::from_millis(200));
            loop {
                tokio::select! {
                    line = lines.next_line() => match line {
                        Ok(Some(line)) => match said(&line) {
                            Said::Downloads { name, bytes } => {
                                self.progress.phase(&format!("downloading {name}"));
                                self.progress.started(Some(bytes));
                                growing = Some(Growing { name, total: bytes, told: 0 });
                            }
                            Said::Prepares => self.progress.phase("pip is looking at what it downloaded"),
                            Said::Else => {}
                        },
                        _ => break,
                    },
                    _ = tick.tick() => if let Some(growing) = &mut growing {
                        self.progress.advanced(growing.more(tmp));
                    },
                }
            }
        }
        child.wait().await.map_err(DistError::io("wait for", "python3"))
    }
}

/// What a line of pip's output tells.
#[derive(Debug, PartialEq)]
enum Said {
    Downloads { name: String, bytes: u64 },
    Prepares,
    Else,
}

/// Reads `Downloading NAME (232.0 MB)`, with pip's decimal units.
fn said(line: &str) -> Said {
    let line = line.trim();
    if line.starts_with("Installing build dependencies") && line.ends_with("started") {
        return Said::Prepares;
    }
    let download = || {
        let (what, size) = line.strip_prefix("Downloading ")?.strip_suffix(')')?.rsplit_once(" (")?;
        let (number, unit) = size.split_once(' ')?;
        let scale = match unit {
            "bytes" => 1.0,
            "kB" => 1e3,
            "MB" => 1e6,
            "GB" => 1e9,
            _ => return None,
        };
        let bytes = number.parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0)? * scale;
        Some(Said::Downloads { name: what.rsplit('/').next()?.to_string(), bytes: bytes as u64 })
    };
    download().unwrap_or(Said::Else)
}

/// A file that pip is writing somewhere below its temporary directory.
struct Growing {
    name: String,
    total: u64,
    told: u64,
}

impl Growing {
    /// How many bytes have come since the last time.
    fn more(&mut self, tmp: &Path) -> u64 {
        let dirs = home::names(tmp);
        let sizes = dirs.iter().filter_map(|d| fs::metadata(tmp.join(d).join(&self.name)).ok());
        let size = sizes.map(|m| m.len()).max().unwrap_or(0).min(self.total);
        let more = size.saturating_sub(self.told);
        self.told += more;
        more
    }
}

fn no_such(wish: &Wish) -> DistError {
    DistError::NoSuchRelease { wish: wish.clone(), looked: vec!["the Python package index".into()] }
}

/// What pip's messages mean. It says "No matching distribution" also when it could not connect, but
/// then after warnings about retries.
fn explain(wish: &Wish, requirement: &str, stderr: &str) -> DistError {
    if stderr.contains("No module named pip") {
        return DistError::NoPip { what: "pip (python3 -m pip)" };
    }
    if stderr.contains("No matching distribution found") && !stderr.contains("Retrying (") {
        return no_such(wish);
    }
    let mut tail: Vec<_> = stderr.lines().filter(|l| !l.trim().is_empty()).rev().take(10).collect();
    tail.reverse();
    DistError::Pip { requirement: requirement.into(), tail: tail.join("\n") }
}

/// Puts a home together from the two unpacked packages, by renaming.
pub(super) fn assemble(libraries: &Path, scripts: &Path, home: &Path) -> Result<(), DistError> {
    let top = home::locate(libraries);
    let deps = if top.join("deps").is_dir() { top.join("deps") } else { libraries.join("pyflink") };
    fs::create_dir_all(home.join("log")).map_err(DistError::io("create", home))?;
    for part in ["lib", "opt", "plugins", "licenses", "bin"] {
        merge(&deps.join(part), &home.join(part))?;
    }
    for part in ["bin", "conf", "README.txt"] {
        merge(&scripts.join("pyflink").join(part), &home.join(part))?;
    }
    let packed = home::names(libraries).into_iter().find(|n| n.ends_with(".dist-info"));
    let legal = packed.map_or(top, |info| libraries.join(info).join("licenses"));
    for part in ["LICENSE", "NOTICE"] {
        merge(&legal.join(part), &home.join(part))?;
    }
    Ok(())
}

/// Moves a file, or what is in a directory; nothing if it is not there.
fn merge(from: &Path, to: &Path) -> Result<(), DistError> {
    if !from.is_dir() || !to.is_dir() {
        return super::lock::gone(fs::rename(from, to)).map_err(DistError::io("move", from));
    }
    home::names(from).iter().try_for_each(|name| merge(&from.join(name), &to.join(name)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pips_lines_are_understood() {
        let line = "  Downloading https://x/y/apache_flink_libraries-1.20.5.tar.gz (232.0 MB)";
        let name = "apache_flink_libraries-1.20.5.tar.gz".to_string();
        assert_eq!(said(line), Said::Downloads { name, bytes: 232_000_000 });
        assert_eq!(said("  Installing build dependencies: started"), Said::Prepares);
        for other in ["Downloading x", "Downloading x (y MB)", "Downloading x (1 QB)", "Collecting x", ""] {
            assert_eq!(said(other), Said::Else);
        }
    }

    #[test]
    fn a_missing_release_differs_from_a_missing_network() {
        let wish: Wish = "1.20.99".parse().unwrap();
        let absent = "ERROR: No matching distribution found for apache-flink==1.20.99";
        assert!(matches!(explain(&wish, "r", absent), DistError::NoSuchRelease { .. }));
        let cut = format!("WARNING: Retrying (Retry(total=4)) after connection broken\n{absent}");
        assert!(matches!(explain(&wish, "r", &cut), DistError::Pip { .. }));
        let none = "/usr/bin/python3: No module named pip";
        assert!(matches!(explain(&wish, "r", none), DistError::NoPip { .. }));
    }

    #[test]
    fn both_shapes_of_the_libraries_make_a_home() {
        let source = ("apache_flink_libraries-1.20.5/deps", "apache_flink_libraries-1.20.5");
        let wheel = ("pyflink", "apache_flink_libraries-1.20.5.dist-info/licenses");
        for (deps, legal) in [source, wheel] {
            let dir = tempfile::tempdir().unwrap();
            let (libraries, scripts, home) =
                (dir.path().join("l"), dir.path().join("s"), dir.path().join("h"));
            let files = [
                libraries.join(deps).join("lib/flink-dist-1.20.5.jar"),
                libraries.join(deps).join("bin/bash-java-utils.jar"),
                libraries.join(legal).join("NOTICE"),
                scripts.join("pyflink/bin/flink"),
                scripts.join("pyflink/conf/config.yaml"),
                scripts.join("pyflink/java_gateway.py"),
            ];
            for file in files {
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, "x").unwrap();
            }
            assemble(&libraries, &scripts, &home).unwrap();
            assert_eq!(home::version_of(&home, &"it").unwrap().to_string(), "1.20.5");
            assert_eq!(home::names(&home.join("bin")), ["bash-java-utils.jar", "flink"]);
            assert!(home.join("conf/config.yaml").is_file() && home.join("NOTICE").is_file());
            assert!(!home.join("java_gateway.py").exists());
        }
    }

    proptest! {
        #[test]
        fn any_line_is_read_without_panic(line in "(Downloading |\\(|\\)| |MB|9|\\PC)*") {
            let _ = said(&line);
        }
    }
}
