//! The grammar of Apache commons-cli (`DefaultParser`), which Flink's own commands read their
//! arguments with: `-p 4`, `-p4`, `-parallelism 4`, `--parallelism=4`, unique prefixes (`--paral`),
//! `-Dk=v` and `-D k=v`. clap cannot say this: it has no long options behind one dash.

use std::iter::Peekable;

/// An option of a command.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opt {
    /// Behind one dash; may have several letters (`sae`). Empty when there is none.
    pub(crate) short: &'static str,
    /// Behind two dashes (or one). Empty when there is none.
    pub(crate) long: &'static str,
    /// What follows it.
    pub(crate) arg: Arg,
}

/// What an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arg {
    /// Nothing.
    None,
    /// One word.
    One,
    /// One word, or none when the next one is an option or there is none.
    Optional,
    /// `k=v`, also without a space behind the letter.
    Property,
}

impl Opt {
    pub(crate) const fn new(short: &'static str, long: &'static str, arg: Arg) -> Self {
        Self { short, long, arg }
    }

    /// The name it is found again by: the long one if it has one.
    pub(crate) fn key(&self) -> &'static str {
        if self.long.is_empty() { self.short } else { self.long }
    }

    fn takes_word(&self) -> bool {
        self.arg != Arg::None
    }
}

/// A command line taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Parsed {
    found: Vec<(&'static str, Option<String>)>,
    /// The words that are no options.
    pub(crate) rest: Vec<String>,
}

impl Parsed {
    /// Whether the option of this key (long name, else short) is there.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.found.iter().any(|(k, _)| *k == key)
    }

    /// The option's value; the last one wins, as with the flags of every shell command.
    pub(crate) fn value(&self, key: &str) -> Option<&str> {
        self.found.iter().rev().find(|(k, _)| *k == key).and_then(|(_, v)| v.as_deref())
    }

    /// All values of an option that may be repeated, in order.
    pub(crate) fn values(&self, key: &str) -> Vec<String> {
        self.found.iter().filter(|(k, _)| *k == key).filter_map(|(_, v)| v.clone()).collect()
    }

    /// The words that mean the same, of options of this table but for those of some keys.
    pub(crate) fn words(&self, options: &[Opt], without: &[&str]) -> Vec<String> {
        let mut words = Vec::new();
        for (key, value) in self.found.iter().filter(|(key, _)| !without.contains(key)) {
            let Some(opt) = options.iter().find(|opt| opt.key() == *key) else { continue };
            let name =
                if opt.short.is_empty() { format!("--{}", opt.long) } else { format!("-{}", opt.short) };
            match (opt.arg, value) {
                (Arg::Property, Some(value)) => words.push(format!("{name}{value}")),
                // Behind a space it would be taken for an option.
                (_, Some(value)) if is_option(value) && !opt.long.is_empty() => {
                    words.push(format!("--{}={value}", opt.long));
                }
                (_, value) => words.extend([Some(name), value.clone()].into_iter().flatten()),
            }
        }
        let end = self.rest.first().filter(|first| is_option(first)).map(|_| "--".to_string());
        words.extend(end.into_iter().chain(self.rest.iter().cloned()));
        words
    }
}

/// Why a command line cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GrammarError {
    #[error("unknown option {0}")]
    Unknown(String),
    #[error("option {option} needs a value")]
    MissingValue { option: String },
    #[error("option {option} takes no value")]
    UnexpectedValue { option: String },
    #[error("option {option} is ambiguous: {}", .matches.join(", "))]
    Ambiguous { option: String, matches: Vec<String> },
}

/// Takes `args` apart by the options of these tables. Parsing stops at the first word that is no option.
pub(crate) fn parse(tables: &[&[Opt]], args: &[String]) -> Result<Parsed, GrammarError> {
    parse_program(tables, &[], args)
}

/// The same for the command line of a program: what is behind the first word that is no option, its jar, belongs to the
/// program; and so does what is unknown, once an option of these keys has named the program.
pub(crate) fn parse_program(
    tables: &[&[Opt]],
    naming: &[&str],
    args: &[String],
) -> Result<Parsed, GrammarError> {
    let mut words = args.iter().peekable();
    let mut parsed = Parsed::default();
    let taken = take(&tables.concat(), &mut words, &mut parsed);
    let named = naming.iter().any(|key| parsed.has(key));
    taken
        .map(|_| ())
        .or_else(|e| if named && matches!(e, GrammarError::Unknown(_)) { Ok(()) } else { Err(e) })?;
    parsed.rest = words.cloned().collect();
    Ok(parsed)
}

