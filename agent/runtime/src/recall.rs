//! What the workers themselves know of their cluster. It is written into their environment when they
//! are launched ([`Launch::NOTE`]), so it is there for as long as they live, whatever became of the
//! record: an agent that finds none takes the workers over at the same addresses all the same.

use std::{
    fmt, fs,
    str::FromStr,
    time::{SystemTime, UNIX_EPOCH},
};

use kobel_plan::{ClusterDir, Launch, Phase, Role, WorkerSpec};
use kobel_provider::Recovered;

use crate::ports::Ports;

/// When a plan was written, in nanoseconds since 1970. It tells the workers of this plan from those
/// of a former cluster of the same name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PlanStamp(u64);

impl PlanStamp {
    /// The stamp of the plan in this directory.
    pub(crate) fn of(dir: &ClusterDir) -> Self {
        let written = fs::metadata(dir.plan()).and_then(|found| found.modified());
        let since = written.ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        Self(since.and_then(|since| since.as_nanos().try_into().ok()).unwrap_or_default())
    }

    /// The moment that it names.
    pub(crate) fn written_at(self) -> SystemTime {
        UNIX_EPOCH + std::time::Duration::from_nanos(self.0)
    }
}

/// What a worker knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Note {
    /// The plan that it was launched by.
    pub(crate) plan: PlanStamp,
    /// Where it finds the JobManager, or is it.
    pub(crate) ports: Ports,
    /// Where the front listened.
    pub(crate) front: u16,
}

impl Note {
    /// Hands it to a worker.
    pub(crate) fn leave_with(self, spec: &mut WorkerSpec) {
        spec.launch.env.insert(Launch::NOTE.into(), self.to_string());
    }

    /// What this worker knows.
    pub(crate) fn of(recovered: &Recovered) -> Option<Self> {
        recovered.note.as_ref()?.parse().ok()
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plan: PlanStamp(plan), ports: Ports { rpc, rest }, front } = self;
        write!(f, "plan={plan} rpc={rpc} rest={rest} front={front}")
    }
}

/// A text that is no [`Note`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoNote;

impl FromStr for Note {
    type Err = NoNote;

    fn from_str(text: &str) -> Result<Self, NoNote> {
        let mut parts = text.split(' ');
        let mut next = |key: &str| {
            let value = parts.next()?.strip_prefix(key)?.strip_prefix('=')?;
            value.parse::<u64>().ok()
        };
        let mut note = || {
            let plan = PlanStamp(next("plan")?);
            let mut port = |key| next(key)?.try_into().ok();
            Some(Self {
                plan,
                ports: Ports { rpc: port("rpc")?, rest: port("rest")? },
                front: port("front")?,
            })
        };
        let note = note().ok_or(NoNote)?;
        parts.next().is_none().then_some(note).ok_or(NoNote)
    }
}

/// What the living workers of this plan know. Where they disagree the JobManager is right, which
/// listens there, and without one the TaskManager that was launched most often.
pub(crate) fn recall(plan: PlanStamp, recovered: &[Recovered]) -> Option<Note> {
    let living = recovered.iter().filter(|worker| !matches!(worker.phase, Phase::Exited(_)));
    let notes =
        living.filter_map(|worker| Some((worker, Note::of(worker).filter(|note| note.plan == plan)?)));
    notes.max_by_key(|(worker, _)| (worker.id.role == Role::JobManager, worker.attempt)).map(|(_, note)| note)
}

#[cfg(test)]
mod tests {
    use kobel_plan::{Attempt, Exit, WorkerId};
    use proptest::prelude::*;

    use super::*;

    const PLAN: PlanStamp = PlanStamp(7);

    fn note(rpc: u16) -> Note {
        Note { plan: PLAN, ports: Ports { rpc, rest: 2 }, front: 3 }
    }

    fn worker(id: WorkerId, attempt: Attempt, note: impl ToString) -> Recovered {
        let phase = Phase::Running { host: "here".into(), pid: Some(1), container: None };
        Recovered { id, attempt, phase, note: Some(note.to_string()) }
    }

    #[test]
    fn the_living_jobmanager_is_right() {
        let (first, second) = (Attempt::FIRST, Attempt::FIRST.next());
        let jm = worker(WorkerId::jm(0), first, note(1));
        let tms = [worker(WorkerId::tm(0), first, note(4)), worker(WorkerId::tm(1), second, note(5))];
        let all = [tms[0].clone(), jm.clone(), tms[1].clone()];
        assert_eq!(recall(PLAN, &all), Some(note(1)));
        assert_eq!(recall(PLAN, &tms), Some(note(5)));
        let dead = Recovered { phase: Phase::Exited(Exit::Code(1)), ..jm };
        assert_eq!(recall(PLAN, &[dead, tms[0].clone()]), Some(note(4)));
    }

    #[test]
    fn who_belongs_to_another_plan_or_says_nothing_is_not_heard() {
        let stranger = worker(WorkerId::jm(0), Attempt::FIRST, Note { plan: PlanStamp(8), ..note(1) });
        let mute = Recovered { note: None, ..stranger.clone() };
        let babbler = worker(WorkerId::jm(0), Attempt::FIRST, "hello");
        assert_eq!(recall(PLAN, &[stranger, mute, babbler]), None);
    }

    proptest! {
        #[test]
        fn a_note_is_read_as_it_was_written(plan: u64, rpc: u16, rest: u16, front: u16) {
            let note = Note { plan: PlanStamp(plan), ports: Ports { rpc, rest }, front };
            prop_assert_eq!(note.to_string().parse(), Ok(note));
        }

        #[test]
        fn any_text_is_a_note_or_none(text in "(plan=|rpc=|rest=|front=| |[0-9]{1,6}|.){0,12}") {
            if let Ok(note) = text.parse::<Note>() {
                // As written, or with leading zeros or signs.
                prop_assert_eq!(note.to_string().parse(), Ok(note));
            }
        }
    }
}
