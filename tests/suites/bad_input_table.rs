//! The table of bad input is complete, and the tests it names exist.

use std::{collections::BTreeSet, fs, path::Path};

const TABLE: &str = include_str!("../bad_input.toml");

/// The names of all functions below this directory, those that macros make tests of included.
fn tests_below(dir: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() && name != "target" && !name.to_string_lossy().starts_with('.') {
            tests_below(&path, names);
        } else if kind.is_file() && path.extension().is_some_and(|e| e == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let lines = text.lines().map(|line| line.trim().trim_start_matches("async "));
            let named = lines.filter_map(|line| line.strip_prefix("fn ")?.split_once('('));
            names.extend(named.map(|(name, _)| name.to_string()));
        }
    }
}

#[test]
fn every_case_has_its_tests_or_a_reason() {
    let table: toml::Table = TABLE.parse().unwrap();
    let cases = table["cases"].as_table().unwrap();
    let numbers: BTreeSet<u32> = cases.keys().map(|number| number.parse().unwrap()).collect();
    assert_eq!(numbers, (1..=86).collect(), "cases 1 to 86, each once");

    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut tests = BTreeSet::new();
    tests_below(root, &mut tests);
    for (number, case) in cases {
        let case = case.as_table().unwrap();
        assert!(case["text"].as_str().is_some_and(|text| !text.is_empty()), "case {number}");
        let answers: Vec<_> = case.iter().filter(|(key, _)| *key != "text").collect();
        let [(key, answer)] = answers[..] else { panic!("case {number} needs one answer, has {answers:?}") };
        let texts: Vec<&str> = match answer {
            toml::Value::Array(all) => all.iter().map(|one| one.as_str().unwrap()).collect(),
            one => vec![one.as_str().unwrap()],
        };
        assert!(!texts.is_empty() && texts.iter().all(|text| !text.is_empty()), "case {number}");
        match key.as_str() {
            "test" => {
                texts.iter().for_each(|name| assert!(tests.contains(*name), "case {number}: no test {name}"))
            }
            "waits" => {
                let named = ["issue 5", "issue 6", "issue 7", "no issue yet: "];
                assert!(named.iter().any(|name| texts[0].starts_with(name)), "case {number} waits for what?");
            }
            "does-not-apply" => {}
            other => panic!("case {number}: {other} is no answer"),
        }
    }
}
