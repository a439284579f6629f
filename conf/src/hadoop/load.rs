//! Finding and reading the files, includes and all.

use std::path::{Path, PathBuf};

use super::{
    HadoopConfError, Property, SiteFile,
    xml::{self, Include, Item},
};
use crate::file::{FileError, read_text};

/// The files that count, in the order in which they are layered: `core-site.xml` belongs to
/// `Configuration`, the next to `HdfsConfiguration`, `YarnConfiguration` and `JobConf`, the last is
/// what `hadoop.ssl.client.conf` names.
pub const SITE_FILES: [&str; 5] =
    ["core-site.xml", "hdfs-site.xml", "yarn-site.xml", "mapred-site.xml", "ssl-client.xml"];

/// Files that one file may lead to by includes of includes.
const MAX_DEPTH: usize = 10;
/// Files that one file may consist of.
const MAX_FILES: usize = 100;

/// Reads the files of these directories. Of two of one name, that of the earlier directory counts, as
/// on a class path; one that is in none of them is left out.
pub fn read_sites(dirs: &[PathBuf]) -> Result<Vec<SiteFile>, HadoopConfError> {
    if let Some(missing) = dirs.iter().find(|dir| !dir.is_dir()) {
        return Err(HadoopConfError::NoDirectory(missing.clone()));
    }
    let mut sites = Vec::new();
    for name in SITE_FILES {
        for path in dirs.iter().map(|dir| dir.join(name)) {
            match read_text(&path) {
                Ok(text) => {
                    let properties = Reader::default().read(&text, &path)?;
                    sites.push(SiteFile { name: name.into(), properties });
                    break;
                }
                Err(error) if error.is_missing() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(sites)
}

/// One file under way with all that it includes.
#[derive(Default)]
struct Reader {
    properties: Vec<Property>,
    /// The files that lead to the present one, it included.
    way: Vec<PathBuf>,
    files: usize,
}

impl Reader {
    fn read(mut self, text: &str, path: &Path) -> Result<Vec<Property>, HadoopConfError> {
        self.file(text, path)?;
        Ok(self.properties)
    }

    fn file(&mut self, text: &str, path: &Path) -> Result<(), HadoopConfError> {
        self.way.push(path.into());
        self.files += 1;
        let items = xml::parse(text, path)?;
        self.items(items, path)?;
        self.way.pop();
        Ok(())
    }

    fn items(&mut self, items: Vec<Item>, path: &Path) -> Result<(), HadoopConfError> {
        for item in items {
            match item {
                Item::Property(property) => self.properties.push(property),
                Item::Include(include) => self.include(include, path)?,
            }
        }
        Ok(())
    }

    /// The file named, relative to the one that names it. Only what is no file at all is replaced by
    /// the fallback; nothing is ever fetched.
    fn include(&mut self, include: Include, path: &Path) -> Result<(), HadoopConfError> {
        let target = path.parent().unwrap_or(Path::new("/")).join(&include.href);
        self.check(&target, include.line, path)?;
        match (read_text(&target), include.fallback) {
            (Ok(text), _) => self.file(&text, &target),
            (Err(error), Some(fallback)) if error.is_missing() => self.items(fallback, path),
            (Err(source), _) => Err(unusable(path, include.line, include.href, source)),
        }
    }

    fn check(&self, target: &Path, line: usize, path: &Path) -> Result<(), HadoopConfError> {
        let what = if self.way.iter().any(|file| file == target) {
            "the file includes itself".to_string()
        } else if self.way.len() >= MAX_DEPTH {
            format!("files include each other more than {MAX_DEPTH} deep")
        } else if self.files >= MAX_FILES {
            format!("more than {MAX_FILES} files are included")
        } else {
            return Ok(());
        };
        Err(HadoopConfError::Syntax { path: path.into(), line, what })
    }
}

fn unusable(path: &Path, line: usize, href: String, source: FileError) -> HadoopConfError {
    HadoopConfError::Include { path: path.into(), line, href, source }
}
