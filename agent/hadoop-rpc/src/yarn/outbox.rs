//! What a master wants of the ResourceManager, kept so that it can be said again.

use std::collections::{BTreeMap, BTreeSet};

use super::{Allocated, Ask, Beat, ContainerId, Place, Resource};

/// Part of what the scheduler tells asks apart by; the size is not.
type Key = (i32, Option<i64>, Place);

/// What a master wants of the ResourceManager: the absolute asks, the containers it gives back, the hosts
/// it shuns. It makes the next heartbeat of what has changed; a heartbeat without an answer is made again
/// as it was; and after the ResourceManager has forgotten the master, all that stands is said anew.
#[derive(Debug, Default)]
pub struct Outbox {
    asks: BTreeMap<Key, Ask>,
    changed: BTreeSet<Key>,
    releasing: BTreeSet<ContainerId>,
    unsaid_releases: BTreeSet<ContainerId>,
    shunned: BTreeSet<String>,
    shun: BTreeSet<String>,
    unshun: BTreeSet<String>,
    unanswered: Option<Beat>,
}

impl Outbox {
    /// An outbox with nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Wants `ask.count` containers in all of this kind that are not granted yet. It replaces what was
    /// wanted of the same key, granted or not: count what has been granted before asking.
    pub fn ask(&mut self, ask: Ask) {
        let key = (ask.priority, ask.allocation_id, ask.place.clone());
        if self.asks.get(&key) != Some(&ask) {
            self.asks.insert(key.clone(), ask);
            self.changed.insert(key);
        }
    }

    /// How many containers of this priority and allocation id are wanted anywhere and not granted yet.
    pub fn wanted(&self, priority: i32, allocation_id: Option<i64>) -> i32 {
        self.asks.get(&(priority, allocation_id, Place::Any)).map_or(0, |ask| ask.count)
    }

    /// Gives a container back.
    pub fn release(&mut self, id: ContainerId) {
        if self.releasing.insert(id) {
            self.unsaid_releases.insert(id);
        }
    }

    /// Uses a host no more.
    pub fn shun(&mut self, host: &str) {
        if self.shunned.insert(host.into()) && !self.unshun.remove(host) {
            self.shun.insert(host.into());
        }
    }

    /// Uses a host again.
    pub fn unshun(&mut self, host: &str) {
        if self.shunned.remove(host) && !self.shun.remove(host) {
            self.unshun.insert(host.into());
        }
    }

    /// Whether the next heartbeat has something to say.
    pub fn has_news(&self) -> bool {
        !(self.unanswered.is_none()
            && self.changed.is_empty()
            && self.unsaid_releases.is_empty()
            && self.shun.is_empty()
            && self.unshun.is_empty())
    }

    /// The heartbeat to send: the last one, as long as it has no answer, else what has changed.
    pub fn beat(&mut self, progress: f32, tracking_url: Option<String>) -> Beat {
        if let Some(beat) = &self.unanswered {
            return beat.clone();
        }
        let changed = std::mem::take(&mut self.changed);
        let beat = Beat {
            asks: changed.iter().filter_map(|key| self.asks.get(key).cloned()).collect(),
            releases: std::mem::take(&mut self.unsaid_releases).into_iter().collect(),
            shun: std::mem::take(&mut self.shun).into_iter().collect(),
            unshun: std::mem::take(&mut self.unshun).into_iter().collect(),
            progress,
            tracking_url,
        };
        self.unanswered = Some(beat.clone());
        beat
    }

    /// The heartbeat was answered: what was granted is wanted no longer.
    pub fn answered(&mut self, answer: &Allocated) {
        if let Some(beat) = self.unanswered.take() {
            let taken_back = beat.asks.into_iter().filter(|ask| ask.count == 0);
            for ask in taken_back {
                let key = (ask.priority, ask.allocation_id, ask.place);
                if self.asks.get(&key).is_some_and(|ask| ask.count == 0) {
                    self.asks.remove(&key);
                }
            }
        }
        for granted in &answer.granted {
            let container = &granted.container;
            // Hadoop 2 says 0 where none was given.
            let exact = (container.priority, container.allocation_id, Place::Any);
            let key = if self.asks.contains_key(&exact) { exact } else { (exact.0, None, exact.2) };
            if let Some(ask) = self.asks.get_mut(&key) {
                // The scheduler has counted it down itself: nothing to say.
                ask.count = (ask.count - 1).max(0);
            }
        }
        for completed in &answer.completed {
            self.releasing.remove(&completed.id);
            self.unsaid_releases.remove(&completed.id);
        }
    }

    /// The heartbeat was refused: nothing of it applies, and it must not be said again as it was. Gives
    /// back its asks, which are taken back with the next heartbeat; releases and hosts are said again.
    pub fn refused(&mut self) -> Vec<Ask> {
        let Some(beat) = self.unanswered.take() else { return Vec::new() };
        for ask in &beat.asks {
            // In place of a size that was too large: it would be refused without a single container, too.
            self.ask(Ask { count: 0, size: Resource::new(1, 1), ..ask.clone() });
        }
        self.unsaid_releases.extend(beat.releases.iter().filter(|id| self.releasing.contains(id)));
        self.shun.extend(beat.shun.into_iter().filter(|host| self.shunned.contains(host)));
        self.unshun.extend(beat.unshun.into_iter().filter(|host| !self.shunned.contains(host)));
        beat.asks
    }

