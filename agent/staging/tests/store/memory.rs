//! A file system in memory with many users, whose every call can be made to fail.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use kobel_staging::{Attempt, Cause, Entry, FileSystem, FsError, Kind, Sink};

/// What happens to one call, or to all from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It does not arrive.
    Refused,
    /// It takes effect, and its reply is lost.
    ReplyLost,
    /// The caller is dead from here on.
    Dead,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<String, (Entry, Vec<u8>)>,
    clock: u64,
    calls: usize,
    fault: Option<(usize, Fault)>,
    fails_over: bool,
    /// What the fault met.
    met: Option<Attempt>,
}

/// One user's view of it.
#[derive(Debug, Clone)]
pub(crate) struct Memory {
    user: String,
    state: Arc<Mutex<State>>,
}

impl Memory {
    /// With `/` and `/user` of `hdfs`, and a home for each of these users.
    pub(crate) fn with_homes(users: &[&str]) -> Memory {
        let memory = Memory { user: "hdfs".into(), state: Arc::default() };
        memory.plant("/", "hdfs", 0o755, None);
        memory.plant("/user", "hdfs", 0o755, None);
        for user in users {
            memory.plant(&format!("/user/{user}"), user, 0o755, None);
        }
        memory
    }

    pub(crate) fn as_user(&self, user: &str) -> Arc<Memory> {
        Arc::new(Memory { user: user.into(), state: self.state.clone() })
    }

    /// Puts a file (or a directory, without a content) there as somebody.
    pub(crate) fn plant(&self, path: &str, owner: &str, mode: u32, content: Option<&[u8]>) {
        self.lock().put(path, owner, mode, content.map(<[u8]>::to_vec));
    }

    /// The fault meets the call of this number, counted from now.
    pub(crate) fn fail_at(&self, call: usize, fault: Fault) {
        let mut state = self.lock();
        (state.calls, state.fault) = (0, Some((call, fault)));
    }

    /// No more faults; says what the fault met, if it met anything.
    pub(crate) fn heal(&self) -> Option<Attempt> {
        let mut state = self.lock();
        state.fault = None;
        state.met
    }

    /// From now on it is as if there were a second server.
    pub(crate) fn fail_over(&self) {
        self.lock().fails_over = true;
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, time: Duration) {
        self.lock().clock += time.as_millis() as u64;
    }

    pub(crate) fn now(&self) -> u64 {
        self.lock().clock
    }

    pub(crate) fn content(&self, path: &str) -> Option<Vec<u8>> {
        self.lock().files.get(path).map(|(_, content)| content.clone())
    }

    /// All paths below this one.
    pub(crate) fn below(&self, path: &str) -> Vec<String> {
        let prefix = format!("{path}/");
        self.lock().files.keys().filter(|path| path.starts_with(&prefix)).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no poison")
    }

    async fn call<T>(
        &self,
        attempt: Attempt,
        path: &str,
        effect: impl FnOnce(&mut State) -> Result<T, Cause>,
    ) -> Result<T, FsError> {
        // Whatever runs beside may come between any two calls.
        tokio::task::yield_now().await;
        let mut state = self.lock();
        state.clock += 1;
        let now = state.calls;
        state.calls += 1;
        if state.fault.is_some_and(|(at, _)| at == now) {
            state.met = Some(attempt);
        }
        let result = match state.fault {
            Some((at, Fault::Refused)) if at == now => Err(Cause::Unreachable("refused".into())),
            Some((at, Fault::Dead)) if at <= now => Err(Cause::Unreachable("dead".into())),
            Some((at, Fault::ReplyLost)) if at == now => {
                effect(&mut state).and(Err(Cause::TimedOut(Duration::from_secs(1))))
            }
            _ => effect(&mut state),
        };
        result.map_err(|cause| FsError { attempt, url: self.url(path), cause })
    }
}

