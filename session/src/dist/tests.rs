//! Installations from a web server of the test's own.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use flate2::{Compression, write::GzEncoder};
use sha2::Digest;

use super::*;

const NAME: &str = "flink-1.20.5/flink-1.20.5-bin-scala_2.12.tgz";
const THEN: u64 = 1_600_000_000;

/// An archive of something with the shape of a Flink; 300 kB that hardly shrink.
fn archive(version: &str) -> Bytes {
    let mut noise = vec![0u8; 300_000];
    let mut seed = 1u32;
    for byte in &mut noise {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (seed >> 24) as u8;
    }
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let jar = format!("flink-{version}/lib/flink-dist-{version}.jar");
    for (name, mode, data) in [
        (jar, 0o644, noise.as_slice()),
        (format!("flink-{version}/bin/flink"), 0o755, b"#!/bin/sh\n"),
        (format!("flink-{version}/conf/config.yaml"), 0o644, b"a: b\n"),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_mode(mode);
        header.set_mtime(THEN);
        header.set_size(data.len() as u64);
        tar.append_data(&mut header, name, data).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap().into()
}

fn sha512(data: &[u8]) -> String {
    sha2::Sha512::digest(data).iter().map(|b| format!("{b:02x}")).collect()
}

/// A web server: files by path, and what it was asked for.
#[derive(Clone, Default)]
struct Site(Arc<SiteState>);

#[derive(Default)]
struct SiteState {
    files: Mutex<HashMap<String, (Bytes, String)>>,
    /// So many of the next archives break off half-way.
    cuts: AtomicUsize,
    /// `GET path range`, in order.
    log: Mutex<Vec<String>>,
}

impl Site {
    /// Serves on a free port until the test's runtime ends; returns the base address.
    async fn serve(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(answer).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        base
    }

    fn put(&self, path: &str, data: impl Into<Bytes>, etag: &str) {
        self.0.files.lock().unwrap().insert(format!("/{path}"), (data.into(), etag.into()));
    }

    /// With Flink 1.20.5 and its checksum below this folder.
    fn with_flink(folder: &str) -> Self {
        let (site, tgz) = (Site::default(), archive("1.20.5"));
        site.put(&format!("{folder}/{NAME}.sha512"), format!("{}  x.tgz\n", sha512(&tgz)), "\"s\"");
        site.put(&format!("{folder}/{NAME}"), tgz, "\"one\"");
        site
    }

    fn archives_asked_for(&self) -> Vec<String> {
        self.0.log.lock().unwrap().iter().filter(|l| l.contains(".tgz ")).cloned().collect()
    }
}

async fn answer(State(site): State<Site>, request: Request) -> Response {
    let path = request.uri().path().to_string();
    let text = |name| request.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    site.0.log.lock().unwrap().push(format!("GET {path} {}", text(header::RANGE)));
    let Some((data, etag)) = site.0.files.lock().unwrap().get(&path).cloned() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let wanted = text(header::RANGE).strip_prefix("bytes=").and_then(|r| r.strip_suffix('-')?.parse().ok());
    let from = wanted.filter(|_| text(header::IF_RANGE) == etag).unwrap_or(0usize);
    let mut response = Response::builder().header(header::ETAG, &etag);
    if from >= data.len() {
        let range = format!("bytes */{}", data.len());
        return response.status(416).header(header::CONTENT_RANGE, range).body(Body::empty()).unwrap();
    }
    if from > 0 {
        let range = format!("bytes {from}-{}/{}", data.len() - 1, data.len());
        response = response.status(206).header(header::CONTENT_RANGE, range);
    }
    let rest = data.slice(from..);
    let cut = path.ends_with(".tgz")
        && site.0.cuts.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok();
    if !cut {
        return response.body(Body::from(rest)).unwrap();
    }
    let half = rest.slice(..rest.len() / 2);
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        let _ = sender.send(Ok(half)).await;
        // hyper writes what it has before it looks for more only if it has to wait in between.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let _ = sender.send(Err(std::io::Error::other("cut"))).await;
    });
    let parts =
        futures_util::stream::unfold(receiver, |mut r| async { r.recv().await.map(|part| (part, r)) });
    response.header(header::CONTENT_LENGTH, rest.len()).body(Body::from_stream(parts)).unwrap()
}

