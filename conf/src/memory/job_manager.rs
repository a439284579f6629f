//! The JobManager's memory (Flink's `JobManagerProcessUtils` and `JobManagerFlinkMemoryUtils`).

use std::collections::BTreeMap;

use crate::{
    memory::{
        Conf, MemoryError, Model, Sum, Term,
        fraction::RangeOptions,
        options::{self, FloatOption, SizeOption},
        process::{self, FlinkMemory, Process, ProcessOptions},
    },
    units::MemorySize,
};

const HEAP: SizeOption = SizeOption::new("jobmanager.memory.heap.size");
const OFF_HEAP: SizeOption = SizeOption::mib("jobmanager.memory.off-heap.size", 128);
const LEGACY_HEAP: SizeOption = SizeOption::new("jobmanager.heap.size");
const LEGACY_HEAP_MB: &str = "jobmanager.heap.mb";
const LIMIT_DIRECT: &str = "jobmanager.memory.enable-jvm-direct-memory-limit";

static OPTIONS: ProcessOptions = ProcessOptions {
    role: "JobManager",
    fine_grained: &[HEAP],
    total_flink: SizeOption::new("jobmanager.memory.flink.size"),
    total_process: SizeOption::new("jobmanager.memory.process.size"),
    metaspace: SizeOption::mib("jobmanager.memory.jvm-metaspace.size", 256),
    overhead: RangeOptions {
        min: SizeOption::mib("jobmanager.memory.jvm-overhead.min", 192),
        max: SizeOption::mib("jobmanager.memory.jvm-overhead.max", 1024),
        fraction: FloatOption::new("jobmanager.memory.jvm-overhead.fraction", 0.1),
    },
};

/// The parts of a JobManager's process.
#[derive(Debug, Clone, PartialEq)]
pub struct JobManagerMemory {
    process: Process<JobManagerFlinkMemory>,
    limit_direct: bool,
}

/// What a JobManager with this configuration gets.
pub fn job_manager(conf: &Conf, model: Model) -> Result<JobManagerMemory, MemoryError> {
    let conf = process::with_legacy_heap(model.view(conf), &HEAP, &LEGACY_HEAP, LEGACY_HEAP_MB)?;
    let process = process::derive(&conf)?;
    Ok(JobManagerMemory { process, limit_direct: options::boolean(&conf, LIMIT_DIRECT)? })
}

impl JobManagerMemory {
    /// The whole process.
    pub fn total(&self) -> MemorySize {
        self.process.total
    }

    /// The JVM's heap.
    pub fn heap(&self) -> MemorySize {
        self.process.flink.heap
    }

    /// `-Xmx` and its kin, in Flink's order.
    pub fn jvm_args(&self) -> Vec<String> {
        let direct = self.limit_direct.then_some(self.process.flink.off_heap);
        process::jvm_args(self.heap(), direct, self.process.metaspace)
    }

    /// The keys that Flink's own scripts hand to the process with `-D`.
    pub fn dynamic_configs(&self) -> BTreeMap<String, String> {
        let mut terms = self.parts();
        terms.push(OPTIONS.overhead.max.at(self.process.overhead));
        terms.into_iter().map(process::dynamic).collect()
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
struct JobManagerFlinkMemory {
    heap: MemorySize,
    off_heap: MemorySize,
}

impl FlinkMemory for JobManagerFlinkMemory {
    const OPTIONS: &'static ProcessOptions = &OPTIONS;

    /// Off-heap memory has a default, so it only gives way to the total if it is not set.
    fn from_fine_grained(conf: &Conf) -> Result<Self, MemoryError> {
        let parts = Self { heap: HEAP.get(conf)?, off_heap: OFF_HEAP.get(conf)? };
        if !OPTIONS.total_flink.is_set(conf) {
            return Ok(parts);
        }
        let total = OPTIONS.total_flink.term(conf)?;
        if !OFF_HEAP.is_set(conf) {
            return Ok(Self { off_heap: process::rest(total, vec![HEAP.at(parts.heap)])?, ..parts });
        }
        let sum = Sum(parts.parts());
        if sum.total("the total Flink memory")? == total.size {
            return Ok(parts);
        }
        Err(MemoryError::SumDiffers { parts: sum, total })
    }

    /// The heap gets what off-heap memory leaves, which must be something.
    fn from_total(conf: &Conf, total: MemorySize) -> Result<Self, MemoryError> {
        let off_heap = OFF_HEAP.term(conf)?;
        let total = OPTIONS.total_flink.at(total);
        let heap = process::rest(total, vec![off_heap])?;
        if heap == MemorySize::default() {
            let least = HEAP.at(MemorySize::from_bytes(1));
            return Err(MemoryError::SumExceeds { parts: Sum(vec![off_heap, least]), total });
        }
        Ok(Self { heap, off_heap: off_heap.size })
    }

    fn parts(&self) -> Vec<Term> {
        vec![HEAP.at(self.heap), OFF_HEAP.at(self.off_heap)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conf(pairs: &[(&str, &str)]) -> Conf {
        pairs.iter().map(|(key, value)| (format!("jobmanager.{key}"), value.to_string())).collect()
    }

    #[test]
    fn the_stock_size_gets_flinks_own_arguments() {
        let memory = job_manager(&conf(&[("memory.process.size", "1600m")]), Model::Flink2).unwrap();
        assert_eq!(memory.jvm_args(), ["-Xmx1073741824", "-Xms1073741824", "-XX:MaxMetaspaceSize=268435456"]);
        assert_eq!(memory.total(), MemorySize::from_mib(1600));
        let expected = conf(&[
            ("memory.heap.size", "1073741824b"),
            ("memory.jvm-metaspace.size", "268435456b"),
            ("memory.jvm-overhead.max", "201326592b"),
            ("memory.jvm-overhead.min", "201326592b"),
            ("memory.off-heap.size", "134217728b"),
        ]);
        assert_eq!(memory.dynamic_configs(), expected);
    }

    #[test]
    fn direct_memory_is_limited_on_request() {
        let limited = [("memory.process.size", "1600m"), ("memory.enable-jvm-direct-memory-limit", "true")];
        let memory = job_manager(&conf(&limited), Model::Flink1).unwrap();
        assert_eq!(memory.jvm_args()[2], "-XX:MaxDirectMemorySize=134217728");
    }

    #[test]
    fn old_heap_sizes_are_for_flink_1_only() {
        let old = conf(&[("heap.mb", "512")]);
        assert_eq!(job_manager(&old, Model::Flink1).unwrap().heap(), MemorySize::from_mib(512));
        assert!(matches!(job_manager(&old, Model::Flink2), Err(MemoryError::NotConfigured { .. })));
    }

    #[test]
    fn a_process_without_room_is_told_with_the_sum() {
        let error = job_manager(&conf(&[("memory.process.size", "576m")]), Model::Flink1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "jobmanager.memory.off-heap.size 134217728 + jobmanager.memory.heap.size 1 + \
             jobmanager.memory.jvm-metaspace.size 268435456 + jobmanager.memory.jvm-overhead.min 201326592 = \
             603979777 bytes is more than jobmanager.memory.process.size = 603979776 bytes"
        );
    }
}
