//! Users who do not trust each other, as HDFS tells them apart.

use std::collections::BTreeSet;

use kobel_conf::{Category, Explain};
use kobel_kit::http;
use kobel_staging::{Attempt, Cause, Distrust, FsError, Rules, StagingError, What};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_planted_by_another_user_is_left_alone_and_uploaded_anew() {
    let Some(cluster) = hadoop::shared(Setup::hdfs) else { return };
    let kit = cluster.hdfs();
    kit.home_of("nora");
    for dir in ["/open", "/open/blobs", "/open/leases"] {
        kit.mkdir(&kit.superuser, dir, "1777");
    }
    let blob = blob(300_000, 1);
    let planted = format!("/open/blobs/{}.bin", blob.digest);
    kit.put("evil", &planted, &vec![6; 300_000]);
    assert_eq!(shown(kit, &planted), ("evil".into(), "644".into()));

    let shared = ["/open".to_string()];
    let user = |name: &str, base: &str, trusted: &[&str]| {
        let trusted = trusted.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
        Staging::new(Arc::new(hdfs(&kit.uri(), name)), base, &shared, &trusted)
    };
    let nora = user("nora", "/user/nora/.kobel", &[]);
    let staged = nora.ensure(&blob, &app(1), &|_| ()).await.unwrap();
    assert!(staged.path.starts_with("/user/nora/.kobel/blobs/"), "{}", staged.path);
    assert_eq!(shown(kit, &staged.path).0, "nora");
    let theirs = user("nora", "/user/nora/.kobel", &["evil"]).ensure(&blob, &app(1), &|_| ()).await.unwrap();
    assert_eq!(theirs.path, planted, "with a trust that nobody should have, it would have been taken");

    // And the same in the user's own directory.
    let own = staged.path.clone();
    kit.chown(&own, "evil");
    for sent in [blob.size, 0] {
        let again = nora.ensure(&blob, &app(2), &|_| ()).await.unwrap();
        assert_eq!(again.path, own.replace(".bin", "-1.bin"));
        assert_eq!(again.sent, sent);
    }
    assert_eq!(shown(kit, &own), ("evil".into(), "644".into()));
    for dir in ["/user/nora/.kobel", "/open"] {
        kit.remove(dir);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_of_the_superuser_is_shared_and_leased_by_others() {
    let Some(cluster) = hadoop::shared(Setup::hdfs) else { return };
    let kit = cluster.hdfs();
    kit.home_of("olga");
    let blob = blob(100_000, 2);
    let admin = Staging::new(Arc::new(hdfs(&kit.uri(), &kit.superuser)), "/site", &[], &BTreeSet::new());
    let theirs = admin.ensure(&blob, &app(1), &|_| ()).await.unwrap();
    kit.remove("/site/leases");
    kit.mkdir(&kit.superuser, "/site/leases", "1777");

    let olga = Staging::new(
        Arc::new(hdfs(&kit.uri(), "olga")),
        "/user/olga/.kobel",
        &["/site".into()],
        &BTreeSet::new(),
    );
    let staged = olga.ensure(&blob, &app(2), &|_| ()).await.unwrap();
    assert_eq!((&staged.path, staged.sent, staged.visibility), (&theirs.path, 0, Visibility::Public));

    let late = theirs.mtime + 30 * 24 * 3_600_000;
    let day = Duration::from_secs(24 * 3600);
    let over = |id: &AppId| *id != app(2);
    let rules = Rules { now: late, partial: day, unused: day, history: day, over: &over };
    assert_eq!(admin.leftovers(rules).await.unwrap(), [], "another user's session uses it");
    let all_over = Rules { over: &|_| true, ..rules };
    let found = admin.leftovers(all_over).await.unwrap();
    assert!(found.iter().any(|it| it.what == What::Blob(blob.digest) && it.size == blob.size), "{found:?}");
    for leftover in &found {
        assert!(admin.clear(leftover, all_over).await.unwrap());
    }
    assert!(kit.list("/site/blobs").is_empty());
    kit.remove("/site");
    kit.remove("/user/olga/.kobel");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_can_look_into_an_applications_directory() {
    let Some(cluster) = hadoop::shared(Setup::hdfs) else { return };
    let kit = cluster.hdfs();
    kit.home_of("pia");
    let dir = staging(hdfs(&kit.uri(), "pia")).application(&app(1)).await.unwrap();
    dir.put("secret", "s").await.unwrap();
    let error = hdfs(&kit.uri(), "evil").read(&format!("{}/secret", dir.path()), 9).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Denied(_)), "{error:?}");
    assert_eq!(error.category(), Category::Denied);
    kit.remove("/user/pia/.kobel");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_allowed_is_said_with_the_path_and_leaves_nothing() {
    let Some(cluster) = hadoop::shared(Setup::hdfs) else { return };
    let kit = cluster.hdfs();
    // The root is the superuser's.
    let quin = Staging::new(Arc::new(hdfs(&kit.uri(), "quin")), "/quins", &[], &BTreeSet::new());
    let since = Instant::now();
    let error = quin.ensure(&blob(9, 3), &app(1), &|_| ()).await.unwrap_err();
    println!("denied after {:.2?}: {error}: {}", since.elapsed(), source(&error));
    assert!(since.elapsed() < Duration::from_secs(3));
    let StagingError::Fs(FsError { attempt: Attempt::MakeDir, url, cause: Cause::Denied(why) }) = &error
    else {
        panic!("{error:?}");
    };
    assert!(url.ends_with("/quins") && why.contains("user=quin"), "{url} {why}");
    assert_eq!(kit.status("/quins"), None);

    // A home that all may write to.
    kit.home_of("rosa");
    kit.mkdir(&kit.superuser, "/user/rosa/.kobel", "777");
    kit.chown("/user/rosa/.kobel", "rosa");
    let error = staging(hdfs(&kit.uri(), "rosa")).ensure(&blob(9, 3), &app(1), &|_| ()).await.unwrap_err();
    let writable =
        matches!(&error, StagingError::Unsafe { source: Distrust::Writable { mode: 0o777, .. }, .. });
    assert!(writable, "{error:?}");
    assert_eq!(error.hint().unwrap(), "hdfs dfs -chmod go-w /user/rosa/.kobel");

    // A home with a quota that the content does not fit in: nothing whole, and nothing cut, is left.
    kit.home_of("sara");
    let quota = format!("{}/webhdfs/v1/user/sara?op=SETQUOTA&storagespacequota=1000000", kit.web());
    let reply = http::request("PUT", &format!("{quota}&user.name={}", kit.superuser), &[]).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
    let error =
        staging(hdfs(&kit.uri(), "sara")).ensure(&blob(5_000_000, 3), &app(1), &|_| ()).await.unwrap_err();
    println!("{error}: {}", source(&error));
    assert!(matches!(&error, StagingError::Fs(FsError { cause: Cause::NoRoom(_), .. })), "{error:?}");
    assert!(kit.list("/user/sara/.kobel/blobs").is_empty());
}

fn source(error: &dyn std::error::Error) -> String {
    error.source().map(ToString::to_string).unwrap_or_default()
}