    /// The master had to register again: all that stands is to be said anew.
    pub fn start_over(&mut self) {
        self.unanswered = None;
        self.asks.retain(|_, ask| ask.count > 0);
        self.changed = self.asks.keys().cloned().collect();
        self.unsaid_releases = self.releasing.clone();
        self.shun = self.shunned.clone();
        self.unshun.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Token,
        yarn::{ApplicationId, AttemptId, Completed, Container, ContainerExit, Granted, NodeId},
    };

    fn id(number: i64) -> ContainerId {
        let application = ApplicationId { cluster_timestamp: 1, number: 1 };
        ContainerId { attempt: AttemptId { application, number: 1 }, id: number }
    }

    fn ask(priority: i32, count: i32) -> Ask {
        Ask {
            priority,
            allocation_id: None,
            place: Place::Any,
            size: Resource::new(256, 1),
            count,
            node_label: None,
        }
    }

    fn granted(priority: i32, number: i64) -> Granted {
        let container = Container {
            id: id(number),
            node: NodeId { host: "a".into(), port: 1 },
            node_http: String::new(),
            size: Resource::new(256, 1),
            priority,
            allocation_id: None,
        };
        Granted { container, token: Token::default() }
    }

    fn grants(priority: i32, numbers: std::ops::Range<i64>) -> Allocated {
        Allocated { granted: numbers.map(|n| granted(priority, n)).collect(), ..Default::default() }
    }

    #[test]
    fn only_changes_are_said_and_grants_count_down() {
        let mut outbox = Outbox::new();
        outbox.ask(ask(1, 3));
        assert_eq!(outbox.beat(0.0, None).asks, [ask(1, 3)]);
        outbox.answered(&grants(1, 0..1));
        assert_eq!(outbox.wanted(1, None), 2);
        assert!(!outbox.has_news());
        assert!(outbox.beat(0.0, None).asks.is_empty());
        outbox.answered(&grants(1, 1..3));
        outbox.ask(ask(1, 1));
        assert_eq!(outbox.beat(0.0, None).asks, [ask(1, 1)]);
    }

    #[test]
    fn an_allocation_id_that_nobody_gave_counts_down_all_the_same() {
        let mut outbox = Outbox::new();
        outbox.ask(ask(1, 1));
        outbox.beat(0.0, None);
        let mut answer = grants(1, 0..1);
        answer.granted[0].container.allocation_id = Some(0);
        outbox.answered(&answer);
        assert_eq!(outbox.wanted(1, None), 0);
        outbox.ask(ask(1, 1));
        assert_eq!(outbox.beat(0.0, None).asks, [ask(1, 1)], "another one is asked for");
    }

    #[test]
    fn a_heartbeat_without_an_answer_is_said_again_as_it_was() {
        let mut outbox = Outbox::new();
        outbox.ask(ask(1, 3));
        outbox.release(id(9));
        let lost = outbox.beat(0.1, None);
        outbox.ask(ask(2, 1));
        assert_eq!(outbox.beat(0.9, None), lost);
        outbox.answered(&Allocated::default());
        let next = outbox.beat(0.9, None);
        assert_eq!((next.asks, next.releases), (vec![ask(2, 1)], vec![]));
    }

    #[test]
    fn after_a_new_registration_all_that_stands_is_said() {
        let mut outbox = Outbox::new();
        outbox.ask(ask(1, 3));
        outbox.ask(ask(2, 1));
        outbox.release(id(7));
        outbox.release(id(8));
        outbox.shun("bad");
        outbox.shun("worse");
        outbox.beat(0.0, None);
        let ended = Completed { id: id(8), exit: ContainerExit::Aborted, diagnostics: String::new() };
        outbox.answered(&Allocated { completed: vec![ended], ..grants(1, 1..2) });
        outbox.ask(ask(2, 0));
        outbox.unshun("worse");
        outbox.start_over();
        let beat = outbox.beat(0.0, None);
        assert_eq!((beat.asks, beat.releases), (vec![ask(1, 2)], vec![id(7)]));
        assert_eq!((beat.shun, beat.unshun), (vec!["bad".to_string()], vec![]));
    }

    #[test]
    fn a_refused_ask_is_taken_back_and_the_rest_is_kept() {
        let mut outbox = Outbox::new();
        let huge = Ask { size: Resource::new(1 << 40, 1), ..ask(1, 3) };
        outbox.ask(huge.clone());
        outbox.release(id(7));
        outbox.shun("bad");
        outbox.beat(0.0, None);
        assert_eq!(outbox.refused(), [huge]);
        let beat = outbox.beat(0.0, None);
        assert_eq!(beat.asks, [Ask { size: Resource::new(1, 1), ..ask(1, 0) }]);
        assert_eq!((beat.releases, beat.shun), (vec![id(7)], vec!["bad".to_string()]));
        outbox.answered(&Allocated::default());
        assert!(!outbox.has_news());
        outbox.start_over();
        assert!(outbox.beat(0.0, None).asks.is_empty());
    }

    #[test]
    fn a_host_shunned_and_used_again_at_once_is_not_mentioned() {
        let mut outbox = Outbox::new();
        outbox.shun("a");
        outbox.unshun("a");
        assert!(!outbox.has_news());
        outbox.shun("a");
        outbox.beat(0.0, None);
        outbox.answered(&Allocated::default());
        outbox.unshun("a");
        assert_eq!(outbox.beat(0.0, None).unshun, ["a"]);
    }
}
