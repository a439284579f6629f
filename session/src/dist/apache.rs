//! Flink from Apache's download sites, or a mirror of them.

use std::path::{Path, PathBuf};

use kobel_plan::FlinkVersion;
use reqwest::{Client, Url};

use super::{DistError, Progress, Sha512, Wish, download, version};

/// Where Apache's releases are: base addresses below which lies `flink-V/flink-V-bin-scala_2.12.tgz`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sites {
    /// Current releases, fast.
    pub mirror: String,
    /// Every release ever, slow: used where the mirror has none.
    pub archive: String,
    /// Checksums of current releases: Apache's own server, as a mirror must not vouch for itself.
    pub checksums: String,
}

impl Default for Sites {
    fn default() -> Self {
        Self {
            mirror: "https://dlcdn.apache.org/flink".into(),
            archive: "https://archive.apache.org/dist/flink".into(),
            checksums: "https://downloads.apache.org/flink".into(),
        }
    }
}

impl Sites {
    fn below(base: &str, path: &str) -> Result<Url, DistError> {
        download::parse(&format!("{}/{path}", base.trim_end_matches('/')))
    }

    fn tgz(base: &str, version: &FlinkVersion) -> Result<Url, DistError> {
        Self::below(base, &format!("flink-{version}/flink-{version}-bin-scala_2.12.tgz"))
    }
}

/// A release archive that has been downloaded, not yet checked.
pub(super) struct Release {
    pub(super) file: PathBuf,
    pub(super) url: Url,
    pub(super) sha512: Sha512,
}

/// The release that a wish means: itself, or the newest patch in the sites' index pages.
pub(super) async fn resolve(client: &Client, sites: &Sites, wish: &Wish) -> Result<FlinkVersion, DistError> {
    if let Wish::Exact(version) = wish {
        return Ok(version.clone());
    }
    let mut looked = Vec::new();
    for base in [&sites.mirror, &sites.archive] {
        let url = Sites::below(base, "")?;
        match download::text(client, &url).await {
            Ok(page) => match wish.best(releases_in(&page)) {
                Some(version) => return Ok(version),
                None => looked.push(download::shown(&url)),
            },
            Err(error) if error.is_missing() => looked.push(download::shown(&url)),
            Err(error) => return Err(error),
        }
    }
    Err(DistError::NoSuchRelease { wish: wish.clone(), looked })
}

/// The releases that an index page links to, `href="flink-1.20.5/"`.
fn releases_in(page: &str) -> Vec<FlinkVersion> {
    let names = page.split("flink-").skip(1);
    names.filter_map(|rest| version::exact(rest.split_once('/')?.0)).collect()
}

/// Downloads a release. Its checksum is the user's, or the published one.
pub(super) async fn fetch(
    client: &Client,
    sites: &Sites,
    version: &FlinkVersion,
    sha512: Option<Sha512>,
    cache: &Path,
    progress: &dyn Progress,
) -> Result<Release, DistError> {
    let sha512 = match sha512 {
        Some(given) => given,
        None => published(client, sites, version).await?,
    };
    let mut looked = Vec::new();
    for base in [&sites.mirror, &sites.archive] {
        let url = Sites::tgz(base, version)?;
        match download::file(client, &url, cache, progress).await {
            Ok(file) => return Ok(Release { file, url, sha512 }),
            Err(error) if error.is_missing() => {
                if looked.is_empty() {
                    let archive = download::shown(&download::parse(&sites.archive)?);
                    progress.note(&format!(
                        "Flink {version} is not among the current releases; looking in {archive}, which is slow"
                    ));
                }
                looked.push(download::shown(&url));
            }
            Err(error) => return Err(error),
        }
    }
    Err(DistError::NoSuchRelease { wish: Wish::Exact(version.clone()), looked })
}

async fn published(client: &Client, sites: &Sites, version: &FlinkVersion) -> Result<Sha512, DistError> {
    let mut looked = Vec::new();
    for base in [&sites.checksums, &sites.archive] {
        let mut url = Sites::tgz(base, version)?;
        url.set_path(&format!("{}.sha512", url.path()));
        match download::text(client, &url).await {
            Ok(text) => {
                return Sha512::published(&text)
                    .ok_or_else(|| DistError::NoChecksum { url: download::shown(&url) });
            }
            Err(error) if error.is_missing() => looked.push(download::shown(&url)),
            Err(error) => return Err(error),
        }
    }
    Err(DistError::NoSuchRelease { wish: Wish::Exact(version.clone()), looked })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_index_page_lists_releases() {
        let page = r#"<a href="flink-1.20.4/">flink-1.20.4/</a> <a href="flink-1.20.5/">x</a>
            <a href="flink-connector-kafka-3.0/">x</a> <a href="flink-2.3.0/">x</a> flink-"#;
        let wish: Wish = "1.20".parse().unwrap();
        assert_eq!(wish.best(releases_in(page)).unwrap().to_string(), "1.20.5");
    }

    #[test]
    fn a_release_lies_below_its_site() {
        let version = version::exact("1.20.5").unwrap();
        let url = Sites::tgz(&Sites::default().archive, &version).unwrap();
        assert_eq!(
            url.as_str(),
            "https://archive.apache.org/dist/flink/flink-1.20.5/flink-1.20.5-bin-scala_2.12.tgz"
        );
        assert_eq!(Sites::below("http://h/x//", "").unwrap().as_str(), "http://h/x/");
    }

    proptest! {
        #[test]
        fn any_page_is_read_without_panic(page in "(flink-|1.20|/|\\PC)*") {
            let _ = releases_in(&page);
        }
    }
}
