//! A cluster that belongs to a job.

use kobel_plan::{JobId, JobPlan, JobState};

use super::*;

fn id() -> JobId {
    "0123456789abcdef0123456789abcdef".parse().unwrap()
}

/// The agent of a cluster whose job has this program.
async fn start(path: &Path, world: World) -> Fixture {
    let jar = ClusterDir::new(path).program();
    fs::create_dir_all(ClusterDir::new(path).usrlib()).unwrap();
    fs::write(&jar, "a jar").unwrap();
    let job = JobPlan { id: id(), jar, class: None, args: vec![], restore: None };
    Fixture::start_in(path, world, |plan| plan.job = Some(job)).await
}

/// Who runs `main` says how it ended.
fn main_ends(path: &Path, attempt: &str, words: &str) {
    fs::write(path.join("log").join(format!("{attempt}.main")), format!("Application {words}\n")).unwrap();
}

fn job_state(status: &Status) -> Option<JobState> {
    status.job.as_ref().unwrap().state
}

/// The job runs, and the agent knows.
async fn job_runs(agent: &mut Fixture) {
    agent.world.job_is(id(), JobState::Running);
    agent.until("it runs", |status| job_state(status) == Some(JobState::Running)).await;
}

#[tokio::test]
async fn the_cluster_ends_with_its_job_and_as_it_did() {
    let cases = [
        (JobState::Finished, ClusterState::Stopped, Outcome::Succeeded, "is FINISHED"),
        (JobState::Canceled, ClusterState::Stopped, Outcome::Killed, "is CANCELED"),
        (JobState::Failed, ClusterState::Failed, Outcome::Failed, "is FAILED: B: it broke"),
    ];
    for (end, state, outcome, words) in cases {
        let tmp = tempfile::tempdir().unwrap();
        let mut agent = start(tmp.path(), World::default()).await;
        assert_eq!(job_state(&agent.state(ClusterState::Ready).await), None);
        job_runs(&mut agent).await;
        main_ends(tmp.path(), "jm-0.1", "completed SUCCESSFULLY");
        agent.world.job_is(id(), end);
        let (over, world) = agent.ended().await;
        assert_eq!((over.state, world.finished()), (state, Some(outcome)));
        assert_eq!(reason(&over), format!("job {} {words}", id()));
        let job = over.job.unwrap();
        assert_eq!((job.state, job.runtime_ms), (Some(end), Some(7)));
        assert!(!world.asked().iter().any(|asked| asked == "ensure jm-0.2"));
        assert!(!ClusterDir::new(tmp.path()).usrlib().exists());
    }
}

#[tokio::test]
async fn main_may_go_on_after_its_job_and_its_failure_is_one_of_the_program() {
    let tmp = tempfile::tempdir().unwrap();
    let mut agent = start(tmp.path(), World::default()).await;
    fs::write(tmp.path().join("log/jm-0.1.main"), "").unwrap();
    agent.world.job_is(id(), JobState::Finished);
    agent.until("the job is over", |status| job_state(status) == Some(JobState::Finished)).await;
    assert_eq!(agent.world.live(), ["jm-0.1", "tm-0.1", "tm-1.1"], "main goes on");
    main_ends(tmp.path(), "jm-0.1", "failed unexpectedly: \njava.lang.IllegalStateException: no\n\tat x");
    let (over, world) = agent.ended().await;
    assert_eq!((job_state(&over), world.finished()), (Some(JobState::Finished), Some(Outcome::Failed)));
    assert!(reason(&over).ends_with("finished: IllegalStateException: no"), "{}", reason(&over));
}

