//! Staging on a real HDFS: Flink's own distribution, users who do not trust each other, and daemons that
//! hang, die or refuse.

mod faults;
mod name_nodes;
mod users;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use kobel_kit::{
    Flink,
    hadoop::{self, Hdfs as KitHdfs, Setup},
};
use kobel_staging::{AppId, Blob, Deadlines, Digest, Digests, FileSystem, Hdfs, Source, Staging, Visibility};

const MIB: u64 = 1 << 20;

/// Held by who measures this process's memory, and by who takes much of it: the tests run side by side.
static MEMORY: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

fn add(sum: &AtomicU64, bytes: u64) {
    sum.fetch_add(bytes, Ordering::Relaxed);
}

fn app(n: u32) -> AppId {
    AppId::try_from(format!("application_1700000000000_{n:04}").as_str()).unwrap()
}

fn blob(size: usize, fill: u8) -> Blob {
    let bytes = vec![fill; size];
    Blob { digest: Digest::of(&bytes), size: bytes.len() as u64, source: Source::Bytes(bytes.into()) }
}

/// The HDFS at this address as this user sees it, with short deadlines.
fn hdfs(uri: &str, user: &str) -> Hdfs {
    let conf = BTreeMap::from([("fs.defaultFS".to_string(), format!(" {uri} "))]);
    let deadlines = Deadlines { call: Duration::from_secs(3), piece: Duration::from_secs(5) };
    Hdfs::new(None, &conf, user, deadlines).unwrap()
}

/// A user's own staging directory, in the home directory.
fn staging(hdfs: Hdfs) -> Staging {
    let base = format!("{}/.kobel", hdfs.home());
    Staging::new(Arc::new(hdfs), &base, &[], &BTreeSet::new())
}

/// Owner and permissions as HDFS shows them to others.
fn shown(kit: &KitHdfs, path: &str) -> (String, String) {
    let status = kit.status(path).unwrap_or_else(|| panic!("{path} is not there"));
    let text = |key: &str| status[key].as_str().unwrap().to_string();
    (text("owner"), text("permission"))
}

/// The peak of this process's resident memory in bytes, since the last call.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    fs::write("/proc/self/clear_refs", "5").unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() << 10
}

