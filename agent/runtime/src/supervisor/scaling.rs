//! TaskManagers beyond those that are pinned: they come when jobs lack slots, and go when they were of no use for a
//! while.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use kobel_conf::units::parse_duration;
use kobel_plan::{EventKind, Wanted, WorkerId};

use super::Supervisor;
use crate::{
    demand::{Demand, Fleet},
    observe::{Needs, Observation},
    reconcile::Worker,
    standing,
};

/// Flink's key for how long a TaskManager may be of no use.
const IDLE_KEY: &str = "resourcemanager.taskmanager-timeout";
/// And what holds without.
const IDLE: Duration = Duration::from_secs(30);
/// A job that has all the slots that it seems to need is deployed within this time, or needs more.
const STUCK: Duration = Duration::from_secs(2);

/// What is remembered of the jobs' needs.
#[derive(Debug, Default)]
pub(super) struct Scaling {
    /// Since when TaskManagers above the pinned are of no use, by their numbers: registered with all their slots free,
    /// or not registered.
    unused: BTreeMap<u32, (bool, Instant)>,
    /// Since when jobs wait that lack nothing as far as one can tell.
    stuck: Option<Instant>,
    /// One of them may have been of no use for long enough: the question whose answer decides that.
    asked: Option<u64>,
}

impl Scaling {
    /// How many of the last of them, up to this number, have been of no use for so long.
    fn unused_for(&self, wanted: u32, long: Duration, now: Instant) -> u32 {
        let is_unused = |index: &u32| {
            let since = self.unused.get(index).map(|(_, since)| *since);
            since.is_some_and(|since| now.saturating_duration_since(since) >= long)
        };
        let last = (0..wanted).rev().take_while(is_unused).count();
        u32::try_from(last).unwrap_or(u32::MAX)
    }
}

impl Supervisor {
    /// Asks for more TaskManagers if jobs lack slots that are not on their way.
    pub(super) fn bring_what_jobs_lack(&mut self, now: Instant) {
        let Some(demand) = self.demand().cloned() else { return };
        let fleet = self.fleet();
        let is_stuck = demand.slots == 0 && demand.stuck > 0 && fleet.coming == 0;
        let since = is_stuck.then(|| *self.scaling.stuck.get_or_insert(now));
        self.scaling.stuck = since;
        let (jobs, slots) = match since {
            Some(since) if now.saturating_duration_since(since) >= STUCK => (1, demand.stuck),
            _ => (demand.jobs, demand.slots),
        };
        let wanted = fleet.grown(slots);
        if wanted > fleet.wanted {
            self.scaling.stuck = None;
            let jobs = counted(jobs, "job needs", "jobs need");
            let slots = counted(slots, "more slot", "more slots");
            let most = if wanted == fleet.most { ", the most" } else { "" };
            self.have(wanted, format!("{jobs} {slots}: {}{most}", task_managers(wanted)));
        }
    }

    /// Lets the last TaskManagers go that were of no use for long enough. To be called with an answer that was given
    /// just now: a job that came since is not to find its slots gone.
    pub(super) fn let_go_what_no_job_needs(&mut self) {
        if self.record.ending.is_some() {
            return;
        }
        let now = Instant::now();
        self.note_unused(now);
        let Some((observed, demand)) = self.observed.as_ref().zip(self.demand()) else { return };
        let is_answer = self.scaling.asked.is_some_and(|serial| observed.serial >= serial);
        let Some(results) = demand.results.as_ref().filter(|_| is_answer) else { return };
        let fleet = self.fleet();
        let unused = self.scaling.unused_for(fleet.wanted, self.idle_time(), now);
        let read = (0..fleet.wanted).rev().take(unused as usize);
        let may_go =
            read.take_while(|index| !self.tm_name(*index).is_some_and(|name| results.contains(&name)));
        let wanted = fleet.shrunk(u32::try_from(may_go.count()).unwrap_or(0));
        if wanted < fleet.wanted {
            let gone = counted(fleet.wanted - wanted, "TaskManager was", "TaskManagers were");
            let time = self.idle_time();
            self.have(wanted, format!("{gone} idle for {time:?}: {}", task_managers(wanted)));
        }
    }

