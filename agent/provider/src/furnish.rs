//! What a worker finds on its node: its directory with its files, and the node's own names in the places
//! that the plan left open.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Component, Path, PathBuf},
};

use kobel_conf::hadoop::find_jars;
use kobel_plan::{Launch, WorkerFile};

use crate::ProviderError;

/// What a node puts in the place of [`Launch`]'s placeholders.
#[derive(Debug, Clone)]
pub struct Node {
    worker_dir: String,
    log_dir: String,
    java_home: String,
    host: String,
    /// Where Hadoop's jars are on this node: variables like the user's, of the node's own values.
    hadoop: BTreeMap<&'static str, String>,
}

impl Node {
    /// This node, for a worker in these directories, by its environment.
    pub fn here(worker_dir: &Path, log_dir: &Path, env: impl Fn(&str) -> Option<String>) -> Self {
        let host = || rustix::system::uname().nodename().to_string_lossy().into_owned();
        let java_home = env("JAVA_HOME").filter(|home| !home.is_empty());
        let java_home = java_home.or_else(|| java_on(&env("PATH")?)).unwrap_or_default();
        // What YARN says of its applications stands for what a user would say by the first variable.
        let hadoop = [
            ("HADOOP_CLASSPATH", env(Launch::HADOOP_CLASSPATH).or_else(|| env("HADOOP_CLASSPATH"))),
            ("HADOOP_HOME", env("HADOOP_HOME")),
        ];
        Self {
            hadoop: hadoop.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
            worker_dir: worker_dir.to_string_lossy().into_owned(),
            log_dir: log_dir.to_string_lossy().into_owned(),
            java_home,
            host: env("NM_HOST").unwrap_or_else(host),
        }
    }

    /// Fills the placeholders in.
    pub fn fill(&self, text: &str) -> String {
        let behind = format!(":{}", Launch::HADOOP_JARS);
        if text.contains(&behind) {
            return self.fill(&text.replace(&behind, &self.hadoop_jars()));
        }
        text.replace(Launch::WORKER_DIR, &self.worker_dir)
            .replace(Launch::LOG_DIR, &self.log_dir)
            .replace(Launch::JAVA_HOME, &self.java_home)
            .replace(Launch::HOST, &self.host)
    }
}

impl Node {
    /// The home of its Java.
    pub fn java_home(&self) -> &Path {
        Path::new(&self.java_home)
    }

    /// The entries that [`Launch::HADOOP_JARS`] stands for.
    pub fn hadoop_class_path(&self) -> Vec<PathBuf> {
        find_jars(|name| self.hadoop.get(name).map(String::as_str)).entries
    }

    /// Each with a colon before it: without any, the class path ends before them.
    fn hadoop_jars(&self) -> String {
        self.hadoop_class_path().iter().map(|entry| format!(":{}", entry.display())).collect()
    }
}

/// The Java that the shell would run: `bin/java` is a link to it as a rule.
fn java_on(path: &str) -> Option<String> {
    let programs = std::env::split_paths(path).map(|dir| dir.join("java"));
    let real = programs.filter_map(|java| fs::canonicalize(java).ok()).next()?;
    let home: Option<PathBuf> = real.parent().and_then(Path::parent).map(Into::into);
    home?.to_str().map(Into::into)
}

/// Makes the worker's `tmp` and its files. In their contents the node's own names are put in.
pub(crate) fn furnish(dir: &Path, files: &[WorkerFile], node: &Node) -> Result<(), ProviderError> {
    // A NodeManager makes one in every container (`ContainerLaunch`).
    create_private_dir(&dir.join("tmp"), true)?;
    for WorkerFile { path, contents } in files {
        let inside = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
        if !inside || path.is_empty() {
            let outside = io::Error::other("not a path below the worker's directory");
            return Err(ProviderError::io("write file", path)(outside));
        }
        let path = dir.join(path);
        path.parent().map_or(Ok(()), |parent| create_private_dir(parent, true))?;
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&path);
        let written = file.and_then(|mut file| file.write_all(node.fill(contents).as_bytes()));
        written.map_err(ProviderError::io("write file", path.display()))?;
    }
    Ok(())
}

/// Creates a directory that is ours alone; with `parents`, it may exist and parents are made.
pub(crate) fn create_private_dir(dir: &Path, parents: bool) -> Result<(), ProviderError> {
    let created = DirBuilder::new().mode(0o700).recursive(parents).create(dir);
    created.map_err(ProviderError::io("create directory", dir.display()))
}
