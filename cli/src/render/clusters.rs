//! `kobel ps`: a row per cluster.

use jiff::Timestamp;
use kobel_plan::{Status, status::Jobs};

use super::{Table, View, age};

/// All clusters, as they stand at `now`.
pub(crate) struct Clusters {
    pub(crate) list: Vec<Status>,
    pub(crate) now: Timestamp,
}

impl View for Clusters {
    type Document = [Status];

    fn document(&self) -> &[Status] {
        &self.list
    }

    fn table(&self, wide: bool) -> String {
        let mut headers =
            vec!["NAME", "ON", "FLINK", "STATE", "LEADER", "TM", "SLOTS", "JOBS", "FAILOVERS", "AGE"];
        if wide {
            headers.extend(["AGENT", "LOGS", "REASON"]);
        }
        let mut table = Table::new(&headers);
        for status in &self.list {
            let mut cells = self.row(status).to_vec();
            if wide {
                cells.push(status.agent.as_ref().map(|agent| agent.pid.to_string()).unwrap_or_default());
                cells.push(status.log_dir.display().to_string());
                cells.push(status.reason.clone().unwrap_or_default());
            }
            table.row(cells);
        }
        table.text()
    }

    fn names(&self) -> Vec<String> {
        self.list.iter().map(|status| status.name.to_string()).collect()
    }
}

impl Clusters {
    fn row(&self, status: &Status) -> [String; 10] {
        let front = status.rest_url.as_deref().unwrap_or_default();
        let address = front.split_once("://").map_or(front, |(_, address)| address);
        let tms = &status.task_managers;
        [
            status.name.to_string(),
            status.provider.to_string(),
            status.flink_version.clone(),
            status.state.to_string(),
            address.trim_end_matches('/').to_string(),
            format!("{}/{}", tms.running, tms.wanted),
            format!("{}/{}", status.slots.free, status.slots.total),
            jobs(&status.jobs),
            status.failovers.to_string(),
            age(status.started_at, self.now),
        ]
    }
}

/// The counts that are not zero: `3 running 1 failed`.
pub(super) fn jobs(jobs: &Jobs) -> String {
    let counts = [
        (jobs.running, "running"),
        (jobs.finished, "finished"),
        (jobs.failed, "failed"),
        (jobs.canceled, "canceled"),
    ];
    let told = counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}"));
    told.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::{json, status::tests::ready, yaml};

    fn view() -> Clusters {
        let mut starting = ready();
        starting.name = "etl".parse().unwrap();
        starting.rest_url = None;
        starting.jobs = Jobs::default();
        starting.agent = None;
        starting.reason = Some("its agent is gone".into());
        Clusters { list: vec![ready(), starting], now: "2026-11-21T12:12:30Z".parse().unwrap() }
    }

    #[test]
    fn a_row_per_cluster() {
        insta::assert_snapshot!(view().table(false));
    }

    #[test]
    fn wide_has_more_columns() {
        insta::assert_snapshot!(view().table(true));
    }

    #[test]
    fn json_is_the_list_of_statuses() {
        insta::assert_snapshot!(json(view().document()).unwrap());
    }

    #[test]
    fn yaml_has_the_same_fields() {
        let text = yaml(&view().document()[..1]).unwrap();
        let back: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(back, serde_json::to_value(&view().list[..1]).unwrap(), "{text}");
    }
}
