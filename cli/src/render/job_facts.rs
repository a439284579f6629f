//! One job: its operators, its exceptions, its checkpoints.

use std::fmt::Write;

use jiff::Timestamp;
use kobel_flink::rest::CheckpointCounts;
use kobel_plan::JobId;
use serde::Serialize;

use super::{Table, View, jobs::duration};
use crate::failure::printable;

/// A job and its operators.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JobStatus {
    pub(crate) id: JobId,
    pub(crate) name: String,
    /// As Flink writes it.
    pub(crate) state: String,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) duration_ms: i64,
    pub(crate) vertices: Vec<VertexRow>,
}

/// A chain of operators.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VertexRow {
    pub(crate) name: String,
    pub(crate) parallelism: i64,
    pub(crate) tasks: u32,
    pub(crate) tasks_running: u32,
    pub(crate) tasks_finished: u32,
    pub(crate) tasks_failed: u32,
}

impl View for JobStatus {
    type Document = Self;

    fn document(&self) -> &Self {
        self
    }

    fn table(&self, _wide: bool) -> String {
        let facts = [
            ("job", self.id.to_string()),
            ("name", printable(&self.name)),
            ("state", self.state.clone()),
            ("started", time(self.started_at)),
            ("ended", time(self.ended_at)),
            ("duration", duration(self.duration_ms)),
        ];
        let mut text = String::new();
        for (name, value) in facts.into_iter().filter(|(_, value)| !value.is_empty()) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name:>8}: {value}");
        }
        let mut table = Table::new(&["OPERATORS", "PARALLELISM", "RUNNING", "FINISHED", "FAILED"]);
        for vertex in &self.vertices {
            let of = |n: u32| format!("{n}/{}", vertex.tasks);
            table.row([
                vertex.name.clone(),
                vertex.parallelism.to_string(),
                of(vertex.tasks_running),
                of(vertex.tasks_finished),
                of(vertex.tasks_failed),
            ]);
        }
        text + "\n" + &table.text()
    }

    fn names(&self) -> Vec<String> {
        vec![self.id.to_string()]
    }
}

/// Something that failed a job or one of its tasks.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExceptionRow {
    pub(crate) at: Option<Timestamp>,
    /// The innermost cause.
    pub(crate) root_cause: String,
    pub(crate) task: Option<String>,
    pub(crate) task_manager: Option<String>,
    /// Java's trace.
    pub(crate) trace: String,
}

/// What failed a job, the newest first.
pub(crate) struct Exceptions {
    pub(crate) list: Vec<ExceptionRow>,
    /// Whether tables have Java's traces.
    pub(crate) traces: bool,
}

impl View for Exceptions {
    type Document = [ExceptionRow];

    fn document(&self) -> &[ExceptionRow] {
        &self.list
    }

    fn table(&self, wide: bool) -> String {
        let mut text = String::new();
        for found in &self.list {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}", printable(&found.root_cause));
            let task = found.task.as_deref().unwrap_or("the whole job");
            let host = found.task_manager.as_deref().map(|tm| format!(" on {tm}")).unwrap_or_default();
            let _ = writeln!(text, "  {}  {}{}", time(found.at), printable(task), printable(&host));
            for line in found.trace.lines().filter(|_| self.traces || wide) {
                let _ = writeln!(text, "  | {}", printable(line));
            }
        }
        text
    }

    fn names(&self) -> Vec<String> {
        self.list.iter().map(|found| printable(&found.root_cause)).collect()
    }
}

/// A checkpoint or savepoint.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CheckpointRow {
    pub(crate) id: i64,
    /// `checkpoint` or `savepoint`.
    pub(crate) kind: &'static str,
    /// As Flink writes it.
    pub(crate) state: String,
    pub(crate) triggered_at: Option<Timestamp>,
    pub(crate) duration_ms: i64,
    pub(crate) size_bytes: i64,
    pub(crate) path: Option<String>,
    pub(crate) failure: Option<String>,
}

/// A job's checkpoints, the newest first.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Checkpoints {
    pub(crate) counts: CheckpointCounts,
    pub(crate) history: Vec<CheckpointRow>,
}

impl View for Checkpoints {
    type Document = Self;

    fn document(&self) -> &Self {
        self
    }

    fn table(&self, wide: bool) -> String {
        let mut headers = vec!["ID", "KIND", "STATE", "TRIGGERED", "DURATION", "BYTES", "PATH"];
        if wide {
            headers.push("WHY NOT");
        }
        let mut table = Table::new(&headers);
        for found in &self.history {
            let mut cells = vec![
                found.id.to_string(),
                found.kind.to_string(),
                found.state.clone(),
                time(found.triggered_at),
                duration(found.duration_ms),
                found.size_bytes.max(0).to_string(),
                found.path.clone().unwrap_or_default(),
            ];
            if wide {
                cells.push(found.failure.clone().unwrap_or_default());
            }
            table.row(cells);
        }
        table.text()
    }

    fn names(&self) -> Vec<String> {
        self.history.iter().filter_map(|found| found.path.clone()).collect()
    }
}

fn time(at: Option<Timestamp>) -> String {
    at.map(|at| format!("{at:.0}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> Option<Timestamp> {
        Some("2026-11-21T12:00:00.123Z".parse().unwrap())
    }

    #[test]
    fn a_job_with_its_operators() {
        let vertex = VertexRow {
            name: "Source -> Map".into(),
            parallelism: 2,
            tasks: 2,
            tasks_running: 1,
            tasks_finished: 0,
            tasks_failed: 1,
        };
        let job = JobStatus {
            id: "00ff10203040506070809000a0b0c0d0".parse().unwrap(),
            name: "etl".into(),
            state: "RUNNING".into(),
            started_at: at(),
            ended_at: None,
            duration_ms: 12_345,
            vertices: vec![vertex],
        };
        insta::assert_snapshot!(job.table(false));
    }

    #[test]
    fn what_it_began_with_comes_first_and_traces_when_asked_for() {
        let found = ExceptionRow {
            at: at(),
            root_cause: "java.io.IOException: no disk".into(),
            task: Some("Map (1/2) - execution #0".into()),
            task_manager: Some("tm-0.1".into()),
            trace: "a.B: x\n\tat y\nCaused by: java.io.IOException: no disk\n".into(),
        };
        let view = |traces| Exceptions { list: vec![found.clone()], traces };
        insta::assert_snapshot!(view(true).table(false));
        assert_eq!(view(false).table(false).lines().count(), 2);
    }

    #[test]
    fn checkpoints_with_where_they_are() {
        let row = |id, kind, path: Option<&str>| CheckpointRow {
            id,
            kind,
            state: if path.is_some() { "COMPLETED" } else { "FAILED" }.into(),
            triggered_at: at(),
            duration_ms: 85,
            size_bytes: 4096,
            path: path.map(str::to_string),
            failure: path.is_none().then(|| "expired".into()),
        };
        let history = vec![row(2, "savepoint", Some("file:/s/savepoint-1")), row(1, "checkpoint", None)];
        let view = Checkpoints { counts: CheckpointCounts::default(), history };
        insta::assert_snapshot!(view.table(true));
        assert_eq!(view.names(), ["file:/s/savepoint-1"]);
    }
}
