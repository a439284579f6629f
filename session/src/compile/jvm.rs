//! JVM options in the order of Flink's scripts: of two that contradict each other the last counts.
//!
//! `flink-daemon.sh` runs `java $JVM_ARGS <memory> $FLINK_ENV_JAVA_OPTS <role's>`, where a variable of
//! the environment stands in for the configuration's keys.

use kobel_conf::flink::{FlinkConf, Origin};
use kobel_plan::{FlinkRole, Launch};

use super::CompileError;
use crate::{Env, words};

const ALL: &str = "env.java.opts.all";
/// The name until Flink 1.16, read where the new one has no value.
const ALL_BEFORE: &str = "env.java.opts";

/// The packages of the JDK that Flink reaches into, which Java 17 closes; they are in the
/// `config.yaml` of every distribution since 1.18, and missing in older configurations.
const EXPORTS: [&str; 8] = [
    "java.base/sun.net.util",
    "java.rmi/sun.rmi.registry",
    "jdk.compiler/com.sun.tools.javac.api",
    "jdk.compiler/com.sun.tools.javac.file",
    "jdk.compiler/com.sun.tools.javac.parser",
    "jdk.compiler/com.sun.tools.javac.tree",
    "jdk.compiler/com.sun.tools.javac.util",
    "java.security.jgss/sun.security.krb5",
];
/// See [`EXPORTS`].
const OPENS: [&str; 12] = [
    "java.base/java.lang",
    "java.base/java.net",
    "java.base/java.io",
    "java.base/java.nio",
    "java.base/sun.nio.ch",
    "java.base/java.lang.reflect",
    "java.base/java.text",
    "java.base/java.time",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/java.util.concurrent.locks",
];

/// Sets what every Flink needs on a Java with modules, unless the user chose options. In Flink's own
/// `env.java.default-opts.all` it stands before the user's, and survives them.
pub(super) fn default_options(conf: &mut FlinkConf, java: u32) {
    let chosen = conf.get_str(ALL).is_some_and(|text| text.contains("--add-opens"));
    if java < 9 || chosen {
        return;
    }
    let exports = EXPORTS.iter().map(|package| format!("--add-exports={package}=ALL-UNNAMED"));
    let opens = OPENS.iter().map(|package| format!("--add-opens={package}=ALL-UNNAMED"));
    let options = exports.chain(opens).collect::<Vec<_>>().join(" ");
    conf.set_default("env.java.default-opts.all", options, Origin::Kobel("Flink on this Java"));
}

/// All JVM options of a role.
pub(super) fn arguments(
    role: FlinkRole,
    memory: Vec<String>,
    conf: &FlinkConf,
    env: &Env,
) -> Result<Vec<String>, CompileError> {
    let options = Options { role, conf, env };
    let (name, variable) = match role {
        FlinkRole::JobManager => ("jobmanager", "FLINK_ENV_JAVA_OPTS_JM"),
        FlinkRole::TaskManager => ("taskmanager", "FLINK_ENV_JAVA_OPTS_TM"),
    };
    let all = if conf.get_str(ALL).is_some_and(|v| !v.is_empty()) { ALL } else { ALL_BEFORE };
    // The shell expands it unquoted: it is split at white space and nothing else.
    let plain = env.get("JVM_ARGS").unwrap_or_default();
    let mut args: Vec<String> = plain.split_ascii_whitespace().map(String::from).collect();
    args.extend(memory);
    args.extend(options.variable_or("FLINK_ENV_JAVA_OPTS", &["env.java.default-opts.all", all])?);
    let own = ["default-opts", "opts"].map(|kind| format!("env.java.{kind}.{name}"));
    args.extend(options.variable_or(variable, &[&own[0], &own[1]])?);
    Ok(args)
}

/// Where the options of a role come from.
struct Options<'a> {
    role: FlinkRole,
    conf: &'a FlinkConf,
    env: &'a Env,
}

impl Options<'_> {
    /// The words of the variable if it is set, else those of these keys.
    fn variable_or(&self, variable: &str, keys: &[&str]) -> Result<Vec<String>, CompileError> {
        if let Some(text) = self.env.get(variable) {
            return self.split(variable, text);
        }
        let mut words = Vec::new();
        for key in keys {
            let text = self.conf.get_str(key).unwrap_or_default().trim();
            // config.sh takes one pair of double quotes around the whole value away.
            let inner = text.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
            words.extend(self.split(key, inner.filter(|t| !t.contains('"')).unwrap_or(text))?);
        }
        Ok(words)
    }

    /// Words, with variables of the environment filled in. `FLINK_LOG_PREFIX` is what Flink's scripts
    /// offer for the names of garbage collection logs and heap dumps.
    fn split(&self, name: &str, text: &str) -> Result<Vec<String>, CompileError> {
        let lookup = |variable: &str| match variable {
            "FLINK_LOG_PREFIX" => Some(format!("{}/{}", Launch::LOG_DIR, self.role.prefix())),
            "FLINK_LOG_DIR" => Some(Launch::LOG_DIR.to_string()),
            other => self.env.get(other).map(String::from),
        };
        words::split(text, lookup).map_err(|source| CompileError::Words { name: name.into(), source })
    }
}
