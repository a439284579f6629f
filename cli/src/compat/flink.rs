//! `flink run`, `flink list` and `flink cancel`, with the options of Flink's `CliFrontendParser`.

use std::{process::ExitCode, time::Duration};

use jiff::{Timestamp, tz::TimeZone};
use kobel_conf::Category;
use kobel_flink::rest::{JobState, JobSummary};
use kobel_plan::{ClusterName, JobId};
use kobel_session::{Cluster, Context, FlinkChoice, job};

use super::{
    commons_cli::{Arg, GrammarError, Opt, Parsed, parse},
    yarn_session,
};
use crate::{
    args::{ClaimMode, RunArgs, VersionArgs},
    commands,
    context::Ctx,
    failure::Failure,
};

/// How long a cancelled job may take to end.
const CANCEL_WITHIN: Duration = Duration::from_secs(60);

const fn opt(short: &'static str, long: &'static str, arg: Arg) -> Opt {
    Opt { short, long, arg }
}

/// How a property names the session's YARN application.
const APPLICATION: &str = "yarn.application.id=";

/// What every action takes.
const COMMON: &[Opt] = &[
    opt("h", "help", Arg::None),
    opt("v", "verbose", Arg::None),
    opt("m", "jobmanager", Arg::One),
    opt("t", "target", Arg::One),
    opt("e", "executor", Arg::One),
    opt("z", "zookeeperNamespace", Arg::One),
    opt("D", "", Arg::Property),
    opt("yid", "yarnapplicationId", Arg::One),
];

const RUN: &[Opt] = &[
    opt("c", "class", Arg::One),
    opt("p", "parallelism", Arg::One),
    opt("d", "detached", Arg::None),
    opt("sae", "shutdownOnAttachedExit", Arg::None),
    opt("s", "fromSavepoint", Arg::One),
    opt("n", "allowNonRestoredState", Arg::None),
    opt("cm", "claimMode", Arg::One),
    opt("rm", "restoreMode", Arg::One),
    opt("j", "jarfile", Arg::One),
    opt("q", "sysoutLogging", Arg::None),
    opt("C", "classpath", Arg::One),
];

const LIST: &[Opt] =
    &[opt("r", "running", Arg::None), opt("s", "scheduled", Arg::None), opt("a", "all", Arg::None)];

const CANCEL: &[Opt] = &[opt("s", "withSavepoint", Arg::Optional)];

/// Options that would change what is done, and that no local session can honour yet: refused by
/// name rather than dropped.
const NOT_YET: &[(&str, &str)] = &[
    ("jobmanager", "-m: kobel submits to its own sessions only"),
    ("executor", "-e: deprecated by Flink itself; leave it out"),
    ("classpath", "-C: put the classes into the job's jar"),
    ("withSavepoint", "-s: a savepoint on cancel is not built yet"),
    ("D", "-D: give Flink's options to kobel start, or to yarn-session.sh"),
];

/// Runs one action of the `flink` command.
pub(super) async fn run(ctx: &Ctx, args: &[String]) -> Result<ExitCode, Failure> {
    let Some((action, rest)) = args.split_first() else {
        return Err(usage("flink needs an action: run, list or cancel"));
    };
    match action.as_str() {
        "run" => run_job(ctx, &read(RUN, rest)?).await,
        "list" => list(ctx, &read(LIST, rest)?).await,
        "cancel" => cancel(ctx, &read(CANCEL, rest)?).await,
        "-h" | "--help" => help(ctx),
        "--version" | "-v" => commands::version(ctx, VersionArgs::default()).await,
        other => Err(usage(format!("flink {other} is not built yet")).hint("kobel job --help")),
    }
}

fn usage(what: impl Into<String>) -> Failure {
    Failure::new(Category::Usage, what)
}

fn read(options: &[Opt], args: &[String]) -> Result<Parsed, Failure> {
    let parsed = parse(&[options, COMMON], args).map_err(|e: GrammarError| usage(e.to_string()))?;
    let honoured =
        |key: &str| key == "D" && parsed.values("D").iter().all(|text| text.starts_with(APPLICATION));
    if let Some((_, why)) = NOT_YET.iter().find(|(key, _)| parsed.has(key) && !honoured(key)) {
        return Err(usage(format!("an option cannot be honoured: {why}")));
    }
    match parsed.value("target") {
        None | Some("remote" | "local" | "yarn-session") => Ok(parsed),
        Some(other) => Err(usage(format!("-t {other} is not built yet: jobs go to sessions"))),
    }
}

/// The session of this name in ZooKeeper.
fn in_zookeeper(context: &Context, id: &str) -> Result<Cluster, Failure> {
    context.registry().of_cluster_id(id)?.ok_or_else(|| {
        usage(format!("an option cannot be honoured: -z {id}: no session has this name in ZooKeeper"))
            .hint("kobel status   (it tells the cluster id)")
    })
}