/// The same where words that are no options may stand before, between and behind options; behind `--` all are such.
pub(crate) fn parse_mixed(tables: &[&[Opt]], args: &[String]) -> Result<Parsed, GrammarError> {
    let options = tables.concat();
    let mut words = args.iter().peekable();
    let mut parsed = Parsed::default();
    while take(&options, &mut words, &mut parsed)? == Stopped::AtWord {
        parsed.rest.extend(words.next().cloned());
    }
    parsed.rest.extend(words.cloned());
    Ok(parsed)
}

/// Where reading options stopped.
#[derive(PartialEq, Eq)]
enum Stopped {
    /// At a word that is none.
    AtWord,
    /// At the end, or behind `--`.
    ForGood,
}

/// Takes options as long as there are any; one that cannot be read stays.
fn take(
    options: &[Opt],
    words: &mut Peekable<std::slice::Iter<'_, String>>,
    parsed: &mut Parsed,
) -> Result<Stopped, GrammarError> {
    while let Some(word) = words.peek().copied().filter(|w| is_option(w)) {
        if word == "--" {
            words.next();
            return Ok(Stopped::ForGood);
        }
        let (opt, attached) = recognise(options, word)?;
        words.next();
        let value = match (opt.arg, attached) {
            (Arg::None, None) => None,
            (Arg::None, Some(_)) => return Err(GrammarError::UnexpectedValue { option: word.clone() }),
            (_, Some(value)) => Some(value),
            (arg, None) => match words.next_if(|w| !is_option(w) || is_negative_number(w)) {
                Some(next) => Some(unquote(next)),
                None if arg == Arg::Optional => None,
                None => return Err(GrammarError::MissingValue { option: word.clone() }),
            },
        };
        parsed.found.push((opt.key(), value));
    }
    Ok(if words.peek().is_some() { Stopped::AtWord } else { Stopped::ForGood })
}

/// Which option a word is, and the value that it carries itself.
fn recognise(options: &[Opt], word: &str) -> Result<(Opt, Option<String>), GrammarError> {
    match word.strip_prefix("--") {
        Some(body) => long(options, word, body)?,
        None => {
            let body = &word[1..];
            match short(options, body) {
                Some(found) => Some(found),
                None => long(options, word, body)?,
            }
        }
    }
    .ok_or_else(|| GrammarError::Unknown(word.to_string()))
}

/// `name`, `name=value`, or a unique prefix of a long name.
fn long(options: &[Opt], word: &str, body: &str) -> Result<Option<(Opt, Option<String>)>, GrammarError> {
    let (name, value) = match body.split_once('=') {
        Some((name, value)) => (name, Some(unquote(value))),
        None => (body, None),
    };
    if name.is_empty() {
        return Ok(None);
    }
    let exact = options.iter().find(|o| o.long == name);
    let matches: Vec<&Opt> = options.iter().filter(|o| o.long.starts_with(name)).collect();
    match (exact, matches.as_slice()) {
        (Some(opt), _) => Ok(Some((*opt, value))),
        (None, [opt]) => Ok(Some((**opt, value))),
        (None, []) => Ok(None),
        (None, many) => Err(GrammarError::Ambiguous {
            option: word.to_string(),
            matches: many.iter().map(|o| format!("--{}", o.long)).collect(),
        }),
    }
}

/// The short option that is all of `body`, or the longest one that begins it and takes a word
/// (`-p4`, `-Dk=v`). A long name behind one dash goes before that, so that `-parallelism` is not
/// `-p arallelism`.
fn short(options: &[Opt], body: &str) -> Option<(Opt, Option<String>)> {
    if let Some(exact) = options.iter().find(|o| !o.short.is_empty() && o.short == body) {
        return Some((*exact, None));
    }
    let name = body.split('=').next().unwrap_or(body);
    if name.len() > 1 && options.iter().any(|o| o.long.starts_with(name)) {
        return None;
    }
    options
        .iter()
        .filter(|o| !o.short.is_empty() && o.takes_word() && body.starts_with(o.short))
        .max_by_key(|o| o.short.len())
        // `-jm=1g` is an error in Flink's commands; only one letter may be followed by '='.
        .filter(|o| o.short.len() == 1 || !body[o.short.len()..].starts_with('='))
        .map(|o| {
            let value = &body[o.short.len()..];
            (*o, Some(unquote(value.strip_prefix('=').unwrap_or(value))))
        })
}

fn is_option(word: &str) -> bool {
    word.len() > 1 && word.starts_with('-')
}

fn is_negative_number(word: &str) -> bool {
    word.parse::<f64>().is_ok()
}

