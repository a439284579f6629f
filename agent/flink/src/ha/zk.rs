//! The cluster's znodes by way of a ZooKeeper client that never waits for ever.

use std::{fmt, future::Future, time::Duration};

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use zookeeper_client::{Client, Error, OneshotWatcher, Stat, StateWatcher};

use super::{
    ConnectionInfo, SessionId, ZkError,
    error::Finding,
    layout::{ClusterRoot, Quorum, is_latch},
};

/// More children than this are no election's and no cluster's, and are not looked at one by one.
pub(super) const MAX_CHILDREN: usize = 5_000;
/// Requests on their way at a time.
const PIPELINE: usize = 128;
/// How long a server may take to say what it is.
const SRVR: Duration = Duration::from_secs(1);

/// Who we are to ZooKeeper: schemes and their secrets (`high-availability.zookeeper.client.authorization`).
#[derive(Clone, Default)]
pub struct Access(Vec<(String, String)>);

impl Access {
    /// Adds a scheme, such as `digest`, and what it wants, such as `user:password`.
    pub fn with(mut self, scheme: &str, secret: &str) -> Access {
        self.0.push((scheme.into(), secret.into()));
        self
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(scheme, _)| scheme)).finish()
    }
}

/// A znode and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Znode {
    /// From ZooKeeper's root.
    pub path: String,
    /// The session it goes with; none if it stays.
    pub owner: Option<SessionId>,
    /// The transaction that made it: another one made a later znode of the same path.
    pub created: i64,
    /// The version of its data.
    pub version: i32,
}

impl Znode {
    pub(super) fn new(path: String, stat: &Stat) -> Znode {
        let owner = SessionId::owner(stat.ephemeral_owner);
        Znode { path, owner, created: stat.czxid, version: stat.version }
    }
}

/// The JobManagers that stand for election.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Latches {
    /// Nobody ever did.
    Absent,
    /// So many that it cannot be an election.
    TooMany(usize),
    /// These.
    Present {
        /// One of each JobManager.
        latches: Vec<Znode>,
        /// The name of a znode among them that is no latch.
        foreign: Option<String>,
    },
}

/// Where the leader's REST API is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaderNode {
    /// There is no leader.
    Absent,
    /// There is something that cannot be read.
    Unknown(Znode),
    /// There.
    Known {
        /// Whose word it is.
        znode: Znode,
        /// The word.
        info: ConnectionInfo,
    },
}

/// A cluster's election as ZooKeeper has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Election {
    /// Whose.
    pub root: ClusterRoot,
    /// Whether only this machine can reach that ZooKeeper.
    pub is_local: bool,
    /// Who stands.
    pub latches: Latches,
    /// Who leads.
    pub leader: LeaderNode,
    /// The `connection_info` of every component.
    pub infos: Vec<Znode>,
}

/// A session with ZooKeeper. It ends when the client is dropped.
#[derive(Debug, Clone)]
pub struct HaClient {
    pub(super) client: Client,
    quorum: Quorum,
    deadline: Duration,
}

impl HaClient {
    /// Establishes a session that asks to be kept for `session_timeout` without contact, and makes sure that the
    /// chroot is there. This and every later call takes at most `deadline`.
    pub async fn connect(
        quorum: &Quorum,
        access: &Access,
        session_timeout: Duration,
        deadline: Duration,
    ) -> Result<HaClient, ZkError> {
        let mut connector = Client::connector().with_session_timeout(session_timeout).with_fail_eagerly();
        for (scheme, secret) in &access.0 {
            connector = connector.with_auth(scheme, secret.as_bytes());
        }
        // In a task of its own: what a server that is none says could make the client panic.
        let servers = quorum.servers();
        let connecting = tokio::spawn(async move { connector.connect(&servers).await });
        let stop = connecting.abort_handle();
        let failure = match timeout(deadline, connecting).await {
            Ok(Ok(Ok(client))) => {
                let client = HaClient { client, quorum: quorum.clone(), deadline };
                return client.check_chroot().await.map(|()| client);
            }
            Ok(Ok(Err(Error::AuthFailed))) => return Err(ZkError::Auth { quorum: quorum.servers() }),
            Ok(Ok(Err(error))) => Some(error),
            Ok(Err(_)) | Err(_) => None,
        };
        stop.abort();
        Err(ZkError::Connect { findings: findings(quorum).await, source: failure })
    }

