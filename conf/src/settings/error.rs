//! What can be wrong with kobel's own settings.

use std::path::PathBuf;

use thiserror::Error;

use crate::{Category, Explain, file::FileError, flink::Origin};

/// Why kobel's settings are of no use.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is not TOML.
    #[error("{}:{line}:{column}: {what}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What the parser says.
        what: String,
    },
    /// There is no such setting.
    #[error("{origin}: no setting is called {key}")]
    Unknown {
        /// What it was called.
        key: String,
        /// Where.
        origin: Origin,
        /// The setting with the most similar name.
        nearest: Option<&'static str>,
    },
    /// The setting has another type or range.
    #[error("{origin}: {key} {expected}")]
    Value {
        /// The setting.
        key: &'static str,
        /// Where.
        origin: Origin,
        /// What it must be.
        expected: String,
    },
}

impl Explain for SettingsError {
    fn category(&self) -> Category {
        Category::Environment
    }

    fn hint(&self) -> Option<String> {
        match self {
            SettingsError::Unknown { nearest: Some(key), .. } => Some(format!("did you mean {key}?")),
            _ => None,
        }
    }
}
