//! Where a cluster on YARN stands: its master tells, and where that does not answer, the ResourceManager.

use std::io::Write;

use jiff::Timestamp;
use kobel_hadoop_rpc::yarn::{AppReport, AppState, FinalStatus};
use kobel_plan::{ClusterState, Status, status::YarnStatus};

use super::{
    application::{Application, front},
    history::recall,
    manager::{RmError, Sighting, Wait, Wanted},
    one_line,
};
use crate::{
    control::{Control, ControlError},
    fsx,
    registry::{Cluster, RegistryError, file_error},
};

/// A wait that is shorter needs no explanation.
const PATIENCE_MS: i64 = 1000;

/// Flink's key for the nodes that the whole application may have.
const NODE_LABEL: &str = "yarn.application.node-label";

/// The status now; what is new in it is remembered.
pub(crate) async fn status(cluster: &Cluster, application: &Application) -> Result<Status, RegistryError> {
    let last = cluster.remembered()?;
    if last.state.is_terminal() {
        return Ok(last);
    }
    let status = match application.report().await {
        Ok(Sighting::Seen(report)) => seen(cluster, application, &last, report).await,
        Ok(Sighting::NotYet) => silent(&last, "the ResourceManager is only starting"),
        // Whoever holds the lock is about to submit it.
        Ok(Sighting::Gone) if cluster.is_locked()? => last.clone(),
        Ok(Sighting::Gone) => over(&last, ClusterState::Failed, forgotten(application).await),
        Err(error) => without_resource_manager(cluster, &last, &error).await,
    };
    if status != last {
        cluster.remember(&status)?;
    }
    if status.state.is_terminal() {
        recall(cluster, application).await;
        return cluster.remembered();
    }
    Ok(status)
}

/// Why YARN does not know an application that it gave the id for.
async fn forgotten(application: &Application) -> String {
    let started = match application.resource_manager() {
        Ok(manager) => manager.started_ms().await.unwrap_or_default(),
        Err(_) => 0,
    };
    let id = application.id;
    if started > id.cluster_timestamp {
        format!("YARN does not know {id}: its ResourceManager was started anew and has lost its state")
    } else {
        format!("YARN does not know {id}")
    }
}

/// What the master tells, or nothing where the master of another cluster answers. Logs lie on the nodes;
/// here is only what was fetched of them.
async fn ask(front: &str, cluster: &Cluster, last: &Status) -> Result<Option<Status>, ControlError> {
    let called = Application::of(&cluster.dir)?.and_then(|application| application.called);
    let told = Control::at(front)?.status().await?;
    if told.name != *called.as_ref().unwrap_or(&cluster.name) {
        return Ok(None);
    }
    Ok(Some(Status { name: cluster.name.clone(), log_dir: last.log_dir.clone(), ..told }))
}

/// Copies the timeline as far as the master tells it. Its file only grows, for those who follow it.
pub(crate) async fn copy_events(cluster: &Cluster) -> Result<(), RegistryError> {
    let Ok(way) = Control::open(&cluster.dir) else { return Ok(()) };
    let Ok(events) = way.events().await else { return Ok(()) };
    let path = cluster.dir.events();
    let known = std::fs::read(&path).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count();
    let mut lines = Vec::new();
    for event in events.iter().skip(known) {
        serde_json::to_writer(&mut lines, event)
            .map_err(|source| RegistryError::Damaged { path: path.clone(), source })?;
        lines.push(b'\n');
    }
    let written = fsx::private_append(&path).and_then(|mut file| file.write_all(&lines));
    written.map_err(file_error("write", path))
}

async fn seen(cluster: &Cluster, application: &Application, last: &Status, report: AppReport) -> Status {
    let mut status = match front(&report) {
        Some(url) => match ask(&url, cluster, last).await {
            Ok(Some(told)) => told,
            Ok(None) => silent(last, "another cluster answers at its master's address"),
            Err(error) => silent(last, &format!("its ApplicationMaster does not answer: {error}")),
        },
        None => fold(last, &report),
    };
    if status.state == ClusterState::Starting && status.masters.is_empty() && status.agent.is_none() {
        status.reason = wait(cluster, application, &report).await;
    }
    Status { yarn: Some(of_yarn(&report)), ..status }
}

