//! One installation, from the request to the rename that makes it visible.

use std::{
    convert::Infallible,
    fs,
    path::{Path, PathBuf},
    str::FromStr,
};

use jiff::Timestamp;
use kobel_plan::FlinkVersion;
use reqwest::Client;

use super::{
    DistError, Installed, Origin, Progress, RECORD, Record, Sha512, Sites, Store, Wish, apache, copy,
    download, home, lock::Locked, progress::blocking, pypi, unpack,
};

/// Where a Flink shall come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Apache's site, or the Python package index if that site does not answer.
    Auto,
    /// Apache's site.
    Apache,
    /// The Python package index.
    Pypi,
    /// A place that the user names.
    From(Place),
}

/// A place that holds a Flink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A `.tgz` file.
    Archive(PathBuf),
    /// A Flink home.
    Directory(PathBuf),
    /// The http or https address of a `.tgz` file.
    Url(String),
}

impl FromStr for Place {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let path = PathBuf::from(text);
        Ok(if text.starts_with("http://") || text.starts_with("https://") {
            Place::Url(text.into())
        } else if path.is_dir() {
            Place::Directory(path)
        } else {
            Place::Archive(path)
        })
    }
}

/// What to install, from where.
#[derive(Debug, Clone)]
pub struct InstallRequest {
    /// The version.
    pub version: Wish,
    /// Where from.
    pub source: Source,
    /// Apache's sites, or mirrors.
    pub sites: Sites,
    /// The Python package index to use; `None` leaves it to pip's own configuration.
    pub index: Option<String>,
    /// The checksum of the archive; `None` takes the published one where there is one.
    pub sha512: Option<Sha512>,
    /// Whether the network must not be used.
    pub offline: bool,
}

impl InstallRequest {
    /// This version from wherever it can be had.
    pub fn new(version: Wish) -> Self {
        Self {
            version,
            source: Source::Auto,
            sites: Sites::default(),
            index: None,
            sha512: None,
            offline: false,
        }
    }

    /// What to call a source that needs the network.
    fn network(&self) -> Option<&'static str> {
        match self.source {
            Source::Auto | Source::Apache => Some("Apache's site"),
            Source::Pypi => Some("the Python package index"),
            Source::From(Place::Url(_)) => Some("that address"),
            Source::From(Place::Archive(_) | Place::Directory(_)) => None,
        }
    }
}

/// What a source came up with.
enum Got {
    /// The version turned out to be installed.
    Installed(Installed),
    /// A home in the staging directory.
    Home { home: PathBuf, origin: Origin, sha512: Option<Sha512> },
}

pub(super) async fn run(
    store: &Store,
    request: &InstallRequest,
    progress: &dyn Progress,
) -> Result<Installed, DistError> {
    if let Some(found) = present(store, &request.version) {
        return Ok(found);
    }
    if let (true, Some(name)) = (request.offline, request.network()) {
        return Err(DistError::Offline { wish: request.version.clone(), source_name: name.into() });
    }
    let _store = Locked::acquire(&store.root, progress).await?;
    let _cache = Locked::acquire(&store.cache, progress).await?;
    if let Some(found) = present(store, &request.version) {
        return Ok(found);
    }
    let staging = store.staging()?;
    let job = Job { store, request, progress, staging: staging.path() };
    match job.get().await? {
        Got::Installed(found) => Ok(found),
        Got::Home { home, origin, sha512 } => job.publish(home, origin, sha512),
    }
}

fn present(store: &Store, wish: &Wish) -> Option<Installed> {
    let Wish::Exact(version) = wish else { return None };
    store.get(version)
}

struct Job<'a> {
    store: &'a Store,
    request: &'a InstallRequest,
    progress: &'a dyn Progress,
    staging: &'a Path,
}

