//! The YARN cluster and the HDFS that Hadoop's configuration names, and who we are there.

use std::{collections::BTreeMap, fmt, time::Duration};

use kobel_conf::{
    Category, Explain,
    flink::Origin,
    hadoop::{Address, HadoopConf, HadoopConfError, SiteFile},
    settings::YarnApi,
};
use kobel_hadoop_rpc::Protection;

use super::{Collection, manager::Managers};
use crate::{Env, hadoop};

/// Where applications are submitted, and what they have to know of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Site {
    /// As whom.
    pub user: String,
    /// The ResourceManagers' web addresses, `http://host:port`.
    pub web: Vec<String>,
    /// Their RPC ports for clients, `host:port`.
    pub rpc: Vec<String>,
    /// Their schedulers, which masters talk to, `host:port`.
    pub scheduler: Vec<String>,
    /// How long a ResourceManager may be silent before it has started another master.
    pub patience: Duration,
    /// The properties of core-site and hdfs-site, their variables replaced.
    pub properties: BTreeMap<String, String>,
    /// The class path of Hadoop on the nodes, with variables of theirs.
    pub class_path: String,
    /// How it collects logs, where it does.
    pub collection: Option<Collection>,
    /// The files of the configuration.
    pub files: Vec<SiteFile>,
}

/// Properties may be secrets.
impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").field("user", &self.user).field("web", &self.web).finish_non_exhaustive()
    }
}

/// Where a node's Hadoop is unless YARN's configuration says otherwise
/// (`YarnConfiguration.DEFAULT_YARN_APPLICATION_CLASSPATH`).
const NODES_HADOOP: &str = "$HADOOP_COMMON_HOME/share/hadoop/common/*,\
    $HADOOP_COMMON_HOME/share/hadoop/common/lib/*,\
    $HADOOP_HDFS_HOME/share/hadoop/hdfs/*,\
    $HADOOP_HDFS_HOME/share/hadoop/hdfs/lib/*,\
    $HADOOP_YARN_HOME/share/hadoop/yarn/*,\
    $HADOOP_YARN_HOME/share/hadoop/yarn/lib/*";
/// The ways to write the node's configuration directory in a class path.
const CONF_DIRS: [&str; 3] = ["$HADOOP_CONF_DIR", "{{HADOOP_CONF_DIR}}", "${HADOOP_CONF_DIR}"];

/// No YARN cluster can be told from the configuration.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// Nobody says where the configuration is.
    #[error("neither HADOOP_CONF_DIR nor YARN_CONF_DIR is set, so no YARN cluster is known")]
    NoDirectory,
    /// A file is missing.
    #[error("the Hadoop configuration by {by} has no {name}")]
    NoFile {
        /// The variables or settings that name the directory.
        by: String,
        /// The file.
        name: &'static str,
    },
    /// The configuration cannot be used.
    #[error("the Hadoop configuration by {by} cannot be used")]
    Conf {
        /// The variables or settings that name the directory.
        by: String,
        /// Why not.
        source: HadoopConfError,
    },
    /// The nodes of YARN fetch files from HDFS, and there is none.
    #[error("fs.defaultFS is {value} ({origin}), and a cluster on YARN needs HDFS")]
    NotHdfs {
        /// What it is.
        value: String,
        /// Where that came from.
        origin: String,
    },
    /// Hadoop is secured.
    #[error("hadoop.security.authentication is {value} ({origin}), and kobel knows only simple so far")]
    Secured {
        /// What it is.
        value: String,
        /// Where that came from.
        origin: String,
    },
    /// Calls are to be protected in a way that there is none of.
    #[error("hadoop.rpc.protection is {value} ({origin})")]
    Protection {
        /// What it is.
        value: String,
        /// Where that came from.
        origin: String,
    },
    /// HDFS encrypts what its clients write.
    #[error("dfs.encrypt.data.transfer is true ({origin}), and kobel cannot write to such an HDFS")]
    Encrypted {
        /// Where that came from.
        origin: String,
    },
    /// One of several ResourceManagers has no address.
    #[error("{name} is not set, and yarn.resourcemanager.ha.rm-ids names {id}")]
    NoAddress {
        /// The property.
        name: String,
        /// The ResourceManager.
        id: String,
    },
    /// There is no name to call oneself by.
    #[error("user {uid} has no name, and HADOOP_USER_NAME is not set")]
    NoUser {
        /// The user's number.
        uid: u32,
    },
}

impl Explain for SiteError {
    fn category(&self) -> Category {
        Category::Environment
    }

