//! When a cluster, or the job that it is for, has taken too long to come.

use std::{cell::Cell, time::Duration};

use kobel_plan::Status;
use tokio::time::Instant;

/// How long it may take. A queue of YARN may be hours long: what that takes to begin counts only for a user who named
/// the time.
#[derive(Debug)]
pub struct Patience {
    within: Duration,
    /// Whether it is the whole time that counts.
    whole: bool,
    counts_from: Cell<Instant>,
}

impl Patience {
    /// So long as the user wishes, or, from when YARN begins, as the setting says.
    pub fn new(wish: Option<Duration>, default: Duration) -> Self {
        let counts_from = Cell::new(Instant::now());
        Self { within: wish.unwrap_or(default), whole: wish.is_some(), counts_from }
    }

    /// The time that was wished for, or set.
    pub fn within(&self) -> Duration {
        self.within
    }

    /// Takes in where the cluster stands.
    pub fn heard(&self, status: &Status) {
        if status.is_queued() && !self.whole {
            self.counts_from.set(Instant::now());
        }
    }

    /// Returns when it has taken too long.
    pub async fn ends(&self) {
        while self.counts_from.get().elapsed() < self.within {
            tokio::time::sleep_until(self.counts_from.get() + self.within).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use kobel_plan::status::{AgentStatus, YarnStatus};

    use super::*;
    use crate::registry::tests::plan;

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
        let starting = Status::starting(&plan("/log".as_ref()), Timestamp::UNIX_EPOCH);
        let queued = Status { yarn: Some(yarn), ..starting };
        assert_eq!(ends_after(None, &queued).await, 59 + 20);
        assert_eq!(ends_after(Some(30), &queued).await, 30);
        let agent = AgentStatus { host: "localhost".into(), pid: 1 };
        let begun = Status { agent: Some(agent), ..queued.clone() };
        assert_eq!(ends_after(None, &begun).await, 20);
        let local = Status { yarn: None, ..queued };
        assert_eq!(ends_after(None, &local).await, 20);
    }
}
