//! Where a cluster's znodes lie: ZooKeeper's connect string and Flink's paths, checked before anything is started.

use std::fmt;

use kobel_conf::{Category, Explain};

/// Where ZooKeeper listens unless told otherwise, as its own client takes it.
const DEFAULT_PORT: u16 = 2181;
/// The longest host name that DNS allows.
const MAX_HOST: usize = 253;
/// ZooKeeper's own tree, which is no place for anybody else's.
const RESERVED: &str = "/zookeeper";

/// Why ZooKeeper's address or a path in it is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// It names no server.
    #[error("the ZooKeeper quorum is empty")]
    NoServer,
    /// A part of it is no server.
    #[error("{server:?} of the ZooKeeper quorum is no HOST:PORT: {why}")]
    Server {
        /// The part.
        server: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A path is none that ZooKeeper takes.
    #[error("{path:?} cannot be {place} in ZooKeeper: {why}")]
    Path {
        /// What it should have been: the chroot, or the key that holds it.
        place: &'static str,
        /// The path.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl Explain for LayoutError {
    fn category(&self) -> Category {
        Category::Environment
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            LayoutError::NoServer | LayoutError::Server { .. } => {
                "write it as zk1:2181,zk2:2181,zk3:2181, with /PATH behind the last one if all is to lie below that".into()
            }
            LayoutError::Path { .. } => "write it as /flink or flink/prod: names with a single / between them".into(),
        })
    }
}

/// ZooKeeper's servers and the path below which everything lies (`high-availability.zookeeper.quorum`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quorum {
    servers: Vec<String>,
    chroot: Option<ZkPath>,
}

impl Quorum {
    /// Reads `HOST:PORT,…[/CHROOT]`, as ZooKeeper's `ConnectStringParser` does, but takes nothing that could only
    /// be a mistake.
    pub fn parse(text: &str) -> Result<Quorum, LayoutError> {
        let text = text.trim();
        let at = text.find('/').unwrap_or(text.len());
        let (hosts, chroot) = text.split_at(at);
        if hosts.trim().is_empty() {
            return Err(LayoutError::NoServer);
        }
        let servers = hosts.split(',').map(|part| server(part.trim())).collect::<Result<_, _>>()?;
        let chroot = if chroot.len() > 1 { Some(ZkPath::absolute(chroot, "the chroot")?) } else { None };
        Ok(Quorum { servers, chroot })
    }

    /// The servers alone, for a client that names all paths from ZooKeeper's root.
    pub fn servers(&self) -> String {
        self.servers.join(",")
    }

    /// Where everything lies, if not at ZooKeeper's root: it must exist before Flink starts.
    pub fn chroot(&self) -> Option<&str> {
        self.chroot.as_ref().map(|path| path.0.as_str())
    }

    /// Whether only this machine can reach it.
    pub fn is_loopback(&self) -> bool {
        self.servers
            .iter()
            .all(|server| is_loopback(server.rsplit_once(':').map_or(server, |(host, _)| host)))
    }
}

/// As Flink is told of it.
impl fmt::Display for Quorum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.servers(), self.chroot().unwrap_or_default())
    }
}

/// Whether a host, an IPv6 address perhaps in brackets, is this machine's own and means another on any other.
pub(super) fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn server(text: &str) -> Result<String, LayoutError> {
    let bad = |why| LayoutError::Server { server: text.into(), why };
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or(bad("the bracket is not closed"))?;
        host.parse::<std::net::Ipv6Addr>().map_err(|_| bad("there is no IPv6 address in the brackets"))?;
        (format!("[{host}]"), port)
    } else {
        let at = text.find(':').unwrap_or(text.len());
        if text[at..].matches(':').count() > 1 {
            return Err(bad("it has more than one colon; an IPv6 address stands in brackets"));
        }
        (text[..at].to_string(), &text[at..])
    };
    let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if !host.starts_with('[') && (host.is_empty() || host.len() > MAX_HOST || !host.chars().all(named)) {
        return Err(bad("there is no host name"));
    }
    let port = match port {
        "" => DEFAULT_PORT,
        given => given.strip_prefix(':').and_then(port_number).ok_or(bad("a port is 1 to 65535"))?,
    };
    Ok(format!("{host}:{port}"))
}

fn port_number(text: &str) -> Option<u16> {
    let port = text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())??;
    (port != 0).then_some(port)
}

/// An absolute path that ZooKeeper takes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ZkPath(String);

impl ZkPath {
    /// What ZooKeeper's `PathUtils.validatePath` refuses, is refused.
    fn absolute(text: &str, place: &'static str) -> Result<ZkPath, LayoutError> {
        let bad = |why| Err(LayoutError::Path { place, path: text.into(), why });
        let Some(names) = text.strip_prefix('/') else { return bad("it does not start with /") };
        for name in names.split('/') {
            match name {
                "" => return bad("there is no name between two /, or at its end"),
                "." | ".." => return bad("it has . or .. in it"),
                _ if name.chars().any(is_refused) => {
                    return bad("it has a character that ZooKeeper does not take");
                }
                _ => {}
            }
        }
        Ok(ZkPath(text.into()))
    }

