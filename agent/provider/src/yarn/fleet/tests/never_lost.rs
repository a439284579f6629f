//! Whatever comes in whatever order: no container is lost, and none is with two.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Want(u32),
    Ship(usize, bool),
    Grant(i32, i64),
    Started(usize, bool),
    Ended(usize, i32),
    Release(usize),
    Beat,
    Refused,
    StartOver,
}

fn step() -> impl Strategy<Value = Step> {
    let any = 0..64usize;
    prop_oneof![
        4 => (0..4u32).prop_map(Step::Want),
        4 => (any.clone(), prop::bool::weighted(0.9)).prop_map(|(i, ok)| Step::Ship(i, ok)),
        4 => (1..4i32, 1..4i64).prop_map(|(priority, n)| Step::Grant(priority, n)),
        4 => (any.clone(), prop::bool::weighted(0.8)).prop_map(|(i, ok)| Step::Started(i, ok)),
        2 => (any.clone(), prop::sample::select(vec![0, 1, 143, -100, -102, -105]))
            .prop_map(|(i, status)| Step::Ended(i, status)),
        2 => any.prop_map(Step::Release),
        2 => Just(Step::Beat),
        1 => Just(Step::Refused),
        1 => Just(Step::StartOver),
    ]
}

/// The fleet, and what the world around it has seen.
#[derive(Default)]
struct World {
    fleet: Fleet,
    attempts: [u32; 4],
    wanted: Vec<Key>,
    unshipped: Vec<Key>,
    starting: Vec<Key>,
    started: BTreeSet<ContainerId>,
    granted: Vec<ContainerId>,
    given_back: BTreeSet<ContainerId>,
    ended: BTreeSet<ContainerId>,
    told: Vec<(Key, &'static str)>,
}

fn pick<T>(list: &[T], index: usize) -> Option<&T> {
    list.get(index.checked_rem(list.len())?)
}

impl World {
    fn take(&mut self, step: Step) {
        let effects = match step {
            Step::Want(index) => self.want(index),
            Step::Ship(index, ok) => {
                let Some(key) = pick(&self.unshipped, index).copied() else { return };
                self.unshipped.retain(|other| *other != key);
                self.fleet.shipped(key, if ok { file() } else { Err("no".into()) })
            }
            Step::Grant(priority, count) => {
                let first = self.granted.len() as i64;
                self.granted.extend((first..first + count).map(id));
                self.answered(grants(priority, first..first + count))
            }
            Step::Started(index, ok) => {
                let Some(key) = pick(&self.starting, index).copied() else { return };
                self.starting.retain(|other| *other != key);
                self.fleet.started(key, if ok { Ok(()) } else { Err("no".into()) })
            }
            Step::Ended(index, status) => {
                let Some(container) = pick(&self.granted, index).copied() else { return };
                self.ended.insert(container);
                self.answered(ends(container.id, status))
            }
            Step::Release(index) => {
                let Some(key) = pick(&self.wanted, index).copied() else { return };
                self.fleet.release(key)
            }
            Step::Beat => self.answered(Allocated::default()),
            Step::Refused => {
                self.fleet.outbox.beat(0.0, None);
                self.fleet.refused("no")
            }
            Step::StartOver => {
                self.fleet.outbox.start_over();
                Vec::new()
            }
        };
        self.note(effects);
    }

    /// The next attempt of a worker, of a size by its index; refused while the former lives.
    fn want(&mut self, index: u32) -> Vec<Effect> {
        let key = key(index, self.attempts[index as usize] + 1);
        let Ok(effects) = self.fleet.want(key, size(1024 << (index % 2))) else { return Vec::new() };
        self.attempts[index as usize] += 1;
        self.wanted.push(key);
        self.unshipped.push(key);
        effects
    }

    fn answered(&mut self, answer: Allocated) -> Vec<Effect> {
        self.given_back.extend(self.fleet.outbox.beat(0.0, None).releases);
        self.fleet.answered(answer)
    }

    fn note(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Start(key, granted, _) => {
                    assert!(self.started.insert(granted.container.id), "{key:?} is started twice");
                    self.starting.push(key);
                }
                Effect::Terminate(key, _, container) => {
                    assert_eq!(self.fleet.holder(container).map(|(key, _)| key), Some(key));
                }
                Effect::StartErrand(_) | Effect::ErrandOver(_) => panic!("nobody sent one out"),
                Effect::Tell(WorkerEvent { id, attempt, phase, .. }) => {
                    let phase = match phase {
                        Phase::Pending => "pending",
                        Phase::Running { .. } => "running",
                        Phase::Exited(_) => "exited",
                    };
                    let key = (id, attempt);
                    let before = self.told.iter().filter(|told| told.0 == key);
                    assert!(before.clone().all(|told| told.1 != phase && told.1 != "exited"), "{key:?}");
                    self.told.push((key, phase));
                }
            }
        }
    }

    fn check(&self) {
        for priority in 1..=2 {
            let waits =
                |worker: &&Worker| worker.priority == priority && matches!(worker.stage, Stage::Waiting);
            let waiting = self.fleet.workers.values().filter(waits).count();
            assert_eq!(self.fleet.outbox.wanted(priority, None), waiting as i32, "asks are absolute");
        }
        let held: Vec<_> = self.fleet.workers.values().filter_map(|w| w.stage.container()).collect();
        assert_eq!(held.iter().collect::<BTreeSet<_>>().len(), held.len(), "one container with two workers");
        for container in held {
            assert!(!self.given_back.contains(&container), "{container} is held and given back");
            assert!(!self.ended.contains(&container), "{container} is held and over");
        }
    }

    /// Every container granted is with a worker, given back, or over.
    fn check_all(mut self) {
        // What a refusal put off comes with the second heartbeat.
        for _ in 0..2 {
            let effects = self.answered(Allocated::default());
            self.note(effects);
        }
        self.check();
        for container in &self.granted {
            let held = self.fleet.holder(*container).is_some();
            let settled = self.given_back.contains(container) || self.ended.contains(container);
            assert!(held || settled, "{container} is lost");
        }
    }
}

proptest! {
    #[test]
    fn no_container_is_lost_or_with_two(steps in prop::collection::vec(step(), 0..120)) {
        let mut world = World::default();
        for step in steps {
            world.take(step);
            world.check();
        }
        world.check_all();
    }
}
