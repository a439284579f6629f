//! `flink run`, `run-application` and `info`.

use std::{path::Path, process::ExitCode};

use kobel_plan::{ClusterName, ProviderKind};
use kobel_session::{
    Context,
    job::{self, JarFile, JobRequest},
    spec::Override,
};

use super::{
    super::{commons_cli::Parsed, yarn_options::YarnOptions},
    client::{self, Client},
    goal::{Goal, says_where},
    messages,
    options::{Action, python},
    session::{self, Session},
    usage,
};
use crate::{
    args::{ClaimMode, ClusterArgs, RunArgs},
    commands,
    context::Ctx,
    failure::Failure,
};

/// Runs a program: in a session, in a cluster of its own, or by Flink's own client.
pub(super) async fn run(ctx: &Ctx, action: Action, parsed: &Parsed) -> Result<ExitCode, Failure> {
    if parsed.has("yarnquery") {
        return super::super::yarn_session::query(ctx).await;
    }
    let goal = session::wanted(ctx, action, parsed)?;
    // What is wrong with the rest is told before anybody is asked.
    let args = run_args(parsed)?;
    notes(parsed, &goal).iter().for_each(|note| ctx.ui.note(format_args!("note: {note}")));
    if let Goal::Own(provider) = goal {
        if python(parsed).is_some() {
            return hand_over_all(ctx, action, parsed);
        }
        let args = in_own_cluster(parsed, provider, args)?;
        check_jar(parsed, &args)?;
        return Box::pin(commands::run_job(ctx, args)).await;
    }
    check_jar(parsed, &args)?;
    let context = ctx.session()?;
    let found = session::find(ctx, &context, &goal).await?;
    match found {
        Session::Kobels(_) if python(parsed).is_some() => {
            let why = "a program of Python's runs its main on this machine";
            hand_over(ctx, &context, parsed, &found, why).await
        }
        Session::Kobels(cluster) => Box::pin(commands::run_job(ctx, RunArgs { cluster, ..args })).await,
        // There `System.exit` in `main` would take the whole session along.
        Session::Foreign(ref address) => {
            let why = format!("the session at {address} is not one of kobel's");
            hand_over(ctx, &context, parsed, &found, &why).await
        }
    }
}

/// What has no effect here, or another one than its name says.
fn notes(parsed: &Parsed, goal: &Goal) -> Vec<String> {
    let mut notes = Vec::new();
    if parsed.has("yarnstreaming") {
        notes.push("-yst has no meaning any more: every cluster runs streaming and batch jobs".into());
    }
    if parsed.has("sysoutLogging") {
        notes.push("-q has no meaning any more: nothing is logged on this side".into());
    }
    let of_cluster = [
        ("yarncontainer", "-yn"),
        ("yarnslots", "-ys"),
        ("yarntaskManagerMemory", "-ytm"),
        ("yarnjobManagerMemory", "-yjm"),
        ("yarnname", "-ynm"),
        ("yarnqueue", "-yqu"),
        ("yarnnodeLabel", "-ynl"),
        ("yarnapplicationType", "-yat"),
        ("yarnship", "-yt"),
        ("yarnjar", "-yj"),
        ("yD", "-yD"),
    ];
    let given: Vec<_> =
        of_cluster.into_iter().filter(|(key, _)| parsed.has(key)).map(|(_, name)| name).collect();
    if !given.is_empty() && !matches!(goal, Goal::Own(_)) {
        let given = given.join(" and ");
        notes.push(format!("{given}: the job goes to a session that runs, which is as it was started"));
    }
    notes
}

/// Lets Flink's own client do it, in a session that answers.
async fn hand_over(
    ctx: &Ctx,
    context: &Context,
    parsed: &Parsed,
    session: &Session,
    why: &str,
) -> Result<ExitCode, Failure> {
    let client = flinks_client(context, why)?;
    let rest = session.target(context).await?.rest;
    let theirs = rest.overview().await?.flink_version;
    if theirs != client.version() {
        let ours = client.version();
        ctx.ui.warn(format_args!("the session runs Flink {theirs}, and the client is of {ours}"));
    }
    let words = client::words(Action::Run, parsed, &rest.address().parse()?);
    Err(client.become_it(ctx, why, &words))
}

/// Lets Flink's own client do it all, the cluster too.
fn hand_over_all(ctx: &Ctx, action: Action, parsed: &Parsed) -> Result<ExitCode, Failure> {
    let why = "a JobManager of kobel's runs no program of Python's";
    let client = flinks_client(&ctx.session()?, why)?;
    Err(client.become_it(ctx, why, &client::all_words(action, parsed)))
}

fn flinks_client(context: &Context, why: &str) -> Result<Client, Failure> {
    Client::find(context).map_err(|failure| {
        let hint = failure.hint_text().unwrap_or("kobel flink install 1.20.5").to_string();
        let what = format!("{why}, and Flink's own client cannot be had");
        Failure::new(failure.category(), what).why(failure.what()).hint(hint)
    })
}

