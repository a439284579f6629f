//! What the tests run: Flink homes, example jobs, and jobs of our own compiled on the spot. All of it
//! is fetched by `scripts/test.sh` beforehand; tests never download.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A Flink distribution to test with.
#[derive(Debug, Clone)]
pub struct Flink {
    /// Its home.
    pub home: PathBuf,
    /// Its version.
    pub version: String,
}

impl Flink {
    /// Flink 1.20, named by `KOBEL_TEST_FLINK`.
    pub fn v1() -> Option<Flink> {
        Self::from_env("KOBEL_TEST_FLINK")
    }

    /// Flink 2, named by `KOBEL_TEST_FLINK2`.
    pub fn v2() -> Option<Flink> {
        Self::from_env("KOBEL_TEST_FLINK2")
    }

    /// Whether this is Flink 2.
    pub fn is_v2(&self) -> bool {
        self.version.starts_with("2.")
    }

    /// The distribution in this directory.
    pub fn at(home: PathBuf) -> Flink {
        let dist = fs::read_dir(home.join("lib"))
            .unwrap_or_else(|e| panic!("{} is no Flink home: {e}", home.display()))
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .find_map(|file| Some(file.strip_prefix("flink-dist-")?.strip_suffix(".jar")?.to_string()));
        let version = dist.unwrap_or_else(|| panic!("{} has no flink-dist jar in lib", home.display()));
        Flink { home, version }
    }

    fn from_env(name: &str) -> Option<Flink> {
        required(name).map(Flink::at)
    }
}

/// What this variable names. Without it a test is skipped on a developer's machine, and fails under CI: a test that
/// silently does not run is worse than none.
pub(crate) fn required(name: &str) -> Option<PathBuf> {
    let value = env::var_os(name).map(PathBuf::from);
    if value.is_none() {
        missing(name, "run scripts/test.sh, which sets it");
    }
    value
}

/// Says of something without which a test is skipped that it is missing, and how that is mended.
pub(crate) fn missing(what: &str, hint: &str) {
    assert!(env::var_os("CI").is_none(), "{what} is missing: {hint}");
    eprintln!("skipped: {what} is missing: {hint}");
}

/// Flink's own `flink-examples-streaming` jar that fits this Flink, from `KOBEL_TEST_JARS`.
pub fn example_jar(flink: &Flink) -> PathBuf {
    let jars = required("KOBEL_TEST_JARS").expect("KOBEL_TEST_JARS goes with KOBEL_TEST_FLINK");
    let version = if flink.is_v2() { "2.3.0" } else { "1.20.0" };
    let jar = jars.join(format!("flink-examples-streaming-{version}.jar"));
    assert!(jar.is_file(), "{} is missing: run scripts/test.sh", jar.display());
    jar
}

/// Compiles `tests/java/<class>.java` against this Flink and packs it as a jar in `dir`.
pub fn compile_job(flink: &Flink, class: &str, dir: &Path) -> PathBuf {
    let classes = compile(flink, class, dir);
    pack(&dir.join(format!("{class}.jar")), class, &classes, ".")
}

/// The same in two jars: one with the class, one with its nested class.
pub fn compile_job_in_two(flink: &Flink, class: &str, nested: &str, dir: &Path) -> [PathBuf; 2] {
    let classes = compile(flink, class, dir);
    [class.to_string(), format!("{class}${nested}")]
        .map(|name| pack(&dir.join(format!("{name}.jar")), class, &classes, &format!("{name}.class")))
}

fn compile(flink: &Flink, class: &str, dir: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../java").join(format!("{class}.java"));
    let classes = dir.join(format!("{class}-classes"));
    fs::create_dir_all(&classes).expect("a directory for classes");
    let lib = flink.home.join("lib/*");
    tool(Command::new("javac").arg("-nowarn").arg("-cp").arg(lib).arg("-d").arg(&classes).arg(source));
    classes
}

/// A jar whose manifest names `main`, of what is `which` below `classes`.
fn pack(jar: &Path, main: &str, classes: &Path, which: &str) -> PathBuf {
    tool(Command::new("jar").arg("cfe").arg(jar).arg(main).arg("-C").arg(classes).arg(which));
    jar.into()
}

fn tool(command: &mut Command) {
    let out = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
}
