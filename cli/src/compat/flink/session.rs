//! Finding the session that an action is about.

use kobel_conf::Category;
use kobel_flink::FlinkRest;
use kobel_plan::{ClusterName, ProviderKind};
use kobel_session::{
    Context, FlinkChoice,
    job::{self, Target},
    prepare::configuration,
};

use super::{
    super::{commons_cli::Parsed, yarn_session},
    goal::{Address, Goal, TARGET, goal},
    options::Action,
    usage,
};
use crate::{commands, context::Ctx, failure::Failure};

/// A session, or what else answers at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Session {
    /// The one of this name; without a name the newest one.
    Kobels(Option<ClusterName>),
    /// A Flink that kobel did not start.
    Foreign(Address),
}

impl Session {
    /// The way to its jobs.
    pub(super) async fn target(&self, context: &Context) -> Result<Target, Failure> {
        match self {
            Session::Kobels(name) => Ok(commands::session(context, name.as_ref()).await?.1),
            Session::Foreign(address) => {
                let rest = FlinkRest::new(&format!("http://{address}"))?;
                Ok(Target { rest, log_dir: Default::default(), agent: None })
            }
        }
    }
}

/// What the options say, and where they say nothing, Flink's configuration.
pub(super) fn wanted(ctx: &Ctx, action: Action, parsed: &Parsed) -> Result<Goal, Failure> {
    let conf = configuration(&ctx.session()?, &FlinkChoice::Default);
    goal(action, parsed, conf.get_str(TARGET).filter(|target| !target.is_empty()))
}

/// The session that an action on jobs is about.
pub(super) async fn of_jobs(ctx: &Ctx, action: Action, parsed: &Parsed) -> Result<Target, Failure> {
    let context = ctx.session()?;
    let session = match wanted(ctx, action, parsed)? {
        // Jobs of such clusters are named by their application; without one, the newest is meant.
        Goal::Own(ProviderKind::Yarn) => find(ctx, &context, &Goal::OnYarn).await?,
        goal => find(ctx, &context, &goal).await?,
    };
    session.target(&context).await
}

/// The session that is meant.
pub(super) async fn find(ctx: &Ctx, context: &Context, goal: &Goal) -> Result<Session, Failure> {
    Ok(match goal {
        Goal::Application(id) => Session::Kobels(Some(context.of_application(*id).await?.name)),
        Goal::InZooKeeper(id) => Session::Kobels(Some(in_zookeeper(context, id)?)),
        Goal::At(address) => match context.registry().of_address(|url| address.is_of(url))? {
            Some(cluster) => Session::Kobels(Some(cluster.name)),
            None => Session::Foreign(address.clone()),
        },
        Goal::Any => Session::Kobels(told_of(ctx, context).await?),
        Goal::OnYarn => Session::Kobels(Some(match told_of(ctx, context).await? {
            Some(name) => name,
            None => newest_on_yarn(context).await?,
        })),
        Goal::Newest | Goal::Own(_) => Session::Kobels(None),
    })
}

/// The cluster of this name in ZooKeeper.
fn in_zookeeper(context: &Context, id: &str) -> Result<ClusterName, Failure> {
    let found = context.registry().of_cluster_id(id)?;
    found.map(|cluster| cluster.name).ok_or_else(|| {
        usage(format!("-z {id}: no session has this name in ZooKeeper"))
            .hint("kobel status   (it tells the cluster id)")
    })
}

/// The session that `yarn-session.sh` left word of, if it is of use.
async fn told_of(ctx: &Ctx, context: &Context) -> Result<Option<ClusterName>, Failure> {
    let file = yarn_session::properties_file(context, &FlinkChoice::Default, &[])?;
    let told = match file.application() {
        Ok(told) => told,
        Err(error) => {
            ctx.ui.note(format_args!("note: {} is left alone: {error}", file.path().display()));
            None
        }
    };
    let Some(id) = told else { return Ok(None) };
    let path = file.path().display();
    let found = match yarn_session::application_id(&id) {
        Ok(id) => context.of_application(id).await.map_err(Failure::from),
        Err(failure) => Err(failure),
    };
    let why = match found {
        Ok(cluster) if !cluster.status().await?.state.is_terminal() => return Ok(Some(cluster.name)),
        Ok(_) => "it is over".into(),
        Err(failure) => failure.what().to_string(),
    };
    ctx.ui.note(format_args!("note: {path} tells of {id}, which is of no use: {why}"));
    Ok(None)
}

async fn newest_on_yarn(context: &Context) -> Result<ClusterName, Failure> {
    let why = match context.find(None).await {
        Ok(newest) if newest.is_on_yarn() => return Ok(newest.name),
        Ok(newest) => format!("the newest session, {}, is not on YARN", newest.name),
        Err(error) => error.to_string(),
    };
    Err(Failure::new(Category::NotFound, "no session on YARN is known")
        .why(why)
        .hint("yarn-session.sh -d   (or name one: flink run -t yarn-session -Dyarn.application.id=ID …)"))
}

/// An id that no other job has.
pub(super) fn job_id() -> Result<kobel_plan::JobId, Failure> {
    job::random_job_id()
        .map_err(|e| Failure::new(Category::Environment, "cannot choose a job id").because(&e))
}
