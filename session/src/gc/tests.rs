use std::{
    fs::File,
    path::PathBuf,
    process::{Child, Command},
};

use kobel_conf::{dirs::Dirs, settings::Settings};
use kobel_plan::{ClusterPlan, ClusterState, JavaHome, Status};

use super::*;
use crate::{Cluster, Env, dist, registry, train};

/// A user's directories, with nothing in them.
struct Home {
    dir: tempfile::TempDir,
    ctx: Context,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let dirs =
            Dirs { state: at("state"), data: at("data"), cache: at("cache"), config_file: at("c.toml") };
        let settings = Settings::load(&dirs.config_file, &|_| None).unwrap();
        let ctx = Context { dirs, settings, env: Env::default(), agent: "/nowhere/kobel".into() };
        Self { dir, ctx }
    }

    /// A file with four bytes, and the directories above it.
    fn file(&self, path: &str) -> PathBuf {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "four").unwrap();
        path
    }

    /// A cluster that somebody left in this state.
    fn cluster(&self, name: &str, state: ClusterState) -> Cluster {
        let registry = self.ctx.registry();
        let claim = registry.claim(&name.parse().unwrap()).unwrap();
        let plan = ClusterPlan { name: claim.name.clone(), ..registry::tests::plan(&claim.dir.logs()) };
        self.write(&claim.dir.plan(), &plan);
        let status = Status { state, ..Status::starting(&plan, jiff::Timestamp::UNIX_EPOCH) };
        self.write(&claim.dir.record(), &serde_json::json!({ "status": status }));
        Cluster { name: claim.name, dir: claim.dir }
    }

    fn write(&self, path: &Path, document: &impl Serialize) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, serde_json::to_vec(document).unwrap()).unwrap();
    }

    async fn gc(&self, how: How) -> Vec<(Kind, PathBuf)> {
        let bin = run(&self.ctx, how).await;
        assert!(bin.errors.is_empty(), "{:?}", bin.errors);
        for left in &bin.leftovers {
            assert_eq!((left.removed, &left.error), (!how.dry_run, &None), "{left:?}");
            assert_eq!(Path::new(&left.location).exists(), how.dry_run, "{left:?}");
        }
        bin.leftovers.into_iter().map(|left| (left.kind, left.location.into())).collect()
    }

    /// What a dry run finds, after it was found again and removed, and nothing the third time.
    async fn swept(&self) -> Vec<(Kind, PathBuf)> {
        let told = self.gc(How { dry_run: true, ended_for: None }).await;
        assert_eq!(self.gc(How::default()).await, told);
        assert_eq!(self.gc(How::default()).await, [], "the second run");
        told
    }
}

fn age(path: &Path, by: Duration) {
    File::open(path).unwrap().set_modified(SystemTime::now() - by).unwrap();
}

const DAY: Duration = Duration::from_secs(86400);

struct Sleeper(Child);