    /// A path or name from Flink's configuration, which may leave out the first slash and add a last one.
    fn relative(text: &str, place: &'static str) -> Result<Option<ZkPath>, LayoutError> {
        let inner = text.strip_prefix('/').unwrap_or(text);
        let inner = inner.strip_suffix('/').unwrap_or(inner);
        if inner.is_empty() {
            return Ok(None);
        }
        let absolute = ZkPath::absolute(&format!("/{inner}"), place);
        absolute.map(Some).map_err(|error| match error {
            LayoutError::Path { why, .. } => LayoutError::Path { place, path: text.into(), why },
            other => other,
        })
    }
}

fn is_refused(c: char) -> bool {
    matches!(c, '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..='\u{ffff}')
}

/// The znode below which all of one cluster's lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterRoot(String);

impl ClusterRoot {
    /// Flink's key for the root of all clusters, `/flink` unless set.
    pub const ROOT_KEY: &'static str = "high-availability.zookeeper.path.root";
    /// Flink's key for the name of this one.
    pub const ID_KEY: &'static str = "high-availability.cluster-id";

    /// From the chroot of `quorum`, [`ClusterRoot::ROOT_KEY`] and [`ClusterRoot::ID_KEY`], joined as
    /// `ZooKeeperUtils.generateZookeeperPath` does. The cluster must have a name of its own.
    pub fn new(quorum: &Quorum, root: &str, cluster_id: &str) -> Result<ClusterRoot, LayoutError> {
        let root = ZkPath::relative(root, Self::ROOT_KEY)?;
        let id = ZkPath::relative(cluster_id, Self::ID_KEY)?;
        let empty = || LayoutError::Path { place: Self::ID_KEY, path: cluster_id.into(), why: "it is empty" };
        let id = id.ok_or_else(empty)?;
        let parts = [quorum.chroot.as_ref(), root.as_ref(), Some(&id)];
        let path: String = parts.into_iter().flatten().map(|path| path.0.as_str()).collect();
        if path == RESERVED || path.starts_with("/zookeeper/") {
            let why = "/zookeeper is ZooKeeper's own";
            return Err(LayoutError::Path { place: Self::ROOT_KEY, path, why });
        }
        Ok(ClusterRoot(path))
    }

    /// The path itself, from ZooKeeper's root.
    pub fn path(&self) -> &str {
        &self.0
    }

    /// Whether a znode lies below it.
    pub fn contains(&self, path: &str) -> bool {
        path.strip_prefix(&self.0).is_some_and(|rest| rest.starts_with('/'))
    }

    /// The parent of all that the election needs.
    pub fn leader_dir(&self) -> String {
        format!("{}/leader", self.0)
    }

    /// The parent of the JobManagers' latches.
    pub fn latch_dir(&self) -> String {
        format!("{}/leader/latch", self.0)
    }

    /// Where the leader tells how to reach one of its components.
    pub fn connection_info(&self, component: &str) -> String {
        format!("{}/leader/{component}/connection_info", self.0)
    }

    /// Where the leader tells the address of its REST API.
    pub fn rest_server(&self) -> String {
        self.connection_info("rest_server")
    }

    /// The parents of one znode for each job, submitted work and checkpoints, below which the leader has `locks`.
    /// Flink 1 calls what was submitted `jobgraphs`, Flink 2 `execution-plans`, and later ones have
    /// `applications` beside them; what is not there is passed over, so one list does for all.
    pub fn stores(&self) -> [String; 3] {
        ["jobgraphs", "execution-plans", "applications"].map(|name| format!("{}/{name}", self.0))
    }

    /// The parent of the jobs, of which each has `checkpoints`.
    pub fn jobs_dir(&self) -> String {
        format!("{}/jobs", self.0)
    }
}

/// Whether a child of the latch's directory is what Curator's `LeaderLatch` makes: `_c_<uuid>-latch-<10 digits>`.
pub fn is_latch(name: &str) -> bool {
    let Some((uuid, number)) = name.strip_prefix("_c_").and_then(|rest| rest.split_once("-latch-")) else {
        return false;
    };
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_hexdigit());
    let groups: Vec<usize> = uuid.split('-').map(str::len).collect();
    groups == [8, 4, 4, 4, 12]
        && uuid.split('-').all(digits)
        && number.len() == 10
        && number.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quorums_are_read_as_zookeeper_reads_them() {
        let table = [
            ("zk", "zk:2181", None),
            (" zk1:2181 , zk2:2182 ", "zk1:2181,zk2:2182", None),
            ("zk1:1/", "zk1:1", None),
            (
                "10.0.0.1:2181,[::1]:2181,[fe80::1]/a/b",
                "10.0.0.1:2181,[::1]:2181,[fe80::1]:2181",
                Some("/a/b"),
            ),
        ];
        for (text, servers, chroot) in table {
            let quorum = Quorum::parse(text).unwrap();
            assert_eq!((quorum.servers().as_str(), quorum.chroot()), (servers, chroot), "{text:?}");
            assert_eq!(Quorum::parse(&quorum.to_string()), Ok(quorum));
        }
        for (text, loopback) in [("localhost:1,127.8.0.1", true), ("[::1]:1", true), ("localhost,zk", false)]
        {
            assert_eq!(Quorum::parse(text).unwrap().is_loopback(), loopback, "{text}");
        }
    }

    #[test]
    fn a_bad_quorum_is_refused_by_its_part() {
        for text in ["", " ", "/chroot"] {
            assert_eq!(Quorum::parse(text), Err(LayoutError::NoServer));
        }
        let servers = [
            "host:2181:x",
            "host:0",
            ":2181",
            "::1",
            "fe80::1:2181",
            "host:65536",
            "host:-1",
            "host:+1",
            "host:",
            "[::1",
            "[host]:1",
            "[::1]x",
            "a b:1",
            "-oProxyCommand=x;y",
            "h\u{f6}st",
        ];
        for text in servers {
            let error = Quorum::parse(&format!("zk1:2181,{text}")).unwrap_err();
            assert!(
                matches!(&error, LayoutError::Server { server, .. } if server == text),
                "{text:?}: {error}"
            );
            assert!(error.hint().unwrap().contains("zk1:2181"));
        }
        assert!(
            matches!(Quorum::parse("a,,b"), Err(LayoutError::Server { server, .. }) if server.is_empty())
        );
    }

    #[test]
    fn a_bad_path_is_refused_by_its_place() {
        let zk = Quorum::parse("zk").unwrap();
        for bad in ["/a//b", "a/../b", "/./a", "a\0b", "//a", "a//", "a\nb", "\u{e000}"] {
            let root = ClusterRoot::new(&zk, bad, "id").unwrap_err();
            let id = ClusterRoot::new(&zk, "/flink", bad).unwrap_err();
            assert!(
                root.to_string().contains("path.root") && id.to_string().contains("cluster-id"),
                "{root}; {id}"
            );
            let chroot = Quorum::parse(&format!("zk/{}", bad.trim_start_matches('/')));
            assert!(chroot.is_err() || bad == "//a", "{bad:?}");
        }
        for empty in ["", "/", "//"] {
            assert!(ClusterRoot::new(&zk, "/flink", empty).is_err(), "{empty:?}");
        }
        assert!(Quorum::parse("zk/a/").is_err());
        assert!(ClusterRoot::new(&zk, "/zookeeper", "config").is_err());
        assert!(ClusterRoot::new(&zk, "/", "zookeeper").is_err());
    }

    #[test]
    fn paths_are_joined_as_flink_joins_them() {
        let table = [
            ("zk", "/flink", "etl", "/flink/etl"),
            ("zk", "flink/", "/default", "/flink/default"),
            ("zk", "/", "etl", "/etl"),
            ("zk", "", "etl", "/etl"),
            ("zk/prod/a", "/flink", "x/y", "/prod/a/flink/x/y"),
            ("zk/prod", "/zookeeper", "x", "/prod/zookeeper/x"),
        ];
        for (quorum, root, id, path) in table {
            let root = ClusterRoot::new(&Quorum::parse(quorum).unwrap(), root, id).unwrap();
            assert_eq!(root.path(), path);
            assert_eq!(root.rest_server(), format!("{path}/leader/rest_server/connection_info"));
            assert!(root.contains(&root.latch_dir()));
            assert!(!root.contains(path) && !root.contains(&format!("{path}2/leader")));
        }
    }

    #[test]
    fn only_curators_names_are_latches() {
        assert!(is_latch("_c_2a7bfb4f-0c5e-4b8a-9d3e-0f1e2d3c4b5a-latch-0000000012"));
        let foreign = [
            "",
            "lock-1",
            "_c_2a7bfb4f-latch-0000000012",
            "_c_2a7bfb4f-0c5e-4b8a-9d3e-0f1e2d3c4b5a-latch-12",
            "_c_2a7bfb4f-0c5e-4b8a-9d3e-0f1e2d3c4b5a-lock-0000000012",
            "_c_zzzzzzzz-0c5e-4b8a-9d3e-0f1e2d3c4b5a-latch-0000000012",
        ];
        for name in foreign {
            assert!(!is_latch(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in r"[a-z0-9:,/.\[\] ]{0,40}|\PC{0,40}") {
            if let Ok(quorum) = Quorum::parse(&text) {
                prop_assert_eq!(Quorum::parse(&quorum.to_string()).unwrap(), quorum.clone());
                if let Ok(root) = ClusterRoot::new(&quorum, &text, &text) {
                    prop_assert!(!root.path().contains("//") && root.path().starts_with('/'));
                }
            }
            let _ = is_latch(&text);
        }
    }
}
