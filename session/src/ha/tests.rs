use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use kobel_conf::{dirs::Dirs, ha::HaProfile, settings::Settings};
use kobel_plan::ClusterState;

use super::*;
use crate::{Env, registry};

/// A user's directories, and a cluster to be started in them.
struct Place {
    _dir: tempfile::TempDir,
    ctx: Context,
    compiled: Compiled,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let ctx = Context {
            dirs: Dirs {
                state: at("state"),
                data: at("data"),
                cache: at("cache"),
                config_file: at("c.toml"),
            },
            settings: Settings::load(Path::new("/nonexistent"), &|_| None).unwrap(),
            env: Env::default(),
            agent: at("kobel"),
        };
        let mut plan = registry::tests::plan(&at("log"));
        let ha = at("state").join("ha/default");
        plan.flink.home = at("flink");
        plan.ha = Some(HaPlan {
            zookeeper: ZooKeeper::Embedded(ha.join("zookeeper")),
            root: "/flink".into(),
            cluster_id: "default".into(),
            storage_dir: format!("file://{}", ha.join("storage").display()),
            session_timeout_ms: 10_000,
            silence_ms: 8_000,
            keep: false,
            web_ports: Vec::new(),
        });
        plan.origins.insert("high-availability.storageDir".into(), "config.yaml:7".into());
        let compiled = Compiled {
            plan,
            notes: Vec::new(),
            conf: Default::default(),
            timings: Some(HaProfile::Standard.timings()),
            program: None,
            cargo: None,
        };
        Self { _dir: dir, ctx, compiled }
    }

    fn ha(&mut self) -> &mut HaPlan {
        self.compiled.plan.ha.as_mut().unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self._dir.path().join(name)
    }

    fn store_in(&mut self, path: &Path) {
        self.ha().storage_dir = format!("file://{}", path.display());
    }

    async fn check(&self) -> Result<Option<Found>, HaError> {
        check(&self.ctx, &self.compiled).await
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

#[tokio::test]
async fn a_cluster_without_it_is_not_looked_at() {
    let mut place = Place::new();
    place.compiled.plan.ha = None;
    assert_eq!(place.check().await.unwrap(), None);
    assert!(!place.path("state").exists());
}

#[tokio::test]
async fn directories_that_are_missing_are_made_for_us_alone() {
    let mut place = Place::new();
    let found = place.check().await.unwrap().unwrap();
    assert_eq!(found.notes, Vec::<String>::new());
    assert_eq!(found.recovery, HaProfile::Standard.timings().recovery(Duration::from_secs(10)));
    assert_eq!(mode(&place.path("state/ha/default/storage")), 0o700);
    place.store_in(&place.path("of/the user's"));
    place.check().await.unwrap();
    assert_eq!(mode(&place.path("of/the user's")), 0o700);
    fs::set_permissions(place.path("of/the user's"), fs::Permissions::from_mode(0o777)).unwrap();
    let notes = place.check().await.unwrap().unwrap().notes;
    assert!(notes.len() == 1 && notes[0].contains("written to by everybody"), "{notes:?}");
}

#[tokio::test]
async fn a_directory_that_cannot_be_one_is_refused_with_where_it_was_named() {
    let mut place = Place::new();
    fs::write(place.path("file"), "").unwrap();
    place.store_in(&place.path("file/ha"));
    let refused = place.check().await.unwrap_err();
    let text = refused.to_string();
    assert!(text.contains("file/ha (config.yaml:7) cannot be used"), "{text}");
    assert_eq!(refused.category(), Category::Environment);
    place.store_in(&place.path("file"));
    assert!(matches!(place.check().await, Err(HaError::Storage { .. })));
}

#[tokio::test]
async fn a_file_system_without_its_plugin_is_told() {
    let mut place = Place::new();
    for (dir, lacks) in
        [("s3://bucket/ha", true), ("gs://bucket/ha", true), ("hdfs:///ha", false), ("own:/x", false)]
    {
        place.ha().storage_dir = dir.into();
        let notes = place.check().await.unwrap().unwrap().notes;
        assert_eq!(notes.len(), usize::from(lacks), "{dir}: {notes:?}");
    }
    place.ha().storage_dir = "s3://bucket/ha".into();
    fs::create_dir_all(place.path("flink/plugins/s3")).unwrap();
    fs::write(place.path("flink/plugins/s3/flink-s3-fs-presto-1.20.5.jar"), "").unwrap();
    assert_eq!(place.check().await.unwrap().unwrap().notes, Vec::<String>::new());
}

#[tokio::test]
async fn two_clusters_do_not_share_an_id() {
    let place = Place::new();
    let other = Place { ctx: place.ctx.clone(), ..Place::new() };
    let claim = place.ctx.registry().claim(&"other".parse().unwrap()).unwrap();
    let mut plan = place.compiled.plan.clone();
    plan.name = "other".parse().unwrap();
    fs::write(claim.dir.plan(), serde_json::to_vec(&plan).unwrap()).unwrap();
    let mut status = kobel_plan::Status::starting(&plan, jiff::Timestamp::now());
    let cluster = place.ctx.registry().find(&plan.name).unwrap();
    cluster.remember(&status).unwrap();
    let refused = place.check().await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "cluster other has the same high-availability.cluster-id default already"
    );
    assert!(refused.hint().unwrap().contains("kobel stop other"));
    other.check().await.unwrap();
    status.state = ClusterState::Stopped;
    cluster.remember(&status).unwrap();
    place.check().await.unwrap();
}

#[tokio::test]
async fn a_zookeeper_that_does_not_serve_is_named_in_time() {
    let mut place = Place::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = listener.local_addr().unwrap().to_string();
    let closed = {
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        gone.local_addr().unwrap().to_string()
    };
    for server in [silent, closed] {
        place.ha().zookeeper = ZooKeeper::Quorum(server.clone());
        let began = std::time::Instant::now();
        let refused = place.check().await.unwrap_err();
        assert!(refused.to_string().contains(&server), "{refused}");
        assert_eq!(refused.category(), Category::Environment);
        assert!(refused.hint().unwrap().contains("high-availability.zookeeper.quorum"));
        assert!(began.elapsed() < DEADLINE * 2, "{:?}", began.elapsed());
    }
}
