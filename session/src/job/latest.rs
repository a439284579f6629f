//! `--from latest`: the newest savepoint or checkpoint that a program can be started from.
//!
//! A program is known by its class: a new version of it comes in another jar, and the name of its job is not known
//! before its `main` has run. The cluster that was named comes first; if kobel knows of nothing there, all others count,
//! those that are over among them. What is gone does not count, and of a job's checkpoints the newest one does that is there
//! now. Where two jobs of the program ran side by side nobody can tell which of them is meant: then it is not guessed.

use jiff::Timestamp;
use kobel_conf::{Category, Explain};
use kobel_plan::{
    ClusterName, ClusterPlan, JobId,
    snapshot::{JobSnapshots, Snapshot},
};
use kobel_staging::{FsError, Kind, Place, PlaceError};

use crate::{Cluster, Registry, registry::RegistryError};

/// What makes a directory a savepoint or a checkpoint.
const METADATA: &str = "_metadata";
/// What the name of a checkpoint's directory begins with; its number follows.
const CHECKPOINT: &str = "chk-";

/// Something to start from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latest {
    /// Where it is.
    pub path: String,
    /// Whether it is a savepoint.
    pub is_savepoint: bool,
    /// When it was made; of a checkpoint, that one of its job that is known for sure.
    pub at: Timestamp,
    /// Of which job.
    pub job: JobId,
    /// What that was called.
    pub name: Option<String>,
    /// Where it ran.
    pub cluster: ClusterName,
    /// Since when.
    since: Timestamp,
    /// Whether it was seen to be there. Of some file systems only Flink knows.
    pub seen: bool,
}

/// There is nothing to start from, or too much.
#[derive(Debug, thiserror::Error)]
pub enum LatestError {
    /// The clusters cannot be listed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Nothing was ever made, as far as kobel knows.
    #[error("kobel knows of no savepoint or checkpoint of program {class}")]
    Nothing {
        /// The program.
        class: String,
        /// The newest one of a job whose program is not known.
        other: Option<String>,
    },
    /// It is gone.
    #[error(
        "all savepoints and checkpoints of program {class} are gone that kobel knows of, {last} the last"
    )]
    Gone {
        /// The program.
        class: String,
        /// The newest one.
        last: String,
    },
    /// Several jobs ran side by side.
    #[error("{} jobs of program {class} ran side by side: which one is meant?", candidates.len())]
    Ambiguous {
        /// The program.
        class: String,
        /// The newest of each, the newest first.
        candidates: Vec<Latest>,
    },
}

impl Explain for LatestError {
    fn category(&self) -> Category {
        match self {
            Self::Registry(e) => e.category(),
            Self::Nothing { .. } | Self::Gone { .. } => Category::NotFound,
            Self::Ambiguous { .. } => Category::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Registry(e) => return e.hint(),
            Self::Nothing { other: Some(path), .. } => {
                format!("kobel run -s {path} …   (the last one of a program that is not known)")
            }
            Self::Nothing { other: None, .. } => "kobel run -s PATH …".into(),
            Self::Gone { .. } => {
                "kobel run -s PATH …   (-D execution.checkpointing.externalized-checkpoint-retention=\
                 RETAIN_ON_CANCELLATION keeps those to come)"
                    .into()
            }
            Self::Ambiguous { candidates, .. } => {
                format!("kobel run -s {} …", candidates.first().map_or("PATH", |newest| &newest.path))
            }
        })
    }
}

/// What a program of this class can be started from; `first` is the cluster that comes before all others.
pub async fn latest(
    registry: &Registry,
    first: Option<&ClusterName>,
    class: &str,
) -> Result<Latest, LatestError> {
    let (named, others): (Vec<_>, Vec<_>) =
        registry.list()?.into_iter().partition(|cluster| Some(&cluster.name) == first);
    let mut search = Search { class, found: Vec::new(), gone: None, other: None };
    for clusters in [named, others] {
        for cluster in &clusters {
            search.look_into(cluster).await;
        }
        if !search.found.is_empty() {
            break;
        }
    }
    search.decide()
}

struct Search<'a> {
    class: &'a str,
    /// The newest of each job that is there.
    found: Vec<Latest>,
    /// The newest of those that are not.
    gone: Option<Snapshot>,
    /// The newest of a job whose program is not known.
    other: Option<Snapshot>,
}

