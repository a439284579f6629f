//! Writing a configuration for Flink to read.

use std::collections::BTreeMap;

use super::{
    ConfError, Dialect,
    scalar::{Scalar, double_quoted, printable},
};
use crate::units::java_trim;

/// YAML's limit on a key that is not announced by `? `, in characters.
const MAX_KEY: usize = 1000;

/// The text of a configuration file from which Flink reads exactly these keys and values.
pub fn render(conf: &BTreeMap<String, String>, dialect: Dialect) -> Result<String, ConfError> {
    let mut text = String::new();
    for (key, value) in conf {
        let inexpressible =
            |why| ConfError::Inexpressible { key: key.clone(), file: dialect.file_name(), why };
        let (key, value) = match dialect {
            Dialect::Standard => standard(key, value),
            Dialect::Legacy => legacy(key, value),
        }
        .map_err(inexpressible)?;
        text.push_str(&format!("{key}: {value}\n"));
    }
    Ok(text)
}

fn standard(key: &str, value: &str) -> Result<(String, String), &'static str> {
    if key.chars().count() > MAX_KEY {
        return Err("the key is too long");
    }
    let key_is_text = Scalar::resolve(key) == Scalar::Text(key.into());
    // A number may stay bare if Flink prints it as it stands here.
    let value_stays = matches!(Scalar::resolve(value), Scalar::Text(v) | Scalar::Literal(v) if v == value);
    let value = if value.starts_with('@') && value.chars().all(printable) {
        block(value)
    } else {
        quoted_unless(value_stays, value)
    };
    Ok((quoted_unless(key_is_text, key), value))
}

/// A literal block: what stands in it needs no quotes, nor does what takes its place later. A worker's
/// directory does, whose placeholder begins with the `@` that YAML reserves.
fn block(line: &str) -> String {
    format!("|-\n  {line}")
}

fn quoted_unless(plain: bool, text: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/');
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/');
    if plain && starts_well && text.chars().all(word) { text.into() } else { double_quoted(text) }
}

fn legacy(key: &str, value: &str) -> Result<(String, String), &'static str> {
    for text in [key, value] {
        if text.contains(['\n', '\r']) {
            return Err("it has a line break");
        }
        if text.contains('#') {
            return Err("everything from '#' on is a comment");
        }
        if text.is_empty() || java_trim(text) != text {
            return Err("it is empty, or starts or ends with a space");
        }
    }
    if key.contains(": ") {
        return Err("the key has a colon before a space");
    }
    if key.starts_with('\u{feff}') {
        return Err("the key starts with a byte order mark");
    }
    Ok((key.into(), value.into()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::{
        super::{FlinkConf, legacy, standard},
        *,
    };

    fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    #[test]
    fn standard_quotes_what_yaml_would_take_for_something_else() {
        let conf =
            map(&[("a.b", "08"), ("c", "8"), ("d", "x: # y"), ("e", ""), ("f", "a\nb"), ("true", "true")]);
        let text = render(&conf, Dialect::Standard).unwrap();
        assert_eq!(text, "a.b: \"08\"\nc: 8\nd: \"x: # y\"\ne: \"\"\nf: \"a\\nb\"\n\"true\": true\n");
    }

    #[test]
    fn a_directory_that_takes_the_place_of_its_placeholder_is_read_as_it_is() {
        let conf = map(&[("a", "@DIR@/tmp"), ("b", "c")]);
        for dialect in [Dialect::Standard, Dialect::Legacy] {
            let text = render(&conf, dialect).unwrap().replace("@DIR@", r#"/a "b" \\c/'d'"#);
            let read = match dialect {
                Dialect::Standard => standard::parse(&text, Path::new("config.yaml")).unwrap(),
                Dialect::Legacy => legacy::parse(&text, Path::new("flink-conf.yaml")).0,
            };
            assert_eq!(
                FlinkConf::to_map(&read),
                map(&[("a", r#"/a "b" \\c/'d'/tmp"#), ("b", "c")]),
                "{text}"
            );
        }
    }

    #[test]
    fn what_legacy_cannot_say_is_an_error_that_names_the_key_only() {
        for (key, value) in [
            ("k", "a#s3cret"),
            ("k", "s3cret\n"),
            ("k", ""),
            ("k", " s3cret"),
            ("k: x", "s3cret"),
            ("\u{feff}k", "s3cret"),
        ] {
            let error = render(&map(&[(key, value)]), Dialect::Legacy).unwrap_err();
            assert!(matches!(error, ConfError::Inexpressible { .. }), "{error}");
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
        }
    }

    fn texts() -> impl Strategy<Value = String> {
        let odd =
            ["null", "~", "true", "---", "...", "- a", "a: b", "#", "[a]", "{a: b}", "!!str", "&a", "*a"];
        prop_oneof![
            "[a-zA-Z0-9._:/ -]{0,20}",
            "[ -~\n\t]{0,20}",
            "@[ -~\n]{0,20}",
            "\\PC{0,8}",
            any::<String>(),
            r"[-+]?(0x|0o)?[0-9_]{1,6}(\.[0-9]{0,3})?(e[0-9])?",
            prop::sample::select(odd.to_vec()).prop_map(str::to_string),
        ]
    }

    proptest! {
        #[test]
        fn standard_reads_back_what_was_written(conf in prop::collection::btree_map(texts(), texts(), 0..6)) {
            let text = render(&conf, Dialect::Standard).unwrap();
            let read = standard::parse(&text, Path::new("config.yaml")).unwrap();
            prop_assert_eq!(FlinkConf::to_map(&read), conf, "{}", text);
        }

        #[test]
        fn legacy_reads_back_what_was_written_or_refuses(conf in prop::collection::btree_map(texts(), texts(), 0..3)) {
            if let Ok(text) = render(&conf, Dialect::Legacy) {
                let (read, notes) = legacy::parse(&text, Path::new("flink-conf.yaml"));
                prop_assert_eq!(read.to_map(), conf, "{}", text);
                prop_assert!(notes.is_empty());
            }
        }
    }
}
