//! `kobel run --per-job`: a cluster for one job, which ends with it.

use std::{cell::RefCell, ops::ControlFlow, path::Path, process::ExitCode, time::Duration};

use kobel_conf::Category;
use kobel_flink::FlinkRest;
use kobel_plan::{ClusterName, ClusterState, JobId, JobState, JobStatus, Restore, Status, snapshot::Program};
use kobel_session::{
    Cluster, ClusterSpec,
    job::{self, JobEnded, Output, Target},
    launch::Patience,
    spec::JobSpec,
    train,
};
use tokio::time::{Instant, MissedTickBehavior};

use super::{
    super::{
        job::ended_badly,
        news,
        start::{self, Starting},
    },
    CANCEL, LOOK, closing_lines, progress_line,
    restore::{program, restored},
};
use crate::{
    args::{ClaimMode, RunArgs},
    context::Ctx,
    failure::Failure,
    ui::{Caught, Progress, Signals},
};

/// Between two fetches of what is printed on other machines.
const FETCH: Duration = Duration::from_secs(1);
/// How long YARN may take to notice that a master has gone.
const LEAVING: Duration = Duration::from_secs(10);
/// What runs a program with several jobs.
const RUN_ALL: &str = "kobel start NAME   (and in that session Flink's own client, which runs them all: flink run -m HOST:PORT …)";
/// Between two questions for the job's tasks.
const DETAILS: Duration = Duration::from_secs(1);

/// Starts the cluster with its job; returns when the job runs, if detached, else when it is over.
pub(super) async fn run(ctx: &Ctx, args: RunArgs) -> Result<ExitCode, Failure> {
    leaves_alone(args.claim_mode)?;
    let id = job::random_job_id()
        .map_err(|e| Failure::new(Category::Environment, "cannot choose a job id").because(&e))?;
    let context = ctx.session()?;
    let program = program(&args)?;
    let savepoint = restored(ctx, &args, &program, None).await?;
    let compiled = start::decide(ctx, &context, &spec(&args, id, program, savepoint)?).await?;
    if args.dry_run {
        return start::show_plan(ctx, &compiled, None);
    }
    let mut signals = Signals::catch()?;
    let (cluster, caught) = start::place(ctx, &context, &compiled, &mut signals).await?;
    let starting = Starting { ctx, context: &context, cluster: &cluster, plan: &compiled.plan };
    if let Some(caught) = caught {
        return starting.interrupted(caught, &mut signals).await;
    }
    let log_dir = &compiled.plan.log_dir;
    let running = Running { ctx, cluster: &cluster, id, log_dir, progress: ctx.ui.progress() };
    let patience = Patience::new(args.timeout, context.settings.start_timeout.value);
    let within = patience.within();
    let begun = tokio::select! {
        begun = running.begun(&patience) => Some(begun),
        () = patience.ends() => None,
        caught = signals.next() => {
            drop(running);
            return starting.interrupted(caught, &mut signals).await;
        }
    };
    let Some(begun) = begun else {
        drop(running);
        starting.roll_back(&mut signals).await?;
        let what = format!("the job of cluster {} does not run after {} s", cluster.name, within.as_secs());
        let hint = format!("kobel logs {}   (and --timeout for more time)", cluster.name);
        return Err(Failure::new(Category::Timeout, what).hint(hint));
    };
    let begun = begun?;
    running.submitted(&begun);
    if !begun.state.is_terminal() {
        train::begin(&context, &cluster, &compiled.plan);
    }
    if args.detach {
        return running.left_running(begun);
    }
    running.attached(begun, &args, &mut signals).await
}

/// Flink's entry point of such a cluster can be told of no claim mode: it has its own.
fn leaves_alone(mode: Option<ClaimMode>) -> Result<(), Failure> {
    let named = match mode {
        None | Some(ClaimMode::NoClaim) => return Ok(()),
        Some(ClaimMode::Claim) => "claim",
        Some(ClaimMode::Legacy) => "legacy",
    };
    let what =
        format!("--claim-mode {named} is not for --per-job: there Flink always leaves the savepoint alone");
    let hint = "leave it out, which is no-claim   (or run the job in a session: kobel start)";
    Err(Failure::new(Category::Usage, what).hint(hint))
}

fn spec(
    args: &RunArgs,
    id: JobId,
    program: Program,
    savepoint: Option<String>,
) -> Result<ClusterSpec, Failure> {
    let (jar, program_args) = args.jar_and_args();
    let name = args.cluster.clone().unwrap_or_else(|| name_of(jar, id));
    let restore = savepoint.map(|path| Restore { path, allow_non_restored: args.allow_non_restored_state });
    let job = JobSpec {
        id,
        jar: jar.into(),
        // Also what the jar's manifest names: by it the program is known to `--from latest`.
        class: Some(program.class),
        args: program_args.to_vec(),
        parallelism: args.parallelism,
        restore,
    };
    Ok(ClusterSpec { job: Some(job), ..start::spec(name, args.own.clone())? })
}