impl Search<'_> {
    async fn look_into(&mut self, cluster: &Cluster) {
        let plan = cluster.plan().ok();
        for (id, job) in cluster.snapshots().await.jobs {
            match &job.program {
                Some(program) if program.class == self.class => {
                    self.add(cluster, plan.as_ref(), id, &job).await
                }
                Some(_) => {}
                None => newer(&mut self.other, job.all().first().copied()),
            }
        }
    }

    async fn add(&mut self, cluster: &Cluster, plan: Option<&ClusterPlan>, id: JobId, job: &JobSnapshots) {
        for snapshot in job.all() {
            let is_savepoint = job.checkpoint.as_ref() != Some(snapshot);
            let (path, seen) = match presence(plan, snapshot, is_savepoint).await {
                Presence::At(path) => (path, true),
                Presence::Unseen => (snapshot.path.clone(), false),
                Presence::Gone => {
                    newer(&mut self.gone, Some(snapshot));
                    continue;
                }
            };
            let (name, cluster) = (job.name.clone(), cluster.name.clone());
            let (at, since) = (snapshot.at, job.since);
            self.found.push(Latest { path, is_savepoint, at, job: id, name, cluster, since, seen });
            return;
        }
    }

    /// The newest one, unless another job ran while its job did.
    fn decide(mut self) -> Result<Latest, LatestError> {
        self.found.sort_by_key(|found| std::cmp::Reverse(found.at));
        let class = self.class.to_string();
        let Some(newest) = self.found.first() else {
            return Err(match self.gone {
                Some(gone) => LatestError::Gone { class, last: gone.path },
                None => LatestError::Nothing { class, other: self.other.map(|other| other.path) },
            });
        };
        let beside = self.found.iter().filter(|other| other.job != newest.job && other.at > newest.since);
        let candidates: Vec<_> = std::iter::once(newest).chain(beside).cloned().collect();
        match candidates.len() {
            1 => Ok(newest.clone()),
            _ => Err(LatestError::Ambiguous { class, candidates }),
        }
    }
}

fn newer(known: &mut Option<Snapshot>, other: Option<&Snapshot>) {
    if let Some(other) = other
        && known.as_ref().is_none_or(|known| known.at < other.at)
    {
        *known = Some(other.clone());
    }
}

/// Whether something to start from is there.
#[derive(Debug, PartialEq, Eq)]
enum Presence {
    /// It, or a newer one of the same job, is here.
    At(String),
    /// It is not.
    Gone,
    /// Nobody but Flink can look.
    Unseen,
}

async fn presence(plan: Option<&ClusterPlan>, snapshot: &Snapshot, is_savepoint: bool) -> Presence {
    let looked = match plan.map(|plan| Place::of(plan, &snapshot.path)) {
        None => return Presence::Unseen,
        Some(Err(error)) => Err(error),
        Some(Ok(place)) if is_savepoint => {
            is_whole(&place).await.map(|whole| whole.then(|| snapshot.path.clone())).map_err(PlaceError::Fs)
        }
        Some(Ok(place)) => newest_beside(&place, &snapshot.path).await.map_err(PlaceError::Fs),
    };
    match looked {
        Ok(Some(path)) => Presence::At(path),
        Ok(None) => Presence::Gone,
        Err(error) => {
            tracing::debug!(path = snapshot.path, %error, "whether it is there is not known");
            Presence::Unseen
        }
    }
}

async fn is_whole(place: &Place) -> Result<bool, FsError> {
    let metadata = place.below(METADATA);
    Ok(metadata.files.look(&metadata.path).await?.is_some())
}

/// The newest whole checkpoint of the job that this one is of: each is in a directory with its number.
async fn newest_beside(place: &Place, url: &str) -> Result<Option<String>, FsError> {
    let Some(((dir, _), (base, _))) =
        place.path.rsplit_once('/').zip(url.trim_end_matches('/').rsplit_once('/'))
    else {
        return Ok(None);
    };
    let number = |path: &str| path.rsplit('/').next()?.strip_prefix(CHECKPOINT)?.parse::<u64>().ok();
    let entries = place.files.list(dir).await?.into_iter().filter(|entry| entry.kind == Kind::Directory);
    let mut numbers: Vec<_> = entries.filter_map(|entry| number(&entry.path)).collect();
    numbers.sort_unstable();
    for number in numbers.into_iter().rev() {
        let name = format!("{CHECKPOINT}{number}");
        let place = Place { files: place.files.clone(), path: format!("{dir}/{name}") };
        if is_whole(&place).await? {
            return Ok(Some(format!("{base}/{name}")));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
