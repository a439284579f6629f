//! The store over a file system in memory with strangers and faults, and over plain files.

mod faults;
mod gc;
mod memory;
mod plain;

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use kobel_conf::{Category, Explain};
use kobel_staging::{
    AppId, Blob, Digest, Distrust, FileSystem, Rules, Source, Staging, StagingError, Visibility,
};
use memory::Memory;

const BASE: &str = "/user/ann/.kobel";

fn add(sum: &AtomicU64, bytes: u64) {
    sum.fetch_add(bytes, Ordering::Relaxed);
}

fn app(n: u32) -> AppId {
    AppId::try_from(format!("application_1700000000000_{n:04}").as_str()).expect("an id")
}

/// A content of three pieces.
fn blob(fill: u8) -> Blob {
    let bytes = vec![fill; (2 << 20) + 5];
    Blob { digest: Digest::of(&bytes), size: bytes.len() as u64, source: Source::Bytes(bytes.into()) }
}

fn store(fs: Arc<dyn FileSystem>) -> Staging {
    Staging::new(fs, BASE, &[], &BTreeSet::new())
}

fn rules<'a>(now: u64, over: &'a (dyn Fn(&AppId) -> bool + Send + Sync)) -> Rules<'a> {
    let day = Duration::from_secs(24 * 3600);
    Rules { now, partial: day, unused: 7 * day, history: 7 * day, over }
}

#[tokio::test]
async fn a_content_is_uploaded_once_and_found_again() {
    let memory = Memory::with_homes(&["ann"]);
    let (store, blob, sent) = (store(memory.as_user("ann")), blob(1), AtomicU64::new(0));
    let count = |bytes| add(&sent, bytes);
    let first = store.ensure(&blob, &app(1), &count).await.unwrap();
    assert_eq!(first.path, format!("{BASE}/blobs/{}.bin", blob.digest));
    assert_eq!((first.sent, sent.load(Ordering::Relaxed)), (blob.size, blob.size));
    assert_eq!(first.visibility, Visibility::Public);
    memory.pass(Duration::from_secs(9));
    let second = store.ensure(&blob, &app(2), &count).await.unwrap();
    assert_eq!(second.sent, 0);
    assert_eq!((second.path, second.mtime, second.size), (first.path, first.mtime, blob.size));
    assert_eq!(sent.load(Ordering::Relaxed), blob.size);
    assert_eq!(memory.below(&format!("{BASE}/blobs")).len(), 1);
}

#[tokio::test]
async fn a_home_that_is_closed_makes_it_private() {
    let memory = Memory::with_homes(&["ann"]);
    memory.plant("/user/ann", "ann", 0o700, None);
    let staged = store(memory.as_user("ann")).ensure(&blob(1), &app(1), &|_| ()).await.unwrap();
    assert_eq!(staged.visibility, Visibility::Private);
}

#[tokio::test]
async fn a_planted_or_damaged_blob_is_left_alone_and_uploaded_anew() {
    for (owner, mode, bytes) in [("mallory", 0o644, 3), ("ann", 0o666, 3), ("ann", 0o644, 2)] {
        let memory = Memory::with_homes(&["ann"]);
        let (store, blob) = (store(memory.as_user("ann")), blob(1));
        store.ensure(&self::blob(2), &app(1), &|_| ()).await.unwrap();
        let taken = format!("{BASE}/blobs/{}.bin", blob.digest);
        let planted = vec![6; if bytes == 3 { blob.size as usize } else { 2 }];
        memory.plant(&taken, owner, mode, Some(&planted));
        for sent in [blob.size, 0] {
            let staged = store.ensure(&blob, &app(1), &|_| ()).await.unwrap();
            assert_eq!(staged.path, format!("{BASE}/blobs/{}-1.bin", blob.digest), "{owner} {mode:o}");
            assert_eq!(staged.sent, sent);
            assert_eq!(Digest::of(&memory.content(&staged.path).unwrap()), blob.digest);
        }
        assert_eq!(memory.content(&taken).unwrap(), planted);
    }
}

