//! Flink's configuration files: read, upgraded and written again.

mod conf;
mod error;
mod legacy;
mod load;
mod render;
mod scalar;
pub mod secret;
mod standard;
mod upgrade;
mod yaml;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use conf::{Entry, FlinkConf, Origin};
pub use error::ConfError;
pub use load::{Loaded, load_dir};
pub use render::render;
pub use upgrade::upgrade;

/// Flink's two file formats. They parse values differently, so what was read from one is handed on
/// to Flink in the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// `config.yaml`: YAML 1.2, Flink 1.19 and later, the only one of Flink 2.
    Standard,
    /// `flink-conf.yaml`: `key: value` a line, not YAML, until Flink 1.20.
    Legacy,
}

impl Dialect {
    /// The name of the file in a Flink configuration directory.
    pub fn file_name(self) -> &'static str {
        match self {
            Dialect::Standard => "config.yaml",
            Dialect::Legacy => "flink-conf.yaml",
        }
    }
}

/// The numbers of a Flink version that decide what it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release {
    /// 1 or 2.
    pub major: u32,
    /// The number after the first dot.
    pub minor: u32,
}

/// Something worth telling the user about a key, which does not stop anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The key, or the place in a file, that it is about.
    pub key: String,
    /// What to tell. Never holds a value that could be a secret.
    pub text: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.text)
    }
}
