//! A session on a cluster that protects its calls. `KOBEL_TEST_PROTECTION=integrity` has another protection than
//! privacy.

use std::{fs, time::Duration};

use kobel_kit::{
    Flink, Lab, example_jar,
    hadoop::{Cluster, Hadoop, Setup, Site},
    wait,
};

const WORD_COUNT: &str = "org.apache.flink.streaming.examples.wordcount.WordCount";
const USER: &str = "ann";

fn cluster(protection: &str) -> Option<Cluster> {
    let setup = Setup::yarn().set(Site::Core, "hadoop.rpc.protection", protection);
    Some(Cluster::start(&Hadoop::from_env()?, setup))
}

/// A lab with this Hadoop's configuration, its core-site rewritten.
fn lab(cluster: &Cluster, test: &str, flink: &Flink, rewrite: impl Fn(String) -> String) -> Lab {
    let mut lab = cluster.lab(USER, test, flink);
    let dir = lab.path("hadoop-conf");
    fs::create_dir_all(&dir).unwrap();
    for file in ["core-site.xml", "hdfs-site.xml", "yarn-site.xml"] {
        let text = fs::read_to_string(cluster.conf_dir().join(file)).unwrap();
        let text = if file == "core-site.xml" { rewrite(text) } else { text };
        fs::write(dir.join(file), text).unwrap();
    }
    lab.env("HADOOP_CONF_DIR", dir.to_str().unwrap());
    lab
}

fn start(lab: &Lab) -> kobel_kit::Done {
    lab.kobel(&[
        "start", "wc", "--on", "yarn", "--jm-mem", "1g", "--tm-mem", "800m", "--slots", "1", "--tm", "1",
    ])
}

#[test]
fn a_protected_session_comes_serves_grows_and_goes() {
    let protection = std::env::var("KOBEL_TEST_PROTECTION").unwrap_or_else(|_| "privacy".into());
    let Some(flink) = Flink::v1() else { return };
    let Some(cluster) = cluster(&protection) else { return };

    let unknown = lab(&cluster, "yarn-unknown", &flink, |text| text.replace(&protection, "secrecy"));
    let unknown = start(&unknown).expect(5);
    assert!(unknown.stderr.contains("hadoop.rpc.protection is secrecy"), "{}", unknown.stderr);

    let lab = lab(&cluster, "yarn-protected", &flink, |text| text);
    let started = start(&lab).ok();
    println!("{protection}: ready after {:?}", started.took);
    let input = lab.file("in.txt", "to be or not to be\n");
    let (output, jar) = (lab.path("counts"), example_jar(&flink));
    let paths =
        [jar.to_str().unwrap(), "--input", input.to_str().unwrap(), "--output", output.to_str().unwrap()];
    lab.kobel(&[&["run", "--cluster", "wc", "-c", WORD_COUNT], &paths[..]].concat()).ok();
    let counts: String = lab.files("counts").iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    assert!(counts.contains("(to,2)"), "{counts}");
    lab.kobel(&["scale", "wc", "--tm", "2"]).ok();
    lab.kobel(&["scale", "wc", "--tm", "1"]).ok();
    lab.kobel(&["stop", "wc"]).ok();
    wait::until("no application runs", Duration::from_secs(60), || {
        let apps = cluster.yarn().apps();
        let over = apps.iter().all(|app| app["finalStatus"] == "SUCCEEDED" || app["finalStatus"] == "FAILED");
        if over { Ok(()) } else { Err(format!("{apps:?}")) }
    });
    cluster.no_container_left();
    lab.no_process_left();
}
