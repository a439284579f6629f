//! What the workers themselves know of their cluster. It is written into their environment when they
//! are launched ([`Launch::NOTE`]), so it is there for as long as they live, whatever became of the
//! record: an agent that finds none takes the workers over at the same addresses all the same.

use std::{
    collections::BTreeMap,
    fmt, fs,
    str::FromStr,
    time::{SystemTime, UNIX_EPOCH},
};

use kobel_plan::{ClusterDir, Launch, Phase, Role, WorkerId, WorkerSpec};
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
    /// Where the front listened.
    pub(crate) front: u16,
    /// Where it listens, if it is a JobManager; else where it finds one, unless ZooKeeper tells it.
    pub(crate) ports: Option<Ports>,
    /// Where it finds the cluster's own ZooKeeper, or is it.
    pub(crate) zookeeper: Option<u16>,
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

    /// Whether a worker that knows this finds, and is found by, those who know the other.
    pub(crate) fn fits(self, other: Self) -> bool {
        Self { front: 0, ..self } == Self { front: 0, ..other }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plan: PlanStamp(plan), front, ports, zookeeper } = self;
        write!(f, "plan={plan} front={front}")?;
        if let Some(Ports { rpc, rest }) = ports {
            write!(f, " rpc={rpc} rest={rest}")?;
        }
        match zookeeper {
            Some(port) => write!(f, " zookeeper={port}"),
            None => Ok(()),
        }
    }
}

/// A text that is no [`Note`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoNote;

impl FromStr for Note {
    type Err = NoNote;

    fn from_str(text: &str) -> Result<Self, NoNote> {
        let mut known = BTreeMap::new();
        for part in text.split(' ') {
            let (key, value) = part.split_once('=').ok_or(NoNote)?;
            known.insert(key, value.parse::<u64>().map_err(|_| NoNote)?);
        }
        let mut port = |key| known.remove(key).map(u16::try_from).transpose().map_err(|_| NoNote);
        let (front, rpc, rest, zookeeper) = (port("front")?, port("rpc")?, port("rest")?, port("zookeeper")?);
        let plan = PlanStamp(known.remove("plan").ok_or(NoNote)?);
        let ports = match (rpc, rest) {
            (Some(rpc), Some(rest)) => Some(Ports { rpc, rest }),
            (None, None) => None,
            _ => return Err(NoNote),
        };
        let note = Self { plan, front: front.ok_or(NoNote)?, ports, zookeeper };
        known.is_empty().then_some(note).ok_or(NoNote)
    }
}

/// What workers of one plan know together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Recalled {
    /// Where the front listened.
    pub(crate) front: u16,
    /// Where each JobManager listens.
    pub(crate) ports: BTreeMap<WorkerId, Ports>,
    /// Where the cluster's own ZooKeeper listens.
    pub(crate) zookeeper: Option<u16>,
}

/// What the living workers of this plan know. Where they disagree a JobManager is right, which listens
/// there, and without one the worker that was launched most often.
pub(crate) fn recall(plan: PlanStamp, recovered: &[Recovered]) -> Option<Recalled> {
    let living = recovered.iter().filter(|worker| !matches!(worker.phase, Phase::Exited(_)));
    let mut notes: Vec<_> = living
        .filter_map(|worker| Some((worker, Note::of(worker).filter(|note| note.plan == plan)?)))
        .collect();
    notes.sort_by_key(|(worker, _)| (worker.id.role == Role::JobManager, worker.attempt));
    let mut recalled = Recalled { front: notes.last()?.1.front, ..Recalled::default() };
    for (worker, note) in notes {
        // The one that TaskManagers know is the only one.
        let master = if worker.id.role == Role::JobManager { worker.id } else { WorkerId::jm(0) };
        recalled.ports.extend(note.ports.map(|ports| (master, ports)));
        recalled.zookeeper = note.zookeeper.or(recalled.zookeeper);
    }
    Some(recalled)
}

#[cfg(test)]
mod tests {
    use kobel_plan::{Attempt, Exit};
    use proptest::prelude::*;

    use super::*;

    const PLAN: PlanStamp = PlanStamp(7);

    fn note(rpc: u16) -> Note {
        Note { plan: PLAN, front: 3, ports: Some(Ports { rpc, rest: 2 }), zookeeper: None }
    }

    fn worker(id: WorkerId, attempt: Attempt, note: impl ToString) -> Recovered {
        let phase = Phase::Running { host: "here".into(), pid: Some(1), container: None };
        Recovered { id, attempt, phase, note: Some(note.to_string()) }
    }

    fn recalled(notes: &[(WorkerId, Note)]) -> Option<Recalled> {
        let ports = notes.iter().filter_map(|(id, note)| Some((*id, note.ports?))).collect();
        Some(Recalled { front: 3, ports, zookeeper: notes.iter().find_map(|(_, note)| note.zookeeper) })
    }

    #[test]
    fn the_living_jobmanager_is_right() {
        let (first, second) = (Attempt::FIRST, Attempt::FIRST.next());
        let jm = worker(WorkerId::jm(0), first, note(1));
        let tms = [worker(WorkerId::tm(0), first, note(4)), worker(WorkerId::tm(1), second, note(5))];
        let all = [tms[0].clone(), jm.clone(), tms[1].clone()];
        assert_eq!(recall(PLAN, &all), recalled(&[(WorkerId::jm(0), note(1))]));
        assert_eq!(recall(PLAN, &tms), recalled(&[(WorkerId::jm(0), note(5))]));
        let dead = Recovered { phase: Phase::Exited(Exit::Code(1)), ..jm };
        assert_eq!(recall(PLAN, &[dead, tms[0].clone()]), recalled(&[(WorkerId::jm(0), note(4))]));
    }

    #[test]
    fn of_several_jobmanagers_each_knows_its_own_ports() {
        let masters = [(WorkerId::jm(0), note(1)), (WorkerId::jm(1), Note { zookeeper: Some(9), ..note(6) })];
        let tm = worker(WorkerId::tm(0), Attempt::FIRST, Note { ports: None, ..note(0) });
        let all: Vec<_> =
            masters.iter().map(|(id, note)| worker(*id, Attempt::FIRST, note)).chain([tm]).collect();
        assert_eq!(recall(PLAN, &all), recalled(&masters));
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
        fn a_note_is_read_as_it_was_written(plan: u64, ports: Option<(u16, u16)>, front: u16, zookeeper: Option<u16>) {
            let ports = ports.map(|(rpc, rest)| Ports { rpc, rest });
            let note = Note { plan: PlanStamp(plan), front, ports, zookeeper };
            prop_assert_eq!(note.to_string().parse(), Ok(note));
        }

        #[test]
        fn any_text_is_a_note_or_none(text in "(plan=|rpc=|rest=|front=|zookeeper=| |[0-9]{1,6}|.){0,12}") {
            if let Ok(note) = text.parse::<Note>() {
                // As written, or in another order, with leading zeros or signs.
                prop_assert_eq!(note.to_string().parse(), Ok(note));
            }
        }
    }
}