/// The job in a cluster of its own.
fn in_own_cluster(parsed: &Parsed, provider: ProviderKind, args: RunArgs) -> Result<RunArgs, Failure> {
    let mut own = match provider {
        ProviderKind::Yarn => YarnOptions::of_job(parsed).cluster()?,
        _ => ClusterArgs::default(),
    };
    own.namespace = own.namespace.or(parsed.value("zookeeperNamespace").map(String::from));
    // Those without a `y` win, as in Flink.
    own.properties.extend(args.own.properties);
    // `main` runs beside its job, so what Flink's client would print comes from there.
    Ok(RunArgs { per_job: true, own, no_output: false, ..args })
}

/// Looks at a jar that is a file; one of another place, and Python's programs, are for others to look at.
fn check_jar(parsed: &Parsed, args: &RunArgs) -> Result<(), Failure> {
    let (jar, _) = args.jar_and_args();
    if python(parsed).is_none() && !jar.contains("://") {
        JarFile::check(Path::new(jar), args.class.as_deref())?;
    }
    Ok(())
}

/// What does not depend on where the job runs.
fn run_args(parsed: &Parsed) -> Result<RunArgs, Failure> {
    let urls = Some(parsed.values("classpath").join(";")).filter(|urls| !urls.is_empty());
    let urls = urls.map(|value| Ok(Override { key: "pipeline.classpaths".into(), value }));
    let given = parsed.values("D").into_iter().filter(|given| !says_where(given));
    let properties = urls.into_iter().chain(given.map(|text| text.parse())).collect::<Result<_, _>>()?;
    Ok(RunArgs {
        cluster: None::<ClusterName>,
        program: program(parsed)?,
        class: parsed.value("class").map(String::from),
        parallelism: parallelism(parsed)?,
        from_savepoint: parsed.value("fromSavepoint").map(String::from),
        allow_non_restored_state: parsed.has("allowNonRestoredState"),
        claim_mode: claim_mode(parsed.value("claimMode").or(parsed.value("restoreMode")))?,
        detach: parsed.has("detached") || parsed.has("yarndetached"),
        // Scripts expect Flink's lines and nothing else.
        no_output: true,
        own: ClusterArgs { properties, ..ClusterArgs::default() },
        cancel_on_interrupt: parsed.has("shutdownOnAttachedExit"),
        ..RunArgs::default()
    })
}

/// The jar, and what goes to its `main`. One of Python's is not for kobel to look at.
fn program(parsed: &Parsed) -> Result<Vec<String>, Failure> {
    let named = parsed.value("jarfile").into_iter().chain(parsed.rest.iter().map(String::as_str));
    let mut words: Vec<_> = named.map(String::from).collect();
    if let Some(path) = words.first().and_then(|jar| jar.strip_prefix("file://")) {
        words[0] = path.into();
    }
    if words.is_empty() && python(parsed).is_none() {
        return Err(
            usage("Java program should be specified a JAR file.").hint("flink run [OPTIONS] JAR [ARGUMENTS]")
        );
    }
    words.extend(parsed.values("arguments"));
    Ok(words)
}

fn parallelism(parsed: &Parsed) -> Result<Option<u32>, Failure> {
    let Some(text) = parsed.value("parallelism") else { return Ok(None) };
    match text.parse::<u32>() {
        Ok(n) if n > 0 => Ok(Some(n)),
        _ => Err(usage(format!("The parallelism must be a positive number: {text}"))),
    }
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

/// `flink info`: by Flink's own client, whose form of the plan its visualizer reads; else as the session has it.
pub(super) async fn info(ctx: &Ctx, parsed: &Parsed) -> Result<ExitCode, Failure> {
    let args = run_args(parsed)?;
    let context = ctx.session()?;
    let no_client = match Client::find(&context) {
        Ok(client) => {
            let words = client::without_cluster(Action::Info, parsed);
            return Err(client.become_it(ctx, "a plan is made where the program is", &words));
        }
        Err(failure) => failure,
    };
    let found = session::of_jobs(ctx, Action::Info, parsed).await;
    let target = found.map_err(|no_session| {
        usage("info needs Flink's own client, or a session")
            .why(format!("{}; {}", no_client.what(), no_session.what()))
            .hint("kobel flink install 1.20.5   (and a Java), or: kobel start")
    })?;
    ctx.ui.note(
        "note: without Flink's own client here the plan is that of the job graph, as the session has it",
    );
    let (jar, program_args) = args.jar_and_args();
    let request = JobRequest {
        jar: jar.into(),
        class: args.class.clone(),
        args: program_args.to_vec(),
        parallelism: args.parallelism,
        configuration: args.own.properties.clone(),
        ..JobRequest::default()
    };
    let plan = job::plan(&target, session::job_id()?, &request).await?;
    ctx.ui.line(messages::plan(&plan.to_string()));
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests;
