//! `kobel config`: a row per key.

use kobel_session::registry::Setting;

use super::{Table, View};

/// A configuration.
pub(crate) struct ConfRows {
    pub(crate) list: Vec<Setting>,
}

impl View for ConfRows {
    type Document = [Setting];

    fn document(&self) -> &[Setting] {
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
            Setting { key: "rest.port".into(), value: "8081".into(), origin: "/f/conf/config.yaml:3".into() };
        let view = ConfRows { list: vec![row] };
        assert_eq!(view.table(false), "KEY        VALUE  FROM\nrest.port  8081   /f/conf/config.yaml:3\n");
        assert_eq!(view.names(), ["rest.port"]);
    }
}
