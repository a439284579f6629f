//! What jobs can be started from, as far as kobel knows: their savepoints, and of each its last checkpoint.
//!
//! The agent asks the JobManager now and then and is told of each savepoint that is made through kobel. What it knows lies in
//! the cluster's directory ([`crate::ClusterDir::snapshots`]), outlives the cluster, and is carried on by the next one
//! of that name.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::JobId;

/// So many jobs are remembered, the last ones.
const MOST_JOBS: usize = 100;
/// And of each so many savepoints.
const MOST_SAVEPOINTS: usize = 10;

/// What is known of a cluster's jobs, those of its former runs among them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Snapshots {
    /// Each job that left something, or may yet.
    pub jobs: BTreeMap<JobId, JobSnapshots>,
}

/// What a job can be started from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobSnapshots {
    /// The name that the program gave it.
    #[serde(default)]
    pub name: Option<String>,
    /// The program, if kobel submitted it.
    #[serde(default)]
    pub program: Option<Program>,
    /// Since when it is known.
    pub since: Timestamp,
    /// Its savepoints, the newest last.
    #[serde(default)]
    pub savepoints: Vec<Snapshot>,
    /// The last checkpoint that was seen. It may be gone: whether checkpoints stay is the job's to say.
    #[serde(default)]
    pub checkpoint: Option<Snapshot>,
}

/// Something that a job can be started from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// When it was whole.
    pub at: Timestamp,
    /// Where it is.
    pub path: String,
}

/// What tells programs apart: a new version of a program has another jar, and the same class.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Program {
    /// The class with its `main`.
    pub class: String,
    /// The name of its jar.
    pub jar: String,
}

/// Something that the agent cannot see by itself, or not at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Note {
    /// A job will be of this program.
    Program {
        /// The job.
        job: JobId,
        /// The program.
        program: Program,
    },
    /// A savepoint of a job is made.
    Savepoint {
        /// The job.
        job: JobId,
        /// The savepoint.
        savepoint: Snapshot,
    },
}

impl JobSnapshots {
    fn new(since: Timestamp) -> Self {
        Self { name: None, program: None, since, savepoints: Vec::new(), checkpoint: None }
    }

    /// All of them, the newest first.
    pub fn all(&self) -> Vec<&Snapshot> {
        let mut all: Vec<_> = self.savepoints.iter().chain(&self.checkpoint).collect();
        all.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.at));
        all
    }

    /// When it was last heard of.
    pub fn last(&self) -> Timestamp {
        self.all().first().map_or(self.since, |newest| newest.at.max(self.since))
    }

    fn add(&mut self, savepoint: Snapshot) {
        if self.savepoints.iter().any(|known| known.path == savepoint.path) {
            return;
        }
        self.savepoints.push(savepoint);
        self.savepoints.sort_by_key(|savepoint| savepoint.at);
        let surplus = self.savepoints.len().saturating_sub(MOST_SAVEPOINTS);
        self.savepoints.drain(..surplus);
    }
}

impl Snapshots {
    /// The job of this id, from now on if it is not known yet.
    pub fn job(&mut self, job: JobId, now: Timestamp) -> &mut JobSnapshots {
        self.jobs.entry(job).or_insert_with(|| JobSnapshots::new(now))
    }

    /// Takes note.
    pub fn note(&mut self, note: Note, now: Timestamp) {
        match note {
            Note::Program { job, program } => self.job(job, now).program = Some(program),
            Note::Savepoint { job, savepoint } => self.savepoint(job, savepoint, now),
        }
    }

    /// Takes note of a savepoint.
    pub fn savepoint(&mut self, job: JobId, savepoint: Snapshot, now: Timestamp) {
        self.job(job, now).add(savepoint);
    }

    /// Adds what somebody else knows.
    pub fn merge(&mut self, other: Self) {
        for (job, theirs) in other.jobs {
            let ours = self.job(job, theirs.since);
            let JobSnapshots { name, program, since, savepoints, checkpoint } = theirs;
            ours.since = ours.since.min(since);
            ours.name = name.or(ours.name.take());
            ours.program = program.or(ours.program.take());
            savepoints.into_iter().for_each(|savepoint| ours.add(savepoint));
            let newer = |theirs: &Snapshot| ours.checkpoint.as_ref().is_none_or(|own| own.at <= theirs.at);
            if checkpoint.as_ref().is_some_and(newer) {
                ours.checkpoint = checkpoint;
            }
        }
    }

    /// What of it is worth keeping: jobs that left something, the last ones.
    pub fn lasting(&self) -> Self {
        let mut jobs: Vec<_> = self.jobs.iter().filter(|(_, job)| !job.all().is_empty()).collect();
        jobs.sort_by_key(|(_, job)| std::cmp::Reverse(job.last()));
        Self { jobs: jobs.into_iter().take(MOST_JOBS).map(|(id, job)| (*id, job.clone())).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn snapshot(second: i64) -> Snapshot {
        Snapshot { at: at(second), path: format!("file:/s/{second}") }
    }

    fn job(n: u8) -> JobId {
        JobId::from_bytes([n; 16])
    }

    #[test]
    fn of_a_job_the_newest_comes_first_and_only_the_last_savepoints_are_kept() {
        let mut known = Snapshots::default();
        for second in [5, 3, 3, 9] {
            known.savepoint(job(1), snapshot(second), at(1));
        }
        known.job(job(1), at(1)).checkpoint = Some(snapshot(7));
        let seconds = |known: &Snapshots| -> Vec<_> {
            known.jobs[&job(1)].all().iter().map(|snapshot| snapshot.at.as_second()).collect()
        };
        assert_eq!(seconds(&known), [9, 7, 5, 3]);
        (10..40).for_each(|second| known.savepoint(job(1), snapshot(second), at(1)));
        assert_eq!(seconds(&known).len(), MOST_SAVEPOINTS + 1);
        assert_eq!(known.jobs[&job(1)].last(), at(39));
    }

    #[test]
    fn what_left_nothing_is_not_kept_and_of_the_others_the_last_are() {
        let mut known = Snapshots::default();
        let program = Program { class: "org.x.Job".into(), jar: "a.jar".into() };
        known.note(Note::Program { job: job(0), program: program.clone() }, at(1));
        assert_eq!(known.lasting(), Snapshots::default());
        for n in 1..=200 {
            known.savepoint(job(n), snapshot(n.into()), at(1));
        }
        let kept = known.lasting();
        assert_eq!(kept.jobs.len(), MOST_JOBS);
        assert!(kept.jobs.contains_key(&job(200)) && !kept.jobs.contains_key(&job(100)));
        let json = serde_json::to_string(&kept).unwrap();
        assert_eq!(serde_json::from_str::<Snapshots>(&json).unwrap(), kept);
    }

    #[test]
    fn what_two_know_is_known_together() {
        let (mut ours, mut theirs) = (Snapshots::default(), Snapshots::default());
        ours.savepoint(job(1), snapshot(3), at(2));
        ours.job(job(1), at(2)).checkpoint = Some(snapshot(8));
        theirs.savepoint(job(1), snapshot(3), at(1));
        theirs.job(job(1), at(1)).checkpoint = Some(snapshot(5));
        theirs.job(job(1), at(1)).name = Some("etl".into());
        theirs.savepoint(job(2), snapshot(4), at(4));
        ours.merge(theirs);
        let first = &ours.jobs[&job(1)];
        assert_eq!((first.name.as_deref(), first.since, first.savepoints.len()), (Some("etl"), at(1), 1));
        assert_eq!(first.checkpoint, Some(snapshot(8)));
        assert!(ours.jobs.contains_key(&job(2)));
    }
}
