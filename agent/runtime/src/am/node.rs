//! What YARN tells a container of itself and its node.

use std::path::{Path, PathBuf};

use kobel_hadoop_rpc::{Credentials, yarn::ContainerId};
use kobel_plan::{ClusterPlan, Launch};

use crate::error::{AgentError, chain};

/// The container that this process is the master of.
#[derive(Debug)]
pub(super) struct Node {
    /// The container's directory.
    pub(super) dir: PathBuf,
    /// Where YARN expects logs.
    pub(super) log_dir: PathBuf,
    /// The node's name, as YARN has it.
    pub(super) host: String,
    /// Which attempt of the application this is, from 1.
    pub(super) attempt: i32,
    /// The file with the container's tokens.
    tokens: PathBuf,
}

impl Node {
    /// By the variables that every NodeManager sets.
    pub(super) fn of_container() -> Result<Self, AgentError> {
        let variable = |name: &str| {
            let value = std::env::var(name).ok().filter(|value| !value.is_empty());
            value.ok_or_else(|| AgentError::Container(format!("{name} is not set: only YARN starts this")))
        };
        let dir = std::env::current_dir()
            .map_err(|source| AgentError::Runtime { attempt: "find the present directory", source })?;
        let log_dirs = variable("LOG_DIRS")?;
        let container = variable("CONTAINER_ID")?.parse::<ContainerId>();
        let container = container.map_err(|error| AgentError::Container(error.to_string()))?;
        Ok(Self {
            dir,
            log_dir: PathBuf::from(log_dirs.split(',').next().unwrap_or(&log_dirs)),
            host: variable("NM_HOST")?,
            attempt: container.attempt.number,
            tokens: PathBuf::from(variable("HADOOP_TOKEN_FILE_LOCATION")?),
        })
    }

    /// The tokens that the container was given.
    pub(super) fn credentials(&self) -> Result<Credentials, AgentError> {
        Credentials::read(&self.tokens).map_err(|error| AgentError::Container(chain(&error)))
    }

    /// The name of this machine among those that archives of classes are made for; none without a Java.
    pub(super) fn machine(&self) -> Option<String> {
        let here = kobel_provider::Node::here(&self.dir, &self.log_dir, |name| std::env::var(name).ok());
        kobel_flink::launch::cds::machine(here.java_home(), &here.hadoop_class_path())
    }

    /// The plan with what only the node knows.
    pub(super) fn localize(&self, plan: ClusterPlan) -> ClusterPlan {
        let mut plan = plan;
        plan.log_dir = self.log_dir.clone();
        plan.rpc_address = self.host.clone();
        for name in [&mut plan.front.bind, &mut plan.front.address] {
            *name = name.replace(Launch::HOST, &self.host);
        }
        plan.java.home = Path::new(Launch::JAVA_HOME).into();
        plan
    }
}
