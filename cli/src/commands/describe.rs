//! `kobel describe`.

use std::{process::ExitCode, time::Duration};

use jiff::Timestamp;
use kobel_plan::{ClusterPlan, Role, Status};
use kobel_session::{
    Cluster,
    job::{self, Target},
    logs::{self, Source, Stream, Which},
    timeline::Timeline,
};

use super::{events, job::row};
use crate::{
    args::DescribeArgs,
    context::Ctx,
    failure::Failure,
    render::{Description, JobRow, Place, Places, print},
};

/// How long a JobManager that does not answer may hold up the rest.
const JOBS: Duration = Duration::from_secs(5);

/// Shows all that is known of a cluster.
pub(crate) async fn run(ctx: &Ctx, args: DescribeArgs) -> Result<ExitCode, Failure> {
    let cluster = ctx.session()?.find(Some(&args.name)).await?;
    cluster.refresh().await?;
    let (plan, status) = (cluster.plan()?, cluster.status().await?);
    let events = events::added(&mut Timeline::of(&cluster.dir), &cluster)?;
    let description = Description {
        workers: cluster.workers(&status, &events)?,
        settings: cluster.settings()?,
        jobs: jobs(ctx, &status).await,
        files: files(&cluster, &plan),
        plan: plan.without_secrets(),
        now: Timestamp::now(),
        status,
        events,
    };
    print(&ctx.ui, &description, args.output.format)?;
    Ok(ExitCode::SUCCESS)
}

/// The jobs of a cluster that takes some; that it does not tell them hides nothing else.
async fn jobs(ctx: &Ctx, status: &Status) -> Vec<JobRow> {
    let Ok(target) = Target::of(status) else { return Vec::new() };
    match tokio::time::timeout(JOBS, job::list(&target.rest)).await {
        Ok(Ok(jobs)) => jobs.into_iter().map(row).collect(),
        Ok(Err(error)) => {
            ctx.ui.failure(&error.into());
            Vec::new()
        }
        Err(_) => {
            ctx.ui.warn(format_args!("cluster {} does not tell its jobs", status.name));
            Vec::new()
        }
    }
}

/// Where everything of the cluster lies.
fn files(cluster: &Cluster, plan: &ClusterPlan) -> Places {
    let dir = &cluster.dir;
    let place = |what: &str, path: std::path::PathBuf| Place { what: what.into(), path };
    let mut places = vec![
        place("directory", dir.path().into()),
        place("plan", dir.plan()),
        place("record", dir.record()),
        place("timeline", dir.events()),
        place("socket", dir.socket()),
        place("logging", plan.logging_conf_dir.clone()),
        place("logs", plan.log_dir.clone()),
    ];
    places.retain(|place| place.path.exists());
    // Those that cannot be listed are not there for anyone.
    for which in [Which::Agent, Which::Latest] {
        let files = logs::list(&plan.log_dir, which).unwrap_or_default();
        places.extend(files.into_iter().filter(|file| file.stream == Stream::Log).map(|file| {
            let what = match file.source {
                Source::Agent => "agent's log".into(),
                Source::Worker(id, attempt) => format!("{}'s log", id.attempt_name(attempt)),
            };
            Place { what, path: file.path }
        }));
    }
    let archives = [(Role::JobManager, &plan.job_manager), (Role::TaskManager, &plan.task_manager)];
    for (role, archive) in archives.map(|(role, plan)| (role, plan.archive.clone())) {
        let what = || format!("{}'s classes", role.noun());
        places.extend(archive.filter(|path| path.exists()).map(|path| Place { what: what(), path }));
    }
    Places(places)
}