/// commons-cli takes one pair of quotes off a value.
fn unquote(value: &str) -> String {
    let inner = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
    inner.unwrap_or(value).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OPTIONS: &[Opt] = &[
        Opt { short: "p", long: "parallelism", arg: Arg::One },
        Opt { short: "jm", long: "jobManagerMemory", arg: Arg::One },
        Opt { short: "m", long: "jobmanager", arg: Arg::One },
        Opt { short: "d", long: "detached", arg: Arg::None },
        Opt { short: "sae", long: "shutdownOnAttachedExit", arg: Arg::None },
        Opt { short: "s", long: "withSavepoint", arg: Arg::Optional },
        Opt { short: "D", long: "", arg: Arg::Property },
    ];

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(String::from).collect()
    }

    #[test]
    fn every_spelling_of_a_value_is_the_same() {
        for line in ["-p 4", "-p4", "-p=4", "-parallelism 4", "--parallelism 4", "--parallelism=4", "--par 4"]
        {
            let parsed = parse(&[OPTIONS], &words(line)).unwrap();
            assert_eq!(parsed.value("parallelism"), Some("4"), "{line}");
        }
        for line in ["-jm 1g", "-jm1g", "-jobManagerMemory 1g", "--jobM=1g"] {
            assert_eq!(
                parse(&[OPTIONS], &words(line)).unwrap().value("jobManagerMemory"),
                Some("1g"),
                "{line}"
            );
        }
        for line in ["-Da.b=c=d", "-D a.b=c=d"] {
            assert_eq!(parse(&[OPTIONS], &words(line)).unwrap().values("D"), ["a.b=c=d"], "{line}");
        }
    }

    #[test]
    fn parsing_stops_at_the_jar() {
        let parsed = parse(&[OPTIONS], &words("-d -p 2 job.jar --input x -p 9")).unwrap();
        assert!(parsed.has("detached"));
        assert_eq!(parsed.value("parallelism"), Some("2"));
        assert_eq!(parsed.rest, words("job.jar --input x -p 9"));
    }

    #[test]
    fn what_is_unknown_belongs_to_a_program_that_is_named() {
        let line = words("-m here --input x -d");
        assert_eq!(parse(&[OPTIONS], &line), Err(GrammarError::Unknown("--input".into())));
        let parsed = parse_program(&[OPTIONS], &["jobmanager"], &line).unwrap();
        assert_eq!((parsed.value("jobmanager"), parsed.has("detached")), (Some("here"), false));
        assert_eq!(parsed.rest, words("--input x -d"));
        assert_eq!(parsed.words(OPTIONS, &["jobmanager"]), words("-- --input x -d"));
    }

    #[test]
    fn options_may_stand_behind_words_where_no_program_follows() {
        let parsed = parse_mixed(&[OPTIONS], &words("id -p 2 dir -d -- -x")).unwrap();
        assert_eq!((parsed.value("parallelism"), parsed.has("detached")), (Some("2"), true));
        assert_eq!(parsed.rest, words("id dir -x"));
        assert!(parse_mixed(&[OPTIONS], &words("id --foo")).is_err());
    }

    #[test]
    fn optional_values_may_be_missing() {
        assert_eq!(parse(&[OPTIONS], &words("-s /sp id")).unwrap().value("withSavepoint"), Some("/sp"));
        let parsed = parse(&[OPTIONS], &words("-s -d id")).unwrap();
        assert!(parsed.has("withSavepoint") && parsed.value("withSavepoint").is_none());
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let err = |line: &str| parse(&[OPTIONS], &words(line)).unwrap_err();
        assert_eq!(err("--foo x"), GrammarError::Unknown("--foo".into()));
        assert_eq!(err("-q"), GrammarError::Unknown("-q".into()));
        assert_eq!(err("-p"), GrammarError::MissingValue { option: "-p".into() });
        assert_eq!(err("-D"), GrammarError::MissingValue { option: "-D".into() });
        assert_eq!(err("--detached=1"), GrammarError::UnexpectedValue { option: "--detached=1".into() });
        assert!(matches!(err("--job x"), GrammarError::Ambiguous { .. }));
        assert_eq!(err("-jm=1g"), GrammarError::Unknown("-jm=1g".into()));
    }

    proptest! {
        #[test]
        fn no_command_line_panics(args in proptest::collection::vec("[-a-zD=\"é ]{0,8}", 0..8)) {
            let _ = parse(&[OPTIONS], &args);
            if let Ok(parsed) = parse_mixed(&[OPTIONS], &args) {
                let _ = parsed.words(OPTIONS, &[]);
            }
        }

        #[test]
        fn values_come_through(value in "[a-z0-9/:.]{1,20}") {
            let args = vec!["-p".to_string(), value.clone(), "x.jar".to_string()];
            let parsed = parse(&[OPTIONS], &args).unwrap();
            prop_assert_eq!(parsed.value("parallelism"), Some(value.as_str()));
        }
    }
}
