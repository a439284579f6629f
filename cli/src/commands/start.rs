//! `kobel start`.

use std::{num::NonZeroU32, process::ExitCode};

use jiff::Timestamp;
use kobel_conf::Category;
use kobel_plan::{ClusterName, ClusterPlan, ClusterState, ProviderKind, Status};
use kobel_session::{
    Cluster, ClusterSpec, Compiled, Context, Control, ha,
    launch::{self, Patience, WaitError},
    prepare::{PrepareError, prepare},
    registry::{Claim, RegistryError},
    train,
    yarn::{self, Cargo, Stage},
};

use super::{
    attach::attach,
    config::settings,
    flink,
    news::{self, plural},
};
use crate::{
    args::{ClusterArgs, Format, Provider, StartArgs, StartHow},
    context::Ctx,
    failure::Failure,
    render::{PlanView, StatusView, print},
    ui::{Caught, Signals},
};

/// Starts a session cluster.
pub(crate) async fn run(ctx: &Ctx, args: StartArgs) -> Result<ExitCode, Failure> {
    let spec = spec(args.name, args.cluster)?;
    start(ctx, spec, &args.how).await
}

/// What was asked for, in the words of kobel-session.
pub(crate) fn spec(name: ClusterName, args: ClusterArgs) -> Result<ClusterSpec, Failure> {
    let provider = ProviderKind::from(args.provider);
    if provider != ProviderKind::Yarn {
        only_on_yarn(provider, &args)?;
    }
    if args.provider == Provider::Hosts {
        let what = format!("provider {provider} is not in this version of kobel: it comes with a later one");
        return Err(Failure::new(Category::Environment, what).hint("kobel start --on local"));
    }
    Ok(ClusterSpec {
        provider,
        flink: args.flink.unwrap_or_default(),
        job_managers: args.masters.unwrap_or(1),
        task_managers: args.tm,
        max_task_managers: args.max_tm,
        zookeeper: args.zookeeper,
        namespace: args.namespace,
        slots: args.slots.and_then(NonZeroU32::new),
        tm_memory: args.tm_mem.map(|size| size.bytes()),
        jm_memory: args.jm_mem.map(|size| size.bytes()),
        queue: args.queue,
        application_name: args.application_name,
        node_label: args.node_label,
        ship: args.ship,
        conf_dir: args.conf,
        overrides: args.properties,
        ..ClusterSpec::local(name)
    })
}

/// Refuses what only YARN has.
fn only_on_yarn(provider: ProviderKind, args: &ClusterArgs) -> Result<(), Failure> {
    let given = [
        (args.queue.is_some(), "--queue", "NAME", "YARN's"),
        (args.application_name.is_some(), "--name", "NAME", "an application's of YARN"),
        (args.node_label.is_some(), "--node-label", "LABEL", "for YARN's nodes"),
        (!args.ship.is_empty(), "--ship", "PATH", "for YARN's nodes"),
    ];
    let Some((_, flag, value, whose)) = given.into_iter().find(|(given, ..)| *given) else { return Ok(()) };
    let what = format!("{flag} is {whose}, and provider {provider} has none");
    Err(Failure::new(Category::Usage, what).hint(format!("kobel start --on yarn {flag} {value}")))
}

/// Starts the cluster that is specified.
pub(crate) async fn start(ctx: &Ctx, spec: ClusterSpec, how: &StartHow) -> Result<ExitCode, Failure> {
    let context = ctx.session()?;
    let compiled = decide(ctx, &context, &spec).await?;
    if how.dry_run {
        return show_plan(ctx, &compiled, how.format);
    }
    // From here on a Ctrl-C takes back what was begun.
    let mut signals = Signals::catch()?;
    let (cluster, caught) = place(ctx, &context, &compiled, &mut signals).await?;
    let starting = Starting { ctx, context: &context, cluster: &cluster, plan: &compiled.plan };
    match caught {
        Some(caught) => starting.interrupted(caught, &mut signals).await,
        None if how.no_wait => starting.leave(how).await,
        None => starting.wait(how, &mut signals).await,
    }
}

/// Decides what the cluster is, and tells what a person may want to know of it.
pub(super) async fn decide(ctx: &Ctx, context: &Context, spec: &ClusterSpec) -> Result<Compiled, Failure> {
    let compiled = match prepare(context, spec) {
        Err(PrepareError::NoFlink) if flink::agree_to_install(ctx, context).await? => prepare(context, spec)?,
        other => other?,
    };
    compiled.notes.iter().for_each(|note| ctx.ui.note(format_args!("note: {note}")));
    Ok(compiled)
}

/// What an agent would be given, whole, unless another form is asked for.
pub(super) fn show_plan(ctx: &Ctx, compiled: &Compiled, format: Option<Format>) -> Result<ExitCode, Failure> {
    let view = PlanView { plan: compiled.plan.without_secrets(), settings: settings(&compiled.conf) };
    print(&ctx.ui, &view, format.unwrap_or(Format::Json))?;
    Ok(ExitCode::SUCCESS)
}

