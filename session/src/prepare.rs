//! Looking up what a specification leaves to the machine: which Flink, which Java, which
//! configuration.

use std::path::{Path, PathBuf};

use kobel_conf::{
    Category, Explain,
    flink::{ConfError, Dialect, FlinkConf, Loaded, Release, load_dir},
};
use kobel_flink::HomeError;
use kobel_plan::{FlinkHome, HadoopPlan, JavaHome, Launch, ProviderKind};

use crate::{
    Context,
    compile::{self, CompileError, Compiled, Inputs},
    dist::{DistError, Store, Wish},
    hadoop::{self, HadoopError},
    java::{self, JavaError},
    job::{JarError, JarFile},
    spec::{ClusterSpec, FlinkChoice},
    train,
    yarn::{self, Cargo, KeyError, ShipError, Site, SiteError},
};

/// No plan could be made.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// There is no Flink to run.
    #[error("no Flink is installed, and FLINK_HOME is not set")]
    NoFlink,
    /// Several are installed, and nothing says which.
    #[error("Flink {} are installed, and not {wanted}, which is configured", list(installed))]
    WhichFlink {
        /// The configured version.
        wanted: String,
        /// Those there are.
        installed: Vec<String>,
    },
    /// The store of Flinks is of no use, or has not the one that was asked for.
    #[error(transparent)]
    Dist(#[from] DistError),
    /// The directory holds no Flink.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// There is no Java that runs it.
    #[error(transparent)]
    Java(#[from] JavaError),
    /// Flink's configuration cannot be read.
    #[error(transparent)]
    Conf(#[from] ConfError),
    /// Hadoop's jars or configuration will not do.
    #[error(transparent)]
    Hadoop(#[from] HadoopError),
    /// No YARN cluster is known.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// What is asked of YARN is not to be had.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Something cannot be shipped to YARN's nodes.
    #[error(transparent)]
    Ship(#[from] ShipError),
    /// The program's jar cannot be run.
    #[error(transparent)]
    Jar(#[from] JarError),
    /// What was asked makes no cluster.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The cluster's directory has a character in its path that Flink takes for something else.
    #[error("Flink cannot have its files in {}: it takes {found:?} for the end of a path", dir.display())]
    Place {
        /// The cluster's directory.
        dir: PathBuf,
        /// The character.
        found: char,
    },
    /// A path cannot be made absolute.
    #[error("cannot find {}", path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

fn list(versions: &[String]) -> String {
    versions.join(" and ")
}

impl Explain for PrepareError {
    fn category(&self) -> Category {
        match self {
            PrepareError::Dist(e) => e.category(),
            PrepareError::Compile(e) => e.category(),
            PrepareError::Key(e) => e.category(),
            _ => Category::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            PrepareError::NoFlink => Some("kobel flink install 1.20.5".into()),
            PrepareError::WhichFlink { wanted, installed } => {
                let newest = installed.last().map_or(wanted, |v| v);
                Some(format!("--flink {newest}   (or: kobel flink install {wanted})"))
            }
            PrepareError::Dist(e) => e.hint(),
            PrepareError::Home(e) => e.hint(),
            PrepareError::Java(e) => e.hint(),
            PrepareError::Conf(e) => e.hint(),
            PrepareError::Hadoop(e) => e.hint(),
            PrepareError::Site(e) => e.hint(),
            PrepareError::Ship(e) => e.hint(),
            PrepareError::Jar(e) => e.hint(),
            PrepareError::Compile(e) => e.hint(),
            PrepareError::Key(e) => e.hint(),
            PrepareError::Place { .. } => Some("KOBEL_STATE_DIR=DIR kobel start".into()),
            PrepareError::Path { .. } => None,
        }
    }
}

/// Makes the plan of a cluster. Nothing is started and nothing is written.
pub fn prepare(ctx: &Context, spec: &ClusterSpec) -> Result<Compiled, PrepareError> {
    if let Some(job) = &spec.job {
        let jar = JarFile::check(&job.jar, job.class.as_deref())?;
        if spec.provider == ProviderKind::Local {
            jar.fits(&ctx.dirs.state)?;
        }
    }
    let flink = find_flink(ctx, &spec.flink)?;
    let conf_dir = conf_dir(ctx, spec, &flink)?;
    let release = Release { major: flink.version.major, minor: flink.version.minor };
    let loaded = load_dir(&conf_dir, release)?;
    if spec.provider == ProviderKind::Yarn {
        return prepare_for_yarn(ctx, spec, flink, conf_dir, loaded);
    }
    let setting = |key: &str| setting(spec, &loaded.conf, key);
    let java = find_java(ctx, setting("env.java.home"), &flink)?;
    let hadoop = hadoop::find(&ctx.env, setting).plan(&flink)?;
    let inputs = Inputs {
        spec,
        settings: &ctx.settings,
        env: &ctx.env,
        conf_dir,
        loaded,
        flink,
        java: java.java,
        hadoop,
        cluster_dir: ctx.registry().dir(&spec.name),
        ha_dir: ctx.dirs.state.join("ha"),
        machine_memory: machine_memory(),
    };
    let mut compiled = compile::compile(inputs)?;
    hadoop::check_needs(&compiled.conf, &compiled.plan, &ctx.env)?;
    check_place(ctx.registry().dir(&spec.name).path(), compiled.plan.dialect)?;
    compiled.notes.extend(java.note);
    train::assign(ctx, &mut compiled.plan);
    Ok(compiled)
}

/// The Java of nodes that nobody has looked at: the oldest that every Flink of today runs on.
const JAVA_OF_NODES: u32 = 17;

/// The same for nodes that YARN is yet to choose: nothing of this machine counts but Flink and the
/// configurations, which go there.
fn prepare_for_yarn(
    ctx: &Context,
    spec: &ClusterSpec,
    flink: FlinkHome,
    conf_dir: PathBuf,
    loaded: Loaded,
) -> Result<Compiled, PrepareError> {
    let site = Site::find(&ctx.env, |key| setting(spec, &loaded.conf, key))?;
    let inputs = Inputs {
        spec,
        settings: &ctx.settings,
        env: &ctx.env,
        conf_dir,
        loaded,
        flink,
        java: JavaHome { home: Launch::JAVA_HOME.into(), version: JAVA_OF_NODES },
        hadoop: HadoopPlan::default(),
        cluster_dir: ctx.registry().dir(&spec.name),
        ha_dir: ctx.dirs.state.join("ha"),
        machine_memory: None,
    };
    let mut compiled = compile::compile(inputs)?;
    yarn::Asked::of(&compiled.conf, site.file_system())?;
    compiled.notes.extend(yarn::notes(&compiled.conf));
    let (shipped, class_path) = yarn::find_shipped(&compiled.conf)?;
    let cargo = yarn::in_container(&mut compiled.plan, site);
    // Behind Hadoop's: an archive of classes fits a class path only from its beginning on.
    compiled.plan.hadoop.class_path.extend(class_path);
    compiled.cargo = Some(Cargo { shipped, program: compiled.program.clone(), ..cargo });
    Ok(compiled)
}

/// Whether Flink can have temporary directories in this one: it splits lists of them at some
/// characters (`ConfigurationUtils.splitPaths`), and its older format takes others for a comment.
fn check_place(dir: &Path, dialect: Dialect) -> Result<(), PrepareError> {
    let comment = |c: char| c == '#' && dialect == Dialect::Legacy;
    // What is no UTF-8 shows as a replacement character, and its name cannot be handed on.
    let bad = |c: &char| matches!(c, ',' | '|' | ':' | '\u{fffd}') || comment(*c) || c.is_control();
    match dir.to_string_lossy().chars().find(bad) {
        Some(found) => Err(PrepareError::Place { dir: dir.into(), found }),
        None => Ok(()),
    }
}

/// What `-D` or the file has for a key that must be known before all layers are merged.
fn setting<'a>(spec: &'a ClusterSpec, file: &'a FlinkConf, key: &str) -> Option<&'a str> {
    let by_override = spec.overrides.iter().rev().find(|o| o.key == key);
    by_override.map(|o| o.value.as_str()).or_else(|| file.get_str(key)).filter(|value| !value.is_empty())
}

/// The Java to run Flink; `env.java.home` names it first.
fn find_java(ctx: &Context, named: Option<&str>, flink: &FlinkHome) -> Result<java::Found, PrepareError> {
    let search = java::Search {
        flink_conf: named.map(Path::new),
        setting: ctx.settings.java_home.value.as_deref(),
        ..java::Search::new(&ctx.env)
    };
    Ok(java::find(&flink.version, &search)?)
}

/// The Flink to run: the one named, `FLINK_HOME`, the configured version, the only one installed.
pub fn find_flink(ctx: &Context, choice: &FlinkChoice) -> Result<FlinkHome, PrepareError> {
    let store = Store::new(&ctx.dirs.data, &ctx.dirs.cache);
    let home = match choice {
        FlinkChoice::Home(dir) => absolute(dir)?,
        FlinkChoice::Version(version) => store.which(&version.parse()?)?.home,
        FlinkChoice::Default => match ctx.env.get("FLINK_HOME") {
            Some(dir) => absolute(Path::new(dir))?,
            None => installed(ctx, &store)?,
        },
    };
    match ctx.env.get("FLINK_LIB_DIR") {
        Some(lib) => Ok(kobel_flink::inspect_with_lib(&home, &absolute(Path::new(lib))?)?),
        None => Ok(kobel_flink::inspect(&home)?),
    }
}

/// Flink's own configuration, for those who look up a key in it. Where there is none, or one that cannot be
/// read, nothing is set; who starts a cluster with it is told.
pub fn configuration(ctx: &Context, choice: &FlinkChoice) -> FlinkConf {
    let read = || {
        let flink = find_flink(ctx, choice).ok()?;
        let dir = ctx.env.get("FLINK_CONF_DIR").map_or_else(|| flink.home.join("conf"), PathBuf::from);
        let release = Release { major: flink.version.major, minor: flink.version.minor };
        Some(load_dir(&dir, release).ok()?.conf)
    };
    read().unwrap_or_default()
}

fn installed(ctx: &Context, store: &Store) -> Result<PathBuf, PrepareError> {
    let wanted = &ctx.settings.flink_version.value;
    let wish: Wish = wanted.parse()?;
    if let Ok(found) = store.which(&wish) {
        return Ok(found.home);
    }
    let mut all = store.list()?;
    match all.len() {
        0 => Err(PrepareError::NoFlink),
        1 => Ok(all.remove(0).home),
        _ => Err(PrepareError::WhichFlink {
            wanted: wanted.clone(),
            installed: all.iter().map(|i| i.version.to_string()).collect(),
        }),
    }
}

/// `--conf`, `FLINK_CONF_DIR`, or the distribution's own.
fn conf_dir(ctx: &Context, spec: &ClusterSpec, flink: &FlinkHome) -> Result<PathBuf, PrepareError> {
    match (&spec.conf_dir, ctx.env.get("FLINK_CONF_DIR")) {
        (Some(dir), _) => absolute(dir),
        (None, Some(dir)) => absolute(Path::new(dir)),
        (None, None) => Ok(flink.home.join("conf")),
    }
}

/// The agent runs in another directory, so no path in a plan may be relative.
fn absolute(path: &Path) -> Result<PathBuf, PrepareError> {
    std::path::absolute(path).map_err(|source| PrepareError::Path { path: path.into(), source })
}

/// The machine's memory in bytes.
fn machine_memory() -> Option<u64> {
    meminfo("MemTotal:")
}

/// The memory in bytes that new processes can have without swapping.
pub(crate) fn memory_available() -> Option<u64> {
    meminfo("MemAvailable:")
}

/// A line of `/proc/meminfo`, which counts in KiB.
fn meminfo(name: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}