#[tokio::test]
async fn a_main_that_throws_while_its_job_runs_failed_the_program() {
    let refused = "failed unexpectedly: \norg.apache.flink.Z: Cannot have more than one execute()\n\tat x";
    let tmp = tempfile::tempdir().unwrap();
    let mut agent = start(tmp.path(), World::default()).await;
    job_runs(&mut agent).await;
    // Flink 1 ends the JobManager with it.
    main_ends(tmp.path(), "jm-0.1", refused);
    agent.world.die(WorkerId::jm(0), Exit::Code(2));
    let (over, world) = agent.ended().await;
    assert_eq!((job_state(&over), world.finished()), (Some(JobState::Failed), Some(Outcome::Failed)));
    assert!(over.job.as_ref().unwrap().of_several);
    assert!(reason(&over).contains("it has several jobs"), "{}", reason(&over));

    // Flink 2 cancels its jobs.
    let tmp = tempfile::tempdir().unwrap();
    let mut agent = start(tmp.path(), World::default()).await;
    agent.state(ClusterState::Ready).await;
    main_ends(tmp.path(), "jm-0.1", refused);
    agent.world.job_is(id(), JobState::Canceled);
    let (over, world) = agent.ended().await;
    assert_eq!((job_state(&over), world.finished()), (Some(JobState::Canceled), Some(Outcome::Failed)));
    assert!(over.job.as_ref().unwrap().of_several);
    assert!(reason(&over).contains("it has several jobs"), "{}", reason(&over));
}

#[tokio::test]
async fn a_job_is_not_run_twice_where_nobody_remembers_it() {
    let tmp = tempfile::tempdir().unwrap();
    let mut agent = start(tmp.path(), World::default()).await;
    agent.state(ClusterState::Ready).await;
    agent.world.die(WorkerId::jm(0), Exit::Signal(9));
    agent.state(ClusterState::Degraded).await;
    agent.until("one that never had the job comes again", |s| s.masters.iter().any(|m| m.leader)).await;
    job_runs(&mut agent).await;
    assert_eq!(agent.post("/kobel/v1/restart", r#"{"worker":"jm-0"}"#).await, 409);
    agent.world.die(WorkerId::jm(0), Exit::Signal(9));
    let (over, world) = agent.ended().await;
    assert_eq!((job_state(&over), world.finished()), (Some(JobState::Failed), Some(Outcome::Failed)));
    assert!(reason(&over).contains("was lost with jm-0."), "{}", reason(&over));
}

#[tokio::test]
async fn an_end_that_is_written_down_outlives_job_manager_and_agent() {
    let tmp = tempfile::tempdir().unwrap();
    let mut agent = start(tmp.path(), World::default()).await;
    agent.state(ClusterState::Ready).await;
    fs::write(tmp.path().join("log/jm-0.1.main"), "").unwrap();
    agent.world.job_is(id(), JobState::Finished);
    agent.until("the job is over", |status| job_state(status) == Some(JobState::Finished)).await;
    agent.kill_agent().await;
    agent.world.die(WorkerId::jm(0), Exit::Signal(9));
    agent.world.asked();
    let world = agent.world.clone();
    let over = ends_at_once(tmp.path(), &world, |plan| {
        plan.job = read_plan(&ClusterDir::new(tmp.path())).unwrap().job;
    });
    let over = over.await;
    assert_eq!((job_state(&over), world.finished()), (Some(JobState::Finished), Some(Outcome::Succeeded)));
    assert!(!world.asked().iter().any(|asked| asked.starts_with("ensure")));
}

#[tokio::test]
async fn a_cluster_that_is_stopped_takes_its_job_along() {
    let tmp = tempfile::tempdir().unwrap();
    let mut agent = start(tmp.path(), World::default()).await;
    job_runs(&mut agent).await;
    agent.stop(0, "stop").await;
    let (over, world) = agent.ended().await;
    assert_eq!((job_state(&over), world.finished()), (Some(JobState::Canceled), Some(Outcome::Killed)));
}

#[tokio::test]
async fn a_job_that_ended_just_before_the_stop_was_not_stopped() {
    let tmp = tempfile::tempdir().unwrap();
    let mut agent = start(tmp.path(), World::default()).await;
    job_runs(&mut agent).await;
    agent.world.job_is(id(), JobState::Finished);
    agent.stop(0, "stop").await;
    let (over, world) = agent.ended().await;
    assert_eq!((job_state(&over), world.finished()), (Some(JobState::Finished), Some(Outcome::Succeeded)));
}
