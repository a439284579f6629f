//! `kobel doctor`: a row per check.

use kobel_session::doctor::{Check, Verdict};

use super::{Table, View};

/// What was looked at.
pub(crate) struct Checks {
    pub(crate) list: Vec<Check>,
}

impl View for Checks {
    type Document = [Check];

    fn document(&self) -> &[Check] {
        &self.list
    }

    fn table(&self, _wide: bool) -> String {
        let mut table = Table::new(&["CHECK", "RESULT", "FOUND", "MEND"]);
        for check in &self.list {
            let verdict = match check.verdict {
                Verdict::Ok => "ok",
                Verdict::Warn => "warning",
                Verdict::Fail => "FAILED",
            };
            let mend = check.mend.clone().unwrap_or_default();
            table.row([check.name.into(), verdict.into(), check.found.clone(), mend]);
        }
        table.text()
    }

    /// Of what is wrong.
    fn names(&self) -> Vec<String> {
        let wrong = self.list.iter().filter(|check| check.verdict == Verdict::Fail);
        wrong.map(|check| check.name.to_string()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_per_check() {
        let check = |name, verdict, found: &str, mend: Option<&str>| Check {
            name,
            verdict,
            found: found.into(),
            mend: mend.map(str::to_string),
        };
        let list = vec![
            check("flink", Verdict::Fail, "no Flink is installed", Some("kobel flink install 1.20.5")),
            check("port", Verdict::Warn, "8081 is taken", None),
            check("hadoop", Verdict::Ok, "no variable of Hadoop's is set", None),
        ];
        let checks = Checks { list };
        insta::assert_snapshot!(checks.table(false));
        assert_eq!(checks.names(), ["flink"]);
    }
}
