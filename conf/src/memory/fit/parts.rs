//! Which parts may shrink, and how far. The floors were tried with real Flink, 1.20.5 and 2.3.0: a
//! TaskManager and a JobManager of the least size ran WordCount, in streaming and in batch mode, and
//! SQL, and stayed resident within it.

use crate::{
    memory::{
        Conf, JobManagerMemory, MemoryError, Model, TaskManagerMemory, Term, job_manager, task_manager,
    },
    units::MemorySize,
};

/// A part that may shrink.
pub(super) struct Part {
    pub(super) name: &'static str,
    /// The key that sets it.
    pub(super) key: &'static str,
    /// What Flink gives it by default.
    pub(super) default: &'static str,
    /// In MiB; with less the process does not run well.
    floor: u64,
    /// In MiB; what it has in the largest process that needs fitting. Flink's default where that is a
    /// fixed size.
    comfort: u64,
    /// Other keys by which a user may have settled it.
    others: &'static [&'static str],
}

impl Part {
    /// The way from floor to comfort, in steps: sizes come out in whole MiB.
    pub(super) const STEPS: u64 = 256;

    const fn new(
        name: &'static str,
        key: &'static str,
        default: &'static str,
        floor: u64,
        comfort: u64,
    ) -> Self {
        Self { name, key, default, floor, comfort, others: &[] }
    }

    const fn or(self, others: &'static [&'static str]) -> Self {
        Self { others, ..self }
    }

    /// Whether the user has settled it.
    pub(super) fn is_settled(&self, conf: &Conf) -> bool {
        conf.contains_key(self.key) || self.others.iter().any(|key| conf.contains_key(*key))
    }

    /// Its size so many steps from its floor.
    pub(super) fn at(&self, step: u64) -> MemorySize {
        MemorySize::from_mib(self.floor + (self.comfort - self.floor) * step / Self::STEPS)
    }
}

/// A role that can be fitted.
pub(super) trait Fit: Sized {
    const ROLE: &'static str;
    /// The key of the process's size.
    const TOTAL: &'static str;
    /// The part that gets what is left.
    const HEAP: Part;
    /// The others.
    const PARTS: &'static [Part];

    fn derive(conf: &Conf, model: Model) -> Result<Self, MemoryError>;

    /// The size of [`Self::HEAP`].
    fn heap(&self) -> MemorySize;

    /// What the process is made of.
    fn parts(&self) -> Vec<Term>;

    /// Whether Flink's defaults, if they add up, will do.
    fn will_do(&self, conf: &Conf) -> bool;
}

impl Fit for TaskManagerMemory {
    const ROLE: &'static str = "TaskManager";
    const TOTAL: &'static str = "taskmanager.memory.process.size";
    const HEAP: Part = Part::new("task heap", "taskmanager.memory.task.heap.size", "the rest", 64, 150);
    const PARTS: &'static [Part] = &[
        Part::new("JVM metaspace", "taskmanager.memory.jvm-metaspace.size", "256m", 128, 256),
        Part::new("JVM overhead", "taskmanager.memory.jvm-overhead.min", "192m", 64, 192)
            .or(&["taskmanager.memory.jvm-overhead.max", "taskmanager.memory.jvm-overhead.fraction"]),
        Part::new("framework heap", "taskmanager.memory.framework.heap.size", "128m", 96, 128),
        Part::new("framework off-heap memory", "taskmanager.memory.framework.off-heap.size", "128m", 64, 128),
        // Lies within framework off-heap memory, of which it is half by default as well.
        Part::new(
            "batch shuffle memory",
            "taskmanager.memory.framework.off-heap.batch-shuffle.size",
            "64m",
            32,
            64,
        ),
        // 40% of so little would leave next to nothing for the heap, which every job needs.
        Part::new("managed memory", "taskmanager.memory.managed.size", "40% of Flink's memory", 32, 64)
            .or(&["taskmanager.memory.size", "taskmanager.memory.managed.fraction"]),
        Part::new("network memory", "taskmanager.memory.network.min", "64m", 32, 64).or(&[
            "taskmanager.memory.network.max",
            "taskmanager.memory.network.fraction",
            "taskmanager.network.memory.min",
            "taskmanager.network.memory.max",
            "taskmanager.network.memory.fraction",
            "taskmanager.network.numberOfBuffers",
        ]),
    ];

    fn derive(conf: &Conf, model: Model) -> Result<Self, MemoryError> {
        task_manager(conf, model)
    }

    fn heap(&self) -> MemorySize {
        self.task_heap()
    }

    fn parts(&self) -> Vec<Term> {
        self.parts()
    }

    fn will_do(&self, _: &Conf) -> bool {
        true
    }
}

impl Fit for JobManagerMemory {
    const ROLE: &'static str = "JobManager";
    const TOTAL: &'static str = "jobmanager.memory.process.size";
    /// Flink's `JobManagerOptions.MIN_JVM_HEAP_SIZE`.
    const HEAP: Part = Part::new("JVM heap", "jobmanager.memory.heap.size", "the rest", 128, 128)
        .or(&["jobmanager.heap.size", "jobmanager.heap.mb"]);
    const PARTS: &'static [Part] = &[
        Part::new("JVM metaspace", "jobmanager.memory.jvm-metaspace.size", "256m", 128, 256),
        Part::new("JVM overhead", "jobmanager.memory.jvm-overhead.min", "192m", 64, 192)
            .or(&["jobmanager.memory.jvm-overhead.max", "jobmanager.memory.jvm-overhead.fraction"]),
        Part::new("off-heap memory", "jobmanager.memory.off-heap.size", "128m", 64, 128),
    ];

    fn derive(conf: &Conf, model: Model) -> Result<Self, MemoryError> {
        job_manager(conf, model)
    }

    fn heap(&self) -> MemorySize {
        self.heap()
    }

    fn parts(&self) -> Vec<Term> {
        self.parts()
    }

    /// Flink only warns of a heap below the least it recommends; kobel makes room for it.
    fn will_do(&self, conf: &Conf) -> bool {
        Self::HEAP.is_settled(conf) || self.heap() >= Self::HEAP.at(0)
    }
}
