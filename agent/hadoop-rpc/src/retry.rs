//! When a failed call is made again, where, and after how long (Hadoop's `RetryPolicies`, without its
//! half minutes).

use std::time::Duration;

use crate::client::Repeat;
use crate::error::{Effect, Retry, RpcError};

/// How hard a client tries inside a call's deadline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries in all, over every address. 1 never repeats.
    pub attempts: u32,
    /// The first pause. Later ones double.
    pub first: Duration,
    /// The longest pause.
    pub max: Duration,
    /// How long one try may wait for its answer before the next address gets its turn. `None` leaves it all
    /// the time there is. It does not count for methods of [`Repeat::Once`].
    pub attempt_timeout: Option<Duration>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 10,
            first: Duration::from_millis(100),
            max: Duration::from_secs(2),
            attempt_timeout: None,
        }
    }
}

/// What comes after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    GiveUp,
    Again { other_address: bool, after: Duration },
}

impl RetryPolicy {
    /// One try.
    pub fn none() -> Self {
        Self { attempts: 1, ..Self::default() }
    }

    /// `tries` were made so far, the failed one included, over this many addresses. `jitter` is between 0
    /// and 1.
    pub(crate) fn next(
        &self,
        error: &RpcError,
        repeat: Repeat,
        tries: u32,
        addresses: usize,
        jitter: f64,
    ) -> Next {
        let may_repeat = match error.effect() {
            Effect::NotApplied => true,
            Effect::Unknown => repeat != Repeat::Once,
            Effect::Applied => false,
        };
        let worth = matches!(error.retry(), Retry::Now | Retry::After);
        if !may_repeat || !worth || tries >= self.attempts {
            return Next::GiveUp;
        }
        let other_address = !error.exception().is_some_and(|exception| exception.retriable());
        let round = tries / u32::try_from(addresses.max(1)).unwrap_or(u32::MAX);
        let mid_round = other_address && round * u32::try_from(addresses).unwrap_or(u32::MAX) != tries;
        let at_once = mid_round || tries == 1 && error.retry() == Retry::Now;
        let after = if at_once { Duration::ZERO } else { self.pause(round, jitter) };
        Next::Again { other_address, after }
    }

    fn pause(&self, round: u32, jitter: f64) -> Duration {
        let doubled = self.first.saturating_mul(2u32.saturating_pow(round.saturating_sub(1)));
        doubled.min(self.max).mul_f64(0.5 + jitter.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::error::{Lost, RemoteException};

    fn refused() -> RpcError {
        let source = io::Error::from(io::ErrorKind::ConnectionRefused);
        RpcError::Connect { address: "rm1:8032".to_owned(), source }
    }

    fn remote(class: &str) -> RpcError {
        let exception = RemoteException::new(Some(class.to_owned()), Some("m"), None);
        RpcError::Remote { method: "allocate", address: "rm1:8032".to_owned(), exception }
    }

    fn lost(sent: bool) -> RpcError {
        RpcError::Lost { method: "m", address: "rm1:8032".to_owned(), sent, source: Lost::Closed }
    }

    fn next(error: &RpcError, repeat: Repeat, tries: u32, addresses: usize) -> Next {
        RetryPolicy::default().next(error, repeat, tries, addresses, 0.5)
    }

    fn again(other_address: bool, millis: u64) -> Next {
        Next::Again { other_address, after: Duration::from_millis(millis) }
    }

    #[test]
    fn refused_connections_go_round_the_addresses_and_pause_after_each_round() {
        let tries = |tries| next(&refused(), Repeat::Once, tries, 2);
        assert_eq!(
            [tries(1), tries(2), tries(3), tries(4)],
            [again(true, 0), again(true, 100), again(true, 0), again(true, 200)]
        );
        assert_eq!(next(&refused(), Repeat::Once, 8, 1), again(true, 2000));
        assert_eq!(next(&refused(), Repeat::Once, 10, 1), Next::GiveUp);
    }

    #[test]
    fn a_standby_sends_to_the_next_address_and_retriable_to_the_same() {
        let standby = remote("org.apache.hadoop.ipc.StandbyException");
        assert_eq!(next(&standby, Repeat::Once, 1, 2), again(true, 0));
        let retriable = remote("org.apache.hadoop.ipc.RetriableException");
        assert_eq!(next(&retriable, Repeat::Once, 1, 2), again(false, 100));
    }

    #[test]
    fn a_lost_answer_is_asked_for_again_only_where_that_does_no_harm() {
        assert_eq!(next(&lost(true), Repeat::Idempotent, 1, 1), again(true, 0));
        assert_eq!(next(&lost(true), Repeat::AtMostOnce, 2, 1), again(true, 200));
        assert_eq!(next(&lost(true), Repeat::Once, 1, 1), Next::GiveUp);
        assert_eq!(next(&lost(false), Repeat::Once, 1, 1), again(true, 0));
    }

    #[test]
    fn other_exceptions_and_refused_tokens_are_final() {
        for class in [
            "org.apache.hadoop.yarn.exceptions.ApplicationNotFoundException",
            "org.apache.hadoop.security.AccessControlException",
            "org.apache.hadoop.security.token.SecretManager$InvalidToken",
            "org.apache.hadoop.yarn.exceptions.ApplicationAttemptNotFoundException",
        ] {
            assert_eq!(next(&remote(class), Repeat::Idempotent, 1, 2), Next::GiveUp, "{class}");
        }
    }
}