#[tokio::test]
async fn when_all_names_are_taken_it_says_so() {
    let memory = Memory::with_homes(&["ann"]);
    let (store, blob) = (store(memory.as_user("ann")), blob(1));
    for n in 0..9 {
        let spare = if n == 0 { String::new() } else { format!("-{n}") };
        memory.plant(&format!("{BASE}/blobs/{}{spare}.bin", blob.digest), "mallory", 0o644, Some(b""));
    }
    for dir in [BASE, "/user/ann/.kobel/blobs"] {
        memory.plant(dir, "ann", 0o755, None);
    }
    let error = store.ensure(&blob, &app(1), &|_| ()).await.unwrap_err();
    assert!(
        matches!(&error, StagingError::Taken { source: Distrust::Owner { owner, .. }, .. } if owner == "mallory")
    );
    assert_eq!(error.category(), Category::Denied);
}

#[tokio::test]
async fn a_staging_directory_that_others_could_change_is_refused_before_anything_is_written() {
    for (path, owner, mode) in [
        ("/user/ann", "ann", 0o775),
        ("/user/ann", "mallory", 0o755),
        ("/user", "hdfs", 0o777),
        (BASE, "mallory", 0o755),
        (BASE, "ann", 0o777),
    ] {
        let memory = Memory::with_homes(&["ann"]);
        memory.plant(BASE, "ann", 0o755, None);
        memory.plant(path, owner, mode, None);
        let store = store(memory.as_user("ann"));
        let error = store.ensure(&blob(1), &app(1), &|_| ()).await.unwrap_err();
        assert!(matches!(error, StagingError::Unsafe { .. }), "{path} {owner} {mode:o}: {error}");
        assert!(error.hint().is_some());
        assert!(store.application(&app(1)).await.is_err());
        let files =
            memory.below(BASE).into_iter().filter(|path| memory.content(path).unwrap() != b"").count();
        assert_eq!(files, 0);
    }
}

#[tokio::test]
async fn a_shared_directory_is_used_when_its_owner_is_trusted_and_its_blobs_are_whole() {
    let blob = blob(1);
    for (trusted, found) in [(&["carl"][..], true), (&[][..], false), (&["bob"][..], false)] {
        let memory = Memory::with_homes(&["ann", "carl"]);
        let shared = "/user/carl/.kobel".to_string();
        let carl = Staging::new(memory.as_user("carl"), &shared, &[], &BTreeSet::new());
        let theirs = carl.ensure(&blob, &app(1), &|_| ()).await.unwrap();
        let trusted = trusted.iter().map(ToString::to_string).collect();
        let ann = Staging::new(memory.as_user("ann"), BASE, &[shared, "/none".into()], &trusted);
        let staged = ann.ensure(&blob, &app(2), &|_| ()).await.unwrap();
        assert_eq!(staged.path == theirs.path, found, "{trusted:?}");
        assert_eq!(staged.sent, if found { 0 } else { blob.size });
    }
}

#[tokio::test]
async fn uploads_of_one_content_at_once_end_with_one_blob() {
    let memory = Memory::with_homes(&["ann"]);
    let (one, two) = (store(memory.as_user("ann")), store(memory.as_user("ann")));
    let (blob, app) = (blob(1), app(1));
    let (first, second) = tokio::join!(one.ensure(&blob, &app, &|_| ()), two.ensure(&blob, &app, &|_| ()));
    assert_eq!(first.unwrap().path, second.unwrap().path);
    assert_eq!(memory.below(&format!("{BASE}/blobs")), [format!("{BASE}/blobs/{}.bin", blob.digest)]);
}

#[tokio::test]
async fn a_source_that_is_not_what_its_name_says_never_gets_that_name() {
    let memory = Memory::with_homes(&["ann"]);
    let store = store(memory.as_user("ann"));
    let mut wrong = blob(1);
    wrong.digest = Digest::of(b"other");
    let error = store.ensure(&wrong, &app(1), &|_| ()).await.unwrap_err();
    assert!(matches!(error, StagingError::Changed { .. }), "{error}");
    wrong.source = Source::File("/none/such".into());
    let error = store.ensure(&wrong, &app(1), &|_| ()).await.unwrap_err();
    assert!(matches!(error, StagingError::Source { .. }), "{error}");
    assert!(memory.below(&format!("{BASE}/blobs")).is_empty());
}

