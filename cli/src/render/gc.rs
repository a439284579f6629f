//! `kobel gc`: a row per leftover.

use kobel_session::gc::{Kind, Leftover};

use super::{Table, View};

/// What nobody uses.
pub(crate) struct Leftovers {
    pub(crate) list: Vec<Leftover>,
}

impl View for Leftovers {
    type Document = [Leftover];

    fn document(&self) -> &[Leftover] {
        &self.list
    }

    /// Nothing at all where there is nothing: the note on stderr says so.
    fn table(&self, wide: bool) -> String {
        if self.list.is_empty() {
            return String::new();
        }
        let mut headers = vec!["WHAT", "SIZE", "WHERE", "WHY"];
        if wide {
            headers.extend(["REMOVED", "ERROR"]);
        }
        let mut table = Table::new(&headers);
        for left in &self.list {
            let mut cells =
                vec![noun(left.kind).into(), size(left.bytes), left.location.clone(), left.why.clone()];
            if wide {
                cells.push(if left.removed { "yes" } else { "no" }.into());
                cells.push(left.error.clone().unwrap_or_default());
            } else if let (Some(error), Some(why)) = (&left.error, cells.last_mut()) {
                *why = format!("NOT REMOVED: {error}");
            }
            table.row(cells);
        }
        table.text()
    }

    fn names(&self) -> Vec<String> {
        self.list.iter().map(|left| left.location.clone()).collect()
    }
}

fn noun(kind: Kind) -> &'static str {
    match kind {
        Kind::Record => "ended cluster",
        Kind::Claim => "unused name",
        Kind::Removal => "half removal",
        Kind::WorkerDir => "worker directory",
        Kind::TempFile => "temporary file",
        Kind::Download => "half download",
        Kind::Installation => "half installation",
        Kind::Archive => "class archives",
        Kind::Training => "class training",
        Kind::Application => "application directory",
        Kind::Staged => "staged file",
        Kind::Upload => "half upload",
        Kind::Lease => "mark of use",
        Kind::History => "ended cluster",
    }
}

/// A size for people, in powers of ten as disks are sold.
pub(crate) fn size(bytes: u64) -> String {
    const KB: f64 = 1e3;
    let exact = bytes as f64;
    match bytes {
        0..1000 => format!("{bytes} B"),
        1000..1_000_000 => format!("{:.1} kB", exact / KB),
        1_000_000..1_000_000_000 => format!("{:.1} MB", exact / KB / KB),
        _ => format!("{:.1} GB", exact / KB / KB / KB),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> Leftovers {
        let left = |kind, location: &str, why: &str, error: Option<&str>| Leftover {
            kind,
            location: location.into(),
            bytes: 123_456_789,
            why: why.into(),
            removed: error.is_none(),
            error: error.map(str::to_string),
        };
        Leftovers {
            list: vec![
                left(Kind::Archive, "/cache/cds/00ff", "Flink /opt/flink is gone", None),
                left(Kind::Download, "/cache/flink/x.part", "it stopped", Some("permission denied")),
            ],
        }
    }

    #[test]
    fn a_row_per_leftover_with_why() {
        insta::assert_snapshot!(view().table(false));
    }

    #[test]
    fn wide_tells_what_became_of_it() {
        insta::assert_snapshot!(view().table(true));
    }

    #[test]
    fn json_has_every_fact() {
        insta::assert_snapshot!(crate::render::json(view().document()).unwrap());
    }

    #[test]
    fn sizes_have_the_unit_that_tells_something() {
        let told = [0, 999, 1000, 123_456_789, 2_500_000_000].map(size);
        assert_eq!(told, ["0 B", "999 B", "1.0 kB", "123.5 MB", "2.5 GB"]);
    }
}
