//! The JobManager of a per-job cluster: it runs the program's `main` itself, in Flink's application mode.

use std::fmt::Write;

use kobel_plan::{ClusterDir, JobPlan, Launch, ProviderKind, Restore, WorkerFile};

use super::{LaunchError, Worker, text};

/// Flink's entry point (`StandaloneApplicationClusterEntryPoint`).
const MAIN_CLASS: &str = "org.apache.flink.container.entrypoint.StandaloneApplicationClusterEntryPoint";
/// Main class and arguments, below the worker's directory. What a program is given may be a password, and everybody
/// on a machine can read command lines: so they are in a file that `java` reads.
const FILE: &str = "conf/program.args";

/// The last argument of `java`.
pub(super) fn argument() -> String {
    format!("@{}/{FILE}", Launch::WORKER_DIR)
}

/// Files for it.
pub(super) fn file(worker: &Worker<'_>, job: &JobPlan) -> Result<WorkerFile, LaunchError> {
    // What follows `--jars` are jars up to the next option; what follows `--` is the program's.
    let jar = if worker.plan.finds_program() { None } else { Some(jar(job)?) };
    let mut args = vec![MAIN_CLASS];
    args.extend(jar.iter().flat_map(|jar| ["--jars", jar]));
    let (conf_dir, id) = (format!("{}/conf", Launch::WORKER_DIR), job.id.to_string());
    args.extend(["--configDir", &conf_dir, "--job-id", &id]);
    if let Some(class) = &job.class {
        args.extend(["--job-classname", class]);
    }
    if let Some(Restore { path, allow_non_restored }) = &job.restore {
        args.extend(["--fromSavepoint", path]);
        args.extend(allow_non_restored.then_some("--allowNonRestoredState"));
    }
    args.push("--");
    args.extend(job.args.iter().map(String::as_str));
    let bad = |arg: &&str| arg.contains('\0');
    if args.iter().any(bad) {
        return Err(LaunchError::Argument { worker: worker.name() });
    }
    Ok(WorkerFile { path: FILE.into(), contents: lines(&args) })
}

/// The jar as Flink's fetcher takes one that it need not copy; one beside the process, in a container, it copies.
fn jar(job: &JobPlan) -> Result<String, LaunchError> {
    let jar = text(&job.jar)?;
    if job.jar.is_relative() {
        return Ok(jar.into());
    }
    // It is read as a URI.
    let escaped = jar.bytes().fold(String::new(), |mut url, byte| {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'~' | b'@' | b'+' | b'=' | b',' => url.push(byte.into()),
            byte if byte.is_ascii_alphanumeric() => url.push(byte.into()),
            // Writing to a string does not fail.
            byte => drop(write!(url, "%{byte:02X}")),
        }
        url
    });
    Ok(format!("local://{escaped}"))
}

/// What `FLINK_LIB_DIR` is where Flink is to find the program by itself: nothing has to be there, but beside it is
/// [`JobPlan::DIR`] (`ClusterEntrypointUtils.tryFindUserLibDirectory`).
///
/// Flink tells TaskManagers the way to the jar from the JobManager's working directory
/// (`DefaultPackagedProgramRetriever`), in a URL that `java` shortens wrongly where three `..` follow each other: so it
/// is the same short way from each process's.
pub(super) fn beside_usrlib(provider: ProviderKind) -> String {
    match provider {
        ProviderKind::Yarn => "lib".into(),
        ProviderKind::Local | ProviderKind::Hosts => format!("{}/lib", ClusterDir::FROM_WORKER),
    }
}

/// A line each, as `java` reads files of arguments (JDK 9's `@argfiles`): quoted, with escapes.
fn lines(args: &[&str]) -> String {
    let mut lines = String::new();
    for arg in args {
        lines.push('"');
        for c in arg.chars() {
            match c {
                '"' | '\\' => lines.extend(['\\', c]),
                '\n' => lines.push_str("\\n"),
                '\r' => lines.push_str("\\r"),
                '\t' => lines.push_str("\\t"),
                '\u{c}' => lines.push_str("\\f"),
                c => lines.push(c),
            }
        }
        lines.push_str("\"\n");
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_quoted_as_java_reads_them() {
        let args = ["a b", "--x", "c\\d\"e\nq", "@x", "#y", "", "é"];
        assert_eq!(lines(&args), "\"a b\"\n\"--x\"\n\"c\\\\d\\\"e\\nq\"\n\"@x\"\n\"#y\"\n\"\"\n\"é\"\n");
    }

    #[test]
    fn a_jar_is_a_uri() {
        let id = "0123456789abcdef0123456789abcdef".parse().unwrap();
        let job = |jar: &str| JobPlan { id, jar: jar.into(), class: None, args: vec![], restore: None };
        assert_eq!(jar(&job("/a b/%41-é.jar")).unwrap(), "local:///a%20b/%2541-%C3%A9.jar");
        assert_eq!(jar(&job("program.jar")).unwrap(), "program.jar");
    }
}
