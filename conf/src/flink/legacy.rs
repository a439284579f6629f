//! `flink-conf.yaml`: not YAML, but `key: value` a line, as Flink's
//! `GlobalConfiguration.loadLegacyYAMLResource` reads it.

use std::path::Path;

use super::{FlinkConf, Note, Origin};
use crate::units::java_trim;

/// The configuration in the text of the file at `path`, and notes on the lines that Flink ignores.
pub(super) fn parse(text: &str, path: &Path) -> (FlinkConf, Vec<Note>) {
    let mut conf = FlinkConf::new();
    let mut notes = Vec::new();
    for (index, line) in lines(text).enumerate() {
        let line_number = index + 1;
        let mut note =
            |text: String| notes.push(Note { key: format!("{}:{line_number}", path.display()), text });
        // Flink cuts at the first '#', within quotes or words too.
        let content = java_trim(line.split('#').next().unwrap_or_default());
        if content.is_empty() {
            continue;
        }
        let Some((key, value)) = content.split_once(": ") else {
            note("ignored, as Flink does: it is not `key: value` with a space after the colon".into());
            continue;
        };
        let (key, value) = (java_trim(key), java_trim(value));
        if key.is_empty() || value.is_empty() {
            note("ignored, as Flink does: the key or its value is empty".into());
            continue;
        }
        let origin = Origin::File { path: path.into(), line: Some(line_number) };
        if let Some(former) = conf.set(key, value, origin) {
            note(format!("{key} replaces the value from {}, as in Flink", former.origin));
        }
    }
    (conf, notes)
}

/// Java's `BufferedReader.readLine`: a line ends with LF, CR or both.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::Entry, *};

    fn parsed(text: &str) -> (Vec<String>, Vec<String>) {
        let (conf, notes) = parse(text, Path::new("f"));
        let line = |(key, entry): (&str, &Entry)| format!("{key}={}", entry.value);
        (conf.iter().map(line).collect(), notes.into_iter().map(|note| note.key).collect())
    }

    #[test]
    fn lines_are_read_as_flink_reads_them() {
        let text = "a: x: y # comment\r\nb: x#y\r c : \"q\" \n#d: 1\ne: [a, b]\nf: : y\ng: 1\ng: 2";
        let (conf, notes) = parsed(text);
        assert_eq!(conf, ["a=x: y", "b=x", "c=\"q\"", "e=[a, b]", "f=: y", "g=2"]);
        assert_eq!(notes, ["f:8"], "a key that is set twice");
    }

    #[test]
    fn ignored_lines_are_named_by_number_without_their_text() {
        let text = "ok: 1\npassword:s3cret\nempty:\n: v\ntab:\ts3cret\n";
        let (conf, notes) = parsed(text);
        assert_eq!(conf, ["ok=1"]);
        assert_eq!(notes, ["f:2", "f:3", "f:4", "f:5"]);
        let all = format!("{:?}", parse(text, Path::new("f")));
        assert!(!all.contains("s3cret"), "{all}");
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[a-z: #\\t\\r\\n\\PC]{0,200}") {
            let (conf, _) = parse(&text, Path::new("f"));
            for (key, entry) in conf.iter() {
                prop_assert!(!key.is_empty() && !entry.value.is_empty());
                prop_assert!(!entry.value.contains(['#', '\n', '\r']));
            }
        }
    }
}
