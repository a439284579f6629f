//! Hadoop's configuration in a worker's own directory.

use kobel_plan::{ClusterPlan, Launch, WorkerFile};

/// Its directory below the worker's.
const DIR: &str = "hadoop";

/// Variables by which Flink (`HadoopUtils`) and Hadoop find it.
pub(super) const VARIABLES: [&str; 2] = ["HADOOP_CONF_DIR", "YARN_CONF_DIR"];

/// Where it will be, if the plan holds one.
pub(super) fn conf_dir(plan: &ClusterPlan) -> Option<String> {
    (!plan.hadoop.sites.is_empty()).then(|| format!("{}/{DIR}", Launch::WORKER_DIR))
}

/// Its files.
pub(super) fn files(plan: &ClusterPlan) -> impl Iterator<Item = WorkerFile> {
    plan.hadoop.sites.iter().map(|site| WorkerFile {
        path: format!("{DIR}/{}", site.name),
        contents: kobel_conf::hadoop::render(site),
    })
}
