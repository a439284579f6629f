//! `kobel gc` on a real HDFS with a real YARN: what it finds and removes there, and what it leaves alone.

use std::{fs, time::Duration};

use kobel_hadoop_rpc::yarn::ApplicationId;
use kobel_kit::{
    Done, Lab,
    hadoop::{self, Setup, Shared},
    http,
};
use kobel_session::yarn::{manager::Manager, rest::RmRest};
use kobel_tests::submission;
use serde_json::Value;

const DAY: u64 = 24 * 60 * 60 * 1000;
const PROMPT: Duration = Duration::from_secs(30);
/// Names of contents.
const USED: &str = "0000000000000000000000000000000000000000000000000000000000000001";
const UNUSED: &str = "0000000000000000000000000000000000000000000000000000000000000002";

/// A user's staging directory, with something in it of each kind.
struct Staging {
    cluster: Shared,
    user: &'static str,
    base: String,
}

impl Staging {
    fn of(user: &'static str) -> Option<Self> {
        let cluster = hadoop::shared(Setup::yarn)?;
        let home = cluster.hdfs().home_of(user);
        Some(Self { base: format!("{home}/.kobel"), cluster, user })
    }

    /// A file of four bytes that has not changed for so many days.
    fn file(&self, path: &str, days: u64) {
        self.cluster.hdfs().put(self.user, &format!("{}/{path}", self.base), b"four");
        self.age(path, days);
    }

    fn age(&self, path: &str, days: u64) {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64;
        let url = format!(
            "{}/webhdfs/v1{}/{path}?op=SETTIMES&user.name={}&modificationtime={}",
            self.cluster.hdfs().web(),
            self.base,
            self.user,
            now - days * DAY
        );
        let reply = http::request("PUT", &url, &[]).unwrap();
        assert_eq!(reply.status, 200, "{}", reply.body);
    }

    /// An application's directory with one file.
    fn directory(&self, app: &str, days: u64) {
        self.file(&format!("apps/{app}/plan.json"), 0);
        self.age(&format!("apps/{app}"), days);
    }

    /// Everything that can be left over, and some of what can not: what is to go.
    fn fill(&self, over: ApplicationId, runs: ApplicationId) -> Vec<String> {
        let (forgotten, starting) = ("application_1_0001", "application_1_0002");
        self.directory(&over.to_string(), 0);
        self.directory(&runs.to_string(), 9);
        self.directory(forgotten, 2);
        self.directory(starting, 0);
        self.directory("no-application", 9);
        for (digest, app) in [(USED, runs), (UNUSED, over)] {
            self.file(&format!("blobs/{digest}.tar"), 9);
            self.file(&format!("leases/{digest}.{app}"), 9);
        }
        self.file(&format!("leases/{USED}.{over}"), 0);
        self.file("blobs/.partial-x-cut", 2);
        self.file("blobs/.partial-y-running", 0);
        for (name, days) in [("old-20200101", 8), ("new-20200101", 6)] {
            self.file(&format!("history/{name}/events.jsonl"), 0);
            self.age(&format!("history/{name}"), days);
        }
        let mut gone = vec![
            format!("apps/{over}"),
            format!("apps/{forgotten}"),
            "history/old-20200101".into(),
            "blobs/.partial-x-cut".into(),
            format!("blobs/{UNUSED}.tar"),
            format!("leases/{UNUSED}.{over}"),
        ];
        gone.iter_mut().for_each(|path| *path = format!("{}{}/{path}", self.cluster.hdfs().uri(), self.base));
        gone.sort();
        gone
    }

    fn exists(&self, url: &str) -> bool {
        let path = url.strip_prefix(&self.cluster.hdfs().uri()).expect("an address there");
        self.cluster.hdfs().status(path).is_some()
    }

    /// How much there is below the staging directory, files and directories.
    fn count(&self) -> usize {
        let hdfs = self.cluster.hdfs();
        let dirs = ["apps", "blobs", "leases", "history"].map(|dir| format!("{}/{dir}", self.base));
        dirs.iter().filter(|dir| hdfs.status(dir).is_some()).map(|dir| hdfs.list(dir).len()).sum()
    }

    fn lab(&self, test: &str) -> Lab {
        let mut lab = Lab::new(test);
        lab.env("HADOOP_CONF_DIR", self.cluster.conf_dir().to_str().unwrap());
        lab.env("HADOOP_USER_NAME", self.user);
        lab.file("cache/flink/.tmp-abc/x", "four");
        lab
    }

    /// The cluster's configuration with other words in one file.
    fn conf_with(&self, lab: &Lab, file: &str, from: &str, to: &str) -> String {
        let dir = lab.path("conf");
        fs::create_dir(&dir).unwrap();
        for name in ["core-site.xml", "hdfs-site.xml", "yarn-site.xml"] {
            let text = fs::read_to_string(self.cluster.conf_dir().join(name)).unwrap();
            let changed = if name == file { text.replace(from, to) } else { text.clone() };
            assert_eq!(changed != text, name == file, "{name}: {text}");
            fs::write(dir.join(name), changed).unwrap();
        }
        dir.display().to_string()
    }

