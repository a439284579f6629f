//! How many TaskManagers jobs may bring about.

use kobel_conf::flink::FlinkConf;
use kobel_plan::{SLOTS_KEY, slots_of_task_manager};

use super::{CompileError, Inputs, job};

/// Beyond so many slots Flink refuses TaskManagers.
const MOST_SLOTS_KEY: &str = "slotmanager.number-of-slots.max";

/// How many TaskManagers there may be when jobs need more than are pinned: what `--max-tm` says, else what the
/// parallelism of a cluster's own job needs, in a session kobel's setting, and no more than Flink takes.
pub(super) fn most(inputs: &Inputs<'_>, conf: &FlinkConf, pinned: u32) -> Result<Option<u32>, CompileError> {
    let asked = match inputs.spec.max_task_managers {
        Some(most) if most < pinned => return Err(CompileError::MaxBelowPinned { most, pinned }),
        Some(most) => Some(most),
        None if inputs.spec.job.is_some() => Some(job::task_managers(conf).max(pinned)),
        None => inputs.settings.max_task_managers.value.map(|most| most.max(pinned)),
    };
    let slots = slots_of_task_manager(conf.get_str(SLOTS_KEY));
    let taken = conf.get_str(MOST_SLOTS_KEY).and_then(|most| most.trim().parse::<u32>().ok());
    let taken = taken.map_or(u32::MAX, |most| most / slots);
    Ok(asked.map(|most| most.min(taken).max(pinned)))
}
