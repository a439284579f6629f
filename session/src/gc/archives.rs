//! Archives of classes that no JVM takes any more, and what trainings left.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use futures_util::{FutureExt, future::BoxFuture};
use kobel_flink::launch::cds;
use kobel_plan::{ClusterPlan, FlinkRole};

use super::{Bin, GcError, Kind, Running, Source, entries, hold, idle, name};
use crate::{Context, train};

/// The directory of all archives.
pub(super) struct Archives<'a> {
    pub(super) ctx: &'a Context,
    pub(super) running: &'a Running,
}

impl Source for Archives<'_> {
    fn sweep<'a>(&'a self, bin: &'a mut Bin) -> BoxFuture<'a, Result<(), GcError>> {
        async {
            let base = self.ctx.dirs.cache.join("cds");
            let wanted = self.wanted()?;
            for dir in entries(&base)?.into_iter().filter(|path| path.is_dir()) {
                self.one(&base, &dir, wanted.contains(&dir), bin).await?;
            }
            Ok(())
        }
        .boxed()
    }
}

impl Archives<'_> {
    /// Those that clusters which are not over may start JVMs with.
    fn wanted(&self) -> Result<BTreeSet<PathBuf>, GcError> {
        let mut wanted = BTreeSet::new();
        for cluster in self.ctx.registry().list()? {
            // Of one that cannot be read, who knows.
            if cluster.is_unfinished().unwrap_or(true)
                && let Ok(plan) = cluster.plan()
            {
                let archives = [plan.job_manager.archive, plan.task_manager.archive];
                wanted.extend(archives.into_iter().flatten().filter_map(|path| Some(path.parent()?.into())));
            }
        }
        Ok(wanted)
    }

    async fn one(&self, base: &Path, dir: &Path, wanted: bool, bin: &mut Bin) -> Result<(), GcError> {
        let Some(_held) = hold(&dir.join(train::LOCK), bin.dry)? else {
            bin.spare(dir.display().to_string(), "a training is running");
            return Ok(());
        };
        let misfit = misfit(base, dir);
        let none = [FlinkRole::JobManager, FlinkRole::TaskManager]
            .iter()
            .all(|role| !dir.join(cds::archive_name(*role)).exists());
        let verdict = match misfit {
            Some(why) => Some((Kind::Archive, why)),
            None if none && idle(dir) > train::PAUSE => {
                Some((Kind::Training, "a training that came to nothing".to_string()))
            }
            None => None,
        };
        if let Some((kind, why)) = verdict {
            if wanted || self.running.uses(dir) {
                bin.spare(dir.display().to_string(), "a cluster uses it");
            } else {
                bin.put_path(kind, dir, why).await;
            }
            return Ok(());
        }
        for draft in entries(dir)?.iter().filter(|path| name(path).starts_with(train::UNFINISHED)) {
            if self.running.uses(draft) {
                bin.spare(draft.display().to_string(), "a JVM writes it");
            } else {
                bin.put_path(Kind::Training, draft, "a training that did not get to its end").await;
            }
        }
        Ok(())
    }
}

/// Why no JVM would take the archives of this directory; nothing if one would.
fn misfit(base: &Path, dir: &Path) -> Option<String> {
    let recipe = fs::read(dir.join(train::RECIPE)).ok();
    let Some(plan) = recipe.and_then(|json| serde_json::from_slice::<ClusterPlan>(&json).ok()) else {
        return Some("nobody wrote down what Flink and Java it was made for".into());
    };
    let gone =
        |what: &str, path: &Path| (!path.exists()).then(|| format!("{what} {} is gone", path.display()));
    let (flink, java) = (&plan.flink, &plan.java);
    let lib = flink.class_path.iter().find(|jar| !jar.exists());
    gone("Flink", &flink.home)
        .or_else(|| gone("Java", &java.home))
        .or_else(|| lib.and_then(|jar| gone("its", jar)))
        .or_else(|| {
            let changed = train::dir_of(base, &plan).as_deref() != Some(dir);
            changed.then(|| format!("Flink {} or its Java has changed since", flink.home.display()))
        })
}
