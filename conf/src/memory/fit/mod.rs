//! Making room in small processes. Flink's defaults need a TaskManager of 982 MiB and a JobManager of
//! 704 MiB (for a heap of 128 MiB, the least that Flink recommends). Below, kobel shrinks what the
//! user left to Flink, every part by the same share of the way from a comfortable size to its floor,
//! and by no more than it must. The heap gets what is left, and never less than its own share.

mod parts;

use crate::{
    memory::{Conf, JobManagerMemory, MemoryError, Model, Sum, TaskManagerMemory, Term},
    units::MemorySize,
};
use parts::{Fit, Part};

/// A configuration that fits a process of a given size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fitted {
    /// Keys to add to the configuration: the size itself, and the parts that were shrunk.
    pub conf: Conf,
    /// What was shrunk, for a person: `JVM metaspace 256m -> 192m`. Empty if Flink's defaults fit.
    pub notes: Vec<String>,
}

/// Fits a TaskManager of this size, whatever total the configuration names.
pub fn fit_task_manager(total: MemorySize, conf: &Conf, model: Model) -> Result<Fitted, MemoryError> {
    fit::<TaskManagerMemory>(total, &model.view(conf), model)
}

/// Fits a JobManager of this size, whatever total the configuration names.
pub fn fit_job_manager(total: MemorySize, conf: &Conf, model: Model) -> Result<Fitted, MemoryError> {
    fit::<JobManagerMemory>(total, &model.view(conf), model)
}

fn fit<F: Fit>(total: MemorySize, conf: &Conf, model: Model) -> Result<Fitted, MemoryError> {
    let sized = Conf::from([(F::TOTAL.to_string(), total.to_string())]);
    if F::derive(&joined(conf, &sized), model).is_ok_and(|memory| memory.will_do(conf)) {
        return Ok(Fitted { conf: sized, notes: Vec::new() });
    }
    if attempt::<F>(total, conf, model, 0).is_none() {
        return Err(too_small::<F>(total, conf, model));
    }
    let step = greatest(Part::STEPS, |step| attempt::<F>(total, conf, model, step).is_some());
    let shrunk: Vec<_> = free::<F>(conf, step).filter(|(part, size)| *size != part.default).collect();
    let notes = shrunk.iter().map(|(part, size)| format!("{} {} -> {size}", part.name, part.default));
    Ok(Fitted { notes: notes.collect(), conf: keys::<F>(total, conf, step) })
}

/// The parts that the user has not settled, with their sizes at this step.
fn free<F: Fit>(conf: &Conf, step: u64) -> impl Iterator<Item = (&'static Part, String)> {
    F::PARTS.iter().filter(|part| !part.is_settled(conf)).map(move |part| (part, part.at(step).to_string()))
}

/// The keys that make a process at this step.
fn keys<F: Fit>(total: MemorySize, conf: &Conf, step: u64) -> Conf {
    let parts = free::<F>(conf, step).map(|(part, size)| (part.key.to_string(), size));
    parts.chain([(F::TOTAL.to_string(), total.to_string())]).collect()
}

/// The process at this step, if it adds up and its heap has its share.
fn attempt<F: Fit>(total: MemorySize, conf: &Conf, model: Model, step: u64) -> Option<F> {
    let memory = F::derive(&joined(conf, &keys::<F>(total, conf, step)), model).ok()?;
    (F::HEAP.is_settled(conf) || memory.heap() >= F::HEAP.at(step)).then_some(memory)
}

