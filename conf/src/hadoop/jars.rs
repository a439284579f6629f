//! Hadoop's jars: which they are.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Directories of a Hadoop distribution with jars, in the order of `hadoop classpath`.
const HOME_DIRS: [&str; 8] =
    ["common/lib", "common", "hdfs/lib", "hdfs", "mapreduce/lib", "mapreduce", "yarn/lib", "yarn"];

/// Entries of a class path and the variable they come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClassPath {
    /// Which variable gave them; none without any.
    pub from: Option<&'static str>,
    /// Jars and directories that exist, each once.
    pub entries: Vec<PathBuf>,
}

impl ClassPath {
    /// How many jars are among the entries.
    pub fn jars(&self) -> usize {
        self.entries.iter().filter(|entry| is_jar(entry)).count()
    }
}

/// The entries of `HADOOP_CLASSPATH`; without a jar there, the jars of `HADOOP_HOME`.
pub fn find_jars<'a>(env: impl Fn(&str) -> Option<&'a str>) -> ClassPath {
    let named = env("HADOOP_CLASSPATH").map(expand_class_path).unwrap_or_default();
    if named.iter().any(|entry| is_jar(entry)) {
        return ClassPath { from: Some("HADOOP_CLASSPATH"), entries: named };
    }
    let home = env("HADOOP_HOME").map(|home| Path::new(home).join("share/hadoop"));
    let jars: Vec<_> =
        home.iter().flat_map(|share| HOME_DIRS.iter().flat_map(|dir| jars_of(&share.join(dir)))).collect();
    let from = (!jars.is_empty()).then_some("HADOOP_HOME");
    // What HADOOP_CLASSPATH has beside jars, such as a directory of classes, is meant to be there.
    ClassPath { from, entries: once(jars.into_iter().chain(named)) }
}

/// What Java makes of a class path: `DIR/*` stands for the jars of a directory, in an order of its own
/// choice that is sorted here, and what does not exist is left out. An empty entry, which to Java is
/// the present directory, is a slip of a shell script.
pub fn expand_class_path(text: &str) -> Vec<PathBuf> {
    once(text.split(':').filter(|entry| !entry.is_empty()).flat_map(|entry| {
        match entry.strip_suffix('*').filter(|dir| dir.is_empty() || dir.ends_with('/')) {
            Some(dir) => jars_of(Path::new(if dir.is_empty() { "." } else { dir })),
            None => absolute(Path::new(entry)).into_iter().filter(|path| path.exists()).collect(),
        }
    }))
}

fn jars_of(dir: &Path) -> Vec<PathBuf> {
    let Some(dir) = absolute(dir) else { return Vec::new() };
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut jars: Vec<_> = entries.map(|entry| entry.path()).filter(|path| is_jar(path)).collect();
    jars.sort();
    jars
}

/// As Java's launcher has it: by the end of the name, in small letters or in capitals.
fn is_jar(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "jar" || end == "JAR") && path.is_file()
}

/// The agent runs in another directory, so no path of a plan may be relative.
fn absolute(path: &Path) -> Option<PathBuf> {
    // By its components, so that no "//" or "/./" makes two of one.
    std::path::absolute(path).ok().map(|path| path.components().collect())
}

fn once(entries: impl Iterator<Item = PathBuf>) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in entries {
        if !all.contains(&entry) {
            all.push(entry);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Empty files of these names.
    fn lay_out(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        dir
    }

    fn found(dir: &Path, variables: &[(&str, &str)]) -> (Option<&'static str>, Vec<String>) {
        let base = dir.display().to_string();
        let env: std::collections::BTreeMap<&str, String> =
            variables.iter().map(|(name, text)| (*name, text.replace('@', &base))).collect();
        let found = find_jars(|name| env.get(name).map(String::as_str));
        let short = |path: &PathBuf| path.strip_prefix(dir).unwrap().display().to_string();
        (found.from, found.entries.iter().map(short).collect())
    }

    #[test]
    fn a_wildcard_is_the_jars_of_a_directory_in_order() {
        let dir =
            lay_out(&["lib/b.jar", "lib/a.JAR", "lib/c.txt", "lib/sub/d.jar", "e.jar", "conf/core-site.xml"]);
        fs::create_dir(dir.path().join("lib/dir.jar")).unwrap();
        let path =
            [("HADOOP_CLASSPATH", ":@/conf:@/lib/*::@/e.jar:@/none.jar:@/none/*:@/./lib//b.jar:@/li*")];
        let expected = ["conf", "lib/a.JAR", "lib/b.jar", "e.jar"].map(String::from).to_vec();
        assert_eq!(found(dir.path(), &path), (Some("HADOOP_CLASSPATH"), expected));
    }

    #[test]
    fn hadoop_home_serves_where_the_class_path_has_no_jar() {
        let dir = lay_out(&[
            "share/hadoop/yarn/y.jar",
            "share/hadoop/common/b.jar",
            "share/hadoop/common/lib/a.jar",
            "share/hadoop/tools/lib/t.jar",
            "classes/x",
            "own.jar",
        ]);
        let home = ("HADOOP_HOME", "@");
        let jars = ["share/hadoop/common/lib/a.jar", "share/hadoop/common/b.jar", "share/hadoop/yarn/y.jar"];
        let expected = jars.map(String::from).to_vec();
        assert_eq!(found(dir.path(), &[home]), (Some("HADOOP_HOME"), expected.clone()));
        let classes = [home, ("HADOOP_CLASSPATH", "@/classes")];
        let with_classes = [expected, vec!["classes".into()]].concat();
        assert_eq!(found(dir.path(), &classes), (Some("HADOOP_HOME"), with_classes));
        let own = [home, ("HADOOP_CLASSPATH", "@/own.jar")];
        assert_eq!(found(dir.path(), &own), (Some("HADOOP_CLASSPATH"), vec!["own.jar".into()]));
        assert_eq!(found(dir.path(), &[]), (None, vec![]));
    }
}
