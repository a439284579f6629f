//! The settings to compare: chosen edges, and generated ones, always the same.

use std::collections::BTreeMap;

use kobel_conf::{
    memory::{self, Model},
    units::MemorySize,
};

/// Generated settings of each role.
const GENERATED: u64 = 400;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Role {
    JobManager,
    TaskManager,
}

#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) role: Role,
    pub(crate) conf: BTreeMap<String, String>,
}

pub(crate) fn all() -> Vec<Setting> {
    let chosen = EDGES.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(edge);
    let generated = (0..GENERATED).flat_map(|seed| {
        [(Role::JobManager, seed), (Role::TaskManager, seed + GENERATED)]
            .map(|(role, seed)| generated(role, seed))
    });
    chosen.chain(fitted()).chain(generated).collect()
}

/// Small processes as kobel fits them: Flink must find that they add up.
fn fitted() -> impl Iterator<Item = Setting> {
    let empty = BTreeMap::new();
    let sizes = (480..1000).step_by(20).map(|mib| (Role::TaskManager, mib));
    let sizes = sizes.chain((384..720).step_by(20).map(|mib| (Role::JobManager, mib)));
    sizes.map(move |(role, mib)| {
        let fit = match role {
            Role::JobManager => memory::fit_job_manager,
            Role::TaskManager => memory::fit_task_manager,
        };
        let fitted = fit(MemorySize::from_mib(mib), &empty, Model::Flink1).expect("it fits");
        Setting { role, conf: fitted.conf }
    })
}

/// `tm.` and `jm.` stand for the prefixes of the memory options.
const EDGES: &str = include_str!("edges.txt");

/// A word without `=` continues the value before it.
fn edge(text: &str) -> Setting {
    let (role, pairs) = text.split_once(' ').unwrap_or((text, ""));
    let mut conf: Vec<(String, String)> = Vec::new();
    for word in pairs.split(' ') {
        match word.split_once('=') {
            Some((key, value)) => conf.push((full_key(key), value.into())),
            None => {
                if let Some((_, value)) = conf.last_mut() {
                    *value += " ";
                    *value += word;
                }
            }
        }
    }
    let role = if role == "jm" { Role::JobManager } else { Role::TaskManager };
    Setting { role, conf: conf.into_iter().collect() }
}

fn full_key(key: &str) -> String {
    let memory = |prefix: &str, rest: &str| format!("{prefix}.memory.{rest}");
    match key.split_once('.') {
        Some(("tm", rest)) => memory("taskmanager", rest),
        Some(("jm", rest)) => memory("jobmanager", rest),
        _ => key.into(),
    }
}

/// How a generated value looks.
#[derive(Clone, Copy)]
enum Kind {
    Total,
    Size,
    Fraction,
    Count,
    Cores,
    Flag,
}

/// Options with how often, in percent, a generated setting has them.
type Options = [(&'static str, Kind, u64)];

const JOB_MANAGER: &Options = &[
    ("jm.process.size", Kind::Total, 60),
    ("jm.flink.size", Kind::Total, 25),
    ("jm.heap.size", Kind::Size, 20),
    ("jm.off-heap.size", Kind::Size, 30),
    ("jm.enable-jvm-direct-memory-limit", Kind::Flag, 25),
    ("jm.jvm-metaspace.size", Kind::Size, 30),
    ("jm.jvm-overhead.min", Kind::Size, 15),
    ("jm.jvm-overhead.max", Kind::Total, 15),
    ("jm.jvm-overhead.fraction", Kind::Fraction, 30),
    ("jobmanager.heap.size", Kind::Size, 8),
    ("jobmanager.heap.mb", Kind::Count, 4),
];

const TASK_MANAGER: &Options = &[
    ("tm.process.size", Kind::Total, 60),
    ("tm.flink.size", Kind::Total, 25),
    ("tm.task.heap.size", Kind::Size, 20),
    ("tm.task.off-heap.size", Kind::Size, 15),
    ("tm.framework.heap.size", Kind::Size, 15),
    ("tm.framework.off-heap.size", Kind::Size, 15),
    ("tm.managed.size", Kind::Size, 20),
    ("tm.size", Kind::Size, 3),
    ("tm.managed.fraction", Kind::Fraction, 20),
    ("tm.network.min", Kind::Size, 10),
    ("tm.network.max", Kind::Total, 10),
    ("tm.network.fraction", Kind::Fraction, 15),
    ("taskmanager.network.memory.min", Kind::Size, 3),
    ("taskmanager.network.memory.fraction", Kind::Fraction, 3),
    ("taskmanager.network.numberOfBuffers", Kind::Count, 6),
    ("tm.jvm-metaspace.size", Kind::Size, 15),
    ("tm.jvm-overhead.min", Kind::Size, 10),
    ("tm.jvm-overhead.max", Kind::Total, 10),
    ("tm.jvm-overhead.fraction", Kind::Fraction, 15),
    ("taskmanager.heap.size", Kind::Total, 6),
    ("taskmanager.heap.mb", Kind::Count, 3),
    ("taskmanager.numberOfTaskSlots", Kind::Count, 20),
    ("taskmanager.cpu.cores", Kind::Cores, 15),
];

fn generated(role: Role, seed: u64) -> Setting {
    let mut random = Random(seed);
    let options = match role {
        Role::JobManager => JOB_MANAGER,
        Role::TaskManager => TASK_MANAGER,
    };
    let mut conf = BTreeMap::new();
    for (key, kind, percent) in options {
        if random.below(100) < *percent {
            conf.insert(full_key(key), random.value(*kind));
        }
    }
    Setting { role, conf }
}

/// The generator `splitmix64`.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn value(&mut self, kind: Kind) -> String {
        const JUNK: [&str; 6] = ["", "x", "-1", "1.5g", "99999999999999999999", "12 q"];
        if self.below(100) == 0 {
            return JUNK[self.below(6) as usize].into();
        }
        match kind {
            Kind::Total => self.size(600, 8192),
            Kind::Size => self.size(0, 300),
            Kind::Fraction if self.below(20) == 0 => ["0", "1", "1.5", "-0.2"][self.below(4) as usize].into(),
            Kind::Fraction => format!("0.{:03}", self.below(600)),
            Kind::Count => self.below(4096).to_string(),
            Kind::Cores => format!("{}.{}", self.below(64), self.below(1_000_000_000)),
            Kind::Flag => ["true", "false"][self.below(2) as usize].into(),
        }
    }

    /// A size between these MiB, in one of the ways to write it; now and then a tiny or huge one.
    fn size(&mut self, from: u64, to: u64) -> String {
        let mib = from + self.below(to - from);
        match self.below(20) {
            0 => self.below(1 << 20).to_string(),
            1 => format!("{}g", self.below(1 << 20)),
            2..6 => ((mib << 20) + self.below(1 << 20)).to_string(),
            6 => format!("{} kb", (mib << 10) + self.below(1 << 10)),
            7 => format!(" {mib} MB "),
            _ => format!("{mib}m"),
        }
    }
}
