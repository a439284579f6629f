//! `start-cluster.sh`, `stop-cluster.sh`, `jobmanager.sh` and `taskmanager.sh` on this machine. One
//! cluster, `default`, stands for what those scripts keep in pid files; `FLINK_IDENT_STRING`, which
//! tells their clusters apart, names another.

mod hosts;

use std::{ops::ControlFlow, process::ExitCode, time::Duration};

use kobel_conf::Category;
use kobel_plan::{ClusterName, FlinkRole, Status, Wanted, api::ScaleRequest};
use kobel_session::{
    Cluster, ClusterSpec, Context, Control, launch::LaunchError, registry::RegistryError, spec::Override,
};

use self::hosts::Masters;
use super::commons_cli::{Arg, Opt, parse};
use crate::{
    args::{StartHow, StopArgs},
    commands::{self, follow},
    context::Ctx,
    failure::Failure,
};

const START: &[Opt] = &[Opt { short: "D", long: "", arg: Arg::Property }];

/// `start-cluster.sh`: a JobManager, with high availability one for each line of the masters file, and a
/// TaskManager for each line of the workers file.
pub(super) async fn start_cluster(ctx: &Ctx, args: &[String]) -> Result<ExitCode, Failure> {
    let context = ctx.session()?;
    let given = overrides(args)?;
    let (conf_dir, configured) = hosts::configuration(&context)?;
    let masters = Masters::of(&conf_dir, &configured, &given)?;
    let spec = ClusterSpec {
        job_managers: masters.count,
        task_managers: Some(hosts::workers(&conf_dir)?),
        web_ports: masters.behind_the_front(),
        overrides: masters.front(&given).into_iter().chain(given).collect(),
        ..ClusterSpec::local(name(&context)?)
    };
    commands::start_cluster(ctx, spec, &StartHow::default()).await
}

/// `stop-cluster.sh`: like Flink's, no error when there is nothing to stop.
pub(super) async fn stop_cluster(ctx: &Ctx, args: &[String]) -> Result<ExitCode, Failure> {
    if let Some(word) = args.first() {
        return Err(usage(format!("stop-cluster.sh takes no argument such as {word}")));
    }
    let name = name(&ctx.session()?)?;
    match commands::stop_cluster(ctx, StopArgs { name, ..StopArgs::default() }).await {
        Err(failure) if failure.category() == Category::NotFound => {
            ctx.ui.note("No standalonesession daemon to stop on this host.");
            Ok(ExitCode::SUCCESS)
        }
        other => other,
    }
}

/// `jobmanager.sh start [HOST [WEBPORT]] [-D k=v]… | stop | stop-all`.
pub(super) async fn job_manager(ctx: &Ctx, args: &[String]) -> Result<ExitCode, Failure> {
    daemon(ctx, FlinkRole::JobManager, args).await
}

/// `taskmanager.sh start [-D k=v]… | stop | stop-all`.
pub(super) async fn task_manager(ctx: &Ctx, args: &[String]) -> Result<ExitCode, Failure> {
    daemon(ctx, FlinkRole::TaskManager, args).await
}

async fn daemon(ctx: &Ctx, role: FlinkRole, args: &[String]) -> Result<ExitCode, Failure> {
    let script = role.noun().to_lowercase();
    let expected = || usage(format!("{script}.sh takes start, stop or stop-all"));
    let (verb, rest) = args.split_first().ok_or_else(expected)?;
    let all = i32::MAX;
    match verb.as_str() {
        "start" => start(ctx, role, rest).await,
        "stop" => stop(ctx, role, 1).await,
        "stop-all" => stop(ctx, role, all).await,
        "start-foreground" => Err(usage(format!("{script}.sh start-foreground is not built yet"))
            .hint(format!("{script}.sh start, and: kobel logs -f"))),
        _ => Err(expected()),
    }
}

async fn start(ctx: &Ctx, role: FlinkRole, args: &[String]) -> Result<ExitCode, Failure> {
    let context = ctx.session()?;
    let name = name(&context)?;
    match running(&context, &name).await? {
        Some(cluster) => scale(ctx, &context, &cluster, role, 1).await,
        None => {
            let mut overrides = overrides(args)?;
            if role == FlinkRole::JobManager {
                overrides.extend(web_address(args)?);
            }
            let of = |wanted: FlinkRole| u32::from(role == wanted);
            let spec = ClusterSpec {
                job_managers: of(FlinkRole::JobManager),
                task_managers: Some(of(FlinkRole::TaskManager)),
                overrides,
                ..ClusterSpec::local(name)
            };
            // Nothing gets ready before the other script has brought a JobManager.
            let how = StartHow { no_wait: role == FlinkRole::TaskManager, ..StartHow::default() };
            commands::start_cluster(ctx, spec, &how).await
        }
    }
}

