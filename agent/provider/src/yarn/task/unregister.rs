//! The last words of a master.

use std::time::Duration;

use kobel_conf::chain;
use kobel_hadoop_rpc::{
    Retry,
    yarn::{FinalStatus, MasterError, Scheduler},
};
use tokio::time::Instant;

use super::Task;
use crate::{Outcome, ProviderError};

/// Between two requests to unregister.
const AGAIN: Duration = Duration::from_millis(100);
/// How long unregistering may take.
const WITHIN: Duration = Duration::from_secs(30);

impl Task {
    /// Unregisters, unless that is done already. Then this process must go.
    pub(super) async fn unregister(&mut self, outcome: Outcome, words: &str) -> Result<(), ProviderError> {
        if self.unregistered {
            return Ok(());
        }
        while self.scheduler.is_none() {
            match self.steps.join_next().await {
                Some(step) => self.advance(step),
                None => return Err(ProviderError::Ended),
            }
        }
        let Some(mut scheduler) = self.scheduler.take() else { return Err(ProviderError::Ended) };
        let done = self.until_confirmed(&mut scheduler, outcome, words).await;
        self.unregistered = done.is_ok();
        if done.is_err() {
            self.scheduler = Some(scheduler);
        }
        done
    }

    /// Until they are confirmed, the words are repeated.
    async fn until_confirmed(
        &self,
        scheduler: &mut Scheduler,
        outcome: Outcome,
        words: &str,
    ) -> Result<(), ProviderError> {
        let status = match outcome {
            Outcome::Succeeded => FinalStatus::Succeeded,
            Outcome::Failed => FinalStatus::Failed,
            Outcome::Killed => FinalStatus::Killed,
        };
        let deadline = Instant::now() + WITHIN;
        loop {
            match scheduler.finish(status, words, "").await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(MasterError::NotRegistered) => {
                    let _ = scheduler.register(&self.registration).await;
                }
                Err(error) if error.retry() == Retry::Fenced || Instant::now() >= deadline => {
                    return Err(ProviderError::Yarn { attempt: "unregister", why: chain(&error) });
                }
                Err(error) => tracing::warn!(error = chain(&error), "could not unregister yet"),
            }
            if Instant::now() >= deadline {
                let why = format!("not confirmed within {} s", WITHIN.as_secs());
                return Err(ProviderError::Yarn { attempt: "unregister", why });
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}
