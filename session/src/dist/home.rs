//! A Flink home on its way into the store. What one consists of, kobel-flink decides.

use std::{
    fmt::Display,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use kobel_flink::HomeError;
use kobel_plan::FlinkVersion;

use super::{DistError, version};

/// The version of the Flink distribution in this directory. An error names the place it came from, and
/// what is there.
pub(super) fn version_of(home: &Path, place: &dyn Display) -> Result<FlinkVersion, DistError> {
    let refuse = |problem, found| DistError::NotAHome { place: place.to_string(), problem, found };
    let lib = home.join("lib");
    let short = |jars: Vec<PathBuf>| {
        jars.iter().filter_map(|jar| Some(jar.file_name()?.to_string_lossy().into_owned())).collect()
    };
    let version = match kobel_flink::inspect(home) {
        Ok(found) => found.version,
        Err(HomeError::NoDist { .. }) => return Err(refuse("no flink-dist-VERSION.jar in lib", names(&lib))),
        Err(HomeError::ManyDists { jars, .. }) => {
            return Err(refuse("more than one flink-dist jar in lib", short(jars)));
        }
        Err(HomeError::NoVersion { jar }) => {
            return Err(refuse("its flink-dist jar names no version", short(vec![jar])));
        }
        Err(HomeError::MixedVersions { dist, others, .. }) => {
            let found = std::iter::once(format!("flink-dist-{dist}.jar")).chain(short(others)).collect();
            return Err(refuse("jars of several versions in lib", found));
        }
        Err(HomeError::Read { path, .. }) if path == lib && !lib.exists() => {
            return Err(refuse("no lib directory", names(home)));
        }
        Err(HomeError::Read { path, source }) => return Err(DistError::io("read", path)(source)),
    };
    // It becomes a directory's name, so it must be as harmless as one that a person typed.
    let text = version.to_string();
    version::exact(&text).ok_or_else(|| refuse("its flink-dist jar names no version", vec![text]))
}

/// The home in an unpacked archive: its root, or the one directory in it.
pub(super) fn locate(root: &Path) -> PathBuf {
    match names(root).as_slice() {
        [one] if !root.join("lib").is_dir() => root.join(one),
        _ => root.to_path_buf(),
    }
}

/// Gives a home the modes that Flink's own archive has, whatever the umask or the archive said, and
/// returns its size in bytes. Modification times stay: an AppCDS archive is bound to those of the jars.
pub(super) fn settle(home: &Path) -> Result<u64, DistError> {
    let mut bytes = 0;
    let mut dirs = vec![home.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        let here_bin = dir == home.join("bin");
        set_mode(&dir, 0o755)?;
        for entry in fs::read_dir(&dir).map_err(DistError::io("read", &dir))? {
            let entry = entry.map_err(DistError::io("read", &dir))?;
            let path = entry.path();
            let meta = entry.metadata().map_err(DistError::io("look at", &path))?;
            if meta.is_dir() {
                dirs.push(path);
            } else if meta.is_file() {
                bytes += meta.len();
                let script = here_bin && path.extension().is_none_or(|e| e == "sh");
                let runs = script || meta.permissions().mode() & 0o100 != 0;
                set_mode(&path, if runs { 0o755 } else { 0o644 })?;
            }
        }
    }
    Ok(bytes)
}

fn set_mode(path: &Path, mode: u32) -> Result<(), DistError> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .map_err(DistError::io("set the mode of", path))
}

/// Names in a directory, sorted; none if it cannot be read.
pub(super) fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use kobel_conf::Explain;

    use super::*;

    fn home_with(jars: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("lib")).unwrap();
        for jar in jars {
            fs::write(dir.path().join("lib").join(jar), "x").unwrap();
        }
        dir
    }

    #[test]
    fn the_dist_jar_tells_the_version() {
        let dir = home_with(&["flink-cep-1.20.5.jar", "flink-dist-1.20.5.jar"]);
        assert_eq!(version_of(dir.path(), &"it").unwrap().to_string(), "1.20.5");
        let old = home_with(&["flink-dist_2.12-1.14.6.jar"]);
        assert_eq!(version_of(old.path(), &"it").unwrap().to_string(), "1.14.6");
    }

    #[test]
    fn none_or_two_dist_jars_are_refused_with_what_is_there() {
        for jars in
            [&["a.jar"][..], &["flink-dist-1.20.5.jar", "flink-dist-2.3.0.jar"], &["flink-dist-x.jar"]]
        {
            let dir = home_with(jars);
            let error = version_of(dir.path(), &"it").unwrap_err();
            assert!(jars.iter().all(|j| error.to_string().contains(j)), "{error}");
            assert_eq!(error.category(), kobel_conf::Category::Environment);
        }
        let empty = tempfile::tempdir().unwrap();
        fs::write(empty.path().join("README"), "").unwrap();
        assert!(version_of(empty.path(), &"it").unwrap_err().to_string().contains("README"));
    }

    #[test]
    fn settling_opens_directories_and_drops_special_bits() {
        let dir = home_with(&["flink-dist-1.20.5.jar"]);
        let bin = dir.path().join("bin");
        fs::create_dir(&bin).unwrap();
        fs::write(bin.join("flink"), "#!").unwrap();
        fs::write(bin.join("x.jar"), "1234").unwrap();
        set_mode(&bin.join("x.jar"), 0o4600).unwrap();
        set_mode(&bin, 0o700).unwrap();
        assert_eq!(settle(dir.path()).unwrap(), 1 + 2 + 4);
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(&bin), mode(&bin.join("flink")), mode(&bin.join("x.jar"))), (0o755, 0o755, 0o644));
    }
}
