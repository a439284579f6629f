//! Clients of hdfs-native, each in a runtime of its own, so that one that hangs can be thrown away with
//! all its tasks and sockets. (Its lease renewer alone would keep it alive for ever.)

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hdfs_native::{Client, ClientBuilder, HdfsError};
use tokio::runtime::{Builder, Runtime};
use tokio_util::task::AbortOnDropHandle;

use super::Work;
use crate::{Attempt, Cause, FsError};

/// The port of a NameNode whose URL names none, `hdfs://host`.
const NAME_NODE_PORT: u16 = 8020;
/// hdfs-native would read `HADOOP_CONF_DIR` unless it is given a directory. In this one there is
/// nothing, and can be nothing.
const NO_CONF_DIR: &str = "/dev/null";
const MAX_ATTEMPTS: &str = "dfs.client.failover.max.attempts";

/// How to connect, and the connection in use.
#[derive(Debug)]
pub(super) struct Connections {
    /// `hdfs://host:port` or `hdfs://nameservice`.
    authority: String,
    /// Whom to say we are; nobody where Hadoop is secured.
    user: Option<String>,
    current: Mutex<Current>,
    name_nodes: u32,
}

#[derive(Debug)]
struct Current {
    properties: HashMap<String, String>,
    /// `dfs.ha.namenodes.NAMESERVICE`, whose value is turned when a NameNode does not answer.
    name_nodes_key: String,
    connection: Option<Arc<Connection>>,
}

/// A client and the runtime that it lives in.
#[derive(Debug)]
pub(super) struct Connection {
    client: Client,
    runtime: Option<Runtime>,
}

impl Connections {
    pub(super) fn new(
        url: Option<&str>,
        properties: &BTreeMap<String, String>,
        user: &str,
    ) -> Result<Self, FsError> {
        let get = |key: &str| properties.get(key).map(|value| value.trim()).filter(|value| !value.is_empty());
        let url = url.or_else(|| get("fs.defaultFS")).unwrap_or("file:///");
        let wrong = |text: &str| FsError {
            attempt: Attempt::Look,
            url: url.into(),
            cause: Cause::Unreachable(text.into()),
        };
        let authority = url
            .strip_prefix("hdfs://")
            .and_then(|rest| rest.split('/').next())
            .filter(|authority| !authority.is_empty())
            .ok_or_else(|| wrong("it is not the URL of an HDFS, hdfs://HOST:PORT"))?;
        let name_nodes_key = format!("dfs.ha.namenodes.{authority}");
        let name_nodes = get(&name_nodes_key).map_or(0, |names| names.split(',').count() as u32);
        let mut properties: HashMap<_, _> =
            properties.iter().map(|(key, value)| (key.clone(), value.trim().to_string())).collect();
        let authority = if name_nodes == 0 && !authority.contains(':') {
            format!("hdfs://{authority}:{NAME_NODE_PORT}")
        } else {
            format!("hdfs://{authority}")
        };
        if name_nodes == 0 {
            // One NameNode: the second refusal within a second or two is an answer.
            properties.insert(MAX_ATTEMPTS.into(), "1".into());
        }
        let secured =
            get("hadoop.security.authentication").is_some_and(|how| !how.eq_ignore_ascii_case("simple"));
        if !secured {
            properties.remove("hadoop.security.authentication");
        }
        let current = Mutex::new(Current { properties, name_nodes_key, connection: None });
        let user = (!secured).then(|| user.to_string());
        Ok(Self { authority, user, current, name_nodes: name_nodes.max(1) })
    }

    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// How many NameNodes there are to ask.
    pub(super) fn name_nodes(&self) -> u32 {
        self.name_nodes
    }

    /// The connection in use, or a new one.
    pub(super) fn get(&self) -> Result<Arc<Connection>, Cause> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = &current.connection {
            return Ok(connection.clone());
        }
        let connection = Arc::new(self.connect(&current.properties)?);
        current.connection = Some(connection.clone());
        Ok(connection)
    }

    fn connect(&self, properties: &HashMap<String, String>) -> Result<Connection, Cause> {
        let failed = |error: std::io::Error| Cause::Other(error.to_string());
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("hdfs")
            .enable_all()
            .build()
            .map_err(failed)?;
        let mut builder = ClientBuilder::new()
            .with_url(&self.authority)
            .with_config_dir(NO_CONF_DIR)
            .with_config(properties)
            .with_io_runtime(runtime.handle().clone());
        if let Some(user) = &self.user {
            builder = builder.with_user(user);
        }
        let client = builder.build();
        let mut connection =
            client.map(|client| Connection { client, runtime: None }).map_err(Cause::from)?;
        connection.runtime = Some(runtime);
        Ok(connection)
    }

    /// Throws a connection away that does not answer; the next one asks another NameNode first.
    pub(super) fn give_up(&self, hung: &Arc<Connection>) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if !current.connection.as_ref().is_some_and(|connection| Arc::ptr_eq(connection, hung)) {
            return;
        }
        current.connection = None;
        let key = current.name_nodes_key.clone();
        if let Some(names) = current.properties.get_mut(&key)
            && let Some((first, rest)) = names.split_once(',')
        {
            *names = format!("{rest},{first}");
        }
    }
}

