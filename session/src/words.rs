//! Splitting a line into words as a shell does, without one: quotes, backslashes and `$NAME`, never
//! a command. Flink's scripts pass `env.java.opts.*` through `eval echo`.

/// A line that cannot be split, or that wants a shell.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WordError {
    /// A quote is never closed.
    #[error("the {0} quote is not closed")]
    Unclosed(char),
    /// It ends in a backslash.
    #[error("it ends in a backslash")]
    Dangling,
    /// It wants a command run.
    #[error("{0} would run a command, and kobel runs none")]
    Command(&'static str),
    /// A `${…}` that is more than a name.
    #[error("only $NAME and ${{NAME}} are understood")]
    Expansion,
}

/// The words of the line. `lookup` gives the value of a variable; an unknown one is empty, as in a
/// shell. A value is never looked into again for quotes; outside quotes it is split at white space.
pub fn split(line: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<Vec<String>, WordError> {
    let mut words = Words::default();
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            c if c.is_ascii_whitespace() => words.end(),
            '\'' => words.take_single(&mut rest)?,
            '"' => words.take_double(&mut rest, &lookup)?,
            '\\' => words.push(rest.next().ok_or(WordError::Dangling)?),
            '`' => return Err(WordError::Command("`…`")),
            '$' => match variable(&mut rest)? {
                Some(name) => words.push_split(&lookup(&name).unwrap_or_default()),
                None => words.push('$'),
            },
            c => words.push(c),
        }
    }
    words.end();
    Ok(words.done)
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

#[derive(Default)]
struct Words {
    done: Vec<String>,
    /// The word being read: none between words, perhaps empty after a pair of quotes.
    current: Option<String>,
}

impl Words {
    fn push(&mut self, c: char) {
        self.current.get_or_insert_default().push(c);
    }

    fn end(&mut self) {
        self.done.extend(self.current.take());
    }

    fn push_split(&mut self, value: &str) {
        for c in value.chars() {
            if c.is_ascii_whitespace() { self.end() } else { self.push(c) }
        }
    }

    fn take_single(&mut self, rest: &mut Chars<'_>) -> Result<(), WordError> {
        self.current.get_or_insert_default();
        loop {
            match rest.next().ok_or(WordError::Unclosed('\''))? {
                '\'' => return Ok(()),
                c => self.push(c),
            }
        }
    }

    fn take_double(
        &mut self,
        rest: &mut Chars<'_>,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<(), WordError> {
        self.current.get_or_insert_default();
        loop {
            match rest.next().ok_or(WordError::Unclosed('"'))? {
                '"' => return Ok(()),
                '`' => return Err(WordError::Command("`…`")),
                '\\' => match rest.next().ok_or(WordError::Unclosed('"'))? {
                    c @ ('"' | '\\' | '$' | '`') => self.push(c),
                    c => {
                        self.push('\\');
                        self.push(c);
                    }
                },
                '$' => match variable(rest)? {
                    Some(name) => lookup(&name).unwrap_or_default().chars().for_each(|c| self.push(c)),
                    None => self.push('$'),
                },
                c => self.push(c),
            }
        }
    }
}

/// The name after a `$`, if one follows.
fn variable(rest: &mut Chars<'_>) -> Result<Option<String>, WordError> {
    let in_name = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
    match rest.peek() {
        Some('(') => Err(WordError::Command("$(…)")),
        Some('{') => {
            rest.next();
            let mut name = String::new();
            while let Some(c) = rest.next_if(in_name) {
                name.push(c);
            }
            let closed = rest.next() == Some('}');
            if closed && !name.is_empty() { Ok(Some(name)) } else { Err(WordError::Expansion) }
        }
        Some(c) if c.is_ascii_alphabetic() || *c == '_' => {
            let mut name = String::new();
            while let Some(c) = rest.next_if(in_name) {
                name.push(c);
            }
            Ok(Some(name))
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn home(name: &str) -> Option<String> {
        (name == "HOME").then(|| "/home/a b".to_string())
    }

    #[test]
    fn words_split_as_in_a_shell() {
        let cases: &[(&str, &[&str])] = &[
            ("", &[]),
            ("  -Xmx1g \t-Dx=y ", &["-Xmx1g", "-Dx=y"]),
            ("'a b'c \"d e\" ''", &["a bc", "d e", ""]),
            (r#"a\ b "x\"y\z" '\'"#, &["a b", r#"x"y\z"#, r"\"]),
            ("-Dh=$HOME", &["-Dh=/home/a", "b"]),
            ("\"-Dh=${HOME}/x\" $NONE 5$ '$HOME'", &["-Dh=/home/a b/x", "5$", "$HOME"]),
        ];
        for (line, words) in cases {
            assert_eq!(split(line, home).unwrap(), *words, "{line}");
        }
    }

    #[test]
    fn no_command_is_run_and_no_half_word_taken() {
        for line in ["$(id)", "`id`", "\"`id`\"", "\"$(id)\""] {
            assert!(matches!(split(line, home), Err(WordError::Command(_))), "{line}");
        }
        for line in ["'a", "\"a", "a\\", "${HOME", "${}", "${HOME:-x}"] {
            assert!(split(line, home).is_err(), "{line}");
        }
    }

    proptest! {
        #[test]
        fn quoted_words_come_back_whole(words in proptest::collection::vec("[^']*", 0..6)) {
            let line: Vec<_> = words.iter().map(|w| format!("'{w}'")).collect();
            prop_assert_eq!(split(&line.join(" "), home).unwrap(), words);
        }

        #[test]
        fn plain_words_split_like_white_space(line in "[a-zA-Z0-9=:./ \t-]*") {
            let words: Vec<_> = line.split_ascii_whitespace().collect();
            prop_assert_eq!(split(&line, home).unwrap(), words);
        }

        #[test]
        fn any_line_gives_an_answer(line in ".*") {
            let _ = split(&line, home);
        }
    }
}
