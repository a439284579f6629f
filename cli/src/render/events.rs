//! `kobel events`: a line per event.

use std::fmt::Write;

use kobel_plan::ClusterEvent;

use super::View;
use crate::failure::printable;

/// A timeline, or a part of one.
pub(crate) struct Events {
    pub(crate) list: Vec<ClusterEvent>,
}

impl Events {
    /// The events alone. Columns are as wide as the longest word they can hold, so that lines that
    /// come one by one stand below each other.
    pub(crate) fn lines(&self) -> String {
        let mut text = String::new();
        for event in &self.list {
            let worker = event.worker.map_or("-".into(), |id| id.to_string());
            let message = printable(&event.message);
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{:.3}  {:<17}  {worker:<6}  {message}", event.at, kind(event));
        }
        text
    }
}

impl View for Events {
    type Document = [ClusterEvent];

    fn document(&self) -> &[ClusterEvent] {
        &self.list
    }

    fn table(&self, _wide: bool) -> String {
        format!("{:<24}  {:<17}  {:<6}  MESSAGE\n{}", "TIME", "EVENT", "WORKER", self.lines())
    }

    fn names(&self) -> Vec<String> {
        self.list.iter().map(kind).collect()
    }
}

/// The word that JSON has for it.
fn kind(event: &ClusterEvent) -> String {
    serde_json::to_value(event.kind)
        .ok()
        .and_then(|kind| Some(kind.as_str()?.to_string()))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kobel_plan::{EventKind, WorkerId};

    #[test]
    fn events_stand_below_each_other_and_draw_nothing() {
        let event = |at: &str, kind, worker, message: &str| ClusterEvent {
            at: at.parse().unwrap(),
            kind,
            worker,
            message: message.into(),
        };
        let list = vec![
            event("2026-11-21T12:00:00Z", EventKind::AgentStarted, None, "agent 4710 took charge"),
            event(
                "2026-11-21T12:00:01.234567Z",
                EventKind::WorkerExited,
                Some(WorkerId::tm(12)),
                "tm-12.1\u{1b}[2J died",
            ),
        ];
        insta::assert_snapshot!(Events { list }.table(false));
    }
}
