//! `kobel queue`: a row per queue and per node of YARN.

use kobel_session::yarn::manager::QueueUse;
use kobel_session::yarn::{NodeReport, NodeState, Resource};
use serde::Serialize;

use super::{Table, View};

/// What YARN has to give.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Capacity {
    /// Of the nodes that run: the others start nothing.
    pub(crate) total: Amounts,
    queues: Vec<QueueRow>,
    nodes: Vec<NodeRow>,
}

/// Memory and cores.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Amounts {
    pub(crate) memory_mib: Amount,
    pub(crate) cores: Amount,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Amount {
    pub(crate) total: i64,
    used: i64,
    free: i64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct QueueRow {
    name: String,
    state: &'static str,
    used: Size,
    /// In percent of the cluster, where the scheduler counts that way.
    max_percent: Option<f32>,
    /// Where it counts the other way.
    max: Option<Size>,
    /// Of ApplicationMasters; only REST tells.
    masters: Option<Size>,
    masters_max: Option<Size>,
    /// Applications that wait for their master.
    waiting: u32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Size {
    memory_mib: i64,
    cores: i32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct NodeRow {
    name: String,
    state: &'static str,
    #[serde(flatten)]
    amounts: Amounts,
    containers: u32,
    labels: Vec<String>,
    rack: String,
    web: String,
    health: String,
}

impl From<&Resource> for Size {
    fn from(size: &Resource) -> Self {
        Self { memory_mib: size.memory_mib, cores: size.vcores }
    }
}

impl Amount {
    fn of(total: i64, used: i64) -> Self {
        Self { total, used, free: total.saturating_sub(used) }
    }

    fn add(&mut self, more: &Self) {
        *self = Self::of(self.total.saturating_add(more.total), self.used.saturating_add(more.used));
    }
}

impl Amounts {
    fn of(total: &Resource, used: &Resource) -> Self {
        let cores = Amount::of(total.vcores.into(), used.vcores.into());
        Self { memory_mib: Amount::of(total.memory_mib, used.memory_mib), cores }
    }
}

impl QueueRow {
    fn of(queue: &QueueUse) -> Self {
        let size = |size: &Option<Resource>| size.as_ref().map(Size::from);
        Self {
            name: queue.path.clone(),
            state: queue.state.name(),
            used: Size::from(&queue.used),
            max_percent: queue.max_percent,
            max: size(&queue.max),
            masters: size(&queue.masters),
            masters_max: size(&queue.masters_max),
            waiting: queue.pending,
        }
    }

    fn max(&self) -> String {
        match (&self.max, self.max_percent) {
            (Some(max), _) => mib(max.memory_mib),
            (None, Some(percent)) => format!("{percent:.0}%"),
            (None, None) => String::new(),
        }
    }

    /// What masters use of what they may.
    fn masters(&self) -> String {
        match (&self.masters, &self.masters_max) {
            (Some(used), Some(max)) => format!("{} of {}", used.memory_mib, mib(max.memory_mib)),
            _ => String::new(),
        }
    }
}

impl NodeRow {
    fn of(node: &NodeReport) -> Self {
        Self {
            name: node.node.to_string(),
            state: node.state.name(),
            amounts: Amounts::of(&node.capacity, &node.used),
            containers: node.containers,
            labels: node.labels.clone(),
            rack: node.rack.clone(),
            web: node.http_address.clone(),
            health: node.health.clone(),
        }
    }
}

impl Capacity {
    pub(crate) fn of(nodes: &[NodeReport], queues: &[QueueUse]) -> Self {
        let mut total = Amounts::default();
        for node in nodes.iter().filter(|node| node.state == NodeState::Running) {
            let amounts = Amounts::of(&node.capacity, &node.used);
            total.memory_mib.add(&amounts.memory_mib);
            total.cores.add(&amounts.cores);
        }
        let (queues, nodes) =
            (queues.iter().map(QueueRow::of).collect(), nodes.iter().map(NodeRow::of).collect());
        Self { total, queues, nodes }
    }

    pub(crate) fn nodes_table(&self, wide: bool) -> String {
        let mut headers = vec!["NODE", "STATE", "MEMORY", "FREE", "CORES", "FREE", "CONTAINERS", "LABELS"];
        headers.extend(if wide { &["RACK", "WEB", "HEALTH"][..] } else { &["HEALTH"] });
        let mut table = Table::new(&headers);
        for node in &self.nodes {
            let Amounts { memory_mib, cores } = &node.amounts;
            let mut cells = vec![
                node.name.clone(),
                node.state.into(),
                mib(memory_mib.total),
                mib(memory_mib.free),
                cores.total.to_string(),
                cores.free.to_string(),
                node.containers.to_string(),
                node.labels.join(","),
            ];
            if wide {
                cells.extend([node.rack.clone(), node.web.clone()]);
            }
            cells.push(node.health.clone());
            table.row(cells);
        }
        table.text()
    }

    /// Nothing at all where the scheduler has no queues (FIFO).
    pub(crate) fn queues_table(&self) -> String {
        if self.queues.is_empty() {
            return String::new();
        }
        let mut table = Table::new(&["QUEUE", "STATE", "USED", "CORES", "MAX", "MASTERS", "WAITING"]);
        for queue in &self.queues {
            table.row([
                queue.name.clone(),
                queue.state.into(),
                mib(queue.used.memory_mib),
                queue.used.cores.to_string(),
                queue.max(),
                queue.masters(),
                queue.waiting.to_string(),
            ]);
        }
        table.text()
    }
}

/// YARN's own unit.
fn mib(size: i64) -> String {
    format!("{size} MiB")
}

impl View for Capacity {
    type Document = Self;

    fn document(&self) -> &Self {
        self
    }

    fn table(&self, wide: bool) -> String {
        let queues = self.queues_table();
        let gap = if queues.is_empty() { "" } else { "\n" };
        let Amounts { memory_mib, cores } = &self.total;
        format!(
            "{queues}{gap}{}\nfree: {} of {}, {} of {} cores\n",
            self.nodes_table(wide),
            memory_mib.free,
            mib(memory_mib.total),
            cores.free,
            cores.total
        )
    }

    /// Of the queues, as `--queue` takes them.
    fn names(&self) -> Vec<String> {
        self.queues.iter().map(|queue| queue.name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use kobel_session::yarn::{NodeId, QueueState};

    use super::*;
    use crate::render::json;

    fn view() -> Capacity {
        let node = |host: &str, state, used| NodeReport {
            node: NodeId { host: host.into(), port: 8041 },
            http_address: format!("{host}:8042"),
            rack: "/default-rack".into(),
            state,
            used: Resource::new(used, 1),
            capacity: Resource::new(8192, 8),
            containers: 1,
            labels: vec!["gpu".into()],
            health: String::new(),
        };
        let fair = QueueUse {
            path: "root.users.ann".into(),
            state: QueueState::Running,
            used: Resource::new(1024, 1),
            max_percent: None,
            max: Some(Resource::new(4096, 4)),
            masters: None,
            masters_max: None,
            pending: 0,
        };
        let capacity = QueueUse {
            path: "root.default".into(),
            max_percent: Some(100.0),
            max: None,
            masters: Some(Resource::new(1024, 1)),
            masters_max: Some(Resource::new(8192, 1)),
            pending: 2,
            ..fair.clone()
        };
        let nodes = [node("n1", NodeState::Running, 1024), node("n2", NodeState::Lost, 0)];
        Capacity::of(&nodes, &[capacity, fair])
    }

    #[test]
    fn queues_nodes_and_what_is_free_of_those_that_run() {
        insta::assert_snapshot!(view().table(false));
        insta::assert_snapshot!(json(view().document()).unwrap());
        assert_eq!(view().names(), ["root.default", "root.users.ann"]);
        assert!(view().table(true).contains("/default-rack"));
        let fifo = Capacity::of(&[], &[]).table(false);
        assert!(fifo.starts_with("NODE") && fifo.ends_with("free: 0 of 0 MiB, 0 of 0 cores\n"), "{fifo}");
    }
}