    /// Has exactly so many pinned. What a job needs beyond stays for as long as it does; what is of no use goes.
    pub(super) fn pin(&mut self, wanted: Wanted) {
        let before = self.record.present().task_managers;
        let unused = match wanted.task_managers < self.record.wanted.task_managers {
            true => self.scaling.unused_for(before, Duration::ZERO, Instant::now()),
            false => 0,
        };
        self.record.wanted = wanted;
        let fleet = Fleet { wanted: before, ..self.fleet() };
        self.record.extra_task_managers = fleet.shrunk(unused) - fleet.pinned;
    }

    /// What the observer is to find out. Asks anew if the answer decides about who goes.
    pub(super) fn needs(&mut self) -> Needs {
        let pinned = self.record.wanted.task_managers;
        if self.record.ending.is_some() || self.plan.most_task_managers(pinned) == pinned {
            self.scaling = Scaling::default();
            return Needs::Nothing;
        }
        let is_due = self.release_at().is_some_and(|at| at <= Instant::now());
        if !is_due {
            self.scaling.asked = None;
        } else if self.scaling.asked.is_none() {
            self.looks.asked += 1;
            self.scaling.asked = Some(self.looks.asked);
        }
        if is_due { Needs::Results } else { Needs::Slots }
    }

    /// Whether it will be known within moments what jobs lack.
    pub(super) fn needs_are_unclear(&self) -> bool {
        self.demand().is_some_and(|demand| demand.unclear)
    }

    /// When to look again at what jobs need although nothing happened.
    pub(super) fn scaling_wake(&self) -> Option<Instant> {
        let release = self.release_at().filter(|_| self.scaling.asked.is_none());
        let stuck = self.scaling.stuck.map(|since| since + STUCK);
        // What is past was decided.
        release.into_iter().chain(stuck.filter(|at| *at > Instant::now())).min()
    }

    /// When the last TaskManager has been of no use for long enough.
    fn release_at(&self) -> Option<Instant> {
        let last = self.record.present().task_managers.checked_sub(1)?;
        self.scaling.unused.get(&last).map(|(_, since)| *since + self.idle_time())
    }

    /// Notes since when which TaskManagers are of no use: none of them while a job lacks something.
    fn note_unused(&mut self, now: Instant) {
        let is_content = |demand: &Demand| demand.slots == 0 && demand.stuck == 0 && !demand.unclear;
        let Some(observed) = self.observed.as_ref().filter(|_| self.demand().is_some_and(is_content)) else {
            self.scaling.unused.clear();
            return;
        };
        let extra = self.record.wanted.task_managers..self.record.present().task_managers;
        let unused = extra.filter_map(|index| {
            let registered = self.slots_of(observed, index);
            let is_idle = registered.is_none_or(|slots| slots.free == slots.total);
            let former = self.scaling.unused.get(&index).copied();
            let former = former.filter(|(was_registered, _)| *was_registered == registered.is_some());
            is_idle.then(|| (index, former.unwrap_or((registered.is_some(), now))))
        });
        self.scaling.unused = unused.collect();
    }

    fn have(&mut self, task_managers: u32, why: String) {
        self.record.extra_task_managers = task_managers.saturating_sub(self.record.wanted.task_managers);
        self.scaling.asked = None;
        self.event(EventKind::Scaled, None, why);
    }

    fn fleet(&self) -> Fleet {
        let (pinned, wanted) = (self.record.wanted.task_managers, self.record.present());
        let registered =
            self.observed.as_ref().map_or(0, |observed| standing::registered(wanted, &self.table, observed));
        Fleet {
            pinned,
            most: self.plan.most_task_managers(pinned),
            wanted: wanted.task_managers,
            coming: wanted.task_managers.saturating_sub(registered),
            slots: self.plan.slots_each(),
        }
    }

    fn demand(&self) -> Option<&Demand> {
        self.observed.as_ref()?.demand.as_ref()
    }

    fn slots_of(&self, observed: &Observation, index: u32) -> Option<kobel_plan::status::Slots> {
        observed.registered.get(&self.tm_name(index)?).copied()
    }

    /// The name of the living attempt.
    fn tm_name(&self, index: u32) -> Option<String> {
        let id = WorkerId::tm(index);
        self.table
            .get(id)
            .filter(|worker| worker.exit().is_none())
            .map(|worker: &Worker| id.attempt_name(worker.attempt))
    }

    fn idle_time(&self) -> Duration {
        self.plan.conf.get(IDLE_KEY).and_then(|text| parse_duration(text).ok()).unwrap_or(IDLE)
    }
}

fn counted(count: u32, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn task_managers(count: u32) -> String {
    counted(count, "TaskManager", "TaskManagers")
}