/// What a progress was told.
#[derive(Default)]
struct Heard {
    notes: Mutex<Vec<String>>,
    bytes: Mutex<(Option<u64>, u64)>,
}

impl Heard {
    fn notes(&self) -> String {
        self.notes.lock().unwrap().join("\n")
    }
}

impl Progress for Heard {
    fn phase(&self, _: &str) {}
    fn started(&self, total: Option<u64>) {
        *self.bytes.lock().unwrap() = (total, 0);
    }
    fn advanced(&self, bytes: u64) {
        self.bytes.lock().unwrap().1 += bytes;
    }
    fn note(&self, text: &str) {
        self.notes.lock().unwrap().push(text.into());
    }
}

struct Scene {
    dir: tempfile::TempDir,
    store: Store,
    request: InstallRequest,
    heard: Heard,
}

impl Scene {
    fn new(base: &str, source: Source) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(&dir.path().join("data"), &dir.path().join("cache"));
        let site = |folder: &str| format!("{base}/{folder}");
        let sites = Sites { mirror: site("m"), archive: site("a"), checksums: site("m") };
        let request = InstallRequest { source, sites, ..InstallRequest::new("1.20.5".parse().unwrap()) };
        Self { dir, store, request, heard: Heard::default() }
    }

    async fn install(&self) -> Result<Installed, DistError> {
        self.store.install(&self.request, &self.heard, Instant::now() + Duration::from_secs(30)).await
    }

    /// Names in the store or the cache but the locks.
    fn left(&self, dir: &str) -> Vec<String> {
        let mut names = home::names(&self.dir.path().join(dir).join("flink"));
        names.retain(|n| n != ".lock");
        names
    }
}

#[tokio::test]
async fn a_release_is_downloaded_verified_and_unpacked() {
    let site = Site::with_flink("m");
    let scene = Scene::new(&site.serve().await, Source::Apache);
    let installed = scene.install().await.unwrap();
    assert_eq!(installed.version.to_string(), "1.20.5");
    assert!(matches!(&installed.source, Origin::Apache(url) if url.ends_with(NAME)));
    let jar = fs::metadata(installed.home.join("lib/flink-dist-1.20.5.jar")).unwrap();
    assert_eq!(jar.modified().unwrap(), SystemTime::UNIX_EPOCH + Duration::from_secs(THEN));
    assert_eq!(scene.store.list().unwrap(), std::slice::from_ref(&installed));
    assert_eq!(scene.store.which(&"1.20".parse().unwrap()).unwrap(), installed);
    assert_eq!((scene.left("data"), scene.left("cache").len()), (vec!["1.20.5".to_string()], 0));
    let (total, done) = *scene.heard.bytes.lock().unwrap();
    assert_eq!(total, Some(done));

    scene.install().await.unwrap();
    assert_eq!(site.archives_asked_for().len(), 1, "the second time there is nothing to do");
}

#[tokio::test]
async fn a_cut_download_goes_on_where_it_stopped() {
    let site = Site::with_flink("m");
    site.0.cuts.store(2, Ordering::SeqCst);
    let scene = Scene::new(&site.serve().await, Source::Apache);
    scene.install().await.unwrap();
    let asked = site.archives_asked_for();
    assert_eq!(asked.len(), 3);
    assert!(asked[1].contains("bytes=") && asked[2].contains("bytes="), "{asked:?}");
    let (total, done) = *scene.heard.bytes.lock().unwrap();
    assert_eq!(total, Some(done));
}

#[tokio::test]
async fn a_later_run_goes_on_unless_the_file_has_changed() {
    for changed in [false, true] {
        let site = Site::with_flink("m");
        site.0.cuts.store(5, Ordering::SeqCst);
        let scene = Scene::new(&site.serve().await, Source::Apache);
        assert!(matches!(scene.install().await, Err(DistError::Cut { attempts: 5, .. })));
        assert_eq!((scene.left("cache").len(), scene.left("data").len()), (2, 0));
        if changed {
            site.put(&format!("m/{NAME}"), archive("1.20.5"), "\"two\"");
        }
        scene.install().await.unwrap();
        assert!(site.archives_asked_for()[5].contains("bytes="));
        assert_eq!(scene.left("cache").len(), 0);
    }
}