    fn hint(&self) -> Option<String> {
        match self {
            SiteError::NoDirectory | SiteError::NoFile { .. } => Some(
                "export HADOOP_CONF_DIR=DIR   (the directory with core-site.xml and yarn-site.xml)".into(),
            ),
            SiteError::Conf { source, .. } => source.hint(),
            SiteError::NotHdfs { .. } => {
                Some("set fs.defaultFS in core-site.xml to hdfs://HOST:PORT or hdfs://NAMESERVICE".into())
            }
            SiteError::Secured { .. } | SiteError::Encrypted { .. } => None,
            SiteError::Protection { .. } => {
                Some("set it to authentication, integrity or privacy, or to several of these".into())
            }
            SiteError::NoAddress { name, .. } => Some(format!("set {name} in yarn-site.xml")),
            SiteError::NoUser { .. } => Some("export HADOOP_USER_NAME=NAME".into()),
        }
    }
}

/// `yarn.am.liveness-monitor.expiry-interval-ms` of `yarn-default.xml`.
const EXPIRY: Duration = Duration::from_secs(900);

impl Site {
    /// The one of this environment; `setting` answers the value of a key of Flink's configuration.
    pub fn find<'a>(env: &Env, setting: impl Fn(&str) -> Option<&'a str>) -> Result<Self, SiteError> {
        let found = hadoop::find(env, setting);
        if found.conf_dirs.is_empty() {
            return Err(SiteError::NoDirectory);
        }
        let by = found.conf_dirs.iter().map(|(by, _)| by.as_str()).collect::<Vec<_>>().join(" and ");
        let failed = |source| SiteError::Conf { by: by.clone(), source };
        let files = found.sites.map_err(failed)?;
        for name in ["core-site.xml", "yarn-site.xml"] {
            if !files.iter().any(|file| file.name == name) {
                return Err(SiteError::NoFile { by, name });
            }
        }
        let conf = HadoopConf::new(&files, hadoop::variables(env));
        let reader = Reader { conf: &conf, by: &by };
        reader.check()?;
        Ok(Self {
            user: user(env)?,
            web: reader.web()?,
            rpc: reader.ports("address", 8032)?,
            scheduler: reader.ports("scheduler.address", 8030)?,
            patience: reader.patience()?,
            properties: reader.properties(&files)?,
            class_path: reader.class_path()?,
            collection: Collection::of(&conf).map_err(&failed)?,
            files,
        })
    }
}

impl Site {
    /// `fs.defaultFS`.
    pub(crate) fn file_system(&self) -> &str {
        self.properties.get("fs.defaultFS").map_or("", String::as_str)
    }

    /// Its ResourceManagers, and the way to ask them.
    pub fn managers(&self, api: YarnApi) -> Managers {
        Managers { web: self.web.clone(), rpc: self.rpc.clone(), api }
    }
}

struct Reader<'a> {
    conf: &'a HadoopConf,
    by: &'a str,
}

