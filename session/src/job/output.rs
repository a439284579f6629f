//! What a job prints: its `main` on the JobManager's standard output, its tasks on that of their
//! TaskManagers. Flink does not tell whose line is whose, so kobel remembers how long each file was
//! before the submit, and reads what is appended to those of the TaskManagers that run the job.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use kobel_flink::{FlinkRest, RestError, rest::Overview};
use kobel_plan::{JobId, Role, WorkerId};
use tokio::time::Instant;

use super::follow::News;
use crate::logs::{self, Growing, LogFile, Source, Stream, Which};

/// How often the TaskManagers of a job are asked for.
const WHERE: Duration = Duration::from_secs(1);
/// How long Flink's cached view of a job may lag behind its end: `web.refresh-interval` and a bit.
const STALE: Duration = Duration::from_secs(4);

/// The printed lines of one job, from before its submit on.
#[derive(Debug)]
pub struct Output {
    log_dir: PathBuf,
    files: BTreeMap<LogFile, Growing>,
    /// Jobs that the cluster had at all, and running ones, before the submit.
    before: Option<Overview>,
    /// Names of the TaskManagers that run the job, as far as known.
    task_managers: BTreeSet<String>,
    next_look: Instant,
    told_shared: bool,
    /// What [`Self::alone`] came to last.
    was_alone: bool,
}

impl Output {
    /// To be made before the submit: what is in the files now is not the job's.
    pub async fn before_submit(rest: &FlinkRest, log_dir: impl Into<PathBuf>) -> std::io::Result<Self> {
        let log_dir = log_dir.into();
        let (files, before) = (out_files(&log_dir)?, rest.overview().await.ok());
        Ok(Self {
            files: files.into_iter().map(|f| (f.clone(), Growing::from_end(f.path))).collect(),
            log_dir,
            was_alone: before.as_ref().is_some_and(|before| before.jobs_running == 0),
            before,
            task_managers: BTreeSet::new(),
            next_look: Instant::now(),
            told_shared: false,
        })
    }

    /// Of a cluster that the job has for itself: all that is printed there is its own.
    pub fn of_own_cluster(log_dir: impl Into<PathBuf>) -> Self {
        Self {
            log_dir: log_dir.into(),
            files: BTreeMap::new(),
            before: None,
            task_managers: BTreeSet::new(),
            next_look: Instant::now(),
            told_shared: false,
            was_alone: true,
        }
    }

    /// The lines that anybody printed since the last time.
    pub fn poll_all(&mut self) -> Vec<String> {
        self.read(|source| matches!(source, Source::Worker(..)))
    }

    /// The lines that are left when everybody is gone, a last one without its end too.
    pub fn rest(mut self) -> Vec<String> {
        let mut lines = self.poll_all();
        lines.extend(self.files.values_mut().filter_map(Growing::rest));
        lines
    }

    /// The lines that `main` printed since the last time.
    pub fn poll_main(&mut self) -> Vec<String> {
        self.read(|source| matches!(source, Source::Worker(WorkerId { role: Role::JobManager, .. }, _)))
    }

    /// The lines that `main` and the job's tasks printed since the last time.
    pub(super) async fn poll(&mut self, rest: &FlinkRest, job: JobId, on_news: &mut dyn FnMut(News)) {
        let mut lines = self.poll_main();
        if self.alone(rest).await {
            lines.extend(self.read(|source| is_task_manager(source).is_some()));
        } else {
            if Instant::now() >= self.next_look {
                self.next_look = Instant::now() + WHERE;
                self.look(rest, job).await;
                self.tell_if_shared(rest, job, on_news).await;
            }
            lines.extend(self.read_own());
        }
        lines.into_iter().for_each(|line| on_news(News::Line(line)));
    }

    /// The rest, once the job is over.
    pub(super) async fn finish(mut self, rest: &FlinkRest, job: JobId, on_news: &mut dyn FnMut(News)) {
        if !self.alone(rest).await {
            self.look_until_final(rest, job).await;
            self.tell_if_shared(rest, job, on_news).await;
            let own = std::mem::take(&mut self.task_managers);
            self.files.retain(|file, _| is_task_manager(file.source).is_none_or(|name| own.contains(&name)));
        }
        self.rest().into_iter().for_each(|line| on_news(News::Line(line)));
    }

    /// Whether no other job can have printed since the submit: none ran before it, and none but it
    /// came after. Then every new line is the job's, without asking where it runs.
    ///
    /// A leader that came after one that was lost has forgotten the jobs that had ended; while there is none, the
    /// last answer holds.
    async fn alone(&mut self, rest: &FlinkRest) -> bool {
        let all = |o: &Overview| o.jobs_running + o.jobs_finished + o.jobs_cancelled + o.jobs_failed;
        if let (Some(before), Ok(now)) = (&self.before, rest.overview().await) {
            self.was_alone = before.jobs_running == 0 && all(&now) <= all(before) + 1;
        }
        self.was_alone
    }

    /// Asks which TaskManagers run the job; those that did once stay in the list.
    async fn look(&mut self, rest: &FlinkRest, job: JobId) {
        match rest.job_task_managers(job).await {
            Ok(names) => self.task_managers.extend(names),
            Err(error) => tracing::debug!(%job, %error, "its TaskManagers are unknown for the moment"),
        }
    }

    /// The same once the job is over: until Flink's answer is not from before its end.
    async fn look_until_final(&mut self, rest: &FlinkRest, job: JobId) {
        let deadline = Instant::now() + STALE;
        loop {
            let fresh = rest.job(job).await.map(|details| details.state.is_terminal());
            if matches!(fresh, Ok(true) | Err(RestError::NotFound { .. })) || Instant::now() >= deadline {
                return self.look(rest, job).await;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    async fn tell_if_shared(&mut self, rest: &FlinkRest, job: JobId, on_news: &mut dyn FnMut(News)) {
        if self.told_shared {
            return;
        }
        for other in rest.jobs().await.unwrap_or_default() {
            if other.jid == job || other.state.is_terminal() {
                continue;
            }
            let theirs = rest.job_task_managers(other.jid).await.unwrap_or_default();
            if !theirs.is_disjoint(&self.task_managers) {
                self.told_shared = true;
                return on_news(News::Shared);
            }
        }
    }

    fn read_own(&mut self) -> Vec<String> {
        let own = self.task_managers.clone();
        self.read(|source| is_task_manager(source).is_some_and(|name| own.contains(&name)))
    }

    fn read(&mut self, wanted: impl Fn(Source) -> bool) -> Vec<String> {
        for file in out_files(&self.log_dir).unwrap_or_default() {
            let path = file.path.clone();
            self.files.entry(file).or_insert_with(|| Growing::from_offset(path, 0));
        }
        let wanted = self.files.iter_mut().filter(|(file, _)| wanted(file.source));
        wanted.flat_map(|(_, growing)| growing.poll().unwrap_or_default()).collect()
    }
}

/// The name by which Flink knows the TaskManager whose file this is: its `taskmanager.resource-id`.
fn is_task_manager(source: Source) -> Option<String> {
    match source {
        Source::Worker(id, attempt) if id.role == Role::TaskManager => Some(id.attempt_name(attempt)),
        _ => None,
    }
}

fn out_files(log_dir: &std::path::Path) -> std::io::Result<Vec<LogFile>> {
    let mut files = logs::list(log_dir, Which::All)?;
    files.retain(|file| file.stream == Stream::Out);
    Ok(files)
}