#[tokio::test(flavor = "multi_thread")]
async fn flinks_distribution_is_uploaded_once() {
    let (Some(flink), Some(cluster)) = (Flink::v1(), hadoop::shared(Setup::hdfs)) else { return };
    let kit = cluster.hdfs();
    kit.home_of("ann");
    let cache = tempfile::tempdir().unwrap();
    let digests = Digests::new(cache.path().join("digests"));
    let named = |home: &Path| digests.distribution(&home.join("lib"), &home.join("plugins")).unwrap();

    let since = Instant::now();
    let blob = named(&flink.home);
    let hashed = since.elapsed();
    let since = Instant::now();
    assert_eq!(named(&flink.home).digest, blob.digest);
    let remembered = since.elapsed();

    let (store, sent) = (staging(hdfs(&kit.uri(), "ann")), AtomicU64::new(0));
    let count = |bytes| add(&sent, bytes);
    let alone = MEMORY.lock().await;
    peak_memory();
    let before = peak_memory();
    let since = Instant::now();
    let first = store.ensure(&blob, &app(1), &count).await.unwrap();
    let uploaded = since.elapsed();
    let memory = peak_memory().saturating_sub(before);
    drop(alone);
    assert_eq!((first.sent, sent.load(Ordering::Relaxed)), (blob.size, blob.size));
    assert_eq!(first.url, format!("{}{}", kit.uri(), first.path));
    assert_eq!(first.visibility, Visibility::Public);
    assert_eq!(shown(kit, &first.path), ("ann".into(), "644".into()));
    let status = kit.status(&first.path).unwrap();
    assert_eq!(status["length"].as_u64(), Some(blob.size));
    assert_eq!(status["modificationTime"].as_u64(), Some(first.mtime));

    // As the next session does it: another process, nothing known but the files.
    let store = staging(hdfs(&kit.uri(), "ann"));
    let since = Instant::now();
    let second = store.ensure(&blob, &app(2), &count).await.unwrap();
    let found = since.elapsed();
    assert_eq!((second.sent, second.mtime, &second.path), (0, first.mtime, &first.path));
    assert_eq!(sent.load(Ordering::Relaxed), blob.size);

    println!(
        "{} MiB: hashed in {hashed:.2?}, remembered in {remembered:.2?}, uploaded in {uploaded:.2?} ({:.0} MiB/s, \
         {} MiB of memory more), found again in {found:.2?}",
        blob.size / MIB,
        (blob.size / MIB) as f64 / uploaded.as_secs_f64(),
        memory / MIB,
    );
    assert!(memory < 48 * MIB, "{memory} bytes for an upload of {}", blob.size);
    assert!(found < Duration::from_secs(2));
    kit.remove("/user/ann/.kobel");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_back_is_what_was_put() {
    let Some(cluster) = hadoop::shared(Setup::hdfs) else { return };
    let kit = cluster.hdfs();
    kit.home_of("rita");
    let fs = hdfs(&kit.uri(), "rita");
    let store = staging(fs.clone());
    let bytes: Vec<u8> = (0..5_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let source = Source::Bytes(bytes.clone().into());
    let blob = Blob { digest: Digest::of(&bytes), size: bytes.len() as u64, source: source.clone() };
    let staged = store.ensure(&blob, &app(1), &|_| ()).await.unwrap();
    assert!(fs.read(&staged.path, 8 << 20).await.unwrap() == bytes);

    let dir = store.application(&app(1)).await.unwrap();
    let odd = "my job;$(x) ü%#.jar".to_string();
    let files = [(odd.clone(), source), ("empty".into(), Source::Bytes(Vec::new().into()))];
    let put = dir.put_all(&files, &|_| ()).await.unwrap();
    assert_eq!(
        put.iter().map(|it| (it.size, it.visibility)).collect::<Vec<_>>(),
        [(5_000_000, Visibility::Private), (0, Visibility::Private)]
    );
    assert!(put[0].url.ends_with("/my%20job%3B%24%28x%29%20%C3%BC%25%23.jar"), "{}", put[0].url);
    assert!(dir.read(&odd).await.unwrap() == bytes);
    assert_eq!(dir.read("empty").await.unwrap(), b"");
    assert_eq!(shown(kit, dir.path()), ("rita".into(), "700".into()));
    assert_eq!(shown(kit, &format!("{}/empty", dir.path())), ("rita".into(), "600".into()));
    assert_eq!(shown(kit, "/user/rita/.kobel"), ("rita".into(), "755".into()), "only the last one is closed");

    assert_eq!(dir.list().await.unwrap().len(), 2);
    let many: Vec<_> =
        (0..100).map(|n| (format!("tm-{n}.json"), Source::Bytes(vec![b'x'; 2000].into()))).collect();
    let since = Instant::now();
    dir.put_all(&many, &|_| ()).await.unwrap();
    println!("100 files of 2 kB in {:.2?}", since.elapsed());
    let mut took = Vec::new();
    for n in 0..20 {
        let since = Instant::now();
        dir.put(&format!("jm-{n}.json"), vec![b'x'; 2000]).await.unwrap();
        took.push(since.elapsed());
    }
    took.sort();
    println!("one after the other: {:.2?} each, {:.2?} at worst", took[10], took[19]);
    // A machine that is busy holds up one or the other, and closing them too early half of all.
    assert!(
        took[14] < Duration::from_millis(450),
        "half a second is lost by closing a file too early: {took:?}"
    );
    dir.remove().await.unwrap();
    assert_eq!(kit.status(dir.path()), None);
    assert!(dir.list().await.unwrap().is_empty());
}
