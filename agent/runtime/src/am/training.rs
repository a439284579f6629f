//! What runs in the container of a training: a small cluster of two JVMs, which write archives of their
//! classes when they end.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use kobel_flink::{
    launch::cds::{archivable, archive_name, machine},
    train::{Ground, train},
};
use kobel_plan::{
    ClusterPlan, FlinkRole, Resources,
    yarn::{Archives, YarnPlan},
};
use kobel_provider::Node as Placeholders;
use kobel_staging::{AppId, Deadlines, Directory, Hdfs, Source, Staging};
use rustix::fs::Mode;

use super::node::Node;
use crate::{
    error::AgentError,
    run::{AGENT_LOG, io_error, log_to},
};

/// The container: two JVMs at Flink's least, ZooKeeper, and kobel.
pub(super) const SIZE: Resources = Resources { memory_bytes: 1984 << 20, vcores: 1 };
/// Beginning of the names under which archives are sent.
const DRAFT: &str = "made-";
/// Its directory within the container's.
const DIR: &str = "train";
/// What its job writes, in the application's directory: by it the archives know the client of HDFS.
const OUTPUT: &str = "rehearsal";
/// What a JVM of a training logs by: like Flink's own, so that the same classes are loaded.
const LOG4J: &str = "\
rootLogger.level = INFO
rootLogger.appenderRef.main.ref = Main
appender.main.name = Main
appender.main.type = RollingFile
appender.main.fileName = ${sys:log.file}
appender.main.filePattern = ${sys:log.file}.%i
appender.main.layout.type = PatternLayout
appender.main.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %-5p %-60c %x - %m%n
appender.main.policies.type = Policies
appender.main.policies.size.type = SizeBasedTriggeringPolicy
appender.main.policies.size.size = 10MB
appender.main.policies.startup.type = OnStartupTriggeringPolicy
appender.main.strategy.type = DefaultRolloverStrategy
appender.main.strategy.max = 1
";

/// What a file is that a training has sent.
pub(super) fn kind_of_draft(name: &str) -> Option<&str> {
    let kind = name.strip_prefix(DRAFT)?;
    [FlinkRole::JobManager, FlinkRole::TaskManager]
        .iter()
        .any(|role| Archives::is_kind(*role, kind))
        .then_some(kind)
}

/// Makes the archives that this plan asks for, and sends them to the application's directory.
pub fn run(plan: &Path) -> Result<(), AgentError> {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    // Whoever else is on this node comes first.
    let _ = rustix::process::nice(10);
    let node = Node::of_container()?;
    log_to(&node.log_dir, AGENT_LOG)?;
    let json = fs::read(plan).map_err(io_error("read", plan))?;
    let plan: ClusterPlan =
        serde_json::from_slice(&json).map_err(|source| AgentError::Plan { path: plan.into(), source })?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| AgentError::Runtime { attempt: "set up the runtime", source })?;
    runtime.block_on(make(plan, &node))
}

async fn make(mut plan: ClusterPlan, node: &Node) -> Result<(), AgentError> {
    let Some(yarn) = plan.yarn.clone() else {
        return Err(AgentError::Container("its plan is not one for YARN".into()));
    };
    let env = |name: &str| std::env::var(name).ok();
    let dir = node.dir.join(DIR);
    let here = Placeholders::here(&dir, &dir, env);
    let behind = here.hadoop_class_path();
    let Some(machine) = machine(here.java_home(), &behind) else {
        return Err(AgentError::Container("its Java makes no archives of classes".into()));
    };
    DirBuilder::new().mode(0o700).create(&dir).map_err(io_error("create", &dir))?;
    plan.logging_conf_dir = log4j(&dir)?;
    // A directory with files, such as that of Hadoop's configuration, keeps a JVM from making one.
    plan.hadoop.class_path = archivable(&behind).to_vec();
    let fill = |text: &str, place: &Path| Placeholders::here(place, place, env).fill(text);
    let (_, directory) = application(&yarn).await?;
    // What is in the application's directory goes with it.
    let output = Some(format!("{}/{OUTPUT}", directory.url()));
    let ground = Ground { dir: &dir, work_dir: Some(&node.dir), output, fill: &fill };
    train(&plan, &ground).await.map_err(|error| AgentError::Training(Box::new(error)))?;
    for role in [FlinkRole::JobManager, FlinkRole::TaskManager] {
        let name = format!("{DRAFT}{}", Archives::kind(role, &machine));
        directory.put_draft(&name, &Source::File(dir.join(archive_name(role)))).await?;
        tracing::info!(name, "sent an archive of classes");
    }
    Ok(())
}

fn log4j(dir: &Path) -> Result<PathBuf, AgentError> {
    let path = dir.join("log4j.properties");
    let written: io::Result<()> = fs::write(&path, LOG4J);
    written.map_err(io_error("write", &path))?;
    Ok(dir.into())
}

/// The staging directory, and in it the application's own.
pub(super) async fn application(yarn: &YarnPlan) -> Result<(Staging, Directory), AgentError> {
    let hdfs = Hdfs::new(None, &yarn.hadoop, &yarn.user, Deadlines::default())
        .map_err(kobel_staging::StagingError::from)?;
    let staging = Staging::new(Arc::new(hdfs), &yarn.staging, &[], &Default::default());
    let directory = staging.application(&AppId::try_from(yarn.application_id.as_str())?).await?;
    Ok((staging, directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_archives_are_taken_for_what_a_training_sent() {
        assert_eq!(kind_of_draft("made-jm-0123456789abcdef.jsa"), Some("jm-0123456789abcdef.jsa"));
        for other in ["plan.json", "made-", "made-x.jsa", "jm-00.jsa", "made-tm-../x.jsa"] {
            assert_eq!(kind_of_draft(other), None, "{other}");
        }
    }
}
