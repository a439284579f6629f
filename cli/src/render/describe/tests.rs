use kobel_plan::{Attempt, EventKind, WorkerId};
use kobel_session::registry::{LastExit, Process};
use serde_json::json;

use super::*;
use crate::render::{json, status::tests::ready};

/// A plan as `plan.json` has it.
pub(crate) fn plan() -> ClusterPlan {
    let role = |heap: &str, key: &str| json!({ "processBytes": 1_811_939_328_u64, "jvmArgs": ["-Xmx1g"], "env": {}, "conf": { key: heap } });
    serde_json::from_value(json!({
        "apiVersion": kobel_plan::API_VERSION,
        "name": "default",
        "kind": "session",
        "provider": "local",
        "flink": { "home": "/opt/flink", "version": "1.20.5", "class_path": ["/opt/flink/lib/flink-dist-1.20.5.jar"] },
        "java": { "home": "/opt/java", "version": 17 },
        "wanted": { "jobManagers": 1, "taskManagers": 2 },
        "conf": { "taskmanager.numberOfTaskSlots": "2" },
        "dialect": "standard",
        "jobManager": role("1073741824b", "jobmanager.memory.heap.size"),
        "taskManager": role("402653174b", "taskmanager.memory.task.heap.size"),
        "loggingConfDir": "/opt/flink/conf",
        "logDir": "/c/default/log",
        "front": { "bind": "localhost", "address": "localhost", "port": { "prefer": 8081 } },
        "rpcAddress": "localhost",
        "rpcPort": "free",
    }))
    .unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn description() -> Description {
    let setting = |key: &str, value: &str, origin: &str| Setting {
        key: key.into(),
        value: value.into(),
        origin: origin.into(),
    };
    let process = |pid| Process {
        host: "localhost".into(),
        pid: Some(pid),
        container: None,
        since: Some(at("2026-11-21T12:10:00Z")),
    };
    let exit = LastExit {
        at: at("2026-11-21T12:09:58Z"),
        attempt: Attempt::FIRST,
        cause: "killed by signal 9".into(),
    };
    let event = |n: i64| ClusterEvent {
        at: at("2026-11-21T12:00:00Z") + jiff::SignedDuration::from_secs(n),
        kind: EventKind::WorkerRunning,
        worker: Some(WorkerId::tm(0)),
        message: format!("tm-0.{n} runs"),
    };
    let place = |what: &str, path: &str| Place { what: what.into(), path: path.into() };
    Description {
        status: ready(),
        plan: plan(),
        workers: vec![
            WorkerHistory {
                id: WorkerId::jm(0),
                attempt: Attempt::FIRST,
                restarts: 0,
                process: Some(process(4711)),
                last_exit: None,
            },
            WorkerHistory {
                id: WorkerId::tm(0),
                attempt: Attempt::FIRST.next(),
                restarts: 1,
                process: Some(process(4712)),
                last_exit: Some(exit),
            },
        ],
        jobs: vec![JobRow {
            id: "00ff10203040506070809000a0b0c0d0".parse().unwrap(),
            name: "WordCount".into(),
            state: "RUNNING".into(),
            started_at: Some(at("2026-11-21T12:12:00Z")),
            ended_at: None,
            duration_ms: 30_000,
            tasks: 5,
            tasks_running: 5,
            tasks_finished: 0,
        }],
        settings: vec![
            setting("heartbeat.interval", "2000", "kobel: a quick recovery"),
            setting("jobmanager.rpc.port", "23456", "kobel: a free port"),
            setting("rest.port", "18082", "kobel: a free port"),
            setting("taskmanager.memory.process.size", "1728m", "/opt/flink/conf/config.yaml:30"),
            setting("taskmanager.numberOfTaskSlots", "2", "--slots"),
        ],
        events: (1..=12).map(event).collect(),
        files: Places(vec![
            place("directory", "/c/default"),
            place("jm-0.1's log", "/c/default/log/jm-0.1.log"),
        ]),
        now: at("2026-11-21T12:12:30Z"),
    }
}

#[test]
fn a_cluster_with_all_that_is_known_of_it() {
    insta::assert_snapshot!(description().table(false));
}

#[test]
fn wide_leaves_nothing_out() {
    let text = description().table(true);
    for told in ["tm-0.1 runs", "heartbeat.interval"] {
        assert!(text.contains(told) && !description().table(false).contains(told), "{told}:\n{text}");
    }
}

#[test]
fn json_has_the_fields_of_the_status_and_more() {
    let told: serde_json::Value = serde_json::from_str(&json(description().document()).unwrap()).unwrap();
    let status = serde_json::to_value(ready()).unwrap();
    for (key, value) in status.as_object().unwrap() {
        assert_eq!(&told[key], value, "{key}");
    }
    let more: Vec<_> = told.as_object().unwrap().keys().filter(|key| status.get(key).is_none()).collect();
    assert_eq!(more, ["events", "files", "jobList", "plan", "settings", "workers"]);
    assert_eq!(told["workers"][1]["lastExit"]["cause"], "killed by signal 9");
    assert_eq!(told["files"][0]["path"], "/c/default");
}

#[test]
fn a_cluster_that_never_ran_is_described_too() {
    let mut description = description();
    description.status = Status::starting(&plan(), at("2026-11-21T12:12:00Z"));
    (description.workers, description.jobs, description.events) = Default::default();
    description.settings.clear();
    let text = description.table(false);
    assert!(text.contains("State:         Starting, started 30s ago"), "{text}");
    assert!(!text.contains("Jobs:\n"), "{text}");
}
