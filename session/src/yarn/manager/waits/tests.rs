use kobel_hadoop_rpc::yarn::{FinalStatus, LogStatus, NodeId};

use super::*;

fn report(state: AppState, diagnostics: &str) -> AppReport {
    AppReport {
        id: "application_1_0001".parse().unwrap(),
        user: "alice".into(),
        queue: "default".into(),
        name: String::new(),
        kind: String::new(),
        tags: Vec::new(),
        state,
        final_status: FinalStatus::Undefined,
        diagnostics: diagnostics.into(),
        tracking_url: String::new(),
        attempt: None,
        master: None,
        progress: None,
        started_ms: 0,
        finished_ms: None,
        logs: LogStatus::Other,
        master_token: None,
    }
}

fn waiting(diagnostics: &str) -> AppReport {
    report(AppState::Accepted, diagnostics)
}

fn node(state: NodeState, capacity: i64, used: i64, label: &str) -> NodeReport {
    NodeReport {
        node: NodeId { host: "n".into(), port: 1 },
        http_address: String::new(),
        rack: String::new(),
        state,
        used: Resource::new(used, 1),
        capacity: Resource::new(capacity, 8),
        containers: 0,
        labels: if label.is_empty() { Vec::new() } else { vec![label.into()] },
        health: String::new(),
    }
}

fn queue(used: i64, max_percent: f32) -> QueueUse {
    QueueUse {
        path: "root.default".into(),
        state: QueueState::Running,
        used: Resource::new(used, 1),
        max_percent: Some(max_percent),
        max: None,
        masters: Some(Resource::new(1024, 1)),
        masters_max: Some(Resource::new(1536, 1)),
        pending: 1,
    }
}

fn wants(memory: i64) -> Wanted {
    Wanted { size: Resource::new(memory, 1), node_label: None }
}

fn why(report: &AppReport, wanted: &Wanted, queues: &[QueueUse], nodes: &[NodeReport]) -> String {
    Wait::of(report, wanted, queues, Some(nodes)).to_string()
}

#[test]
fn the_state_comes_first() {
    let nodes = [node(NodeState::Running, 8192, 0, "")];
    let submitted = report(AppState::Submitted, "");
    assert_eq!(why(&submitted, &wants(1), &[], &[]), "the ResourceManager has not looked at it yet");
    let starting =
        waiting("[Sat Nov 21 11:00:00 +0000 2026] AM container is launched, waiting for AM to register");
    assert_eq!(why(&starting, &wants(1), &[], &nodes), "its ApplicationMaster is starting");
}

#[test]
fn missing_nodes_are_told() {
    let running = node(NodeState::Running, 8192, 0, "");
    let lost = node(NodeState::Lost, 8192, 0, "");
    let report = waiting("");
    assert_eq!(why(&report, &wants(1), &[], &[]), "the cluster has no node");
    let all_lost = [lost.clone(), lost];
    assert_eq!(why(&report, &wants(1), &[], &all_lost), "none of the cluster's 2 nodes is running");
    let labelled = Wanted { node_label: Some("gpu".into()), ..wants(1) };
    let nodes = [running, node(NodeState::Lost, 8192, 0, "gpu")];
    assert_eq!(why(&report, &labelled, &[], &nodes), "no running node has the label gpu");
    assert_eq!(
        why(&report, &wants(9000), &[], &nodes),
        "it wants 9000 MiB and 1 core, and the largest node has 8192 MiB and 8 cores"
    );
}

#[test]
fn queues_are_told() {
    let nodes = [node(NodeState::Running, 8192, 0, ""), node(NodeState::Running, 8192, 0, "")];
    let share = waiting(
        "[Sat Nov 21 11:00:00 +0000 2026] Application is added to the scheduler and is not yet activated. \
         Queue's AM resource limit exceeded.  Details : AM Partition = <DEFAULT_PARTITION>; x",
    );
    assert_eq!(
        why(&share, &wants(1024), &[queue(1024, 100.0)], &nodes),
        "queue root.default gives ApplicationMasters 1536 MiB and they use 1024 MiB"
    );
    assert_eq!(
        why(&share, &wants(1024), &[], &nodes),
        "queue default gives ApplicationMasters no more than they use"
    );
    let user = waiting("Application is added. User's AM resource limit exceeded.");
    assert_eq!(
        why(&user, &wants(1024), &[queue(1024, 100.0)], &nodes),
        "queue root.default gives this user's ApplicationMasters no more than they use"
    );
    assert_eq!(
        why(&waiting(""), &wants(1024), &[queue(8000, 50.0)], &nodes),
        "queue root.default is full: it uses 8000 of 8192 MiB"
    );
    let stopped = QueueUse { state: QueueState::Stopped, ..queue(0, 50.0) };
    assert_eq!(
        why(&waiting(""), &wants(1024), &[stopped], &nodes),
        "queue root.default is STOPPED and starts nothing"
    );
}

#[test]
fn a_master_that_runs_is_past_the_share_of_masters() {
    let nodes = [node(NodeState::Running, 8192, 8000, "")];
    let running = report(AppState::Running, "Queue's AM resource limit exceeded.");
    assert_eq!(
        why(&running, &wants(1024), &[queue(1024, 100.0)], &nodes),
        "the nodes are full: it wants 1024 MiB, and the most that one has left is 192 MiB"
    );
}

#[test]
fn what_nothing_explains_is_told_in_yarns_words() {
    let nodes = [node(NodeState::Running, 8192, 0, "")];
    let report = waiting("[Sat Nov 21 2026] Reserved elsewhere.  Details : a ; b");
    assert_eq!(why(&report, &wants(1), &[], &nodes), "YARN says: Reserved elsewhere.");
    assert_eq!(Wait::of(&waiting(""), &wants(1), &[], None), Wait::Unknown);
}
