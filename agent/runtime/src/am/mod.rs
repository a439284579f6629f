//! The agent as YARN's ApplicationMaster: the same loop, in a container.
//!
//! ```text
//! PWD/kobel, flink/, conf/, hadoop/   what every container of the cluster is given
//! PWD/plan.json, secret               what only this one is
//! PWD/cluster/                        the cluster's directory, as on a single machine
//! ```

mod archives;
mod courier;
mod history;
mod inquest;
mod memory;
mod node;
mod training;

use std::{
    collections::BTreeMap, fs, os::unix::fs::DirBuilderExt, path::Path, process::ExitCode, sync::Arc,
    time::Duration,
};

use futures_util::FutureExt;
use kobel_conf::chain;
use kobel_hadoop_rpc::{
    Credentials, Protection,
    token::kind,
    yarn::{ContainerId, Launch, Registration, Scheduler},
};
use kobel_plan::{Attempt, ClusterDir, ClusterPlan, WorkerId, yarn::YarnPlan};
use kobel_provider::{
    local::{LocalProvider, Surroundings},
    yarn::{Master, Pace, YarnProvider},
};
use rustix::fs::Mode;

pub use self::training::run as train;
use self::{
    archives::Training,
    courier::{HdfsCourier, local_resource},
    history::History,
    inquest::coroner,
    node::Node,
    training::application,
};
use crate::{
    error::AgentError,
    front,
    record::Record,
    run::{AGENT_LOG, Beside, Extras, govern, io_error, log_to, read_plan},
};

pub(crate) use self::memory::Keeper;

/// How long a call of the ResourceManager may take.
const DEADLINE: Duration = Duration::from_secs(20);
/// Where the secret lies that opens what changes the cluster.
const SECRET: &str = "secret";
/// The directory of the cluster within the container's.
const CLUSTER: &str = "cluster";
/// The link to the plan.
const PLAN: &str = "plan.json";

/// Takes charge of the cluster whose container this is, and returns when the cluster is over.
pub fn run() -> ExitCode {
    match take_charge() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let error = chain(&error);
            tracing::error!(error, "the ApplicationMaster ends");
            // YARN shows the end of this file to the user.
            eprintln!("kobel: {error}");
            ExitCode::FAILURE
        }
    }
}

