//! `kobel run`: a program's job in a session, or in a cluster of its own.

mod per_job;
mod restore;

use std::{
    cell::RefCell,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use kobel_conf::Category;
use kobel_flink::rest::{ClaimMode as FlinkClaimMode, JobState, TaskCounts};
use kobel_plan::{ClusterName, JobId, snapshot::Note};
use kobel_session::{
    job::{self, JobEnded, JobRequest, News, Outcome, Output, Stage, SubmitError, Target},
    registry::Cluster,
};
use tokio::time::MissedTickBehavior;

use self::restore::{program, restored};
use super::job::{ended_badly, session};
use crate::{
    args::{ClaimMode, RunArgs},
    context::Ctx,
    failure::Failure,
    ui::{Caught, Progress, Signals, Ui},
};

/// How long a job that Ctrl-C cancels may take to end.
const CANCEL: Duration = Duration::from_secs(60);
/// How often to look for lines that `main` prints.
const LOOK: Duration = Duration::from_millis(200);

/// Submits the program and, unless detached, follows its job to the end.
pub(crate) async fn run(ctx: &Ctx, args: RunArgs) -> Result<ExitCode, Failure> {
    if args.per_job {
        return per_job::run(ctx, args).await;
    }
    if let Some(flag) = args.own.first_given() {
        let what = format!("{flag} is for a cluster that the job has for itself");
        return Err(Failure::new(Category::Usage, what).hint(format!("kobel run --per-job {flag} …")));
    }
    let (cluster, target) = session(&ctx.session()?, args.cluster.as_ref()).await?;
    if let Ok(plan) = cluster.plan() {
        if let Some(owner) = plan.job {
            let what = format!("cluster {} belongs to job {}, and takes no other", cluster.name, owner.id);
            let hint = "kobel start   (and run it there, or with --per-job)";
            return Err(Failure::new(Category::Usage, what).hint(hint));
        }
        job::check_claim_mode(args.claim_mode.map(claim_mode), &plan.flink.version)?;
    }
    let program = program(&args)?;
    let attached = Attached { ui: &ctx.ui, cluster: &cluster, target: &target, progress: ctx.ui.progress() };
    let mut signals = Signals::catch()?;
    let mut output = match args.detach || args.no_output {
        true => None,
        false => Some(attached.output().await?),
    };
    let savepoint = restored(ctx, &args, &program, Some(&target)).await?;
    let request = request(&args, savepoint, &cluster);
    let id = job::random_job_id()
        .map_err(|e| Failure::new(Category::Environment, "cannot choose a job id").because(&e))?;
    let submitting = async {
        let noted = cluster.note(Note::Program { job: id, program });
        tokio::join!(attached.submit(id, &request, output.as_mut()), noted).0
    };
    let submitted = tokio::select! {
        outcome = submitting => outcome?,
        caught = signals.next() => return Ok(attached.left_before_submit(id, caught)),
    };
    // Main is over: what it printed comes before what the job will.
    attached.lines_of_main(output.as_mut());
    attached.line(&format!("Job has been submitted with JobID {id}"));
    if let Outcome::ClientResult { cause, .. } = &submitted {
        attached.warn_of_client_result(id, cause);
    }
    if args.detach {
        return Ok(ExitCode::SUCCESS);
    }
    let ended = tokio::select! {
        ended = attached.follow(id, output) => ended?,
        caught = signals.next() => {
            if args.cancel_on_interrupt {
                attached.cancel(id).await?;
            } else {
                attached.left(id);
            }
            return Ok(caught.exit_code());
        }
    };
    attached.closing(&ended, &submitted)
}

fn request(args: &RunArgs, savepoint: Option<String>, cluster: &Cluster) -> JobRequest {
    let (jar, program_args) = args.jar_and_args();
    JobRequest {
        jar: jar.into(),
        class: args.class.clone(),
        args: program_args.to_vec(),
        parallelism: args.parallelism,
        savepoint,
        allow_non_restored: args.allow_non_restored_state,
        claim_mode: args.claim_mode.map(claim_mode),
        configuration: args.own.properties.clone(),
        kept_in: Some(cluster.dir.workers()),
    }
}

/// A person at a terminal, and the job's cluster.
struct Attached<'a> {
    ui: &'a Ui,
    cluster: &'a Cluster,
    target: &'a Target,
    progress: Progress,
}

