//! Follows who leads.

use std::time::Duration;

use tokio::{sync::mpsc, task::JoinHandle, time::sleep};
use zookeeper_client::{EventType, SessionState};

use super::{Access, ClusterRoot, HaClient, LeaderNode, Quorum, ZkError};

/// Between two attempts to get a session, or an answer in one.
const PAUSE: Duration = Duration::from_secs(1);
/// Changes that nobody has taken yet; beyond these the watch waits, and goes on with what is true then.
const BACKLOG: usize = 16;

/// What is known of the leader.
#[derive(Debug)]
pub enum LeaderView {
    /// What ZooKeeper says.
    Seen(LeaderNode),
    /// ZooKeeper does not answer: whoever led may lead on, or not.
    Unknown(Option<ZkError>),
}

/// Tells of every change of leadership, across lost connections and expired sessions. It ends when it is dropped.
#[derive(Debug)]
pub struct LeaderWatch {
    views: mpsc::Receiver<LeaderView>,
    task: JoinHandle<()>,
}

impl LeaderWatch {
    /// Starts to follow. `deadline` bounds each call, `session_timeout` is asked for the watch's own session.
    pub fn start(
        quorum: Quorum,
        access: Access,
        root: ClusterRoot,
        session_timeout: Duration,
        deadline: Duration,
    ) -> LeaderWatch {
        let (sender, views) = mpsc::channel(BACKLOG);
        let task = tokio::spawn(async move {
            let mut told = Told { sender, last: None };
            loop {
                let connected = HaClient::connect(&quorum, &access, session_timeout, deadline).await;
                let ended = match connected {
                    Ok(client) => follow(&client, &root, &mut told).await,
                    Err(error) => told.unknown(Some(error)).await,
                };
                if ended.is_none() {
                    return;
                }
                sleep(PAUSE).await;
            }
        });
        LeaderWatch { views, task }
    }

    /// The next change; the first one is how things are. Two that follow each other differ.
    pub async fn next(&mut self) -> Option<LeaderView> {
        self.views.recv().await
    }
}

impl Drop for LeaderWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the receiver was told last.
struct Told {
    sender: mpsc::Sender<LeaderView>,
    last: Option<Option<LeaderNode>>,
}

impl Told {
    /// Tells what is new. `None` when nobody listens any more.
    async fn seen(&mut self, node: LeaderNode) -> Option<()> {
        let same = self.last.as_ref().and_then(Option::as_ref) == Some(&node);
        if !same {
            self.last = Some(Some(node.clone()));
            self.sender.send(LeaderView::Seen(node)).await.ok()?;
        }
        Some(())
    }

    async fn unknown(&mut self, error: Option<ZkError>) -> Option<()> {
        if self.last != Some(None) {
            self.last = Some(None);
            self.sender.send(LeaderView::Unknown(error)).await.ok()?;
        }
        Some(())
    }
}

/// Follows until the session is over.
async fn follow(client: &HaClient, root: &ClusterRoot, told: &mut Told) -> Option<()> {
    let mut states = client.states();
    loop {
        let watcher = match client.watch_leader(root).await {
            Ok((node, watcher)) => {
                told.seen(node).await?;
                watcher
            }
            Err(error) => {
                let is_over = error.is_terminal() || states.peek_state().is_terminated();
                told.unknown(Some(error)).await?;
                if is_over {
                    return Some(());
                }
                sleep(PAUSE).await;
                continue;
            }
        };
        let changed = watcher.changed();
        tokio::pin!(changed);
        loop {
            tokio::select! {
                event = &mut changed => {
                    // A session's end is told by its state.
                    if event.event_type == EventType::Session {
                        told.unknown(None).await?;
                        return Some(());
                    }
                    break;
                }
                state = states.changed() => match state {
                    SessionState::Disconnected => told.unknown(None).await?,
                    state if state.is_terminated() => {
                        told.unknown(None).await?;
                        return Some(());
                    }
                    // Connected again: look anew.
                    _ => break,
                },
            }
        }
    }
}
