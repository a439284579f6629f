//! `kobel flink list`: a row per installed Flink.

use kobel_plan::FlinkHome;
use kobel_session::dist::Installed;

use super::{Table, View};

/// What is installed.
pub(crate) struct Distributions {
    pub(crate) list: Vec<Installed>,
}

impl View for Distributions {
    type Document = [Installed];

    fn document(&self) -> &[Installed] {
        &self.list
    }

    fn table(&self, wide: bool) -> String {
        let mut headers = vec!["VERSION", "SIZE", "FROM", "HOME"];
        if wide {
            headers.push("INSTALLED");
        }
        let mut table = Table::new(&headers);
        for flink in &self.list {
            let mut cells = vec![
                flink.version.to_string(),
                format!("{} MB", flink.size / 1_000_000),
                flink.source.to_string(),
                flink.home.display().to_string(),
            ];
            if wide {
                cells.push(flink.installed_at.map(|at| format!("{at:.0}")).unwrap_or_default());
            }
            table.row(cells);
        }
        table.text()
    }

    fn names(&self) -> Vec<String> {
        self.list.iter().map(|flink| flink.version.to_string()).collect()
    }
}

/// `kobel flink which`: the Flink that would run.
pub(crate) struct Which {
    pub(crate) flink: FlinkHome,
}

impl View for Which {
    type Document = FlinkHome;

    fn document(&self) -> &FlinkHome {
        &self.flink
    }

    /// The directory alone, so that a script can use it as it is.
    fn table(&self, wide: bool) -> String {
        let home = self.flink.home.display();
        if wide { format!("{home} ({})\n", self.flink.version) } else { format!("{home}\n") }
    }

    fn names(&self) -> Vec<String> {
        vec![self.flink.version.to_string()]
    }
}
