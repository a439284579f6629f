//! Tells of JobManagers that hang: alive, and deaf. ZooKeeper hears of such a one no sooner than its session ends,
//! and one that does not lead is missed by nobody until it is needed. As long as ZooKeeper does not answer either, it may
//! be us who hears nobody, and nothing is told.

use std::{collections::BTreeMap, future::Future, net::SocketAddr, time::Duration};

use futures_util::future::join_all;
use tokio::{
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval},
};

use super::{Master, News};
use crate::observe::Target;

/// Between two questions to one JobManager, and how long an answer may take.
const PACE: Duration = Duration::from_secs(1);

/// Asks every JobManager until nobody wants to know. One that has answered before, and then not for `silence`, hangs.
/// Questions are counted, not time: when this process itself stood still, they missed nothing. `in_touch` tells whether
/// ZooKeeper answers.
pub(super) async fn watch_over<Z: Future<Output = bool> + Send>(
    silence: Duration,
    mut masters: watch::Receiver<Vec<Target>>,
    news: mpsc::Sender<News>,
    in_touch: impl Fn() -> Z + Send,
) {
    let Ok(client) = reqwest::Client::builder().no_proxy().timeout(PACE).pool_max_idle_per_host(0).build()
    else {
        return;
    };
    let patience = u32::try_from(silence.as_millis().div_ceil(PACE.as_millis())).unwrap_or(u32::MAX);
    let mut missed: BTreeMap<Master, Option<u32>> = BTreeMap::new();
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = pace.tick() => {}
            over = masters.changed() => match over {
                Ok(()) => continue,
                Err(_) => return,
            },
        }
        let targets = masters.borrow_and_update().clone();
        let told = join_all(targets.iter().map(|target| answers(&client, target.rest))).await;
        let mut counted = BTreeMap::new();
        for (target, answered) in targets.iter().zip(told) {
            let count = count(missed.get(&target.of).copied().flatten(), answered);
            // Asked once more after ZooKeeper has answered: all of it may have been away until just now.
            let hangs = count.is_some_and(|count| count >= patience)
                && in_touch().await
                && !answers(&client, target.rest).await;
            // Told once: from then on it is as if it had never answered.
            counted.insert(target.of, count.filter(|_| !hangs));
            if hangs && news.send(News::Hangs(target.of)).await.is_err() {
                return;
            }
        }
        missed = counted;
    }
}

/// Questions in a row without an answer; none before the first answer.
fn count(before: Option<u32>, answered: bool) -> Option<u32> {
    if answered { Some(0) } else { before.map(|missed| missed + 1) }
}

/// Whether it answers anything. A standby's refusal is an answer.
async fn answers(client: &reqwest::Client, rest: SocketAddr) -> bool {
    client.get(format!("http://{rest}/config")).send().await.is_ok()
}

#[cfg(test)]
mod tests {
    use std::{future::ready, time::Instant};

    use kobel_plan::{Attempt, WorkerId};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
        time::timeout,
    };

    use super::*;

    const NO_SLEEP: Duration = Duration::from_secs(60);

    /// Answers so many questions, and from then on takes connections and says nothing.
    async fn master(index: u32, questions: u32) -> Target {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let rest = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut held = vec![];
            for asked in 0.. {
                let (mut stream, _) = listener.accept().await.unwrap();
                if asked < questions {
                    let mut question = [0; 1024];
                    let _ = stream.read(&mut question).await;
                    let _ = stream.write_all(b"HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n").await;
                } else {
                    held.push(stream);
                }
            }
        });
        Target { of: (WorkerId::jm(index), Attempt::FIRST), rest }
    }

    #[tokio::test]
    async fn one_that_answered_once_and_then_no_more_hangs_and_is_told_once() {
        let (deaf, fine, starting) = (master(0, 1).await, master(1, u32::MAX).await, master(2, 0).await);
        let (_masters, targets) = watch::channel(vec![deaf, fine, starting]);
        let (news, mut told) = mpsc::channel(1);
        let began = Instant::now();
        let watching = tokio::spawn(watch_over(PACE, targets, news, || ready(true)));
        let first = timeout(NO_SLEEP, told.recv()).await.unwrap();
        assert!(matches!(first, Some(News::Hangs(master)) if master == deaf.of), "{first:?}");
        assert!(began.elapsed() >= PACE, "one question was waited for");
        let second = timeout(PACE * 3, told.recv()).await;
        assert!(second.is_err(), "{second:?}");
        watching.abort();
    }

    #[tokio::test]
    async fn who_hears_nobody_tells_nothing() {
        let deaf = master(0, 1).await;
        let (_masters, targets) = watch::channel(vec![deaf]);
        let (news, mut told) = mpsc::channel(1);
        let (touch, touched) = watch::channel(false);
        let watching = tokio::spawn(watch_over(PACE, targets, news, move || ready(*touched.borrow())));
        assert!(timeout(PACE * 4, told.recv()).await.is_err());
        touch.send_replace(true);
        let first = timeout(NO_SLEEP, told.recv()).await.unwrap();
        assert!(matches!(first, Some(News::Hangs(master)) if master == deaf.of), "{first:?}");
        watching.abort();
    }
}
