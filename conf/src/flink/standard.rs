//! `config.yaml`: YAML, flattened to dotted keys as Flink's `YamlParserUtils` and
//! `GlobalConfiguration.flatten` do.

use std::{collections::HashMap, path::Path};

use super::{
    ConfError, FlinkConf, Origin,
    scalar::Scalar,
    yaml::{self, Node, Value, YamlError},
};

/// The configuration in the text of the file at `path`.
pub(super) fn parse(text: &str, path: &Path) -> Result<FlinkConf, ConfError> {
    let syntax =
        |YamlError { line, column, what }| ConfError::Syntax { path: path.into(), line, column, what };
    let Some(root) = yaml::parse(text).map_err(syntax)? else { return Ok(FlinkConf::new()) };
    let entries = match root.value {
        Value::Map(entries) => entries,
        Value::Scalar(Scalar::Null) => return Ok(FlinkConf::new()),
        _ => return Err(syntax(YamlError::at(&root.start, "the file is not a map of keys to values"))),
    };
    let mut flat = Vec::new();
    flatten("", entries, &mut flat).map_err(syntax)?;
    let mut conf = FlinkConf::new();
    let mut lines = HashMap::new();
    for Flat { key, value, line } in flat {
        if let Some(first) = lines.insert(key.clone(), line) {
            return Err(ConfError::Duplicate { path: path.into(), key, first, second: line });
        }
        conf.set(key, value, Origin::File { path: path.into(), line: Some(line) });
    }
    Ok(conf)
}

struct Flat {
    key: String,
    value: String,
    line: usize,
}

fn flatten(prefix: &str, entries: Vec<(Node, Node)>, into: &mut Vec<Flat>) -> Result<(), YamlError> {
    for (key, node) in entries {
        let line = key.start.line();
        let key = match &key.value {
            Value::Scalar(Scalar::Text(key)) => format!("{prefix}{key}"),
            // Flink's own reading of a key without text.
            Value::Scalar(Scalar::Null) => format!("{prefix}null"),
            _ => return Err(YamlError::at(&key.start, "a key must be text: put it in quotes")),
        };
        let value = match node.value {
            Value::Map(entries) => {
                flatten(&format!("{key}."), entries, into)?;
                continue;
            }
            Value::List(_) => in_list(&node),
            Value::Scalar(Scalar::Text(text) | Scalar::Literal(text)) => text,
            Value::Scalar(Scalar::Null) => {
                return Err(YamlError::at(
                    &node.start,
                    format!("{key} has no value: give it one or remove it"),
                ));
            }
        };
        into.push(Flat { key, value, line });
    }
    Ok(())
}

/// A list, and what is in one, in the one-line text that Flink makes of it and parses again.
fn in_list(node: &Node) -> String {
    match &node.value {
        Value::Scalar(scalar) => scalar.in_list(),
        Value::List(items) => format!("[{}]", joined(items.iter().map(in_list))),
        Value::Map(entries) => {
            let pair = |(key, value): &(Node, Node)| match key.value {
                Value::Scalar(_) => format!("{}: {}", in_list(key), in_list(value)),
                _ => format!("? {} : {}", in_list(key), in_list(value)),
            };
            format!("{{{}}}", joined(entries.iter().map(pair)))
        }
    }
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Result<Vec<String>, String> {
        let conf = parse(text, Path::new("f")).map_err(|e| e.to_string())?;
        Ok(conf.iter().map(|(key, entry)| format!("{key}={}", entry.value)).collect())
    }

    #[test]
    fn maps_are_flattened_and_lists_are_one_line() {
        let text = "x.y: 1\nx: {z: {w: yes}}\nl:\n- a\n- 'b: c'\n- {k: [08, ~]}\nm: {}\ns: |\n  one\n  two\n";
        let expected = ["l=[a, 'b: c', {k: [8, null]}]", "s=one\ntwo\n", "x.y=1", "x.z.w=yes"];
        assert_eq!(parsed(text).unwrap(), expected);
    }

    #[test]
    fn list_items_are_quoted_as_flink_quotes_them() {
        let text = r#"l: ["it's", "1", "null", "a, b", "a\nb", "", " x", "a:b", "-a", "- a", "'", "\u0001", "a?b", é, 1_0]"#;
        let expected = r#"l=[it's, '1', 'null', 'a, b', "a\nb", '', ' x', 'a:b', -a, '- a', '''', "\x01", 'a?b', é, 1_0]"#;
        assert_eq!(parsed(text).unwrap(), [expected]);
    }

    #[test]
    fn nothing_but_comments_is_an_empty_configuration() {
        for text in ["", "# none\n", "---\n"] {
            assert_eq!(parsed(text).unwrap(), [""; 0], "{text:?}");
        }
    }

    #[test]
    fn what_flink_refuses_is_refused_with_its_place_and_without_its_text() {
        let table = [
            ("a:\n\tb: s3cret\n", "f:2:"),
            ("a: s3cret: s3cret", "f:1:"),
            ("a: \"s3cret", "f:1:"),
            ("a:\nb: s3cret", "f:1:"),
            ("a: 1\n1: s3cret", "f:2:1: a key must be text"),
            ("[s3cret]", "f:1:1: the file is not a map"),
            ("a: 1\n---\nb: s3cret", "f:2:"),
            ("a: !foo s3cret", "f:1:"),
            ("a: !!int s3cret", "f:1:"),
            ("a: *s3cret", "f:1:"),
            ("a: &a [*a]", "f:1:8: an alias within"),
            ("a: s3cret\na: s3cret", "f:2:1: the same key as in line 1"),
            ("a: {b: 1}\na: {c: s3cret}", "f:2:1: the same key as in line 1"),
            ("l: [{a: 1, a: s3cret}]", "f:1:"),
            ("a: {b: s3cret}\n\na.b: s3cret", "f:3: a.b was already set in line 1"),
        ];
        for (text, expected) in table {
            let error = parsed(text).unwrap_err();
            assert!(error.starts_with(expected), "{text:?}: {error}");
            assert!(!error.contains("s3cret"), "{text:?}: {error}");
        }
    }

    #[test]
    fn bombs_are_refused() {
        assert!(parsed(&format!("a: {}", "[".repeat(100_000))).is_err());
        let deep: String = (0..60).map(|n| format!("{}k:\n", " ".repeat(n))).collect();
        assert!(parsed(&format!("{deep}{}x", " ".repeat(60))).is_err());
        let mut laughs = String::from("a0: &a0 [x, x]\n");
        for n in 1..40 {
            laughs.push_str(&format!("a{n}: &a{n} [*a{0}, *a{0}]\n", n - 1));
        }
        assert!(parsed(&laughs).unwrap_err().contains("aliases included"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(
            text in r#"([a-c0-9:{}\[\],&*!|>'"%# \t\r\n.-]|a: |\n  |- |null){0,60}|\PC{0,80}"#,
        ) {
            let _ = parsed(&text);
        }
    }
}
