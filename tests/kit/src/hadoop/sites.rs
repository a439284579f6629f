//! The daemons' configuration. Defaults that a test would notice stay as Hadoop has them (heartbeats, allocation
//! sizes); what only makes a small cluster slow or moody is changed, and says why.

use std::{collections::BTreeMap, fs, path::Path};

use super::reaper;

/// The configuration file that a setting belongs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Site {
    /// `core-site.xml`
    Core,
    /// `hdfs-site.xml`
    Hdfs,
    /// `yarn-site.xml`
    Yarn,
    /// `capacity-scheduler.xml`
    Scheduler,
}

impl Site {
    const ALL: [Site; 4] = [Site::Core, Site::Hdfs, Site::Yarn, Site::Scheduler];

    fn file(self) -> &'static str {
        match self {
            Site::Core => "core-site.xml",
            Site::Hdfs => "hdfs-site.xml",
            Site::Yarn => "yarn-site.xml",
            Site::Scheduler => "capacity-scheduler.xml",
        }
    }
}

/// The name of HDFS where it has several NameNodes.
pub(crate) const NAMESERVICE: &str = "kit";

/// All settings of one daemon, or of the clients.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sites(BTreeMap<(Site, String), String>);

impl Sites {
    pub(crate) fn set(&mut self, site: Site, key: &str, value: impl ToString) {
        self.0.insert((site, key.to_string()), value.to_string());
    }

    fn all(&mut self, site: Site, settings: &[(&str, &str)]) {
        for (key, value) in settings {
            self.set(site, key, value);
        }
    }

    /// HDFS with one DataNode. `dir` is the cluster's.
    ///
    /// A NameNode tells clients the address that a DataNode's calls come from (`DatanodeManager.registerDatanode`): so
    /// that, `caller`, is where it listens, at free ports.
    pub(crate) fn hdfs(&mut self, dir: &Path, name_node: &str, caller: &str) {
        self.set(Site::Core, "fs.defaultFS", format!("hdfs://{name_node}:8020"));
        self.set(Site::Core, "hadoop.tmp.dir", dir.join("tmp").display());
        self.set(Site::Hdfs, "dfs.namenode.name.dir", dir.join("namenode/name").display());
        self.set(Site::Hdfs, "dfs.namenode.http-address", format!("{name_node}:9870"));
        self.set(Site::Hdfs, "dfs.datanode.data.dir", dir.join("datanode/data").display());
        self.set(Site::Hdfs, "dfs.datanode.hostname", caller);
        for key in ["address", "ipc.address", "http.address"] {
            self.set(Site::Hdfs, &format!("dfs.datanode.{key}"), format!("{caller}:0"));
        }
        let small = [
            ("dfs.replication", "1"),
            ("dfs.namenode.safemode.extension", "0"),
            // The addresses have no names, and a machine's disk may be nearly full.
            ("dfs.namenode.datanode.registration.ip-hostname-check", "false"),
            ("dfs.namenode.resource.du.reserved", "0"),
            // A DataNode is missed, and comes back, within seconds.
            ("dfs.heartbeat.interval", "1"),
            ("dfs.namenode.heartbeat.recheck-interval", "2000"),
            ("dfs.datanode.scan.period.hours", "-1"),
        ];
        self.all(Site::Hdfs, &small);
    }

    /// NameNodes at these addresses serve one nameservice. The active one writes its edits where all others read them.
    pub(crate) fn name_nodes(&mut self, dir: &Path, hosts: &[String]) {
        self.0.remove(&(Site::Hdfs, "dfs.namenode.http-address".to_string()));
        self.set(Site::Core, "fs.defaultFS", format!("hdfs://{NAMESERVICE}"));
        self.set(Site::Hdfs, "dfs.nameservices", NAMESERVICE);
        let ids: Vec<String> = (1..=hosts.len()).map(name_node_id).collect();
        for (id, host) in ids.iter().zip(hosts) {
            for (key, port) in [("rpc-address", 8020), ("http-address", 9870)] {
                let key = format!("dfs.namenode.{key}.{NAMESERVICE}.{id}");
                self.set(Site::Hdfs, &key, format!("{host}:{port}"));
            }
        }
        self.set(Site::Hdfs, &format!("dfs.ha.namenodes.{NAMESERVICE}"), ids.join(","));
        let edits = format!("file://{}", dir.join("edits").display());
        self.set(Site::Hdfs, "dfs.namenode.shared.edits.dir", edits);
        // Up to two minutes otherwise; until then a standby misses blocks that are gone, and stays in safe mode.
        self.all(Site::Hdfs, &[("dfs.ha.log-roll.period", "1"), ("dfs.ha.tail-edits.period", "1")]);
        let provider = "org.apache.hadoop.hdfs.server.namenode.ha.ConfiguredFailoverProxyProvider";
        self.set(Site::Hdfs, &format!("dfs.client.failover.proxy.provider.{NAMESERVICE}"), provider);
    }

    /// What makes one of them of these settings, with a directory of its own.
    pub(crate) fn name_node(&mut self, number: u8, dir: &Path) {
        self.set(Site::Hdfs, "dfs.ha.namenode.id", name_node_id(number.into()));
        self.set(Site::Hdfs, "dfs.namenode.name.dir", dir.join("name").display());
    }