    /// How long ZooKeeper keeps this session without contact: what was asked for, within the server's bounds.
    pub fn granted(&self) -> Duration {
        self.client.session_timeout()
    }

    /// This client's own session.
    pub fn session(&self) -> Option<SessionId> {
        SessionId::new(self.client.session_id().0)
    }

    pub(super) fn states(&self) -> StateWatcher {
        self.client.state_watcher()
    }

    async fn check_chroot(&self) -> Result<(), ZkError> {
        let Some(chroot) = self.quorum.chroot() else { return Ok(()) };
        match self.within(|| format!("look for {chroot}"), self.client.check_stat(chroot)).await? {
            Some(_) => Ok(()),
            None => Err(ZkError::NoChroot { quorum: self.quorum.servers(), chroot: chroot.into() }),
        }
    }

    /// Who stands and who leads. Servers that lag behind the others are made to catch up first.
    pub async fn election(&self, root: &ClusterRoot) -> Result<Election, ZkError> {
        self.within(|| format!("catch up with {}", root.path()), self.client.sync("/")).await?;
        Ok(Election {
            root: root.clone(),
            is_local: self.quorum.is_loopback(),
            latches: self.latches(root).await?,
            leader: self.leader(root).await?,
            infos: self.infos(root).await?,
        })
    }

    /// Who stands for election, and with which session.
    pub async fn latches(&self, root: &ClusterRoot) -> Result<Latches, ZkError> {
        let dir = root.latch_dir();
        let Some(names) = self.children(&dir).await? else { return Ok(Latches::Absent) };
        if names.len() > MAX_CHILDREN {
            return Ok(Latches::TooMany(names.len()));
        }
        let foreign = names.iter().find(|name| !is_latch(name)).cloned();
        let latches = self.stats(names.iter().map(|name| format!("{dir}/{name}")).collect()).await?;
        Ok(Latches::Present { latches, foreign })
    }

    /// Who leads, and with which session.
    pub async fn leader(&self, root: &ClusterRoot) -> Result<LeaderNode, ZkError> {
        let path = root.rest_server();
        let read =
            self.within(|| format!("read {path}"), missing_is_none(self.client.get_data(&path))).await?;
        Ok(leader_node(path, read))
    }

    /// The same, and what tells of the next change.
    pub(super) async fn watch_leader(
        &self,
        root: &ClusterRoot,
    ) -> Result<(LeaderNode, OneshotWatcher), ZkError> {
        let path = root.rest_server();
        let watching = self.client.check_and_watch_stat(&path);
        let (stat, watcher) = self.within(|| format!("watch {path}"), watching).await?;
        // What changes from here on wakes the watcher.
        let node = if stat.is_some() { self.leader(root).await? } else { LeaderNode::Absent };
        Ok((node, watcher))
    }

    async fn infos(&self, root: &ClusterRoot) -> Result<Vec<Znode>, ZkError> {
        let names = self.children(&root.leader_dir()).await?.unwrap_or_default();
        let components = names.iter().filter(|name| *name != "latch").take(MAX_CHILDREN);
        self.stats(components.map(|name| root.connection_info(name)).collect()).await
    }

    /// The locks that JobManagers hold on what they submitted and on checkpoints: ephemeral znodes that keep
    /// others from removing what they lie in.
    pub async fn locks(&self, root: &ClusterRoot) -> Result<Vec<Znode>, ZkError> {
        let mut entries = Vec::new();
        for store in root.stores() {
            entries.extend(self.below(vec![store]).await?);
        }
        let jobs = self.below(vec![root.jobs_dir()]).await?;
        entries.extend(self.below(jobs.iter().map(|job| format!("{job}/checkpoints")).collect()).await?);
        let locks = self.below(entries.iter().map(|entry| format!("{entry}/locks")).collect()).await?;
        self.stats(locks).await
    }

    /// The paths of all children of these, without those of parents that are not there or have too many.
    pub(super) async fn below(&self, parents: Vec<String>) -> Result<Vec<String>, ZkError> {
        let listed = stream::iter(parents).map(async |parent| {
            let names = self.children(&parent).await?.unwrap_or_default();
            let names = if names.len() > MAX_CHILDREN { Vec::new() } else { names };
            Ok::<_, ZkError>(names.iter().map(|name| format!("{parent}/{name}")).collect::<Vec<_>>())
        });
        let listed: Vec<Vec<String>> = listed.buffered(PIPELINE).try_collect().await?;
        Ok(listed.concat())
    }

