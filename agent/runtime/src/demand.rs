//! How many TaskManagers the jobs need: decides, and does nothing.
//!
//! Flink's standalone ResourceManager asks nobody for workers, so what jobs lack is told from their tasks. Tasks of
//! vertices of one slot-sharing group run together in a slot, one of each vertex; so a job needs, for each of its
//! groups, as many slots as its widest vertex has tasks that are to run now. A JobManager takes slots for a job as they
//! come and deploys nothing before it has them all: those that it holds already count.

use std::collections::{BTreeMap, BTreeSet};

use kobel_flink::rest::{JobState, JobSummary, TaskCounts, Vertex};

/// What jobs lack.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Demand {
    /// How many jobs lack slots that nobody has.
    pub(crate) jobs: u32,
    /// How many slots those are.
    pub(crate) slots: u32,
    /// How many tasks wait although their jobs have all the slots that they seem to need, and none is free. Before
    /// 1.20 Flink does not tell slot-sharing groups apart, so a job may need more than it seems.
    pub(crate) stuck: u32,
    /// Whether a job is on its way of which nobody can tell yet what it lacks.
    pub(crate) unclear: bool,
    /// TaskManagers that ran tasks of jobs that go on, by their names: what those left there may still be read. Only if
    /// that was asked.
    pub(crate) results: Option<BTreeSet<String>>,
}

/// What one job lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lack {
    /// Slots that it does not have.
    pub(crate) slots: u32,
    /// Tasks that wait although it has them all.
    pub(crate) stuck: u32,
}

/// Whether a job waits for slots.
pub(crate) fn waits(job: &JobSummary) -> bool {
    // Flink's adaptive scheduler has no tasks before it has slots.
    let adaptive = job.state == JobState::Created && job.tasks.total() == 0;
    !job.state.is_terminal() && (job.tasks.scheduled > 0 || adaptive)
}

/// Whether a job will wait for slots, or not, but nobody can tell yet.
pub(crate) fn is_unclear(job: &JobSummary) -> bool {
    matches!(job.state, JobState::Initializing | JobState::Created) && !waits(job)
}

/// What a job lacks that waits and holds so many slots; where that is not known, those that its tasks run in.
pub(crate) fn lack(job: &JobSummary, vertices: &[Vertex], held: Option<u32>) -> Lack {
    // Flink gives the vertices as they were up to 3 s ago, but how many tasks a vertex is to have does not change.
    let all_wait = job.tasks.scheduled == job.tasks.total();
    let placed = |tasks: &TaskCounts| {
        let TaskCounts { deploying, initializing, running, canceling, reconciling, .. } = tasks;
        [initializing, running, canceling, reconciling]
            .into_iter()
            .fold(*deploying, |a, b| a.saturating_add(*b))
    };
    let waiting = |vertex: &Vertex| match all_wait {
        true => u32::try_from(vertex.parallelism).unwrap_or(0),
        false => vertex.tasks.scheduled,
    };
    let running = |vertex: &Vertex| if all_wait { 0 } else { placed(&vertex.tasks) };
    let needed = widest(vertices, |vertex| waiting(vertex).saturating_add(running(vertex)));
    let held = held.unwrap_or_else(|| widest(vertices, running));
    let slots = needed.saturating_sub(held);
    Lack { slots, stuck: if slots == 0 { widest(vertices, waiting) } else { 0 } }
}

/// The sum over the slot-sharing groups of the most tasks that a vertex has.
fn widest(vertices: &[Vertex], tasks: impl Fn(&Vertex) -> u32) -> u32 {
    let mut groups = BTreeMap::new();
    for vertex in vertices {
        let widest = groups.entry(&vertex.slot_sharing_group).or_insert(0);
        *widest = tasks(vertex).max(*widest);
    }
    groups.into_values().fold(0, u32::saturating_add)
}

impl Demand {
    /// What jobs lack together, when so many slots are free.
    pub(crate) fn of(lacks: &[Lack], free: u32) -> Self {
        let sum = |part: fn(&Lack) -> u32| lacks.iter().map(part).fold(0, u32::saturating_add);
        let slots = sum(|lack| lack.slots).saturating_sub(free);
        let jobs = lacks.iter().filter(|lack| lack.slots > 0).count();
        Self {
            jobs: if slots == 0 { 0 } else { u32::try_from(jobs).unwrap_or(u32::MAX) },
            slots,
            // What is free and not taken shows that more of it is of no use.
            stuck: if free == 0 { sum(|lack| lack.stuck) } else { 0 },
            ..Self::default()
        }
    }
}

/// The TaskManagers there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fleet {
    /// How many stay in any case.
    pub(crate) pinned: u32,
    /// How many there may be, not fewer than are pinned.
    pub(crate) most: u32,
    /// How many there shall be up to now.
    pub(crate) wanted: u32,
    /// How many of those are not registered yet: their slots are on their way.
    pub(crate) coming: u32,
    /// Slots of each.
    pub(crate) slots: u32,
}

impl Fleet {
    /// How many there shall be when so many slots are missing.
    pub(crate) fn grown(self, missing: u32) -> u32 {
        let slots = self.slots.max(1);
        let missing = missing.saturating_sub(self.coming.saturating_mul(slots));
        self.within(self.wanted.saturating_add(missing.div_ceil(slots)))
    }

    /// How many there shall be when none is missing and the last so many are of no use.
    pub(crate) fn shrunk(self, unused: u32) -> u32 {
        self.within(self.wanted.saturating_sub(unused))
    }

    fn within(self, wanted: u32) -> u32 {
        wanted.min(self.most).max(self.pinned)
    }
}

#[cfg(test)]
mod tests;