impl State {
    fn put(&mut self, path: &str, owner: &str, mode: u32, content: Option<Vec<u8>>) {
        let kind = if content.is_some() { Kind::File } else { Kind::Directory };
        let content = content.unwrap_or_default();
        let (size, mtime) = (content.len() as u64, self.clock);
        let entry = Entry { path: path.into(), kind, size, mtime, owner: owner.into(), mode };
        self.files.insert(path.into(), (entry, content));
    }

    fn parent_is_there(&self, path: &str) -> Result<(), Cause> {
        let (parent, _) = path.rsplit_once('/').expect("an absolute path");
        let parent = if parent.is_empty() { "/" } else { parent };
        if self.files.contains_key(parent) { Ok(()) } else { Err(Cause::Absent) }
    }
}

#[async_trait]
impl FileSystem for Memory {
    fn user(&self) -> &str {
        &self.user
    }

    fn fails_over(&self) -> bool {
        self.lock().fails_over
    }

    fn url(&self, path: &str) -> String {
        format!("memory:{path}")
    }

    async fn look(&self, path: &str) -> Result<Option<Entry>, FsError> {
        self.call(Attempt::Look, path, |state| Ok(state.files.get(path).map(|(entry, _)| entry.clone())))
            .await
    }

    async fn list(&self, dir: &str) -> Result<Vec<Entry>, FsError> {
        self.call(Attempt::List, dir, |state| {
            let child = |path: &str| path.rsplit_once('/').is_some_and(|(parent, _)| parent == dir);
            let found = state.files.values().filter(|(entry, _)| child(&entry.path));
            Ok(found.map(|(entry, _)| entry.clone()).collect())
        })
        .await
    }

    async fn make_dir(&self, path: &str, mode: u32) -> Result<(), FsError> {
        self.call(Attempt::MakeDir, path, |state| {
            state.parent_is_there(path)?;
            if !state.files.contains_key(path) {
                state.put(path, &self.user, mode, None);
            }
            Ok(())
        })
        .await
    }

    async fn create(&self, path: &str, mode: u32) -> Result<Box<dyn Sink>, FsError> {
        self.call(Attempt::Create, path, |state| {
            state.parent_is_there(path)?;
            if state.files.contains_key(path) {
                return Err(Cause::Exists);
            }
            state.put(path, &self.user, mode, Some(Vec::new()));
            Ok(())
        })
        .await?;
        Ok(Box::new(Writing { memory: self.clone(), path: path.into() }))
    }

    async fn read(&self, path: &str, _limit: u64) -> Result<Vec<u8>, FsError> {
        self.call(Attempt::Read, path, |state| {
            state.files.get(path).map(|(_, content)| content.clone()).ok_or(Cause::Absent)
        })
        .await
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), FsError> {
        self.call(Attempt::Rename, from, |state| {
            if state.files.contains_key(to) {
                return Err(Cause::Exists);
            }
            let (mut entry, content) = state.files.remove(from).ok_or(Cause::Absent)?;
            entry.path = to.into();
            state.files.insert(to.into(), (entry, content));
            Ok(())
        })
        .await
    }

    async fn remove(&self, path: &str) -> Result<(), FsError> {
        self.call(Attempt::Remove, path, |state| {
            let inside = format!("{path}/");
            state.files.retain(|name, _| name != path && !name.starts_with(&inside));
            Ok(())
        })
        .await
    }
}

struct Writing {
    memory: Memory,
    path: String,
}

#[async_trait]
impl Sink for Writing {
    async fn write(&mut self, piece: Bytes) -> Result<(), FsError> {
        self.memory
            .call(Attempt::Write, &self.path, |state| {
                let (entry, content) = state.files.get_mut(&self.path).ok_or(Cause::Absent)?;
                content.extend_from_slice(&piece);
                entry.size = content.len() as u64;
                Ok(())
            })
            .await
    }

    async fn close(self: Box<Self>) -> Result<(), FsError> {
        self.memory.call(Attempt::Close, &self.path, |_| Ok(())).await
    }
}