fn joined(conf: &Conf, more: &Conf) -> Conf {
    conf.iter().chain(more).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Says what size would do. If none does, the configuration contradicts itself, and Flink's reason
/// stands.
fn too_small<F: Fit>(total: MemorySize, conf: &Conf, model: Model) -> MemoryError {
    /// In MiB: 64 TiB, more than a process can have.
    const LARGEST: u64 = 1 << 26;
    let at_floor = |mib| attempt::<F>(MemorySize::from_mib(mib), conf, model, 0);
    let missing = greatest(LARGEST, |mib| at_floor(mib).is_none());
    let least = MemorySize::from_mib(missing + 1);
    if let Some(memory) = at_floor(missing + 1).filter(|_| least > total) {
        let parts = memory.parts().into_iter().filter(|part| part.size != MemorySize::default());
        return MemoryError::BelowFloor { role: F::ROLE, total, least, parts: Sum(parts.collect()) };
    }
    match F::derive(&joined(conf, &keys::<F>(total, conf, 0)), model) {
        Err(error) => error,
        Ok(memory) => {
            let total = Term { key: F::TOTAL, size: total };
            MemoryError::SumExceeds { parts: Sum(memory.parts()), total }
        }
    }
}

/// The greatest number up to `most` for which `holds`, by halving. It holds for 0, and up to some
/// number and no further.
fn greatest(most: u64, holds: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0, most);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if holds(middle) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        explain::Explain,
        memory::{job_manager, task_manager},
    };

    const MODEL: Model = Model::Flink1;

    fn mib(mib: u64) -> MemorySize {
        MemorySize::from_mib(mib)
    }

    fn fitted_task_manager(total: u64, conf: &Conf) -> TaskManagerMemory {
        let fitted = fit_task_manager(mib(total), conf, MODEL).unwrap();
        task_manager(&joined(conf, &fitted.conf), MODEL).unwrap()
    }

    #[test]
    fn a_task_manager_of_800m_says_what_it_gave_up() {
        let fitted = fit_task_manager(mib(800), &Conf::new(), MODEL).unwrap();
        let notes = [
            "JVM metaspace 256m -> 210m",
            "JVM overhead 192m -> 146m",
            "framework heap 128m -> 116m",
            "framework off-heap memory 128m -> 105m",
            "batch shuffle memory 64m -> 52m",
            "managed memory 40% of Flink's memory -> 52m",
            "network memory 64m -> 52m",
        ];
        assert_eq!(fitted.notes, notes);
        let memory = fitted_task_manager(800, &Conf::new());
        assert_eq!(memory.total(), mib(800));
        assert_eq!(memory.jvm_args()[0], format!("-Xmx{}", mib(116 + 119).bytes()));
    }

    #[test]
    fn what_fits_flinks_defaults_is_left_alone() {
        for (total, fit) in [(982, fit_task_manager as fn(_, &_, _) -> _), (704, fit_job_manager)] {
            let fitted = fit(mib(total), &Conf::new(), MODEL).unwrap();
            assert_eq!((fitted.notes.len(), fitted.conf.len()), (0, 1));
            assert_ne!(fit(mib(total - 1), &Conf::new(), MODEL).unwrap().notes.len(), 0);
        }
    }

    #[test]
    fn below_the_floor_the_error_names_the_least_size_and_its_parts() {
        let error = fit_task_manager(mib(479), &Conf::new(), MODEL).unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("a TaskManager of 479m is too small, the least that works here is 480m: "),
            "{text}"
        );
        assert!(text.ends_with(" = 503316480 bytes"), "{text}");
        assert_eq!(error.hint().unwrap(), "set taskmanager.memory.process.size to 480m or more");
        let error = fit_job_manager(mib(383), &Conf::new(), MODEL).unwrap_err();
        assert!(matches!(error, MemoryError::BelowFloor { least, .. } if least == mib(384)), "{error}");
    }

    #[test]
    fn what_the_user_settled_stays() {
        let conf = Conf::from([("taskmanager.memory.managed.size".to_string(), "200m".to_string())]);
        let fitted = fit_task_manager(mib(800), &conf, MODEL).unwrap();
        assert!(fitted.notes.iter().all(|note| !note.starts_with("managed memory")), "{:?}", fitted.notes);
        let error = fit_task_manager(mib(500), &conf, MODEL).unwrap_err();
        assert!(matches!(error, MemoryError::BelowFloor { least, .. } if least == mib(666)), "{error}");
    }

    #[test]
    fn a_configuration_that_contradicts_itself_is_told_as_flink_tells_it() {
        let conf = Conf::from([
            ("taskmanager.memory.network.min".to_string(), "90m".to_string()),
            ("taskmanager.memory.network.max".to_string(), "8m".to_string()),
        ]);
        let error = fit_task_manager(mib(800), &conf, MODEL).unwrap_err();
        assert!(matches!(error, MemoryError::Range { .. }), "{error}");
    }

    proptest! {
        #[test]
        fn every_size_from_the_floor_on_fits(total in 480u64..2000) {
            let memory = fitted_task_manager(total, &Conf::new());
            prop_assert_eq!(memory.total(), mib(total));
            prop_assert!(total >= 982 || memory.task_heap() >= mib(64));
        }

        #[test]
        fn a_larger_task_manager_has_no_smaller_part(total in 480u64..981) {
            let parts = |total| fitted_task_manager(total, &Conf::new()).parts();
            for (smaller, larger) in parts(total).iter().zip(parts(total + 1)) {
                // The heap gets the rest, so a step of the others may take a little from it.
                let slack = if smaller.key == TaskManagerMemory::HEAP.key { 8 << 20 } else { 0 };
                prop_assert!(larger.size.bytes() + slack >= smaller.size.bytes(), "{}", smaller.key);
            }
        }

        #[test]
        fn every_job_manager_from_the_floor_on_has_its_heap(total in 384u64..2000) {
            let fitted = fit_job_manager(mib(total), &Conf::new(), MODEL).unwrap();
            let memory = job_manager(&fitted.conf, MODEL).unwrap();
            prop_assert_eq!(memory.total(), mib(total));
            prop_assert!(memory.heap() >= mib(128));
        }

        #[test]
        fn with_parts_settled_it_fits_or_says_what_would(
            total in 1u64..3000,
            settled in proptest::collection::vec((0..TaskManagerMemory::PARTS.len(), 0u64..600), 0..4),
        ) {
            let part = |(i, size): (usize, u64)| (TaskManagerMemory::PARTS[i].key.to_string(), mib(size).to_string());
            let conf: Conf = settled.into_iter().map(part).collect();
            match fit_task_manager(mib(total), &conf, MODEL) {
                Ok(fitted) => prop_assert!(task_manager(&joined(&conf, &fitted.conf), MODEL).is_ok()),
                Err(MemoryError::BelowFloor { least, .. }) => {
                    prop_assert!(least > mib(total));
                    prop_assert!(fit_task_manager(least, &conf, MODEL).is_ok());
                }
                Err(error) => return Err(TestCaseError::fail(error.to_string())),
            }
        }
    }
}
