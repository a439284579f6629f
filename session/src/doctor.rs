//! Checks of the environment, each with its mend.

use std::{net::TcpListener, os::unix::fs::MetadataExt, path::Path};

use kobel_conf::{Explain, units::MemorySize};
use kobel_plan::FlinkHome;
use serde::Serialize;

use crate::{
    Context,
    compile::Compiled,
    hadoop,
    prepare::{self, PrepareError},
    spec::{ClusterSpec, FlinkChoice},
};

/// One thing looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// What.
    pub name: &'static str,
    /// Whether it is as it should be.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What mends it.
    pub mend: Option<String>,
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Works, though not as one may expect.
    Warn,
    /// Clusters cannot be started like this.
    Fail,
}

impl Check {
    fn new(name: &'static str, verdict: Verdict, found: impl Into<String>) -> Self {
        Self { name, verdict, found: found.into(), mend: None }
    }

    fn mend(self, mend: impl Into<String>) -> Self {
        Self { mend: Some(mend.into()), ..self }
    }

    fn of_error(name: &'static str, error: &impl Explain) -> Self {
        let why = error.source().map(|source| format!(": {source}")).unwrap_or_default();
        Self { mend: error.hint(), ..Self::new(name, Verdict::Fail, format!("{error}{why}")) }
    }
}

/// Looks at everything that a local cluster needs.
pub fn run(ctx: &Context) -> Vec<Check> {
    let flink = prepare::find_flink(ctx, &FlinkChoice::Default);
    let plan = prepare::prepare(ctx, &ClusterSpec::local(Default::default()));
    let mut checks = vec![check_flink(&flink), check_plan("java", &plan), check_plan("configuration", &plan)];
    for (name, dir) in [("state", &ctx.dirs.state), ("data", &ctx.dirs.data), ("cache", &ctx.dirs.cache)] {
        checks.push(check_dir(name, dir));
    }
    if flink.is_err() {
        checks.push(check_program(ctx, "python", "python3", "apt-get install python3 python3-pip"));
        checks.push(check_program(ctx, "pip", "pip3", "apt-get install python3-pip"));
    }
    checks.push(check_web_port());
    checks.extend(check_memory(plan.as_ref().ok()));
    checks.push(check_hadoop(ctx, plan.as_ref().ok()));
    checks
}

fn check_flink(flink: &Result<FlinkHome, PrepareError>) -> Check {
    match flink {
        Ok(flink) => {
            Check::new("flink", Verdict::Ok, format!("{} in {}", flink.version, flink.home.display()))
        }
        Err(e) => Check::of_error("flink", e),
    }
}

/// What stands in the way of a plan is a matter of Java or of the configuration, and told there.
fn check_plan(name: &'static str, plan: &Result<Compiled, PrepareError>) -> Check {
    let about_java = |e: &PrepareError| matches!(e, PrepareError::Java(_));
    let about_flink = |e: &PrepareError| {
        matches!(
            e,
            PrepareError::NoFlink
                | PrepareError::WhichFlink { .. }
                | PrepareError::Home(_)
                | PrepareError::Dist(_)
        )
    };
    match (plan, name) {
        (Ok(compiled), "java") => {
            let java = &compiled.plan.java;
            Check::new(name, Verdict::Ok, format!("{} in {}", java.version, java.home.display()))
        }
        (Ok(compiled), _) => {
            Check::new(name, Verdict::Ok, compiled.plan.logging_conf_dir.display().to_string())
        }
        (Err(e), _) if about_flink(e) => Check::new(name, Verdict::Warn, "not looked at without a Flink"),
        (Err(e), _) if about_java(e) == (name == "java") => Check::of_error(name, e),
        (Err(_), "java") => Check::new(name, Verdict::Ok, "found"),
        (Err(_), _) => Check::new(name, Verdict::Warn, "not looked at without a Java"),
    }
}