    /// What ResourceManager, NodeManagers and clients share. `class_path` is where Hadoop's jars lie.
    pub(crate) fn yarn(&mut self, dir: &Path, resource_manager: &str, class_path: &str) {
        self.set(Site::Yarn, "yarn.resourcemanager.hostname", resource_manager);
        let store = format!("file://{}", dir.join("resourcemanager/state").display());
        self.set(Site::Yarn, "yarn.resourcemanager.fs.state-store.uri", store);
        self.set(Site::Yarn, "yarn.application.classpath", format!("$HADOOP_CONF_DIR,{class_path}"));
        let small = [
            ("yarn.resourcemanager.recovery.enabled", "true"),
            (
                "yarn.resourcemanager.store.class",
                "org.apache.hadoop.yarn.server.resourcemanager.recovery.FileSystemRMStateStore",
            ),
            ("yarn.resourcemanager.work-preserving-recovery.scheduling-wait-ms", "0"),
            // 30 s by default: how long NodeManagers and AMs sleep when the ResourceManager is away.
            ("yarn.resourcemanager.connect.retry-interval.ms", "500"),
            ("yarn.nodemanager.resource.memory-mb", "8192"),
            ("yarn.nodemanager.resource.cpu-vcores", "8"),
            ("yarn.nodemanager.pmem-check-enabled", "false"),
            ("yarn.nodemanager.vmem-check-enabled", "false"),
            // A machine's full disk is not what a test is about. Even without the checker, it is looked at
            // once when the NodeManager starts.
            ("yarn.nodemanager.disk-health-checker.enable", "false"),
            ("yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage", "100"),
        ];
        self.all(Site::Yarn, &small);
        let queues = [
            ("yarn.scheduler.capacity.root.queues", "default,small"),
            ("yarn.scheduler.capacity.root.default.capacity", "90"),
            ("yarn.scheduler.capacity.root.default.maximum-capacity", "100"),
            ("yarn.scheduler.capacity.root.default.user-limit-factor", "2"),
            ("yarn.scheduler.capacity.root.small.capacity", "10"),
            ("yarn.scheduler.capacity.root.small.maximum-capacity", "10"),
            // Stock is 0.1: on 16 GB no second session would get its AM.
            ("yarn.scheduler.capacity.maximum-am-resource-percent", "0.8"),
        ];
        self.all(Site::Scheduler, &queues);
    }

    /// ResourceManagers at these addresses share the work. Where they are is told by their ids.
    pub(crate) fn resource_managers(&mut self, hosts: &[String], zookeeper: &str) {
        self.0.remove(&(Site::Yarn, "yarn.resourcemanager.hostname".to_string()));
        let id = |index: usize| format!("rm{}", index + 1);
        for (index, host) in hosts.iter().enumerate() {
            self.set(Site::Yarn, &format!("yarn.resourcemanager.hostname.{}", id(index)), host);
        }
        let ids: Vec<String> = (0..hosts.len()).map(id).collect();
        self.set(Site::Yarn, "yarn.resourcemanager.ha.rm-ids", ids.join(","));
        self.set(Site::Yarn, "hadoop.zk.address", zookeeper);
        let together = [
            ("yarn.resourcemanager.ha.enabled", "true"),
            ("yarn.resourcemanager.cluster-id", "kit"),
            (
                "yarn.resourcemanager.store.class",
                "org.apache.hadoop.yarn.server.resourcemanager.recovery.ZKRMStateStore",
            ),
            // As long as between two tries of one: NodeManagers go on to the next.
            ("yarn.client.failover-sleep-base-ms", "100"),
            ("yarn.client.failover-sleep-max-ms", "500"),
        ];
        self.all(Site::Yarn, &together);
    }

    /// What makes one of them of these settings.
    pub(crate) fn resource_manager(&mut self, number: u8) {
        self.set(Site::Yarn, "yarn.resourcemanager.ha.id", format!("rm{number}"));
    }

    /// What makes a NodeManager of these settings, at an address of its own with directories of its own. Its
    /// containers start from an empty environment, but for what it is told to put there.
    pub(crate) fn node(&mut self, cluster: &Path, dir: &Path, host: &str) {
        let marker = format!("{}={}", reaper::MARKER, cluster.display());
        self.set(
            Site::Yarn,
            "yarn.nodemanager.admin-env",
            format!("MALLOC_ARENA_MAX=$MALLOC_ARENA_MAX,{marker}"),
        );
        self.set(Site::Yarn, "yarn.nodemanager.hostname", host);
        for (key, port) in [("address", 8041), ("localizer.address", 8040), ("webapp.address", 8042)] {
            self.set(Site::Yarn, &format!("yarn.nodemanager.{key}"), format!("{host}:{port}"));
        }
        for (key, sub) in [("local-dirs", "local"), ("log-dirs", "logs"), ("recovery.dir", "recovery")] {
            self.set(Site::Yarn, &format!("yarn.nodemanager.{key}"), dir.join(sub).display());
        }
    }

    /// Writes the four files into a directory.
    pub(crate) fn write(&self, dir: &Path) {
        fs::create_dir_all(dir).expect("a directory");
        for site in Site::ALL {
            let mut text = String::from("<?xml version=\"1.0\"?>\n<configuration>\n");
            for ((_, key), value) in self.0.iter().filter(|((of, _), _)| *of == site) {
                let value = value.replace('&', "&amp;").replace('<', "&lt;");
                text += &format!("  <property><name>{key}</name><value>{value}</value></property>\n");
            }
            fs::write(dir.join(site.file()), text + "</configuration>\n").expect("a file");
        }
    }
}

/// What the settings call the nth NameNode of several.
pub(crate) fn name_node_id(number: usize) -> String {
    format!("nn{number}")
}
