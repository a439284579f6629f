//! What tests ask YARN themselves, over the ResourceManager's REST API.

use std::time::Duration;

use serde_json::Value;

use super::Daemon;
use crate::{http, wait};

/// A running YARN: ResourceManager and NodeManagers.
pub struct Yarn {
    /// The ResourceManager; of several, the first.
    pub resource_manager: Daemon,
    /// The ResourceManagers after the first.
    pub other_resource_managers: Vec<Daemon>,
    /// The NodeManagers.
    pub node_managers: Vec<Daemon>,
    /// The web address of each ResourceManager.
    pub(crate) web: Vec<String>,
}

impl Yarn {
    /// The web address of the ResourceManager that is active. Where none is, of the first.
    pub fn web(&self) -> String {
        active(&self.web).unwrap_or(&self.web[0]).clone()
    }

    /// The ResourceManager that is active, if one is.
    pub fn active(&self) -> Option<&Daemon> {
        let index = self.web.iter().position(|web| is_active(web))?;
        self.resource_managers().nth(index)
    }

    /// Every ResourceManager.
    pub fn resource_managers(&self) -> impl Iterator<Item = &Daemon> {
        [&self.resource_manager].into_iter().chain(&self.other_resource_managers)
    }

    /// The answer of the ResourceManager's REST API to a GET below `/ws/v1/cluster`.
    pub fn get(&self, path: &str) -> Result<Value, String> {
        get(&self.web(), path)
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

    /// The ids of the applications that are not over.
    #[track_caller]
    pub fn unfinished(&self) -> Vec<String> {
        const OVER: [&str; 3] = ["FINISHED", "FAILED", "KILLED"];
        let is_over = |app: &Value| OVER.iter().any(|state| app["state"] == *state);
        self.apps().iter().filter(|app| !is_over(app)).map(|app| app["id"].to_string()).collect()
    }

    /// Waits until every application is over, and fails if one is not by then.
    #[track_caller]
    pub fn no_application_left(&self, within: Duration) {
        wait::until("no application runs", within, || match self.unfinished() {
            left if left.is_empty() => Ok(()),
            left => Err(format!("{left:?}")),
        });
    }

    /// Whether this ResourceManager is there, and this many NodeManagers are registered with the active one of
    /// all and running.
    pub(crate) fn serves(web: &str, all: &[String], nodes: usize) -> Result<(), String> {
        get(web, "/info")?;
        let active = active(all).ok_or("no ResourceManager is active")?;
        let answer = get(active, "/nodes")?;
        let all = answer["nodes"]["node"].as_array().into_iter().flatten();
        match all.filter(|node| node["state"] == "RUNNING").count() {
            running if running == nodes => Ok(()),
            _ => Err(format!("nodes: {answer}")),
        }
    }
}

fn active(all: &[String]) -> Option<&String> {
    all.iter().find(|web| is_active(web))
}

/// A standby answers this question too.
fn is_active(web: &str) -> bool {
    get(web, "/info").is_ok_and(|info| info["clusterInfo"]["haState"] == "ACTIVE")
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
