//! What tests ask YARN themselves, over the ResourceManager's REST API.

use serde_json::Value;

use super::Daemon;
use crate::http;

/// A running YARN: ResourceManager and NodeManagers.
pub struct Yarn {
    /// The ResourceManager.
    pub resource_manager: Daemon,
    /// The NodeManagers.
    pub node_managers: Vec<Daemon>,
    pub(crate) web: String,
}

impl Yarn {
    /// The ResourceManager's web address.
    pub fn web(&self) -> String {
        self.web.clone()
    }

    /// The answer of the ResourceManager's REST API to a GET below `/ws/v1/cluster`.
    pub fn get(&self, path: &str) -> Result<Value, String> {
        get(&self.web, path)
    }

    /// The nodes, as the ResourceManager sees them (`id`, `state`, `numContainers`…).
    #[track_caller]
    pub fn nodes(&self) -> Vec<Value> {
        list(self.get("/nodes"), "nodes", "node")
    }

    /// The applications it knows (`id`, `state`, `finalStatus`, `diagnostics`…).
    #[track_caller]
    pub fn apps(&self) -> Vec<Value> {
        list(self.get("/apps"), "apps", "app")
    }

    /// Whether this many NodeManagers are registered and running.
    pub(crate) fn serves(web: &str, nodes: usize) -> Result<(), String> {
        let answer = get(web, "/nodes")?;
        let all = answer["nodes"]["node"].as_array().into_iter().flatten();
        match all.filter(|node| node["state"] == "RUNNING").count() {
            running if running == nodes => Ok(()),
            _ => Err(format!("nodes: {answer}")),
        }
    }
}

fn get(web: &str, path: &str) -> Result<Value, String> {
    let reply =
        http::request("GET", &format!("{web}/ws/v1/cluster{path}"), &[("Accept", "application/json")])?;
    serde_json::from_str(&reply.body).map_err(|e| format!("{path}: {e}: {}", reply.body))
}

#[track_caller]
fn list(answer: Result<Value, String>, outer: &str, inner: &str) -> Vec<Value> {
    let answer = answer.expect("the ResourceManager answers");
    answer[outer][inner].as_array().cloned().unwrap_or_default()
}
