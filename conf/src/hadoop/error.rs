//! What can be wrong with Hadoop's configuration.

use std::path::PathBuf;

use thiserror::Error;

use crate::{Category, Explain, file::FileError, flink::Origin};

/// A Hadoop configuration that cannot be used. No variant holds a value: it could be a password.
#[derive(Debug, Error)]
pub enum HadoopConfError {
    /// The directory is not there.
    #[error("no Hadoop configuration directory at {}", .0.display())]
    NoDirectory(PathBuf),
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file is not the XML that Hadoop reads.
    #[error("{}:{line}: {what}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong there.
        what: String,
    },
    /// A file that is included is not there, and there is no fallback.
    #[error("{}:{line}: cannot include {href}", path.display())]
    Include {
        /// The file that includes.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What it names.
        href: String,
        /// Why not.
        source: FileError,
    },
    /// A value holds variables that lead nowhere.
    #[error(
        "{name} ({origin}) has variables in it that are replaced more than {} times",
        super::expand::ROUNDS
    )]
    Endless {
        /// The name of the property.
        name: String,
        /// Where its value came from.
        origin: Origin,
    },
    /// A value is of the wrong kind.
    #[error("{name} ({origin}) must be {expected}")]
    Value {
        /// The name of the property.
        name: String,
        /// Where its value came from.
        origin: Origin,
        /// What it must be.
        expected: &'static str,
    },
}

impl Explain for HadoopConfError {
    fn category(&self) -> Category {
        Category::Environment
    }

    fn hint(&self) -> Option<String> {
        match self {
            HadoopConfError::NoDirectory(_) => {
                Some("export HADOOP_CONF_DIR=DIR   (the directory with core-site.xml, or unset it)".into())
            }
            _ => None,
        }
    }
}
