//! Archives of Flink's classes inside containers.

use std::fs;

use kobel_kit::{Flink, hadoop::Cluster, wait};

use super::{PROMPT, USER, Yarn, start, status};

/// Archives of classes in a user's staging directory.
fn archives(cluster: &Cluster) -> Vec<String> {
    let names = cluster.hdfs().list(&format!("/user/{USER}/.kobel/blobs"));
    let names = names.iter().filter_map(|file| file["pathSuffix"].as_str());
    names.filter(|name| name.ends_with(".jsa")).map(String::from).collect()
}

/// The JVMs in containers whose command line holds this: process id and command line.
fn jvms(cluster: &Cluster, part: &str) -> Vec<(i32, String)> {
    cluster
        .containers()
        .into_iter()
        .filter(|(_, line)| line.contains("/bin/java") && line.contains(part))
        .collect()
}

/// Which of JobManager and TaskManager have an archive of ours in their memory.
fn mapped(cluster: &Cluster) -> [bool; 2] {
    let maps = |class| {
        let found = jvms(cluster, class);
        let maps = found.iter().map(|(pid, _)| fs::read_to_string(format!("/proc/{pid}/maps")).unwrap());
        maps.collect::<String>()
    };
    [("StandaloneSessionClusterEntrypoint", "jm-"), ("TaskManagerRunner", "tm-")].map(|(class, kind)| {
        maps(class).lines().any(|line| line.ends_with(".jsa") && line.contains(&format!(".{kind}")))
    })
}

#[test]
fn archives_of_classes_are_made_in_a_container_once_and_mapped_by_the_next_session() {
    let (Some(flink), Some(yarn)) = (Flink::v1(), Yarn::get()) else { return };
    let mut lab = yarn.lab("yarn-appcds", &flink);
    lab.env("KOBEL_START_CDS", "auto");
    let first = start(&lab, &["--tm", "1"]).ok();
    assert_eq!(mapped(&yarn.cluster), [false, false]);
    // What makes `local` start quickly does so here, too.
    let (_, master) = jvms(&yarn.cluster, "StandaloneSessionClusterEntrypoint").remove(0);
    assert!(
        master.contains("-XX:Tier4InvocationThreshold=50000") && master.contains("-XX:+UseSerialGC"),
        "{master}"
    );
    wait::until("both archives are kept", 5 * PROMPT, || match archives(&yarn.cluster) {
        made if made.len() == 2 => Ok(()),
        made => Err(format!("{made:?}")),
    });
    wait::until("the container of the training is gone", PROMPT, || match jvms(&yarn.cluster, "").len() {
        2 => Ok(()),
        more => Err(format!("{more} JVMs")),
    });
    lab.kobel(&["stop", "wc"]).ok();
    yarn.nothing_left(&lab);
    let made = archives(&yarn.cluster);

    let second = start(&lab, &["--tm", "1"]).ok();
    assert_eq!(mapped(&yarn.cluster), [true, true]);
    println!("ready after {:?} without archives, {:?} with them", first.took, second.took);
    lab.kobel(&["stop", "wc"]).ok();
    yarn.nothing_left(&lab);
    assert_eq!(archives(&yarn.cluster), made, "nothing is made twice");

    // Junk of the right length, which only the JVM finds out, and of another one.
    for (name, cut) in made.iter().zip([0, 1]) {
        let path = format!("/user/{USER}/.kobel/blobs/{name}");
        let size = yarn.cluster.hdfs().status(&path).unwrap()["length"].as_u64().unwrap();
        yarn.cluster.hdfs().put(USER, &path, &vec![0xf0; size as usize - cut]);
    }
    start(&lab, &["--tm", "1"]).ok();
    assert_eq!(mapped(&yarn.cluster), [false, false], "what is damaged harms nobody");
    lab.kobel(&["stop", "wc"]).ok();
    yarn.nothing_left(&lab);
    made.iter().for_each(|name| yarn.cluster.hdfs().remove(&format!("/user/{USER}/.kobel/blobs/{name}")));
}

#[test]
fn a_training_that_is_cut_leaves_nothing_and_delays_nothing() {
    let (Some(flink), Some(yarn)) = (Flink::v1(), Yarn::get()) else { return };
    let mut lab = yarn.lab("yarn-training", &flink);
    lab.env("KOBEL_START_CDS", "auto");
    // Archives of another test fit no other collector.
    let args = ["--tm", "0", "-D", "env.java.opts.all=-XX:+UseParallelGC"];
    start(&lab, &args).ok();
    let before = archives(&yarn.cluster);
    let trainees = || jvms(&yarn.cluster, "-XX:ArchiveClassesAtExit=");
    let run = || {
        wait::until("the training runs", 2 * PROMPT, || match trainees() {
            none if none.is_empty() => Err("no JVM that writes an archive".to_string()),
            _ => Ok(()),
        })
    };
    run();
    let first = trainees();
    let master = status(&lab)["agent"]["pid"].as_i64().expect("a process id");
    let kill = std::process::Command::new("kill").arg("-KILL").arg(master.to_string()).status();
    assert!(kill.expect("kill").success());
    wait::until("it goes with the master that wanted it", PROMPT, || match trainees() {
        left if left.iter().all(|left| !first.contains(left)) => Ok(()),
        left => Err(format!("{left:?}")),
    });
    lab.kobel(&["wait", "wc", "--for", "ready", "--timeout", "60s"]).ok();
    run();
    let stopped = lab.kobel(&["stop", "wc"]).ok();
    println!("training cut: stopped after {:?}", stopped.took);
    assert!(stopped.took < PROMPT / 2, "{:?}", stopped.took);
    yarn.nothing_left(&lab);
    assert_eq!(archives(&yarn.cluster), before);
    let blobs = yarn.cluster.hdfs().list(&format!("/user/{USER}/.kobel/blobs"));
    assert!(blobs.iter().all(|file| !file["pathSuffix"].as_str().unwrap().starts_with('.')), "{blobs:?}");
}
