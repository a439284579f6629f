//! Flink's configuration in layers, the last one wins: its file, kobel's settings, flags, `-D`.

use std::path::PathBuf;

use kobel_conf::{
    flink::{FlinkConf, Note, Origin, Release, upgrade},
    ha::{QUORUM_KEY, TYPE_KEYS},
};
use kobel_flink::ha::ClusterRoot;
use kobel_plan::SLOTS_KEY;

use super::{CompileError, Inputs, job::PARALLELISM_KEY};
use crate::spec::{Override, ZooKeeperChoice};

/// Keys of which one layer's choice replaces whatever a lower layer chose, because together they
/// would contradict each other, or the lower one would win inside Flink.
struct Alternatives {
    keys: &'static [&'static str],
    /// Keys that give way to these, too, and do not make them give way: the part of a process that
    /// takes what its size leaves.
    yielding: &'static [&'static str],
}

const ALTERNATIVES: [Alternatives; 3] = [
    Alternatives {
        keys: &[
            "taskmanager.memory.process.size",
            "taskmanager.memory.flink.size",
            "taskmanager.heap.size",
            "taskmanager.heap.mb",
        ],
        yielding: &["taskmanager.memory.task.heap.size"],
    },
    Alternatives {
        keys: &[
            "jobmanager.memory.process.size",
            "jobmanager.memory.flink.size",
            "jobmanager.heap.size",
            "jobmanager.heap.mb",
        ],
        yielding: &["jobmanager.memory.heap.size"],
    },
    Alternatives { keys: &["rest.port", "rest.bind-port"], yielding: &[] },
];

/// Keys that only kobel can fill, and why.
const OWNED: [(&str, &str); 3] = [
    ("taskmanager.resource-id", "kobel names TaskManagers after worker and attempt, tm-0.1"),
    ("jobmanager.rpc.bind-port", "kobel binds the port of jobmanager.rpc.port"),
    ("jobmanager.resource-id", "kobel names JobManagers after worker and attempt, jm-0.1"),
];

/// The effective configuration, as far as people chose it.
pub(super) fn merge(
    inputs: &Inputs<'_>,
    release: Release,
    notes: &mut Vec<String>,
) -> Result<FlinkConf, CompileError> {
    let mut conf = inputs.loaded.conf.clone();
    add_notes(notes, upgrade(&mut conf, release)?);
    for (key, owner) in OWNED {
        if let Some(entry) = conf.remove(key) {
            notes.push(format!("{key} ({}) is left out: {owner}", entry.origin));
        }
    }
    let mut dynamic = dynamic(&inputs.spec.overrides, notes)?;
    add_notes(notes, upgrade(&mut dynamic, release)?);
    for layer in [settings(inputs), flags(inputs), dynamic] {
        put_over(&mut conf, &layer, notes);
    }
    Ok(conf)
}

fn add_notes(notes: &mut Vec<String>, new: Vec<Note>) {
    notes.extend(new.iter().map(ToString::to_string));
}

/// What of kobel's settings is Flink's; a default of ours does not outrank Flink's file.
fn settings(inputs: &Inputs<'_>) -> FlinkConf {
    let settings = inputs.settings;
    let mut layer = FlinkConf::new();
    if let Some(slots) = settings.slots.value {
        layer.set(SLOTS_KEY, slots.to_string(), settings.slots.origin.clone());
    }
    if let Some(size) = settings.tm_memory.value {
        layer.set("taskmanager.memory.process.size", size.to_string(), settings.tm_memory.origin.clone());
    }
    if let Some(size) = settings.jm_memory.value {
        layer.set("jobmanager.memory.process.size", size.to_string(), settings.jm_memory.origin.clone());
    }
    if let Some(queue) = &settings.yarn_queue.value {
        layer.set("yarn.application.queue", queue, settings.yarn_queue.origin.clone());
    }
    layer
}

fn flags(inputs: &Inputs<'_>) -> FlinkConf {
    let spec = inputs.spec;
    let size = |bytes: u64| kobel_conf::units::MemorySize::from_bytes(bytes).to_string();
    let (zookeeper, quorum) = match &spec.zookeeper {
        Some(ZooKeeperChoice::Quorum(quorum)) => (true, Some(quorum.clone())),
        choice => (choice.is_some(), None),
    };
    let all = [
        (TYPE_KEYS[0], "--zookeeper", zookeeper.then(|| "zookeeper".to_string())),
        (QUORUM_KEY, "--zookeeper", quorum),
        (ClusterRoot::ID_KEY, "-z", spec.namespace.clone()),
        (SLOTS_KEY, "--slots", spec.slots.map(|n| n.to_string())),
        (PARALLELISM_KEY, "-p", spec.job.as_ref().and_then(|job| job.parallelism).map(|n| n.to_string())),
        ("taskmanager.memory.process.size", "--tm-mem", spec.tm_memory.map(size)),
        ("jobmanager.memory.process.size", "--jm-mem", spec.jm_memory.map(size)),
        ("yarn.application.queue", "--queue", spec.queue.clone()),
        ("yarn.application.name", "--name", spec.application_name.clone()),
        ("yarn.application.node-label", "--node-label", spec.node_label.clone()),
        ("yarn.ship-files", "--ship", shipped(&spec.ship, false)),
        ("yarn.ship-archives", "--ship", shipped(&spec.ship, true)),
    ];
    let mut layer = FlinkConf::new();
    for (key, flag, value) in all {
        value.map(|value| layer.set(key, value, Origin::Flag(flag.into())));
    }
    layer
}

/// Flink's list of those that are, or are not, to be unpacked.
fn shipped(paths: &[PathBuf], archives: bool) -> Option<String> {
    const UNPACKED: [&str; 4] = [".tar.gz", ".tgz", ".tar", ".zip"];
    let texts = paths.iter().map(|path| path.to_string_lossy());
    let of_kind =
        texts.filter(|text| UNPACKED.iter().any(|end| text.to_lowercase().ends_with(end)) == archives);
    let all: Vec<_> = of_kind.collect();
    (!all.is_empty()).then(|| all.join(";"))
}

fn dynamic(overrides: &[Override], notes: &mut Vec<String>) -> Result<FlinkConf, CompileError> {
    let mut layer = FlinkConf::new();
    for Override { key, value } in overrides {
        let owner = OWNED.iter().find(|(owned, _)| owned == key).map(|(_, owner)| *owner);
        let internal = key.starts_with("$internal.").then_some("it is a key of Flink's own machinery");
        if let Some(owner) = owner.or(internal) {
            return Err(CompileError::Owned { key: key.clone(), owner });
        }
        if layer.set(key, value, Origin::Dynamic).is_some() {
            notes.push(format!("-D {key} is given more than once: the last one counts"));
        }
    }
    Ok(layer)
}

fn put_over(conf: &mut FlinkConf, layer: &FlinkConf, notes: &mut Vec<String>) {
    for group in &ALTERNATIVES {
        let Some((chosen, entry)) = group.keys.iter().find_map(|key| Some((key, layer.get(key)?))) else {
            continue;
        };
        let others = group.keys.iter().chain(group.yielding).filter(|key| !layer.contains(key));
        for key in others {
            if let Some(gone) = conf.remove(key) {
                notes.push(format!("{key} ({}) gives way to {chosen} ({})", gone.origin, entry.origin));
            }
        }
    }
    for (key, entry) in layer.iter() {
        conf.set(key, entry.value.clone(), entry.origin.clone());
    }
}
