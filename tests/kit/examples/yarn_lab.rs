//! Holds a Hadoop cluster for a person to try things on (`scripts/yarn-lab.sh`), or for a bench (`scripts/bench.sh`).
//!
//! `yarn_lab DIR [KEY=VALUE…]` starts the cluster in the new directory DIR, with these settings of YARN, writes
//! what a shell wants to know of it to `DIR/env`, and ends it when something is written to the pipe `DIR/down`.

use std::{env, fs, os::unix::fs::DirBuilderExt, path::PathBuf, process::Command, time::Instant};

use kobel_kit::hadoop::{Cluster, Hadoop, Setup, Site};

fn main() {
    let dir = PathBuf::from(env::args_os().nth(1).expect("usage: yarn_lab DIR [KEY=VALUE…]"));
    let hadoop = Hadoop::from_env().expect("KOBEL_TEST_HADOOP names Hadoop's jars");
    fs::DirBuilder::new().mode(0o700).create(&dir).expect("a new directory");
    let since = Instant::now();
    let mut setup = Setup::yarn().zookeeper().node_recovery().log_aggregation();
    for setting in env::args().skip(2) {
        let (key, value) = setting.split_once('=').expect("KEY=VALUE");
        setup = setup.set(Site::Yarn, key, value);
    }
    let cluster = Cluster::start_in(&hadoop, setup, dir.clone());
    eprintln!("all of it serves after {:.1} s", since.elapsed().as_secs_f32());

    let down = dir.join("down");
    assert!(Command::new("mkfifo").arg(&down).status().expect("mkfifo").success());
    fs::write(dir.join("env"), describe(&cluster, &hadoop)).expect("a file");
    // Blocks until somebody opens the pipe's other end.
    let _ = fs::read(&down);
    drop(cluster);
}

fn describe(cluster: &Cluster, hadoop: &Hadoop) -> String {
    let pairs = [
        ("HADOOP_CONF_DIR", cluster.conf_dir().display().to_string()),
        ("HADOOP_CLASSPATH", hadoop.class_path()),
        ("YARN_WEB", cluster.yarn().web()),
        ("HDFS_WEB", cluster.hdfs().web()),
        ("HDFS_URI", cluster.hdfs().uri()),
        ("ZOOKEEPER", cluster.zookeeper().address.clone()),
    ];
    pairs.map(|(name, value)| format!("export {name}='{value}'\n")).concat()
}
