//! The plan of a program's job, without running it.

use std::sync::{Arc, atomic::AtomicU64};

use kobel_plan::JobId;

use super::{
    JarFile, JobRequest, SubmitError, Target,
    submit::{MAIN, discard, run_request},
};

/// Has the session say what job the program would submit, as JSON. Its `main` runs in the JobManager, up to there.
pub async fn plan(
    target: &Target,
    job: JobId,
    request: &JobRequest,
) -> Result<serde_json::Value, SubmitError> {
    let jar = JarFile::check(&request.jar, request.class.as_deref())?;
    let rest = &target.rest;
    let id = rest
        .upload_jar(&jar.path, Arc::new(AtomicU64::new(0)))
        .await
        .map_err(|source| SubmitError::Upload { jar: request.jar.clone(), source })?;
    let planned = rest.plan_jar(&id, &run_request(request, job), MAIN).await;
    discard(rest, &id).await;
    planned.map_err(|source| SubmitError::NotApplied { jar: request.jar.clone(), source })
}
