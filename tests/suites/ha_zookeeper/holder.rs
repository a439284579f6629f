//! Processes that stand in for JobManagers: each holds a session, stands for election as Flink does, and logs its
//! sessions as Flink's ZooKeeper client does. They are this very test binary, started again.

use std::{
    env,
    fs::OpenOptions,
    io::Write,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use kobel_flink::ha::{ConnectionInfo, Death, Evidence, SessionId, SessionLog, Sessions};
use kobel_kit::{Lab, Running};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};
use zookeeper_client::{Acls, Client, CreateMode, Error};

/// The shortest that ZooKeeper grants with ticks of two seconds.
pub(crate) const SESSION: Duration = Duration::from_secs(4);
/// What tells the started process that it is one, and its orders.
const ORDERS: &str = "stand:";
const COMPONENTS: [&str; 3] = ["dispatcher", "resource_manager", "rest_server"];

/// One of them, and what an agent would have written down about it.
pub(crate) struct Standing {
    process: Option<Running>,
    pidfd: OwnedFd,
    killed: Option<Instant>,
    pub(crate) pid: i32,
    pub(crate) start_time: u64,
    pub(crate) log: PathBuf,
    pub(crate) address: String,
}

impl Standing {
    /// Starts one that tells others this address.
    pub(crate) fn start(lab: &Lab, server: &str, root: &str, name: &str, address: &str) -> Standing {
        let log = lab.path(name);
        let orders = format!("{ORDERS}{server}|{root}|{}|{address}", log.display());
        let me = env::current_exe().expect("this binary");
        let filter = "holder::a_process_that_stands_for_election";
        let process = lab.spawn(&me, &[filter, "--exact", "--nocapture", &orders]);
        let pid = process.pid() as i32;
        let pidfd = pidfd_open(Pid::from_raw(pid).expect("a pid"), PidfdFlags::NONBLOCK).expect("a pidfd");
        let start_time = start_time(pid).expect("it runs");
        Standing {
            process: Some(process),
            pidfd,
            killed: None,
            pid,
            start_time,
            log,
            address: address.into(),
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        self.process.as_ref().expect("not reaped").signal(name);
    }

    /// `kill -9`, and no more: it is a zombie until somebody waits for it.
    pub(crate) fn kill(&mut self) {
        self.signal("KILL");
        self.killed = Some(Instant::now());
    }

    /// Whether its session may have expired since it was killed.
    pub(crate) fn is_long_dead(&self) -> bool {
        self.killed.is_some_and(|at| at.elapsed() + Duration::from_secs(1) > SESSION)
    }

    /// Takes its exit status.
    pub(crate) fn reap(&mut self) -> Death {
        self.process.take().expect("not reaped").wait();
        Death::Reaped
    }

    /// What one who did not start it may say.
    pub(crate) fn by_pidfd(&self, patience: Duration) -> Death {
        let mut fds = [PollFd::new(&self.pidfd, PollFlags::IN)];
        let patience = Timespec::try_from(patience).expect("a time");
        match poll(&mut fds, Some(&patience)) {
            Ok(1) => Death::PidfdReadable,
            _ => Death::Unproven,
        }
    }

    /// What one may say who has only its pid and start time from a record.
    pub(crate) fn by_record(pid: i32, recorded: u64) -> Death {
        if start_time(pid) == Some(recorded) { Death::Unproven } else { Death::ProcessGone }
    }

    pub(crate) fn sessions(&self) -> Vec<SessionId> {
        SessionLog::read(&self.log).expect("its log").unwrap_or_default().sessions()
    }

    pub(crate) fn newest(&self) -> Option<SessionId> {
        self.sessions().last().copied()
    }

    pub(crate) fn evidence(&self, death: Death, alive: Vec<SessionId>) -> Evidence {
        Evidence {
            death,
            sessions: Sessions::Logged(self.sessions()),
            rest_address: self.address.clone(),
            alive,
        }
    }
}

/// In clock ticks since boot; `None` without such a process.
fn start_time(pid: i32) -> Option<u64> {
    Some(procfs::process::Process::new(pid).ok()?.stat().ok()?.starttime)
}

/// Not a test of its own: it does nothing unless it was started by [`Standing::start`].
#[test]
fn a_process_that_stands_for_election() {
    let Some(orders) = env::args().find_map(|arg| arg.strip_prefix(ORDERS).map(String::from)) else { return };
    let orders: Vec<&str> = orders.split('|').collect();
    let [server, root, log, address] = orders[..] else { panic!("{orders:?}") };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        loop {
            if let Err(error) = stand(server, root, Path::new(log), address).await {
                println!("{error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    });
}

/// Stands for election until the session is over.
async fn stand(server: &str, root: &str, log: &Path, address: &str) -> Result<(), Error> {
    let client = Client::connector().with_session_timeout(SESSION).connect(server).await?;
    let line = format!(
        "Session establishment complete on server {server}, session id = {}, negotiated timeout = {}\n",
        client.session_id(),
        client.session_timeout().as_millis()
    );
    let mut log = OpenOptions::new().create(true).append(true).open(log).expect("a log");
    log.write_all(line.as_bytes()).expect("a line");
    let dir = format!("{root}/leader/latch");
    let persistent = CreateMode::Persistent.with_acls(Acls::anyone_all());
    client.mkdir(&dir, &persistent).await?;
    let options = CreateMode::EphemeralSequential.with_acls(Acls::anyone_all());
    let uuid = format!(
        "{:08x}-0000-4000-8000-{:012x}",
        std::process::id(),
        client.session_id().0 & 0xffff_ffff_ffff
    );
    let (_, number) = client.create(&format!("{dir}/_c_{uuid}-latch-"), b"", &options).await?;
    let own = format!("_c_{uuid}-latch-{:010}", number.into_i64());
    loop {
        let (mut latches, _, changed) = client.get_and_watch_children(&dir).await?;
        latches.sort_by_key(|name| name.rsplit('-').next().map(String::from));
        if latches.first() == Some(&own) {
            lead(&client, root, address).await?;
        }
        if changed.changed().await.session_state != zookeeper_client::SessionState::SyncConnected {
            return Err(Error::SessionExpired);
        }
    }
}

/// Publishes an address as the leader does, in place of whatever a former one left.
async fn lead(client: &Client, root: &str, address: &str) -> Result<(), Error> {
    let info = ConnectionInfo { address: address.into(), leadership: client.session_id().0 as u128 };
    let data = info.encode().expect("a short address");
    for component in COMPONENTS {
        let dir = format!("{root}/leader/{component}");
        client.mkdir(&dir, &CreateMode::Persistent.with_acls(Acls::anyone_all())).await?;
        let path = format!("{dir}/connection_info");
        let options = CreateMode::Ephemeral.with_acls(Acls::anyone_all());
        while let Err(Error::NodeExists) = client.create(&path, &data, &options).await.map(|_| ()) {
            match client.check_stat(&path).await? {
                Some(stat) if stat.ephemeral_owner == client.session_id().0 => break,
                _ => match client.delete(&path, None).await {
                    Ok(()) | Err(Error::NoNode) => {}
                    Err(error) => return Err(error),
                },
            }
        }
    }
    Ok(())
}
