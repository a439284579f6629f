//! The cluster on one page: rendered here, no script, links relative so that it works behind a
//! proxy that moves it (YARN's).

use std::fmt::Write;

use axum::{
    extract::State,
    response::{Html, IntoResponse, Response},
};
use kobel_plan::{ClusterEvent, Status};

use crate::{handle::Handle, record::last_events};

/// So many events are shown.
const EVENTS: usize = 20;

const HEAD: &str = r#"<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta http-equiv="refresh" content="3">
<style>
:root { color-scheme: light dark; --line: #8884; --dim: #888; --ok: #2a8; --bad: #d54; --busy: #c92 }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.4rem; margin: 0 } h2 { font-size: 1rem; margin: 2rem 0 .3rem }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .25rem .8rem .25rem 0 }
tr + tr { border-top: 1px solid var(--line) } th { color: var(--dim); font-weight: normal }
code, td { font-variant-numeric: tabular-nums } .dim { color: var(--dim) }
.state { border-radius: 1em; padding: .1em .7em; color: #fff; font-size: .85rem; vertical-align: middle }
.Ready { background: var(--ok) } .Starting, .Stopping, .Degraded { background: var(--busy) }
.Failed { background: var(--bad) } .Stopped { background: var(--dim) }
</style>"#;

/// GET `/kobel/`.
pub(super) async fn page(State(handle): State<Handle>) -> Response {
    let events = tokio::fs::read_to_string(&handle.events).await.unwrap_or_default();
    let status = handle.status.borrow().clone();
    Html(render(&status, &last_events(&events, EVENTS))).into_response()
}

fn render(status: &Status, events: &[ClusterEvent]) -> String {
    let mut html = String::from(HEAD);
    let (name, state) = (&status.name, status.state);
    let reason = escape(status.reason.as_deref().unwrap_or_default());
    // Writing into a String cannot fail.
    let _ = write!(
        html,
        "<title>{name} · kobel</title></head><body>\n<h1>{name} <span class=\"state {state}\">{state}</span></h1>\n\
         <p>{reason}</p>\n<p><a href=\"../\">Flink's web UI</a> · <a href=\"v1/status\">status</a> · \
         <a href=\"v1/events\">events</a></p>\n"
    );
    html += &section("Cluster", &facts(status));
    html += &section("Processes", &processes(status));
    html += &section("Events", &timeline(events));
    html + "</body></html>\n"
}

fn section(title: &str, rows: &str) -> String {
    format!("<h2>{title}</h2>\n<table>\n{rows}</table>\n")
}

fn facts(status: &Status) -> String {
    let (slots, jobs, tms) = (status.slots, status.jobs, &status.task_managers);
    let rows = [
        ("Flink", format!("{} on {}", status.flink_version, status.provider)),
        ("TaskManagers", format!("{} of {} registered", tms.running, tms.wanted)),
        ("Slots", format!("{} of {} free", slots.free, slots.total)),
        (
            "Jobs",
            format!(
                "{} running · {} finished · {} failed · {} canceled",
                jobs.running, jobs.finished, jobs.failed, jobs.canceled
            ),
        ),
        ("Failovers", status.failovers.to_string()),
        ("Started", status.started_at.strftime("%F %T UTC").to_string()),
        ("Logs", status.log_dir.display().to_string()),
    ];
    rows.iter().map(|(name, value)| format!("<tr><th>{name}</th><td>{}</td></tr>\n", escape(value))).collect()
}

fn processes(status: &Status) -> String {
    let row = |id: &dyn std::fmt::Display, host: &str, pid: Option<u32>, note: &str| {
        let pid = pid.map(|pid| pid.to_string()).unwrap_or_default();
        format!(
            "<tr><td>{id}</td><td>{}</td><td>{pid}</td><td class=\"dim\">{note}</td></tr>\n",
            escape(host)
        )
    };
    let masters =
        status.masters.iter().map(|jm| row(&jm.id, &jm.host, jm.pid, if jm.leader { "leads" } else { "" }));
    let workers = status.task_managers.list.iter().map(|tm| row(&tm.id, &tm.host, tm.pid, ""));
    let agent = status.agent.iter().map(|agent| row(&"agent", &agent.host, Some(agent.pid), ""));
    masters.chain(workers).chain(agent).collect()
}

fn timeline(events: &[ClusterEvent]) -> String {
    let row = |event: &ClusterEvent| {
        let at = event.at.strftime("%T");
        let worker = event.worker.map(|id| id.to_string()).unwrap_or_default();
        format!("<tr><td class=\"dim\">{at}</td><td>{worker}</td><td>{}</td></tr>\n", escape(&event.message))
    };
    events.iter().rev().map(row).collect()
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use kobel_plan::EventKind;
    use proptest::prelude::*;

    use super::*;
    use crate::{record::Record, testing::plan};

    #[test]
    fn what_workers_say_is_never_markup() {
        let mut status = Record::of_agent(None, &plan(std::path::Path::new("/x")), 1).status;
        status.reason = Some("<script>alert(1)</script>".into());
        let event = ClusterEvent {
            at: Timestamp::UNIX_EPOCH,
            kind: EventKind::WorkerExited,
            worker: None,
            message: "<img src=x onerror='x'>".into(),
        };
        let html = render(&status, &[event]);
        assert!(!html.contains("<script>") && !html.contains("<img"), "{html}");
        assert!(html.contains("href=\"../\"") && !html.contains("href=\"/"), "links are relative");
    }

    proptest! {
        #[test]
        fn escaped_text_holds_no_markup(text in ".*") {
            prop_assert!(!escape(&text).contains(['<', '>', '"', '\'']));
        }
    }
}
