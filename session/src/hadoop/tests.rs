use std::fs;

use kobel_conf::{
    Explain,
    flink::{Dialect, Loaded, Origin},
    settings::Settings,
};
use kobel_plan::{FlinkVersion, JavaHome};

use super::*;
use crate::{
    ClusterSpec,
    compile::{Compiled, Inputs, compile},
};

/// A place with a Hadoop of one jar and a configuration.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for dir in ["conf", "jars", "lib"] {
            fs::create_dir(place.path(dir)).unwrap();
        }
        place.core_site("<property><name>fs.defaultFS</name><value>hdfs://${env.NN}:8020</value></property>");
        let jar = fs::File::create(place.path("jars/hadoop-hdfs-client.jar")).unwrap();
        let mut zip = zip::ZipWriter::new(jar);
        let class = "org/apache/hadoop/hdfs/DistributedFileSystem.class";
        zip.start_file(class, zip::write::SimpleFileOptions::default()).unwrap();
        zip.finish().unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn core_site(&self, body: &str) {
        let text = format!("<configuration>\n{body}\n</configuration>");
        fs::write(self.path("conf/core-site.xml"), text).unwrap();
    }

    /// Variables in whose values `@` is this place.
    fn env(&self, variables: &[(&str, &str)]) -> Env {
        let base = self.0.path().display().to_string();
        variables.iter().map(|(name, value)| (*name, value.replace('@', &base))).collect()
    }

    fn flink(&self) -> FlinkHome {
        let jars = self.path("lib").read_dir().unwrap().map(|entry| entry.unwrap().path());
        let version = FlinkVersion::try_from("1.20.5".to_string()).unwrap();
        FlinkHome { home: self.0.path().into(), version, class_path: jars.collect() }
    }

    /// What comes of these variables and this value of `state.checkpoints.dir` in the file.
    fn compiled(&self, env: &Env, checkpoints: &str) -> Result<Compiled, HadoopError> {
        let mut conf = FlinkConf::new();
        let line = |line| Origin::File { path: "conf/config.yaml".into(), line: Some(line) };
        conf.set("jobmanager.memory.process.size", "1600m", line(1));
        conf.set("taskmanager.memory.process.size", "1728m", line(2));
        conf.set("state.checkpoints.dir", checkpoints, line(7));
        let hadoop = find(env, |_| None).plan(&self.flink())?;
        let compiled = compile(Inputs {
            spec: &ClusterSpec::local(Default::default()),
            settings: &Settings::load(Path::new("/nonexistent"), &|_| None).unwrap(),
            env,
            conf_dir: "/flink/conf".into(),
            loaded: Loaded { conf, dialect: Dialect::Standard, file: None, notes: Vec::new() },
            flink: self.flink(),
            java: JavaHome { home: "/java".into(), version: 17 },
            hadoop,
            cluster_dir: kobel_plan::ClusterDir::new("/state"),
            ha_dir: "/ha".into(),
            machine_memory: None,
        })
        .unwrap();
        check_needs(&compiled.conf, &compiled.plan, env)?;
        Ok(compiled)
    }
}

const JARS: (&str, &str) = ("HADOOP_CLASSPATH", "@/jars/*");
const CONF: (&str, &str) = ("HADOOP_CONF_DIR", "@/conf");

/// The error and why, in a line each.
fn told(error: &HadoopError) -> (String, String) {
    let why = std::error::Error::source(error).map(ToString::to_string);
    (error.to_string(), why.unwrap_or_default())
}

#[test]
fn jars_and_configuration_become_facts_of_the_plan() {
    let place = Place::new();
    let env = place.env(&[JARS, CONF, ("NN", "nn1"), ("HADOOP_USER_NAME", "ada")]);
    let plan = place.compiled(&env, "hdfs:///checkpoints").unwrap().plan;
    assert_eq!(plan.hadoop.class_path, [place.path("jars/hadoop-hdfs-client.jar")]);
    let property = &plan.hadoop.sites[0].properties[0];
    assert_eq!((property.value.as_str(), property.line), ("hdfs://nn1:8020", 2), "workers have no NN");
    assert_eq!(plan.job_manager.env["HADOOP_USER_NAME"], "ada");
    let again: ClusterPlan = serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
    assert_eq!(again, plan);
}