impl Attached<'_> {
    async fn output(&self) -> Result<Output, Failure> {
        let log_dir = &self.target.log_dir;
        Output::before_submit(&self.target.rest, log_dir).await.map_err(|e| {
            let what = format!("cannot read the output of jobs in {}", log_dir.display());
            Failure::new(Category::Environment, what).because(&e).hint("kobel run --no-output …")
        })
    }

    /// Submits the program, and shows what its `main` prints meanwhile.
    async fn submit(
        &self,
        id: JobId,
        request: &JobRequest,
        mut output: Option<&mut Output>,
    ) -> Result<Outcome, Failure> {
        let upload = RefCell::new(None);
        let mut on_stage = |stage| {
            self.progress.now(stage_line(&stage));
            self.begin(&stage);
            upload.replace(sent_by(stage));
        };
        let mut submit = std::pin::pin!(job::submit(self.target, id, request, &mut on_stage));
        let mut tick = tokio::time::interval(LOOK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                outcome = &mut submit => return outcome.map_err(refused),
                _ = tick.tick() => {
                    if let Some(sent) = upload.borrow().as_ref() {
                        self.progress.bytes_so_far(sent.load(Ordering::Relaxed));
                    }
                    self.lines_of_main(output.as_deref_mut());
                }
            }
        }
    }

    /// A bar for what has a size.
    fn begin(&self, stage: &Stage) {
        match stage {
            Stage::Uploading { size, .. } => self.progress.bytes_of(Some(*size)),
            _ => self.progress.unmeasured(),
        }
    }

    fn lines_of_main(&self, output: Option<&mut Output>) {
        let lines = output.map(Output::poll_main);
        lines.iter().flatten().for_each(|line| self.line(line));
    }

    async fn follow(&self, id: JobId, output: Option<Output>) -> Result<JobEnded, Failure> {
        let ended = job::follow(self.target, id, output, &mut |news| match news {
            News::Progress(now) => {
                self.progress.steps(now.tasks.finished.into(), now.tasks.total().into());
                self.progress.now(progress_line(now.state, now.tasks));
            }
            News::Line(line) => self.line(&line),
            News::Shared => self.note("other jobs run on the same TaskManagers: some lines may be theirs"),
        })
        .await?;
        Ok(ended)
    }

    /// Flink's own closing lines, word for word, or the failure.
    fn closing(self, ended: &JobEnded, submitted: &Outcome) -> Result<ExitCode, Failure> {
        let Attached { ui, cluster, target, progress } = self;
        drop(progress);
        if ended.state != JobState::Finished {
            return Err(ended_badly(ended, &cluster.name));
        }
        if let Outcome::ClientResult { job, cause } = submitted {
            return Err(Failure::new(
                Category::FailedEnd,
                format!("the program failed, though its job {job} finished"),
            )
            .why(cause)
            .hint(with_its_main(target)));
        }
        closing_lines(ui, ended);
        Ok(ExitCode::SUCCESS)
    }

    fn warn_of_client_result(&self, id: JobId, cause: &str) {
        self.progress.aside(|| {
            self.ui.warn(
                "the program needs more of its main than a session gives it: a job's result, or a second job",
            );
            self.ui.note(format_args!("  why:  {cause}"));
            self.ui
                .note(format_args!("  job {id} runs all the same; cancel it with: {}", self.cancel_line(id)));
            self.ui.note(format_args!("  hint: {}", with_its_main(self.target)));
        });
    }

    fn left(&self, id: JobId) {
        self.note(&format!("job {id} goes on; cancel it with: {}", self.cancel_line(id)));
    }

    async fn cancel(&self, id: JobId) -> Result<(), Failure> {
        self.note(&format!("interrupted: canceling job {id}"));
        let state = job::cancel(self.target, id, CANCEL).await?;
        self.note(&format!("job {id} is {state}"));
        Ok(())
    }

    fn left_before_submit(&self, id: JobId, caught: Caught) -> ExitCode {
        self.note(
            "interrupted while submitting: main goes on in the JobManager, and may still start its job",
        );
        self.note(&format!("cancel it, if it came to that, with: {}", self.cancel_line(id)));
        caught.exit_code()
    }

    fn cancel_line(&self, id: JobId) -> String {
        let name: &ClusterName = &self.cluster.name;
        format!("kobel job cancel {id} --cluster {name}")
    }

    fn line(&self, line: &str) {
        self.progress.aside(|| self.ui.line(line));
    }

    fn note(&self, line: &str) {
        self.progress.aside(|| self.ui.note(line));
    }
}

/// What runs a program that needs more of its `main`.
fn with_its_main(target: &Target) -> String {
    let address = target.rest.address().trim_start_matches("http://");
    format!(
        "kobel run --per-job …   (for a result; for several jobs Flink's own client: flink run -m {address} …)"
    )
}

/// What Flink's own client says of a job that has finished, word for word.
fn closing_lines(ui: &Ui, ended: &JobEnded) {
    ui.line("Program execution finished");
    ui.line(format_args!("Job with JobID {} has finished.", ended.job));
    if let Some(millis) = ended.net_runtime {
        ui.line(format_args!("Job Runtime: {millis} ms"));
    }
}

fn progress_line(state: JobState, tasks: TaskCounts) -> String {
    let (running, finished, total) = (tasks.running, tasks.finished, tasks.total());
    format!("{state}: {running} running, {finished} finished of {total} tasks")
}

fn claim_mode(mode: ClaimMode) -> FlinkClaimMode {
    match mode {
        ClaimMode::Claim => FlinkClaimMode::Claim,
        ClaimMode::NoClaim => FlinkClaimMode::NoClaim,
        ClaimMode::Legacy => FlinkClaimMode::Legacy,
    }
}

fn sent_by(stage: Stage) -> Option<Arc<AtomicU64>> {
    match stage {
        Stage::Uploading { sent, .. } => Some(sent),
        _ => None,
    }
}

fn stage_line(stage: &Stage) -> String {
    match stage {
        Stage::Uploading { size, .. } => format!("uploading {:.1} MB", *size as f64 / 1e6),
        Stage::Running => "submitting: main runs in the JobManager".into(),
        Stage::Settling => "the reply does not tell: asking for the job".into(),
    }
}

fn refused(error: SubmitError) -> Failure {
    let trace = error.trace().map(str::to_string);
    let failure = Failure::from(error);
    match trace {
        Some(trace) => failure.trace(trace),
        None => failure,
    }
}