/// The session that is meant: the one of the YARN application that is named, or that `yarn-session.sh`
/// left word of. Without either it is the newest one, whatever it runs on.
async fn named(ctx: &Ctx, parsed: &Parsed) -> Result<Option<ClusterName>, Failure> {
    let by_property =
        parsed.values("D").pop().and_then(|text| text.strip_prefix(APPLICATION).map(String::from));
    let context = ctx.session()?;
    if let Some(id) = parsed.value("yarnapplicationId").map(String::from).or(by_property) {
        let id = yarn_session::application_id(&id)?;
        return Ok(Some(context.of_application(id).await?.name));
    }
    if let Some(id) = parsed.value("zookeeperNamespace") {
        return Ok(Some(in_zookeeper(&context, id)?.name));
    }
    let file = yarn_session::properties_file(&context, &FlinkChoice::Default, &[])?;
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

fn help(ctx: &Ctx) -> Result<ExitCode, Failure> {
    ctx.ui.line("flink run [-c CLASS] [-p N] [-d] [-sae] [-s SAVEPOINT [-n] [-cm MODE]] JAR [ARGUMENTS]");
    ctx.ui.line("flink list [-r] [-s] [-a]");
    ctx.ui.line("flink cancel JOB-ID");
    Ok(ExitCode::SUCCESS)
}

async fn run_job(ctx: &Ctx, parsed: &Parsed) -> Result<ExitCode, Failure> {
    if parsed.has("help") {
        return help(ctx);
    }
    let mut program: Vec<String> = parsed.value("jarfile").map(String::from).into_iter().collect();
    program.extend(parsed.rest.iter().cloned());
    if program.is_empty() {
        return Err(usage("no jar is named: flink run [OPTIONS] JAR [ARGUMENTS]"));
    }
    let number = |text: &str| text.parse::<u32>().ok().filter(|n| *n > 0);
    let parallelism = parsed
        .value("parallelism")
        .map(|p| number(p).ok_or_else(|| usage(format!("-p {p}: a parallelism is a number above 0"))))
        .transpose()?;
    let args = RunArgs {
        cluster: named(ctx, parsed).await?,
        program,
        class: parsed.value("class").map(String::from),
        parallelism,
        from_savepoint: parsed.value("fromSavepoint").map(String::from),
        from: None,
        allow_non_restored_state: parsed.has("allowNonRestoredState"),
        claim_mode: claim_mode(parsed.value("claimMode").or(parsed.value("restoreMode")))?,
        detach: parsed.has("detached"),
        // Scripts expect Flink's lines and nothing else.
        no_output: true,
        cancel_on_interrupt: parsed.has("shutdownOnAttachedExit"),
        ..RunArgs::default()
    };
    commands::run_job(ctx, args).await
}

fn claim_mode(text: Option<&str>) -> Result<Option<ClaimMode>, Failure> {
    match text.map(str::to_ascii_lowercase).as_deref() {
        None => Ok(None),
        Some("claim") => Ok(Some(ClaimMode::Claim)),
        Some("no_claim") => Ok(Some(ClaimMode::NoClaim)),
        Some("legacy") => Ok(Some(ClaimMode::Legacy)),
        Some(other) => Err(usage(format!("-cm {other}: a claim mode is CLAIM, NO_CLAIM or LEGACY"))),
    }
}

async fn list(ctx: &Ctx, parsed: &Parsed) -> Result<ExitCode, Failure> {
    let (_, target) = commands::session(&ctx.session()?, named(ctx, parsed).await?.as_ref()).await?;
    let jobs = job::list(&target.rest).await?;
    let all = parsed.has("all");
    let both = !parsed.has("running") && !parsed.has("scheduled");
    let waiting = |j: &&JobSummary| matches!(j.state, JobState::Created | JobState::Initializing);
    let (scheduled, begun): (Vec<_>, Vec<_>) =
        jobs.iter().filter(|j| !j.state.is_terminal()).partition(waiting);
    if all || both || parsed.has("running") {
        section(ctx, "Running/Restarting Jobs", &begun, Some("No running jobs."));
    }
    if all || both || parsed.has("scheduled") {
        section(ctx, "Scheduled/Initializing Jobs", &scheduled, Some("No scheduled jobs."));
    }
    if all {
        let ended: Vec<_> = jobs.iter().filter(|j| j.state.is_terminal()).collect();
        section(ctx, "Terminated Jobs", &ended, None);
    }
    Ok(ExitCode::SUCCESS)
}

/// The layout that scripts parse: `dd.MM.yyyy HH:mm:ss : ID : NAME (STATE)`.
fn section(ctx: &Ctx, title: &str, jobs: &[&JobSummary], none: Option<&str>) {
    const WIDTH: usize = 62;
    if jobs.is_empty() {
        none.into_iter().for_each(|line| ctx.ui.line(line));
        return;
    }
    ctx.ui.line(format!("{:-^WIDTH$}", format!(" {title} ")));
    for job in jobs {
        let at = Timestamp::from_millisecond(job.start_time).unwrap_or_default().to_zoned(TimeZone::system());
        let state = format!("{:?}", job.state).to_uppercase();
        ctx.ui.line(format!("{} : {} : {} ({state})", at.strftime("%d.%m.%Y %H:%M:%S"), job.jid, job.name));
    }
    ctx.ui.line("-".repeat(WIDTH));
}

async fn cancel(ctx: &Ctx, parsed: &Parsed) -> Result<ExitCode, Failure> {
    let [id] = parsed.rest.as_slice() else {
        return Err(usage("flink cancel takes one job id").hint("flink list"));
    };
    let id: JobId = id.parse().map_err(|e: kobel_plan::IdError| usage(e.to_string()).hint("flink list"))?;
    ctx.ui.line(format!("Cancelling job {id}."));
    let (_, target) = commands::session(&ctx.session()?, named(ctx, parsed).await?.as_ref()).await?;
    job::cancel(&target, id, CANCEL_WITHIN).await?;
    ctx.ui.line(format!("Cancelled job {id}."));
    Ok(ExitCode::SUCCESS)
}
