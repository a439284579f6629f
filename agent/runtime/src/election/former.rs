//! The JobManagers of this machine, as an agent must know them that comes after this one: to see whether they are dead,
//! and whose znodes are their own.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use kobel_flink::ha::{SessionId, SessionLog, session_log::file_name};
use kobel_plan::Death;
use kobel_provider::local::ProcessIdentity;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::Master;

/// Which processes this one can see: numbers mean others in another container.
const NAMESPACE: &str = "/proc/self/ns/pid";

/// Between two looks at a process that lives.
const LOOK: Duration = Duration::from_millis(100);

/// A JobManager of which the next agent may have to know that it is dead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Former {
    /// Which.
    pub(crate) master: Master,
    /// Its process.
    process: ProcessIdentity,
    /// Where that number is its own, besides on this boot.
    pid_namespace: String,
    /// What it published as its REST API's address, or would have.
    pub(crate) rest: String,
    /// Its sessions as far as they were known, as ZooKeeper writes them.
    sessions: Vec<String>,
    /// Where it writes them down.
    #[serde(default)]
    pub(crate) logs: PathBuf,
}

impl Former {
    /// One that lives, with this process id on this machine.
    pub(crate) fn of(master: Master, pid: u32, rest: String, logs: &Path) -> io::Result<Option<Self>> {
        let pid = i32::try_from(pid).map_err(io::Error::other)?;
        let Some(process) = ProcessIdentity::of(pid)? else { return Ok(None) };
        let log = SessionLog::read(&logs.join(file_name(&master.0.attempt_name(master.1))))?;
        let sessions = log.map(|log| log.sessions()).unwrap_or_default();
        Ok(Some(Self {
            master,
            process,
            pid_namespace: pid_namespace()?,
            rest,
            sessions: sessions.iter().map(ToString::to_string).collect(),
            logs: logs.into(),
        }))
    }

    /// What can be seen of its end from here. What killed its agent is its own end, too, and may take a moment longer.
    pub(crate) async fn death(&self, within: Duration) -> Death {
        let give_up = Instant::now() + within;
        while self.was_here().unwrap_or(false) {
            match self.process.holds_its_pid() {
                Ok(false) => return Death::ProcessGone,
                Ok(true) if Instant::now() < give_up => sleep(LOOK).await,
                Ok(true) | Err(_) => break,
            }
        }
        Death::Unproven
    }

    /// Whether the numbers of processes mean to us what they meant to it.
    fn was_here(&self) -> io::Result<bool> {
        let here = ProcessIdentity::of(std::process::id() as i32)?.map(|own| own.boot_id);
        Ok(here.as_ref() == Some(&self.process.boot_id) && pid_namespace()? == self.pid_namespace)
    }

    /// The sessions that it had when it was seen last.
    pub(crate) fn sessions(&self) -> Vec<SessionId> {
        self.sessions.iter().filter_map(|id| id.parse().ok()).collect()
    }
}

fn pid_namespace() -> io::Result<String> {
    Ok(fs::read_link(NAMESPACE)?.display().to_string())
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use kobel_plan::{Attempt, WorkerId};

    use super::*;

    const MASTER: Master = (WorkerId { role: kobel_plan::Role::JobManager, index: 0 }, Attempt::FIRST);

    fn child() -> Child {
        Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap()
    }

    #[tokio::test]
    async fn only_one_that_is_gone_from_this_very_place_is_dead() {
        const NOW: Duration = Duration::ZERO;
        let tmp = tempfile::tempdir().unwrap();
        let log =
            "1 Session establishment complete on server x, session id = 0x7, negotiated timeout = 4000\n";
        fs::write(tmp.path().join("jm-0.1.sessions"), log).unwrap();
        let mut child = child();
        let former = Former::of(MASTER, child.id(), "http://h:1".into(), tmp.path()).unwrap().unwrap();
        assert_eq!(former.sessions(), [SessionId::new(7).unwrap()]);
        assert_eq!(former.death(NOW).await, Death::Unproven);
        child.kill().unwrap();
        assert_eq!(former.death(NOW).await, Death::Unproven, "nobody has reaped it");
        let (death, reaped) = tokio::join!(former.death(LOOK * 100), async {
            sleep(LOOK).await;
            child.wait()
        });
        reaped.unwrap();
        assert_eq!(death, Death::ProcessGone, "a moment later");
        let elsewhere = Former { pid_namespace: "pid:[1]".into(), ..former.clone() };
        assert_eq!(elsewhere.death(LOOK * 100).await, Death::Unproven, "its number may be its own there");
        let process = ProcessIdentity { boot_id: "another".into(), ..former.process.clone() };
        let elsewhere = Former { process, ..former.clone() };
        assert_eq!(elsewhere.death(LOOK * 100).await, Death::Unproven, "another machine");
        let back = serde_json::from_slice(&serde_json::to_vec(&former).unwrap()).unwrap();
        assert_eq!(former, back);
    }
}