impl Sleeper {
    fn in_dir(dir: &Path) -> Self {
        Self(Command::new("sleep").arg("60").current_dir(dir).spawn().unwrap())
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_fresh_home_has_nothing_to_remove_and_stays_as_it_is() {
    let home = Home::new();
    assert_eq!(home.swept().await, []);
    assert_eq!(fs::read_dir(home.dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn half_downloads_and_installations_go_unless_one_is_running() {
    let home = Home::new();
    home.file("data/flink/1.20.5/lib/flink-dist-1.20.5.jar");
    let (part, scratch, staging) = (
        home.file("cache/flink/00ff-flink.tgz.part"),
        home.file("cache/flink/.tmp-abc/x"),
        home.file("data/flink/.tmp-def/home/x"),
    );
    home.file("cache/flink/00ff-flink.tgz.part.json");
    let lock = File::create(home.dir.path().join("data/flink/.lock")).unwrap();
    lock.lock().unwrap();
    let bin = run(&home.ctx, How { dry_run: true, ended_for: None }).await;
    assert_eq!(bin.leftovers.len(), 2, "{bin:?}");
    assert_eq!(bin.leftovers[1].bytes, 8, "a download and its note are one");
    assert_eq!(bin.spared[0].why, "an installation is running");
    drop(lock);
    let parent = |path: &Path| path.parent().unwrap().to_path_buf();
    let installation = |path: PathBuf| (Kind::Installation, path);
    let staging = parent(&parent(&staging));
    let expected = [installation(parent(&scratch)), (Kind::Download, part), installation(staging)];
    assert_eq!(home.swept().await, expected);
    assert!(home.dir.path().join("data/flink/1.20.5").exists());
    assert!(!home.dir.path().join("cache/flink/00ff-flink.tgz.part.json").exists());
}

#[tokio::test]
async fn of_a_cluster_that_is_over_its_record_stays_and_worker_directories_go() {
    let home = Home::new();
    let over = home.cluster("over", ClusterState::Stopped);
    let lost = home.cluster("lost", ClusterState::Ready);
    let worker = |cluster: &Cluster| {
        let dir = cluster.dir.workers().join("tm-0.1");
        fs::create_dir_all(dir.join("tmp")).unwrap();
        dir
    };
    let (of_over, of_lost) = (worker(&over), worker(&lost));
    let temporary = home.file("state/clusters/over/.tmpAbC123");
    home.file("state/clusters/over/log/tm-0.1.log");
    let used = Sleeper::in_dir(&of_over.join("tmp"));
    let bin = run(&home.ctx, How { dry_run: true, ended_for: None }).await;
    assert_eq!(bin.spared[0].why, "a process works in it");
    drop(used);
    assert_eq!(home.swept().await, [(Kind::WorkerDir, of_over), (Kind::TempFile, temporary)]);
    assert!(of_lost.exists(), "a cluster that lost its agent gets it back");
    assert!(over.dir.record().exists() && over.dir.logs().join("tm-0.1.log").exists());
}

#[tokio::test]
async fn a_cluster_with_an_agent_is_left_alone() {
    let home = Home::new();
    let cluster = home.cluster("x", ClusterState::Stopped);
    fs::create_dir_all(cluster.dir.workers().join("tm-0.1")).unwrap();
    let agent = File::open(cluster.dir.lock()).unwrap();
    agent.lock().unwrap();
    assert_eq!(home.swept().await, []);
    drop(agent);
    assert_eq!(home.swept().await.len(), 1);
}

#[tokio::test]
async fn records_go_only_when_asked_for_by_age() {
    let home = Home::new();
    let old = home.cluster("old", ClusterState::Failed);
    let (new, lost) = (home.cluster("new", ClusterState::Stopped), home.cluster("lost", ClusterState::Ready));
    for cluster in [&old, &lost] {
        age(&cluster.dir.record(), 8 * DAY);
    }
    assert_eq!(home.swept().await, []);
    let how = How { dry_run: false, ended_for: Some(7 * DAY) };
    assert_eq!(home.gc(how).await, [(Kind::Record, old.dir.path().into())]);
    assert!(new.dir.plan().exists() && lost.dir.plan().exists());
    assert_eq!(home.gc(how).await, []);
}

#[tokio::test]
async fn what_a_start_or_a_removal_left_that_died_goes() {
    let home = Home::new();
    let claim = home.ctx.registry().claim(&"x".parse().unwrap()).unwrap();
    let dir = claim.dir.path().to_path_buf();
    drop(claim);
    assert_eq!(home.swept().await, [], "it may just be coming about");
    age(&dir.join("agent.lock"), 2 * YOUNG);
    age(&dir, 2 * YOUNG);
    let dead = home.file("state/clusters/.removed-y-999999999/plan.json");
    home.file(&format!("state/clusters/.removed-z-{}/plan.json", std::process::id()));
    home.file("state/clusters/not-kobels/file");
    let dead = dead.parent().unwrap().to_path_buf();
    assert_eq!(home.swept().await, [(Kind::Removal, dead), (Kind::Claim, dir)]);
    assert!(home.dir.path().join("state/clusters/not-kobels/file").exists());
}

/// A directory of archives, and the plan that it was made by.
fn archives(home: &Home) -> (PathBuf, ClusterPlan) {
    let mut plan = registry::tests::plan(Path::new("/log"));
    plan.flink.home = home.file("flink/lib/flink-dist.jar").parent().unwrap().parent().unwrap().into();
    plan.flink.class_path = vec![plan.flink.home.join("lib/flink-dist.jar")];
    plan.java = JavaHome { home: home.file("java/release").parent().unwrap().into(), version: 17 };
    let base = home.ctx.dirs.cache.join("cds");
    let dir = train::dir_of(&base, &plan).unwrap();
    home.write(&dir.join(train::RECIPE), &plan);
    for file in ["jm.jsa", "tm.jsa", train::LOCK] {
        fs::write(dir.join(file), "x").unwrap();
    }
    (dir, plan)
}

#[tokio::test]
async fn an_archive_goes_when_its_flink_or_java_is_gone_or_changed() {
    type Change = fn(&ClusterPlan);
    let changes: [(&str, Change); 4] = [
        ("Flink", |plan| fs::remove_dir_all(&plan.flink.home).unwrap()),
        ("Java", |plan| fs::remove_dir_all(&plan.java.home).unwrap()),
        ("its", |plan| fs::remove_file(&plan.flink.class_path[0]).unwrap()),
        ("Java has changed", |plan| fs::write(plan.java.home.join("release"), "18").unwrap()),
    ];
    for (why, change) in changes {
        let home = Home::new();
        let (dir, plan) = archives(&home);
        assert_eq!(home.swept().await, [], "it fits");
        change(&plan);
        let bin = run(&home.ctx, How { dry_run: true, ended_for: None }).await;
        assert!(bin.leftovers[0].why.contains(why), "{bin:?}");
        assert_eq!(home.swept().await, [(Kind::Archive, dir)]);
    }
}

#[tokio::test]
async fn an_archive_that_is_in_use_stays() {
    let home = Home::new();
    let (dir, plan) = archives(&home);
    fs::remove_dir_all(&plan.flink.home).unwrap();
    let spared = async || {
        let bin = run(&home.ctx, How::default()).await;
        assert_eq!(bin.leftovers, []);
        assert!(dir.join("jm.jsa").exists());
        bin.spared[0].why
    };
    let lock = File::open(dir.join(train::LOCK)).unwrap();
    lock.lock().unwrap();
    assert_eq!(spared().await, "a training is running");
    drop(lock);
    let process = Sleeper::in_dir(&dir);
    assert_eq!(spared().await, "a cluster uses it");
    drop(process);
    let cluster = home.cluster("x", ClusterState::Ready);
    let mut plan = cluster.plan().unwrap();
    plan.job_manager.archive = Some(dir.join("jm.jsa"));
    home.write(&cluster.dir.plan(), &plan);
    assert_eq!(spared().await, "a cluster uses it");
}

#[tokio::test]
async fn what_a_training_left_goes() {
    let home = Home::new();
    let (dir, _) = archives(&home);
    let draft = dir.join(format!("{}abc", train::UNFINISHED));
    fs::create_dir_all(draft.join("tmp")).unwrap();
    let jvm = Sleeper::in_dir(&draft.join("tmp"));
    assert_eq!(home.swept().await, [], "a JVM may outlive its training for minutes");
    drop(jvm);
    assert_eq!(home.swept().await, [(Kind::Training, draft)]);
    for archive in ["jm.jsa", "tm.jsa"] {
        fs::remove_file(dir.join(archive)).unwrap();
    }
    assert_eq!(home.swept().await, [], "it failed lately, and shall not be tried again yet");
    age(&dir, 2 * train::PAUSE);
    assert_eq!(home.swept().await, [(Kind::Training, dir)]);
}

#[tokio::test]
async fn what_cannot_be_removed_is_told_and_hides_nothing() {
    let mut bin = Bin::new(false);
    bin.put(Kind::Archive, "hdfs://nn/x".into(), 1, "why", async { Err(io::Error::other("no")) }).await;
    assert_eq!((bin.leftovers[0].removed, bin.leftovers[0].error.as_deref()), (false, Some("no")));
    let home = Home::new();
    let broken = home.cluster("a", ClusterState::Ready);
    fs::write(broken.dir.record(), "{").unwrap();
    let part = home.file(&format!("cache/flink/{}x/file", dist::UNFINISHED));
    let bin = run(&home.ctx, How::default()).await;
    assert_eq!(bin.errors.len(), 1, "{bin:?}");
    assert!(!part.exists());
}
