//! What is under way, on stderr.

use std::{
    io::Write,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

/// A spinner or a bar on a terminal; elsewhere each step is a line, told once.
#[derive(Debug)]
pub(crate) struct Progress {
    shown: Shown,
    last: Mutex<String>,
}

#[derive(Debug)]
enum Shown {
    Nothing,
    Lines,
    Terminal(ProgressBar),
}

/// Redraws fast enough to look alive, slow enough to cost nothing.
const TICK: Duration = Duration::from_millis(120);

const SPINNER: &str = "{spinner} {wide_msg}";

impl Progress {
    pub(super) fn new(quiet: bool, terminal: bool) -> Self {
        let shown = match (quiet, terminal) {
            (true, _) => Shown::Nothing,
            (false, false) => Shown::Lines,
            (false, true) => {
                let bar = ProgressBar::new_spinner();
                bar.set_style(style(SPINNER));
                bar.enable_steady_tick(TICK);
                Shown::Terminal(bar)
            }
        };
        Self { shown, last: Mutex::default() }
    }

    /// What is being done now: replaces the last one on a terminal, is a new line elsewhere. Whether that
    /// was news.
    pub(crate) fn now(&self, text: impl Into<String>) -> bool {
        let text = text.into();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if *last == text {
            return false;
        }
        match &self.shown {
            Shown::Nothing => {}
            Shown::Lines => line(&text),
            Shown::Terminal(bar) => bar.set_message(text.clone()),
        }
        *last = text;
        true
    }

    /// A new phase of so many bytes, if that is known; shown on a terminal only.
    pub(crate) fn bytes_of(&self, total: Option<u64>) {
        if let Shown::Terminal(bar) = &self.shown {
            match total {
                Some(total) => {
                    bar.set_style(style("{spinner} {msg} [{wide_bar}] {bytes}/{total_bytes} {eta}"));
                    bar.set_length(total);
                }
                None => {
                    bar.set_style(style("{spinner} {msg} {bytes}"));
                    bar.unset_length();
                }
            }
            bar.set_position(0);
        }
    }

    /// So many bytes of the phase are done.
    pub(crate) fn bytes_so_far(&self, done: u64) {
        if let Shown::Terminal(bar) = &self.shown {
            bar.set_position(done);
        }
    }

    /// So many bytes more.
    pub(crate) fn bytes(&self, more: u64) {
        if let Shown::Terminal(bar) = &self.shown {
            bar.inc(more);
        }
    }

    /// A phase without a size.
    pub(crate) fn unmeasured(&self) {
        if let Shown::Terminal(bar) = &self.shown {
            bar.set_style(style(SPINNER));
        }
    }

    /// How many of a number of steps are done; shown on a terminal only.
    pub(crate) fn steps(&self, done: u64, total: u64) {
        if let Shown::Terminal(bar) = &self.shown {
            if bar.length() != Some(total) {
                bar.set_style(style("{spinner} {msg} [{bar:30}] {pos}/{len}"));
                bar.set_length(total);
            }
            bar.set_position(done);
        }
    }

    /// Runs something that writes to the same terminal, with the spinner out of its way.
    pub(crate) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.shown {
            Shown::Terminal(bar) => bar.suspend(write),
            _ => write(),
        }
    }
}

/// The spinner leaves nothing behind, however the work ends.
impl Drop for Progress {
    fn drop(&mut self) {
        if let Shown::Terminal(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}

/// The templates are constants of this file; a bad one would show indicatif's own style.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn line(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}