fn check_dir(name: &'static str, dir: &Path) -> Check {
    let existing = dir.ancestors().find_map(|d| Some((d, std::fs::metadata(d).ok()?)));
    let Some((existing, meta)) = existing else {
        return Check::new(name, Verdict::Fail, format!("{} cannot be made", dir.display()));
    };
    let shown = dir.display();
    let writable = rustix::fs::access(existing, rustix::fs::Access::WRITE_OK).is_ok();
    if !meta.is_dir() || !writable {
        let found = format!("{} cannot be written to", existing.display());
        return Check::new(name, Verdict::Fail, found).mend(format!("chmod u+rwx {}", existing.display()));
    }
    let foreign = meta.uid() != rustix::process::geteuid().as_raw() || meta.mode() & 0o022 != 0;
    if existing == dir && foreign {
        let found = format!("others may write to {shown} (mode {:o})", meta.mode() & 0o777);
        return Check::new(name, Verdict::Fail, found).mend(format!("chmod 700 {shown}"));
    }
    Check::new(name, Verdict::Ok, shown.to_string())
}

fn check_program(ctx: &Context, name: &'static str, program: &str, mend: &str) -> Check {
    let path = ctx.env.get("PATH").unwrap_or_default();
    match std::env::split_paths(path).map(|dir| dir.join(program)).find(|p| p.is_file()) {
        Some(found) => Check::new(name, Verdict::Ok, found.display().to_string()),
        None => Check::new(
            name,
            Verdict::Warn,
            format!("no {program} on the PATH: needed to install Flink from PyPI"),
        )
        .mend(mend),
    }
}

fn check_web_port() -> Check {
    const PORT: u16 = 8081;
    match TcpListener::bind(("127.0.0.1", PORT)) {
        Ok(_) => Check::new("port", Verdict::Ok, format!("{PORT} is free for the web UI")),
        Err(_) => {
            Check::new("port", Verdict::Warn, format!("{PORT} is taken: the web UI will have another one"))
                .mend("kobel ps")
        }
    }
}

/// Whether a default cluster fits into what is available now.
fn check_memory(compiled: Option<&Compiled>) -> Option<Check> {
    let plan = &compiled?.plan;
    let each = [&plan.job_manager, &plan.task_manager].map(|role| role.process_bytes);
    let counts = [plan.wanted.job_managers, plan.wanted.task_managers].map(u64::from);
    let need: u64 = each.iter().zip(counts).map(|(bytes, n)| bytes.saturating_mul(n)).sum();
    let have = prepare::memory_available()?;
    let mib = |bytes: u64| format!("{}m", MemorySize::from_bytes(bytes).mib());
    let found = format!("a cluster may take {}, {} are available", mib(need), mib(have));
    Some(match need <= have {
        true => Check::new("memory", Verdict::Ok, found),
        false => Check::new("memory", Verdict::Warn, found).mend("kobel start --tm-mem 800m --jm-mem 800m"),
    })
}

/// Hadoop's jars and configuration, for jobs that read and write `hdfs://`. Nothing else local needs
/// them.
fn check_hadoop(ctx: &Context, plan: Option<&Compiled>) -> Check {
    let setting = |key: &str| plan.and_then(|compiled| compiled.conf.get_str(key));
    let found = hadoop::find(&ctx.env, setting);
    let jars = found.class_path.jars();
    let dirs: Vec<_> = found.conf_dirs.iter().map(|(by, dir)| format!("{} ({by})", dir.display())).collect();
    let broken = if jars > 0 { Verdict::Fail } else { Verdict::Warn };
    match (&found.sites, found.class_path.from) {
        (Err(e), _) => Check { verdict: broken, ..Check::of_error("hadoop", e) },
        (Ok(_), None) if dirs.is_empty() => Check::new("hadoop", Verdict::Ok, "none"),
        (Ok(_), None) => {
            Check::new("hadoop", Verdict::Ok, format!("configuration in {}, no jars", dirs.join(" and ")))
                .mend("export HADOOP_CLASSPATH=\"$(hadoop classpath)\"")
        }
        (Ok(sites), Some(from)) if sites.is_empty() => {
            Check::new("hadoop", Verdict::Warn, format!("{jars} jars ({from}), no core-site.xml"))
                .mend("export HADOOP_CONF_DIR=DIR")
        }
        (Ok(_), Some(from)) => {
            let found = format!("{jars} jars ({from}), configuration in {}", dirs.join(" and "));
            Check::new("hadoop", Verdict::Ok, found)
        }
    }
}
