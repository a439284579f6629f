//! The jobs of a cluster.

use kobel_flink::{FlinkRest, RestError, rest::JobSummary};
use kobel_plan::JobId;

/// All jobs that the cluster remembers, the newest first. Their states are those of this moment:
/// the list itself may be some seconds old.
pub async fn list(rest: &FlinkRest) -> Result<Vec<JobSummary>, RestError> {
    let mut jobs = rest.jobs().await?;
    for job in jobs.iter_mut().filter(|job| !job.state.is_terminal()) {
        match rest.job_state(job.jid).await {
            Ok(state) => job.state = state,
            Err(RestError::NotFound { .. }) => {}
            Err(other) => return Err(other),
        }
    }
    jobs.sort_by_key(|job| std::cmp::Reverse(job.start_time));
    Ok(jobs)
}

/// One job of the list, if the cluster remembers it.
pub async fn find(rest: &FlinkRest, job: JobId) -> Result<Option<JobSummary>, RestError> {
    Ok(list(rest).await?.into_iter().find(|summary| summary.jid == job))
}
