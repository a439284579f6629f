use std::{
    os::unix::fs::{PermissionsExt, symlink},
    process::Command,
    time::{Duration, SystemTime},
};

use proptest::prelude::*;

use super::*;

fn write(path: &Path, content: &[u8], mtime: u64) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(mtime);
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

fn bytes(tar: &Tar) -> Vec<u8> {
    let mut all = Vec::new();
    tar.reader().read_to_end(&mut all).unwrap();
    all
}

fn home(dir: &Path) -> Tar {
    write(&dir.join("lib/flink-dist-1.20.5.jar"), b"dist", 1_700_000_000);
    write(&dir.join("lib/a.jar"), &[7; 513], 1_600_000_000);
    write(&dir.join("plugins/metrics/m.jar"), &[], 1_500_000_000);
    write(&dir.join("opt/not.jar"), b"opt", 1);
    Tar::of_distribution(&dir.join("lib"), &dir.join("plugins")).unwrap()
}

#[test]
fn the_same_files_give_the_same_bytes_wherever_they_lie_and_whoever_reads_them() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (first, second) = (home(one.path()), home(two.path()));
    fs::set_permissions(two.path().join("lib/a.jar"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(bytes(&first), bytes(&second));
    assert_eq!(bytes(&first).len() as u64, first.size());
    assert_ne!(first.identity(), second.identity(), "other files, even with the same content");

    write(&two.path().join("lib/a.jar"), &[7; 513], 1_600_000_001);
    assert_ne!(bytes(&home_again(two.path())), bytes(&first), "a file's time is part of the content");
}

fn home_again(dir: &Path) -> Tar {
    Tar::of_distribution(&dir.join("lib"), &dir.join("plugins")).unwrap()
}

#[test]
fn the_systems_tar_unpacks_it_with_names_contents_and_times() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    symlink("../opt/not.jar", from.path().join("linked.jar")).unwrap();
    let tar = home(from.path());
    fs::write(to.path().join("x.tar"), bytes(&tar)).unwrap();
    let status = Command::new("tar").args(["-xf", "x.tar"]).current_dir(&to).status().unwrap();
    assert!(status.success());
    for (name, content, mtime) in [
        ("lib/flink-dist-1.20.5.jar", b"dist".to_vec(), 1_700_000_000),
        ("lib/a.jar", vec![7; 513], 1_600_000_000),
        ("plugins/metrics/m.jar", vec![], 1_500_000_000),
    ] {
        assert_eq!(fs::read(to.path().join(name)).unwrap(), content, "{name}");
        assert_eq!(fs::metadata(to.path().join(name)).unwrap().mtime(), mtime, "{name}");
    }
    assert!(!to.path().join("opt").exists());
}

#[test]
fn links_are_followed_and_circles_end() {
    let dir = tempfile::tempdir().unwrap();
    home(dir.path());
    symlink("../opt/not.jar", dir.path().join("lib/linked.jar")).unwrap();
    let tar = Tar::of(&[("lib", &dir.path().join("lib"))]).unwrap();
    let names: Vec<_> = ::tar::Archive::new(&bytes(&tar)[..])
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect();
    assert_eq!(names, ["lib/", "lib/a.jar", "lib/flink-dist-1.20.5.jar", "lib/linked.jar"]);
    symlink(".", dir.path().join("lib/circle")).unwrap();
    assert!(Tar::of(&[("lib", &dir.path().join("lib"))]).is_err());
}

#[test]
fn a_pipe_and_a_lost_file_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let error = Tar::of(&[("lib", dir.path())]).unwrap_err();
    assert!(matches!(&error, TarError::Special { path } if *path == pipe), "{error}");
    let error = Tar::of(&[("lib", &dir.path().join("none"))]).unwrap_err();
    assert!(matches!(error, TarError::Read { .. }));
    fs::remove_file(&pipe).unwrap();
    fs::create_dir_all(dir.path().join("d".repeat(150)).join("e".repeat(150))).unwrap();
    assert!(matches!(Tar::of(&[("lib", dir.path())]).unwrap_err(), TarError::Name { .. }));
}

#[test]
fn a_file_that_becomes_shorter_or_vanishes_is_an_error_not_a_short_tar() {
    let dir = tempfile::tempdir().unwrap();
    let tar = home(dir.path());
    fs::write(dir.path().join("lib/a.jar"), b"x").unwrap();
    let error = tar.reader().read_to_end(&mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("lib/a.jar became shorter"), "{error}");
    fs::remove_file(dir.path().join("lib/a.jar")).unwrap();
    assert!(tar.reader().read_to_end(&mut Vec::new()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// However it is read, what comes out is a tar of these files.
    #[test]
    fn any_tree_comes_out_as_it_went_in(
        files in proptest::collection::btree_map("[a-c]{1,2}/[ -.0-~é]{1,20}", (0usize..1600, 1u64..2_000_000_000), 0..8),
        piece in 1usize..700,
    ) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("lib")).unwrap();
        let wanted: BTreeMap<_, _> = files.into_iter().filter(|(name, _)| !name.ends_with("/.") && !name.ends_with("/..")).collect();
        for (name, (size, mtime)) in &wanted {
            write(&dir.path().join("lib").join(name), &vec![b'x'; *size], *mtime);
        }
        let tar = Tar::of(&[("lib", &dir.path().join("lib"))]).unwrap();
        let (mut reader, mut all, mut buffer) = (tar.reader(), Vec::new(), vec![0; piece]);
        loop {
            match reader.read(&mut buffer).unwrap() {
                0 => break,
                n => all.extend_from_slice(&buffer[..n]),
            }
        }
        prop_assert_eq!(all.len() as u64, tar.size());
        let mut found = BTreeMap::new();
        for entry in ::tar::Archive::new(&all[..]).entries().unwrap() {
            let mut entry = entry.unwrap();
            let (mut content, mtime) = (Vec::new(), entry.header().mtime().unwrap());
            entry.read_to_end(&mut content).unwrap();
            if entry.header().entry_type().is_file() {
                let name = entry.path().unwrap().strip_prefix("lib").unwrap().display().to_string();
                found.insert(name, (content.len(), mtime));
            }
        }
        prop_assert_eq!(found, wanted);
    }
}
