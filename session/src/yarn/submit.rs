//! Starting a cluster on YARN: what its nodes need goes to HDFS, and an application to the ResourceManager.

mod error;
mod shipment;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use kobel_conf::{
    chain,
    dirs::ensure_private,
    settings::Settings,
    units::{MemorySize, millis},
};
use kobel_flink::ha::ClusterRoot;
use kobel_hadoop_rpc::yarn::{Launch, Master, Resource, Submission, UrlError};
use kobel_plan::{
    ClusterPlan, ClusterState, FlinkRole,
    yarn::{RemoteFile, YarnPlan},
};
use kobel_staging::{Deadlines, Hdfs, Staging, StagingError};

use self::shipment::{Shipment, local_resource, master_files};
use super::{Application, Asked, application::staging_dir, container::Cargo, manager::Managers, seen::over};
pub use error::StartError;
pub(super) use shipment::{of_application, of_everybody};

use crate::{
    Compiled, Context,
    compile::AGENT,
    fsx,
    registry::{Claim, Cluster, RegistryError},
};

/// The command of the master's container; its output goes where YARN looks for it.
const COMMAND: &str = "./kobel am 1><LOG_DIR>/agent.out 2><LOG_DIR>/agent.err";
/// How long the ResourceManager may take to decide on an application.
const DECISION: Duration = Duration::from_secs(60);
/// What Flink's own client calls its applications.
const KIND: &str = "Apache Flink";

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Digests are computed, and HDFS is asked what it has.
    Looking,
    /// So many bytes were sent, of so many at most.
    Uploading {
        /// Sent so far.
        sent: u64,
        /// Of all that is not there yet.
        of: u64,
    },
    /// The ResourceManager decides.
    Submitting,
}

/// Told what is being done.
pub type OnStage<'a> = &'a (dyn Fn(Stage) + Send + Sync);

/// Submits the application of a new cluster, and returns when YARN has taken it. Of a start that fails
/// nothing is left but the record. One that is dropped half way is for `launch::roll_back` to take back.
pub async fn start(
    ctx: &Context,
    claim: Claim,
    compiled: &Compiled,
    cargo: &Cargo,
    on_stage: OnStage<'_>,
) -> Result<Cluster, StartError> {
    let submitted = submit(ctx, &claim, compiled, cargo, on_stage).await;
    let cluster = Cluster { name: claim.name, dir: claim.dir };
    let Err(error) = submitted else { return Ok(cluster) };
    if let Err(left) = take_back(&cluster, &error).await {
        tracing::warn!(cluster = %cluster.name, error = %left, "something of the failed start is left for gc");
    }
    Err(error)
}

/// Removes what was begun, and writes down why.
async fn take_back(cluster: &Cluster, error: &StartError) -> Result<(), StartError> {
    let words = chain(error);
    let status = over(&cluster.remembered()?, ClusterState::Failed, words.clone());
    cluster.remember(&status)?;
    let Some(application) = Application::of(&cluster.dir)? else { return Ok(()) };
    application.kill(&words).await?;
    Ok(application.remove_files().await?)
}

async fn submit(
    ctx: &Context,
    claim: &Claim,
    compiled: &Compiled,
    cargo: &Cargo,
    on_stage: OnStage<'_>,
) -> Result<(), StartError> {
    let mut plan = compiled.plan.clone();
    write_plan(claim, &plan)?;
    let site = &cargo.site;
    let asked = Asked::of(&compiled.conf, site.file_system())?;
    let asked = match (&plan.ha, &plan.job) {
        (Some(_), _) => asked.for_high_availability(),
        (None, Some(_)) => asked.only_once(),
        (None, None) => asked,
    };
    let managers = site.managers(ctx.settings.yarn_api.value);
    let manager = managers.open(&site.user)?;
    let new = manager.new_application().await?;
    check_sizes(&plan, &new.largest)?;
    let hdfs =
        Hdfs::new(None, &site.properties, &site.user, Deadlines::default()).map_err(StagingError::from)?;
    let base = staging_dir(&ctx.settings, &hdfs, asked.staging_in.as_deref());
    let application = Application {
        id: new.id,
        user: site.user.clone(),
        // Where the web did not serve this, it need not be asked again.
        managers: Managers { api: manager.way(), ..managers },
        staging: base.clone(),
        hadoop: site.properties.clone(),
        master_mib: master_mib(&plan),
        secret: secret()?,
        collection: site.collection.clone(),
        called: None,
    };
    // From here on it can be found, and with it all that follows.
    application.write(&claim.dir)?;
    on_stage(Stage::Looking);
    let Settings { staging_shared, staging_trusted_owners, .. } = &ctx.settings;
    let staging = Staging::new(Arc::new(hdfs), &base, &staging_shared.value, &staging_trusted_owners.value);
    let shipment = Shipment { application: &application, cargo, staging, on_stage };
    let mut yarn = YarnPlan {
        application_id: new.id.to_string(),
        user: site.user.clone(),
        scheduler: site.scheduler.clone(),
        resource_managers: site.rpc.clone(),
        last_attempt: asked.last_attempt(),
        patience_ms: millis(site.patience),
        staging: base,
        hadoop: site.properties.clone(),
        hadoop_class_path: site.class_path.clone(),
        worker_files: BTreeMap::new(),
        archives: None,
    };
    let (directory, program) = shipment.ship(ctx, &plan, &mut yarn).await?;
    plan.yarn = Some(yarn);
    name_in_zookeeper(&mut plan, &new.id.to_string());
    write_plan(claim, &plan)?;
    let files = master_files(&application, &plan, &directory, program).await?;
    on_stage(Stage::Submitting);
    let submission = submission(&application, &plan, asked, files)?;
    manager.submit(&submission, DECISION).await?;
    Ok(())
}