impl Reader<'_> {
    /// `yarn.application.classpath` in Java's form. The node's own configuration is left out: the cluster
    /// brings along the one that it was started with.
    fn class_path(&self) -> Result<String, SiteError> {
        let named = self.text("yarn.application.classpath")?;
        let named = if named.trim().is_empty() { NODES_HADOOP } else { &named };
        let entries = named.split(',').map(str::trim);
        let entries = entries.filter(|entry| !entry.is_empty() && !CONF_DIRS.contains(entry));
        Ok(entries.collect::<Vec<_>>().join(":"))
    }

    fn failed(&self) -> impl Fn(HadoopConfError) -> SiteError {
        |source| SiteError::Conf { by: self.by.into(), source }
    }

    fn text(&self, name: &str) -> Result<String, SiteError> {
        Ok(self.conf.text(name).map_err(self.failed())?.unwrap_or_default())
    }

    fn origin(&self, name: &str) -> String {
        self.conf.raw(name).map_or(Origin::Default, |entry| entry.origin.clone()).to_string()
    }

    fn check(&self) -> Result<(), SiteError> {
        let (name, value) = ("fs.defaultFS", self.text("fs.defaultFS")?);
        if !value.starts_with("hdfs://") {
            return Err(SiteError::NotHdfs { value, origin: self.origin(name) });
        }
        let (name, value) = ("hadoop.security.authentication", self.text("hadoop.security.authentication")?);
        if !value.eq_ignore_ascii_case("simple") {
            return Err(SiteError::Secured { value, origin: self.origin(name) });
        }
        let (name, value) = (Protection::KEY, self.text(Protection::KEY)?);
        if Protection::from_configured(&value).is_none() {
            return Err(SiteError::Protection { value, origin: self.origin(name) });
        }
        // hdfs-native 0.14 writes a block then, and the DataNode waits for ever for its end.
        let name = "dfs.encrypt.data.transfer";
        if self.conf.flag(name).map_err(self.failed())? == Some(true) {
            return Err(SiteError::Encrypted { origin: self.origin(name) });
        }
        Ok(())
    }

    /// One address for each ResourceManager.
    fn addresses(&self, what: &str, port: u16) -> Result<Vec<Address>, SiteError> {
        let failed = self.failed();
        if !self.conf.flag("yarn.resourcemanager.ha.enabled").map_err(&failed)?.unwrap_or(false) {
            let one = self.conf.address(&format!("yarn.resourcemanager.{what}"), port).map_err(&failed)?;
            return Ok(one.into_iter().collect());
        }
        let ids = self.conf.list("yarn.resourcemanager.ha.rm-ids").map_err(&failed)?;
        let of = |id: &String| {
            let address = self.conf.address(&format!("yarn.resourcemanager.{what}.{id}"), port);
            if let Some(address) = address.map_err(&failed)? {
                return Ok(address);
            }
            let name = format!("yarn.resourcemanager.hostname.{id}");
            let host = self.conf.address(&name, port).map_err(&failed)?;
            host.map(|host| Address { port, ..host })
                .ok_or_else(|| SiteError::NoAddress { name, id: id.clone() })
        };
        ids.iter().map(of).collect()
    }

    fn ports(&self, what: &str, port: u16) -> Result<Vec<String>, SiteError> {
        Ok(self.addresses(what, port)?.iter().map(Address::to_string).collect())
    }

    fn web(&self) -> Result<Vec<String>, SiteError> {
        let (scheme, what, port) = match self.text("yarn.http.policy")?.as_str() {
            "HTTPS_ONLY" => ("https", "webapp.https.address", 8090),
            _ => ("http", "webapp.address", 8088),
        };
        let addresses = self.addresses(what, port)?;
        Ok(addresses.iter().map(|address| format!("{scheme}://{address}")).collect())
    }

    /// A master that cannot reach the ResourceManager must be gone before another is started.
    fn patience(&self) -> Result<Duration, SiteError> {
        let name = "yarn.am.liveness-monitor.expiry-interval-ms";
        let expiry = self.conf.duration(name, Duration::from_millis(1)).map_err(self.failed())?;
        Ok(expiry.unwrap_or(EXPIRY).mul_f64(0.75))
    }

    fn properties(&self, files: &[SiteFile]) -> Result<BTreeMap<String, String>, SiteError> {
        let of_hdfs = files.iter().filter(|file| ["core-site.xml", "hdfs-site.xml"].contains(&&*file.name));
        let names = of_hdfs.flat_map(|file| &file.properties).map(|property| &property.name);
        let mut properties = BTreeMap::from([("fs.defaultFS".to_string(), self.text("fs.defaultFS")?)]);
        for name in names {
            properties.insert(name.clone(), self.text(name)?);
        }
        Ok(properties)
    }
}

