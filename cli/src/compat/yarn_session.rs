//! `yarn-session.sh`: a session on YARN, detached or with its client attached.

mod options;
mod query;

use std::{ops::ControlFlow, process::ExitCode};

use kobel_conf::{Category, flink::Origin, settings::Settings};
use kobel_plan::{ClusterName, ClusterState, Status};
use kobel_session::{
    Cluster, ClusterSpec, Context, FlinkChoice,
    prepare::configuration,
    spec::Override,
    yarn::{Application, ApplicationId},
};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use self::options::{HELP, Request, read};
use super::yarn_properties::PropertiesFile;
use crate::{
    args::{StartHow, StopArgs},
    commands::{self, failed_end, follow},
    context::Ctx,
    failure::Failure,
    ui::Signals,
};

pub(super) use self::{options::application_id, query::run as query};

/// What can be typed while the client is attached.
const TYPED: &str = "Type stop (or quit) to end the session, help for this line; Ctrl-C ends it too.";

/// Runs `yarn-session.sh`.
pub(super) async fn run(ctx: &Ctx, args: &[String]) -> Result<ExitCode, Failure> {
    match read(args, name()?)? {
        Request::Help => {
            ctx.ui.line(HELP);
            Ok(ExitCode::SUCCESS)
        }
        Request::Query => query::run(ctx).await,
        Request::Attach { id, detached } => attach(ctx, id, detached).await,
        Request::Start { spec, detached, notes } => {
            notes.iter().for_each(|note| ctx.ui.note(format_args!("note: {note}")));
            start(ctx, *spec, detached).await
        }
    }
}

/// Sessions are as many as they are started, side by side, so the name is no one's but this invocation's.
fn name() -> Result<ClusterName, Failure> {
    let name = format!("yarn-session-{}", std::process::id());
    name.parse().map_err(|e: kobel_plan::IdError| Failure::new(Category::Other, e.to_string()))
}

async fn start(ctx: &Ctx, spec: ClusterSpec, detached: bool) -> Result<ExitCode, Failure> {
    let context = ctx.session()?;
    let spec = on_demand(spec, &context.settings);
    // From here on a Ctrl-C is seen, also one between two that are looked for.
    let mut signals = Signals::catch()?;
    let file = properties_file(&context, &spec.flink, &spec.overrides)?;
    let (name, dynamic) = (spec.name.clone(), spec.overrides.clone());
    let begun = commands::start_cluster(ctx, spec, &StartHow::default()).await?;
    if begun != ExitCode::SUCCESS {
        return Ok(begun);
    }
    let session = Session::of(context.registry().find(&name)?, file)?;
    if let Err(error) = session.file.write(&session.id, &dynamic) {
        let path = session.file.path().display();
        ctx.ui.warn(format_args!("cannot write {path}, by which flink finds the session: {error}"));
    }
    session.greet(ctx, &session.cluster.status().await?);
    if detached { session.leave(ctx) } else { session.stay(ctx, &mut signals).await }
}

/// As many TaskManagers as jobs could mean to have.
const ON_DEMAND: u32 = 1000;

/// Without `-n` a session of Flink 1.5 and later has the TaskManagers that its jobs need. kobel's settings may have it
/// otherwise.
fn on_demand(mut spec: ClusterSpec, settings: &Settings) -> ClusterSpec {
    if spec.task_managers.is_none() && settings.task_managers.origin == Origin::Default {
        spec.task_managers = Some(0);
        spec.max_task_managers = settings.max_task_managers.value.or(Some(ON_DEMAND));
    }
    spec
}

async fn attach(ctx: &Ctx, id: ApplicationId, detached: bool) -> Result<ExitCode, Failure> {
    let context = ctx.session()?;
    let mut signals = Signals::catch()?;
    let session = Session::of(
        context.of_application(id).await?,
        properties_file(&context, &FlinkChoice::Default, &[])?,
    )?;
    let status = session.cluster.status().await?;
    if status.state.is_terminal() {
        return Err(failed_end(&status));
    }
    session.greet(ctx, &status);
    if detached { session.leave(ctx) } else { session.stay(ctx, &mut signals).await }
}

/// Where `yarn-session.sh` tells `flink` of a session.
pub(super) fn properties_file(
    context: &Context,
    flink: &FlinkChoice,
    given: &[Override],
) -> Result<PropertiesFile, Failure> {
    const KEY: &str = "yarn.properties-file.location";
    let conf = configuration(context, flink);
    let by_option = given.iter().rev().find(|o| o.key == KEY).map(|o| o.value.as_str());
    let location = by_option.or_else(|| conf.get_str(KEY)).filter(|value| !value.is_empty());
    PropertiesFile::of(location, &context.env).map_err(|e| {
        Failure::new(Category::Environment, "cannot tell where YARN's properties file is").because(&e)
    })
}

