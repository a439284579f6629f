//! Starting, finding and ending the daemons together.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use super::{
    Daemon, Hadoop, Hdfs, Setup, Wire, Yarn, daemon::Launch, network::Network, reaper::Reaper, sites::Sites,
};
use crate::{Flink, Lab, http, lab, wait};

/// A Hadoop cluster that runs. When it is dropped, or its process ends in any way, all of it is killed,
/// containers too, and its directory removed, unless a test failed.
pub struct Cluster {
    dir: PathBuf,
    setup: Setup,
    hdfs: Hdfs,
    yarn: Option<Yarn>,
    zookeeper: Option<ZooKeeper>,
    reaper: Reaper,
    network: Network,
}

/// A running ZooKeeper server.
pub struct ZooKeeper {
    /// The server.
    pub daemon: Daemon,
    /// Its address, `HOST:PORT`.
    pub address: String,
}

/// What every daemon's launch is made from.
struct Plan<'a> {
    dir: &'a Path,
    network: &'a Network,
    class_path: String,
    sites: Sites,
}

impl Cluster {
    /// Starts all daemons side by side and waits until each serves.
    #[track_caller]
    pub fn start(hadoop: &Hadoop, setup: Setup) -> Cluster {
        let dir = lab::fresh_dir("hadoop");
        Cluster::start_in(hadoop, setup, dir)
    }

    /// The same in a directory of the caller's, which must be empty.
    #[track_caller]
    pub fn start_in(hadoop: &Hadoop, setup: Setup, dir: PathBuf) -> Cluster {
        let reaper = Reaper::new(&dir);
        let network = match setup.far_node {
            true => Network::with_far_host(node_host(setup.node_managers)),
            false => Network::on_loopback(),
        };
        if let Some(wire) = network.wire() {
            reaper.remove_wire(&wire.name());
        }
        let plan = Plan::new(&dir, &network, hadoop, &setup);
        plan.sites.write(&dir.join("conf"));
        let hdfs = plan.hdfs(&setup);
        let yarn = (setup.node_managers > 0).then(|| plan.yarn(&setup));
        let zookeeper = setup.zookeeper.then(|| plan.zookeeper());
        let cluster = Cluster { hdfs, yarn, zookeeper, reaper, setup, network, dir };
        cluster.start_daemons();
        cluster.make_homes();
        cluster
    }

    /// The NameNode's storage is formatted while the others load their classes; they wait for it.
    #[track_caller]
    fn start_daemons(&self) {
        let daemons = self.daemons();
        let (name_nodes, others) = daemons.split_at(self.hdfs.name_nodes().count());
        for daemon in others {
            daemon.start();
        }
        self.hdfs.format();
        for name_node in name_nodes {
            name_node.start();
        }
        if name_nodes.len() > 1 {
            self.hdfs.activate();
        }
        for daemon in self.daemons() {
            daemon.wait_ready();
        }
    }

    /// HDFS.
    pub fn hdfs(&self) -> &Hdfs {
        &self.hdfs
    }

    /// YARN. Fails when the setup has none.
    #[track_caller]
    pub fn yarn(&self) -> &Yarn {
        self.yarn.as_ref().expect("a setup with YARN")
    }

    /// ZooKeeper. Fails when the setup has none.
    #[track_caller]
    pub fn zookeeper(&self) -> &ZooKeeper {
        self.zookeeper.as_ref().expect("a setup with ZooKeeper")
    }

    /// The wire to the last NodeManager. Fails when the setup has none.
    #[track_caller]
    pub fn wire(&self) -> &Wire {
        self.network.wire().expect("a setup with a far node")
    }

    /// What it was started from.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What clients name in `HADOOP_CONF_DIR`.
    pub fn conf_dir(&self) -> PathBuf {
        self.dir.join("conf")
    }

    /// A lab of a user, who has a home on HDFS, without Java and without Hadoop but for its configuration.
    #[track_caller]
    pub fn lab(&self, user: &str, test: &str, flink: &Flink) -> Lab {
        self.hdfs.home_of(user);
        let mut lab = Lab::with_flink(test, flink);
        lab.env("HADOOP_CONF_DIR", self.conf_dir().to_str().expect("a UTF-8 path"));
        lab.env("HADOOP_USER_NAME", user);
        lab.env("PATH", "/usr/bin:/bin");
        lab
    }

