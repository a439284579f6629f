use kobel_conf::Explain;

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
        ("fs.defaultFS=hdfs://nn dfs.encrypt.data.transfer=true", "", "dfs.encrypt.data.transfer is true ("),
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
