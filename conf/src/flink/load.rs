//! Which file of a Flink configuration directory counts.

use std::path::{Path, PathBuf};

use super::{ConfError, Dialect, FlinkConf, Note, Release, legacy, standard};
use crate::file;

/// What a configuration directory holds.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration, as its file has it: see [`super::upgrade`].
    pub conf: FlinkConf,
    /// The format in which it is to be handed on to Flink.
    pub dialect: Dialect,
    /// The file that was read; none if there was none.
    pub file: Option<PathBuf>,
    /// What the user may want to know.
    pub notes: Vec<Note>,
}

/// Reads the configuration that Flink of this release would read from the directory: until 1.18 only
/// `flink-conf.yaml`, in 1.19 and 1.20 `flink-conf.yaml` before `config.yaml`, in 2 only `config.yaml`,
/// where kobel also takes a lone `flink-conf.yaml` that was left from before.
pub fn load_dir(dir: &Path, release: Release) -> Result<Loaded, ConfError> {
    if !dir.is_dir() {
        return Err(ConfError::NoDirectory(dir.into()));
    }
    let exists = |dialect: &Dialect| dir.join(dialect.file_name()).exists();
    let dialect = release.dialects().iter().copied().find(exists);
    let leftover = release.major >= 2 && dialect.is_none() && exists(&Dialect::Legacy);
    match dialect {
        Some(dialect) => load(dir, dialect, dialect),
        None if leftover => {
            let mut loaded = load(dir, Dialect::Legacy, Dialect::Standard)?;
            let text = "Flink 2 does not read this file; kobel hands it on as config.yaml";
            loaded.notes.push(Note {
                key: dir.join(Dialect::Legacy.file_name()).display().to_string(),
                text: text.into(),
            });
            Ok(loaded)
        }
        None => {
            let dialect = *release.dialects().last().unwrap_or(&Dialect::Standard);
            Ok(Loaded { conf: FlinkConf::new(), dialect, file: None, notes: Vec::new() })
        }
    }
}

impl Release {
    /// The files that Flink of this release reads, the one that wins first.
    fn dialects(self) -> &'static [Dialect] {
        match (self.major, self.minor) {
            (0, _) | (1, ..=18) => &[Dialect::Legacy],
            (1, _) => &[Dialect::Legacy, Dialect::Standard],
            _ => &[Dialect::Standard],
        }
    }
}

fn load(dir: &Path, from: Dialect, dialect: Dialect) -> Result<Loaded, ConfError> {
    let path = dir.join(from.file_name());
    let text = file::read_text(&path)?;
    let (conf, notes) = match from {
        Dialect::Standard => (standard::parse(&text, &path)?, Vec::new()),
        Dialect::Legacy => legacy::parse(&text, &path),
    };
    Ok(Loaded { conf, dialect, file: Some(path), notes })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// What is read for the release from a directory with these files, and how it is handed on.
    fn loaded(files: &[&str], major: u32, minor: u32) -> (Vec<String>, Dialect, usize) {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            fs::write(dir.path().join(file), format!("from: {file}\n")).unwrap();
        }
        let loaded = load_dir(dir.path(), Release { major, minor }).unwrap();
        assert_eq!(loaded.file.is_some(), !loaded.conf.is_empty());
        let values = loaded.conf.iter().map(|(_, entry)| entry.value.clone()).collect();
        (values, loaded.dialect, loaded.notes.len())
    }

    #[test]
    fn each_release_reads_its_own_file() {
        use Dialect::{Legacy, Standard};
        const OLD: &str = "flink-conf.yaml";
        const NEW: &str = "config.yaml";
        assert_eq!(loaded(&[OLD, NEW], 1, 20), (vec![OLD.into()], Legacy, 0));
        assert_eq!(loaded(&[NEW], 1, 20), (vec![NEW.into()], Standard, 0));
        assert_eq!(loaded(&[OLD, NEW], 2, 3), (vec![NEW.into()], Standard, 0));
        assert_eq!(loaded(&[OLD], 2, 3), (vec![OLD.into()], Standard, 1));
        assert_eq!(loaded(&[NEW], 1, 18), (vec![], Legacy, 0));
        assert_eq!(loaded(&[OLD, NEW], 1, 6), (vec![OLD.into()], Legacy, 0));
        assert_eq!(loaded(&[], 1, 20), (vec![], Standard, 0));
    }

    #[test]
    fn a_missing_directory_and_a_file_that_is_none_are_errors() {
        let release = Release { major: 1, minor: 20 };
        assert!(matches!(load_dir(Path::new("/nowhere"), release), Err(ConfError::NoDirectory(_))));
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("config.yaml")).unwrap();
        let error = load_dir(dir.path(), release).unwrap_err();
        assert!(error.to_string().ends_with("config.yaml is not a regular file"), "{error}");
    }
}
