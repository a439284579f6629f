//! One more container, for something that is no worker and can wait.

use std::{collections::BTreeMap, time::Duration};

use kobel_hadoop_rpc::yarn::{Granted, Launch, LocalResource};
use kobel_plan::{Exit, Resources};
use tokio::{sync::oneshot, time::Instant};

use super::{
    Ask, YarnProvider,
    nodes::start,
    task::{Step, Task},
};

/// What a container is wanted for.
#[derive(Debug)]
pub struct Errand {
    /// What it runs, as a line for the shell.
    pub command: String,
    /// Files beside those that every worker gets.
    pub files: BTreeMap<String, LocalResource>,
    /// Its size.
    pub size: Resources,
    /// How long YARN may take to give it.
    pub within: Duration,
}

/// Why an errand came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoErrand {
    /// YARN had no room.
    #[error("YARN gave no container for it in time")]
    NoRoom,
    /// A worker needs a container.
    #[error("a worker needs a container")]
    Yielded,
    /// There is one already, or this provider has ended.
    #[error("nobody takes errands")]
    Ended,
}

impl YarnProvider {
    /// Has a container of its own do something, and tells how it ended. It yields to every worker. When
    /// this future is dropped, the container is given back.
    pub async fn errand(&self, errand: Errand) -> Result<Exit, NoErrand> {
        let (reply, answer) = oneshot::channel();
        self.asks.send(Ask::Errand(errand, reply)).map_err(|_| NoErrand::Ended)?;
        answer.await.unwrap_or(Err(NoErrand::Ended))
    }
}

/// Who waits for the end of an errand.
pub(super) type Reply = oneshot::Sender<Result<Exit, NoErrand>>;

/// An errand under way.
pub(super) struct UnderWay {
    errand: Errand,
    reply: Reply,
    /// When it is called back unless it has its container.
    until: Instant,
}

impl Task {
    pub(super) fn send_out(&mut self, errand: Errand, reply: Reply) {
        if self.is_over() || !self.fleet.send_out(errand.size) {
            let _ = reply.send(Err(NoErrand::Ended));
            return;
        }
        let until = Instant::now() + errand.within;
        self.errand = Some(UnderWay { errand, reply, until });
        self.hasten();
    }

    /// Calls the errand back if nobody waits for it any more, or others come first. With every heartbeat.
    pub(super) fn tend_errand(&mut self) {
        let Some(UnderWay { reply, until, .. }) = &self.errand else { return };
        let why = if self.fleet.is_short() {
            NoErrand::Yielded
        } else if self.fleet.errand_waits() && Instant::now() >= *until {
            NoErrand::NoRoom
        } else if reply.is_closed() {
            NoErrand::Ended
        } else {
            return;
        };
        self.fleet.call_back();
        self.errand_over(Err(why));
    }

    pub(super) fn start_errand(&mut self, granted: Granted) {
        let Some(UnderWay { errand, .. }) = &self.errand else { return };
        let node = self.nodes.get(&granted.container.node);
        let mut launch = Launch::clone(&self.launch);
        launch.commands = vec![errand.command.clone()];
        launch.files.extend(errand.files.clone());
        self.steps.spawn(async move { Step::ErrandStarted(start(node, &granted, &launch).await) });
    }

    pub(super) fn errand_over(&mut self, end: Result<Exit, NoErrand>) {
        if let Some(UnderWay { reply, .. }) = self.errand.take() {
            // Who waited may be gone.
            let _ = reply.send(end);
        }
    }
}
