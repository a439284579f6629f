//! Two real NameNodes, of which the active one hangs, is killed for it, and the other takes over: row 18.

use kobel_conf::hadoop::read_sites;
use kobel_kit::{
    hadoop::{Cluster, Hadoop},
    wait,
};

use super::{faults::blobs, *};

const SOON: Duration = Duration::from_secs(30);
/// What the row allows after another NameNode is active.
const ALLOWED: Duration = Duration::from_secs(20);

/// How the call ended that the NameNode had begun when it hung, nobody knows: it cannot be made again by itself.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_begins_again_when_its_name_node_hung_and_another_takes_over() {
    let Some(hadoop) = Hadoop::from_env() else { return };
    let cluster = Cluster::start(&hadoop, Setup::hdfs().name_nodes(2));
    let kit = cluster.hdfs();
    kit.home_of("yuri");
    let sites = read_sites(&[cluster.conf_dir()]).unwrap();
    let properties = sites.into_iter().flat_map(|site| site.properties);
    let conf = properties.map(|property| (property.name, property.value)).collect();
    let store = staging(Hdfs::new(None, &conf, "yuri", Deadlines::default()).unwrap());
    // The upload asks for a second block after 128 MiB.
    let (blob, sent) = (blob(200 << 20, 6), Arc::new(AtomicU64::new(0)));
    let upload = {
        let (blob, counted) = (blob.clone(), sent.clone());
        tokio::spawn(async move { store.ensure(&blob, &app(1), &|bytes| add(&counted, bytes)).await })
    };
    let so_far = || sent.load(Ordering::Relaxed);
    wait::until("bytes on their way", SOON, || match so_far() {
        0 => Err("none".into()),
        _ => Ok(()),
    });
    let hung = kit.active().expect("an active one");
    hung.pause();
    let mut before = 0;
    wait::until("it is held up", SOON, || match std::mem::replace(&mut before, so_far()) {
        same if same == so_far() => Ok(()),
        other => Err(format!("{other}")),
    });
    assert!(!upload.is_finished() && so_far() < blob.size, "{}", so_far());
    hung.kill9();
    kit.activate();
    let since = Instant::now();
    let staged = upload.await.unwrap().unwrap();
    let took = since.elapsed();
    println!("row 18: its NameNode hung and was killed: uploaded {took:.1?} after another one is active");
    assert_eq!((staged.sent, so_far()), (blob.size, blob.size));
    assert_eq!(blobs(kit, "yuri"), [format!("{}.bin", blob.digest)]);
    assert_eq!(staged.url, format!("{}{}", kit.uri(), staged.path));
    assert!(took <= ALLOWED, "{took:?}");
}
