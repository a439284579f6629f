//! `kobel job list`: a row per job.

use jiff::Timestamp;
use kobel_plan::JobId;
use serde::Serialize;

use super::{Table, View};

/// A job.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JobRow {
    pub(crate) id: JobId,
    pub(crate) name: String,
    /// As Flink writes it.
    pub(crate) state: String,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) duration_ms: i64,
    pub(crate) tasks: u32,
    pub(crate) tasks_running: u32,
    pub(crate) tasks_finished: u32,
}

/// The jobs of a session.
pub(crate) struct Jobs {
    pub(crate) list: Vec<JobRow>,
}

impl View for Jobs {
    type Document = [JobRow];

    fn document(&self) -> &[JobRow] {
        &self.list
    }

    fn table(&self, wide: bool) -> String {
        let mut headers = vec!["ID", "NAME", "STATE", "TASKS", "STARTED", "DURATION"];
        if wide {
            headers.push("ENDED");
        }
        let mut table = Table::new(&headers);
        for job in &self.list {
            let done = job.tasks_running + job.tasks_finished;
            let time = |at: Option<Timestamp>| at.map(|at| format!("{at:.0}")).unwrap_or_default();
            let mut cells = vec![
                job.id.to_string(),
                job.name.clone(),
                job.state.clone(),
                format!("{done}/{}", job.tasks),
                time(job.started_at),
                duration(job.duration_ms),
            ];
            if wide {
                cells.push(time(job.ended_at));
            }
            table.row(cells);
        }
        table.text()
    }

    fn names(&self) -> Vec<String> {
        self.list.iter().map(|job| job.id.to_string()).collect()
    }
}

/// A job's duration with the unit that tells something: `850ms`, `12.3s`, `5m`, `2h`.
pub(super) fn duration(millis: i64) -> String {
    match millis {
        ..0 => String::new(),
        0..1000 => format!("{millis}ms"),
        1000..60_000 => format!("{:.1}s", millis as f64 / 1000.0),
        60_000..3_600_000 => format!("{}m", millis / 60_000),
        _ => format!("{}h", millis / 3_600_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_per_job() {
        let job = JobRow {
            id: "00ff10203040506070809000a0b0c0d0".parse().unwrap(),
            name: "WordCount".into(),
            state: "FINISHED".into(),
            started_at: Some("2026-11-21T12:00:00.123Z".parse().unwrap()),
            ended_at: Some("2026-11-21T12:00:12Z".parse().unwrap()),
            duration_ms: 12_345,
            tasks: 5,
            tasks_running: 0,
            tasks_finished: 5,
        };
        insta::assert_snapshot!(Jobs { list: vec![job] }.table(true));
    }

    #[test]
    fn durations_have_the_unit_that_tells_something() {
        for (millis, text) in
            [(-1, ""), (850, "850ms"), (12_345, "12.3s"), (300_000, "5m"), (7_300_000, "2h")]
        {
            assert_eq!(duration(millis), text);
        }
    }
}
