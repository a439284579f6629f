//! Making archives of Flink's classes (AppCDS) in the background, so that the next start is quick.
//!
//! A cluster's own JVMs never write them: that would make them slow to stop. `kobel start` leaves a
//! `kobel train DIR` behind instead, which gets its errand on its standard input: it waits until the
//! started cluster is ready, runs the JVMs of a small one until they know each other, and keeps what
//! they write when they end.

mod run;

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use kobel_conf::{
    Category, Explain,
    dirs::ensure_private,
    flink::{FlinkConf, Loaded},
    settings::ClassArchives,
};
use kobel_flink::launch::cds;
use kobel_plan::{ClusterName, ClusterPlan, FlinkRole, HadoopPlan, RolePlan};
use serde::{Deserialize, Serialize};

use crate::{
    Context, Env,
    compile::{Inputs, compile},
    fsx,
    launch::INHERITED,
    registry::Cluster,
    spec::ClusterSpec,
};

pub(crate) use kobel_flink::train::UNFINISHED;
pub(crate) use run::LOCK;
pub use run::run;

/// Memory in bytes of the processes of a training: the least in which Flink runs.
const TM_MEMORY: u64 = 800 << 20;
/// See [`TM_MEMORY`].
const JM_MEMORY: u64 = 800 << 20;
/// The plan by which a training made the archives beside it: what they are for.
pub(crate) const RECIPE: &str = "recipe.json";
/// What a training that failed leaves, so that not every start tries again.
const FAILED: &str = "failed";
/// For so long.
pub(crate) const PAUSE: Duration = Duration::from_secs(3600);

/// No archives were made.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// What came on standard input is no errand.
    #[error("standard input does not say what to train for")]
    Plan(#[source] serde_json::Error),
    /// The training itself.
    #[error(transparent)]
    Training(#[from] kobel_flink::train::TrainError),
}

impl Explain for TrainError {
    fn category(&self) -> Category {
        Category::Environment
    }

    fn hint(&self) -> Option<String> {
        None
    }
}

/// Whether there shall be archives.
pub(crate) fn is_wanted(ctx: &Context) -> bool {
    ctx.settings.start_cds.value != ClassArchives::Off
}

/// Tells a plan's roles where their archives are, or will be.
pub(crate) fn assign(ctx: &Context, plan: &mut ClusterPlan) {
    if !is_wanted(ctx) {
        return;
    }
    let base = ctx.dirs.cache.join("cds");
    let Some(dir) = dir_of(&base, plan) else { return };
    // What lies there becomes part of a JVM: it must be ours.
    let mut there = [&base, &dir].into_iter().filter(|dir| dir.exists());
    match there.try_for_each(|dir| ensure_private(dir)) {
        Ok(()) => {
            plan.job_manager.archive = Some(dir.join(cds::archive_name(FlinkRole::JobManager)));
            plan.task_manager.archive = Some(dir.join(cds::archive_name(FlinkRole::TaskManager)));
        }
        Err(error) => tracing::warn!(%error, "no archive of classes"),
    }
}

/// What a training is sent for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Errand {
    /// The cluster whose start comes first.
    cluster: ClusterName,
    /// Where that one lives.
    cluster_dir: PathBuf,
    /// The small cluster that makes the archives.
    plan: ClusterPlan,
}

/// The directory below `base` of the archives that fit this plan. A training's own plan leads to the
/// same one.
pub(crate) fn dir_of(base: &Path, plan: &ClusterPlan) -> Option<PathBuf> {
    let roles = [&plan.job_manager, &plan.task_manager];
    cds::archive_dir(base, &plan.java, &plan.flink.class_path, roles)
}

/// Starts a training in the background if an archive of this plan is missing; it begins when the
/// cluster of the plan is ready. Nobody waits for it, and that it fails harms nobody.
pub fn begin(ctx: &Context, cluster: &Cluster, plan: &ClusterPlan) {
    let archives = [&plan.job_manager.archive, &plan.task_manager.archive];
    let [Some(jm), Some(tm)] = archives else { return };
    let Some(dir) = jm.parent() else { return };
    if (jm.is_file() && tm.is_file()) || failed_lately(dir) {
        return;
    }
    if let Err(error) = spawn(ctx, dir, cluster, plan) {
        tracing::warn!(%error, "cannot make archives of classes");
    }
}

fn failed_lately(dir: &Path) -> bool {
    let changed = fs::metadata(dir.join(FAILED)).and_then(|found| found.modified());
    changed.is_ok_and(|at| at.elapsed().is_ok_and(|ago| ago < PAUSE))
}