#[test]
fn a_path_on_hdfs_without_jars_is_refused_with_key_value_file_and_line() {
    let place = Place::new();
    let error = place.compiled(&place.env(&[CONF]), "hdfs://nn:8020/c").unwrap_err();
    let (what, why) = told(&error);
    assert_eq!(
        what,
        "state.checkpoints.dir is hdfs://nn:8020/c (conf/config.yaml:7), and no jar of the class path opens hdfs://"
    );
    assert_eq!(why, "HADOOP_CLASSPATH is not set, HADOOP_HOME is not set");
    assert!(error.hint().unwrap().contains("export HADOOP_CLASSPATH="));
    let wrong = place.env(&[CONF, ("HADOOP_CLASSPATH", "@/none/*")]);
    let (_, why) = told(&place.compiled(&wrong, "hdfs://nn/c").unwrap_err());
    assert!(why.starts_with("HADOOP_CLASSPATH gives no such jar"), "{why}");
    place.compiled(&place.env(&[]), "file:///c").unwrap();
    place.compiled(&place.env(&[JARS]), "hdfs://nn:8020/c").unwrap();
    fs::rename(place.path("jars/hadoop-hdfs-client.jar"), place.path("lib/all-in-one.jar")).unwrap();
    place.compiled(&place.env(&[]), "hdfs://nn:8020/c").unwrap();
}

#[test]
fn a_path_that_names_no_cluster_needs_a_default() {
    let place = Place::new();
    let error = place.compiled(&place.env(&[JARS]), "hdfs:///c").unwrap_err();
    let (what, why) = told(&error);
    assert!(what.ends_with("(conf/config.yaml:7), which does not say which HDFS"), "{what}");
    let expected = "fs.defaultFS is file:/// (default); HADOOP_CONF_DIR is not set, YARN_CONF_DIR is not set, HADOOP_HOME is not set";
    // On a machine with a packaged Hadoop, its directory answers.
    if !Path::new(PACKAGED).is_dir() {
        assert_eq!(why, expected);
    }
    place.core_site("");
    let (_, why) = told(&place.compiled(&place.env(&[JARS, CONF]), "hdfs:/c").unwrap_err());
    assert!(why.contains("HADOOP_CONF_DIR does not set it"), "{why}");
}

#[test]
fn a_broken_configuration_stops_only_who_would_read_it() {
    let place = Place::new();
    place.core_site("<property>");
    assert_eq!(place.compiled(&place.env(&[CONF]), "/c").unwrap().plan.hadoop, HadoopPlan::default());
    let (what, why) = told(&place.compiled(&place.env(&[JARS, CONF]), "/c").unwrap_err());
    assert_eq!(what, "the Hadoop configuration by HADOOP_CONF_DIR cannot be used");
    assert!(why.contains("/conf/core-site.xml:3: "), "{why}");
    let nowhere = place.env(&[JARS, ("YARN_CONF_DIR", "@/none")]);
    let error = place.compiled(&nowhere, "/c").unwrap_err();
    assert!(told(&error).0.contains("YARN_CONF_DIR") && error.hint().is_some());
}

#[test]
fn the_configuration_is_found_where_nobody_named_it() {
    let place = Place::new();
    let dirs = |variables: &[(&str, &str)]| -> Vec<(String, PathBuf)> {
        find(&place.env(variables), |key| (key == "env.yarn.conf.dir").then_some("/by/key")).conf_dirs
    };
    assert_eq!(dirs(&[CONF]).len(), 2, "both kinds are layered");
    let unnamed = |variables: &[(&str, &str)]| find(&place.env(variables), |_| None).conf_dirs;
    let on_path = unnamed(&[("HADOOP_CLASSPATH", "@/conf:@/jars/*")]);
    assert_eq!(on_path, [("HADOOP_CLASSPATH".to_string(), place.path("conf"))]);
    fs::create_dir_all(place.path("etc")).unwrap();
    fs::rename(place.path("conf"), place.path("etc/hadoop")).unwrap();
    let of_home = unnamed(&[("HADOOP_HOME", "@")]);
    assert_eq!(of_home, [("HADOOP_HOME".to_string(), place.path("etc/hadoop"))]);
}
