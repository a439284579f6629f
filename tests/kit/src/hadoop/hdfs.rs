//! What tests do to HDFS themselves, over WebHDFS.

use std::{net::TcpStream, process::Command};

use serde_json::Value;

use super::Daemon;
use crate::http;

/// A running HDFS: NameNode and DataNode.
pub struct Hdfs {
    /// The NameNode.
    pub name_node: Daemon,
    /// The DataNode.
    pub data_node: Daemon,
    /// Its superuser: whoever started the NameNode.
    pub superuser: String,
    host: String,
}

impl Hdfs {
    pub(crate) fn new(name_node: Daemon, data_node: Daemon, host: String) -> Hdfs {
        let id = Command::new("id").arg("-un").output().expect("id");
        let superuser = String::from_utf8_lossy(&id.stdout).trim().to_string();
        Hdfs { name_node, data_node, superuser, host }
    }

    /// Its root, `hdfs://HOST:PORT`.
    pub fn uri(&self) -> String {
        format!("hdfs://{}:8020", self.host)
    }

    /// The NameNode's web address.
    pub fn web(&self) -> String {
        format!("http://{}:9870", self.host)
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

    /// Whether the NameNode is out of safe mode and its DataNode takes connections: a killed one is listed
    /// as alive, at its old port, for some seconds more.
    pub(crate) fn serves(web: &str) -> Result<(), String> {
        let parse = |text: &str| serde_json::from_str::<Value>(text).map_err(|e| format!("{e}: {text}"));
        let reply = http::get(&format!("{web}/jmx?qry=Hadoop:service=NameNode,name=NameNodeInfo"))?;
        let info = parse(&reply.body)?["beans"].get(0).cloned().unwrap_or_default();
        if info["Safemode"] != "" {
            return Err(format!("safe mode: {}", info["Safemode"]));
        }
        let nodes = parse(info["LiveNodes"].as_str().ok_or("no LiveNodes yet")?)?;
        let node = nodes.as_object().and_then(|all| all.values().next()).ok_or("no DataNode yet")?;
        let address = node["xferaddr"].as_str().ok_or("no address of the DataNode")?;
        TcpStream::connect(address).map(drop).map_err(|e| format!("DataNode at {address}: {e}"))
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

#[track_caller]
fn json(path: &str, reply: &http::Reply) -> Value {
    assert_eq!(reply.status, 200, "{path}: {}", reply.body);
    serde_json::from_str(&reply.body).unwrap_or_else(|e| panic!("{path}: {e}: {}", reply.body))
}
