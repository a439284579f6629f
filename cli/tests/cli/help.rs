//! What people read first.

use super::Kobel;

const VERBS: [&[&str]; 38] = [
    &[],
    &["start"],
    &["run"],
    &["ps"],
    &["status"],
    &["describe"],
    &["events"],
    &["logs"],
    &["attach"],
    &["wait"],
    &["stop"],
    &["kill"],
    &["rm"],
    &["scale"],
    &["restart"],
    &["failover"],
    &["gc"],
    &["queue"],
    &["job"],
    &["job", "list"],
    &["job", "status"],
    &["job", "cancel"],
    &["job", "stop"],
    &["job", "savepoint"],
    &["job", "checkpoints"],
    &["job", "exceptions"],
    &["flink"],
    &["flink", "install"],
    &["flink", "list"],
    &["flink", "which"],
    &["flink", "remove"],
    &["config"],
    &["config", "show"],
    &["config", "explain"],
    &["doctor"],
    &["version"],
    &["completions"],
    &["man"],
];

#[test]
fn help_of_every_verb() {
    let kobel = Kobel::new();
    for verb in VERBS {
        let ran = kobel.run(verb.iter().chain(&["--help"]));
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
        insta::assert_snapshot!([&["help"], verb].concat().join("_"), ran.stdout);
    }
}

#[test]
fn the_agents_verb_is_hidden() {
    let ran = Kobel::new().run(["--help"]);
    assert!(!ran.stdout.contains("agent"), "{}", ran.stdout);
}

#[test]
fn the_version_in_every_form() {
    let kobel = Kobel::new();
    let version = env!("CARGO_PKG_VERSION");
    for args in [&["version"][..], &["--version"]] {
        assert_eq!(kobel.run(args).stdout, format!("kobel {version}\n"));
    }
    let json: serde_json::Value = serde_json::from_str(&kobel.run(["version", "-o", "json"]).stdout).unwrap();
    assert_eq!((&json["apiVersion"], &json["version"]), (&"kobel/v1".into(), &version.into()));
}

#[test]
fn completions_and_manual_pages_know_the_verbs() {
    let kobel = Kobel::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(kobel.run(["completions", shell]).stdout.contains("doctor"), "{shell}");
    }
    assert!(kobel.run(["man"]).stdout.contains("doctor"));
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(kobel.run([std::ffi::OsStr::new("man"), dir.path().as_os_str()]).code, Some(0));
    assert!(dir.path().join("kobel-start.1").exists());
}
