//! What can be wrong with a Flink configuration.

use std::path::PathBuf;

use thiserror::Error;

use crate::{Category, Explain, file::FileError};

/// A Flink configuration that cannot be read or written. No variant holds a value of the
/// configuration: it could be a password.
#[derive(Debug, Error)]
pub enum ConfError {
    /// The configuration directory is not there.
    #[error("no Flink configuration directory at {}", .0.display())]
    NoDirectory(PathBuf),
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is not what Flink could read.
    #[error("{}:{line}:{column}: {what}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What is wrong there, without the text itself.
        what: String,
    },
    /// A key is there twice.
    #[error("{}:{second}: {key} was already set in line {first}", path.display())]
    Duplicate {
        /// The file.
        path: PathBuf,
        /// The flat key.
        key: String,
        /// Line of the first one.
        first: usize,
        /// Line of the second one.
        second: usize,
    },
    /// The value of a key is not what it must be.
    #[error("{key} ({origin}): {what}")]
    Value {
        /// The key.
        key: String,
        /// Where its value came from, as text.
        origin: String,
        /// What is wrong.
        what: String,
    },
    /// Flink's file format has no way to write the key or its value.
    #[error("{key} cannot be written to {file}: {why}")]
    Inexpressible {
        /// The key.
        key: String,
        /// The file's name.
        file: &'static str,
        /// Why not.
        why: &'static str,
    },
}

impl Explain for ConfError {
    fn category(&self) -> Category {
        Category::Environment
    }

    fn hint(&self) -> Option<String> {
        match self {
            ConfError::NoDirectory(_) => Some("name it by --conf DIR or FLINK_CONF_DIR".into()),
            _ => None,
        }
    }
}
