//! Starts a worker's process: its directory, its files, its log files, the spawn, the record.
//!
//! A crash between the spawn and the record leaves a process that no record knows. It is found by its
//! environment: the marker is there from its first instruction on, and the agent's lock file is not
//! free before that instruction, since the child has it open as its standard input until the exec.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
    path::Path,
    process::{Child, Command, Stdio},
};

use kobel_plan::{Launch, WorkerSpec};
use tracing::{info, warn};

use super::{Surroundings, places::Places, process::Process, record::Record};
use crate::{
    ProviderError,
    furnish::{Node, create_private_dir, furnish},
    leash,
};

/// Starts it, or leaves nothing behind but log files. Blocks on the disk.
pub(super) fn launch(places: &Places, spec: &WorkerSpec) -> Result<Process, ProviderError> {
    let name = spec.name();
    let dir = places.worker(&name);
    // A directory that exists may be in use, so it is neither entered nor removed.
    create_private_dir(&dir, false)?;
    let node = places.node(&name);
    let started = furnish(&dir, &spec.files, &node).and_then(|()| spawn(places, spec, &dir, &node));
    match &started {
        Ok(process) => record(spec, process, &dir),
        Err(_) => remove_worker_dir(&dir),
    }
    started
}

/// Removes a worker's directory, with everything that its process left there.
pub(super) fn remove_worker_dir(dir: &Path) {
    match fs::remove_dir_all(dir) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => warn!(dir = %dir.display(), %error, "could not remove a worker's directory"),
    }
}

fn spawn(places: &Places, spec: &WorkerSpec, dir: &Path, node: &Node) -> Result<Process, ProviderError> {
    let Launch { program, args, env } = &spec.launch;
    let (name, program) = (spec.name(), node.fill(program));
    let failed = || ProviderError::io("start", &program);
    if !Path::new(&program).is_absolute() {
        return Err(failed()(io::Error::other("not an absolute path")));
    }
    let args: Vec<String> = args.iter().map(|arg| node.fill(arg)).collect();
    let mut command = match places.surroundings() {
        Surroundings::Machine => {
            let mut command = Command::new(&program);
            command.args(args).current_dir(dir).process_group(0);
            command
        }
        Surroundings::Container { dir, leash } => {
            let mut command = Command::new(leash);
            command.args(leash::ARGS).arg(std::process::id().to_string()).arg(&program).args(args);
            command.current_dir(dir);
            command
        }
    };
    command
        .env_clear()
        .envs(env.iter().map(|(key, value)| (key, node.fill(value))))
        .env(Launch::MARKER, places.marker(&name))
        .stdin(Stdio::null())
        .stdout(open_log(&places.output(&name, "out"))?)
        .stderr(open_log(&places.output(&name, "err"))?);
    let mut child = command.spawn().map_err(failed())?;
    Process::of_child(&child).map_err(|error| {
        end(&mut child);
        failed()(error)
    })
}

/// Output outlives the agent: it goes to files, never into a pipe that dies with us.
fn open_log(path: &Path) -> Result<File, ProviderError> {
    let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    opened.map_err(ProviderError::io("open log file", path.display()))
}

/// Takes back a child that we cannot watch. Nobody waited for it yet, so its number is its own.
fn end(child: &mut Child) {
    if let Err(error) = child.kill().and_then(|()| child.wait()) {
        warn!(pid = child.id(), %error, "could not end a process that cannot be watched");
    }
}

/// Without its record a worker is still found by its marker, so a full disk does not end it.
fn record(spec: &WorkerSpec, process: &Process, dir: &Path) {
    let record = Record { id: spec.id, attempt: spec.attempt, process: process.identity().clone() };
    info!(worker = %spec.name(), pid = record.process.pid, program = spec.launch.program, "started");
    if let Err(error) = record.write(dir) {
        warn!(worker = %spec.name(), %error, "could not record a worker's process");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use kobel_plan::{Attempt, Resources, WorkerFile, WorkerId};

    use super::*;

    fn spec(program: &str, file: &str) -> WorkerSpec {
        WorkerSpec {
            id: WorkerId::tm(0),
            attempt: Attempt::FIRST,
            resources: Resources { memory_bytes: 0, vcores: 1 },
            launch: Launch { program: program.into(), args: vec![], env: BTreeMap::new() },
            files: vec![WorkerFile { path: file.into(), contents: String::new() }],
            deputy: None,
        }
    }

    #[tokio::test]
    async fn files_outside_of_the_directory_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let places = Places::new(dir.path(), dir.path(), "/x".into(), Surroundings::Machine).unwrap();
        for bad in ["", "/etc/x", "../x", "a/../../x", "a/./../x", "./x", "tmp"] {
            assert!(launch(&places, &spec("/bin/true", bad)).is_err(), "{bad:?}");
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "{bad:?} left something");
        }
    }

    #[tokio::test]
    async fn a_directory_in_use_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let places = Places::new(dir.path(), dir.path(), "/x".into(), Surroundings::Machine).unwrap();
        fs::create_dir(dir.path().join("tm-0.1")).unwrap();
        assert!(launch(&places, &spec("/bin/true", "conf/x")).is_err());
        assert!(dir.path().join("tm-0.1").exists());
    }
}