fn spawn(ctx: &Context, dir: &Path, cluster: &Cluster, plan: &ClusterPlan) -> io::Result<()> {
    let Some(small) = small(ctx, plan) else { return Ok(()) };
    ensure_private(dir).map_err(io::Error::other)?;
    fsx::write_whole(&dir.join(RECIPE), &serde_json::to_vec_pretty(&small)?)?;
    // A file, not a pipe: nobody is left to write when the training gets to read it.
    let mut errand = tempfile::tempfile()?;
    let cluster_dir = cluster.dir.path().into();
    serde_json::to_writer(&mut errand, &Errand { cluster: cluster.name.clone(), cluster_dir, plan: small })?;
    io::Seek::rewind(&mut errand)?;
    let log = fsx::private_append(&dir.join("train.log"))?;
    let env = INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    Command::new(&ctx.agent)
        .arg("train")
        .arg(dir)
        .env_clear()
        .envs(env)
        .current_dir("/")
        .stdin(errand)
        .stdout(log.try_clone()?)
        .stderr(Stdio::from(log))
        .spawn()
        .map(drop)
}

/// A small cluster whose JVMs make archives that fit the plan's: the same jars and the options that
/// count, and nothing of the user's configuration, which may name places that a second cluster must
/// not touch.
pub(crate) fn small(ctx: &Context, plan: &ClusterPlan) -> Option<ClusterPlan> {
    let name: ClusterName = "train".parse().ok()?;
    let spec = ClusterSpec {
        task_managers: Some(1),
        tm_memory: Some(TM_MEMORY),
        jm_memory: Some(JM_MEMORY),
        ..ClusterSpec::local(name)
    };
    let loaded = Loaded { conf: FlinkConf::new(), dialect: plan.dialect, file: None, notes: Vec::new() };
    let compiled = compile(Inputs {
        spec: &spec,
        settings: &ctx.settings,
        env: &Env::default(),
        conf_dir: plan.flink.home.join("conf"),
        loaded,
        flink: plan.flink.clone(),
        java: plan.java.clone(),
        // What stands behind Flink's jars is no matter of the archive.
        hadoop: HadoopPlan::default(),
        cluster_dir: ctx.registry().dir(&plan.name),
        ha_dir: ctx.dirs.state.join("ha"),
        machine_memory: None,
    });
    let mut small = compiled.inspect_err(|error| tracing::warn!(%error, "no plan for a training")).ok()?.plan;
    small.log_dir = plan.log_dir.clone();
    small.job_manager = trained(small.job_manager, &plan.job_manager);
    small.task_manager = trained(small.task_manager, &plan.task_manager);
    Some(small)
}

/// The memory of the small role with the options of the real one that count.
fn trained(small: RolePlan, real: &RolePlan) -> RolePlan {
    let memory = small.jvm_args.into_iter().filter(|arg| !arg.starts_with("--add-"));
    let jvm_args = memory.chain(cds::relevant(real)).collect();
    RolePlan { jvm_args, ..small }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(args: &[&str]) -> RolePlan {
        RolePlan { jvm_args: args.iter().map(ToString::to_string).collect(), ..RolePlan::default() }
    }

    #[test]
    fn a_training_has_its_own_memory_and_only_the_options_that_count() {
        let real =
            role(&["-Xmx8g", "-XX:+UseZGC", "--add-opens=a/b=ALL-UNNAMED", "-javaagent:x.jar", "-Dp=secret"]);
        let small = role(&["-Xmx200m", "--add-opens=c/d=ALL-UNNAMED"]);
        let trained = trained(small, &real).jvm_args;
        assert_eq!(trained, ["-Xmx200m", "-XX:+UseZGC", "--add-opens=a/b=ALL-UNNAMED"]);
    }

    #[test]
    fn the_plan_of_a_training_tells_what_its_archives_are_for() {
        let small = role(&["-Xmx200m", "-Xms200m"]);
        for real in [
            role(&[
                "-Xmx8g",
                "-XX:+UseZGC",
                "--add-opens=a/b=ALL-UNNAMED",
                "-XX:-UseCompressedClassPointers",
            ]),
            role(&["-Xmx42949672960", "-XX:+UseG1GC"]),
        ] {
            assert_eq!(cds::relevant(&trained(small.clone(), &real)), cds::relevant(&real));
        }
    }

    #[test]
    fn a_training_that_failed_is_not_tried_again_at_once() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!failed_lately(dir.path()));
        let file = fs::File::create(dir.path().join(FAILED)).unwrap();
        assert!(failed_lately(dir.path()));
        file.set_modified(std::time::SystemTime::now() - 2 * PAUSE).unwrap();
        assert!(!failed_lately(dir.path()));
    }
}