    /// Every daemon.
    pub fn daemons(&self) -> Vec<&Daemon> {
        let yarn = self.yarn.iter().flat_map(|yarn| yarn.resource_managers().chain(&yarn.node_managers));
        let zookeeper = self.zookeeper.iter().map(|z| &z.daemon);
        self.hdfs.name_nodes().chain([&self.hdfs.data_node]).chain(yarn).chain(zookeeper).collect()
    }

    /// The processes of its containers: all of the cluster's but the daemons, with their command lines.
    pub fn containers(&self) -> Vec<(i32, String)> {
        let daemons: Vec<i32> = self.daemons().iter().filter_map(|d| Some(d.running()? as i32)).collect();
        let mut members = self.reaper.members();
        members.retain(|(pid, _)| !daemons.contains(pid));
        members
    }

    /// Waits until no container runs, and fails if one stays.
    #[track_caller]
    pub fn no_container_left(&self) {
        wait::until("no container is left", Duration::from_secs(30), || match self.containers() {
            left if left.is_empty() => Ok(()),
            left => Err(format!("{left:?}")),
        });
    }

    /// Keeps the directory when the cluster ends.
    pub fn keep_scene(&self) {
        self.reaper.keep_scene();
        eprintln!("the scene of the Hadoop cluster is kept in {}", self.dir.display());
    }

    /// As on any real cluster: a world-writable `/tmp`, and a `/user` in which homes can be made.
    fn make_homes(&self) {
        for dir in ["/tmp", "/user"] {
            self.hdfs.mkdir(&self.hdfs.superuser, dir, "1777");
        }
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("dir", &self.dir).field("setup", &self.setup).finish_non_exhaustive()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if thread::panicking() {
            self.keep_scene();
        }
        self.reaper.reap();
        let left = self.reaper.members();
        assert!(left.is_empty() || thread::panicking(), "the cluster left processes: {left:?}");
    }
}

/// The host of ZooKeeper in the network.
const ZOOKEEPER: u8 = 3;

/// The host of the nth NameNode in the network.
fn name_node_host(n: u8) -> u8 {
    if n == 1 { 1 } else { 100 + n }
}

/// The host of the nth ResourceManager in the network.
fn manager_host(n: u8) -> u8 {
    if n == 1 { 2 } else { 3 + n }
}

/// The host of the nth NodeManager in the network.
fn node_host(n: u8) -> u8 {
    10 + n
}

