//! The TaskManager's memory (Flink's `TaskExecutorProcessUtils` and `TaskExecutorFlinkMemoryUtils`).

use std::collections::BTreeMap;

use crate::{
    memory::{
        Conf, MemoryError, Model, Term,
        fraction::{RangeFraction, RangeOptions},
        options::{self, FloatOption, SizeOption},
        process::{self, FlinkMemory, Process, ProcessOptions},
        resources::WorkerResources,
    },
    units::MemorySize,
};

const FRAMEWORK_HEAP: SizeOption = SizeOption::mib("taskmanager.memory.framework.heap.size", 128);
const FRAMEWORK_OFF_HEAP: SizeOption = SizeOption::mib("taskmanager.memory.framework.off-heap.size", 128);
const TASK_HEAP: SizeOption = SizeOption::new("taskmanager.memory.task.heap.size");
const TASK_OFF_HEAP: SizeOption = SizeOption::mib("taskmanager.memory.task.off-heap.size", 0);
const MANAGED: SizeOption = SizeOption::new("taskmanager.memory.managed.size").or("taskmanager.memory.size");
const MANAGED_FRACTION: FloatOption = FloatOption::new("taskmanager.memory.managed.fraction", 0.4);
const SEGMENT: SizeOption =
    SizeOption::with_default("taskmanager.memory.segment-size", MemorySize::from_bytes(32 << 10));
const NETWORK_BUFFERS: &str = "taskmanager.network.numberOfBuffers";
const LEGACY_HEAP: SizeOption = SizeOption::new("taskmanager.heap.size");
const LEGACY_HEAP_MB: &str = "taskmanager.heap.mb";

static NETWORK: RangeOptions = RangeOptions {
    min: SizeOption::mib("taskmanager.memory.network.min", 64).or("taskmanager.network.memory.min"),
    max: SizeOption::with_default("taskmanager.memory.network.max", MemorySize::MAX)
        .or("taskmanager.network.memory.max"),
    fraction: FloatOption::new("taskmanager.memory.network.fraction", 0.1)
        .or("taskmanager.network.memory.fraction"),
};

static OPTIONS: ProcessOptions = ProcessOptions {
    role: "TaskManager",
    fine_grained: &[TASK_HEAP, MANAGED],
    total_flink: SizeOption::new("taskmanager.memory.flink.size"),
    total_process: SizeOption::new("taskmanager.memory.process.size"),
    metaspace: SizeOption::mib("taskmanager.memory.jvm-metaspace.size", 256),
    overhead: RangeOptions {
        min: SizeOption::mib("taskmanager.memory.jvm-overhead.min", 192),
        max: SizeOption::mib("taskmanager.memory.jvm-overhead.max", 1024),
        fraction: FloatOption::new("taskmanager.memory.jvm-overhead.fraction", 0.1),
    },
};

/// The parts of a TaskManager's process.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskManagerMemory {
    process: Process<TaskManagerFlinkMemory>,
    resources: WorkerResources,
}

/// What a TaskManager with this configuration gets.
pub fn task_manager(conf: &Conf, model: Model) -> Result<TaskManagerMemory, MemoryError> {
    let conf =
        process::with_legacy_heap(model.view(conf), &OPTIONS.total_flink, &LEGACY_HEAP, LEGACY_HEAP_MB)?;
    Ok(TaskManagerMemory { process: process::derive(&conf)?, resources: WorkerResources::read(&conf)? })
}

impl TaskManagerMemory {
    /// The whole process.
    pub fn total(&self) -> MemorySize {
        self.process.total
    }

    /// What of the heap is for tasks.
    pub fn task_heap(&self) -> MemorySize {
        self.process.flink.task_heap
    }

    /// The slots it offers, as configured: Flink does not check the number here.
    pub fn slots(&self) -> i32 {
        self.resources.slots
    }

    /// `-Xmx` and its kin, in Flink's order.
    pub fn jvm_args(&self) -> Vec<String> {
        let flink = &self.process.flink;
        // No overflow: both sums are within the process's total.
        let heap = flink.framework_heap.bytes() + flink.task_heap.bytes();
        let direct = flink.framework_off_heap.bytes() + flink.task_off_heap.bytes() + flink.network.bytes();
        let (heap, direct) = (MemorySize::from_bytes(heap), MemorySize::from_bytes(direct));
        process::jvm_args(heap, Some(direct), self.process.metaspace)
    }

