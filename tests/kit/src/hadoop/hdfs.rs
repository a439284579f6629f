//! What tests do to HDFS themselves, over WebHDFS.

use std::{net::TcpStream, process::Command, time::Duration};

use serde_json::Value;

use super::{
    Daemon,
    daemon::Launch,
    sites::{NAMESERVICE, name_node_id},
};
use crate::{http, wait};

/// A running HDFS: NameNode and DataNode.
pub struct Hdfs {
    /// The NameNode; of several, the first.
    pub name_node: Daemon,
    /// The NameNodes after the first.
    pub other_name_nodes: Vec<Daemon>,
    /// The DataNode.
    pub data_node: Daemon,
    /// Its superuser: whoever started the NameNode.
    pub superuser: String,
    /// The address of each NameNode.
    hosts: Vec<String>,
    /// Tells NameNodes which one is active.
    admin: Launch,
}

impl Hdfs {
    pub(crate) fn new(name_nodes: Vec<Daemon>, hosts: Vec<String>, data_node: Daemon, admin: Launch) -> Hdfs {
        let id = Command::new("id").arg("-un").output().expect("id");
        let superuser = String::from_utf8_lossy(&id.stdout).trim().to_string();
        let mut name_nodes = name_nodes.into_iter();
        let name_node = name_nodes.next().expect("a NameNode");
        let other_name_nodes = name_nodes.collect();
        Hdfs { name_node, other_name_nodes, data_node, superuser, hosts, admin }
    }

    /// Its root: `hdfs://HOST:PORT`, or the name of its nameservice where it has several NameNodes.
    pub fn uri(&self) -> String {
        match &self.hosts[..] {
            [host] => format!("hdfs://{host}:8020"),
            _ => format!("hdfs://{NAMESERVICE}"),
        }
    }

    /// The web address of the NameNode that is active. Where none is, of the first.
    pub fn web(&self) -> String {
        web(&self.hosts[self.active_index().unwrap_or(0)])
    }

    /// Every NameNode.
    pub fn name_nodes(&self) -> impl Iterator<Item = &Daemon> {
        [&self.name_node].into_iter().chain(&self.other_name_nodes)
    }

    /// The NameNode that is active, if one is.
    pub fn active(&self) -> Option<&Daemon> {
        self.name_nodes().nth(self.active_index()?)
    }

    fn active_index(&self) -> Option<usize> {
        match &self.hosts[..] {
            [_] => Some(0),
            several => several.iter().position(|host| is_active(host)),
        }
    }

    /// Has one of several NameNodes become active, the first that runs, and returns when it is. None may be: both
    /// would write then, since nothing keeps a NameNode here from what it wrote before.
    #[track_caller]
    pub fn activate(&self) {
        assert!(self.active_index().is_none(), "{:?} is active already", self.active());
        let index = self.name_nodes().position(|daemon| daemon.running().is_some());
        let index = index.expect("a NameNode that runs");
        let rpc = format!("{}:8020", self.hosts[index]);
        wait::until("it takes calls", Duration::from_secs(180), || {
            TcpStream::connect(&rpc).map(drop).map_err(|error| error.to_string())
        });
        // By force: a dead one cannot say that it is not active.
        self.admin.run(&["-transitionToActive", "--forceactive", &name_node_id(index + 1)]);
    }

    /// Makes the NameNode's storage. Several begin with the same.
    #[track_caller]
    pub(crate) fn format(&self) {
        self.name_node.run(&["-format", "-nonInteractive"]);
        for other in &self.other_name_nodes {
            let storage = self.name_node.dir().join("name");
            let copied = Command::new("cp").arg("-R").arg(storage).arg(other.dir()).status();
            assert!(copied.expect("cp").success(), "no storage for {other:?}");
        }
    }

    /// Writes a file as a user, with its parents. An existing one is replaced.
    #[track_caller]
    pub fn put(&self, user: &str, path: &str, content: &[u8]) {
        let location = self.located("PUT", path, &format!("op=CREATE&overwrite=true&user.name={user}"));
        let reply = http::send("PUT", &location, &[], content).expect("the DataNode answers");
        assert_eq!(reply.status, 201, "{path}: {}", reply.body);
    }

    /// A file's content.
    #[track_caller]
    pub fn read(&self, path: &str) -> String {
        let location = self.located("GET", path, &format!("op=OPEN&user.name={}", self.superuser));
        let reply = http::get(&location).expect("the DataNode answers");
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        reply.body
    }

