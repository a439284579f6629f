//! `kobel config`: a row per key.

use serde::Serialize;

use super::{Table, View};

/// A key, its value, and where that came from.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ConfRow {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) origin: String,
}

/// A configuration.
pub(crate) struct ConfRows {
    pub(crate) list: Vec<ConfRow>,
}

impl View for ConfRows {
    type Document = [ConfRow];

    fn document(&self) -> &[ConfRow] {
        &self.list
    }

    fn table(&self, _wide: bool) -> String {
        let mut table = Table::new(&["KEY", "VALUE", "FROM"]);
        for row in &self.list {
            table.row([row.key.clone(), row.value.clone(), row.origin.clone()]);
        }
        table.text()
    }

    fn names(&self) -> Vec<String> {
        self.list.iter().map(|row| row.key.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_with_where_it_came_from() {
        let row =
            ConfRow { key: "rest.port".into(), value: "8081".into(), origin: "/f/conf/config.yaml:3".into() };
        let view = ConfRows { list: vec![row] };
        assert_eq!(view.table(false), "KEY        VALUE  FROM\nrest.port  8081   /f/conf/config.yaml:3\n");
        assert_eq!(view.names(), ["rest.port"]);
    }
}