/// Has an agent begin with the cluster, here or on YARN. A signal meanwhile is told: what was begun can be found.
pub(super) async fn place(
    ctx: &Ctx,
    context: &Context,
    compiled: &Compiled,
    signals: &mut Signals,
) -> Result<(Cluster, Option<Caught>), Failure> {
    if let Some(found) = ha::check(context, compiled).await? {
        found.notes.iter().for_each(|note| ctx.ui.note(format_args!("note: {note}")));
        ctx.ui.note(expected(&found, compiled.plan.wanted.job_managers));
    }
    let claim = claim(ctx, context, &compiled.plan.name).await?;
    match &compiled.cargo {
        Some(cargo) => submit(ctx, context, claim, compiled, cargo, signals).await,
        None => launch(context, claim, compiled, signals).await,
    }
}

/// What a fault is going to cost.
fn expected(found: &ha::Found, masters: u32) -> String {
    let cold = if masters == 1 { "; without a standby a JobManager has to start first" } else { "" };
    format!("high availability: {}{cold}", found.recovery)
}

/// Starts an agent on this machine; a signal meanwhile waits for it.
async fn launch(
    context: &Context,
    claim: Claim,
    compiled: &Compiled,
    signals: &mut Signals,
) -> Result<(Cluster, Option<Caught>), Failure> {
    let mut launching =
        std::pin::pin!(launch::start(&context.agent, claim, &compiled.plan, compiled.program.as_deref()));
    tokio::select! {
        cluster = &mut launching => Ok((cluster?, None)),
        // An agent half started could not be told to end.
        caught = signals.next() => Ok((launching.await?, Some(caught))),
    }
}

/// Submits the cluster to YARN; a signal meanwhile breaks that off, and what was begun can be found.
async fn submit(
    ctx: &Ctx,
    context: &Context,
    claim: Claim,
    compiled: &Compiled,
    cargo: &Cargo,
    signals: &mut Signals,
) -> Result<(Cluster, Option<Caught>), Failure> {
    let progress = ctx.ui.progress();
    let on_stage = |stage| match stage {
        Stage::Looking => {
            progress.now("looking what YARN's nodes still need");
        }
        Stage::Uploading { sent, of } => {
            if progress.now("uploading Flink and kobel to HDFS") {
                progress.bytes_of(Some(of));
            }
            progress.bytes_so_far(sent);
        }
        Stage::Submitting => {
            progress.unmeasured();
            progress.now("submitting the application to YARN");
        }
    };
    let cluster = Cluster { name: claim.name.clone(), dir: claim.dir.clone() };
    tokio::select! {
        submitted = yarn::start(context, claim, compiled, cargo, &on_stage) => Ok((submitted?, None)),
        caught = signals.next() => Ok((cluster, Some(caught))),
    }
}

/// Takes the name. A cluster of that name that lost its agent gets one again, and keeps the name; one on
/// YARN may be over without anybody here having noticed.
async fn claim(ctx: &Ctx, context: &Context, name: &ClusterName) -> Result<Claim, Failure> {
    match context.registry().claim(name) {
        Err(RegistryError::AgentGone { .. }) => {
            context.find(Some(name)).await?;
            context.registry().claim(name).map_err(exists)
        }
        Err(taken @ RegistryError::Exists { .. }) => {
            // Of one that is only just claimed there is no plan yet.
            let Ok(cluster) = context.registry().find(name) else { return Err(exists(taken)) };
            if !cluster.is_on_yarn() || !cluster.status().await?.state.is_terminal() {
                return Err(exists(taken));
            }
            if let Err(error) = cluster.sweep().await {
                ctx.ui.warn(format_args!("something of the former {name} is left on HDFS: {error}"));
            }
            context.registry().claim(name).map_err(exists)
        }
        claimed => claimed.map_err(exists),
    }
}

/// A name that is taken by a cluster that is not ready is told apart from one that is.
fn exists(error: RegistryError) -> Failure {
    let ready = matches!(error, RegistryError::Exists { state: ClusterState::Ready, .. });
    let taken = matches!(error, RegistryError::Exists { .. } | RegistryError::AgentGone { .. });
    let failure = Failure::from(error);
    if taken && !ready { failure.with_category(Category::NotReady) } else { failure }
}

/// A cluster whose agent runs.
pub(super) struct Starting<'a> {
    pub(super) ctx: &'a Ctx,
    pub(super) context: &'a Context,
    pub(super) cluster: &'a Cluster,
    pub(super) plan: &'a ClusterPlan,
}