impl Plan<'_> {
    fn new<'a>(dir: &'a Path, network: &'a Network, hadoop: &Hadoop, setup: &Setup) -> Plan<'a> {
        let mut sites = Sites::default();
        sites.hdfs(dir, &network.host(1), &network.caller());
        if setup.name_nodes > 1 {
            let hosts: Vec<_> = (1..=setup.name_nodes).map(|n| network.host(name_node_host(n))).collect();
            sites.name_nodes(dir, &hosts);
        }
        if setup.node_managers > 0 {
            sites.yarn(dir, &network.host(2), &hadoop.class_path());
        }
        if setup.resource_managers > 1 {
            let hosts: Vec<_> =
                (1..=setup.resource_managers).map(|n| network.host(manager_host(n))).collect();
            sites.resource_managers(&hosts, &format!("{}:2181", network.host(ZOOKEEPER)));
        }
        for (site, key, value) in &setup.settings {
            sites.set(*site, key, value);
        }
        // The daemons' web servers look their pages up on the class path and insist on the folders.
        for page in ["hdfs", "datanode", "cluster", "node", "static"] {
            fs::create_dir_all(dir.join("java/webapps").join(page)).expect("a directory");
        }
        fs::write(dir.join("java/log4j.properties"), include_str!("log4j.properties")).expect("a file");
        let class_path = format!("{}:{}", dir.join("java").display(), hadoop.class_path());
        Plan { dir, network, class_path, sites }
    }

    fn launch(&self, name: &str, host: u8, main: &'static str, heap_mib: u32) -> Launch {
        Launch {
            name: name.to_string(),
            main,
            args: Vec::new(),
            host: self.network.host(host),
            namespace: None,
            heap_mib,
            conf_dir: self.dir.join("conf"),
            class_path: self.class_path.clone(),
            cluster: self.dir.into(),
        }
    }

    fn hdfs(&self, setup: &Setup) -> Hdfs {
        let numbers = 1..=setup.name_nodes;
        let hosts: Vec<String> = numbers.clone().map(|n| self.network.host(name_node_host(n))).collect();
        let name_nodes = numbers.map(|n| self.name_node(n, setup)).collect();
        let data_node = self.launch("datanode", 1, "org.apache.hadoop.hdfs.server.datanode.DataNode", 128);
        let all = hosts.clone();
        let data_node = Daemon::new(data_node, move |_| Hdfs::one_serves(&all));
        let admin = self.launch("haadmin", 1, "org.apache.hadoop.hdfs.tools.DFSHAAdmin", 64);
        Hdfs::new(name_nodes, hosts, data_node, admin)
    }

    fn name_node(&self, n: u8, setup: &Setup) -> Daemon {
        let class = "org.apache.hadoop.hdfs.server.namenode.NameNode";
        let name = if n == 1 { "namenode".to_string() } else { format!("namenode-{n}") };
        let mut launch = self.launch(&name, name_node_host(n), class, 192);
        if setup.name_nodes > 1 {
            let mut sites = self.sites.clone();
            sites.name_node(n, &launch.dir());
            launch.conf_dir = launch.dir().join("conf");
            sites.write(&launch.conf_dir);
        }
        let host = launch.host.clone();
        Daemon::new(launch, move |_| Hdfs::serves(&host))
    }

    fn yarn(&self, setup: &Setup) -> Yarn {
        let numbers = 1..=setup.resource_managers;
        let web: Vec<String> =
            numbers.clone().map(|n| format!("http://{}:8088", self.network.host(manager_host(n)))).collect();
        let mut managers = numbers.map(|n| self.resource_manager(n, &web, setup));
        let first = managers.next().expect("a ResourceManager");
        let others = managers.collect();
        let node_managers = (1..=setup.node_managers).map(|n| self.node_manager(n, setup)).collect();
        Yarn { resource_manager: first, other_resource_managers: others, node_managers, web }
    }

    fn resource_manager(&self, n: u8, all: &[String], setup: &Setup) -> Daemon {
        let class = "org.apache.hadoop.yarn.server.resourcemanager.ResourceManager";
        let name = if n == 1 { "resourcemanager".to_string() } else { format!("resourcemanager-{n}") };
        let mut launch = self.launch(&name, manager_host(n), class, 256);
        if all.len() > 1 {
            let mut sites = self.sites.clone();
            sites.resource_manager(n);
            launch.conf_dir = launch.dir().join("conf");
            sites.write(&launch.conf_dir);
        }
        let (web, all) = (all[usize::from(n) - 1].clone(), all.to_vec());
        let nodes = usize::from(setup.node_managers);
        Daemon::new(launch, move |_| Yarn::serves(&web, &all, nodes))
    }

    /// The ResourceManager takes a killed node for a running one until it expires, so it is not asked.
    fn node_manager(&self, n: u8, setup: &Setup) -> Daemon {
        let name = format!("nodemanager-{n}");
        let class = "org.apache.hadoop.yarn.server.nodemanager.NodeManager";
        let mut launch = self.launch(&name, node_host(n), class, 160);
        if n == setup.node_managers {
            launch.namespace = self.network.wire().map(Wire::name);
        }
        let mut sites = self.sites.clone();
        sites.node(self.dir, &launch.dir(), &launch.host);
        launch.conf_dir = launch.dir().join("conf");
        sites.write(&launch.conf_dir);
        Daemon::new(launch, |log| match log.contains("Registered with ResourceManager as") {
            true => Ok(()),
            false => Err("not registered with the ResourceManager".into()),
        })
    }

    /// ZooKeeper's own defaults, but for the sessions' bounds, which follow `tickTime`.
    fn zookeeper(&self) -> ZooKeeper {
        let class = "org.apache.zookeeper.server.quorum.QuorumPeerMain";
        let mut launch = self.launch("zookeeper", ZOOKEEPER, class, 96);
        let (host, dir) = (&launch.host, launch.dir());
        fs::create_dir_all(dir.join("data")).expect("a directory");
        let file = dir.join("zoo.cfg");
        let conf = format!(
            "tickTime=2000\ndataDir={}\nclientPort=2181\nclientPortAddress={host}\nadmin.enableServer=false\n\
             4lw.commands.whitelist=*\n",
            dir.join("data").display()
        );
        fs::write(&file, conf).expect("a file");
        let address = format!("{host}:2181");
        launch.args.push(file.to_str().expect("a UTF-8 path").to_string());
        let asked = address.clone();
        ZooKeeper { daemon: Daemon::new(launch, move |_| answers(&asked)), address }
    }
}

/// Whether a ZooKeeper serves, by its four-letter word.
fn answers(address: &str) -> Result<(), String> {
    match http::exchange(address, b"ruok") {
        Ok(reply) if reply == "imok" => Ok(()),
        reply => Err(format!("ruok: {reply:?}")),
    }
}