fn of_yarn(report: &AppReport) -> YarnStatus {
    YarnStatus {
        application_id: report.id.to_string(),
        queue: report.queue.clone(),
        tracking_url: Some(report.tracking_url.clone()).filter(|url| url.starts_with("http")),
    }
}

/// Why it is not running yet.
async fn wait(cluster: &Cluster, application: &Application, report: &AppReport) -> Option<String> {
    if Timestamp::now().as_millisecond() - report.started_ms < PATIENCE_MS || report.state.is_over() {
        return None;
    }
    let manager = application.resource_manager().ok()?;
    let (queues, nodes) = futures_util::future::join(manager.queues(), manager.nodes()).await;
    let node_label = cluster.plan().ok().and_then(|plan| plan.conf.get(NODE_LABEL).cloned());
    let wanted = Wanted { size: application.master_size(), node_label };
    let nodes = nodes.ok();
    let wait = Wait::of(report, &wanted, &queues.unwrap_or_default(), nodes.as_deref());
    Some(format!("{} waits: {wait}", report.id))
}

/// The front is all there is to ask.
async fn without_resource_manager(cluster: &Cluster, last: &Status, error: &RmError) -> Status {
    if let Some(url) = &last.rest_url
        && let Ok(Some(told)) = ask(url, cluster, last).await
    {
        return Status { yarn: last.yarn.clone(), ..told };
    }
    silent(last, &error.to_string())
}

/// What a status is worth that cannot be had anew.
fn silent(last: &Status, why: &str) -> Status {
    let state = match last.state {
        ClusterState::Starting => ClusterState::Starting,
        ClusterState::Stopping => ClusterState::Stopping,
        _ => ClusterState::Degraded,
    };
    Status { state, reason: Some(why.into()), ..last.clone() }
}

/// What the ResourceManager's report makes of the last status, while no master serves.
fn fold(last: &Status, report: &AppReport) -> Status {
    let words = words(report);
    match (report.state, report.final_status) {
        (AppState::Finished, FinalStatus::Succeeded | FinalStatus::Ended | FinalStatus::Killed) => {
            let reason = (!report.diagnostics.is_empty()).then_some(words);
            Status { reason, ..over(last, ClusterState::Stopped, String::new()) }
        }
        (AppState::Finished | AppState::Failed | AppState::Killed, _) => {
            over(last, ClusterState::Failed, words + &kept(last))
        }
        _ if last.agent.is_some() => silent(last, "YARN is starting its ApplicationMaster again"),
        _ => Status { state: ClusterState::Starting, reason: None, ..last.clone() },
    }
}

/// High availability outlives a cluster that did not end well.
fn kept(last: &Status) -> String {
    let ha = last.ha.as_ref().filter(|_| last.state != ClusterState::Starting);
    let Some(ha) = ha else { return String::new() };
    format!("; its jobs are kept: `kobel start` with `-z {}` goes on with them", ha.cluster_id)
}

/// What a ResourceManager that was started anew puts before the words of a master, without so much as a blank
/// (`RMAppAttemptImpl`).
const RECOVERED: &str = "Attempt recovered after RM restart";

/// The ResourceManager's words, on one line.
fn words(report: &AppReport) -> String {
    let words = one_line(report.diagnostics.trim_start_matches(RECOVERED));
    match (report.state, words.is_empty()) {
        (_, false) => words,
        (AppState::Killed, true) => "its application was killed".into(),
        (_, true) => "YARN does not say why".into(),
    }
}

/// Nothing of it runs any more.
pub(super) fn over(last: &Status, state: ClusterState, reason: String) -> Status {
    let mut status = Status { state, reason: Some(reason), agent: None, rest_url: None, ..last.clone() };
    status.masters.clear();
    status.task_managers.running = 0;
    status.task_managers.list.clear();
    status.slots = Default::default();
    status.jobs.running = 0;
    status
}

#[cfg(test)]
mod tests;
