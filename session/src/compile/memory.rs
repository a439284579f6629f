//! The memory of each role, by Flink's model, fitted where Flink's defaults are too large.

use std::collections::BTreeMap;

use kobel_conf::{
    flink::{FlinkConf, Origin},
    memory::{self, Fitted, MemoryError, Model},
    units::MemorySize,
};
use kobel_plan::{FlinkRole, RolePlan, Wanted, yarn::AGENT_BYTES};

use super::{CompileError, Inputs};

/// What the memory model gives a role.
pub(super) struct Size {
    pub(super) process_bytes: u64,
    pub(super) jvm_args: Vec<String>,
    pub(super) conf: BTreeMap<String, String>,
}

/// What says how large a process is: any of these is enough for Flink to begin with.
fn sizes(role: FlinkRole) -> &'static [&'static str] {
    match role {
        FlinkRole::JobManager => &[
            "jobmanager.memory.process.size",
            "jobmanager.memory.flink.size",
            "jobmanager.memory.heap.size",
            "jobmanager.heap.size",
            "jobmanager.heap.mb",
        ],
        FlinkRole::TaskManager => &[
            "taskmanager.memory.process.size",
            "taskmanager.memory.flink.size",
            "taskmanager.memory.task.heap.size",
            "taskmanager.heap.size",
            "taskmanager.heap.mb",
        ],
    }
}

/// The size in Flink's stock `config.yaml`, for a configuration that has none.
fn stock(role: FlinkRole) -> (&'static str, &'static str) {
    match role {
        FlinkRole::JobManager => ("jobmanager.memory.process.size", "1600m"),
        FlinkRole::TaskManager => ("taskmanager.memory.process.size", "1728m"),
    }
}

/// What the agent may use of a container that it shares with the JobManager.
pub(crate) const AGENT: MemorySize = MemorySize::from_bytes(AGENT_BYTES);

/// A JobManager's size is its container's, of which the agent has its part.
pub(super) fn leave_room_for_agent(conf: &mut FlinkConf) {
    let (key, default) = stock(FlinkRole::JobManager);
    if !sizes(FlinkRole::JobManager).iter().any(|key| conf.contains(key)) {
        conf.set(key, default, Origin::Default);
    }
    let Some((entry, total)) =
        conf.get(key).and_then(|entry| Some((entry.clone(), MemorySize::parse_flink(&entry.value).ok()?)))
    else {
        return;
    };
    let left = MemorySize::from_bytes(total.bytes().saturating_sub(AGENT.bytes()));
    conf.set(key, left.to_string(), entry.origin);
}

pub(super) fn of_role(
    role: FlinkRole,
    flink_major: u32,
    conf: &mut FlinkConf,
    notes: &mut Vec<String>,
) -> Result<Size, CompileError> {
    let model = Model::of_major(flink_major);
    let (process_size, default) = stock(role);
    if !sizes(role).iter().any(|key| conf.contains(key)) {
        conf.set(process_size, default, Origin::Default);
    }
    let failed = |source| CompileError::Memory { role, source };
    let mut map = conf.to_map();
    if let Some(text) = conf.get_str(process_size) {
        let total = MemorySize::parse_flink(text).map_err(|_| CompileError::Value {
            key: process_size.into(),
            origin: conf.get(process_size).map(|e| e.origin.to_string()).unwrap_or_default(),
            expected: "a size such as 1600m",
        })?;
        let fitted = fit(role, total, &map, model).map_err(failed)?;
        if !fitted.notes.is_empty() {
            let shrunk = fitted.notes.join(", ");
            notes.push(format!("a {} of {total} is below Flink's defaults: {shrunk}", role.noun()));
        }
        map.extend(fitted.conf);
    }
    match role {
        FlinkRole::JobManager => memory::job_manager(&map, model).map(|m| Size {
            process_bytes: m.total().bytes(),
            jvm_args: m.jvm_args(),
            conf: m.dynamic_configs(),
        }),
        FlinkRole::TaskManager => memory::task_manager(&map, model).map(|m| Size {
            process_bytes: m.total().bytes(),
            jvm_args: m.jvm_args(),
            conf: m.dynamic_configs(),
        }),
    }
    .map_err(failed)
}

fn fit(role: FlinkRole, total: MemorySize, conf: &memory::Conf, model: Model) -> Result<Fitted, MemoryError> {
    match role {
        FlinkRole::JobManager => memory::fit_job_manager(total, conf, model),
        FlinkRole::TaskManager => memory::fit_task_manager(total, conf, model),
    }
}

/// A worker that is larger than the machine fails before anything starts; workers that only together
/// are, as JVMs rarely fill what they may, are worth a word.
pub(super) fn check_machine(
    inputs: &Inputs<'_>,
    wanted: Wanted,
    job_manager: &RolePlan,
    task_manager: &RolePlan,
    notes: &mut Vec<String>,
) -> Result<(), CompileError> {
    let Some(machine) = inputs.machine_memory else { return Ok(()) };
    let roles = [
        (FlinkRole::JobManager, wanted.job_managers, job_manager),
        (FlinkRole::TaskManager, wanted.task_managers, task_manager),
    ];
    let mut sum = 0u64;
    for (role, count, plan) in roles {
        if plan.process_bytes > machine {
            let size = MemorySize::from_bytes(plan.process_bytes);
            return Err(CompileError::TooLarge { role, size, machine: MemorySize::from_bytes(machine) });
        }
        sum = sum.saturating_add(plan.process_bytes.saturating_mul(count.into()));
    }
    if sum > machine {
        let mib = |bytes: u64| format!("{}m", bytes >> 20);
        notes.push(format!(
            "the processes may take {} together, this machine has {}",
            mib(sum),
            mib(machine)
        ));
    }
    Ok(())
}
