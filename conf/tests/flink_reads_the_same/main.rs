//! kobel reads and writes Flink's configuration files as Flink itself does: one JVM of a real Flink
//! reads the same directories. `KOBEL_TEST_FLINK` and `KOBEL_TEST_FLINK2` name the Flink homes;
//! `scripts/test.sh` sets them.
#![allow(clippy::unwrap_used, reason = "a test says by panicking that it failed")]

use std::{collections::BTreeMap, env, fs, path::Path, process::Command};

use kobel_conf::flink::{self, ConfError, Dialect, Release};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};

type Conf = BTreeMap<String, String>;

/// Files of Flink 1.19 and later that both must read alike, or both refuse.
const STANDARD: &str = include_str!("standard.yaml");
/// The same for `flink-conf.yaml`.
const LEGACY: &str = include_str!("legacy.txt");
/// How many configurations of each dialect are made up, written and read back.
const WRITTEN: usize = 300;

#[test]
fn flink_1_reads_what_kobel_writes_and_reads() {
    let Some(home) = home("KOBEL_TEST_FLINK") else { return };
    let mut scene = Scene::new(&home, Release { major: 1, minor: 20 });
    for (dialect, cases) in [(Dialect::Standard, STANDARD), (Dialect::Legacy, LEGACY)] {
        scene.write_made_up(dialect);
        scene.write_cases(dialect, cases);
    }
    scene.compare(&home);
}

#[test]
fn flink_2_reads_what_kobel_writes_and_reads() {
    let Some(home) = home("KOBEL_TEST_FLINK2") else { return };
    let mut scene = Scene::new(&home, Release { major: 2, minor: 3 });
    scene.write_made_up(Dialect::Standard);
    scene.write_cases(Dialect::Standard, STANDARD);
    scene.compare(&home);
}

/// Configuration directories, and what kobel takes each for: `None` if it refuses.
struct Scene {
    root: tempfile::TempDir,
    release: Release,
    expected: Vec<(String, Option<Conf>)>,
}

impl Scene {
    /// Has the configuration that comes with Flink.
    fn new(home: &str, release: Release) -> Self {
        let mut scene = Self { root: tempfile::tempdir().unwrap(), release, expected: Vec::new() };
        scene.expect_as_read(format!("{home}/conf"));
        scene
    }

    fn write_made_up(&mut self, dialect: Dialect) {
        let mut runner = TestRunner::deterministic();
        let mut written = 0;
        while written < WRITTEN {
            let conf = confs().new_tree(&mut runner).unwrap().current();
            match flink::render(&conf, dialect) {
                Ok(text) => {
                    let dir = self.write(dialect, &text);
                    self.expected.push((dir, Some(conf)));
                    written += 1;
                }
                Err(ConfError::Inexpressible { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn write_cases(&mut self, dialect: Dialect, cases: &str) {
        for case in cases.split("====\n") {
            let dir = self.write(dialect, case);
            self.expect_as_read(dir);
        }
    }

    fn expect_as_read(&mut self, dir: String) {
        let read = flink::load_dir(Path::new(&dir), self.release).ok();
        self.expected.push((dir, read.map(|loaded| loaded.conf.to_map())));
    }

    /// A new configuration directory with this file in it.
    fn write(&self, dialect: Dialect, text: &str) -> String {
        let dir = self.root.path().join(self.expected.len().to_string());
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join(dialect.file_name()), text).unwrap();
        dir.display().to_string()
    }

    fn compare(&self, home: &str) {
        let dirs: Vec<&str> = self.expected.iter().map(|(dir, _)| dir.as_str()).collect();
        let theirs = read_by_flink(home, &dirs);
        let mut differences = Vec::new();
        for ((dir, ours), theirs) in self.expected.iter().zip(theirs) {
            if *ours != theirs {
                let files = ["config.yaml", "flink-conf.yaml"]
                    .map(|name| fs::read_to_string(format!("{dir}/{name}")));
                differences.push(format!("{files:?}\nFlink: {theirs:?}\nkobel: {ours:?}"));
            }
        }
        assert!(differences.is_empty(), "{}", differences.join("\n\n"));
    }
}

/// Keys and values of every kind; NUL and its like included.
fn confs() -> impl Strategy<Value = Conf> {
    let odd = [
        "null", "~", "true", "---", "- a", "a: b", "#", "[a, b]", "{a: b}", "!!str", "&a", "*a", "%", "@",
        "`",
    ];
    let text = prop_oneof![
        "[a-zA-Z0-9._:/ -]{1,20}",
        "[ -~\n\t]{1,20}",
        "\\PC{1,8}",
        "[\u{0}-\u{ff}\u{2028}\u{feff}\u{1F600}]{1,5}",
        r"[-+]?(0x|0o)?[0-9_]{1,6}(\.[0-9]{0,3})?(e[0-9])?",
        prop::sample::select(odd.to_vec()).prop_map(str::to_string),
    ];
    let value = prop_oneof![9 => text, 1 => Just(String::new())];
    prop::collection::btree_map("[a-z]{1,3}(\\.[a-z-]{1,5}){0,2}|[ -~]{1,10}|null|true|08", value, 1..8)
}

/// The Flink home, if there is one to test with.
fn home(variable: &str) -> Option<String> {
    let home = env::var(variable).ok();
    if home.is_none() {
        assert!(env::var_os("CI").is_none(), "{variable} is not set: run scripts/test.sh");
        eprintln!("skipped: {variable} is not set, scripts/test.sh sets it");
    }
    home
}

/// What Flink reads from each directory; `None` where it refuses.
fn read_by_flink(home: &str, dirs: &[&str]) -> Vec<Option<Conf>> {
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/flink_reads_the_same/ReadConf.java");
    let quiet = "-Dlog4j2.level=OFF";
    let class_path = format!("{home}/lib/*");
    let output = Command::new("java").args([quiet, "-cp", &class_path, program]).args(dirs).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let read: Vec<_> = text.split("dir ").skip(1).map(parse_answer).collect();
    assert_eq!(read.len(), dirs.len(), "{text}");
    read
}

fn parse_answer(answer: &str) -> Option<Conf> {
    let mut lines = answer.lines().skip(1);
    let pair = |line: &str| {
        let (key, value) = line.split_once(' ').unwrap();
        (unhex(key), unhex(value))
    };
    (lines.next() == Some("ok")).then(|| lines.map(pair).collect())
}

fn unhex(text: &str) -> String {
    let digits = text.strip_prefix('x').unwrap();
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    String::from_utf8((0..digits.len()).step_by(2).map(byte).collect()).unwrap()
}