fn take_charge() -> Result<(), AgentError> {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let node = Node::of_container()?;
    log_to(&node.log_dir, AGENT_LOG)?;
    let dir = cluster_dir(&node)?;
    let plan = node.localize(read_plan(&dir)?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(4)
        // What such a thread has started on a leash dies with the thread.
        .thread_keep_alive(Duration::from_secs(u32::MAX.into()))
        .build()
        .map_err(|source| AgentError::Runtime { attempt: "set up the runtime", source })?;
    runtime.block_on(serve(plan, dir, node))
}

/// Makes the cluster's directory: what was localized is read-only and may be shared.
fn cluster_dir(node: &Node) -> Result<ClusterDir, AgentError> {
    let path = node.dir.join(CLUSTER);
    fs::DirBuilder::new().mode(0o700).recursive(true).create(&path).map_err(io_error("create", &path))?;
    let dir = ClusterDir::new(path);
    let from = node.dir.join(PLAN);
    let plan = fs::read(&from).map_err(io_error("read", &from))?;
    fs::write(dir.plan(), plan).map_err(io_error("write", &dir.plan()))?;
    Ok(dir)
}

async fn serve(mut plan: ClusterPlan, dir: ClusterDir, node: Node) -> Result<(), AgentError> {
    let Some(yarn) = plan.yarn.clone() else {
        return Err(AgentError::Container("its plan is not one for YARN".into()));
    };
    let (staging, application) = application(&yarn).await?;
    let mut keeper = Keeper::new(application.clone(), dir.clone());
    let former = if node.attempt > 1 { keeper.recall(node.attempt).await? } else { None };
    let former_port = former.as_ref().map(|record| record.front_port);
    let front = front::bind(&plan.front, former_port)?.with_secret(read_secret(&node.dir)?);
    let masters = LocalProvider::open(
        dir.workers(),
        plan.log_dir.clone(),
        dir.path().display().to_string(),
        Surroundings::Container { dir: node.dir.clone(), leash: node.dir.join("kobel") },
    )?;
    let mut launch = launch(&yarn, &node)?;
    let missing = archives::choose(&mut plan, node.machine().as_deref(), &node.dir, &mut launch.files)?;
    let training = match missing[..] {
        [] => None,
        _ => Training::of(&plan, &dir, staging.clone(), application.clone()),
    };
    let protection = protection(&yarn)?;
    let master = Master {
        scheduler: scheduler(&yarn, &node, protection.clone())?,
        protection,
        registration: Registration {
            host: node.host.clone(),
            port: Some(front.port),
            tracking_url: format!("{}/", front::url(&plan.front, front.port)),
        },
        launch,
        courier: Arc::new(HdfsCourier::new(application.clone())),
        former: former.filter(|_| plan.ha.is_some()).map(|record| containers(&record)).unwrap_or_default(),
        historian: Arc::new(History::new(&plan, &yarn, staging, dir.clone())),
        patience: Duration::from_millis(yarn.patience_ms),
        pace: pace(&yarn, &plan.conf),
        node_label: plan.conf.get("yarn.taskmanager.node-label").filter(|label| !label.is_empty()).cloned(),
    };
    let coroner = coroner(&plan, &yarn, node.attempt);
    let provider = YarnProvider::open(master, masters).await?;
    let beside = training.map(|training| beside(training, provider.clone()));
    let extras = Extras { front: Some(front), beside, keeper: Some(keeper), coroner };
    tokio::select! {
        governed = govern(plan, dir, provider, extras) => governed?,
        () = kobel_provider::evicted(&node.dir) => {
            let why = "the node has forgotten this container".into();
            return Err(AgentError::Fenced { why });
        }
    }
    // Of a cluster that is over nothing is fetched any more.
    if let Err(error) = application.remove().await {
        tracing::warn!(error = chain(&error), "could not remove the application's directory");
    }
    Ok(())
}

/// The containers that a former attempt's record tells of.
fn containers(record: &Record) -> BTreeMap<ContainerId, (WorkerId, Attempt)> {
    record.containers.iter().filter_map(|(id, key)| Some((id.parse().ok()?, *key))).collect()
}

/// Flink's keys for it; without them, this provider's own. What is no number was refused at the start.
fn pace(yarn: &YarnPlan, conf: &BTreeMap<String, String>) -> Pace {
    let ms = conf.get("yarn.heartbeat.container-request-interval");
    let ms = ms.and_then(|ms| ms.trim().parse::<u32>().ok());
    let Pace { calm, eager } = Pace::default();
    let calm = yarn.heartbeat_seconds(conf).map_or(calm, |seconds| Duration::from_secs(seconds.into()));
    Pace { calm, eager: ms.map_or(eager, |ms| Duration::from_millis(ms.into())).min(calm) }
}

fn beside(training: Training, provider: Arc<YarnProvider>) -> Beside {
    Box::new(move |status| async move { training.run(&provider, status).await }.boxed())
}

/// What the cluster's configuration allows: a weaker one is not agreed to, whoever offers it.
fn protection(yarn: &YarnPlan) -> Result<Protection, AgentError> {
    let Some(value) = yarn.hadoop.get(Protection::KEY) else { return Ok(Protection::default()) };
    Protection::from_configured(value)
        .ok_or_else(|| AgentError::Container(format!("{} has an unknown value: {value}", Protection::KEY)))
}

fn scheduler(yarn: &YarnPlan, node: &Node, protection: Protection) -> Result<Scheduler, AgentError> {
    let credentials = node.credentials()?;
    let token = credentials.token_of_kind(kind::AM_RM).cloned();
    let token =
        token.ok_or_else(|| AgentError::Container("YARN gave it no token to register with".into()))?;
    Scheduler::new(yarn.scheduler.clone(), token, protection, DEADLINE)
        .map_err(|error| AgentError::Container(chain(&error)))
}

/// What every worker's container runs. The master's own token stays with the master.
fn launch(yarn: &YarnPlan, node: &Node) -> Result<Launch, AgentError> {
    let files = yarn.worker_files.iter().map(|(link, file)| {
        let resource = local_resource(file).map_err(|error| AgentError::Container(error.to_string()))?;
        Ok((link.clone(), resource))
    });
    let credentials: Credentials = node.credentials()?.without_kind(kind::AM_RM);
    Ok(Launch {
        commands: vec![format!(
            "./kobel exec {} 1><LOG_DIR>/kobel.stdout 2><LOG_DIR>/kobel.stderr",
            Master::SPEC
        )],
        environment: [(kobel_plan::Launch::HADOOP_CLASSPATH.to_string(), yarn.hadoop_class_path.clone())]
            .into(),
        files: files.collect::<Result<_, AgentError>>()?,
        credentials,
        ..Launch::default()
    })
}

fn read_secret(dir: &Path) -> Result<String, AgentError> {
    let path = dir.join(SECRET);
    let secret = fs::read_to_string(&path).map_err(io_error("read", &path))?;
    Ok(secret.trim().into())
}