async fn stop(ctx: &Ctx, role: FlinkRole, how_many: i32) -> Result<ExitCode, Failure> {
    let context = ctx.session()?;
    let name = name(&context)?;
    match running(&context, &name).await? {
        Some(cluster) => scale(ctx, &context, &cluster, role, -how_many).await,
        None => {
            ctx.ui.note(format_args!("No {} to stop on this host.", role.noun()));
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Asks for so many workers more or fewer, and waits until they are there or gone.
async fn scale(
    ctx: &Ctx,
    context: &Context,
    cluster: &Cluster,
    role: FlinkRole,
    by: i32,
) -> Result<ExitCode, Failure> {
    let request = match role {
        FlinkRole::JobManager => ScaleRequest::JobManagers(by),
        FlinkRole::TaskManager => ScaleRequest::TaskManagers(by),
    };
    let wanted = Control::open(&cluster.dir)?.scale(request).await?;
    let within = context.settings.start_timeout.value;
    let progress = ctx.ui.progress();
    let settled = follow(cluster, |status| {
        progress.now(match role {
            FlinkRole::JobManager => format!("JobManagers {}/{}", status.masters.len(), wanted.job_managers),
            FlinkRole::TaskManager => {
                format!("TaskManagers {}/{}", status.task_managers.running, wanted.task_managers)
            }
        });
        if is_settled(status, wanted) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    tokio::time::timeout(within, settled).await.unwrap_or_else(|_| Err(slow(&cluster.name, within)))?;
    Ok(ExitCode::SUCCESS)
}

/// Whether the cluster is what was asked for, whatever jobs need beyond that. TaskManagers can only register at a
/// JobManager, so without one their processes count.
fn is_settled(status: &Status, wanted: Wanted) -> bool {
    let tms = &status.task_managers;
    let registered = if wanted.job_managers == 0 { tms.list.len() } else { tms.running as usize };
    let as_wanted = status.masters.len() == wanted.job_managers as usize
        && tms.pinned == wanted.task_managers
        && registered >= wanted.task_managers as usize
        && tms.list.len() <= tms.wanted as usize;
    status.state.is_terminal() || (as_wanted && wanted.job_managers + wanted.task_managers > 0)
}

fn slow(name: &ClusterName, within: Duration) -> Failure {
    Failure::new(
        Category::Timeout,
        format!("cluster {name} has not changed as asked within {} s", within.as_secs()),
    )
    .hint(format!("kobel status {name}"))
}

/// The cluster, if it runs; an agent that died is brought back first.
async fn running(context: &Context, name: &ClusterName) -> Result<Option<Cluster>, Failure> {
    let cluster = match context.find(Some(name)).await {
        Err(LaunchError::Registry(RegistryError::NoSuchCluster { .. })) => return Ok(None),
        found => found?,
    };
    let over = cluster.status().await?.state.is_terminal();
    Ok((!over).then_some(cluster))
}

fn name(context: &Context) -> Result<ClusterName, Failure> {
    match context.env.get("FLINK_IDENT_STRING") {
        Some(ident) => {
            ident.parse().map_err(|e: kobel_plan::IdError| usage(format!("FLINK_IDENT_STRING: {e}")))
        }
        None => Ok(ClusterName::default()),
    }
}

fn overrides(args: &[String]) -> Result<Vec<Override>, Failure> {
    // `jobmanager.sh start HOST PORT -D k=v`: the options stand behind the words.
    let begin = args.iter().position(|word| word.starts_with('-')).unwrap_or(args.len());
    let parsed = parse(&[START], &args[begin..]).map_err(|e| usage(e.to_string()))?;
    if let Some(word) = parsed.rest.first() {
        return Err(usage(format!("unexpected argument {word}")));
    }
    Ok(parsed.values("D").iter().map(|text| text.parse::<Override>()).collect::<Result<_, _>>()?)
}

/// `jobmanager.sh start HOST WEBPORT`.
fn web_address(args: &[String]) -> Result<Vec<Override>, Failure> {
    let words: Vec<_> = args.iter().take_while(|word| !word.starts_with('-')).collect();
    let set = |key: &str, value: &str| Override { key: key.into(), value: value.into() };
    match words.as_slice() {
        [] => Ok(Vec::new()),
        [host] => Ok(vec![set("jobmanager.rpc.address", host), set("rest.address", host)]),
        [host, port] => {
            Ok(vec![set("jobmanager.rpc.address", host), set("rest.address", host), set("rest.port", port)])
        }
        [_, _, word, ..] => Err(usage(format!("unexpected argument {word}"))),
    }
}

fn usage(what: impl Into<String>) -> Failure {
    Failure::new(Category::Usage, what)
}