    async fn children(&self, path: &str) -> Result<Option<Vec<String>>, ZkError> {
        self.within(|| format!("list {path}"), missing_is_none(self.client.list_children(path))).await
    }

    /// The znodes at these paths, without those that are not there.
    pub(super) async fn stats(&self, paths: Vec<String>) -> Result<Vec<Znode>, ZkError> {
        let asked = stream::iter(paths).map(async |path| {
            let stat = self.within(|| format!("look at {path}"), self.client.check_stat(&path)).await?;
            Ok::<_, ZkError>(stat.map(|stat| Znode::new(path, &stat)))
        });
        let found: Vec<Option<Znode>> = asked.buffered(PIPELINE).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Removes all of these or none. `false` when one is not as it was, so that none was removed.
    pub(super) async fn delete_together(&self, znodes: &[Znode]) -> Result<bool, ZkError> {
        let attempt = || format!("remove {}", znodes.first().map_or("nothing", |znode| znode.path.as_str()));
        let mut transaction = self.client.new_multi_writer();
        for znode in znodes {
            let added = transaction.add_delete(&znode.path, Some(znode.version));
            added.map_err(|source| self.failed(attempt(), source))?;
        }
        let committed = async { transaction.commit().await.map_err(Error::from) };
        self.within(attempt, unless_moved(committed)).await
    }

    /// Runs a call to its end or to the deadline.
    pub(super) async fn within<T>(
        &self,
        attempt: impl Fn() -> String,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, ZkError> {
        match timeout(self.deadline, call).await {
            Ok(result) => result.map_err(|source| self.failed(attempt(), source)),
            Err(_) => {
                let quorum = self.quorum.servers();
                Err(ZkError::Timeout { attempt: attempt(), quorum, after: self.deadline })
            }
        }
    }

    fn failed(&self, attempt: String, source: Error) -> ZkError {
        ZkError::Call { attempt, quorum: self.quorum.servers(), source }
    }
}

fn leader_node(path: String, read: Option<(Vec<u8>, Stat)>) -> LeaderNode {
    let Some((data, stat)) = read.filter(|(data, _)| !data.is_empty()) else { return LeaderNode::Absent };
    let znode = Znode::new(path, &stat);
    match ConnectionInfo::decode(&data).filter(|info| info.rest_url().is_some()) {
        Some(info) => LeaderNode::Known { znode, info },
        None => LeaderNode::Unknown(znode),
    }
}

async fn missing_is_none<T>(call: impl Future<Output = Result<T, Error>>) -> Result<Option<T>, Error> {
    match call.await {
        Ok(found) => Ok(Some(found)),
        Err(Error::NoNode) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn unless_moved<T>(call: impl Future<Output = Result<T, Error>>) -> Result<bool, Error> {
    match call.await {
        Ok(_) => Ok(true),
        Err(Error::NoNode | Error::BadVersion) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Asks each server what it is, which the client does not tell.
async fn findings(quorum: &Quorum) -> Vec<(String, Finding)> {
    let servers: Vec<String> = quorum.servers().split(',').map(String::from).collect();
    let asked = stream::iter(servers).map(async |server| {
        let found = timeout(SRVR, srvr(&server)).await.unwrap_or(Finding::Silent);
        (server, found)
    });
    asked.buffered(PIPELINE).collect().await
}

/// ZooKeeper's four-letter word `srvr`, which is on unless an administrator turned it off.
async fn srvr(server: &str) -> Finding {
    let mut stream = match TcpStream::connect(server).await {
        Ok(stream) => stream,
        Err(error) => return Finding::Unreachable(error.to_string()),
    };
    let mut said = Vec::new();
    if stream.write_all(b"srvr").await.is_ok() {
        // A line is enough; what it said before it hung up counts.
        let _ = stream.take(4096).read_to_end(&mut said).await;
    }
    finding(&String::from_utf8_lossy(&said))
}

fn finding(said: &str) -> Finding {
    const BEGINNING: usize = 60;
    if said.contains("not currently serving requests") {
        Finding::NoQuorum
    } else if said.contains("Mode: read-only") {
        Finding::ReadOnly
    } else if said.starts_with("Zookeeper version:") || said.contains("not in the whitelist") {
        Finding::Serving
    } else if said.is_empty() {
        Finding::Silent
    } else {
        let line = said.lines().next().unwrap_or_default();
        Finding::NotZooKeeper(line.chars().take(BEGINNING).collect())
    }
}

#[cfg(test)]
#[path = "zk_tests.rs"]
mod tests;
