//! Keeps what jobs can be started from: each savepoint, and of each job its last checkpoint.
//!
//! The JobManager is asked when a job begins or ends, when somebody wants to know, before the cluster is stopped, and
//! otherwise so seldom that it costs nothing. What came in between is no loss where kobel can look into the directory
//! itself: the newest checkpoint of a job lies beside the one that is known. Of a job that ended well Flink removes the
//! checkpoints.

use std::{collections::BTreeSet, fs, path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;
use kobel_flink::{
    FlinkRest, RestError,
    rest::{Checkpoint, JobState, JobSummary},
};
use kobel_plan::{
    ClusterDir, JobId, JobPlan, Snapshots, Status,
    snapshot::{Note, Program, Snapshot},
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use crate::{front::Upstream, record::write_atomically};

/// Between two looks at jobs that go on.
const SELDOM: Duration = Duration::from_secs(30);
/// Between two looks while something is expected: the first checkpoint of a new job, the last words of one that ended.
const SOON: Duration = Duration::from_secs(5);
/// A job that is older has no first checkpoint to come.
const NEW: Duration = Duration::from_secs(120);
/// How long a look may take: who stops the cluster waits for it.
const WITHIN: Duration = Duration::from_secs(3);
/// Longer than a program may take to submit its job.
const MAIN: Duration = Duration::from_secs(1200);
/// Longer than Flink keeps an answer (`web.refresh-interval`, 3 s).
const STALE: Duration = Duration::from_secs(10);
/// So many requests wait.
const REQUESTS: usize = 16;

/// Something asked of the one who keeps them.
#[derive(Debug)]
enum Request {
    Note(Note),
    Tell(oneshot::Sender<Snapshots>),
}

/// The way to the one who keeps them.
#[derive(Debug, Clone)]
pub(crate) struct SnapshotKeeper(mpsc::Sender<Request>);

impl SnapshotKeeper {
    /// Takes note of something that only the submitting side knows.
    pub(crate) async fn note(&self, note: Note) {
        // When nobody is left to note it, the cluster is over.
        let _ = self.0.send(Request::Note(note)).await;
    }

    /// What is known at this moment. It is on the disk when it is told.
    pub(crate) async fn look(&self) -> Snapshots {
        let (reply, answer) = oneshot::channel();
        let _ = self.0.send(Request::Tell(reply)).await;
        answer.await.unwrap_or_default()
    }

    /// One who keeps them in this directory, and what he does as long as somebody may ask.
    pub(crate) fn of(
        dir: &ClusterDir,
        upstream: Upstream,
        status: watch::Receiver<Arc<Status>>,
    ) -> (Self, impl Future<Output = ()> + use<>) {
        let (requests, requested) = mpsc::channel(REQUESTS);
        let path = dir.snapshots();
        let known = load(&path);
        let keeping = Keeping {
            path,
            saved: known.clone(),
            known,
            settled: BTreeSet::new(),
            expecting: false,
            looked_at: Instant::now(),
            upstream,
        };
        (Self(requests), keeping.run(requested, status))
    }
}

/// What is noted of the job that a cluster is for.
pub(crate) fn program_of(plan: &JobPlan) -> Option<Note> {
    let jar = plan.jar.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let class = plan.class.clone()?;
    Some(Note::Program { job: plan.id, program: Program { class, jar } })
}

/// What a former agent, or a former cluster of this name, has left. A file that cannot be read is as good as none.
fn load(path: &PathBuf) -> Snapshots {
    let Ok(bytes) = fs::read(path) else { return Snapshots::default() };
    serde_json::from_slice(&bytes).unwrap_or_else(|error| {
        tracing::warn!(%error, "could not read what jobs can be started from");
        Snapshots::default()
    })
}

struct Keeping {
    path: PathBuf,
    known: Snapshots,
    /// What is on the disk.
    saved: Snapshots,
    /// Jobs that are over, of which nothing more can come.
    settled: BTreeSet<JobId>,
    /// Whether there is a job that is new, or has ended only now.
    expecting: bool,
    looked_at: Instant,
    upstream: Upstream,
}

impl Keeping {
    async fn run(mut self, mut requests: mpsc::Receiver<Request>, mut status: watch::Receiver<Arc<Status>>) {
        let mut tick = interval(SOON);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut jobs = status.borrow().jobs;
        loop {
            tokio::select! {
                request = requests.recv() => match request {
                    Some(Request::Note(note)) => {
                        self.known.note(note, Timestamp::now());
                        self.save().await;
                    }
                    Some(Request::Tell(reply)) => {
                        self.look().await;
                        let _ = reply.send(self.known.clone());
                    }
                    None => return self.save().await,
                },
                Ok(()) = status.changed() => {
                    let now = status.borrow_and_update().jobs;
                    if std::mem::replace(&mut jobs, now) != now {
                        self.look().await;
                    }
                }
                _ = tick.tick() => {
                    let due = jobs.running > 0 && self.looked_at.elapsed() >= SELDOM;
                    if due || self.expecting {
                        self.look().await;
                    }
                }
            }
        }
    }

    /// Brings what is known up to date, as far as there is a JobManager that answers.
    async fn look(&mut self) {
        self.looked_at = Instant::now();
        let Some(address) = *self.upstream.borrow() else { return self.save().await };
        let looked = async {
            let rest = FlinkRest::new(&format!("http://{address}"))?;
            self.ask(&rest).await
        };
        match timeout(WITHIN, looked).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "what jobs can be started from is not told"),
            Err(_) => tracing::debug!("what jobs can be started from is not told in time"),
        }
        self.save().await;
    }

    async fn ask(&mut self, rest: &FlinkRest) -> Result<(), RestError> {
        let jobs = rest.jobs().await?;
        let listed: BTreeSet<_> = jobs.iter().map(|job| job.jid).collect();
        self.settled.retain(|id| listed.contains(id));
        self.expecting = false;
        for job in jobs {
            if self.settled.contains(&job.jid) {
                continue;
            }
            let checkpoints = match rest.checkpoints(job.jid).await {
                Err(RestError::NotFound { .. }) => continue,
                found => found?.unwrap_or_default(),
            };
            let latest = [checkpoints.latest.savepoint, checkpoints.latest.completed];
            self.heard(&job, latest);
            let has_checkpoint = self.known.jobs.get(&job.jid).is_some_and(|job| job.checkpoint.is_some());
            match job.state.is_terminal() {
                true if age(job.end_time) > STALE => drop(self.settled.insert(job.jid)),
                true => self.expecting = true,
                false => self.expecting |= !has_checkpoint && age(job.start_time) < NEW,
            }
        }
        // Of most jobs there is nothing to remember but, until now, their program.
        let goes_on = |id: &JobId| listed.contains(id) && !self.settled.contains(id);
        let is_new = |since: Timestamp| age(since.as_millisecond()) < MAIN;
        self.known.jobs.retain(|id, job| !job.all().is_empty() || goes_on(id) || is_new(job.since));
        Ok(())
    }

    fn heard(&mut self, job: &JobSummary, [savepoint, checkpoint]: [Option<Checkpoint>; 2]) {
        let now = Timestamp::now();
        let (savepoint, checkpoint) = (savepoint.and_then(snapshot), checkpoint.and_then(snapshot));
        let finished = job.state == JobState::Finished;
        if savepoint.is_none() && checkpoint.is_none() && !self.known.jobs.contains_key(&job.jid) {
            return;
        }
        let known = self.known.job(job.jid, now);
        known.name = Some(job.name.clone());
        if let Ok(started) = Timestamp::from_millisecond(job.start_time) {
            known.since = started;
        }
        match checkpoint {
            _ if finished => known.checkpoint = None,
            Some(checkpoint) => known.checkpoint = Some(checkpoint),
            None => {}
        }
        if let Some(savepoint) = savepoint {
            self.known.savepoint(job.jid, savepoint, now);
        }
    }

    /// Writes it down if something is new. Failing is survivable, as with the record.
    async fn save(&mut self) {
        let lasting = self.known.lasting();
        if lasting == self.saved {
            return;
        }
        let (path, json) = (self.path.clone(), serde_json::to_vec_pretty(&lasting).unwrap_or_default());
        match tokio::task::spawn_blocking(move || write_atomically(&path, &json)).await {
            Ok(Ok(())) => self.saved = lasting,
            Ok(Err(error)) => tracing::warn!(%error, "could not write down what jobs can be started from"),
            Err(error) => tracing::warn!(%error, "could not write down what jobs can be started from"),
        }
    }
}

/// How long it is since this time in milliseconds; nothing if that is yet to come.
fn age(began: i64) -> Duration {
    let age = Timestamp::now().as_millisecond().saturating_sub(began);
    Duration::from_millis(u64::try_from(age).unwrap_or(0))
}

/// One that has an address: what a JobManager keeps in its memory has none, and Flink writes that in brackets.
fn snapshot(made: Checkpoint) -> Option<Snapshot> {
    let path = made.external_path.filter(|path| !path.starts_with('<'))?;
    let millis = made.latest_ack_timestamp.max(made.trigger_timestamp);
    Some(Snapshot { at: Timestamp::from_millisecond(millis).ok()?, path })
}

#[cfg(test)]
mod tests;
