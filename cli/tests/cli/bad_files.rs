//! Configuration that cannot be used. Case numbers are those of reference/reliability.md, section 3.
//! A home that is a Flink by its names only is enough: `--dry-run` starts nothing.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use super::{Ran, assert_misuse, finish, machine::Machine};

/// What would be started there.
impl Machine {
    fn start(&self, args: &[&str]) -> Ran {
        let mut command = self.kobel.command(["start", "--dry-run"]);
        command.args(args).env("FLINK_HOME", self.path("flink")).env("JAVA_HOME", self.path("java"));
        finish(&mut command)
    }

    /// Starts with this as Flink's file.
    fn configured(&self, yaml: &[u8]) -> Ran {
        self.file("flink/conf/config.yaml", yaml);
        self.start(&[])
    }

    /// Starts with this as kobel's file.
    fn with_settings(&self, path: &Path) -> Ran {
        let mut command = self.kobel.command(["start", "--dry-run"]);
        finish(command.env("KOBEL_CONFIG", path))
    }

    /// Nothing of a start that was refused is there.
    fn left_nothing(&self) {
        assert!(!self.path(".local/state/kobel/clusters/default").exists());
    }
}

#[track_caller]
fn assert_refused(ran: &Ran, says: &[&str]) {
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(5), ""), "{ran:?}");
    for text in says {
        assert!(ran.stderr.contains(text), "{text:?} is not in:\n{}", ran.stderr);
    }
}

#[test]
fn a_good_configuration_is_shown_and_nothing_started() {
    let machine = Machine::new();
    let ran = machine.start(&[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    machine.left_nothing();
}

/// Case 4.
#[test]
fn memory_below_flinks_least_is_refused_with_the_sum() {
    let machine = Machine::new();
    assert_refused(&machine.start(&["--jm-mem", "100m"]), &["100m", "least", "jobmanager.memory.heap.size"]);
    assert_refused(
        &machine.start(&["--tm-mem", "100m"]),
        &["100m", "least", "taskmanager.memory.network.min"],
    );
    machine.left_nothing();
}

/// Case 13.
#[test]
fn a_state_directory_that_others_may_change_is_refused() {
    let machine = Machine::new();
    let state = machine.path("state");
    fs::create_dir(&state).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o777)).unwrap();
    let mut command = machine.kobel.command(["start", "--no-wait"]);
    command.env("FLINK_HOME", machine.path("flink")).env("JAVA_HOME", machine.path("java"));
    let ran = finish(command.env("KOBEL_STATE_DIR", &state));
    assert!(matches!(ran.code, Some(5 | 6)), "{ran:?}");
    assert!(ran.stderr.contains(state.to_str().unwrap()), "{ran:?}");
    assert_eq!(fs::read_dir(&state).unwrap().count(), 0, "nothing is put there");
}

/// Case 14.
#[test]
fn a_configuration_that_is_not_there_is_named() {
    let machine = Machine::new();
    assert_refused(&machine.start(&["--conf", "/nonexistent/conf"]), &["/nonexistent/conf"]);
    assert_refused(&machine.start(&["--flink", "/nonexistent/flink"]), &["/nonexistent/flink"]);
}

/// Case 15.
#[test]
fn what_is_no_regular_file_is_not_read() {
    let machine = Machine::new();
    let dir = machine.path("flink");
    assert_refused(&machine.with_settings(&dir), &[dir.to_str().unwrap(), "regular file"]);
    assert_refused(&machine.with_settings(Path::new("/dev/zero")), &["/dev/zero", "regular file"]);
}

/// Cases 16, 18 and 20.
#[test]
fn yaml_that_flink_refuses_is_refused_with_its_place_and_without_its_text() {
    let machine = Machine::new();
    for (yaml, place) in [
        ("a: 1\nsecret: [hunter2\n", "config.yaml"),
        ("a:\n\tsecret: hunter2\n", "config.yaml:2"),
        ("secret: hunter2\nsecret: hunter2\n", "config.yaml"),
    ] {
        let ran = machine.configured(yaml.as_bytes());
        assert_refused(&ran, &[place]);
        assert!(!ran.stderr.contains("hunter2"), "{ran:?}");
    }
    let deep = "[".repeat(100_000);
    assert_refused(&machine.configured(format!("a: {deep}").as_bytes()), &["config.yaml"]);
    machine.left_nothing();
}

/// Case 19.
#[test]
fn line_ends_of_windows_are_accepted_and_latin_1_is_refused_by_its_place() {
    let machine = Machine::new();
    for accepted in [&b"parallelism:\r\n  default: 2\r\n"[..], b"\xef\xbb\xbfparallelism:\n  default: 2\n"] {
        assert_eq!(machine.configured(accepted).code, Some(0));
    }
    assert_refused(&machine.configured(b"# f\xfcr alle\n"), &["config.yaml", "UTF-8"]);
}

/// Cases 21 and 22.
#[test]
fn a_setting_of_kobels_that_is_none_is_refused_with_its_line() {
    let machine = Machine::new();
    let unknown = machine.file("unknown.toml", b"[session]\nslotz = 1\n");
    assert_refused(&machine.with_settings(&unknown), &["slotz", "slots"]);
    let wrong = machine.file("wrong.toml", b"[session]\nslots = [1]\n");
    assert_refused(&machine.with_settings(&wrong), &["wrong.toml:2", "slots"]);
}