/// A session, and where it is told of.
struct Session {
    cluster: Cluster,
    id: String,
    file: PropertiesFile,
}

impl Session {
    fn of(cluster: Cluster, file: PropertiesFile) -> Result<Self, Failure> {
        let Some(application) = Application::of(&cluster.dir)? else {
            let what = format!("cluster {} has lost its application", cluster.name);
            return Err(Failure::new(Category::Environment, what));
        };
        Ok(Self { id: application.id.to_string(), cluster, file })
    }

    /// The lines that scripts look for.
    fn greet(&self, ctx: &Ctx, status: &Status) {
        ctx.ui.line(format_args!("YARN application: {}", self.id));
        if let Some(url) = &status.rest_url {
            ctx.ui.line(format_args!("JobManager Web Interface: {url}"));
        }
    }

    fn leave(&self, ctx: &Ctx) -> Result<ExitCode, Failure> {
        let Session { id, cluster, .. } = self;
        ctx.ui.line(format_args!(
            "The session goes on by itself. End it gracefully with either of:
$ echo \"stop\" | yarn-session.sh -id {id}
$ kobel stop {}
or, where that is of no avail, by way of YARN:
$ yarn application -kill {id}",
            cluster.name
        ));
        Ok(ExitCode::SUCCESS)
    }

    /// Until the session is over, or ended from here.
    async fn stay(&self, ctx: &Ctx, signals: &mut Signals) -> Result<ExitCode, Failure> {
        let mut typed = typed_lines();
        let mut over = Box::pin(follow(&self.cluster, |status| match status.state.is_terminal() {
            true => ControlFlow::Break(status.clone()),
            false => ControlFlow::Continue(()),
        }));
        ctx.ui.note(TYPED);
        loop {
            tokio::select! {
                status = &mut over => return self.ended(ctx, &status?),
                caught = signals.next() => return self.end(ctx).await.map(|_| caught.exit_code()),
                Some(line) = typed.recv() => match line.trim() {
                    "stop" | "quit" => return self.end(ctx).await,
                    "" => {}
                    "help" => ctx.ui.note(TYPED),
                    other => ctx.ui.note(format_args!("{:?} is no command. {TYPED}", other)),
                },
            }
        }
    }

    async fn end(&self, ctx: &Ctx) -> Result<ExitCode, Failure> {
        let args = StopArgs { name: self.cluster.name.clone(), ..StopArgs::default() };
        let code = Box::pin(commands::stop_cluster(ctx, args)).await?;
        self.forget(ctx);
        Ok(code)
    }

    /// It ended without this client's doing.
    fn ended(&self, ctx: &Ctx, status: &Status) -> Result<ExitCode, Failure> {
        self.forget(ctx);
        match status.state {
            ClusterState::Stopped => {
                ctx.ui.note(format_args!("cluster {} is stopped", self.cluster.name));
                Ok(ExitCode::SUCCESS)
            }
            _ => Err(failed_end(status)),
        }
    }

    fn forget(&self, ctx: &Ctx) {
        if let Err(error) = self.file.forget(&self.id) {
            ctx.ui.warn(format_args!("cannot remove {}: {error}", self.file.path().display()));
        }
    }
}

/// What is typed, line by line. Nothing more comes once the input is at its end, which ends no session:
/// `yarn-session.sh </dev/null &` stays. A thread of its own, for nothing can take back a read of a terminal
/// and nobody waits for this one.
fn typed_lines() -> UnboundedReceiver<String> {
    let (send, receive) = unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                break;
            }
        }
    });
    receive
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn without_n_task_managers_come_as_jobs_need_them_unless_the_settings_say_otherwise() {
        let counts = |asked, env: &[(&str, &str)]| {
            let lookup = |name: &str| {
                env.iter().find(|(key, _)| *key == name).map(|(_, value)| std::ffi::OsString::from(value))
            };
            let settings = Settings::load(Path::new("/nowhere/config.toml"), &lookup).unwrap();
            let spec = ClusterSpec { task_managers: asked, ..ClusterSpec::local(ClusterName::default()) };
            let spec = on_demand(spec, &settings);
            (spec.task_managers, spec.max_task_managers)
        };
        let most = ("KOBEL_SESSION_MAX_TASK_MANAGERS", "8");
        assert_eq!(counts(None, &[]), (Some(0), Some(ON_DEMAND)));
        assert_eq!(counts(None, &[most]), (Some(0), Some(8)));
        assert_eq!(counts(None, &[("KOBEL_SESSION_TASK_MANAGERS", "1"), most]), (None, None));
        assert_eq!(counts(Some(2), &[]), (Some(2), None));
    }
}
