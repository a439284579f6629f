//! Archives of Flink's classes (AppCDS) for the JVMs of this cluster: which of those on HDFS fit this node,
//! and making those that are not there, in a container of their own, for the sessions to come.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use jiff::Timestamp;
use kobel_conf::chain;
use kobel_hadoop_rpc::yarn::LocalResource;
use kobel_plan::{
    ClusterDir, ClusterEvent, ClusterPlan, ClusterState, EventKind, Exit, FlinkRole, Resources, Status,
    yarn::{Archives, RemoteFile},
};
use kobel_provider::{
    Provider,
    yarn::{Errand, NoErrand, YarnProvider},
};
use kobel_staging::{AppId, Digest, Directory, Staging};
use tokio::sync::watch;

use super::{courier::local_resource, training};
use crate::{error::AgentError, record::Timeline};

/// So long a cluster must have been ready without a job before it may be kept busy with something else.
const IDLE: Duration = Duration::from_secs(3);
/// How long YARN may take to give a container: where there is no room, a job may want what there will be.
const ROOM: Duration = Duration::from_secs(15);
/// How long all may take, from the first file that the node fetches to the last one that is sent.
const DEADLINE: Duration = Duration::from_secs(600);
/// How often a training that had to yield is begun anew.
const TIMES: u32 = 3;
/// The link to the training's plan.
const PLAN: &str = "train.json";

/// The archives that fit this node become the plan's; those for workers in containers of their own are fetched with
/// their other `files`. Those that are missing are returned.
pub(super) fn choose(
    plan: &mut ClusterPlan,
    machine: Option<&str>,
    dir: &Path,
    files: &mut BTreeMap<String, LocalResource>,
) -> Result<Vec<FlinkRole>, AgentError> {
    let archives = plan.yarn.as_ref().and_then(|yarn| yarn.archives.clone());
    let (Some(Archives { made, .. }), Some(machine)) = (archives, machine) else { return Ok(Vec::new()) };
    let mut missing = Vec::new();
    for role in [FlinkRole::JobManager, FlinkRole::TaskManager] {
        let kind = Archives::kind(role, machine);
        let link = Archives::link(&kind);
        let fits = match (role, made.get(&kind)) {
            // This very container was given it. Standbys have other ones.
            (FlinkRole::JobManager, file) => {
                if let (Some(file), true) = (file, plan.wanted.job_managers > 1) {
                    files.insert(link.clone(), resource(file)?);
                }
                dir.join(&link).is_file()
            }
            (FlinkRole::TaskManager, Some(file)) => {
                files.insert(link.clone(), resource(file)?);
                true
            }
            (FlinkRole::TaskManager, None) => false,
        };
        let role_plan = match role {
            FlinkRole::JobManager => &mut plan.job_manager,
            FlinkRole::TaskManager => &mut plan.task_manager,
        };
        role_plan.archive = fits.then(|| link.into());
        missing.extend((!fits).then_some(role));
    }
    tracing::info!(machine, found = made.len(), ?missing, "archives of classes");
    Ok(missing)
}

fn resource(file: &RemoteFile) -> Result<LocalResource, AgentError> {
    local_resource(file).map_err(|error| AgentError::Container(error.to_string()))
}

/// Has archives made when nobody needs the room.
pub(super) struct Training {
    recipe: Digest,
    plan: LocalResource,
    size: Resources,
    app: AppId,
    staging: Staging,
    directory: Directory,
    timeline: Timeline,
}

impl Training {
    /// For the archives that this plan's cluster would have wanted, if it may have some.
    pub(super) fn of(
        plan: &ClusterPlan,
        dir: &ClusterDir,
        staging: Staging,
        directory: Directory,
    ) -> Option<Self> {
        let yarn = plan.yarn.as_ref()?;
        let archives = yarn.archives.as_ref()?;
        Some(Self {
            recipe: archives.recipe.parse().ok()?,
            plan: local_resource(&archives.training).ok()?,
            size: training::SIZE,
            app: AppId::try_from(yarn.application_id.as_str()).ok()?,
            staging,
            directory,
            timeline: Timeline::new(dir),
        })
    }