    /// Makes a directory as a user, with this mode in octal.
    #[track_caller]
    pub fn mkdir(&self, user: &str, path: &str, mode: &str) {
        self.ok("PUT", path, &format!("op=MKDIRS&permission={mode}&user.name={user}"));
    }

    /// A user's home, made if it is missing.
    #[track_caller]
    pub fn home_of(&self, user: &str) -> String {
        let home = format!("/user/{user}");
        if self.status(&home).is_none() {
            self.mkdir(&self.superuser, &home, "755");
            self.chown(&home, user);
        }
        home
    }

    /// Gives a file or directory to a user.
    #[track_caller]
    pub fn chown(&self, path: &str, owner: &str) {
        self.ok("PUT", path, &format!("op=SETOWNER&owner={owner}&user.name={}", self.superuser));
    }

    /// Removes a file or a whole directory.
    #[track_caller]
    pub fn remove(&self, path: &str) {
        self.ok("DELETE", path, &format!("op=DELETE&recursive=true&user.name={}", self.superuser));
    }

    /// What WebHDFS says of a path (`FileStatus`: `length`, `owner`, `permission`…), if it exists.
    #[track_caller]
    pub fn status(&self, path: &str) -> Option<Value> {
        let reply = self.call("GET", path, &format!("op=GETFILESTATUS&user.name={}", self.superuser));
        (reply.status != 404).then(|| json(path, &reply)["FileStatus"].clone())
    }

    /// The `FileStatus` of everything in a directory, each with its name as `pathSuffix`.
    #[track_caller]
    pub fn list(&self, path: &str) -> Vec<Value> {
        let reply = self.call("GET", path, &format!("op=LISTSTATUS&user.name={}", self.superuser));
        json(path, &reply)["FileStatuses"]["FileStatus"].as_array().cloned().unwrap_or_default()
    }

    /// Whether the NameNode at this address is out of safe mode and its DataNode takes connections: a killed one is
    /// listed as alive, at its old port, for some seconds more. This is so of a standby, too.
    pub(crate) fn serves(host: &str) -> Result<(), String> {
        let info = bean(host, "NameNodeInfo")?;
        if info["Safemode"] != "" {
            return Err(format!("safe mode: {}", info["Safemode"]));
        }
        let nodes = parse(info["LiveNodes"].as_str().ok_or("no LiveNodes yet")?)?;
        let node = nodes.as_object().and_then(|all| all.values().next()).ok_or("no DataNode yet")?;
        let address = node["xferaddr"].as_str().ok_or("no address of the DataNode")?;
        TcpStream::connect(address).map(drop).map_err(|e| format!("DataNode at {address}: {e}"))
    }

    /// Whether this is so of one of them.
    pub(crate) fn one_serves(hosts: &[String]) -> Result<(), String> {
        hosts.iter().map(|host| Hdfs::serves(host)).fold(Err("no NameNode".into()), Result::or)
    }

    /// The DataNode's address for a read or write: WebHDFS redirects, and says where in its body when told to.
    #[track_caller]
    fn located(&self, method: &str, path: &str, query: &str) -> String {
        let reply = self.call(method, path, &format!("{query}&noredirect=true"));
        json(path, &reply)["Location"].as_str().expect("a Location").to_string()
    }

    #[track_caller]
    fn ok(&self, method: &str, path: &str, query: &str) {
        let reply = self.call(method, path, query);
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
    }

    #[track_caller]
    fn call(&self, method: &str, path: &str, query: &str) -> http::Reply {
        let url = format!("{}/webhdfs/v1{path}?{query}", self.web());
        http::request(method, &url, &[]).expect("the NameNode answers")
    }
}

fn web(host: &str) -> String {
    format!("http://{host}:9870")
}

fn is_active(host: &str) -> bool {
    bean(host, "NameNodeStatus").is_ok_and(|status| status["State"] == "active")
}

/// One of the beans that a NameNode tells of itself in.
fn bean(host: &str, name: &str) -> Result<Value, String> {
    let reply = http::get(&format!("{}/jmx?qry=Hadoop:service=NameNode,name={name}", web(host)))?;
    Ok(parse(&reply.body)?["beans"].get(0).cloned().unwrap_or_default())
}

fn parse(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("{error}: {text}"))
}

#[track_caller]
fn json(path: &str, reply: &http::Reply) -> Value {
    assert_eq!(reply.status, 200, "{path}: {}", reply.body);
    serde_json::from_str(&reply.body).unwrap_or_else(|e| panic!("{path}: {e}: {}", reply.body))
}
