//! The JobManagers of this machine, as an agent must know them that comes after this one: to see whether they are dead,
//! and whose znodes are their own.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use kobel_flink::{
    ha::{SessionId, SessionLog},
    own_log,
};
use kobel_plan::Death;
use kobel_provider::local::ProcessIdentity;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::Master;

/// Which processes this one can see: numbers mean others in another container.
const NAMESPACE: &str = "/proc/self/ns/pid";

/// Between two looks at a process that lives.
const LOOK: Duration = Duration::from_millis(100);
/// Between two questions that nobody answered.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Who knows how the containers of a cluster's masters ended, on whichever machine.
#[async_trait]
pub(crate) trait Coroner: fmt::Debug + Send + Sync {
    /// The name of the container that this agent is in.
    fn here(&self) -> String;

    /// How the one of this name ended. None if nothing could be learnt, which may change.
    async fn death(&self, container: &str) -> Option<Death>;
}

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
    /// The container that it is in, with its agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    container: Option<String>,
}

impl Former {
    /// One that lives, with this process id on this machine.
    pub(crate) fn of(master: Master, pid: u32, rest: String, logs: &Path) -> io::Result<Option<Self>> {
        let pid = i32::try_from(pid).map_err(io::Error::other)?;
        let Some(process) = ProcessIdentity::of(pid)? else { return Ok(None) };
        let log =
            SessionLog::read(&logs.join(own_log::SESSIONS.file_name(&master.0.attempt_name(master.1))))?;
        let sessions = log.map(|log| log.sessions()).unwrap_or_default();
        Ok(Some(Self {
            master,
            process,
            pid_namespace: pid_namespace()?,
            rest,
            sessions: sessions.iter().map(ToString::to_string).collect(),
            logs: logs.into(),
            container: None,
        }))
    }

    /// The same, in this container.
    pub(crate) fn in_container(self, container: Option<String>) -> Self {
        Self { container, ..self }
    }

    /// What can be known of its end: seen from here or, if it was elsewhere, told by somebody.
    pub(crate) async fn death(&self, within: Duration, coroner: Option<&dyn Coroner>) -> Death {
        match (self.was_here(), coroner, &self.container) {
            (Ok(true), ..) => self.seen(within).await,
            (Ok(false), Some(coroner), Some(container)) => told(coroner, container, within).await,
            _ => Death::Unproven,
        }
    }

    /// What killed its agent is its own end, too, and may take a moment longer.
    async fn seen(&self, within: Duration) -> Death {
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

async fn told(coroner: &dyn Coroner, container: &str, within: Duration) -> Death {
    let give_up = Instant::now() + within;
    loop {
        match coroner.death(container).await {
            Some(death) => return death,
            None if Instant::now() < give_up => sleep(ASK_AGAIN).await,
            None => return Death::Unproven,
        }
    }
}

fn pid_namespace() -> io::Result<String> {
    Ok(fs::read_link(NAMESPACE)?.display().to_string())
}

#[cfg(test)]
mod tests {
    use std::{
        process::{Child, Command, Stdio},
        sync::Mutex,
    };

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
        assert_eq!(former.death(NOW, None).await, Death::Unproven);
        child.kill().unwrap();
        assert_eq!(former.death(NOW, None).await, Death::Unproven, "nobody has reaped it");
        let (death, reaped) = tokio::join!(former.death(LOOK * 100, None), async {
            sleep(LOOK).await;
            child.wait()
        });
        reaped.unwrap();
        assert_eq!(death, Death::ProcessGone, "a moment later");
        let elsewhere = Former { pid_namespace: "pid:[1]".into(), ..former.clone() };
        assert_eq!(
            elsewhere.death(LOOK * 100, None).await,
            Death::Unproven,
            "its number may be its own there"
        );
        let process = ProcessIdentity { boot_id: "another".into(), ..former.process.clone() };
        let elsewhere = Former { process, ..former.clone() };
        assert_eq!(elsewhere.death(LOOK * 100, None).await, Death::Unproven, "another machine");
        let back = serde_json::from_slice(&serde_json::to_vec(&former).unwrap()).unwrap();
        assert_eq!(former, back);
    }

    /// Tells of one container that it ended with 137; what it is asked first, it does not know yet.
    #[derive(Debug, Default)]
    struct Told(Mutex<Vec<String>>);

    const TOLD: Death = Death::Container { status: 137, node_alive: true };

    #[async_trait]
    impl Coroner for Told {
        fn here(&self) -> String {
            "own".into()
        }

        async fn death(&self, container: &str) -> Option<Death> {
            let mut asked = self.0.lock().unwrap();
            asked.push(container.into());
            let death = if container == "former" { TOLD } else { Death::Unproven };
            (asked.len() > 1).then_some(death)
        }
    }

    #[tokio::test]
    async fn of_another_machine_it_is_believed_who_knows_the_container() {
        let tmp = tempfile::tempdir().unwrap();
        let own = std::process::id();
        let here = Former::of(MASTER, own, "http://h:1".into(), tmp.path()).unwrap().unwrap();
        let here = Former { container: Some("former".into()), ..here };
        let coroner = Told::default();
        let death = async |former: &Former| former.death(ASK_AGAIN * 5, Some(&coroner)).await;
        let process = ProcessIdentity { boot_id: "another".into(), ..here.process.clone() };
        let elsewhere = Former { process, ..here.clone() };
        assert_eq!(death(&elsewhere).await, TOLD);
        let another = Former { container: Some("another".into()), ..elsewhere.clone() };
        assert_eq!(death(&another).await, Death::Unproven);
        assert_eq!(*coroner.0.lock().unwrap(), ["former", "former", "another"]);
        let unnamed = Former { container: None, ..elsewhere };
        assert_eq!(death(&unnamed).await, Death::Unproven);
        // It lives, and that can be seen.
        assert_eq!(death(&here).await, Death::Unproven);
        assert_eq!(coroner.0.lock().unwrap().len(), 3, "nobody was asked");
    }
}
