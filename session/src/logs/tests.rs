use std::io::Write;

use proptest::prelude::*;

use super::*;

fn dir_with(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn append(dir: &tempfile::TempDir, name: &str, text: &str) {
    let mut file = File::options().append(true).create(true).open(dir.path().join(name)).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn names(dir: &tempfile::TempDir, which: Which) -> Vec<String> {
    list(dir.path(), which).unwrap().iter().map(LogFile::name).collect()
}

#[test]
fn files_are_chosen_by_whose_they_are() {
    let files = ["agent.log", "jm-0.1.log", "jm-0.2.log", "tm-0.1.out", "tm-10.1.out", "tm-2.1.err"];
    let all: Vec<_> = files.iter().map(|f| (*f, "")).chain([("gc.txt", ""), ("x.log", "")]).collect();
    let dir = dir_with(&all);
    let sorted = ["agent.log", "jm-0.1.log", "jm-0.2.log", "tm-0.1.out", "tm-2.1.err", "tm-10.1.out"];
    assert_eq!(names(&dir, Which::All), sorted);
    assert_eq!(names(&dir, Which::Latest), sorted[2..]);
    assert_eq!(names(&dir, Which::Role(Role::JobManager)), sorted[1..3]);
    assert_eq!(names(&dir, Which::Worker(WorkerId::tm(10))), sorted[5..]);
    assert_eq!(names(&dir, Which::Agent), sorted[..1]);
    assert!(list(&dir.path().join("none"), Which::All).unwrap().is_empty());
}

#[test]
fn growing_files_give_whole_lines_and_survive_rolling() {
    let dir = dir_with(&[("a", "old\n")]);
    let path = dir.path().join("a");
    let mut growing = Growing::from_end(&path);
    append(&dir, "a", "one\ntw");
    assert_eq!(growing.poll().unwrap(), ["one"]);
    append(&dir, "a", "o\nrest");
    assert_eq!(growing.poll().unwrap(), ["two"]);
    assert_eq!(growing.rest().as_deref(), Some("rest"));
    std::fs::write(&path, "new\n").unwrap();
    assert_eq!(growing.poll().unwrap(), ["new"]);
    assert!(Growing::from_end(dir.path().join("none")).poll().unwrap().is_empty());
}

#[test]
fn a_follower_finds_later_files_from_their_beginning() {
    let dir = dir_with(&[("tm-0.1.log", "old\n")]);
    let mut follower = Follower::new(dir.path(), Which::All).unwrap();
    append(&dir, "tm-0.1.log", "more\n");
    append(&dir, "tm-0.2.log", "first\n");
    let lines: Vec<_> = follower.poll().unwrap().into_iter().map(|(f, l)| (f.name(), l)).collect();
    let pair = |a: &str, b: &str| (a.to_string(), b.to_string());
    assert_eq!(lines, [pair("tm-0.1.log", "more"), pair("tm-0.2.log", "first")]);
}

#[test]
fn the_log_that_explains_is_the_failed_worker_s() {
    let dir = dir_with(&[
        ("agent.log", "agent\n"),
        ("jm-0.1.log", "2026 ERROR old\n"),
        ("jm-0.2.log", "2026 INFO starting\n"),
        ("jm-0.2.err", "Unrecognized option: -Xfoo\n"),
        (
            "tm-0.1.log",
            &format!("2026 ERROR no memory\n{}2026 INFO bye\n", "\tat a.b(C.java:1)\n".repeat(60)),
        ),
        ("tm-0.1.err", "WARNING: noise\n"),
    ]);
    let explained = |reason| explaining(dir.path(), reason).unwrap();
    assert_eq!(explained(Some("jm-0 exited with code 1")), "jm-0.2.err:\nUnrecognized option: -Xfoo");
    assert_eq!(
        explained(Some("tm-0 (attempt 1) exited")),
        "tm-0.1.log:\n2026 ERROR no memory\n2026 INFO bye"
    );
    assert_eq!(explained(Some("tm-0.1 exited")), "tm-0.1.log:\n2026 ERROR no memory\n2026 INFO bye");
    assert_eq!(explained(None), "agent.log:\nagent");
    assert_eq!(explaining(dir.path(), Some("tm-7 exited")), None);
}

proptest! {
    #[test]
    fn a_tail_is_the_end_of_the_lines(
        lines in proptest::collection::vec("[^\r\n]{0,3000}", 0..60), n in 0usize..70, ended in any::<bool>(),
    ) {
        let mut text = lines.join("\n");
        if ended && !text.is_empty() { text.push('\n'); }
        let dir = dir_with(&[("a", &text)]);
        let all: Vec<_> = text.lines().map(str::to_string).collect();
        let (last, end) = tail(&dir.path().join("a"), n).unwrap();
        prop_assert_eq!(last, &all[all.len().saturating_sub(n)..]);
        prop_assert_eq!(end, text.len() as u64);
    }

    #[test]
    fn any_file_name_is_sorted_out(name in "[^/\\x00]{1,40}") {
        let _ = LogFile::parse(PathBuf::from(name));
    }
}
