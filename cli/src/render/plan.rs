//! The plan of a cluster in words, and what `kobel start --dry-run` shows of it.

use std::fmt::Write;

use kobel_plan::{ClusterKind, ClusterPlan, PortChoice, RolePlan, status::HaStatus};
use kobel_session::registry::Setting;

use super::{ConfRows, View, status::in_zookeeper};
use crate::failure::printable;

/// A plan that is not carried out, without secrets.
pub(crate) struct PlanView {
    pub(crate) plan: ClusterPlan,
    pub(crate) settings: Vec<Setting>,
}

impl View for PlanView {
    type Document = ClusterPlan;

    fn document(&self) -> &ClusterPlan {
        &self.plan
    }

    fn table(&self, wide: bool) -> String {
        let (plan, chosen) = (&self.plan, Chosen { plan: &self.plan, settings: &self.settings });
        let mut facts = vec![
            Fact::new("Name", plan.name.to_string()),
            Fact::new("Kind", format!("{} on {}", kind(plan.kind()), plan.provider)),
        ];
        facts.extend(chosen.facts());
        facts.push(Fact::new("JobManagers", masters(plan.wanted.job_managers)));
        facts.extend(chosen.high_availability());
        facts.push(Fact::new("TaskManagers", task_managers(plan)));
        facts.push(Fact::new("Front", format!("{}, {}", plan.front.bind, wish(plan.front.port))));
        facts.push(Fact::new("RPC", format!("{}, {}", plan.rpc_address, wish(plan.rpc_port))));
        facts.push(Fact::new("Logs", plan.log_dir.display().to_string()));
        let mut text = Fact::lines(&facts);
        chosen.section(&mut text, wide, "kobel config show");
        text
    }

    fn names(&self) -> Vec<String> {
        vec![self.plan.name.to_string()]
    }
}

/// The kind of a cluster in words.
pub(super) fn kind(kind: ClusterKind) -> &'static str {
    match kind {
        ClusterKind::Session => "session",
        ClusterKind::PerJob => "per-job cluster",
    }
}

fn masters(count: u32) -> String {
    match count {
        several @ 2.. => format!("{several}, all but one on standby"),
        few => few.to_string(),
    }
}

fn task_managers(plan: &ClusterPlan) -> String {
    let pinned = plan.wanted.task_managers;
    match plan.most_task_managers(pinned) {
        most if most > pinned => format!("{pinned}, up to {most} when jobs need more"),
        _ => pinned.to_string(),
    }
}

fn wish(port: PortChoice) -> String {
    match port {
        PortChoice::Free => "any free port".into(),
        PortChoice::Prefer(port) => format!("port {port} or any free one"),
        PortChoice::Pinned { from, to } if from == to => format!("port {from}"),
        PortChoice::Pinned { from, to } => format!("a port of {from}-{to}"),
    }
}

/// A fact in a line, and where its value came from if somebody chose it.
pub(super) struct Fact {
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) origin: Option<String>,
}

impl Fact {
    /// One that nobody chose.
    pub(super) fn new(name: &'static str, value: String) -> Self {
        Self { name, value, origin: None }
    }

    /// A line each.
    pub(super) fn lines(facts: &[Self]) -> String {
        let line = |fact: &Fact| {
            let origin = fact.origin.as_ref().map(|origin| format!("   ({origin})")).unwrap_or_default();
            let value = printable(&format!("{}{origin}", fact.value));
            format!("{:<15}{value}\n", format!("{}:", fact.name))
        };
        facts.iter().map(line).collect()
    }
}

/// Adds a table below its title, indented.
pub(super) fn section(text: &mut String, title: &str, table: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "\n{title}:");
    table.lines().for_each(|line| text.extend(["  ", line, "\n"]));
}

/// What was decided for a cluster, and by whom.
pub(super) struct Chosen<'a> {
    pub(super) plan: &'a ClusterPlan,
    pub(super) settings: &'a [Setting],
}

