//! What reaches the person: data on stdout, everything else on stderr. Nothing here can fail or
//! panic: a reader that has gone away is no reason to leave a cluster half started.

mod progress;
mod signals;

pub(crate) use progress::Progress;
pub(crate) use signals::{Caught, Signals};

use std::{
    fmt::Display,
    io::{self, ErrorKind, IsTerminal, Write},
    sync::OnceLock,
};

use anstyle::{AnsiColor, Style};
use kobel_conf::Category;

use crate::{args::Color, args::Global, failure::Failure};

/// How warnings are marked.
const WARNING: Style = AnsiColor::Yellow.on_default().bold();

/// The two streams of this process, and how much to say.
#[derive(Debug, Default)]
pub(crate) struct Ui {
    quiet: bool,
    /// How often `-v` was given.
    pub(crate) verbose: u8,
    /// Whether questions are answered with yes.
    pub(crate) yes: bool,
    /// Why stdout takes no more.
    broken: OnceLock<io::Error>,
}

impl Ui {
    /// As the global options have it.
    pub(crate) fn new(global: &Global) -> Self {
        let choice = match global.color {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
        Self { quiet: global.quiet, verbose: global.verbose, yes: global.yes, broken: OnceLock::new() }
    }

    /// Data, byte for byte, to stdout.
    pub(crate) fn data(&self, bytes: &[u8]) {
        if !self.stdout_is_gone() {
            let mut out = io::stdout().lock();
            let written = out.write_all(bytes).and_then(|()| out.flush());
            // Only the first error is of interest.
            let _ = written.map_err(|e| self.broken.set(e));
        }
    }

    /// A line of data to stdout.
    pub(crate) fn line(&self, text: impl Display) {
        self.data(format!("{text}\n").as_bytes());
    }

    /// Whether nobody reads what is written to stdout.
    pub(crate) fn stdout_is_gone(&self) -> bool {
        self.broken.get().is_some()
    }

    /// A line for the person, on stderr.
    pub(crate) fn note(&self, text: impl Display) {
        if !self.quiet {
            self.stderr(text);
        }
    }

    /// A line that even `--quiet` shows.
    pub(crate) fn warn(&self, text: impl Display) {
        self.stderr(format_args!("{WARNING}warning:{WARNING:#} {text}"));
    }

    /// The failure that ends this invocation.
    pub(crate) fn failure(&self, failure: &Failure) {
        self.stderr(failure.render(self.verbose > 0));
    }

    /// What is under way: a spinner on a terminal, else lines.
    pub(crate) fn progress(&self) -> Progress {
        Progress::new(self.quiet, io::stderr().is_terminal())
    }

    /// Whether the person agrees: asked on a terminal only, elsewhere the answer is no.
    pub(crate) fn agrees(&self, question: &str) -> bool {
        if self.yes {
            return true;
        }
        if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
            return false;
        }
        let mut stderr = anstream::stderr().lock();
        let _ = write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush());
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
    }

    /// Whether all data went out. A reader that left early (`kobel ps | head -1`) had enough; a full
    /// disk is an error.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        match self.broken.into_inner() {
            Some(e) if e.kind() != ErrorKind::BrokenPipe => {
                Err(Failure::new(Category::Other, "cannot write to the standard output").because(&e))
            }
            _ => Ok(()),
        }
    }

    fn stderr(&self, text: impl Display) {
        // Nobody is left to be told that stderr is closed.
        let _ = writeln!(anstream::stderr().lock(), "{text}");
    }
}
