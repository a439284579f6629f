//! What the agent knows of a JobManager's end, put together when it is over.

use std::path::{Path, PathBuf};

use kobel_flink::{
    ha::{Evidence, SessionId, SessionLog, Sessions},
    own_log,
};
use kobel_plan::Death;

use super::Master;

/// A JobManager's end.
#[derive(Debug)]
pub(crate) struct Obituary {
    /// Whose.
    pub(crate) of: Master,
    /// What was seen of it.
    pub(crate) death: Death,
    /// What it published as its REST API's address, or would have.
    pub(crate) rest: String,
    /// The session that published its address as the leader's, if it ever led.
    pub(crate) observed: Option<SessionId>,
    /// Its sessions as far as they are known without its log.
    pub(crate) known: Vec<SessionId>,
    /// Where it wrote its sessions down.
    pub(crate) logs: PathBuf,
    /// The JobManagers that live.
    pub(crate) alive: Vec<Master>,
    /// Where those of them that are here write theirs down.
    pub(crate) alive_logs: PathBuf,
}

/// What a JobManager says its REST API's address is.
pub(crate) fn rest_address(host: &str, port: u16) -> String {
    format!("http://{host}:{port}")
}

impl Obituary {
    /// It as evidence. Reads the logs of sessions.
    pub(crate) async fn evidence(self) -> Evidence {
        let Self { of, death, rest, observed, known, logs, alive, alive_logs } = self;
        let read = move || {
            let log = |logs: &Path, (id, attempt): Master| {
                let path = logs.join(own_log::SESSIONS.file_name(&id.attempt_name(attempt)));
                SessionLog::read(&path).unwrap_or_else(|error| {
                    tracing::warn!(path = %path.display(), %error, "could not read a log of sessions");
                    None
                })
            };
            let own = log(&logs, of).map(|log| log.sessions());
            let alive = alive.into_iter().filter_map(|master| log(&alive_logs, master));
            let alive = alive.flat_map(|log| log.sessions()).collect();
            (own, alive)
        };
        let (own, alive) = tokio::task::spawn_blocking(read).await.unwrap_or_default();
        let sessions = match (own, observed) {
            // A process that logs otherwise, by logback, has an empty one or none.
            (Some(own), _) if !own.is_empty() => Sessions::Logged(own),
            _ if !known.is_empty() => Sessions::Logged(known),
            (_, Some(observed)) => Sessions::Observed(observed),
            (_, None) => Sessions::Unknown,
        };
        Evidence { death, sessions, rest_address: rest, alive }
    }
}

#[cfg(test)]
mod tests {
    use kobel_plan::{Attempt, WorkerId};

    use super::*;

    fn write(dir: &Path, master: Master, session: u64) {
        let line = format!(
            "1 Session establishment complete on server x, session id = {session:#x}, negotiated timeout = 4000\n"
        );
        std::fs::write(dir.join(own_log::SESSIONS.file_name(&master.0.attempt_name(master.1))), line)
            .unwrap();
    }

    #[tokio::test]
    async fn the_dead_and_the_living_wrote_their_sessions_down_in_places_of_their_own() {
        let (former, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (dead, alive) = ((WorkerId::jm(0), Attempt::FIRST), (WorkerId::jm(1), Attempt::FIRST));
        write(former.path(), dead, 7);
        write(here.path(), alive, 8);
        let obituary = |logs: &Path, known: &[i64]| Obituary {
            of: dead,
            death: Death::ProcessGone,
            rest: "http://h:1".into(),
            observed: SessionId::new(5),
            known: known.iter().filter_map(|id| SessionId::new(*id)).collect(),
            logs: logs.into(),
            alive: vec![alive],
            alive_logs: here.path().into(),
        };
        let session = |id| SessionId::new(id).unwrap();
        let evidence = obituary(former.path(), &[6]).evidence().await;
        assert_eq!(evidence.sessions, Sessions::Logged(vec![session(7)]));
        assert_eq!(evidence.alive, [session(8)]);
        let evidence = obituary(here.path(), &[6]).evidence().await;
        assert_eq!(evidence.sessions, Sessions::Logged(vec![session(6)]), "as far as it was known");
        let evidence = obituary(here.path(), &[]).evidence().await;
        assert_eq!(evidence.sessions, Sessions::Observed(session(5)));
    }
}
