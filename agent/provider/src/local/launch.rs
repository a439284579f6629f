//! Starts a worker's process: its directory, its files, its log files, the spawn, the record.
//!
//! A crash between the spawn and the record leaves a process that no record knows. It is found by its
//! environment: the marker is there from its first instruction on, and the agent's lock file is not
//! free before that instruction, since the child has it open as its standard input until the exec.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::{
        fs::{DirBuilderExt, OpenOptionsExt},
        process::CommandExt,
    },
    path::{Component, Path},
    process::{Child, Command, Stdio},
};

use kobel_plan::{Launch, WorkerFile, WorkerSpec};
use tracing::{info, warn};

use super::{places::Places, process::Process, record::Record};
use crate::ProviderError;

/// Starts it, or leaves nothing behind but log files. Blocks on the disk.
pub(super) fn launch(places: &Places, spec: &WorkerSpec) -> Result<Process, ProviderError> {
    let name = spec.name();
    let dir = places.worker(&name);
    // A directory that exists may be in use, so it is neither entered nor removed.
    create_private_dir(&dir, false)?;
    let started = furnish(places, spec, &dir).and_then(|()| spawn(places, spec, &dir));
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

/// Creates a directory that is ours alone; with `parents`, it may exist and parents are made.
pub(super) fn create_private_dir(dir: &Path, parents: bool) -> Result<(), ProviderError> {
    let created = DirBuilder::new().mode(0o700).recursive(parents).create(dir);
    created.map_err(ProviderError::io("create directory", dir.display()))
}

fn furnish(places: &Places, spec: &WorkerSpec, dir: &Path) -> Result<(), ProviderError> {
    create_private_dir(&dir.join("tmp"), false)?;
    for WorkerFile { path, contents } in &spec.files {
        let inside = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
        if !inside || path.is_empty() {
            let outside = io::Error::other("not a path below the worker's directory");
            return Err(ProviderError::io("write file", path)(outside));
        }
        let path = dir.join(path);
        path.parent().map_or(Ok(()), |parent| create_private_dir(parent, true))?;
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&path);
        let written =
            file.and_then(|mut file| file.write_all(places.expand(&spec.name(), contents).as_bytes()));
        written.map_err(ProviderError::io("write file", path.display()))?;
    }
    Ok(())
}

fn spawn(places: &Places, spec: &WorkerSpec, dir: &Path) -> Result<Process, ProviderError> {
    let WorkerSpec { id: _, attempt: _, resources: _, launch, files: _ } = spec;
    let Launch { program, args, env } = launch;
    let (name, failed) = (spec.name(), || ProviderError::io("start", program));
    if !Path::new(program).is_absolute() {
        return Err(failed()(io::Error::other("not an absolute path")));
    }
    let mut command = Command::new(program);
    command
        .args(args.iter().map(|arg| places.expand(&name, arg)))
        .env_clear()
        .envs(env.iter().map(|(key, value)| (key, places.expand(&name, value))))
        .env(Launch::MARKER, places.marker(&name))
        .current_dir(dir)
        .process_group(0)
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

    use kobel_plan::{Attempt, Resources, WorkerId};

    use super::*;

    fn spec(program: &str, file: &str) -> WorkerSpec {
        WorkerSpec {
            id: WorkerId::tm(0),
            attempt: Attempt::FIRST,
            resources: Resources { memory_bytes: 0, vcores: 1 },
            launch: Launch { program: program.into(), args: vec![], env: BTreeMap::new() },
            files: vec![WorkerFile { path: file.into(), contents: String::new() }],
        }
    }

    #[tokio::test]
    async fn files_outside_of_the_directory_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let places = Places::new(dir.path(), dir.path(), "/x".into()).unwrap();
        for bad in ["", "/etc/x", "../x", "a/../../x", "a/./../x", "./x", "tmp"] {
            assert!(launch(&places, &spec("/bin/true", bad)).is_err(), "{bad:?}");
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "{bad:?} left something");
        }
    }

    #[tokio::test]
    async fn a_directory_in_use_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let places = Places::new(dir.path(), dir.path(), "/x".into()).unwrap();
        fs::create_dir(dir.path().join("tm-0.1")).unwrap();
        assert!(launch(&places, &spec("/bin/true", "conf/x")).is_err());
        assert!(dir.path().join("tm-0.1").exists());
    }
}
