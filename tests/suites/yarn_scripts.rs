//! `scripts/yarn-session.sh` and `scripts/flink` against a real YARN, as they are typed.

use std::{fs, path::Path, time::Duration};

use kobel_kit::{
    Flink, Lab, example_jar,
    hadoop::{self, Setup, Shared},
    wait,
};

const WORD_COUNT: &str = "org.apache.flink.streaming.examples.wordcount.WordCount";
const USER: &str = "bob";
/// Longer than YARN takes for anything here.
const PROMPT: Duration = Duration::from_secs(60);

/// A lab without Java and without Hadoop, but for its configuration; the properties file is in it.
fn lab(test: &str, flink: &Flink, cluster: &Shared) -> Lab {
    let (hdfs, home) = (cluster.hdfs(), format!("/user/{USER}"));
    if hdfs.status(&home).is_none() {
        hdfs.mkdir(&hdfs.superuser, &home, "755");
        hdfs.chown(&home, USER);
    }
    let mut lab = Lab::with_flink(test, flink);
    let place = format!("yarn.properties-file.location: {}\n", lab.dir().display());
    let conf = lab.file("conf/config.yaml", &place);
    lab.env("FLINK_CONF_DIR", conf.parent().unwrap().to_str().unwrap());
    lab.env("HADOOP_CONF_DIR", cluster.conf_dir().to_str().unwrap());
    lab.env("HADOOP_USER_NAME", USER);
    lab.env("PATH", "/usr/bin:/bin");
    lab
}

fn properties_file(lab: &Lab) -> Option<String> {
    let entries = fs::read_dir(lab.dir()).unwrap().map(|entry| entry.unwrap().path());
    let named = |path: &Path| path.file_name().unwrap().to_str().unwrap().starts_with(".yarn-properties-");
    entries.into_iter().find(|path| named(path)).map(|path| fs::read_to_string(path).unwrap())
}

fn application(printed: &str) -> String {
    let line = printed.lines().find_map(|line| line.strip_prefix("YARN application: "));
    line.unwrap_or_else(|| panic!("no application in: {printed}")).into()
}

/// What YARN says of the application.
fn state(cluster: &Shared, id: &str) -> (String, String) {
    let app = cluster.yarn().get(&format!("/apps/{id}")).expect("the ResourceManager answers")["app"].clone();
    let text = |key: &str| app[key].as_str().unwrap_or_default().to_string();
    (text("state"), text("finalStatus"))
}

fn over(cluster: &Shared, id: &str) {
    wait::until("the application is over", PROMPT, || match state(cluster, id) {
        (state, status) if state == "FINISHED" && status == "SUCCEEDED" => Ok(()),
        other => Err(format!("{other:?}")),
    });
    cluster.no_container_left();
}

/// The mission's own lines, word for word.
#[test]
fn a_session_is_started_used_and_ended_by_flinks_own_commands() {
    let (Some(flink), Some(cluster)) = (Flink::v1(), hadoop::shared(Setup::yarn)) else { return };
    let lab = lab("yarn-scripts", &flink, &cluster);
    let nodes = lab.script("yarn-session.sh", &["-q"]).ok();
    assert!(nodes.stdout.contains("RUNNING") && nodes.stdout.contains("totalCores"), "{}", nodes.stdout);

    let started =
        lab.script("yarn-session.sh", &["-n", "2", "-tm", "800", "-s", "1", "-jm", "1024", "-d"]).ok();
    println!("detached after {:?}", started.took);
    let id = application(&started.stdout);
    for line in
        ["JobManager Web Interface: http://", &format!("yarn application -kill {id}"), &format!("-id {id}")]
    {
        assert!(started.stdout.contains(line), "{line} in: {}", started.stdout);
    }
    assert_eq!(state(&cluster, &id).0, "RUNNING");
    let told = properties_file(&lab).expect("a properties file");
    assert!(told.contains(&format!("applicationID={id}\n")), "{told}");
    let ps = lab.kobel(&["ps", "-o", "json"]).json();
    assert_eq!(ps[0]["taskManagers"]["running"], 2, "{ps}");
    assert_eq!(ps[0]["slots"]["total"], 2, "{ps}");

    // One on this machine that is newer is not the one that is meant.
    lab.kobel(&["start", "local", "--tm", "0"]).ok();
    let input = lab.file("in.txt", "to be or not to be\n");
    let (output, jar) = (lab.path("counts"), example_jar(&flink));
    let run = lab
        .script(
            "flink",
            &[
                "run",
                "-c",
                WORD_COUNT,
                jar.to_str().unwrap(),
                "--input",
                input.to_str().unwrap(),
                "--output",
                output.to_str().unwrap(),
            ],
        )
        .ok();
    assert!(run.stdout.contains("Program execution finished"), "{}", run.stdout);
    let counts: String = lab.files("counts").iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    assert!(counts.contains("(to,2)"), "{counts}");
    assert!(lab.script("flink", &["list", "-a"]).ok().stdout.contains("(FINISHED)"));
    assert!(lab.script("flink", &["list", "-a", "-yid", &id]).ok().stdout.contains("(FINISHED)"));
    lab.kobel(&["stop", "local"]).ok();

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/yarn-session.sh");
    let line = format!("echo stop | {script} -id {id}");
    let stopped = lab.spawn(Path::new("/bin/sh"), &["-c", &line]).wait().ok();
    println!("stopped after {:?}", stopped.took);
    over(&cluster, &id);
    assert_eq!(properties_file(&lab), None);
    lab.script("yarn-session.sh", &["-id", &id]).expect(1);
    lab.no_process_left();
}

#[test]
fn an_attached_session_ends_with_its_client_and_one_of_elsewhere_is_refused() {
    let (Some(flink), Some(cluster)) = (Flink::v1(), hadoop::shared(Setup::yarn)) else { return };
    let lab = lab("yarn-attached", &flink, &cluster);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/yarn-session.sh");
    let client = lab.spawn(&script, &["-n", "1", "-tm", "800", "-jm", "1024", "-nm", "etl"]);
    wait::until("the session is there", PROMPT, || match client.stdout() {
        text if text.contains("JobManager Web Interface") => Ok(()),
        _ => Err(client.stderr()),
    });
    let id = application(&client.stdout());
    let app = cluster.yarn().get(&format!("/apps/{id}")).unwrap();
    assert_eq!(app["app"]["name"], "etl");
    client.signal("INT");
    assert_eq!(client.wait().code, 130);
    over(&cluster, &id);
    assert_eq!(properties_file(&lab), None);

    let elsewhere = lab.script("yarn-session.sh", &["-id", "application_1_0001"]).expect(1);
    assert!(
        elsewhere.stderr.contains("application_1_0001 is no session that was started here"),
        "{}",
        elsewhere.stderr
    );
    lab.no_process_left();
}
