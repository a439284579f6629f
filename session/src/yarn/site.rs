//! The YARN cluster and the HDFS that Hadoop's configuration names, and who we are there.

mod error;

use std::{collections::BTreeMap, fmt, time::Duration};

use kobel_conf::{
    flink::Origin,
    hadoop::{Address, HadoopConf, HadoopConfError, SiteFile},
    settings::YarnApi,
};
use kobel_hadoop_rpc::Protection;

use super::{Collection, manager::Managers};
pub use error::SiteError;

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
mod tests;
