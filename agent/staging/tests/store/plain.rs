//! The same store on files.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
};

use kobel_staging::{Cause, Deadlines, PlainFiles};

use super::*;

#[tokio::test]
async fn on_plain_files_it_does_the_same() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let base = format!("{}/staging dir", dir.path().display());
    let store = Staging::new(Arc::new(PlainFiles::new(Deadlines::default())), &base, &[], &BTreeSet::new());
    let blob = blob(1);
    let staged = store.ensure(&blob, &app(1), &|_| ()).await.unwrap();
    assert_eq!(store.ensure(&blob, &app(2), &|_| ()).await.unwrap().sent, 0);
    let meta = fs::metadata(&staged.path).unwrap();
    assert_eq!((meta.len(), meta.mode() & 0o7777), (blob.size, 0o644));
    assert_eq!(staged.mtime as i64, meta.mtime() * 1000 + meta.mtime_nsec() / 1_000_000);
    assert!(
        staged.url.starts_with("file:///") && staged.url.contains("/staging%20dir/blobs/"),
        "{}",
        staged.url
    );
    assert_eq!(staged.visibility, Visibility::Private, "the directory above is closed");

    let private = store.application(&app(1)).await.unwrap();
    private.put("secret", "s").await.unwrap();
    assert_eq!(private.read("secret").await.unwrap(), b"s");
    assert_eq!(fs::metadata(private.path()).unwrap().mode() & 0o7777, 0o700);
    assert_eq!(fs::metadata(format!("{}/secret", private.path())).unwrap().mode() & 0o7777, 0o600);
    assert!(private.put("secret", "t").await.is_err());

    let over = |_: &AppId| true;
    let later = staged.mtime + 30 * 24 * 3_600_000;
    let rules = rules(later, &over);
    let found = store.leftovers(rules).await.unwrap();
    assert_eq!(found.len(), 4, "{found:?}");
    for leftover in &found {
        assert!(store.clear(leftover, rules).await.unwrap());
    }
    assert!(fs::read_dir(format!("{base}/blobs")).unwrap().next().is_none());
}

#[tokio::test]
async fn renaming_never_replaces_and_a_link_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let files = PlainFiles::new(Deadlines::default());
    let path = |name: &str| format!("{}/{name}", dir.path().display());
    fs::write(path("a"), "a").unwrap();
    fs::write(path("b"), "b").unwrap();
    let error = files.rename(&path("a"), &path("b")).await.unwrap_err();
    assert_eq!(error.cause, Cause::Exists);
    assert_eq!(fs::read(path("b")).unwrap(), b"b");
    files.rename(&path("a"), &path("c")).await.unwrap();
    assert!(!fs::exists(path("a")).unwrap());
    std::os::unix::fs::symlink(path("c"), path("link")).unwrap();
    assert_eq!(files.look(&path("link")).await.unwrap().unwrap().kind, kobel_staging::Kind::Other);
    assert_eq!(files.look(&path("none")).await.unwrap(), None);
    assert_eq!(files.list(&path("none")).await.unwrap(), []);
    files.remove(&path("none")).await.unwrap();
    let error = files.read(&path("none"), 9).await.unwrap_err();
    assert_eq!(error.cause, Cause::Absent);
    assert!(matches!(files.read(&path("c"), 0).await.unwrap_err().cause, Cause::TooLarge { .. }));
}
