//! One container for something that is no worker. It yields: while a worker waits, there is none.

use kobel_hadoop_rpc::yarn::{Ask, Completed, ContainerId, Granted, Place, Resource};
use kobel_plan::{Exit, Resources};

use super::{Effect, Fleet, Stage, container_size, exit};

/// After every worker's: the larger the number, the later its turn.
pub(super) const PRIORITY: i32 = 1_000_000;

/// Where an errand stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Errand {
    /// Its container is asked for.
    Waiting,
    /// It has one.
    Placed(ContainerId),
}

impl Fleet {
    /// Asks for a container with the next heartbeat. One errand at a time: false if there is one already.
    pub(in crate::yarn) fn send_out(&mut self, size: Resources) -> bool {
        if self.errand.is_some() {
            return false;
        }
        self.errand = Some(Errand::Waiting);
        self.ask_for_errand(1, container_size(size));
        true
    }

    /// Ends the errand, wherever it stands.
    pub(in crate::yarn) fn call_back(&mut self) {
        match self.errand.take() {
            Some(Errand::Waiting) => self.ask_for_errand(0, Resource::new(1, 1)),
            Some(Errand::Placed(container)) => self.outbox.release(container),
            None => {}
        }
    }

    fn ask_for_errand(&mut self, count: i32, size: Resource) {
        let place = Place::Any;
        self.outbox.ask(Ask {
            priority: PRIORITY,
            allocation_id: None,
            place,
            size,
            count,
            node_label: self.node_label.clone(),
        });
    }

    /// Whether its container is still being waited for.
    pub(in crate::yarn) fn errand_waits(&self) -> bool {
        self.errand == Some(Errand::Waiting)
    }

    /// Whether a worker has no container yet.
    pub(in crate::yarn) fn is_short(&self) -> bool {
        self.workers.values().any(|worker| matches!(worker.stage, Stage::Waiting))
    }

    /// Whether the errand waits for this container.
    pub(super) fn is_for_errand(&self, granted: &Granted) -> bool {
        granted.container.priority == PRIORITY && self.errand_waits()
    }

    /// The errand has its container.
    pub(super) fn errand_granted(&mut self, granted: Granted) -> Vec<Effect> {
        self.errand = Some(Errand::Placed(granted.container.id));
        vec![Effect::StartErrand(Box::new(granted))]
    }

    /// Whether this container is the errand's.
    pub(super) fn is_errand(&self, container: ContainerId) -> bool {
        self.errand == Some(Errand::Placed(container))
    }

    /// Its container ended.
    pub(super) fn errand_completed(&mut self, completed: &Completed) -> Vec<Effect> {
        self.errand = None;
        vec![Effect::ErrandOver(exit::of_container(completed))]
    }

    /// The node did not take it on.
    pub(in crate::yarn) fn errand_failed(&mut self, diagnostics: String) -> Vec<Effect> {
        if self.errand.is_none() {
            return Vec::new();
        }
        self.call_back();
        vec![Effect::ErrandOver(Exit::LaunchFailed { diagnostics })]
    }

    /// YARN refused these asks.
    pub(super) fn errand_refused(&mut self, asks: &[Ask], why: &str) -> Vec<Effect> {
        match asks.iter().any(|ask| ask.priority == PRIORITY && ask.count > 0) {
            true => self.errand_failed(why.into()),
            false => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::*, *};

    fn errand_starts(effects: &[Effect]) -> bool {
        matches!(effects, [Effect::StartErrand(_)])
    }

    #[test]
    fn an_errand_gets_one_container_and_its_end_is_told() {
        let mut fleet = Fleet::default();
        assert!(fleet.send_out(size(1024)));
        assert!(!fleet.send_out(size(1024)), "one at a time");
        assert_eq!(asked(&said(&mut fleet)), [(PRIORITY, 1024, 1)]);
        let effects = fleet.answered(grants(PRIORITY, [7]));
        assert!(errand_starts(&effects), "{effects:?}");
        assert!(!fleet.errand_waits());
        fleet.answered(grants(PRIORITY, [8]));
        assert_eq!(said(&mut fleet).releases, [id(8)], "one too many");
        assert_eq!(fleet.answered(ends(7, 0)), [Effect::ErrandOver(Exit::Code(0))]);
        assert!(fleet.send_out(size(1024)));
    }

    #[test]
    fn an_errand_that_is_called_back_leaves_neither_ask_nor_container() {
        let mut fleet = Fleet::default();
        fleet.send_out(size(1024));
        said(&mut fleet);
        fleet.call_back();
        assert_eq!(asked(&said(&mut fleet)), [(PRIORITY, 1, 0)]);
        // It was granted at the same moment.
        assert!(fleet.answered(grants(PRIORITY, [3])).is_empty());
        assert_eq!(said(&mut fleet).releases, [id(3)]);

        fleet.send_out(size(1024));
        said(&mut fleet);
        fleet.answered(grants(PRIORITY, [4]));
        fleet.call_back();
        assert_eq!(said(&mut fleet).releases, [id(4)]);
        assert!(fleet.answered(ends(4, -100)).is_empty(), "nobody is told of it any more");
    }

    #[test]
    fn a_worker_never_gets_the_errands_container_nor_the_errand_a_workers() {
        let mut fleet = Fleet::default();
        fleet.want(key(0, 1), size(1024)).unwrap();
        assert!(fleet.is_short());
        fleet.send_out(size(1024));
        fleet.shipped(key(0, 1), file());
        said(&mut fleet);
        assert_eq!(starts(&fleet.answered(grants(1, [1]))), [key(0, 1)]);
        assert!(!fleet.is_short() && fleet.errand_waits());
        assert!(errand_starts(&fleet.answered(grants(PRIORITY, [2]))));
        // After a restart of the ResourceManager it is ours still.
        fleet.stray(&container(PRIORITY, 2));
        assert!(said(&mut fleet).releases.is_empty());
    }

    #[test]
    fn an_errand_that_is_refused_or_does_not_start_is_over() {
        let mut fleet = Fleet::default();
        fleet.send_out(size(1 << 20));
        fleet.outbox.beat(0.0, None);
        assert!(matches!(&fleet.refused("too large")[..], [Effect::ErrandOver(Exit::LaunchFailed { .. })]));
        fleet.send_out(size(1024));
        said(&mut fleet);
        fleet.answered(grants(PRIORITY, [2]));
        let effects = fleet.errand_failed("no token".into());
        assert!(matches!(&effects[..], [Effect::ErrandOver(Exit::LaunchFailed { .. })]), "{effects:?}");
        assert_eq!(said(&mut fleet).releases, [id(2)]);
        assert!(fleet.errand_failed("again".into()).is_empty());
    }
}