    /// One application that is over, and one that is not.
    fn applications(&self) -> (RmRest, ApplicationId, ApplicationId) {
        let rm = RmRest::new(&[self.cluster.yarn().web()], self.user).unwrap();
        let (over, runs) = run(async {
            let (over, runs) = (submit(&rm).await, submit(&rm).await);
            rm.kill(over, "the test wants it over", PROMPT).await.unwrap();
            (over, runs)
        });
        (rm, over, runs)
    }
}

/// Runs a call to its end.
fn run<T>(call: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(call)
}

async fn submit(rm: &RmRest) -> ApplicationId {
    let id = rm.new_application().await.unwrap().id;
    let submission = submission(id, "gc test", 256, "sleep 300");
    rm.submit(&submission, PROMPT).await.unwrap();
    id
}

/// What was found on HDFS, by its address.
fn remote(done: &Done) -> Vec<String> {
    let of = |left: &Value| left["location"].as_str().unwrap().to_string();
    let mut found: Vec<_> = done.json().as_array().unwrap().iter().map(of).collect();
    found.retain(|location| location.starts_with("hdfs://"));
    found.sort();
    found
}

#[test]
fn what_is_left_on_hdfs_is_told_removed_and_then_gone() {
    let Some(staging) = Staging::of("gcann") else { return };
    let (rm, over, runs) = staging.applications();
    let expected = staging.fill(over, runs);
    let lab = staging.lab("gc-yarn");
    let all = staging.count();

    let told = lab.kobel(&["gc", "--dry-run", "-o", "json"]).ok();
    println!("{} things on HDFS told in {:?}", expected.len(), told.took);
    assert_eq!(remote(&told), expected);
    assert!(told.stderr.contains("application_1_0002 (YARN does not know it"), "{}", told.stderr);
    for left in told.json().as_array().unwrap() {
        assert_eq!((left["bytes"].as_u64(), left["removed"].as_bool()), (Some(4), Some(false)), "{left}");
    }
    assert_eq!(staging.count(), all, "a dry run removes nothing");
    let table = lab.kobel(&["gc", "--dry-run"]).ok().stdout;
    assert!(table.contains("application directory  4 B") && table.contains("half upload"), "{table}");

    let removed = lab.kobel(&["gc", "-o", "json"]).ok();
    println!("removed in {:?}", removed.took);
    assert_eq!(remote(&removed), expected);
    assert_eq!(expected.iter().find(|url| staging.exists(url)), None);
    assert_eq!(staging.count(), all - expected.len(), "nothing else is gone");
    let again = lab.kobel(&["gc"]).ok();
    assert!(again.stderr.contains("nothing to remove"), "{}{}", again.stdout, again.stderr);

    run(rm.kill(runs, "the test is over", PROMPT)).unwrap();
    staging.cluster.no_container_left();
}

#[test]
fn without_the_resource_manager_nothing_of_applications_goes() {
    let Some(staging) = Staging::of("gcbob") else { return };
    let old = "application_1_0001";
    staging.directory(old, 9);
    staging.file(&format!("blobs/{USED}.tar"), 9);
    staging.file(&format!("leases/{USED}.{old}"), 9);
    staging.file(&format!("blobs/{UNUSED}.tar"), 9);
    let mut lab = staging.lab("gc-yarn-blind");
    let web = staging.cluster.yarn().web();
    let host = web.trim_start_matches("http://").split(':').next().unwrap().to_string();
    let conf = staging.conf_with(&lab, "yarn-site.xml", &host, "127.0.0.1");
    lab.env("HADOOP_CONF_DIR", &conf);

    let done = lab.kobel(&["gc", "-o", "json"]).ok();
    let note = "/apps (the ResourceManager cannot be asked which applications are over)";
    assert!(done.stderr.contains(note), "{}", done.stderr);
    let hdfs = staging.cluster.hdfs().uri();
    assert_eq!(remote(&done), [format!("{hdfs}{}/blobs/{UNUSED}.tar", staging.base)]);
    assert_eq!(staging.count(), 3);
}

#[test]
fn without_hdfs_the_rest_is_done_and_without_its_configuration_nobody_asks_for_it() {
    let Some(staging) = Staging::of("gcjoe") else { return };
    let mut lab = staging.lab("gc-no-hdfs");
    let uri = staging.cluster.hdfs().uri();
    let conf = staging.conf_with(&lab, "core-site.xml", &uri, "hdfs://127.0.0.1:1");
    lab.env("HADOOP_CONF_DIR", &conf);
    let done = lab.kobel(&["gc"]).expect(1);
    println!("without a NameNode: {:?}", done.took);
    assert!(done.stdout.contains(".tmp-abc"), "{}", done.stdout);
    assert!(!lab.path("cache/flink/.tmp-abc").exists());
    assert!(
        done.stderr.contains("could not list hdfs://127.0.0.1:1/user/gcjoe/.kobel/apps"),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("could not look everywhere"), "{}", done.stderr);
    assert!(done.took < PROMPT, "{:?}", done.took);

    lab.env("HADOOP_CONF_DIR", "");
    let local = lab.kobel(&["gc"]).ok();
    println!("without a configuration: {:?}", local.took);
    assert!(local.stderr.contains("nothing to remove"), "{}", local.stderr);
}
