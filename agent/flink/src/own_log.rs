//! Log files of kobel's own: a log4j 2 configuration beside the user's has Flink write certain lines, and only these, to
//! a file that kobel reads.
//!
//! Such a configuration names no root logger and no status, so those stay the user's; its loggers are more specific
//! than what users set, and their level wins if they set the same ones. Users set their root logger to WARN: what
//! kobel reads is there all the same.

use std::fmt::Write;

/// Which lines go to a file of their own.
#[derive(Debug, Clone, Copy)]
pub struct OwnLog {
    /// Names the configuration, and what is in it.
    pub name: &'static str,
    /// The JVM's system property that names the file to write: `-Dkobel.main.log=…`.
    pub property: &'static str,
    /// Ends the name of that file.
    pub suffix: &'static str,
    /// How a line is written (`PatternLayout`).
    pattern: &'static str,
    /// What a whole message has to match (`RegexFilter`).
    lines: &'static str,
    /// The classes that log them, at INFO or above.
    loggers: &'static [&'static str],
}

/// Each session that ZooKeeper's client establishes; Flink's dist has that class under a name of its own.
pub const SESSIONS: OwnLog = OwnLog {
    name: "sessions",
    property: "kobel.session.log",
    suffix: "sessions",
    pattern: "%d{UNIX_MILLIS} %m%n",
    lines: "Session establishment complete .*",
    loggers: &["org.apache.flink.shaded.zookeeper3.org.apache.zookeeper.ClientCnxn"],
};

/// The jobs of the program's `main`, and its end, by who runs it; the second one from Flink 2.3 on. Exceptions follow
/// their line.
pub const MAIN: OwnLog = OwnLog {
    name: "main",
    property: "kobel.main.log",
    suffix: "main",
    pattern: "%m%n",
    lines: "(Application (completed|CANCELED|FAILED|failed|has been cancelled|execution is canceled)|\
            Job [0-9a-f]+ (is submitted|was recovered successfully)).*",
    loggers: &[
        "org.apache.flink.client.deployment.application.ApplicationDispatcherBootstrap",
        "org.apache.flink.client.deployment.application.PackagedProgramApplication",
        "org.apache.flink.client.deployment.application.executors.EmbeddedExecutor",
    ],
};

impl OwnLog {
    /// The file's name in the directory of logs: `jm-0.1.main`.
    pub fn file_name(&self, attempt_name: &str) -> String {
        format!("{attempt_name}.{}", self.suffix)
    }

    /// The log4j configuration.
    ///
    /// The file is appended to, because log4j opens it again when the user's configuration changes: it must not be
    /// there when the process starts.
    pub fn configuration(&self) -> String {
        let Self { name, property, pattern, lines, .. } = self;
        let mut text = format!(
            "\
appender.kobel{name}.name = Kobel-{name}
appender.kobel{name}.type = File
appender.kobel{name}.fileName = ${{sys:{property}}}
appender.kobel{name}.append = true
appender.kobel{name}.filePermissions = rw-------
appender.kobel{name}.layout.type = PatternLayout
appender.kobel{name}.layout.pattern = {pattern}
appender.kobel{name}.filter.lines.type = RegexFilter
appender.kobel{name}.filter.lines.regex = {lines}
appender.kobel{name}.filter.lines.onMatch = ACCEPT
appender.kobel{name}.filter.lines.onMismatch = DENY
"
        );
        for (n, class) in self.loggers.iter().enumerate() {
            let logger = format!("logger.kobel{name}{n}");
            let _ = write!(
                text,
                "\n{logger}.name = {class}\n{logger}.level = INFO\n{logger}.appenderRef.own.ref = Kobel-{name}\n"
            );
        }
        text
    }
}

/// The value of `log4j.configurationFile` for the user's configuration with kobel's own beside it, all of them URLs
/// or relative paths. log4j takes commas for separators and what follows a question mark for options.
pub fn composite(user: &str, own: &[String]) -> String {
    let plain = |place: &str| place.replace(',', "%2C").replace('?', "%3F");
    let places: Vec<_> = std::iter::once(plain(user)).chain(own.iter().map(|place| plain(place))).collect();
    places.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_in_the_users_path_are_none_of_log4js() {
        assert_eq!(
            composite("file:///a,b/log4j.xml", &["kobel.properties".into()]),
            "file:///a%2Cb/log4j.xml,kobel.properties"
        );
    }

    #[test]
    fn each_class_logs_to_the_file() {
        let text = MAIN.configuration();
        assert!(text.contains("fileName = ${sys:kobel.main.log}\n"), "{text}");
        assert_eq!(text.matches(".appenderRef.own.ref = Kobel-main\n").count(), MAIN.loggers.len(), "{text}");
        assert_eq!(MAIN.file_name("jm-0.1"), "jm-0.1.main");
    }
}
