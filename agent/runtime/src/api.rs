//! What both servers answer, the socket and the front: status and timeline.

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use futures_util::{Stream, stream};
use kobel_conf::chain;
use kobel_plan::{
    JobId, Status,
    api::{ApiError, EVENTS, JOB_RESULTS, SNAPSHOTS, STATUS},
};
use serde::Deserialize;
use tokio_util::io::ReaderStream;

use crate::handle::Handle;

/// JSON values, a line each.
const JSON_LINES: (header::HeaderName, &str) = (header::CONTENT_TYPE, "application/x-ndjson");

/// The routes that only read.
pub(crate) fn reading() -> Router<Handle> {
    let result = format!("{JOB_RESULTS}/{{job}}");
    Router::new()
        .route(STATUS, get(status))
        .route(EVENTS, get(events))
        .route(&result, get(job_result))
        .route(SNAPSHOTS, get(snapshots))
}

/// An answer that is not 2xx.
pub(crate) fn failure(status: StatusCode, error: impl Into<String>) -> Response {
    (status, Json(ApiError { error: error.into() })).into_response()
}

#[derive(Debug, Deserialize)]
struct StatusQuery {
    #[serde(default)]
    watch: bool,
}

async fn status(State(handle): State<Handle>, Query(query): Query<StatusQuery>) -> Response {
    if query.watch {
        return ([JSON_LINES], Body::from_stream(statuses(handle))).into_response();
    }
    handle.look().await;
    let status = handle.status.borrow().clone();
    Json(&*status).into_response()
}

/// The present status and every change, until the cluster is over. Who reads slowly misses
/// intermediate ones, never the last.
fn statuses(handle: Handle) -> impl Stream<Item = Result<Bytes, serde_json::Error>> {
    let mut changes = handle.status;
    changes.mark_changed();
    stream::unfold(Some(changes), |changes| async {
        let mut changes = changes?;
        changes.changed().await.ok()?;
        let status = changes.borrow_and_update().clone();
        let rest = (!status.state.is_terminal()).then_some(changes);
        Some((line(&status), rest))
    })
}

fn line(status: &Status) -> Result<Bytes, serde_json::Error> {
    let mut line = serde_json::to_vec(status)?;
    line.push(b'\n');
    Ok(line.into())
}

async fn events(State(handle): State<Handle>) -> Response {
    match tokio::fs::File::open(&handle.events).await {
        Ok(file) => ([JSON_LINES], Body::from_stream(ReaderStream::new(file))).into_response(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => [JSON_LINES].into_response(),
        Err(error) => {
            failure(StatusCode::INTERNAL_SERVER_ERROR, format!("could not read the timeline: {error}"))
        }
    }
}

async fn snapshots(State(handle): State<Handle>) -> Response {
    Json(handle.snapshots.look().await).into_response()
}

/// In Flink's own words.
async fn job_result(State(handle): State<Handle>, Path(job): Path<String>) -> Response {
    let Ok(job) = job.parse::<JobId>() else {
        return failure(StatusCode::BAD_REQUEST, format!("{job:?} is no job id"));
    };
    let Some(results) = &handle.results else {
        let why = "results of jobs are kept with high availability only, in a file: or hdfs: directory";
        return failure(StatusCode::NOT_IMPLEMENTED, why);
    };
    match results.result(job).await {
        Ok(Some(json)) => ([(header::CONTENT_TYPE, "application/json")], json).into_response(),
        Ok(None) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => failure(StatusCode::SERVICE_UNAVAILABLE, chain(&error)),
    }
}