/// A name that nobody has: the jar's, and the beginning of the job's id.
fn name_of(jar: &str, id: JobId) -> ClusterName {
    const MOST: usize = 40;
    let stem = Path::new(jar).file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') { c } else { '-' };
    let stem: String = stem.chars().map(plain).take(MOST).collect();
    let id = id.to_string();
    let name = format!("{}-{}", stem.trim_matches(|c: char| !c.is_ascii_alphanumeric()), &id[..8]);
    name.parse().or_else(|_| format!("job-{}", &id[..8]).parse()).unwrap_or_default()
}

/// Why a job is not followed any more.
enum Left {
    /// Its cluster is over, and this is the last of it.
    Over(Status),
    /// A signal came.
    Interrupted(Caught, Status),
}

/// A job in a cluster of its own.
struct Running<'a> {
    ctx: &'a Ctx,
    cluster: &'a Cluster,
    id: JobId,
    /// Where logs are, or are brought to, on this machine.
    log_dir: &'a Path,
    progress: Progress,
}

impl Running<'_> {
    /// Waits until the job runs, or the cluster is over: the job may be, too, before anybody saw it run.
    async fn begun(&self, patience: &Patience) -> Result<Status, Failure> {
        news::follow(self.cluster, |status| {
            patience.heard(status);
            let runs =
                job_of(status).is_some_and(|job| job.is_over() || job.state == Some(JobState::Running));
            if runs || status.state.is_terminal() || news::is_abandoned(status) {
                return ControlFlow::Break(status.clone());
            }
            self.progress.now(news::line(status));
            ControlFlow::Continue(())
        })
        .await
    }

    /// The line that scripts look for.
    fn submitted(&self, status: &Status) {
        if job_of(status).is_some_and(|job| job.state.is_some()) {
            self.line(&format!("Job has been submitted with JobID {}", self.id));
        }
    }

    /// What a person needs to find it again.
    fn left_running(self, status: Status) -> Result<ExitCode, Failure> {
        let Running { ctx, cluster, id, progress, .. } = &self;
        let name = &cluster.name;
        if status.state.is_terminal() {
            return self.closing(&status);
        }
        let application = status.yarn.as_ref().map(|yarn| format!("\n  YARN    {}", yarn.application_id));
        progress.aside(|| {
            ctx.ui.note(format_args!(
                "job {id} runs in cluster {name}, which ends with it{}\n  web UI  {}\n  wait    kobel wait {name} --for \
                 job={id}:finished\n  look    kobel status {name}\n  stop    kobel stop {name}",
                application.unwrap_or_default(),
                status.rest_url.as_deref().unwrap_or("-"),
            ))
        });
        Ok(ExitCode::SUCCESS)
    }

    /// Follows the job to its end.
    async fn attached(
        self,
        begun: Status,
        args: &RunArgs,
        signals: &mut Signals,
    ) -> Result<ExitCode, Failure> {
        match self.follow(begun, args, signals).await? {
            Left::Over(last) => self.closing(&last),
            Left::Interrupted(caught, last) => {
                self.interrupted(args, &last).await?;
                Ok(caught.exit_code())
            }
        }
    }

    /// Shows what is printed until the cluster is over, or nobody wants to see it.
    async fn follow(&self, begun: Status, args: &RunArgs, signals: &mut Signals) -> Result<Left, Failure> {
        let mut output = (!args.no_output).then(|| Output::of_own_cluster(self.log_dir));
        let rest = begun.rest_url.as_deref().and_then(|url| FlinkRest::new(url).ok());
        let latest = RefCell::new(begun);
        let over = news::follow(self.cluster, |status| {
            latest.replace(status.clone());
            if status.state.is_terminal() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let (mut over, mut fetching) = (std::pin::pin!(over), std::pin::pin!(self.fetch_output(args)));
        let mut tick = tokio::time::interval(LOOK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut details_at = Instant::now() + DETAILS;
        loop {
            tokio::select! {
                ended = &mut over => break ended?,
                _ = tick.tick() => {
                    self.lines(output.as_mut().map(Output::poll_all));
                    if let Some(rest) = rest.as_ref().filter(|_| Instant::now() >= details_at) {
                        details_at = Instant::now() + DETAILS;
                        self.tell_progress(rest, &latest).await;
                    }
                }
                () = &mut fetching => {}
                caught = signals.next() => return Ok(Left::Interrupted(caught, latest.borrow().clone())),
            }
        }
        self.fetch_the_rest().await;
        self.lines(output.map(Output::rest));
        let last = latest.borrow().clone();
        Ok(Left::Over(last))
    }

    /// What is printed on YARN's nodes is brought here again and again.
    async fn fetch_output(&self, args: &RunArgs) {
        if args.no_output || !self.cluster.is_on_yarn() {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(FETCH).await;
            if let Err(error) = self.cluster.fetch_output().await {
                tracing::debug!(error = &error as &dyn std::error::Error, "not all output was fetched");
            }
        }
    }

    /// What was printed last has been kept by the master, and is to be had when YARN knows that it has gone.
    async fn fetch_the_rest(&self) {
        let deadline = Instant::now() + LEAVING;
        while self.cluster.status().await.is_ok_and(|status| !status.state.is_terminal())
            && Instant::now() < deadline
        {
            tokio::time::sleep(LOOK).await;
        }
        if let Err(error) = self.cluster.fetch_logs().await {
            self.note(&format!("some of what was printed may be missing: {error}"));
        }
    }

    async fn tell_progress(&self, rest: &FlinkRest, latest: &RefCell<Status>) {
        let state = job_of(&latest.borrow()).and_then(|job| job.state);
        let Some(state) = state.filter(|state| !state.is_terminal()) else {
            self.progress.now("the job is over: the cluster ends");
            return;
        };
        match rest.job(self.id).await {
            Ok(details) => {
                let tasks = details.tasks();
                self.progress.steps(tasks.finished.into(), tasks.total().into());
                self.progress.now(progress_line(state, tasks));
            }
            Err(error) => tracing::debug!(%error, "no details for the moment"),
        }
    }

    async fn interrupted(&self, args: &RunArgs, status: &Status) -> Result<(), Failure> {
        let (id, name) = (self.id, &self.cluster.name);
        if args.cancel_on_interrupt {
            self.note(&format!("interrupted: canceling job {id}"));
            let state = job::cancel(&Target::of(status)?, id, CANCEL).await?;
            self.note(&format!("job {id} is {state}"));
        } else {
            self.note(&format!("job {id} goes on; cancel it with: kobel job cancel {id} --cluster {name}"));
        }
        Ok(())
    }

    /// How it all ended.
    fn closing(self, status: &Status) -> Result<ExitCode, Failure> {
        let Running { ctx, cluster, id, progress, .. } = self;
        drop(progress);
        let name = &cluster.name;
        let reason = status.reason.as_deref().unwrap_or_default();
        let has_several = job_of(status).is_some_and(|job| job.of_several);
        let failed = |what: String| {
            let hint = if has_several { RUN_ALL.into() } else { format!("kobel logs {name} --all") };
            let failure = Failure::new(Category::FailedEnd, what).hint(hint);
            if reason.is_empty() { failure } else { failure.why(reason) }
        };
        let Some(ended) = job_of(status).and_then(JobEnded::of) else {
            return Err(failed(format!("cluster {name} of job {id} is {}", status.state)));
        };
        match ended.state {
            _ if has_several => Err(failed(format!("the program of job {id} failed"))),
            // Its job did not.
            JobState::Finished | JobState::Canceled if status.state == ClusterState::Failed => {
                Err(failed(format!("the program of job {id} failed")))
            }
            JobState::Finished => {
                closing_lines(&ctx.ui, &ended);
                Ok(ExitCode::SUCCESS)
            }
            _ => Err(ended_badly(&ended, name)),
        }
    }

    fn lines(&self, lines: Option<Vec<String>>) {
        lines.iter().flatten().for_each(|line| self.line(line));
    }

    fn line(&self, line: &str) {
        self.progress.aside(|| self.ctx.ui.line(line));
    }

    fn note(&self, line: &str) {
        self.progress.aside(|| self.ctx.ui.note(line));
    }
}

fn job_of(status: &Status) -> Option<&JobStatus> {
    status.job.as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_named_after_its_jar() {
        let id: JobId = "0123456789abcdef0123456789abcdef".parse().unwrap();
        let name = |jar: &str| name_of(jar, id).to_string();
        assert_eq!(name("/x/Word Count.jar"), "Word-Count-01234567");
        assert_eq!(name("flink-examples_2.12.jar"), "flink-examples_2.12-01234567");
        assert_eq!(name("é.jar"), "job-01234567");
        assert_eq!(name(&format!("{}.jar", "x".repeat(99))).len(), 49);
    }
}
