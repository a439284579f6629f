//! Rows 3 and 4: processes of a session are killed.

use std::{collections::BTreeSet, time::Instant};

use kobel_kit::{Flink, wait};
use serde_json::Value;

use super::{SOON, Session, gone, kill, lab, processes, shared};

#[test]
fn a_session_outlives_its_processes() {
    let (Some(flink), Some((_turn, cluster))) = (Flink::v1(), shared()) else { return };
    let lab = lab(&cluster, "killed", &flink);
    let session = Session::start(&cluster, &lab, &["--tm", "1"]);
    // A new master must know of this.
    lab.kobel(&["scale", "wc", "--tm", "2"]).ok();
    task_managers_killed(&session);
    only_the_jobmanager_killed(&session);
    for both in [false, true] {
        master_killed(&session, both);
    }
    let events = lab.kobel(&["events", "wc"]).ok().stdout;
    assert!(events.contains("scaled to"), "the former masters' timeline is carried on: {events}");
    session.stop();
}

fn task_managers_killed(session: &Session<'_>) {
    session.ready(2);
    // The JVM, and the process that YARN watches.
    for word in ["TaskManagerRunner", "kobel exec"] {
        let before = session.tms();
        let victim = processes(session.cluster, word)[0];
        kill("KILL", victim);
        let since = Instant::now();
        let after = wait::until("another is there", SOON, || {
            let now = session.tms();
            let new = now.iter().filter(|pid| !before.contains(pid)).count();
            if now.len() == 2 && new == 1 { Ok(now) } else { Err(format!("{before:?} {now:?}")) }
        });
        session.ready(2);
        println!(
            "row 3: a TaskManager ({word}) is replaced, and the session ready, after {:?}",
            since.elapsed()
        );
        assert_eq!(before.iter().filter(|pid| after.contains(pid)).count(), 1, "the other is the same");
        assert_eq!(session.held(), 3);
    }
}

fn only_the_jobmanager_killed(session: &Session<'_>) {
    let (before, tms, agent, jm) = (session.ready(2), session.tms(), session.agent(), session.jm());
    kill("KILL", jm);
    let since = Instant::now();
    gone(session.cluster, &[jm]);
    let after = ready_after_failover(session, &before);
    println!("row 4: only the JobManager killed: ready after {:?}", since.elapsed());
    assert_ne!(session.jm(), jm);
    assert_eq!((session.tms(), session.agent(), session.held()), (tms, agent, 3));
    same_session(&before, &after);
}

/// The master alone, its JobManager dying with it, or both at once.
fn master_killed(session: &Session<'_>, both: bool) {
    let (before, tms, agent, jm) = (session.ready(2), session.tms(), session.agent(), session.jm());
    let containers = session.held();
    let since = Instant::now();
    for pid in [Some(agent), both.then_some(jm)].into_iter().flatten() {
        kill("KILL", pid);
    }
    gone(session.cluster, &[jm]);
    let jm_gone = since.elapsed();
    assert_ne!(session.agent(), agent);
    let attempt = since.elapsed();
    gone(session.cluster, &tms);
    let tms_gone = since.elapsed();
    let after = ready_after_failover(session, &before);
    println!(
        "row 4: master killed{}: JobManager gone after {jm_gone:?}, next attempt there after {attempt:?}, old \
         TaskManagers gone after {tms_gone:?}, ready after {:?}",
        if both { " with its JobManager" } else { "" },
        since.elapsed()
    );
    assert!(session.tms().iter().all(|pid| !tms.contains(pid)));
    wait::until("as many containers as before", SOON, || match session.held() {
        now if now == containers => Ok(()),
        now => Err(format!("{now} of {containers}")),
    });
    same_session(&before, &after);
}

/// What is told before the master has heard of the end is that all is well.
fn ready_after_failover(session: &Session<'_>, before: &Value) -> Value {
    wait::until("another JobManager leads", SOON, || match session.status() {
        now if failovers(&now) > failovers(before) => Ok(()),
        now => Err(now.to_string()),
    });
    session.ready(2)
}

fn failovers(status: &Value) -> u64 {
    // Of a master that is gone, nothing may be known for a moment.
    status["failovers"].as_u64().unwrap_or_default()
}

/// A failover counts as one, and nothing else that is told of the session as a whole changes.
fn same_session(before: &Value, after: &Value) {
    assert_eq!(failovers(after), failovers(before) + 1);
    for field in ["startedAt", "name", "flinkVersion"] {
        assert_eq!(after[field], before[field], "{field}");
    }
    let ids = |status: &Value| -> BTreeSet<String> {
        let list = status["taskManagers"]["list"].as_array().unwrap();
        list.iter().map(|tm| tm["id"].to_string()).collect()
    };
    assert_eq!(ids(after), ids(before));
}
