//! What JobManager and TaskManager have in common (Flink's `ProcessMemoryUtils`): total Flink memory,
//! JVM metaspace and JVM overhead make up the process, and one of three ways leads to all of them.

use crate::{
    memory::{
        Conf, MemoryError, Sum, Term,
        fraction::{RangeFraction, RangeOptions},
        options::{self, SizeOption},
    },
    units::MemorySize,
};

/// The options of a role's process.
#[derive(Debug)]
pub(super) struct ProcessOptions {
    pub(super) role: &'static str,
    /// Together they settle the total Flink memory.
    pub(super) fine_grained: &'static [SizeOption],
    pub(super) total_flink: SizeOption,
    pub(super) total_process: SizeOption,
    pub(super) metaspace: SizeOption,
    pub(super) overhead: RangeOptions,
}

/// The parts of the total Flink memory of a role.
pub(super) trait FlinkMemory: Sized {
    /// The role's options.
    const OPTIONS: &'static ProcessOptions;

    /// The parts when every fine-grained option is set.
    fn from_fine_grained(conf: &Conf) -> Result<Self, MemoryError>;

    /// The parts of this much.
    fn from_total(conf: &Conf, total: MemorySize) -> Result<Self, MemoryError>;

    /// The parts, to be summed up.
    fn parts(&self) -> Vec<Term>;
}

/// A whole process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Process<F> {
    pub(super) flink: F,
    pub(super) metaspace: MemorySize,
    pub(super) overhead: MemorySize,
    pub(super) total: MemorySize,
}

/// Derives a process from the first of: the fine-grained options, the total Flink memory, the total
/// process memory.
pub(super) fn derive<F: FlinkMemory>(conf: &Conf) -> Result<Process<F>, MemoryError> {
    let options = F::OPTIONS;
    let (flink, metaspace, overhead) = if options.fine_grained.iter().all(|o| o.is_set(conf)) {
        around_flink(conf, options, F::from_fine_grained(conf)?)?
    } else if options.total_flink.is_set(conf) {
        let total = options.total_flink.get(conf)?;
        around_flink(conf, options, F::from_total(conf, total)?)?
    } else if options.total_process.is_set(conf) {
        within_process(conf, options)?
    } else {
        return Err(not_configured(options));
    };
    let mut parts = flink.parts();
    parts.extend([options.metaspace.at(metaspace), options.overhead.min.at(overhead)]);
    let total = Sum(parts).total("the total process memory")?;
    Ok(Process { flink, metaspace, overhead, total })
}

/// Total Flink memory is known: metaspace is as configured, and overhead is what a configured process
/// leaves, or else its fraction of the process to be.
fn around_flink<F: FlinkMemory>(
    conf: &Conf,
    options: &ProcessOptions,
    flink: F,
) -> Result<(F, MemorySize, MemorySize), MemoryError> {
    let metaspace = options.metaspace.get(conf)?;
    let range = RangeFraction::read(conf, &options.overhead)?;
    let mut parts = flink.parts();
    parts.push(options.metaspace.at(metaspace));
    let overhead = if options.total_process.is_set(conf) {
        let rest = rest(options.total_process.term(conf)?, parts)?;
        range.check("JVM overhead", rest)?;
        rest
    } else {
        range.beside(Sum(parts).total("total Flink memory and metaspace")?)?
    };
    Ok((flink, metaspace, overhead))
}

/// Total process memory is known: overhead is its fraction, and Flink gets what is left.
fn within_process<F: FlinkMemory>(
    conf: &Conf,
    options: &ProcessOptions,
) -> Result<(F, MemorySize, MemorySize), MemoryError> {
    let total = options.total_process.term(conf)?;
    let metaspace = options.metaspace.get(conf)?;
    let overhead = RangeFraction::read(conf, &options.overhead)?.of(total.size)?;
    let parts = vec![options.metaspace.at(metaspace), options.overhead.min.at(overhead)];
    let flink = F::from_total(conf, rest(total, parts.clone())?);
    Ok((flink.map_err(|e| within(e, parts, total))?, metaspace, overhead))
}

/// Speaks of the process, which was configured, rather than of the Flink memory derived from it.
fn within(error: MemoryError, jvm: Vec<Term>, process: Term) -> MemoryError {
    match error {
        MemoryError::SumExceeds { mut parts, .. } => {
            parts.0.extend(jvm);
            MemoryError::SumExceeds { parts, total: process }
        }
        other => other,
    }
}

/// What the parts leave of the total.
pub(super) fn rest(total: Term, parts: Vec<Term>) -> Result<MemorySize, MemoryError> {
    let parts = Sum(parts);
    let used = parts.total("the sum of memory sizes")?;
    match total.size.bytes().checked_sub(used.bytes()) {
        Some(rest) => Ok(MemorySize::from_bytes(rest)),
        None => Err(MemoryError::SumExceeds { parts, total }),
    }
}

fn not_configured(options: &ProcessOptions) -> MemoryError {
    let fine_grained: Vec<_> = options.fine_grained.iter().map(|o| o.key).collect();
    let keys =
        vec![options.total_process.key.into(), options.total_flink.key.into(), fine_grained.join(" + ")];
    MemoryError::NotConfigured { role: options.role, keys }
}

/// The JVM arguments of a process, in Flink's order (`ProcessMemoryUtils.generateJvmParametersStr`).
pub(super) fn jvm_args(heap: MemorySize, direct: Option<MemorySize>, metaspace: MemorySize) -> Vec<String> {
    let mut args = vec![format!("-Xmx{}", heap.bytes()), format!("-Xms{}", heap.bytes())];
    args.extend(direct.map(|d| format!("-XX:MaxDirectMemorySize={}", d.bytes())));
    args.push(format!("-XX:MaxMetaspaceSize={}", metaspace.bytes()));
    args
}

/// A size as Flink writes it into dynamic options.
pub(super) fn dynamic(term: Term) -> (String, String) {
    (term.key.into(), format!("{}b", term.size.bytes()))
}

/// Flink 1 reads the heap sizes of its early days as another option, unless that one is set
/// (`MemoryBackwardsCompatibilityUtils`; its environment variables are not for a cluster's plan).
pub(super) fn with_legacy_heap(
    conf: Conf,
    option: &SizeOption,
    legacy: &SizeOption,
    legacy_mb: &str,
) -> Result<Conf, MemoryError> {
    if option.is_set(&conf) {
        return Ok(conf);
    }
    let size = if legacy.is_set(&conf) {
        Some(legacy.get(&conf)?)
    } else {
        let mib = options::integer::<i32>(&conf, legacy_mb)?;
        mib.map(|mib| u64::try_from(mib).map_err(|_| negative(legacy_mb, mib)))
            .transpose()?
            .map(MemorySize::from_mib)
    };
    Ok(conf.into_iter().chain(size.map(|s| dynamic(option.at(s)))).collect())
}

fn negative(key: &str, value: i32) -> MemoryError {
    MemoryError::Unreadable { key: key.into(), value: value.to_string(), expected: "0 or more" }
}
