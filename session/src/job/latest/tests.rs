//! What is chosen of what is known, on a registry and files that the test makes.

use std::path::Path;

use kobel_plan::{
    ClusterState, Snapshots,
    snapshot::{Note, Program},
};

use super::*;
use crate::{
    fsx,
    registry::tests::{leave, registry},
};

const CLASS: &str = "org.x.Job";

/// Clusters, and files beside them.
struct World {
    dir: tempfile::TempDir,
    registry: Registry,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let registry = registry(&dir);
        Self { dir, registry }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// A savepoint or checkpoint, whole.
fn make(path: &Path) -> String {
    std::fs::create_dir_all(path).unwrap();
    std::fs::write(path.join(METADATA), "").unwrap();
    format!("file:{}", path.display())
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn job(n: u8) -> JobId {
    JobId::from_bytes([n; 16])
}

/// What the agent of a cluster wrote down.
#[derive(Default)]
struct Written(Snapshots);

impl Written {
    fn program(mut self, n: u8, since: i64, class: &str) -> Self {
        let program = Program { class: class.into(), jar: "a.jar".into() };
        self.0.note(Note::Program { job: job(n), program }, at(since));
        self
    }

    fn savepoint(mut self, n: u8, second: i64, path: String) -> Self {
        self.0.savepoint(job(n), Snapshot { at: at(second), path }, at(second));
        self
    }

    fn checkpoint(mut self, n: u8, second: i64, path: String) -> Self {
        self.0.job(job(n), at(second)).checkpoint = Some(Snapshot { at: at(second), path });
        self
    }

    /// Of a cluster that is over.
    fn of(self, world: &World, name: &str) {
        let cluster = leave(&world.registry, name, ClusterState::Stopped);
        fsx::write_whole(&cluster.dir.snapshots(), &serde_json::to_vec(&self.0).unwrap()).unwrap();
    }
}

async fn chosen(world: &World, first: Option<&str>) -> Result<Latest, LatestError> {
    let first = first.map(|name| name.parse().unwrap());
    latest(&world.registry, first.as_ref(), CLASS).await
}

#[tokio::test]
async fn the_newest_of_the_program_counts_and_what_is_gone_does_not() {
    let world = World::new();
    let dir = world.path();
    let old = make(&dir.join("old"));
    let foreign = make(&dir.join("foreign"));
    let written = Written::default().program(1, 1, CLASS).savepoint(1, 10, old.clone());
    let written = written.savepoint(1, 20, format!("file:{}/gone", dir.display()));
    written.program(2, 30, "org.x.Other").savepoint(2, 40, foreign).of(&world, "a");
    let found = chosen(&world, None).await.unwrap();
    assert_eq!((found.path, found.job, found.is_savepoint, found.seen), (old, job(1), true, true));

    std::fs::remove_dir_all(dir.join("old")).unwrap();
    let error = chosen(&world, None).await.unwrap_err();
    assert!(matches!(&error, LatestError::Gone { last, .. } if last.ends_with("/gone")), "{error}");
    assert_eq!(error.category(), Category::NotFound);
}

#[tokio::test]
async fn of_a_jobs_checkpoints_the_newest_that_is_whole_counts() {
    let world = World::new();
    let dir = world.path().join("ck/0101");
    make(&dir.join("chk-9"));
    let newest = make(&dir.join("chk-10"));
    std::fs::create_dir_all(dir.join("chk-11")).unwrap();
    make(&dir.join("shared"));
    let known = format!("file:{}/chk-7", dir.display());
    Written::default().program(1, 1, CLASS).checkpoint(1, 5, known).of(&world, "a");
    let found = chosen(&world, None).await.unwrap();
    assert_eq!((found.path, found.is_savepoint), (newest, false));
}

#[tokio::test]
async fn the_cluster_that_is_named_comes_first() {
    let world = World::new();
    let (here, there) = (make(&world.path().join("here")), make(&world.path().join("there")));
    Written::default().program(1, 1, CLASS).savepoint(1, 10, here.clone()).of(&world, "a");
    Written::default().program(2, 20, CLASS).savepoint(2, 30, there.clone()).of(&world, "b");
    assert_eq!(chosen(&world, Some("a")).await.unwrap().path, here);
    assert_eq!(chosen(&world, Some("c")).await.unwrap().path, there, "it has nothing");
    assert_eq!(chosen(&world, None).await.unwrap().path, there);
}

#[tokio::test]
async fn jobs_that_ran_side_by_side_are_not_guessed_between() {
    let world = World::new();
    let (one, two) = (make(&world.path().join("1")), make(&world.path().join("2")));
    let written = Written::default().program(1, 1, CLASS).savepoint(1, 10, one);
    written.program(2, 5, CLASS).savepoint(2, 20, two.clone()).of(&world, "a");
    let error = chosen(&world, None).await.unwrap_err();
    assert_eq!(error.category(), Category::Usage);
    let hint = error.hint().unwrap();
    assert!(hint.contains(&two), "{hint}");
    assert!(matches!(error, LatestError::Ambiguous { candidates, .. } if candidates.len() == 2));
}

#[tokio::test]
async fn what_only_flink_can_look_at_is_taken_as_it_is() {
    let world = World::new();
    let written = Written::default().program(1, 1, CLASS);
    written.savepoint(1, 10, "s3://bucket/savepoint-1".into()).of(&world, "a");
    let found = chosen(&world, None).await.unwrap();
    assert_eq!((found.path.as_str(), found.seen), ("s3://bucket/savepoint-1", false));
}

#[tokio::test]
async fn nothing_known_is_told_with_what_else_there_is() {
    let world = World::new();
    let error = chosen(&world, None).await.unwrap_err();
    assert!(matches!(error, LatestError::Nothing { other: None, .. }), "{error}");
    let other = make(&world.path().join("x"));
    Written::default().savepoint(3, 10, other.clone()).of(&world, "a");
    let error = chosen(&world, None).await.unwrap_err();
    assert!(error.hint().unwrap().contains(&other), "{error}");
}
