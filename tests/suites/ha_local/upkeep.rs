//! What stays of a cluster and what goes, without a standby; and Flink's own `masters` file.

use std::{net::TcpListener, path::PathBuf};

use kobel_kit::{Flink, Lab, http, wait};
use zookeeper_client::Client;

use kobel_tests::Endless;

use super::{Ha, SOON, pid_of, quorum, shared, signal_to};

/// Whether ZooKeeper has this znode.
fn is_in_zookeeper(server: &str, path: &str) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = Client::connect(server).await.expect("a session");
        client.check_stat(path).await.expect("an answer").is_some()
    })
}

#[test]
fn without_a_standby_the_leader_comes_back_and_what_is_kept_is_found_again() {
    let (Some(flink), Some(cluster)) = (Flink::v1(), shared()) else { return };
    let server = quorum(&cluster);
    let ha = Ha::start(&server, "ha-upkeep", &flink, &[]);
    let before = ha.whole(1);
    let took = ha.hit("KILL", pid_of(&ha.leader()));
    println!("row 2: leader killed, no standby: job RUNNING with a new checkpoint after {took:?}");
    let after = ha.whole(1);
    assert_eq!(after["taskManagers"], before["taskManagers"], "no TaskManager was replaced");

    let checkpoint = ha.checkpoint().unwrap();
    ha.lab.kobel(&["stop", "ha", "--keep-ha"]).ok();
    ha.lab.no_process_left();
    assert!(is_in_zookeeper(&server, "/ha-upkeep/ha/jobs"), "the job's place is kept");
    assert!(!ha.lab.files("state/ha").is_empty(), "so are its files");
    ha.start_cluster(&server, &[]);
    ha.running_since(checkpoint);
    ha.lab.kobel(&["kill", "ha"]).ok();
    ha.lab.no_process_left();
    assert!(is_in_zookeeper(&server, "/ha-upkeep/ha/jobs"), "what is killed is kept");
    ha.start_cluster(&server, &[]);
    ha.running_since(checkpoint);

    ha.lab.kobel(&["stop", "ha"]).ok();
    ha.lab.no_process_left();
    assert!(!is_in_zookeeper(&server, "/ha-upkeep/ha"), "its znodes go");
    assert_eq!(ha.lab.files("state/ha"), Vec::<PathBuf>::new(), "its files go");
}

/// Item 8: the test everyone does first.
#[test]
fn the_masters_file_gives_each_master_its_web_ui() {
    let (Some(flink), Some(cluster)) = (Flink::v1(), shared()) else { return };
    let mut lab = Lab::with_flink("ha-masters", &flink);
    let free = || TcpListener::bind("127.0.0.1:0").unwrap();
    let (a, b) = (free(), free());
    let ports = [&a, &b].map(|socket| socket.local_addr().unwrap().port());
    drop((a, b));
    let storage = lab.path("ha-storage");
    let conf = format!(
        "high-availability.type: zookeeper\n\
         high-availability.zookeeper.quorum: {}\n\
         high-availability.storageDir: file://{}\n\
         high-availability.cluster-id: /masters\n\
         jobmanager.memory.process.size: 1024m\n\
         taskmanager.memory.process.size: 1024m\n",
        quorum(&cluster),
        storage.display()
    );
    lab.file("conf/config.yaml", &conf);
    lab.file("conf/masters", &format!("localhost:{}\nlocalhost:{}\n", ports[0], ports[1]));
    lab.file("conf/workers", "localhost\n");
    lab.env("FLINK_CONF_DIR", lab.path("conf").to_str().unwrap());
    lab.script("start-cluster.sh", &[]).ok();

    let web = |port: u16| {
        wait::until("the web UI answers", SOON, || {
            let overview = http::get(&format!("http://127.0.0.1:{port}/overview"))?;
            let page = http::get(&format!("http://127.0.0.1:{port}/"))?;
            match (overview.status, page.status, page.body.contains("<title>Apache Flink")) {
                (200, 200, true) => Ok(()),
                _ => Err(format!("{overview:?} {}", page.status)),
            }
        });
    };
    // While one of them is missing its exit code is 3.
    let masters = || lab.kobel(&["status", "default", "-o", "json"]).json()["masters"].clone();
    ports.into_iter().for_each(web);
    for _ in 0..2 {
        let before = masters();
        let leader = before.as_array().unwrap().iter().find(|master| master["leader"] == true).unwrap();
        signal_to("KILL", pid_of(leader));
        ports.into_iter().for_each(web);
        wait::until("both are there", SOON, || {
            let now = masters();
            let led = now
                .as_array()
                .is_some_and(|all| all.len() == 2 && all.iter().any(|one| one["leader"] == true));
            if led && now != before { Ok(()) } else { Err(now.to_string()) }
        });
        ports.into_iter().for_each(web);
    }
    println!("item 8: both web UIs of the masters file answer after either master was killed");
    lab.script("stop-cluster.sh", &[]).ok();
    lab.no_process_left();
}