impl Job<'_> {
    async fn get(&self) -> Result<Got, DistError> {
        match &self.request.source {
            Source::Apache => self.apache(&download::client()?).await,
            Source::Pypi => self.pypi().await,
            Source::From(Place::Url(url)) => self.url(&download::client()?, url).await,
            Source::From(Place::Archive(file)) => self.archive(file).await,
            Source::From(Place::Directory(dir)) => self.directory(dir).await,
            Source::Auto => match self.apache(&download::client()?).await {
                // A checksum that the user gave is that of Apache's archive; pip's packages differ.
                Err(error) if error.is_site_failure() && self.request.sha512.is_none() => {
                    self.progress.note(&format!("{error}; taking Flink from the Python package index"));
                    self.pypi().await
                }
                other => other,
            },
        }
    }

    /// The installed Flink of a version that only now is known.
    fn already(&self, version: &FlinkVersion) -> Option<Got> {
        present(self.store, &Wish::Exact(version.clone())).map(Got::Installed)
    }

    async fn apache(&self, client: &Client) -> Result<Got, DistError> {
        let (request, progress) = (self.request, self.progress);
        progress.phase(&format!("looking for Flink {}", request.version));
        let version = apache::resolve(client, &request.sites, &request.version).await?;
        if let Some(found) = self.already(&version) {
            return Ok(found);
        }
        let given = request.sha512.clone();
        let release =
            apache::fetch(client, &request.sites, &version, given, &self.store.cache, progress).await?;
        let url = download::shown(&release.url);
        self.downloaded(&release.file, url.clone(), Some(release.sha512), Origin::Apache(url)).await
    }

    async fn url(&self, client: &Client, url: &str) -> Result<Got, DistError> {
        let url = download::parse(url)?;
        let name = download::shown(&url);
        let sha512 = match &self.request.sha512 {
            Some(given) => Some(given.clone()),
            None => {
                let mut beside = url.clone();
                beside.set_path(&format!("{}.sha512", url.path()));
                download::text(client, &beside).await.ok().and_then(|text| Sha512::published(&text))
            }
        };
        if sha512.is_none() {
            self.progress.note(&format!("nothing vouches for {name}: no --sha512, and no .sha512 beside it"));
        }
        let file = download::file(client, &url, &self.store.cache, self.progress).await?;
        self.downloaded(&file, name.clone(), sha512, Origin::Url(name)).await
    }

    /// Unpacks a download, which is then used up: also when it is wrong, so that nobody goes on with it.
    async fn downloaded(
        &self,
        file: &Path,
        name: String,
        sha512: Option<Sha512>,
        origin: Origin,
    ) -> Result<Got, DistError> {
        let result = self.checked(file, name, sha512, origin).await;
        download::forget(file);
        result
    }

    async fn archive(&self, file: &Path) -> Result<Got, DistError> {
        let file = fs::canonicalize(file).map_err(DistError::io("open", file))?;
        let name = file.display().to_string();
        self.checked(&file, name, self.request.sha512.clone(), Origin::Archive(file.clone())).await
    }

    async fn checked(
        &self,
        file: &Path,
        name: String,
        sha512: Option<Sha512>,
        origin: Origin,
    ) -> Result<Got, DistError> {
        if let Some(expected) = sha512.clone() {
            let file = file.to_path_buf();
            self.begin("verifying", &name, size_of(&file)?);
            blocking(self.progress, move |work| expected.check(&file, &name, work)).await?;
        }
        let home = home::locate(&self.unpacked(file, "archive").await?);
        Ok(Got::Home { home, origin, sha512 })
    }

    async fn directory(&self, dir: &Path) -> Result<Got, DistError> {
        let dir = fs::canonicalize(dir).map_err(DistError::io("open", dir))?;
        // Before copying what may be anything at all.
        home::version_of(&dir, &dir.display())?;
        self.begin("copying", &dir.display().to_string(), copy::size(&dir)?);
        let (from, to) = (dir.clone(), self.staging.join("home"));
        let home = to.clone();
        blocking(self.progress, move |work| copy::tree(&from, &to, work)).await?;
        let _ = fs::remove_file(home.join(RECORD));
        Ok(Got::Home { home, origin: Origin::Directory(dir), sha512: None })
    }

    async fn pypi(&self) -> Result<Got, DistError> {
        let index = self.request.index.as_deref().map(download::parse).transpose()?;
        let scratch = tempfile::Builder::new().prefix(super::lock::UNFINISHED).tempdir_in(&self.store.cache);
        let scratch = scratch.map_err(DistError::io("create a directory in", &self.store.cache))?;
        let pip = pypi::Pip { scratch: scratch.path(), index: index.as_ref(), progress: self.progress };
        let (scripts, version) = pip.scripts(&self.request.version).await?;
        if let Some(found) = self.already(&version) {
            return Ok(found);
        }
        let libraries = pip.libraries(&version).await?;
        let libraries = self.unpacked(&libraries, "libraries").await?;
        let scripts = self.unpacked(&scripts, "scripts").await?;
        let home = self.staging.join("home");
        pypi::assemble(&libraries, &scripts, &home)?;
        Ok(Got::Home { home, origin: Origin::Pypi, sha512: None })
    }

    /// Unpacks an archive into a new directory of the staging directory.
    async fn unpacked(&self, file: &Path, name: &str) -> Result<PathBuf, DistError> {
        let into = self.staging.join(name);
        fs::create_dir(&into).map_err(DistError::io("create", &into))?;
        let shown = file.file_name().unwrap_or(file.as_os_str()).display().to_string();
        self.begin("unpacking", shown.trim_end_matches(".part"), size_of(file)?);
        let (file, to) = (file.to_path_buf(), into.clone());
        let is_zip = file.extension().is_some_and(|e| e == "whl");
        blocking(self.progress, move |work| match is_zip {
            true => unpack::zip(&file, &to, work),
            false => unpack::tgz(&file, &to, work),
        })
        .await?;
        Ok(into)
    }

    fn begin(&self, what: &str, name: &str, bytes: u64) {
        self.progress.phase(&format!("{what} {name}"));
        self.progress.started(Some(bytes));
    }

    /// Makes a home visible under its version, if it is the one asked for.
    fn publish(&self, home: PathBuf, source: Origin, sha512: Option<Sha512>) -> Result<Installed, DistError> {
        let place = source.to_string();
        let version = home::version_of(&home, &place)?;
        let wish = &self.request.version;
        if !wish.is_met_by(&version) {
            return Err(DistError::OtherVersion { place, wish: wish.clone(), found: version.to_string() });
        }
        if let Some(Got::Installed(found)) = self.already(&version) {
            return Ok(found);
        }
        let (size, installed_at) = (home::settle(&home)?, Timestamp::now());
        let sha512 = sha512.map(|s| s.to_string());
        let record = Record { source: source.clone(), sha512, bytes: size, installed_at };
        let json = serde_json::to_vec_pretty(&record).unwrap_or_default();
        fs::write(home.join(RECORD), json).map_err(DistError::io("write to", &home))?;
        let target = self.store.root.join(version.to_string());
        // What lies there is no whole home, or it would have been found: out of the way with it.
        super::lock::gone(fs::rename(&target, self.staging.join("broken")))
            .and_then(|()| fs::rename(&home, &target))
            .map_err(DistError::io("rename the new home to", &target))?;
        tracing::info!(%version, home = %target.display(), "installed flink");
        Ok(Installed { version, home: target, size, source, installed_at: Some(installed_at) })
    }
}

fn size_of(file: &Path) -> Result<u64, DistError> {
    Ok(fs::metadata(file).map_err(DistError::io("open", file))?.len())
}
