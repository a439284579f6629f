//! What YARN tells a container of itself and its node.

use std::path::{Path, PathBuf};

use kobel_conf::chain;
use kobel_hadoop_rpc::{Credentials, yarn::ContainerId};
use kobel_plan::{ClusterPlan, Launch};

use crate::error::AgentError;

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

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use kobel_conf::{Category, Explain};
    use kobel_hadoop_rpc::testing::vector_token;

    use super::*;

    fn node(dir: &Path) -> Node {
        let path = |name: &str| dir.join(name);
        Node {
            dir: dir.into(),
            log_dir: path("log"),
            host: "n".into(),
            attempt: 1,
            tokens: path("container_tokens"),
        }
    }

    #[test]
    fn a_token_file_that_cannot_be_used_is_named_and_one_of_yarns_mode_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let node = node(dir.path());
        let credentials = Credentials { tokens: vec![(String::new(), vector_token())], secrets: vec![] };
        let good = credentials.to_bytes();
        let table = [
            (None, "cannot read the token file"),
            (Some(good[..good.len() - 3].to_vec()), "has an impossible length"),
            (Some([b"PK\x03\x04", &good[4..]].concat()), "is not a file of Hadoop tokens"),
            (Some([b"HDTS\x07", &good[5..]].concat()), "is of version 7"),
        ];
        for (bytes, expected) in table {
            if let Some(bytes) = bytes {
                fs::write(&node.tokens, bytes).unwrap();
            }
            let error = node.credentials().unwrap_err();
            let text = error.to_string();
            assert!(text.contains(expected) && text.contains("container_tokens"), "{text}");
            assert_eq!(error.category(), Category::Environment);
        }
        fs::write(&node.tokens, &*good).unwrap();
        fs::set_permissions(&node.tokens, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(node.credentials().unwrap(), credentials);
    }
}