    /// Waits for its time and does it. Dropped at any time, it leaves nothing that does not go with the
    /// application.
    pub(super) async fn run(self, provider: &YarnProvider, mut status: watch::Receiver<Arc<Status>>) {
        let most = provider.limits().await.map_or(0, |most| most.memory_bytes);
        if most < self.size.memory_bytes {
            return self
                .tell("no archives of Flink's classes are made: YARN gives no container large enough");
        }
        for _ in 0..TIMES {
            idle(&mut status).await;
            self.tell("archives of Flink's classes are made in a container of their own");
            let making = tokio::time::timeout(DEADLINE, provider.errand(self.errand()));
            let made = tokio::select! {
                made = making => made,
                // The container goes back at once, and with the directory what was sent.
                () = ending(&mut status) => return,
            };
            let outcome = match made {
                Ok(Ok(Exit::Code(0))) => match self.adopt().await {
                    Ok(count) => format!("{count} archives of Flink's classes are kept for the next start"),
                    Err(error) => format!("no archives of Flink's classes are kept: {}", chain(&error)),
                },
                Ok(Err(NoErrand::Yielded)) => {
                    self.clear().await;
                    self.tell("the making of archives gave way to a worker");
                    continue;
                }
                Ok(Ok(exit)) => format!("no archives of Flink's classes were made: {exit}"),
                Ok(Err(error)) => format!("no archives of Flink's classes were made: {error}"),
                Err(_) => format!("no archives of Flink's classes were made in {} s", DEADLINE.as_secs()),
            };
            self.clear().await;
            return self.tell(&outcome);
        }
    }

    fn errand(&self) -> Errand {
        Errand {
            command: format!("./kobel exec --train {PLAN} 1><LOG_DIR>/kobel.stdout 2><LOG_DIR>/kobel.stderr"),
            files: [(PLAN.to_string(), self.plan.clone())].into(),
            size: self.size,
            within: ROOM,
        }
    }

    /// The names of what the training has sent, and what each is.
    async fn drafts(&self) -> Result<Vec<(String, String)>, kobel_staging::StagingError> {
        let files = self.directory.list().await?;
        let names = files.iter().filter_map(|file| file.path.rsplit('/').next());
        Ok(names
            .filter_map(|name| Some((name.to_string(), training::kind_of_draft(name)?.to_string())))
            .collect())
    }

    async fn adopt(&self) -> Result<usize, kobel_staging::StagingError> {
        let drafts = self.drafts().await?;
        for (name, kind) in &drafts {
            self.staging.adopt(self.recipe, kind, &self.directory, name, &self.app).await?;
        }
        Ok(drafts.len())
    }

    /// Removes what was sent and not kept.
    async fn clear(&self) {
        for (name, _) in self.drafts().await.unwrap_or_default() {
            if let Err(error) = self.directory.take_away(&name).await {
                tracing::info!(name, error = chain(&error), "a draft stays until the application goes");
            }
        }
    }

    fn tell(&self, message: &str) {
        tracing::info!("{message}");
        let (at, kind, message) = (Timestamp::now(), EventKind::Training, message.into());
        self.timeline.append(&ClusterEvent { at, kind, worker: None, message });
    }
}

/// Waits until the cluster has been ready and without a job for a while; of one that is over, for ever.
async fn idle(status: &mut watch::Receiver<Arc<Status>>) {
    let rests = |status: &Status| status.state == ClusterState::Ready && status.jobs.running == 0;
    loop {
        if status.wait_for(|now| rests(now)).await.is_err() {
            return std::future::pending().await;
        }
        let disturbed = tokio::time::timeout(IDLE, status.wait_for(|now| !rests(now))).await;
        if disturbed.is_err() {
            return;
        }
    }
}

/// Waits until the cluster is coming to its end.
async fn ending(status: &mut watch::Receiver<Arc<Status>>) {
    let ends = |now: &Arc<Status>| now.state == ClusterState::Stopping || now.state.is_terminal();
    let _ = status.wait_for(ends).await;
}
