//! The keeper, beside a JobManager whose answers the test chooses.

use std::{
    net::SocketAddr,
    sync::{Mutex, PoisonError},
};

use axum::{Json, Router, extract::Path, http::StatusCode, response::IntoResponse, routing::get};
use serde_json::{Value, json};

use super::*;
use crate::testing::plan;

/// The jobs of the scripted JobManager: state, and what `/checkpoints` says.
type Jobs = Arc<Mutex<Vec<(JobId, &'static str, Value)>>>;

fn job(n: u8) -> JobId {
    JobId::from_bytes([n; 16])
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn made(id: i64, path: &str) -> Value {
    json!({ "id": id, "status": "COMPLETED", "is_savepoint": false, "trigger_timestamp": id * 1000,
            "latest_ack_timestamp": id * 1000, "end_to_end_duration": 1, "state_size": 1, "external_path": path })
}

fn checkpoints(checkpoint: Option<Value>, savepoint: Option<Value>) -> Value {
    let counts = json!({ "restored": 0, "total": 0, "in_progress": 0, "completed": 0, "failed": 0 });
    json!({ "counts": counts, "history": [], "latest": { "completed": checkpoint, "savepoint": savepoint } })
}

async fn flink(jobs: Jobs) -> SocketAddr {
    let of = jobs.clone();
    let list = async move || {
        let jobs = of.lock().unwrap_or_else(PoisonError::into_inner);
        let job = |(id, state, _): &(JobId, &'static str, Value)| {
            json!({ "jid": id, "name": "etl", "state": state, "start-time": 1000, "end-time": -1, "duration": 1,
                    "tasks": {} })
        };
        Json(json!({ "jobs": jobs.iter().map(job).collect::<Vec<_>>() }))
    };
    let checkpoints = async move |Path(id): Path<JobId>| {
        let jobs = jobs.lock().unwrap_or_else(PoisonError::into_inner);
        match jobs.iter().find(|(job, ..)| *job == id) {
            Some((.., found)) => Json(found.clone()).into_response(),
            None => (StatusCode::NOT_FOUND, Json(json!({ "errors": ["Job not found"] }))).into_response(),
        }
    };
    let routes =
        Router::new().route("/jobs/overview", get(list)).route("/jobs/{id}/checkpoints", get(checkpoints));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    address
}

/// A keeper in this directory, at the JobManager of this address.
fn keeper(dir: &std::path::Path, address: Option<SocketAddr>) -> SnapshotKeeper {
    let (_, upstream) = watch::channel(address);
    let (status, statuses) = watch::channel(Arc::new(Status::starting(&plan(dir), at(0))));
    let (keeper, keeping) = SnapshotKeeper::of(&ClusterDir::new(dir), upstream, statuses);
    tokio::spawn(async move {
        keeping.await;
        drop(status);
    });
    keeper
}

#[tokio::test]
async fn what_jobs_left_is_known_also_by_the_next_agent() {
    let tmp = tempfile::tempdir().unwrap();
    let jobs = Jobs::default();
    jobs.lock().unwrap().extend([
        (job(1), "RUNNING", checkpoints(Some(made(7, "file:/c/chk-7")), Some(made(5, "file:/s/5")))),
        (job(2), "RUNNING", checkpoints(Some(made(3, "<checkpoint-not-externally-addressable>")), None)),
    ]);
    let agent = keeper(tmp.path(), Some(flink(jobs.clone()).await));
    let program = Program { class: "org.x.Job".into(), jar: "a.jar".into() };
    agent.note(Note::Program { job: job(1), program: program.clone() }).await;
    let known = agent.look().await;
    assert_eq!(known.jobs.len(), 1, "what is in a JobManager's memory is nothing to start from: {known:?}");
    let first = &known.jobs[&job(1)];
    assert_eq!((first.name.as_deref(), first.since), (Some("etl"), at(1)));
    assert_eq!(first.program.as_ref(), Some(&program));
    assert_eq!(
        first.all().iter().map(|one| one.path.as_str()).collect::<Vec<_>>(),
        ["file:/c/chk-7", "file:/s/5"]
    );

    // Flink removes the checkpoints of a job that ended well.
    jobs.lock().unwrap()[0].1 = "FINISHED";
    let savepoint = Snapshot { at: at(9), path: "file:/s/9".into() };
    agent.note(Note::Savepoint { job: job(1), savepoint }).await;
    let ended = agent.look().await;
    let paths: Vec<_> = ended.jobs[&job(1)].all().iter().map(|one| one.path.clone()).collect();
    assert_eq!(paths, ["file:/s/9", "file:/s/5"]);
    assert_eq!(keeper(tmp.path(), None).look().await, ended, "it is on the disk");
}

#[tokio::test]
async fn a_damaged_file_or_a_silent_job_manager_hinders_nobody() {
    let tmp = tempfile::tempdir().unwrap();
    fs::write(ClusterDir::new(tmp.path()).snapshots(), "{\"jobs\":").unwrap();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let agent = keeper(tmp.path(), Some(nobody));
    let savepoint = Snapshot { at: at(1), path: "file:/s/1".into() };
    agent.note(Note::Savepoint { job: job(1), savepoint }).await;
    assert_eq!(agent.look().await.jobs.len(), 1);
}
