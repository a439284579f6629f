//! What clusters left that are over, or that never came about.

use std::{path::Path, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use kobel_plan::ClusterDir;
use rustix::process::{Pid, test_kill_process};

use super::{Bin, GcError, Kind, Running, Source, YOUNG, entries, idle, name, size};
use crate::{
    Cluster, Context,
    registry::{REMOVED, TEMPORARY},
};

/// The directory of all clusters.
pub(super) struct Clusters<'a> {
    pub(super) ctx: &'a Context,
    pub(super) running: &'a Running,
    /// Whether, and after what time, clusters that are over are forgotten.
    pub(super) ended_for: Option<Duration>,
}

impl Source for Clusters<'_> {
    fn sweep<'a>(&'a self, bin: &'a mut Bin) -> BoxFuture<'a, Result<(), GcError>> {
        async {
            for path in entries(&self.ctx.dirs.state.join("clusters"))? {
                let outcome = match name(&path).strip_prefix(REMOVED) {
                    Some(rest) => self.removal(&path, rest, bin).await,
                    None => self.cluster(&path, bin).await,
                };
                // A cluster that cannot be read hides none of the others.
                bin.errors.extend(outcome.err());
            }
            Ok(())
        }
        .boxed()
    }
}

impl Clusters<'_> {
    /// The name ends in the process id of who removes it.
    async fn removal(&self, path: &Path, rest: &str, bin: &mut Bin) -> Result<(), GcError> {
        let pid = rest.rsplit('-').next().and_then(|pid| Pid::from_raw(pid.parse().ok()?));
        if pid.is_some_and(|pid| test_kill_process(pid).is_ok()) {
            bin.spare(path.display().to_string(), "it is just being removed");
        } else {
            bin.put_path(Kind::Removal, path, "a kobel rm that did not get to its end").await;
        }
        Ok(())
    }

    async fn cluster(&self, path: &Path, bin: &mut Bin) -> Result<(), GcError> {
        let Ok(name) = name(path).parse() else { return Ok(()) };
        let cluster = Cluster { name, dir: ClusterDir::new(path) };
        // Without these it is no cluster of kobel's, or one that is just coming about.
        if !cluster.dir.lock().exists() {
            return Ok(());
        }
        let Some(_lock) = cluster.try_lock()? else { return Ok(()) };
        if !cluster.dir.plan().exists() {
            return self.claim(&cluster, bin).await;
        }
        // One that lost its agent gets another by the next command, and may have processes.
        if cluster.is_unfinished()? {
            return Ok(());
        }
        if let Some(after) = self.ended_for
            && over_for(&cluster) >= after
        {
            return self.record(&cluster, bin).await;
        }
        for worker in entries(&cluster.dir.workers())? {
            self.unless_used(Kind::WorkerDir, &worker, "the worker's cluster is over", bin).await;
        }
        for file in entries(path)?.iter().filter(|file| super::name(file).starts_with(TEMPORARY)) {
            bin.put_path(Kind::TempFile, file, "a file that was never written to its end").await;
        }
        Ok(())
    }

    async fn claim(&self, cluster: &Cluster, bin: &mut Bin) -> Result<(), GcError> {
        // The dead lock too is one of its files; who claims the name makes another.
        if idle(&cluster.dir.lock()) > YOUNG && idle(cluster.dir.path()) > YOUNG {
            let why = "a start that ended before there was a plan";
            self.unless_used(Kind::Claim, cluster.dir.path(), why, bin).await;
        }
        Ok(())
    }

    async fn record(&self, cluster: &Cluster, bin: &mut Bin) -> Result<(), GcError> {
        let path = cluster.dir.path();
        if self.running.uses(path) {
            bin.spare(path.display().to_string(), "a process works in it");
            return Ok(());
        }
        let days = over_for(cluster).as_secs() / 86400;
        let why = match days {
            0 => "its cluster is over".to_string(),
            1 => "its cluster has been over for a day".to_string(),
            _ => format!("its cluster has been over for {days} days"),
        };
        let removal = async { self.ctx.registry().take_away(cluster) };
        bin.put(Kind::Record, path.display().to_string(), size(path), why, removal).await;
        Ok(())
    }

    async fn unless_used(&self, kind: Kind, path: &Path, why: &str, bin: &mut Bin) {
        if self.running.uses(path) {
            bin.spare(path.display().to_string(), "a process works in it");
        } else {
            bin.put_path(kind, path, why).await;
        }
    }
}

/// The last thing that is written of a cluster is its end.
fn over_for(cluster: &Cluster) -> Duration {
    let record = cluster.dir.record();
    if record.exists() { idle(&record) } else { idle(&cluster.dir.plan()) }
}
