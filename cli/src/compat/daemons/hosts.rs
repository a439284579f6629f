//! What Flink's scripts read before they start anything: which configuration, how many masters and workers.

use std::path::{Path, PathBuf};

use kobel_conf::{
    Category,
    flink::{FlinkConf, Release, load_dir},
    ha::TYPE_KEYS,
    hosts::{all_local, read_masters, read_workers},
};
use kobel_plan::{FlinkVersion, Wanted};
use kobel_session::{Context, FlinkChoice, prepare::find_flink, spec::Override};

use crate::failure::Failure;

/// Flink's keys for where the web UI is; what was typed beats the masters file.
const FRONT: [&str; 2] = ["rest.port", "rest.bind-port"];

/// Flink's configuration directory, and what it holds. That there is no Flink, or a file that cannot be read, is
/// told of when the cluster is made of it.
pub(super) fn configuration(context: &Context) -> Result<(PathBuf, FlinkConf), Failure> {
    let flink = find_flink(context, &FlinkChoice::Default);
    let (dir, version) = match (context.env.get("FLINK_CONF_DIR"), flink) {
        (Some(dir), flink) => (PathBuf::from(dir), flink.ok().map(|flink| flink.version)),
        (None, flink) => flink.map(|flink| (flink.home.join("conf"), Some(flink.version)))?,
    };
    let load = |version: FlinkVersion| {
        load_dir(&dir, Release { major: version.major, minor: version.minor }).ok().map(|loaded| loaded.conf)
    };
    let conf = version.and_then(load).unwrap_or_default();
    Ok((dir, conf))
}

/// What the `masters` file asks for. Without high availability it says nothing, and there is one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Masters {
    pub(super) count: u32,
    /// Of each of them; 0 where the file names none.
    web_ports: Vec<u16>,
}

impl Masters {
    /// Those of this directory, where it or what was typed asks for high availability (`config.sh`).
    pub(super) fn of(dir: &Path, configured: &FlinkConf, given: &[Override]) -> Result<Self, Failure> {
        if is_highly_available(configured, given) {
            Self::read(&dir.join("masters"))
        } else {
            Ok(Self { count: 1, web_ports: Vec::new() })
        }
    }

    fn read(file: &Path) -> Result<Self, Failure> {
        let masters = read_masters(file)?;
        if !all_local(masters.iter().map(|master| master.host.as_str())) {
            return Err(names_others(file));
        }
        let count = u32::try_from(masters.len()).unwrap_or(u32::MAX);
        let most = Wanted::MOST_JOB_MANAGERS;
        if count > most {
            let what = format!("{} names {count} masters, and {most} is the most", file.display());
            let hint = "one that leads and one on standby will do";
            return Err(Failure::new(Category::Environment, what).hint(hint));
        }
        Ok(Self { count, web_ports: masters.iter().map(|master| master.web_port.unwrap_or(0)).collect() })
    }

    /// The cluster's one address is where the first of them would have had its own.
    pub(super) fn front(&self, given: &[Override]) -> Option<Override> {
        let port = self.web_ports.first().filter(|port| **port != 0)?;
        let typed = given.iter().any(|o| FRONT.contains(&o.key.as_str()));
        (!typed).then(|| Override { key: FRONT[0].into(), value: port.to_string() })
    }

    /// The others are where the file has them, too.
    pub(super) fn behind_the_front(&self) -> Vec<u16> {
        let mut ports = self.web_ports.clone();
        ports.iter_mut().take(1).for_each(|first| *first = 0);
        ports
    }
}

fn is_highly_available(configured: &FlinkConf, given: &[Override]) -> bool {
    let typed = given.iter().rev().find(|o| TYPE_KEYS.contains(&o.key.as_str())).map(|o| o.value.as_str());
    let kind = typed.or_else(|| TYPE_KEYS.iter().find_map(|key| configured.get_str(key)));
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("zookeeper"))
}

fn names_others(file: &Path) -> Failure {
    Failure::new(Category::Environment, format!("{} names other machines", file.display()))
        .why("provider hosts is not built yet")
        .hint("for this machine alone, let every line be localhost")
}

/// How many TaskManagers the `workers` file asks for; `slaves`, its name until Flink 1.11, will do.
pub(super) fn workers(conf: &Path) -> Result<u32, Failure> {
    let file = ["workers", "slaves"].iter().map(|name| conf.join(name)).find(|path| path.exists());
    let Some(file) = file else {
        return Err(Failure::new(
            Category::Environment,
            format!("there is no workers file in {}", conf.display()),
        )
        .hint(format!("echo localhost > {}", conf.join("workers").display())));
    };
    let hosts = read_workers(&file)?;
    if !all_local(hosts.iter().map(String::as_str)) {
        return Err(names_others(&file));
    }
    Ok(u32::try_from(hosts.len()).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use kobel_conf::flink::Origin;

    use super::*;

    fn masters(text: &str, kind: &str, given: &[&str]) -> Result<(Masters, Option<String>), String> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("masters"), text).unwrap();
        let mut conf = FlinkConf::new();
        conf.set("high-availability.type", kind, Origin::Default);
        let given: Vec<Override> = given.iter().map(|text| text.parse().unwrap()).collect();
        let masters = Masters::of(dir.path(), &conf, &given).map_err(|failure| failure.what().to_string())?;
        let front = masters.front(&given).map(|o| format!("{}={}", o.key, o.value));
        Ok((masters, front))
    }

    const TWO: &str = "localhost:8081\nlocalhost:8082\n";

    #[test]
    fn each_line_is_a_master_and_the_first_ones_port_is_the_fronts() {
        let (two, front) = masters(TWO, "zookeeper", &[]).unwrap();
        assert_eq!((two.count, front.as_deref()), (2, Some("rest.port=8081")));
        assert_eq!(two.behind_the_front(), [0, 8082]);
        let (plain, front) = masters("localhost\n127.0.0.1\n", "ZOOKEEPER", &[]).unwrap();
        assert_eq!((plain.count, front), (2, None));
        assert_eq!(plain.behind_the_front(), [0, 0]);
        for typed in ["rest.port=0", "rest.bind-port=9000-9010"] {
            assert_eq!(masters(TWO, "zookeeper", &[typed]).unwrap().1, None, "{typed}");
        }
    }

    #[test]
    fn without_high_availability_the_file_says_nothing() {
        let one = Masters { count: 1, web_ports: Vec::new() };
        assert_eq!(masters(TWO, "NONE", &[]).unwrap(), (one, None));
        assert_eq!(masters("no host at all", "", &[]).unwrap().0.count, 1);
        assert_eq!(masters(TWO, "zookeeper", &["high-availability.type=NONE"]).unwrap().0.count, 1);
        assert_eq!(masters(TWO, "NONE", &["high-availability=zookeeper"]).unwrap().0.count, 2);
    }

    #[test]
    fn masters_elsewhere_or_too_many_are_refused_by_the_file() {
        assert!(
            masters("localhost\nnode-2\n", "zookeeper", &[]).unwrap_err().contains("names other machines")
        );
        let many = "localhost\n".repeat(11);
        assert!(
            masters(&many, "zookeeper", &[]).unwrap_err().contains("names 11 masters, and 10 is the most")
        );
        assert!(masters("", "zookeeper", &[]).unwrap_err().contains("names no host"));
    }
}
