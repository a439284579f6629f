//! What a per-job cluster is given beside what a session is.

use kobel_conf::flink::{FlinkConf, Origin};
use kobel_plan::{JobPlan, ProviderKind, SLOTS_KEY, needed_task_managers, slots_of_task_manager};

use super::Inputs;

/// What the JobManager needs so that its job's end can be read and written down: it stays when its application is
/// over, a `main` that throws is a job that failed, and `main` can have its job's result. Key, value and why.
const OWN: [(&str, &str, &str); 3] = [
    (
        "execution.shutdown-on-application-finish",
        "false",
        "the agent ends the cluster when it has the result",
    ),
    ("execution.submit-failed-job-on-application-error", "true", "a program that fails is a job that failed"),
    ("execution.attached", "true", "a program may collect its job's results"),
];
/// Flink's key for where its fetcher would put a copy of the jar; its default is a directory of root's.
const ARTIFACTS_KEY: &str = "user.artifacts.base-dir";
/// Flink's key for how many tasks of an operator run side by side, where its program says nothing else.
pub(super) const PARALLELISM_KEY: &str = "parallelism.default";

/// The plan of the job, and its keys in the configuration.
pub(super) fn plan(inputs: &Inputs<'_>, conf: &mut FlinkConf, notes: &mut Vec<String>) -> Option<JobPlan> {
    let job = inputs.spec.job.as_ref()?;
    for (key, value, why) in OWN {
        if let Some(entry) = conf.get(key).filter(|entry| entry.value != value) {
            notes.push(format!("{key} ({}) is {value} for a job with its own cluster: {why}", entry.origin));
        }
        conf.set(key, value, Origin::Kobel(why));
    }
    let artifacts = format!("{}/tmp/artifacts", kobel_plan::Launch::WORKER_DIR);
    conf.set_default(ARTIFACTS_KEY, &artifacts, Origin::Kobel("with the JobManager's other files"));
    let jar = match inputs.spec.provider {
        // Beside the process, in each container that needs it.
        ProviderKind::Yarn => JobPlan::JAR.into(),
        ProviderKind::Local | ProviderKind::Hosts => inputs.cluster_dir.program(),
    };
    Some(JobPlan {
        id: job.id,
        jar,
        class: job.class.clone(),
        args: job.args.clone(),
        restore: job.restore.clone(),
    })
}

/// How many TaskManagers a job of the configured parallelism takes, so that none has to be asked for when it runs.
pub(super) fn task_managers(conf: &FlinkConf) -> u32 {
    let parallelism = conf.get_str(PARALLELISM_KEY).and_then(|value| value.trim().parse().ok()).unwrap_or(1);
    needed_task_managers(parallelism, slots_of_task_manager(conf.get_str(SLOTS_KEY))).max(1)
}
