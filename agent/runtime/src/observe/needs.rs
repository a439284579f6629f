//! What the JobManager is asked to tell what jobs lack: nothing while all of them run.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::{StreamExt, TryStreamExt, stream};
use kobel_flink::{
    FlinkRest, RestError,
    rest::{JobSummary, TaskManager},
};
use kobel_plan::JobId;
use tokio::time::timeout;

use crate::demand::{Demand, is_unclear, lack, waits};

/// What is to be found out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing.
    #[default]
    Nothing,
    /// What jobs lack.
    Slots,
    /// The same, and which TaskManagers may hold results of jobs that go on.
    Results,
}

/// The cluster's own state shall not wait for this.
const WITHIN: Duration = Duration::from_secs(1);
/// Of so many jobs that wait the vertices are asked for at once. The others come after them.
const JOBS_AT_ONCE: usize = 20;
/// So many questions are under way at a time.
const SIDE_BY_SIDE: usize = 16;

/// What these jobs lack beside these TaskManagers; none where that could not be found out.
pub(super) async fn look(
    rest: &FlinkRest,
    needs: Needs,
    jobs: &[JobSummary],
    task_managers: &[TaskManager],
) -> Option<Demand> {
    match timeout(WITHIN, ask(rest, needs, jobs, task_managers)).await {
        Ok(Ok(demand)) => Some(demand),
        Ok(Err(error)) => {
            tracing::debug!(%error, "could not find out what jobs lack");
            None
        }
        Err(_) => {
            tracing::debug!("could not find out in time what jobs lack");
            None
        }
    }
}

async fn ask(
    rest: &FlinkRest,
    needs: Needs,
    jobs: &[JobSummary],
    task_managers: &[TaskManager],
) -> Result<Demand, RestError> {
    let waiting: Vec<_> = jobs.iter().filter(|job| waits(job)).take(JOBS_AT_ONCE).collect();
    let held = if waiting.is_empty() { None } else { held(rest, task_managers).await };
    let (mut lacks, mut unclear) = (vec![], jobs.iter().any(is_unclear));
    for job in waiting {
        let vertices = rest.job(job.jid).await?.vertices;
        // Flink may remember it as it was before it had any.
        unclear |= vertices.is_empty();
        let held = held.as_ref().map(|held| held.get(&job.jid).copied().unwrap_or(0));
        lacks.push(lack(job, &vertices, held));
    }
    let free = task_managers.iter().map(|tm| tm.free_slots).fold(0, u32::saturating_add);
    let results = if needs == Needs::Results { Some(results(rest, jobs).await?) } else { None };
    Ok(Demand { unclear, results, ..Demand::of(&lacks, free) })
}

/// How many slots each job holds; none where that would take too long.
async fn held(rest: &FlinkRest, task_managers: &[TaskManager]) -> Option<BTreeMap<JobId, u32>> {
    let used = task_managers.iter().filter(|tm| tm.free_slots < tm.slots_number);
    let asking: Vec<_> = used.map(|tm| rest.slot_owners(&tm.id)).collect();
    let owners = stream::iter(asking).buffer_unordered(SIDE_BY_SIDE).try_collect::<Vec<_>>();
    let mut held = BTreeMap::new();
    for job in timeout(WITHIN / 2, owners).await.ok()?.ok()?.into_iter().flatten() {
        *held.entry(job).or_insert(0) += 1;
    }
    Some(held)
}

/// The TaskManagers that ran tasks of jobs that go on after those.
async fn results(rest: &FlinkRest, jobs: &[JobSummary]) -> Result<BTreeSet<String>, RestError> {
    let mut names = BTreeSet::new();
    for job in jobs.iter().filter(|job| !job.state.is_terminal() && job.tasks.finished > 0) {
        names.extend(rest.job_task_managers(job.jid).await?);
    }
    Ok(names)
}
