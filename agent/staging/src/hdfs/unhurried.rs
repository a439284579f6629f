//! Closing a file without losing a race.
//!
//! A NameNode lets a file be closed when the DataNode has reported its last block, which it does a few
//! milliseconds after it acknowledged it to us. hdfs-native asks the NameNode at once, and when that was too
//! early, as it was for half of our small files, it waits half a second before it asks again.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Sleep, sleep};

/// How long a DataNode's report may take.
const REPORT: Duration = Duration::from_millis(6);

/// Some work that goes on a little later than it could, each time that it is woken.
pub(super) struct Unhurried<F> {
    work: Pin<Box<F>>,
    state: State,
}

enum State {
    /// To be polled at once.
    Ready,
    /// Waits for something; what wakes it begins a pause.
    Waiting,
    Pausing(Pin<Box<Sleep>>),
}

impl<F: Future> Unhurried<F> {
    pub(super) fn new(work: F) -> Self {
        Self { work: Box::pin(work), state: State::Ready }
    }
}

impl<F: Future> Future for Unhurried<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        if let State::Waiting = self.state {
            self.state = State::Pausing(Box::pin(sleep(REPORT)));
        }
        if let State::Pausing(pause) = &mut self.state {
            ready!(pause.as_mut().poll(cx));
        }
        self.state = State::Waiting;
        self.work.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_waited_goes_on_a_little_later_and_what_did_not_at_once() {
        let (send, receive) = oneshot::channel();
        let waiting = tokio::spawn(Unhurried::new(async move {
            let sent: Instant = receive.await.unwrap();
            sent.elapsed()
        }));
        // Longer than the pause: it begins when the work is woken, not when it begins to wait.
        sleep(3 * REPORT).await;
        send.send(Instant::now()).unwrap();
        assert!(waiting.await.unwrap() >= REPORT);

        let since = Instant::now();
        for _ in 0..20 {
            assert_eq!(Unhurried::new(std::future::ready(1)).await, 1);
        }
        assert!(since.elapsed() < 20 * REPORT);
    }
}