/// Who we are where Hadoop takes a name for it: what `UserGroupInformation` makes of the environment.
fn user(env: &Env) -> Result<String, SiteError> {
    if let Some(name) = env.get("HADOOP_USER_NAME") {
        return Ok(name.into());
    }
    let uid = rustix::process::getuid().as_raw();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let of_line = |line: &str| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(uid)).then(|| name.to_string())
    };
    // A directory service knows users that this file does not.
    let known = users.lines().find_map(of_line);
    let named = || ["USER", "LOGNAME"].into_iter().find_map(|name| env.get(name).map(String::from));
    known.or_else(named).ok_or(SiteError::NoUser { uid })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A configuration with these properties, and what it makes.
    fn site(core: &str, yarn: &str) -> Result<Site, SiteError> {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [("core-site.xml", core), ("yarn-site.xml", yarn)] {
            let property = |line: &str| {
                let (name, value) = line.split_once('=').unwrap();
                format!("<property><name>{name}</name><value>{value}</value></property>")
            };
            let body: String = text.split_whitespace().map(property).collect();
            std::fs::write(dir.path().join(name), format!("<configuration>{body}</configuration>")).unwrap();
        }
        let conf_dir = dir.path().display().to_string();
        let env: Env =
            [("HADOOP_CONF_DIR", conf_dir.as_str()), ("HADOOP_USER_NAME", "ann")].into_iter().collect();
        Site::find(&env, |_| None)
    }

    const CORE: &str = "fs.defaultFS=hdfs://nn:8020 my.dir=${fs.defaultFS}/x";

    #[test]
    fn one_resource_manager_is_found_by_its_host_name() {
        let site = site(CORE, "yarn.resourcemanager.hostname=rm").unwrap();
        assert_eq!((site.web, site.scheduler), (vec!["http://rm:8088".into()], vec!["rm:8030".into()]));
        assert_eq!(site.rpc, ["rm:8032"]);
        assert_eq!((site.user.as_str(), site.patience), ("ann", Duration::from_secs(675)));
        assert_eq!(site.properties["my.dir"], "hdfs://nn:8020/x");
    }

    #[test]
    fn several_resource_managers_have_an_address_each() {
        let yarn = "yarn.resourcemanager.ha.enabled=true yarn.resourcemanager.ha.rm-ids=a,b \
                    yarn.resourcemanager.webapp.address.a=rma:1 yarn.resourcemanager.hostname.b=rmb \
                    yarn.resourcemanager.hostname.a=rma yarn.am.liveness-monitor.expiry-interval-ms=20000";
        let site = site(CORE, yarn).unwrap();
        assert_eq!(site.web, ["http://rma:1", "http://rmb:8088"]);
        assert_eq!(site.scheduler, ["rma:8030", "rmb:8030"]);
        assert_eq!(site.rpc, ["rma:8032", "rmb:8032"]);
        assert_eq!(site.patience, Duration::from_secs(15));
    }

    #[test]
    fn logs_are_collected_where_the_configuration_says_so() {
        let at = |yarn| site(CORE, yarn).unwrap().collection;
        assert_eq!(at(""), None);
        let on = "yarn.log-aggregation-enable=true";
        let stock = Collection {
            root: "/tmp/logs".into(),
            suffixes: ["logs-tfile".into(), "logs".into()],
            format: "TFile".into(),
        };
        assert_eq!(at(on), Some(stock.clone()));
        let own = "yarn.log-aggregation-enable=true yarn.nodemanager.remote-app-log-dir=hdfs://nn/logs \
                   yarn.nodemanager.remote-app-log-dir-suffix=l \
                   yarn.log-aggregation.file-formats=IndexedFile,TFile";
        let suffixes = ["l-tfile".into(), "l".into()];
        let expected = Collection { root: "hdfs://nn/logs".into(), suffixes, format: "IndexedFile".into() };
        assert_eq!(at(own), Some(expected));
        let of_format = "yarn.log-aggregation-enable=true \
                         yarn.log-aggregation.TFile.remote-app-log-dir=/app-logs \
                         yarn.log-aggregation.TFile.remote-app-log-dir-suffix=t";
        let suffixes = ["t".into(), "logs".into()];
        assert_eq!(at(of_format), Some(Collection { root: "/app-logs".into(), suffixes, ..stock }));
    }

    #[test]
    fn web_addresses_follow_the_policy() {
        let yarn = "yarn.http.policy=HTTPS_ONLY yarn.resourcemanager.hostname=rm";
        assert_eq!(site(CORE, yarn).unwrap().web, ["https://rm:8090"]);
    }

    #[test]
    fn what_makes_no_cluster_is_refused_by_name() {
        let table = [
            ("", "", "fs.defaultFS is file:/// (default), and a cluster on YARN needs HDFS"),
            (
                "fs.defaultFS=hdfs://nn hadoop.security.authentication=kerberos",
                "",
                "hadoop.security.authentication is kerberos",
            ),
            (
                "fs.defaultFS=hdfs://nn hadoop.rpc.protection=privacy,secrecy",
                "",
                "hadoop.rpc.protection is privacy,secrecy (",
            ),
            (
                "fs.defaultFS=hdfs://nn dfs.encrypt.data.transfer=true",
                "",
                "dfs.encrypt.data.transfer is true (",
            ),
            (
                CORE,
                "yarn.resourcemanager.ha.enabled=true yarn.resourcemanager.ha.rm-ids=a",
                "yarn.resourcemanager.hostname.a is not set, and yarn.resourcemanager.ha.rm-ids names a",
            ),
        ];
        for (core, yarn, expected) in table {
            let error = site(core, yarn).unwrap_err();
            assert!(error.to_string().starts_with(expected), "{error}");
        }
        let dir = tempfile::tempdir().unwrap();
        let env: Env = [("HADOOP_CONF_DIR", dir.path().to_str().unwrap())].into_iter().collect();
        let error = Site::find(&env, |_| None).unwrap_err();
        assert_eq!(error.to_string(), "the Hadoop configuration by HADOOP_CONF_DIR has no core-site.xml");
        assert!(error.hint().unwrap().starts_with("export HADOOP_CONF_DIR="));
    }
}