impl Chosen<'_> {
    /// What runs, and the size of its processes.
    pub(super) fn facts(&self) -> Vec<Fact> {
        let (flink, java) = (&self.plan.flink, &self.plan.java);
        vec![
            Fact::new("Flink", format!("{} in {}", flink.version, flink.home.display())),
            Fact::new("Java", format!("{} in {}", java.version, java.home.display())),
            self.memory("JobManager", "jobmanager", &self.plan.job_manager),
            self.memory("TaskManager", "taskmanager", &self.plan.task_manager),
        ]
    }

    /// Where JobManagers that stand for election meet.
    pub(super) fn high_availability(&self) -> Vec<Fact> {
        let Some(ha) = &self.plan.ha else { return Vec::new() };
        let told = |name, key: &str, value: String| {
            let origin = self.setting(key).map(|setting| setting.origin.clone());
            Fact { name, value, origin }
        };
        vec![
            told("ZooKeeper", "high-availability.type", in_zookeeper(&HaStatus::of(ha))),
            told("HA storage", "high-availability.storageDir", ha.storage_dir.clone()),
        ]
    }

    /// The memory of a role's process and what it is made of.
    fn memory(&self, name: &'static str, prefix: &str, role: &RolePlan) -> Fact {
        let part = |(key, word): &(&str, &str)| {
            let bytes = role.conf.get(&format!("{prefix}.memory.{key}"))?.strip_suffix('b')?.parse().ok()?;
            Some(format!("{word} {}", mib(bytes)))
        };
        let parts: Vec<_> = PARTS.iter().filter_map(part).collect();
        let asked = ["process.size", "flink.size"].iter().find_map(|key| {
            let key = format!("{prefix}.memory.{key}");
            Some(format!("{key}: {}", self.setting(&key)?.origin))
        });
        let parts = if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) };
        Fact { name, value: mib(role.process_bytes) + &parts, origin: asked }
    }

    /// A port in use, if that is known.
    pub(super) fn port(&self, name: &'static str, key: &str, asked: PortChoice) -> Option<Fact> {
        let setting = self.setting(key)?;
        let instead = match asked {
            PortChoice::Prefer(port) if port.to_string() != setting.value => {
                format!(", as {port} was taken")
            }
            _ => String::new(),
        };
        Some(Fact { name, value: setting.value.clone() + &instead, origin: Some(setting.origin.clone()) })
    }

    pub(super) fn setting(&self, key: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.key == key)
    }

    /// Adds the settings that somebody chose, or all; `more` is the command that shows those left out.
    pub(super) fn section(&self, text: &mut String, all: bool, more: &str) {
        let is_shown = |setting: &&Setting| all || !is_default(&setting.origin);
        let mut list: Vec<_> = self.settings.iter().filter(is_shown).cloned().collect();
        for setting in list.iter_mut().filter(|_| !all) {
            setting.value = shortened(&setting.value);
        }
        let title = match self.settings.len() - list.len() {
            0 => "Configuration".into(),
            hidden => format!("Configuration (and {hidden} by default: {more})"),
        };
        section(text, &title, &ConfRows { list }.table(all));
    }
}

/// Parts of a process's memory, by the ends of Flink's keys.
const PARTS: [(&str, &str); 10] = [
    ("heap.size", "heap"),
    ("framework.heap.size", "framework heap"),
    ("task.heap.size", "task heap"),
    ("managed.size", "managed"),
    ("off-heap.size", "off-heap"),
    ("framework.off-heap.size", "framework off-heap"),
    ("task.off-heap.size", "task off-heap"),
    ("network.max", "network"),
    ("jvm-metaspace.size", "metaspace"),
    ("jvm-overhead.max", "overhead"),
];

/// Whether nobody chose this value for this cluster.
fn is_default(origin: &str) -> bool {
    origin == "default" || origin.starts_with("kobel:")
}

/// The beginning of a value that would make a table too wide, as JVM options do.
fn shortened(value: &str) -> String {
    const LONGEST: usize = 60;
    match value.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.into(),
    }
}

/// A size to the nearest mebibyte, in Flink's notation.
fn mib(bytes: u64) -> String {
    format!("{}m", bytes.saturating_add(1 << 19) >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::describe::tests::plan;

    #[test]
    fn a_plan_in_words() {
        let setting = |key: &str, value: &str, origin: &str| Setting {
            key: key.into(),
            value: value.into(),
            origin: origin.into(),
        };
        let settings = vec![
            setting("heartbeat.interval", "2000", "kobel: a quick recovery"),
            setting("taskmanager.memory.process.size", "1728m", "--tm-mem"),
        ];
        insta::assert_snapshot!(PlanView { plan: plan(), settings }.table(false));
    }

    #[test]
    fn job_managers_that_stand_for_election_are_told_with_where_they_meet() {
        let mut plan = plan();
        plan.ha = serde_json::from_value(serde_json::json!({
            "zookeeper": { "quorum": "zk1:2181" },
            "root": "/flink",
            "clusterId": "etl",
            "storageDir": "hdfs:///ha",
            "sessionTimeoutMs": 10_000,
            "silenceMs": 8_000,
            "keep": false,
        }))
        .unwrap();
        let origin = Setting {
            key: "high-availability.storageDir".into(),
            value: "hdfs:///ha".into(),
            origin: "-D".into(),
        };
        let told = Fact::lines(&Chosen { plan: &plan, settings: &[origin] }.high_availability());
        assert_eq!([0, 1, 3].map(masters), ["0", "1", "3, all but one on standby"]);
        let expected = "ZooKeeper:     zk1:2181, cluster id etl below /flink\n\
                        HA storage:    hdfs:///ha   (-D)\n";
        assert_eq!(told, expected);
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        assert_eq!(shortened(&"ä".repeat(60)), "ä".repeat(60));
        assert_eq!(shortened(&"ä".repeat(61)), "ä".repeat(60) + "…");
    }

    #[test]
    fn a_port_that_is_wished_for_is_told_as_such() {
        let told = [PortChoice::Free, PortChoice::Prefer(1), PortChoice::Pinned { from: 2, to: 2 }].map(wish);
        assert_eq!(told, ["any free port", "port 1 or any free one", "port 2"]);
        assert_eq!(wish(PortChoice::Pinned { from: 2, to: 9 }), "a port of 2-9");
    }
}