#[tokio::test]
async fn a_download_that_was_complete_is_not_repeated() {
    let site = Site::with_flink("m");
    let scene = Scene::new(&site.serve().await, Source::Apache);
    let client = download::client().unwrap();
    let url = download::parse(&format!("{}/{NAME}", scene.request.sites.mirror)).unwrap();
    lock::private_dir(&scene.store.cache).unwrap();
    download::file(&client, &url, &scene.store.cache, &()).await.unwrap();
    scene.install().await.unwrap();
    let size = archive("1.20.5").len();
    assert!(site.archives_asked_for()[1].ends_with(&format!("bytes={size}-")));
}

#[tokio::test]
async fn a_wrong_checksum_installs_nothing_and_keeps_nothing() {
    let site = Site::with_flink("m");
    let mut scene = Scene::new(&site.serve().await, Source::Auto);
    scene.request.sha512 = Some("0".repeat(128).parse().unwrap());
    assert!(matches!(scene.install().await, Err(DistError::Checksum { .. })));
    assert_eq!((scene.left("data").len(), scene.left("cache").len()), (0, 0));
    scene.request.sha512 = None;
    scene.install().await.unwrap();
}

#[tokio::test]
async fn an_old_release_comes_from_the_archive_and_says_so() {
    let site = Site::with_flink("a");
    let scene = Scene::new(&site.serve().await, Source::Apache);
    let installed = scene.install().await.unwrap();
    assert!(installed.source.to_string().contains("/a/flink-1.20.5/"));
    assert!(scene.heard.notes().contains("not among the current releases"), "{}", scene.heard.notes());
}

#[tokio::test]
async fn a_release_that_is_nowhere_is_named_with_the_places() {
    let scene = Scene::new(&Site::default().serve().await, Source::Auto);
    let error = scene.install().await.unwrap_err();
    assert!(matches!(error, DistError::NoSuchRelease { .. }), "{error}");
    assert!(error.to_string().contains("/a/flink-1.20.5"), "{error}");
}

#[tokio::test]
async fn the_newest_patch_is_read_from_the_index_page() {
    let site = Site::with_flink("m");
    site.put(
        "m/",
        r#"<a href="flink-1.20.4/"></a><a href="flink-1.20.5/"></a><a href="flink-2.3.0/"></a>"#,
        "\"i\"",
    );
    let mut scene = Scene::new(&site.serve().await, Source::Apache);
    scene.request.version = "1.20".parse().unwrap();
    assert_eq!(scene.install().await.unwrap().version.to_string(), "1.20.5");
}

#[tokio::test]
async fn two_at_once_join() {
    let site = Site::with_flink("m");
    let scene = Scene::new(&site.serve().await, Source::Apache);
    let (one, two) = tokio::join!(scene.install(), scene.install());
    assert_eq!(one.unwrap().home, two.unwrap().home);
    assert_eq!(site.archives_asked_for().len(), 1);
    assert!(scene.heard.notes().contains("waiting for it"), "{}", scene.heard.notes());
}

#[tokio::test]
async fn an_address_is_installed_with_the_checksum_beside_it() {
    let site = Site::with_flink("m");
    let base = site.serve().await;
    let url = format!("{}/m/{NAME}?token=hunter2", base.replace("http://", "http://me:hunter2@"));
    let scene = Scene::new(&base, Source::From(url.parse().unwrap()));
    let installed = scene.install().await.unwrap();
    assert!(!fs::read_to_string(installed.home.join(RECORD)).unwrap().contains("hunter2"));
    assert_eq!(scene.heard.notes(), "");
    assert!(site.0.log.lock().unwrap().iter().any(|l| l.contains(".sha512")));
}

