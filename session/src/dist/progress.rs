//! How a long installation tells where it is, and how its blocking parts are run.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use super::DistError;

/// Hears how an installation goes. A command line draws a bar; `()` hears nothing.
pub trait Progress: Send + Sync {
    /// Something begins: "downloading …", "unpacking …". It has no size until [`Progress::started`].
    fn phase(&self, text: &str);
    /// The present phase has so many bytes, if that is known, of which 0 are done. Called again when
    /// it begins anew.
    fn started(&self, total: Option<u64>);
    /// So many bytes more are done.
    fn advanced(&self, bytes: u64);
    /// Something that a person should know, as one line.
    fn note(&self, text: &str);
}

impl Progress for () {
    fn phase(&self, _: &str) {}
    fn started(&self, _: Option<u64>) {}
    fn advanced(&self, _: u64) {}
    fn note(&self, _: &str) {}
}

/// The far end of [`blocking`]: counts bytes, and says when nobody waits any more.
#[derive(Default)]
pub(super) struct Work {
    bytes: AtomicU64,
    stopped: AtomicBool,
}

impl Work {
    /// Counts bytes as done; an error when the work is no longer wanted.
    pub(super) fn done(&self, bytes: u64) -> io::Result<()> {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        match self.stopped.load(Ordering::Relaxed) {
            true => Err(io::Error::other("stopped")),
            false => Ok(()),
        }
    }
}

/// Stops the work when the future that waits for it is dropped: a runtime that ends would otherwise
/// wait for its blocking threads.
struct StopOnDrop(Arc<Work>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stopped.store(true, Ordering::Relaxed);
    }
}

/// Runs blocking work on a thread of its own and passes its byte count on, ten times a second.
pub(super) async fn blocking<T: Send + 'static>(
    progress: &dyn Progress,
    task: impl FnOnce(&Work) -> Result<T, DistError> + Send + 'static,
) -> Result<T, DistError> {
    let guard = StopOnDrop(Arc::default());
    let work = guard.0.clone();
    let mut handle = tokio::task::spawn_blocking(move || task(&work));
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    let tell = || match guard.0.bytes.swap(0, Ordering::Relaxed) {
        0 => {}
        bytes => progress.advanced(bytes),
    };
    loop {
        tokio::select! {
            joined = &mut handle => {
                tell();
                return joined.unwrap_or_else(|e| match e.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(cancelled) => Err(DistError::io("finish work in", ".")(io::Error::other(cancelled))),
                });
            }
            _ = tick.tick() => tell(),
        }
    }
}

/// A reader whose bytes count as work done.
pub(super) struct Counted<'a, R> {
    pub(super) inner: R,
    pub(super) work: &'a Work,
}

impl<R: io::Read> io::Read for Counted<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.work.done(n as u64)?;
        Ok(n)
    }
}
