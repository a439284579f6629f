//! What is in Hadoop's jars.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Whether one of these has the class, `org/x/Y.class`. Jars that sound like Hadoop's are looked at
/// first; one that cannot be read has nothing.
pub(super) fn have_class<'a>(entries: impl Iterator<Item = &'a PathBuf>, class: &str) -> bool {
    let (likely, others): (Vec<_>, Vec<_>) = entries.partition(|path| sounds_like_hadoop(path));
    likely.into_iter().chain(others).any(|entry| match entry.is_dir() {
        true => entry.join(class).is_file(),
        false => has_class(entry, class).unwrap_or(false),
    })
}

fn has_class(jar: &Path, class: &str) -> io::Result<bool> {
    let archive = zip::ZipArchive::new(io::BufReader::new(fs::File::open(jar)?))?;
    Ok(archive.index_for_name(class).is_some())
}

/// `hadoop-common-3.4.1.jar`, `flink-shaded-hadoop-2-uber-2.8.3-10.0.jar`.
pub(super) fn sounds_like_hadoop(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().contains("hadoop"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_found_in_jars_of_any_name_and_in_directories() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("classes/org/x")).unwrap();
        for file in ["classes/org/x/Y.class", "empty-hadoop.jar"] {
            fs::write(dir.path().join(file), "").unwrap();
        }
        let jar = dir.path().join("all.jar");
        let mut zip = zip::ZipWriter::new(fs::File::create(&jar).unwrap());
        zip.start_file("org/x/Z.class", zip::write::SimpleFileOptions::default()).unwrap();
        zip.finish().unwrap();
        let entries = [dir.path().join("empty-hadoop.jar"), jar, dir.path().join("classes")];
        for (class, expected) in [("org/x/Y.class", true), ("org/x/Z.class", true), ("org/x/A.class", false)]
        {
            assert_eq!(have_class(entries.iter(), class), expected, "{class}");
        }
    }
}
