//! Tables without borders, as kubectl draws them.

use comfy_table::presets::NOTHING;
use jiff::{SignedDuration, Timestamp};

use crate::failure::printable;

/// Rows below a line of headers; what does not fit the terminal is left to it, so that a line stays
/// a line for `grep`.
#[derive(Debug)]
pub(crate) struct Table(comfy_table::Table);

impl Table {
    /// A table with these columns.
    pub(crate) fn new(headers: &[&str]) -> Self {
        let mut table = comfy_table::Table::new();
        table.load_style(NOTHING).set_header(headers.iter().copied());
        Self(table)
    }

    /// Adds a row; an empty cell shows `-`, so that columns can be counted.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells = cells.into_iter().map(|cell| match printable(&cell) {
            empty if empty.trim().is_empty() => "-".into(),
            text => text,
        });
        self.0.add_row(cells.collect::<Vec<_>>());
    }

    /// The text, a newline after each line.
    pub(crate) fn text(&mut self) -> String {
        for column in self.0.column_iter_mut() {
            column.set_padding((0, 2));
        }
        self.0.lines().map(|line| format!("{}\n", line.trim_end())).collect()
    }
}

/// How long ago, in its largest unit: `45s`, `12m`, `3h`, `6d`.
pub(crate) fn age(since: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(since).max(SignedDuration::ZERO).as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_nothing_draws_over_them() {
        let mut table = Table::new(&["NAME", "STATE"]);
        table.row(["a-long-name".into(), "Ready\u{1b}[2J".into()]);
        table.row(["b".into(), String::new()]);
        assert_eq!(table.text(), "NAME         STATE\na-long-name  Ready\u{fffd}[2J\nb            -\n");
    }

    #[test]
    fn ages_are_told_in_their_largest_unit() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        for (seconds, text) in [(-5, "0s"), (59, "59s"), (720, "12m"), (7199, "1h"), (600_000, "6d")] {
            assert_eq!(age(now - SignedDuration::from_secs(seconds), now), text);
        }
    }
}