/// The cluster's name in ZooKeeper is the application's id unless somebody chose another.
fn name_in_zookeeper(plan: &mut ClusterPlan, id: &str) {
    let Some(ha) = plan.ha.as_mut().filter(|ha| ha.cluster_id.is_empty()) else { return };
    ha.cluster_id = id.into();
    plan.conf.insert(ClusterRoot::ID_KEY.into(), id.into());
    plan.origins.insert(ClusterRoot::ID_KEY.into(), "kobel: the application's id".into());
}

fn write_plan(claim: &Claim, plan: &ClusterPlan) -> Result<(), StartError> {
    let path = claim.dir.plan();
    let json = serde_json::to_vec_pretty(plan)
        .map_err(|source| RegistryError::Damaged { path: path.clone(), source })?;
    ensure_private(&plan.log_dir).map_err(RegistryError::from)?;
    fsx::write_whole(&path, &json).map_err(|source| StartError::File { path, source })
}

/// What opens the master to who changes the cluster.
fn secret() -> Result<String, StartError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|e| StartError::Random(std::io::Error::other(e)))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// YARN counts containers in MiB.
fn mib(bytes: u64) -> i64 {
    i64::try_from(bytes.div_ceil(1 << 20)).unwrap_or(i64::MAX)
}

pub(super) fn master_mib(plan: &ClusterPlan) -> i64 {
    mib(plan.job_manager.process_bytes.saturating_add(AGENT.bytes()))
}

fn check_sizes(plan: &ClusterPlan, largest: &Resource) -> Result<(), StartError> {
    let tm = (plan.most_task_managers(plan.wanted.task_managers) > 0)
        .then(|| (FlinkRole::TaskManager, mib(plan.task_manager.process_bytes)));
    for (role, size) in [(FlinkRole::JobManager, master_mib(plan))].into_iter().chain(tm) {
        if size > largest.memory_mib {
            let of_mib = |mib: i64| MemorySize::from_mib(u64::try_from(mib).unwrap_or(0));
            return Err(StartError::TooLarge {
                role,
                size: of_mib(size),
                largest: of_mib(largest.memory_mib),
            });
        }
    }
    Ok(())
}

fn submission(
    application: &Application,
    plan: &ClusterPlan,
    asked: Asked,
    files: BTreeMap<String, RemoteFile>,
) -> Result<Submission, StartError> {
    let files = files.iter().map(|(link, file)| Ok((link.clone(), local_resource(file)?)));
    let hadoop = plan
        .yarn
        .iter()
        .map(|yarn| (kobel_plan::Launch::HADOOP_CLASSPATH.to_string(), yarn.hadoop_class_path.clone()));
    let launch = Launch {
        commands: vec![COMMAND.into()],
        environment: hadoop.collect(),
        files: files.collect::<Result<_, UrlError>>()?,
        view_acl: asked.view_acl,
        modify_acl: asked.modify_acl,
        ..Launch::default()
    };
    Ok(Submission {
        id: application.id,
        name: asked.name.unwrap_or_else(|| plan.name.to_string()),
        kind: asked.kind.unwrap_or_else(|| KIND.into()),
        queue: asked.queue,
        priority: asked.priority,
        max_attempts: asked.max_attempts,
        failures_validity_ms: asked.failures_validity_ms,
        keep_containers: true,
        tags: asked.tags,
        node_label: asked.node_label,
        size: Resource::new(application.master_mib, asked.master_vcores),
        logs: asked.logs,
        master: Master::Launched(launch),
    })
}
