//! When a job has taken too long to run.

use std::{cell::Cell, time::Duration};

use kobel_plan::Status;
use tokio::time::Instant;

use super::super::news;

/// How long a job may take to run. The queue of a batch job may be hours long: what YARN takes to begin counts only
/// for a user who named the time.
pub(super) struct Patience {
    /// What the user, or the setting, says.
    pub(super) within: Duration,
    /// Whether it is the whole time that counts.
    whole: bool,
    counts_from: Cell<Instant>,
}

impl Patience {
    pub(super) fn new(wish: Option<Duration>, default: Duration) -> Self {
        let counts_from = Cell::new(Instant::now());
        Self { within: wish.unwrap_or(default), whole: wish.is_some(), counts_from }
    }

    /// Takes in where the cluster stands.
    pub(super) fn heard(&self, status: &Status) {
        if news::is_queued(status) && !self.whole {
            self.counts_from.set(Instant::now());
        }
    }

    /// Returns when it has taken too long.
    pub(super) async fn ends(&self) {
        while self.counts_from.get().elapsed() < self.within {
            tokio::time::sleep_until(self.counts_from.get() + self.within).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use kobel_plan::{ClusterState, status::YarnStatus};

    use super::*;
    use crate::render::status::tests::ready;

    /// How long it takes until `patience` ends, with a status heard every second for a minute.
    async fn ends_after(wish: Option<u64>, status: &Status) -> u64 {
        let patience = Patience::new(wish.map(Duration::from_secs), Duration::from_secs(20));
        let since = Instant::now();
        let hearing = async {
            for _ in 0..60 {
                patience.heard(status);
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = hearing => {}
            () = patience.ends() => {}
        }
        since.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_the_queue_of_yarn_does_not_count_unless_it_is_asked_for() {
        let yarn =
            YarnStatus { application_id: "application_1_1".into(), queue: "q".into(), tracking_url: None };
        let queued = Status { state: ClusterState::Starting, agent: None, yarn: Some(yarn), ..ready() };
        assert_eq!(ends_after(None, &queued).await, 59 + 20);
        assert_eq!(ends_after(Some(30), &queued).await, 30);
        let begun = Status { agent: ready().agent, ..queued.clone() };
        assert_eq!(ends_after(None, &begun).await, 20);
        let local = Status { yarn: None, ..queued };
        assert_eq!(ends_after(None, &local).await, 20);
    }
}
