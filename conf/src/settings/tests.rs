use std::fs;

use proptest::prelude::*;

use super::*;
use crate::Explain;

fn none(_: &str) -> Option<OsString> {
    None
}

/// The settings with this user file.
fn with_file(text: &str) -> Result<Settings, SettingsError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    fs::write(&path, text).unwrap();
    Settings::load(&path, &none)
}

#[test]
fn the_defaults_hold_without_a_file() {
    let settings = Settings::load(Path::new("/nowhere/config.toml"), &none).unwrap();
    assert_eq!(settings.flink_version.value, "1.20.5");
    assert_eq!(settings.flink_version.origin, Origin::Default);
    assert_eq!(settings.flink_source.value, FlinkSource::Auto);
    assert_eq!(settings.start_timeout.value, Duration::from_secs(120));
    assert_eq!(settings.start_cds.value, ClassArchives::Auto);
    assert_eq!((settings.task_managers.value, settings.slots.value), (1, None));
}

#[test]
fn the_environment_wins_over_the_file_and_each_value_knows_its_origin() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    fs::write(&path, "flink.version = \"2.3.0\"\n[session]\nslots = 1_0\ntm-memory = \"800m\"\n").unwrap();
    let env = |name: &str| (name == "KOBEL_SESSION_TASK_MANAGERS").then(|| OsString::from("3"));
    let settings = Settings::load(&path, &env).unwrap();
    let line = |line| Origin::File { path: path.clone(), line: Some(line) };
    assert_eq!(settings.flink_version, Sourced { value: "2.3.0".into(), origin: line(1) });
    assert_eq!(settings.slots, Sourced { value: Some(10), origin: line(3) });
    assert_eq!(settings.tm_memory, Sourced { value: Some(MemorySize::from_mib(800)), origin: line(4) });
    let origin = Origin::Environment("KOBEL_SESSION_TASK_MANAGERS".into());
    assert_eq!(settings.task_managers, Sourced { value: 3, origin });
}

#[test]
fn an_unknown_setting_is_refused_with_the_nearest_name() {
    let error = with_file("\n[flink]\nverison = \"1.20.5\"").unwrap_err();
    assert!(error.to_string().ends_with("config.toml:3: no setting is called flink.verison"), "{error}");
    assert_eq!(error.hint().unwrap(), "did you mean flink.version?");
}

#[test]
fn wrong_types_and_values_are_refused_with_file_and_line() {
    let table = [
        ("flink.version = 1", "1: flink.version must be a text in quotes"),
        ("session.slots = \"2\"", "1: session.slots must be a whole number"),
        ("session.slots = [1]", "1: session.slots must be a whole number"),
        ("session.slots = 0", "1: session.slots must be a whole number from 1 to 10000, not \"0\""),
        ("\nstart.timeout = \"30\"", "2: start.timeout must be a duration: \"30\" has no unit"),
        ("session.tm-memory = \"1.5g\"", "1: session.tm-memory must be a size: \"1.5g\" has an unknown unit"),
        ("flink.source = \"ftp\"", "1: flink.source must be auto, apache or pypi, not \"ftp\""),
        ("start.cds = \"on\"", "1: start.cds must be auto or off, not \"on\""),
        ("ha.profile = \"quick\"", "1: ha.profile must be fast, standard or patient, not \"quick\""),
        ("yarn.api = \"http\"", "1: yarn.api must be rest, rpc or auto, not \"http\""),
        ("java.home = \"jdk\"", "1: java.home must be an absolute path, not \"jdk\""),
        ("flink.mirror = \"ftp://x\"", "1: flink.mirror must be an http or https URL"),
        ("flink.version = \"../x\"", "1: flink.version must be a version"),
        ("a = \n", "1:5: "),
        ("flink.version = \"1\"\nflink.version = \"1\"", "2:"),
    ];
    for (text, expected) in table {
        let error = with_file(text).unwrap_err().to_string();
        let (_, place) = error.split_once("config.toml:").unwrap();
        assert!(place.starts_with(expected), "{text:?}: {error}");
        assert!(!error.contains('\n'), "one line: {error}");
    }
}

#[test]
fn lists_have_commas() {
    let text = "[staging]\nshared = \"/apps/kobel, /user/ops/.kobel,\"\ntrusted-owners = \"ops\"";
    let settings = with_file(text).unwrap();
    assert_eq!(settings.staging_shared.value, ["/apps/kobel", "/user/ops/.kobel"]);
    assert_eq!(settings.staging_trusted_owners.value, ["ops".to_string()].into());
    assert!(with_file("").unwrap().staging_shared.value.is_empty());
    let error = with_file("staging.shared = \"/a,b\"").unwrap_err().to_string();
    assert!(
        error.ends_with("staging.shared must be an absolute path such as /user/me/.kobel, not \"b\""),
        "{error}"
    );
}

#[test]
fn a_bad_environment_variable_is_named() {
    let env = |name: &str| (name == "KOBEL_STOP_GRACE").then(|| OsString::from("soon"));
    let error = Settings::load(Path::new("/nowhere"), &env).unwrap_err();
    assert!(error.to_string().starts_with("$KOBEL_STOP_GRACE: stop.grace must be a duration"), "{error}");
}

proptest! {
    #[test]
    fn any_file_is_read_or_refused(text in "(flink|session|slots|version|[\\[\\]=.\"#\\n 0-9a-z]){0,40}") {
        let _ = with_file(&text);
    }
}
