//! What a process uses.

use std::{fs, time::Duration};

/// A process.
pub(super) struct Meter(u32);

impl Meter {
    pub(super) fn of(pid: u32) -> Self {
        Self(pid)
    }

    /// Its time on a processor, of all threads that live: `schedstat` counts nanoseconds.
    pub(super) fn cpu(&self) -> Duration {
        let threads = fs::read_dir(format!("/proc/{}/task", self.0)).unwrap().flatten();
        let nanos = threads.filter_map(|thread| {
            let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanos.sum())
    }

    /// Its resident memory in bytes.
    pub(super) fn rss(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most that was resident so far, in bytes.
    pub(super) fn peak_rss(&self) -> u64 {
        self.status("VmHWM:")
    }

    fn status(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() << 10
    }
}

pub(super) fn median(values: &[Duration]) -> Duration {
    let mut values = values.to_vec();
    values.sort();
    values[values.len() / 2]
}