impl Connection {
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Runs something in a task of its own. The outer result is ours: it took too long, or it panicked.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        limit: Duration,
        work: Work<T>,
    ) -> Result<Result<T, HdfsError>, Cause> {
        let gone = || Cause::Other("its connection is closed".into());
        let runtime = self.runtime.as_ref().ok_or_else(gone)?;
        let task = AbortOnDropHandle::new(runtime.spawn(work));
        match tokio::time::timeout(limit, task).await {
            Err(_) => Err(Cause::TimedOut(limit)),
            Ok(Err(error)) => Err(Cause::Other(format!("hdfs-native gave up: {error}"))),
            Ok(Ok(result)) => Ok(result),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(url: Option<&str>, properties: &[(&str, &str)]) -> Result<Connections, FsError> {
        let properties = properties.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        Connections::new(url, &properties, "ann")
    }

    #[test]
    fn a_name_node_is_found_as_hadoop_finds_it() {
        for (url, properties, authority) in [
            (None, &[("fs.defaultFS", " hdfs://nn:9000/ ")][..], "hdfs://nn:9000"),
            (None, &[("fs.defaultFS", "hdfs://nn")], "hdfs://nn:8020"),
            (Some("hdfs://other/path"), &[("fs.defaultFS", "hdfs://nn")], "hdfs://other:8020"),
            (Some("hdfs://nest"), &[("dfs.ha.namenodes.nest", "a,b")], "hdfs://nest"),
        ] {
            assert_eq!(connections(url, properties).unwrap().authority(), authority);
        }
        assert!(connections(None, &[]).is_err());
        assert!(connections(None, &[("fs.defaultFS", "s3a://bucket")]).is_err());
    }

    #[test]
    fn the_user_is_said_only_where_hadoop_is_not_secured() {
        let with = |how| connections(Some("hdfs://nn"), &[("hadoop.security.authentication", how)]).unwrap();
        for (how, user) in
            [("simple", Some("ann")), (" SIMPLE ", Some("ann")), ("", Some("ann")), ("kerberos", None)]
        {
            assert_eq!(with(how).user.as_deref(), user, "{how:?}");
        }
    }

    #[tokio::test]
    async fn a_connection_that_hangs_is_given_up_once_and_the_next_begins_elsewhere() {
        let ha = [
            ("dfs.ha.namenodes.nest", "a,b,c"),
            ("dfs.namenode.rpc-address.nest.a", "127.0.0.1:1"),
            ("dfs.namenode.rpc-address.nest.b", "127.0.0.1:2"),
            ("dfs.namenode.rpc-address.nest.c", "127.0.0.1:3"),
        ];
        let connections = connections(Some("hdfs://nest"), &ha).unwrap();
        assert_eq!(connections.name_nodes(), 3);
        let order = || connections.current.lock().unwrap().properties["dfs.ha.namenodes.nest"].clone();
        let first = connections.get().unwrap();
        assert!(Arc::ptr_eq(&first, &connections.get().unwrap()));
        for _ in 0..2 {
            connections.give_up(&first);
            assert_eq!(order(), "b,c,a");
        }
        assert!(!Arc::ptr_eq(&first, &connections.get().unwrap()));
    }

    #[tokio::test]
    async fn what_hangs_or_panics_in_hdfs_native_stays_in_its_task() {
        let connection = connections(Some("hdfs://nn"), &[]).unwrap().get().unwrap();
        let limit = Duration::from_millis(20);
        let hung = connection.run::<()>(limit, Box::pin(std::future::pending())).await;
        assert_eq!(hung.unwrap_err(), Cause::TimedOut(limit));
        let panicked =
            connection.run::<()>(Duration::from_secs(30), Box::pin(async { panic!("odd token") })).await;
        assert!(matches!(panicked.unwrap_err(), Cause::Other(text) if text.contains("odd token")));
    }
}