/// Cases 24, 25 and 74.
#[test]
fn high_availability_without_what_it_needs_is_refused_by_name() {
    let machine = Machine::new();
    let on = "high-availability.type=zookeeper";
    let quorum = "high-availability.zookeeper.quorum";
    assert_refused(&machine.start(&["-D", on]), &[quorum, "(-D)", "hint", "--zookeeper embedded"]);
    assert_refused(&machine.start(&["-D", "high-availability=kubernetes"]), &["kubernetes", "(-D)"]);
    for bad in ["", "host:port:x", "host:0", ":2181", "::1:2181", "zk/a//b", "zk/../b"] {
        assert_refused(&machine.start(&["--zookeeper", bad]), &[quorum, "--zookeeper", "hint"]);
    }
    let storage = "high-availability.storageDir";
    let relative = format!("{storage}=ha");
    assert_refused(&machine.start(&["--zookeeper", "zk", "-D", &relative]), &[storage, "absolute path"]);
    assert_refused(&machine.start(&["--zookeeper", "zk", "-z", "a/../b"]), &["high-availability.cluster-id"]);
    assert_misuse(&machine.start(&["--masters", "2"]), &["--masters 2", "--zookeeper embedded"]);
    assert_misuse(&machine.start(&["-z", "etl"]), &["-z etl", "--zookeeper"]);
    for bad in ["0", "11", "-1", "two"] {
        assert_misuse(&machine.start(&["--masters", bad]), &["--masters"]);
    }
    assert_refused(
        &machine.configured(b"high-availability:\n  type: com.example.Factory\n"),
        &["com.example.Factory", "config.yaml:2"],
    );
    machine.left_nothing();
}

/// Cases 24 and 69.
#[test]
fn storage_and_zookeeper_are_tried_before_anything_starts() {
    let machine = Machine::new();
    let start = |zookeeper: &str, storage: &str| {
        let storage = format!("high-availability.storageDir={storage}");
        let mut command = machine.kobel.command(["start", "--zookeeper", zookeeper, "-D", &storage]);
        finish(command.env("FLINK_HOME", machine.path("flink")).env("JAVA_HOME", machine.path("java")))
    };
    let file = machine.file("file", b"");
    assert_refused(&start("embedded", file.to_str().unwrap()), &[file.to_str().unwrap(), "(-D)", "hint"]);
    let ha = machine.path("ha");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    assert_refused(&start(&nobody, ha.to_str().unwrap()), &[&nobody, "cannot be reached", "hint"]);
    assert_eq!(fs::metadata(&ha).unwrap().permissions().mode() & 0o777, 0o700, "it is there, and ours alone");
    machine.left_nothing();
}

/// Case 48.
#[test]
fn a_home_without_its_dist_jar_or_with_two_is_refused_with_what_is_there() {
    let machine = Machine::new();
    machine.file("flink/lib/flink-dist-2.3.0.jar", b"");
    assert_refused(&machine.start(&[]), &["flink-dist-1.20.5.jar", "flink-dist-2.3.0.jar"]);
    fs::remove_dir_all(machine.path("flink/lib")).unwrap();
    assert_refused(&machine.start(&[]), &["flink"]);
}

/// Case 50.
#[test]
fn odd_characters_in_a_path_reach_no_shell() {
    let machine = Machine::new();
    for odd in ["a;touch x", "a b", "a\"b", "a'b", "a\nb", "a%41", "a#b", "ä", "$(touch x)"] {
        let home = machine.path(odd);
        fs::create_dir_all(home.join("lib")).unwrap();
        fs::create_dir_all(home.join("conf")).unwrap();
        fs::write(home.join("lib/flink-dist-1.20.5.jar"), "").unwrap();
        fs::write(home.join("conf/config.yaml"), "").unwrap();
        let ran = machine.start(&["--flink", home.to_str().unwrap()]);
        assert!(matches!(ran.code, Some(0 | 2 | 5)), "{odd:?}: {ran:?}");
        assert!(!machine.path("x").exists() && !Path::new("x").exists());
    }
}

/// Case 50.
#[test]
fn a_directory_that_flink_would_take_for_several_is_refused_before_the_start() {
    let machine = Machine::new();
    for (odd, code) in
        [("a,b", 5), ("a:b", 5), ("a|b", 5), ("a\nb", 5), ("a\"b", 0), ("a\\b", 0), ("a b#c", 0)]
    {
        let state = machine.path(odd);
        let mut command = machine.kobel.command(["start", "--dry-run"]);
        command.env("FLINK_HOME", machine.path("flink")).env("JAVA_HOME", machine.path("java"));
        let ran = finish(command.env("KOBEL_STATE_DIR", &state));
        assert_eq!(ran.code, Some(code), "{odd:?}: {ran:?}");
        assert_eq!(ran.stderr.contains("Flink cannot have its files in"), code != 0, "{odd:?}: {ran:?}");
        assert!(!state.exists());
    }
}
