//! `-o`, on every verb that reads, in every form.

use super::{Kobel, assert_misuse};

/// Verbs that read and work in a fresh home, with the exit code they have there.
const READING: [(&[&str], i32); 6] = [
    (&["ps"], 0),
    (&["flink", "list"], 0),
    (&["gc"], 0),
    (&["gc", "--dry-run"], 0),
    (&["version"], 0),
    (&["doctor"], 5),
];

/// The other verbs that read: they need a cluster or a Flink.
const ON_CLUSTERS: [(&[&str], i32); 13] = [
    (&["status", "x"], 4),
    (&["describe", "x"], 4),
    (&["events", "x"], 4),
    (&["events", "-f", "x"], 4),
    (&["config", "show", "x"], 4),
    (&["config", "show"], 5),
    (&["config", "explain", "rest.port"], 5),
    (&["flink", "which"], 5),
    (&["start", "--dry-run"], 5),
    (&["job", "list"], 4),
    (&["job", "status", "00ff10203040506070809000a0b0c0d0"], 4),
    (&["job", "checkpoints", "00ff10203040506070809000a0b0c0d0"], 4),
    (&["job", "exceptions", "00ff10203040506070809000a0b0c0d0"], 4),
];

#[test]
fn every_verb_that_reads_knows_every_form() {
    let kobel = Kobel::new();
    for (verb, code) in READING.iter().chain(&ON_CLUSTERS) {
        for format in ["table", "wide", "json", "yaml", "name"] {
            let ran = kobel.run(verb.iter().chain(&["-o", format]));
            assert_eq!(ran.code, Some(*code), "{verb:?} -o {format}: {ran:?}");
            if format == "json" && READING.contains(&(*verb, *code)) {
                serde_json::from_str::<serde_json::Value>(&ran.stdout).unwrap();
            }
        }
        assert_misuse(&kobel.run(verb.iter().chain(&["-o", "xml"])), &["table, wide, json, yaml, name"]);
    }
}

#[test]
fn a_fresh_home_has_nothing_to_collect_and_stays_as_it_is() {
    let kobel = Kobel::new();
    for args in [&["gc", "--dry-run", "-o", "json"][..], &["gc", "-o", "json"]] {
        let ran = kobel.run(args);
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("[]\n", "nothing to remove\n"), "{ran:?}");
    }
    assert_eq!(std::fs::read_dir(kobel.home()).unwrap().count(), 0);
}

#[test]
fn what_an_installation_left_is_shown_then_removed_then_gone() {
    let kobel = Kobel::new();
    let part = kobel.home().join(".cache/kobel/flink/00ff-flink.tgz.part");
    std::fs::create_dir_all(part.parent().unwrap()).unwrap();
    std::fs::write(&part, "half").unwrap();
    let shown = kobel.run(["gc", "--dry-run"]);
    assert!(shown.stdout.contains("half download") && shown.stderr.contains("kobel gc"), "{shown:?}");
    assert!(part.exists(), "a dry run removes nothing");
    let json = kobel.run(["gc", "-o", "json"]).stdout;
    let told: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&told[0]["kind"], &told[0]["removed"]), (&"download".into(), &true.into()));
    assert_eq!((&told[0]["bytes"], &told[0]["location"]), (&4.into(), &part.to_str().unwrap().into()));
    assert!(!part.exists());
    assert_eq!(kobel.run(["gc", "-o", "name"]).stdout, "");
}

#[test]
fn bad_flags_of_gc_and_config_show_are_refused() {
    let kobel = Kobel::new();
    assert_misuse(&kobel.run(["gc", "--ended-for", "7"]), &["--ended-for", "30s"]);
    assert_misuse(&kobel.run(["gc", "x"]), &["'x'"]);
    assert_misuse(&kobel.run(["config", "show", "x", "--slots", "2"]), &["cannot be used with"]);
    assert_misuse(&kobel.run(["config", "show", "a/b"]), &["1 to 63 letters"]);
    assert_misuse(&kobel.run(["describe", "a/b"]), &["1 to 63 letters"]);
}
