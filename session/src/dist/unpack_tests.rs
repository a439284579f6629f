use std::os::unix::fs::PermissionsExt;

use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use tar::Header;

use super::*;

/// One entry of an archive to be made; names are written as they are.
struct Entry<'a> {
    name: &'a str,
    kind: EntryType,
    link: &'a str,
    mode: u32,
    data: &'a [u8],
}

fn file<'a>(name: &'a str, data: &'a [u8]) -> Entry<'a> {
    Entry { name, kind: EntryType::Regular, link: "", mode: 0o644, data }
}

fn link<'a>(kind: EntryType, name: &'a str, link: &'a str) -> Entry<'a> {
    Entry { name, kind, link, mode: 0o777, data: b"" }
}

/// Unpacks these entries; a directory beside the target shows whether anything got out.
fn unpacked(entries: &[Entry<'_>]) -> (tempfile::TempDir, Result<(), DistError>) {
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().join("a.tgz");
    let mut tar = tar::Builder::new(GzEncoder::new(File::create(&archive).unwrap(), Compression::best()));
    for entry in entries {
        let mut header = Header::new_gnu();
        // Straight into the fields: the setters refuse just what is to be tried here.
        let old = header.as_old_mut();
        old.name[..entry.name.len()].copy_from_slice(entry.name.as_bytes());
        old.linkname[..entry.link.len()].copy_from_slice(entry.link.as_bytes());
        header.set_entry_type(entry.kind);
        header.set_mode(entry.mode);
        header.set_mtime(1_600_000_000);
        header.set_size(entry.data.len() as u64);
        header.set_cksum();
        tar.append(&header, entry.data).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap();
    let into = dir.path().join("into");
    fs::create_dir(&into).unwrap();
    let result = tgz(&archive, &into, &Work::default());
    (dir, result)
}

/// The entry that an archive was refused for.
fn refused(entries: &[Entry<'_>]) -> String {
    let (dir, result) = unpacked(entries);
    let mut outside = super::super::home::names(dir.path());
    outside.retain(|n| n != "a.tgz" && n != "into");
    assert_eq!(outside, Vec::<String>::new(), "something got out");
    match result {
        Err(DistError::Hostile { entry, .. }) => entry,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_plain_archive_keeps_times_and_the_execute_bit() {
    let mut script = file("./f/bin/flink", b"#!");
    script.mode = 0o6755;
    let (dir, result) =
        unpacked(&[link(EntryType::Directory, "f/", ""), file("f/lib/a.jar", b"123"), script]);
    result.unwrap();
    let meta = |p: &str| fs::metadata(dir.path().join("into/f").join(p)).unwrap();
    assert_eq!(
        meta("lib/a.jar").modified().unwrap(),
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000)
    );
    // The setuid and setgid bits are gone.
    assert_eq!(meta("bin/flink").permissions().mode() & 0o7000, 0);
    assert_eq!(meta("bin/flink").permissions().mode() & 0o100, 0o100);
    assert_eq!(meta("lib/a.jar").permissions().mode() & 0o111, 0);
}

#[test]
fn paths_that_leave_the_target_are_refused_by_name() {
    for name in ["../x", "a/../../x", "/tmp/kobel-never", "a/.."] {
        assert_eq!(refused(&[file("ok", b"1"), file(name, b"2")]), name);
    }
}

#[test]
fn links_out_of_the_target_are_refused() {
    use EntryType::{Link, Symlink};
    assert_eq!(refused(&[link(Symlink, "x", "../out")]), "x");
    assert_eq!(refused(&[link(Symlink, "x", "/etc/passwd")]), "x");
    assert_eq!(refused(&[link(Link, "x", "../a.tgz")]), "x");
    assert_eq!(refused(&[link(Link, "x", "/etc/passwd")]), "x");
    assert_eq!(refused(&[link(Link, "x", "later"), file("later", b"")]), "x");
    // A link by way of a link could lead anywhere.
    let entries = [file("d/e/f", b""), link(Symlink, "d/up", ".."), link(Symlink, "x", "d/up/up/up")];
    assert_eq!(refused(&entries), "x");
}

#[test]
fn nothing_is_written_through_a_link() {
    let entries = [link(EntryType::Symlink, "x", ".."), file("x/evil", b"1")];
    assert_eq!(refused(&entries), "x/evil");
    let through_file = [file("x", b""), file("x/y", b"")];
    assert_eq!(refused(&through_file), "x/y");
}

#[test]
fn links_within_the_archive_work() {
    let entries = [
        file("f/lib/a.jar", b"123"),
        link(EntryType::Symlink, "f/opt/a.jar", "../lib/a.jar"),
        link(EntryType::Link, "f/b.jar", "f/lib/a.jar"),
    ];
    let (dir, result) = unpacked(&entries);
    result.unwrap();
    assert_eq!(fs::read(dir.path().join("into/f/opt/a.jar")).unwrap(), b"123");
    assert_eq!(fs::read(dir.path().join("into/f/b.jar")).unwrap(), b"123");
}

#[test]
fn devices_pipes_and_names_that_come_twice_are_refused() {
    for kind in [EntryType::Char, EntryType::Block, EntryType::Fifo, EntryType::GNUSparse] {
        let mut entry = link(kind, "dev", "");
        entry.data = b"";
        let (_dir, result) = unpacked(&[entry]);
        assert!(result.is_err(), "{kind:?}");
    }
    assert_eq!(refused(&[file("a", b"1"), file("./a", b"2")]), "./a");
    assert_eq!(refused(&[file("a/b", b"1"), file("a", b"2")]), "a");
}

#[test]
fn a_bomb_is_stopped_and_named() {
    let zeros = vec![0u8; (FREE_BYTES * 4) as usize];
    assert_eq!(refused(&[file("small", b"1"), file("bomb", &zeros)]), "bomb");
}

#[test]
fn a_cut_archive_is_not_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (archive, into) = (dir.path().join("a.tgz"), dir.path().join("into"));
    fs::create_dir(&into).unwrap();
    for bytes in [&b""[..], b"not gzip at all", b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x01"] {
        fs::write(&archive, bytes).unwrap();
        assert!(matches!(tgz(&archive, &into, &Work::default()), Err(DistError::Broken { .. })), "{bytes:?}");
    }
}

fn wheel(entries: &[(&str, u32, &[u8])]) -> (tempfile::TempDir, Result<(), DistError>) {
    let dir = tempfile::tempdir().unwrap();
    let (archive, into) = (dir.path().join("a.whl"), dir.path().join("into"));
    let mut zip = zip::ZipWriter::new(File::create(&archive).unwrap());
    for (name, mode, data) in entries {
        let time = zip::DateTime::from_date_and_time(2026, 6, 8, 10, 37, 42).unwrap();
        let options =
            zip::write::SimpleFileOptions::default().unix_permissions(*mode).last_modified_time(time);
        zip.start_file(*name, options).unwrap();
        io::Write::write_all(&mut zip, data).unwrap();
    }
    zip.finish().unwrap();
    fs::create_dir(&into).unwrap();
    let result = self::zip(&archive, &into, &Work::default());
    (dir, result)
}

#[test]
fn a_wheel_keeps_times_as_utc_and_the_execute_bit() {
    let (dir, result) = wheel(&[("pyflink/bin/flink", 0o775, b"#!"), ("pyflink/lib/a.jar", 0o664, b"123")]);
    result.unwrap();
    let meta = |p: &str| fs::metadata(dir.path().join("into/pyflink").join(p)).unwrap();
    let time = "2026-06-08T10:37:42Z".parse::<jiff::Timestamp>().unwrap();
    assert_eq!(meta("lib/a.jar").modified().unwrap(), SystemTime::from(time));
    assert_eq!(meta("bin/flink").permissions().mode() & 0o100, 0o100);
}

#[test]
fn a_wheel_cannot_leave_its_directory() {
    for name in ["../x", "/tmp/kobel-never"] {
        let (dir, result) = wheel(&[(name, 0o644, b"1")]);
        assert!(matches!(result, Err(DistError::Hostile { entry, .. }) if entry == name));
        assert!(!dir.path().join("x").exists());
    }
}

proptest! {
    #[test]
    fn names_stay_inside(name in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(path) = inside(&name) {
            prop_assert!(path.components().all(|c| matches!(c, Component::Normal(_))));
        }
    }

    #[test]
    fn links_resolve_inside_or_not_at_all(from in "([a-c]/){0,3}", target in "(\\.\\./|/|[a-c]/|\\./){0,6}") {
        if let Some(path) = resolve(Path::new(&from), Path::new(&target)) {
            prop_assert!(path.components().all(|c| matches!(c, Component::Normal(_))));
        }
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let dir = tempfile::tempdir().unwrap();
        let archive = dir.path().join("a");
        let mut gz = GzEncoder::new(File::create(&archive).unwrap(), Compression::fast());
        io::Write::write_all(&mut gz, &bytes).unwrap();
        gz.finish().unwrap();
        let into = dir.path().join("into");
        fs::create_dir(&into).unwrap();
        let _ = tgz(&archive, &into, &Work::default());
        fs::write(&archive, &bytes).unwrap();
        let _ = zip(&archive, &into, &Work::default());
    }
}
