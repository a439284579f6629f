//! Archives of classes: made in the background after the first start, mapped by the JVMs of the next.

use std::{fs, path::PathBuf, time::Duration};

use kobel_kit::{Lab, hadoop::Hadoop, on_each_flink, wait};

/// The finished archives of the lab.
fn archives(lab: &Lab) -> Vec<PathBuf> {
    let mut found = lab.files("cache/cds");
    found.retain(|path| path.extension().is_some_and(|ending| ending == "jsa"));
    found
}

/// Fails unless the archives hold what a job takes.
fn assert_know_jobs(archives: &[PathBuf]) {
    let classes = [
        // Only per-job clusters have a use for it.
        ("jm.jsa", "client/program/DefaultPackagedProgramRetriever"),
        ("tm.jsa", "streaming/runtime/tasks/SourceOperatorStreamTask"),
    ];
    for (archive, class) in classes {
        let path = archives.iter().find(|path| path.ends_with(archive)).expect(archive);
        let bytes = fs::read(path).expect("an archive");
        let is_there = bytes.windows(class.len()).any(|window| window == class.as_bytes());
        assert!(is_there, "{archive} has no {class}");
    }
}

/// Fails unless each JVM of the cluster has its role's archive in its memory map.
fn assert_mapped(lab: &Lab, cluster: &str) {
    let status = lab.kobel(&["status", cluster, "-o", "json"]).ok().json();
    let workers = [("jm.jsa", &status["masters"][0]), ("tm.jsa", &status["taskManagers"]["list"][0])];
    for (archive, worker) in workers {
        let maps = fs::read_to_string(format!("/proc/{}/maps", worker["pid"])).expect("the JVM's memory map");
        let mapped = maps.lines().any(|line| line.ends_with(&format!("/{archive}")));
        assert!(mapped, "{archive} is not mapped by {worker}");
    }
}

on_each_flink! {
    fn the_second_start_maps_what_the_first_one_had_made(flink: Flink) {
        let mut lab = Lab::with_flink("appcds", &flink);
        lab.env("KOBEL_START_CDS", "auto");
        lab.kobel(&["start", "first"]).ok();
        wait::until("both archives are made", Duration::from_secs(180), || match archives(&lab) {
            made if made.len() == 2 => Ok(()),
            made => Err(format!("{made:?}")),
        });
        assert_know_jobs(&archives(&lab));
        lab.kobel(&["stop", "first"]).ok();
        lab.no_process_left();
        let left = lab.files("cache/cds");
        assert!(!left.iter().any(|path| path.to_string_lossy().contains("/.tmp-")), "{left:?}");

        lab.kobel(&["start", "second"]).ok();
        assert_mapped(&lab, "second");
        lab.kobel(&["stop", "second"]).ok();
        lab.no_process_left();
        assert_eq!(lab.files("cache/cds"), left, "nothing is made twice");

        // Hadoop's jars stand behind Flink's: the archive fits them too.
        let Some(hadoop) = Hadoop::from_env() else { return };
        let conf = lab.file("hadoop/core-site.xml", "<configuration/>");
        lab.env("HADOOP_CONF_DIR", conf.parent().unwrap().to_str().unwrap());
        lab.env("HADOOP_CLASSPATH", &hadoop.class_path());
        lab.kobel(&["start", "third"]).ok();
        assert_mapped(&lab, "third");
        lab.kobel(&["stop", "third"]).ok();
        lab.no_process_left();
        assert_eq!(lab.files("cache/cds"), left, "nothing is made for Hadoop's jars");
    }
}
