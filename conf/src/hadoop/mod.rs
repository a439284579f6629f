//! Hadoop's configuration: the XML files of `HADOOP_CONF_DIR`, read as
//! `org.apache.hadoop.conf.Configuration` reads them.

mod defaults;
mod error;
mod expand;
mod jars;
mod load;
mod render;
mod values;
mod xml;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
};

use serde::{Deserialize, Serialize};

pub use error::HadoopConfError;
pub use expand::Variables;
pub use jars::{ClassPath, expand_class_path, find_jars};
pub use load::{SITE_FILES, read_sites};
pub use render::render;
pub use values::Address;

use crate::flink::{Entry, Origin, secret::is_secret};

/// One `<property>` of a file, its value not yet expanded.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Property {
    /// Its name.
    pub name: String,
    /// Its value as written, white space included.
    pub value: String,
    /// Whether no later file may change it.
    #[serde(rename = "final", default, skip_serializing_if = "std::ops::Not::not")]
    pub is_final: bool,
    /// The file it stands in, possibly an included one.
    pub file: PathBuf,
    /// The line there, from 1.
    pub line: usize,
}

/// Values may be passwords, so `Debug` does not show them.
impl fmt::Debug for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Property({} at {}:{})", self.name, self.file.display(), self.line)
    }
}

impl Property {
    /// Whether its value is not to be shown: by Flink's rule, and by what Hadoop's own
    /// `hadoop.security.sensitive-config-keys` adds to that.
    pub fn is_secret(&self) -> bool {
        let name = self.name.to_ascii_lowercase();
        is_secret(&name) || name.ends_with("keystore.pass") || name.contains("credential")
    }
}

/// One of [`SITE_FILES`], with what it includes in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteFile {
    /// `core-site.xml`.
    pub name: String,
    /// Its properties in their order.
    pub properties: Vec<Property>,
}

impl SiteFile {
    /// The same with the environment's variables filled in, for a process that has another
    /// environment. All other variables stay as they are.
    pub fn with_environment(mut self, variables: &Variables) -> Self {
        for property in &mut self.properties {
            property.value = expand::environment(&property.value, variables);
        }
        self
    }
}

/// Names of older days, which Hadoop still takes for the new ones
/// (`Configuration.addDeprecations` of `Configuration` and `HdfsConfiguration`).
const DEPRECATED: [(&str, &str); 5] = [
    ("fs.default.name", "fs.defaultFS"),
    ("dfs.umask", "fs.permissions.umask-mode"),
    ("dfs.block.size", "dfs.blocksize"),
    ("dfs.federation.nameservices", "dfs.nameservices"),
    ("dfs.federation.nameservice.id", "dfs.nameservice.id"),
];

/// The effective configuration: defaults, then the files in their order, the last one wins unless an
/// earlier one said `final`.
#[derive(Debug, Clone, Default)]
pub struct HadoopConf {
    entries: BTreeMap<String, Entry>,
    finals: BTreeSet<String>,
    variables: Variables,
}

impl HadoopConf {
    /// What these files and variables make.
    pub fn new(sites: &[SiteFile], variables: Variables) -> Self {
        let default = |(name, value): &(&str, &str)| {
            (name.to_string(), Entry { value: value.to_string(), origin: Origin::Default })
        };
        let entries = defaults::DEFAULTS.iter().map(default).collect();
        let mut conf = Self { entries, finals: BTreeSet::new(), variables };
        sites.iter().flat_map(|site| &site.properties).for_each(|property| conf.add(property));
        conf
    }

    fn add(&mut self, property: &Property) {
        let name = current_name(&property.name).to_string();
        if !self.finals.contains(&name) {
            let origin = Origin::File { path: property.file.clone(), line: Some(property.line) };
            self.entries.insert(name.clone(), Entry { value: property.value.clone(), origin });
        }
        if property.is_final {
            self.finals.insert(name);
        }
    }

    /// The value of a name as written, and its origin.
    pub fn raw(&self, name: &str) -> Option<&Entry> {
        self.entries.get(current_name(name))
    }
}

fn current_name(name: &str) -> &str {
    DEPRECATED.iter().find(|(old, _)| *old == name).map_or(name, |(_, new)| new)
}

#[cfg(test)]
mod tests;
