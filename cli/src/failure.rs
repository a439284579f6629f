//! The end of an invocation that did not go well: the only place where errors become text and exit
//! codes.

use std::{error::Error, fmt::Write, process::ExitCode};

use anstyle::{AnsiColor, Style};
use kobel_conf::{Category, Explain};

/// How many lines of a log explain a failure.
const TAIL: usize = 20;

const ERROR: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Green.on_default().bold();
const DIM: Style = Style::new().dimmed();

/// What went wrong, why, and what helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure(Box<Parts>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Parts {
    category: Category,
    what: String,
    /// The chain of causes, nearest first.
    why: Vec<String>,
    hint: Option<String>,
    log_tail: Option<String>,
    /// Java's whole trace.
    trace: Option<String>,
}

impl Failure {
    /// A failure of kobel's command line itself.
    pub(crate) fn new(category: Category, what: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            category,
            what: what.into(),
            why: Vec::new(),
            hint: None,
            log_tail: None,
            trace: None,
        }))
    }

    /// What went wrong, without the reasons.
    pub(crate) fn what(&self) -> &str {
        &self.0.what
    }

    /// A command that helps.
    pub(crate) fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// What kind of failure it is.
    pub(crate) fn category(&self) -> Category {
        self.0.category
    }

    /// Adds an error, and what caused it, as the reason.
    pub(crate) fn because(mut self, cause: &(dyn Error + 'static)) -> Self {
        let mut next = Some(cause);
        while let Some(error) = next {
            let text = error.to_string();
            // Some libraries repeat their source in their own text.
            if !self.0.why.last().is_some_and(|last| last.contains(&text)) {
                self.0.why.push(text);
            }
            next = error.source();
        }
        self
    }

    /// Adds the reason in words.
    pub(crate) fn why(mut self, why: impl Into<String>) -> Self {
        self.0.why.push(why.into());
        self
    }

    /// Adds a command that helps.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Adds the log that explains it.
    pub(crate) fn log_tail(mut self, log: Option<String>) -> Self {
        self.0.log_tail = log;
        self
    }

    /// Adds a Java trace, shown only when asked for.
    pub(crate) fn trace(mut self, trace: impl Into<String>) -> Self {
        self.0.trace = Some(trace.into());
        self
    }

    /// The same as the reason why something larger failed.
    pub(crate) fn explaining(mut self, what: impl Into<String>) -> Self {
        let reason = std::mem::replace(&mut self.0.what, what.into());
        self.0.why.insert(0, reason);
        self
    }

    /// The same of another kind.
    pub(crate) fn with_category(mut self, category: Category) -> Self {
        self.0.category = category;
        self
    }

    /// The contract of the command line with scripts.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self.0.category {
            Category::Other => 1,
            Category::Usage => 2,
            Category::NotReady => 3,
            Category::NotFound => 4,
            Category::Environment => 5,
            Category::Denied => 6,
            Category::FailedEnd => 7,
            Category::Timeout => 124,
        })
    }

    /// The text for a person. Unless `whole`, every part is one line: of a Java exception only what
    /// it says, not where it was thrown.
    pub(crate) fn render(&self, whole: bool) -> String {
        let mut text = format!("{ERROR}error:{ERROR:#} {}", part(&self.0.what, whole));
        let why: Vec<_> =
            self.0.why.iter().map(|why| part(why, whole)).filter(|why| !why.is_empty()).collect();
        // Writing to a String cannot fail.
        if !why.is_empty() {
            let _ = write!(text, "\n  {DIM}why:{DIM:#}  {}", why.join(": ").replace(".: ", ": "));
        }
        if let Some(hint) = &self.0.hint {
            let _ = write!(text, "\n  {HINT}hint:{HINT:#} {}", part(hint, whole));
        }
        let log = self.0.log_tail.as_deref().unwrap_or_default();
        let lines: Vec<_> = log.lines().filter(|line| !line.trim().is_empty()).collect();
        if !lines.is_empty() {
            let _ = write!(text, "\n  {DIM}log:{DIM:#}");
            for line in &lines[lines.len().saturating_sub(TAIL)..] {
                let _ = write!(text, "\n    {DIM}|{DIM:#} {}", printable(line));
            }
        }
        for line in self.0.trace.iter().filter(|_| whole).flat_map(|trace| trace.lines()) {
            let _ = write!(text, "\n{}", printable(line));
        }
        text
    }
}

impl<E: Explain + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut failure = Failure::new(error.category(), error.to_string()).log_tail(error.log_tail());
        failure.0.hint = error.hint();
        match error.source() {
            Some(source) => failure.because(source),
            None => failure,
        }
    }
}

/// One part of a message: its first line, or all of them, indented below it.
fn part(text: &str, whole: bool) -> String {
    let mut lines = text.trim().lines().map(printable);
    match whole {
        true => lines.collect::<Vec<_>>().join("\n        "),
        false => lines.next().unwrap_or_default(),
    }
}

/// A line without control characters, which could draw over what the person sees.
pub(crate) fn printable(line: &str) -> String {
    let tabless = line.trim_end().replace('\t', "    ");
    tabless.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read /etc/x")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("permission denied\n\tat java.lang.Thread.run\u{1b}[2J")]
    struct Inner;

    impl Explain for Outer {
        fn category(&self) -> Category {
            Category::Denied
        }
        fn hint(&self) -> Option<String> {
            Some("chmod u+r /etc/x".into())
        }
        fn log_tail(&self) -> Option<String> {
            Some((1..=30).map(|n| format!("line {n}\n")).collect())
        }
    }

    fn plain(failure: &Failure, whole: bool) -> String {
        anstream::adapter::strip_str(&failure.render(whole)).to_string()
    }

    #[test]
    fn an_error_is_what_why_hint_and_the_last_lines_of_its_log() {
        let failure = Failure::from(Outer(Inner));
        assert_eq!(failure.exit_code(), ExitCode::from(6));
        insta::assert_snapshot!(plain(&failure, false));
    }

    #[test]
    fn the_whole_trace_is_there_when_asked_for_and_draws_nothing() {
        let failure = Failure::new(Category::Other, "it broke").because(&Outer(Inner));
        let text = plain(&failure, true);
        assert!(text.contains("at java.lang.Thread.run"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }

    #[test]
    fn a_cause_that_repeats_its_own_cause_is_told_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot connect: refused")]
        struct Repeats(#[source] Refused);
        #[derive(Debug, thiserror::Error)]
        #[error("refused")]
        struct Refused;
        let failure = Failure::new(Category::Other, "no answer").because(&Repeats(Refused));
        assert_eq!(plain(&failure, false), "error: no answer\n  why:  cannot connect: refused");
    }
}
