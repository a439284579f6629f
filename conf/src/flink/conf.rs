//! A Flink configuration: flat keys, each with its value and where that came from.

use std::{collections::BTreeMap, fmt, path::PathBuf};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A configuration file.
    File {
        /// Its path.
        path: PathBuf,
        /// The line, from 1, where it is known.
        line: Option<usize>,
    },
    /// kobel's own settings.
    Settings,
    /// The environment variable of this name.
    Environment(String),
    /// The command line flag of this name, `--slots`.
    Flag(String),
    /// `-D key=value`.
    Dynamic,
    /// A default.
    Default,
    /// kobel decided it, for this reason.
    Kobel(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File { path, line: Some(line) } => write!(f, "{}:{line}", path.display()),
            Origin::File { path, line: None } => write!(f, "{}", path.display()),
            Origin::Settings => f.write_str("kobel's settings"),
            Origin::Environment(name) => write!(f, "${name}"),
            Origin::Flag(name) => f.write_str(name),
            Origin::Dynamic => f.write_str("-D"),
            Origin::Default => f.write_str("default"),
            Origin::Kobel(reason) => write!(f, "kobel: {reason}"),
        }
    }
}

/// A value and where it came from.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// The value as Flink's own parser hands it to `Configuration`.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

/// Values may be passwords, so `Debug` does not show them.
impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({} bytes from {})", self.value.len(), self.origin)
    }
}

/// A Flink configuration, ordered by key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlinkConf {
    entries: BTreeMap<String, Entry>,
}

impl FlinkConf {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of a key and its origin.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// The value of a key.
    pub fn get_str(&self, key: &str) -> Option<&str> {
        self.get(key).map(|entry| entry.value.as_str())
    }

    /// Whether the key has a value.
    pub fn contains(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Sets a key, whatever it was; answers what it was.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>, origin: Origin) -> Option<Entry> {
        self.entries.insert(key.into(), Entry { value: value.into(), origin })
    }

    /// Sets a key that has no value yet.
    pub fn set_default(&mut self, key: impl Into<String>, value: impl Into<String>, origin: Origin) {
        self.entries.entry(key.into()).or_insert_with(|| Entry { value: value.into(), origin });
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &str) -> Option<Entry> {
        self.entries.remove(key)
    }

    /// All entries, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(key, entry)| (key.as_str(), entry))
    }

    /// How many keys have a value.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no key has a value.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Keys and values without their origins.
    pub fn to_map(&self) -> BTreeMap<String, String> {
        self.entries.iter().map(|(key, entry)| (key.clone(), entry.value.clone())).collect()
    }
}