    /// The keys that Flink's own scripts hand to the process with `-D`.
    pub fn dynamic_configs(&self) -> BTreeMap<String, String> {
        let mut terms = self.parts();
        terms.push(NETWORK.max.at(self.process.flink.network));
        terms.push(OPTIONS.overhead.max.at(self.process.overhead));
        let mut configs: BTreeMap<_, _> = terms.into_iter().map(process::dynamic).collect();
        configs.extend(self.resources.dynamic_configs());
        configs
    }

    /// What the process is made of.
    pub(super) fn parts(&self) -> Vec<Term> {
        let mut parts = self.process.flink.parts();
        parts.push(OPTIONS.metaspace.at(self.process.metaspace));
        parts.push(OPTIONS.overhead.min.at(self.process.overhead));
        parts
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct TaskManagerFlinkMemory {
    framework_heap: MemorySize,
    framework_off_heap: MemorySize,
    task_heap: MemorySize,
    task_off_heap: MemorySize,
    network: MemorySize,
    managed: MemorySize,
}

impl FlinkMemory for TaskManagerFlinkMemory {
    const OPTIONS: &'static ProcessOptions = &OPTIONS;

    fn from_fine_grained(conf: &Conf) -> Result<Self, MemoryError> {
        let parts = Self::configured(conf, TASK_HEAP.get(conf)?, MANAGED.get(conf)?)?;
        if OPTIONS.total_flink.is_set(conf) {
            return parts.with_network_from_rest(conf, OPTIONS.total_flink.get(conf)?);
        }
        let network = NetworkRule::read(conf)?.beside(parts.flink_memory()?)?;
        Ok(Self { network, ..parts })
    }

    /// What no option settles is left to task heap, or, if that is set, to network memory.
    fn from_total(conf: &Conf, total: MemorySize) -> Result<Self, MemoryError> {
        let managed = if MANAGED.is_set(conf) {
            MANAGED.get(conf)?
        } else {
            RangeFraction::unbounded(conf, &MANAGED_FRACTION)?.of(total)?
        };
        if TASK_HEAP.is_set(conf) {
            let parts = Self::configured(conf, TASK_HEAP.get(conf)?, managed)?;
            return parts.with_network_from_rest(conf, total);
        }
        let network = NetworkRule::read(conf)?.of(total)?;
        let parts = Self { network, ..Self::configured(conf, MemorySize::default(), managed)? };
        let task_heap = process::rest(OPTIONS.total_flink.at(total), parts.parts())?;
        Ok(Self { task_heap, ..parts })
    }

    fn parts(&self) -> Vec<Term> {
        vec![
            FRAMEWORK_HEAP.at(self.framework_heap),
            FRAMEWORK_OFF_HEAP.at(self.framework_off_heap),
            TASK_HEAP.at(self.task_heap),
            TASK_OFF_HEAP.at(self.task_off_heap),
            NETWORK.min.at(self.network),
            MANAGED.at(self.managed),
        ]
    }
}

impl TaskManagerFlinkMemory {
    /// These two and the parts that always have a size; network memory still nothing.
    fn configured(conf: &Conf, task_heap: MemorySize, managed: MemorySize) -> Result<Self, MemoryError> {
        Ok(Self {
            framework_heap: FRAMEWORK_HEAP.get(conf)?,
            framework_off_heap: FRAMEWORK_OFF_HEAP.get(conf)?,
            task_heap,
            task_off_heap: TASK_OFF_HEAP.get(conf)?,
            network: MemorySize::default(),
            managed,
        })
    }

    fn with_network_from_rest(self, conf: &Conf, total: MemorySize) -> Result<Self, MemoryError> {
        let network = process::rest(OPTIONS.total_flink.at(total), self.parts())?;
        NetworkRule::read(conf)?.check(network)?;
        Ok(Self { network, ..self })
    }

    fn flink_memory(&self) -> Result<MemorySize, MemoryError> {
        super::Sum(self.parts()).total("the total Flink memory")
    }
}

/// How network memory is settled.
#[derive(Debug)]
enum NetworkRule {
    Range(RangeFraction),
    /// Flink 1, when only the number of buffers is given.
    Buffers(MemorySize),
}

impl NetworkRule {
    fn read(conf: &Conf) -> Result<Self, MemoryError> {
        let buffers =
            if NETWORK.is_set(conf) { None } else { options::integer::<i32>(conf, NETWORK_BUFFERS)? };
        match buffers {
            Some(buffers) => Ok(Self::Buffers(buffer_memory(conf, buffers)?)),
            None => Ok(Self::Range(RangeFraction::read(conf, &NETWORK)?)),
        }
    }

    fn of(&self, total: MemorySize) -> Result<MemorySize, MemoryError> {
        match self {
            Self::Range(range) => range.of(total),
            Self::Buffers(size) => Ok(*size),
        }
    }

    fn beside(&self, others: MemorySize) -> Result<MemorySize, MemoryError> {
        match self {
            Self::Range(range) => range.beside(others),
            Self::Buffers(size) => Ok(*size),
        }
    }

    fn check(&self, rest: MemorySize) -> Result<(), MemoryError> {
        const PART: &str = "network memory";
        match self {
            Self::Range(range) => range.check(PART, rest),
            Self::Buffers(size) if *size == rest => Ok(()),
            Self::Buffers(size) => {
                let exact = Term { key: NETWORK_BUFFERS, size: *size };
                Err(MemoryError::RestOutOfRange { part: PART, rest, min: exact, max: exact })
            }
        }
    }
}

/// So many buffers of one segment each (`ConfigurationParserUtils.getPageSize`).
fn buffer_memory(conf: &Conf, buffers: i32) -> Result<MemorySize, MemoryError> {
    const LEAST_SEGMENT: u64 = 4 << 10;
    let segment = SEGMENT.get(conf)?.bytes();
    if !segment.is_power_of_two() || !(LEAST_SEGMENT..=i32::MAX as u64).contains(&segment) {
        let allowed = "a power of two from 4kb to 1gb";
        return Err(MemoryError::NotAllowed { key: SEGMENT.key, value: segment.to_string(), allowed });
    }
    let Ok(count) = u64::try_from(buffers) else {
        let (value, allowed) = (buffers.to_string(), "0 or more");
        return Err(MemoryError::NotAllowed { key: NETWORK_BUFFERS, value, allowed });
    };
    // No overflow: below 2^31 times at most 2^30.
    Ok(MemorySize::from_bytes(count * segment))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn conf(pairs: &[(&str, &str)]) -> Conf {
        pairs.iter().map(|(key, value)| (format!("taskmanager.{key}"), value.to_string())).collect()
    }

    #[test]
    fn the_stock_size_gets_flinks_own_arguments() {
        let memory = task_manager(&conf(&[("memory.process.size", "1728m")]), Model::Flink2).unwrap();
        let args = [
            "-Xmx536870902",
            "-Xms536870902",
            "-XX:MaxDirectMemorySize=268435458",
            "-XX:MaxMetaspaceSize=268435456",
        ];
        assert_eq!(memory.jvm_args(), args);
        let configs = memory.dynamic_configs();
        assert_eq!(configs["taskmanager.memory.managed.size"], "536870920b");
        assert_eq!(configs["taskmanager.memory.network.max"], "134217730b");
        assert_eq!(configs["taskmanager.cpu.cores"], "1.0");
        assert_eq!(configs["external-resources"], "none");
        assert_eq!(configs.len(), 13);
    }

    #[test]
    fn two_totals_that_leave_too_much_overhead_are_refused() {
        let both = conf(&[("memory.process.size", "4g"), ("memory.flink.size", "1g")]);
        let error = task_manager(&both, Model::Flink1).unwrap_err();
        let rest = MemorySize::from_mib(4096 - 1024 - 256);
        assert!(matches!(error, MemoryError::RestOutOfRange { rest: r, .. } if r == rest), "{error}");
    }

    #[test]
    fn the_number_of_buffers_is_for_flink_1_only() {
        let buffers = conf(&[("memory.process.size", "2g"), ("network.numberOfBuffers", "1024")]);
        let network = |model| task_manager(&buffers, model).unwrap().process.flink.network.mib();
        assert_eq!((network(Model::Flink1), network(Model::Flink2)), (32, 158));
    }

    proptest! {
        #[test]
        fn the_parts_make_up_the_process(mib in 982u64..1 << 24, fraction in 0u32..500) {
            let fraction = format!("0.{fraction:03}");
            let conf = conf(&[("memory.process.size", &format!("{mib}m")), ("memory.jvm-overhead.fraction", &fraction)]);
            if let Ok(memory) = task_manager(&conf, Model::Flink2) {
                let sum: u64 = memory.parts().iter().map(|part| part.size.bytes()).sum();
                prop_assert_eq!(sum, mib << 20);
                prop_assert_eq!(memory.total().bytes(), sum);
            }
        }
    }
}