#[tokio::test]
async fn a_site_that_never_answers_runs_into_the_deadline() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let scene = Scene::new(&format!("http://{}", listener.local_addr().unwrap()), Source::Apache);
    let deadline = Instant::now() + Duration::from_millis(300);
    let error = scene.store.install(&scene.request, &scene.heard, deadline).await.unwrap_err();
    assert!(matches!(error, DistError::TimedOut { .. }));
    assert_eq!(scene.left("data").len(), 0);
}

#[tokio::test]
async fn a_closed_site_does_not_answer() {
    let scene = Scene::new("http://127.0.0.1:1", Source::Apache);
    let error = scene.install().await.unwrap_err();
    assert_eq!(error.to_string(), "http://127.0.0.1:1 does not answer");
}

#[tokio::test]
async fn an_archive_file_is_checked_against_the_version_asked_for() {
    let mut scene = Scene::new("http://127.0.0.1:1", Source::Auto);
    let file = scene.dir.path().join("x.tgz");
    fs::write(&file, archive("2.3.0")).unwrap();
    scene.request.source = Source::From(file.to_str().unwrap().parse().unwrap());
    scene.request.offline = true;
    let error = scene.install().await.unwrap_err();
    assert!(error.to_string().ends_with("x.tgz holds Flink 2.3.0, not 1.20.5"), "{error}");
    assert_eq!(scene.left("data").len(), 0);
    scene.request.version = "2.3".parse().unwrap();
    scene.request.sha512 = Some(sha512(&archive("2.3.0")).parse().unwrap());
    assert_eq!(scene.install().await.unwrap().version.to_string(), "2.3.0");
    assert!(file.exists(), "the user's file stays");
}

#[tokio::test]
async fn a_directory_is_copied_and_rubbish_of_killed_installations_goes() {
    let mut scene = Scene::new("http://127.0.0.1:1", Source::Auto);
    let from = scene.dir.path().join("given");
    fs::create_dir_all(from.join("lib")).unwrap();
    fs::write(from.join("lib/flink-dist-1.20.5.jar"), "x").unwrap();
    scene.request.source = Source::From(from.to_str().unwrap().parse().unwrap());
    for rubbish in ["data/flink/.tmp-1/archive", "cache/flink/.tmp-2", "data/flink/1.20.5/lib"] {
        fs::create_dir_all(scene.dir.path().join(rubbish)).unwrap();
    }
    let installed = scene.install().await.unwrap();
    assert_eq!(installed.source, Origin::Directory(fs::canonicalize(&from).unwrap()));
    assert_eq!((scene.left("data"), scene.left("cache").len()), (vec!["1.20.5".to_string()], 0));

    let removed = scene.store.remove(&scene.request.version).unwrap();
    assert_eq!(removed.home, installed.home);
    assert_eq!(scene.left("data").len(), 0);
    let error = scene.store.which(&scene.request.version).unwrap_err();
    assert!(matches!(error, DistError::NotInstalled { .. }));
    assert_eq!(kobel_conf::Explain::hint(&error).unwrap(), "kobel flink install 1.20.5");
}

#[tokio::test]
async fn offline_refuses_what_needs_the_network() {
    let mut scene = Scene::new("http://127.0.0.1:1", Source::Auto);
    scene.request.offline = true;
    assert!(matches!(scene.install().await, Err(DistError::Offline { .. })));
    assert!(!scene.dir.path().join("data").exists());
}

#[tokio::test]
async fn a_silent_site_falls_back_to_the_python_index() {
    if std::env::var_os("KOBEL_TEST_NETWORK").is_none() {
        eprintln!("skipped: KOBEL_TEST_NETWORK is not set");
        return;
    }
    let scene = Scene::new("http://127.0.0.1:1", Source::Auto);
    let deadline = Instant::now() + Duration::from_secs(300);
    let installed = scene.store.install(&scene.request, &scene.heard, deadline).await.unwrap();
    assert_eq!(installed.source, Origin::Pypi);
    assert!(scene.heard.notes().contains("does not answer; taking Flink from the Python package index"));
    for file in ["bin/flink", "conf/config.yaml", "lib/flink-dist-1.20.5.jar", "LICENSE"] {
        assert!(installed.home.join(file).is_file(), "{file}");
    }
    assert_eq!((scene.left("data"), scene.left("cache").len()), (vec!["1.20.5".to_string()], 0));
}
