//! Daemons that hang, die, or are something else; submitters that are cut.

use kobel_kit::{
    hadoop::{Cluster, Hadoop},
    wait,
};
use kobel_staging::{Cause, FsError, Rules, StagingError, What};

use super::*;

/// What lies in a user's store of contents, by name.
pub(super) fn blobs(kit: &KitHdfs, user: &str) -> Vec<String> {
    let path = format!("/user/{user}/.kobel/blobs");
    kit.list(&path).iter().map(|status| status["pathSuffix"].as_str().unwrap().to_string()).collect()
}

fn cause(error: &StagingError) -> &Cause {
    match error {
        StagingError::Fs(FsError { cause, .. }) => cause,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_upload_leaves_only_a_partial_that_gc_finds_and_the_next_succeeds() {
    let Some(cluster) = hadoop::shared(Setup::hdfs) else { return };
    let kit = cluster.hdfs();
    kit.home_of("tara");
    let store = staging(hdfs(&kit.uri(), "tara"));
    let _alone = MEMORY.lock().await;
    let blob = blob(60 << 20, 4);
    let upload = {
        let (store, blob, begun) = (store.clone(), blob.clone(), Arc::new(AtomicU64::new(0)));
        let counted = begun.clone();
        let task =
            tokio::spawn(async move { store.ensure(&blob, &app(1), &|bytes| add(&counted, bytes)).await });
        wait::until("bytes on their way", Duration::from_secs(20), || match begun.load(Ordering::Relaxed) {
            0 => Err("none".to_string()),
            n => Ok(n),
        });
        task
    };
    upload.abort();
    assert!(upload.await.unwrap_err().is_cancelled());
    let left = blobs(kit, "tara");
    assert!(left.len() == 1 && left[0].starts_with(".partial-"), "{left:?}");

    let staged = store.ensure(&blob, &app(2), &|_| ()).await.unwrap();
    assert_eq!(staged.sent, blob.size);
    let day = Duration::from_secs(24 * 3600);
    let rules = Rules {
        now: staged.mtime + 2 * 24 * 3_600_000,
        partial: day,
        unused: day,
        history: day,
        over: &|_| false,
    };
    let found = store.leftovers(rules).await.unwrap();
    assert_eq!(found.iter().map(|it| it.what.clone()).collect::<Vec<_>>(), [What::Partial]);
    assert!(store.clear(&found[0], rules).await.unwrap());
    assert_eq!(blobs(kit, "tara"), [format!("{}.bin", blob.digest)]);
    kit.remove("/user/tara/.kobel");
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_from_two_processes_at_once_end_with_one_blob() {
    let Some(cluster) = hadoop::shared(Setup::hdfs) else { return };
    let kit = cluster.hdfs();
    kit.home_of("uma");
    let stores = [0; 3].map(|_| staging(hdfs(&kit.uri(), "uma")));
    let _alone = MEMORY.lock().await;
    let (blob, id) = (blob(20 << 20, 5), app(1));
    let [one, two, three] = &stores;
    let nothing = |_| ();
    let (one, two, three) = tokio::join!(
        one.ensure(&blob, &id, &nothing),
        two.ensure(&blob, &id, &nothing),
        three.ensure(&blob, &id, &nothing)
    );
    let (one, two, three) = (one.unwrap(), two.unwrap(), three.unwrap());
    assert!(
        one.path == two.path && two.path == three.path && one.mtime == three.mtime,
        "{one:?} {two:?} {three:?}"
    );
    assert_eq!(blobs(kit, "uma"), [format!("{}.bin", blob.digest)]);
    kit.remove("/user/uma/.kobel");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_address_is_told_quickly() {
    let Some(cluster) = hadoop::shared(Setup::hdfs) else { return };
    let kit = cluster.hdfs();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for (what, uri) in [
        ("a web server", kit.web().replace("http://", "hdfs://")),
        ("nobody", "hdfs://127.0.0.1:1".into()),
        ("no such host", "hdfs://no-such-host.invalid:8020".into()),
        ("somebody who never answers", format!("hdfs://{}", silent.local_addr().unwrap())),
    ] {
        let since = Instant::now();
        let error = hdfs(&uri, "vera").look("/").await.unwrap_err();
        println!("{what}: {:.2?}: {error}: {}", since.elapsed(), error.cause);
        assert!(matches!(error.cause, Cause::Unreachable(_) | Cause::TimedOut(_)), "{what}: {error:?}");
        assert!(since.elapsed() < Duration::from_secs(4), "{what}: {:?}", since.elapsed());
    }
    for url in ["file:///x", "hdfs://", "http://x:1", ""] {
        let error = Hdfs::new(Some(url), &BTreeMap::new(), "vera", Deadlines::default()).unwrap_err();
        assert!(matches!(error.cause, Cause::Unreachable(_)), "{url}: {error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_name_nodes_one_that_hangs_or_refuses_is_passed_over() {
    let Some(cluster) = hadoop::shared(Setup::hdfs) else { return };
    let kit = cluster.hdfs();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for (what, first) in
        [("hangs", silent.local_addr().unwrap().to_string()), ("refuses", "127.0.0.1:1".into())]
    {
        let conf = BTreeMap::from(
            [
                ("fs.defaultFS", "hdfs://nest"),
                ("dfs.ha.namenodes.nest", "one,two"),
                ("dfs.namenode.rpc-address.nest.one", &first),
                ("dfs.namenode.rpc-address.nest.two", kit.uri().trim_start_matches("hdfs://")),
            ]
            .map(|(key, value)| (key.to_string(), value.to_string())),
        );
        let deadlines = Deadlines { call: Duration::from_secs(4), piece: Duration::from_secs(4) };
        let fs = Hdfs::new(None, &conf, "xena", deadlines).unwrap();
        let since = Instant::now();
        let root = fs.look("/").await.unwrap().unwrap();
        println!("the first NameNode {what}: {:.2?}", since.elapsed());
        assert_eq!((root.owner.as_str(), fs.url("/x").as_str()), (kit.superuser.as_str(), "hdfs://nest/x"));
        assert!(since.elapsed() < Duration::from_secs(4));
        let since = Instant::now();
        fs.make_dir(&format!("/tmp/{what}"), 0o755).await.unwrap();
        assert!(since.elapsed() < Duration::from_secs(1), "the next call knows: {:?}", since.elapsed());
    }
}

/// One cluster for the faults of its daemons, one after the other.
#[tokio::test(flavor = "multi_thread")]
async fn daemons_that_hang_or_die_are_an_error_in_time_and_all_is_well_when_they_are_back() {
    let Some(hadoop) = Hadoop::from_env() else { return };
    let cluster = Cluster::start(&hadoop, Setup::hdfs());
    let kit = cluster.hdfs();
    kit.home_of("wanda");
    let store = staging(hdfs(&kit.uri(), "wanda"));
    store.ensure(&blob(1 << 20, 1), &app(1), &|_| ()).await.unwrap();

    name_node_paused(kit, &store).await;
    data_node_killed(kit, &store).await;
    data_node_paused(kit, &store).await;
    name_node_killed(kit, &store).await;
    assert!(
        blobs(kit, "wanda").iter().all(|name| !name.starts_with(".partial-")),
        "{:?}",
        blobs(kit, "wanda")
    );
}

async fn name_node_paused(kit: &KitHdfs, store: &Staging) {
    kit.name_node.pause();
    let since = Instant::now();
    let error = store.ensure(&blob(9, 1), &app(1), &|_| ()).await.unwrap_err();
    println!("NameNode stopped: {:.2?}: {error}: {}", since.elapsed(), cause(&error));
    assert_eq!(cause(&error), &Cause::TimedOut(Duration::from_secs(3)));
    assert!(since.elapsed() < Duration::from_secs(4));
    kit.name_node.resume();
    store.ensure(&blob(9, 1), &app(1), &|_| ()).await.unwrap();
}

/// An upload that is under way when something happens.
async fn upload_and_then(store: &Staging, fill: u8, then: impl FnOnce()) -> (StagingError, Duration) {
    let (sent, begun) = (AtomicU64::new(0), tokio::sync::Notify::new());
    let progress = |bytes| {
        if sent.fetch_add(bytes, Ordering::Relaxed) > 8 << 20 {
            begun.notify_one();
        }
    };
    let _alone = MEMORY.lock().await;
    let (blob, id) = (blob(200 << 20, fill), app(1));
    let mut upload = Box::pin(store.ensure(&blob, &id, &progress));
    tokio::select! {
        done = &mut upload => panic!("done before the fault: {done:?}"),
        () = begun.notified() => {}
    }
    then();
    let since = Instant::now();
    (upload.await.unwrap_err(), since.elapsed())
}

async fn data_node_killed(kit: &KitHdfs, store: &Staging) {
    let (error, took) = upload_and_then(store, 2, || kit.data_node.kill9()).await;
    println!("DataNode killed: {took:.2?}: {error}: {}", cause(&error));
    assert!(took < Duration::from_secs(15));
    kit.data_node.start();
    kit.data_node.wait_ready();
    succeeds_soon(store, &blob(1 << 20, 3)).await;
}

async fn data_node_paused(kit: &KitHdfs, store: &Staging) {
    let (error, took) = upload_and_then(store, 4, || kit.data_node.pause()).await;
    println!("DataNode stopped: {took:.2?}: {error}: {}", cause(&error));
    assert_eq!(cause(&error), &Cause::TimedOut(Duration::from_secs(5)));
    assert!(took < Duration::from_secs(12));
    kit.data_node.resume();
    succeeds_soon(store, &blob(1 << 20, 5)).await;
}

/// A NameNode that comes back without its DataNode stays in safe mode, where nothing can be made.
async fn name_node_killed(kit: &KitHdfs, store: &Staging) {
    kit.data_node.kill9();
    kit.name_node.kill9();
    let since = Instant::now();
    let error = store.ensure(&blob(9, 1), &app(1), &|_| ()).await.unwrap_err();
    println!("NameNode killed: {:.2?}: {error}: {}", since.elapsed(), cause(&error));
    assert!(matches!(cause(&error), Cause::Unreachable(_) | Cause::TimedOut(_)), "{error:?}");
    assert!(since.elapsed() < Duration::from_secs(4));

    kit.name_node.start();
    let since = Instant::now();
    let error = loop {
        let error = store.ensure(&blob(9, 8), &app(1), &|_| ()).await.unwrap_err();
        assert!(error.passing() && since.elapsed() < Duration::from_secs(30), "{error:?}");
        if let Cause::SafeMode(_) = cause(&error) {
            break error;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    println!("safe mode: {error}: {}", cause(&error));
    kit.data_node.start();
    kit.name_node.wait_ready();
    assert_eq!(store.ensure(&blob(1 << 20, 5), &app(1), &|_| ()).await.unwrap().sent, 0);
    succeeds_soon(store, &blob(9, 8)).await;
}

/// For a moment the NameNode may still name the DataNode as it was: at its old port.
async fn succeeds_soon(store: &Staging, blob: &Blob) {
    let since = Instant::now();
    while let Err(error) = store.ensure(blob, &app(1), &|_| ()).await {
        assert!(since.elapsed() < Duration::from_secs(30), "{error:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