impl Starting<'_> {
    async fn wait(&self, how: &StartHow, signals: &mut Signals) -> Result<ExitCode, Failure> {
        let patience = Patience::new(how.timeout, self.context.settings.start_timeout.value);
        let progress = self.ctx.ui.progress();
        let mut on_status = |status: &Status| {
            if status.state != ClusterState::Ready {
                progress.now(news::line(status));
            }
        };
        let ready = tokio::select! {
            ready = launch::wait_ready(self.cluster, &patience, &mut on_status) => ready,
            caught = signals.next() => {
                drop(progress);
                return self.interrupted(caught, signals).await;
            }
        };
        drop(progress);
        match ready {
            Ok(status) => self.ready(status, how, signals).await,
            Err(error) => Err(self.failed(error, signals).await),
        }
    }

    /// The rest goes on without us.
    async fn leave(&self, how: &StartHow) -> Result<ExitCode, Failure> {
        let name = &self.cluster.name;
        let wait = format!("kobel wait {name} --for ready");
        self.ctx.ui.note(format_args!("cluster {name} is starting; wait for it with: {wait}"));
        self.show(self.cluster.status().await?, how)?;
        train::begin(self.context, self.cluster, self.plan);
        Ok(ExitCode::SUCCESS)
    }

    async fn ready(
        &self,
        status: Status,
        how: &StartHow,
        signals: &mut Signals,
    ) -> Result<ExitCode, Failure> {
        self.ctx.ui.note(summary(&status));
        self.show(status, how)?;
        train::begin(self.context, self.cluster, self.plan);
        if how.attach { attach(self.ctx, self.cluster, signals).await } else { Ok(ExitCode::SUCCESS) }
    }

    /// Data for those who asked for it.
    fn show(&self, status: Status, how: &StartHow) -> Result<(), Failure> {
        let view = StatusView { status, log: Vec::new(), now: Timestamp::now() };
        how.format.map_or(Ok(()), |format| print(&self.ctx.ui, &view, format))
    }

    /// Nothing of a start that failed goes on running; its logs stay.
    async fn failed(&self, error: WaitError, signals: &mut Signals) -> Failure {
        let over = matches!(error, WaitError::Ended { .. });
        let failure = Failure::from(error);
        if !over && let Err(left) = self.roll_back(signals).await {
            self.ctx.ui.failure(&left);
        }
        failure
    }

    pub(super) async fn interrupted(
        &self,
        caught: Caught,
        signals: &mut Signals,
    ) -> Result<ExitCode, Failure> {
        let name = &self.cluster.name;
        self.ctx.ui.note(format_args!("interrupted: taking {name} down again (once more: at once)"));
        if self.roll_back(signals).await? {
            self.context.registry().remove(self.cluster)?;
        }
        Ok(caught.exit_code())
    }

    /// Takes the cluster down; a signal meanwhile kills it and does not wait. Whether it is known to
    /// be gone.
    pub(super) async fn roll_back(&self, signals: &mut Signals) -> Result<bool, Failure> {
        tokio::select! {
            over = launch::roll_back(&self.context.agent, self.cluster) => over.map(|_| true).map_err(Failure::from),
            _ = signals.next() => {
                Control::open(&self.cluster.dir)?.kill().await?;
                Ok(false)
            }
        }
    }
}

/// What was started, and what to do with it.
fn summary(status: &Status) -> String {
    let name = &status.name;
    let masters = match status.masters.len() {
        0 | 1 => String::new(),
        several => format!("{several} JobManagers, "),
    };
    let tms = status.task_managers.running;
    let managers = plural(tms as usize, "TaskManager", "TaskManagers");
    let total = status.slots.total;
    let slots = plural(total as usize, "slot", "slots");
    let url = status.rest_url.as_deref().unwrap_or("-");
    format!(
        "cluster {name} is ready: Flink {}, {masters}{tms} {managers}, {total} {slots}
  web UI  {url}
  run     kobel run --cluster {name} -c CLASS JAR [ARGS]
  look    kobel status {name}
  stop    kobel stop {name}",
        status.flink_version
    )
}

#[cfg(test)]
mod tests {
    use kobel_session::spec::ZooKeeperChoice;

    use super::*;

    #[test]
    fn what_was_typed_becomes_the_specification() {
        use clap::Parser;
        let typed = "kobel start etl --tm 2 --max-tm 4 --slots 3 --tm-mem 800m --jm-mem 1g --flink 1.20.5 --masters 2 --zookeeper embedded -z ns -D a=b -Dc=d=e";
        let cli = crate::args::Cli::try_parse_from(typed.split(' ')).unwrap();
        let crate::args::Command::Start(args) = cli.command else { panic!("{cli:?}") };
        let spec = spec(args.name, args.cluster).unwrap();
        assert_eq!(
            (spec.name.as_str(), spec.task_managers, spec.slots),
            ("etl", Some(2), NonZeroU32::new(3))
        );
        assert_eq!(spec.max_task_managers, Some(4));
        assert_eq!((spec.job_managers, spec.zookeeper), (2, Some(ZooKeeperChoice::Embedded)));
        assert_eq!(spec.namespace.as_deref(), Some("ns"));
        assert_eq!((spec.tm_memory, spec.jm_memory), (Some(800 << 20), Some(1 << 30)));
        let pairs: Vec<_> = spec.overrides.iter().map(|o| (o.key.as_str(), o.value.as_str())).collect();
        assert_eq!(pairs, [("a", "b"), ("c", "d=e")]);
    }
}