#[tokio::test]
async fn an_applications_directory_is_closed_and_its_files_are_never_overwritten() {
    let memory = Memory::with_homes(&["ann"]);
    let store = store(memory.as_user("ann"));
    let dir = store.application(&app(1)).await.unwrap();
    assert_eq!(dir.url(), format!("memory:{BASE}/apps/{}", app(1)));
    let staged = dir.put("conf.yaml", "a: b").await.unwrap();
    assert_eq!((staged.size, staged.visibility), (4, Visibility::Private));
    assert!(dir.put("conf.yaml", "c").await.is_err());
    assert_eq!(
        dir.read("conf.yaml").await.unwrap(),
        b"a: b",
        "a refused file is no reason to remove the first"
    );
    let fs = memory.as_user("ann");
    assert_eq!(fs.look(dir.path()).await.unwrap().unwrap().mode, 0o700);
    assert_eq!(fs.look(&staged.path).await.unwrap().unwrap().mode, 0o600);

    let names: Vec<_> =
        (0..9).map(|n| (format!("j{n}.jar"), Source::Bytes(vec![n; n.into()].into()))).collect();
    let all = dir.put_all(&names, &|_| ()).await.unwrap();
    assert_eq!(all.iter().map(|staged| staged.size).collect::<Vec<_>>(), (0..9).collect::<Vec<_>>());
    assert_eq!(dir.list().await.unwrap().len(), 10);
    assert!(matches!(dir.put("../x", "").await, Err(StagingError::Name { .. })));

    // The AM comes back to the same one; a stranger's, or an open one, is refused.
    assert_eq!(store.application(&app(1)).await.unwrap().path(), dir.path());
    for (owner, mode) in [("mallory", 0o700), ("hdfs", 0o700), ("ann", 0o755), ("ann", 0o711)] {
        memory.plant(dir.path(), owner, mode, None);
        assert!(
            matches!(store.application(&app(1)).await, Err(StagingError::Unsafe { .. })),
            "{owner} {mode:o}"
        );
    }
    dir.remove().await.unwrap();
    dir.remove().await.unwrap();
    assert!(memory.below(&format!("{BASE}/apps")).is_empty());
}

#[tokio::test]
async fn what_was_made_is_kept_by_what_it_was_made_from_and_the_first_stays() {
    let memory = Memory::with_homes(&["ann"]);
    let (store, key) = (store(memory.as_user("ann")), Digest::of(b"the tar and the options"));
    let directory = store.application(&app(1)).await.unwrap();
    let make = async |text: &'static [u8], kind: &str| {
        directory.put_draft("draft", &Source::Bytes(text.into())).await.unwrap();
        store.adopt(key, kind, &directory, "draft", &app(1)).await.unwrap();
        assert!(directory.list().await.unwrap().is_empty());
    };
    let kinds = async || {
        let made = store.all_made(key, &app(2)).await.unwrap();
        made.into_iter().map(|made| (made.kind, made.staged.path)).collect::<Vec<_>>()
    };
    assert!(kinds().await.is_empty());
    let path = format!("{BASE}/blobs/{key}.5.jm-1.jsa");
    make(b"first", "jm-1.jsa").await;
    make(b"later", "jm-1.jsa").await;
    assert_eq!(kinds().await, [("jm-1.jsa".to_string(), path.clone())]);
    assert_eq!(memory.content(&path).unwrap(), b"first");
    let made = store.all_made(key, &app(2)).await.unwrap();
    assert_eq!((made[0].staged.size, made[0].staged.visibility), (5, Visibility::Public));
    make(b"other", "tm-1.jsa").await;
    assert_eq!(kinds().await.len(), 2);
    assert!(store.all_made(Digest::of(b"another tar"), &app(2)).await.unwrap().is_empty());

    // A stranger's is not taken for it, nor one that was cut, and both make room for one of ours.
    for (owner, content) in [("mallory", &b"evil!"[..]), ("ann", b"cut")] {
        memory.plant(&path, owner, 0o644, Some(content));
        assert_eq!(kinds().await.len(), 1, "{owner}");
    }
    make(b"mine!", "jm-1.jsa").await;
    let anew = kinds().await.into_iter().find(|(kind, _)| kind == "jm-1.jsa").unwrap().1;
    assert_eq!(memory.content(&anew).unwrap(), b"mine!");
}
