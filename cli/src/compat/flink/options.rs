//! The options of Flink's `flink` (`CliFrontendParser`, `GenericCLI`, and `FlinkYarnSessionCli` with its prefix `y`), of 1.6
//! and of 1.20 together.

use super::super::commons_cli::{Arg, Opt, Parsed, parse_mixed, parse_program};
use crate::failure::Failure;

use super::{messages, usage};

/// What every action takes.
const COMMON: &[Opt] = &[
    Opt::new("h", "help", Arg::None),
    Opt::new("v", "verbose", Arg::None),
    Opt::new("m", "jobmanager", Arg::One),
    Opt::new("t", "target", Arg::One),
    Opt::new("e", "executor", Arg::One),
    Opt::new("z", "zookeeperNamespace", Arg::One),
    Opt::new("D", "", Arg::Property),
];

/// The options of `yarn-session.sh` behind a `y`, which every action takes, too.
const YARN: &[Opt] = &[
    Opt::new("yat", "yarnapplicationType", Arg::One),
    Opt::new("yD", "", Arg::Property),
    Opt::new("yd", "yarndetached", Arg::None),
    Opt::new("yh", "yarnhelp", Arg::None),
    Opt::new("yid", "yarnapplicationId", Arg::One),
    Opt::new("yj", "yarnjar", Arg::One),
    Opt::new("yjm", "yarnjobManagerMemory", Arg::One),
    Opt::new("yn", "yarncontainer", Arg::One),
    Opt::new("ynl", "yarnnodeLabel", Arg::One),
    Opt::new("ynm", "yarnname", Arg::One),
    Opt::new("yq", "yarnquery", Arg::None),
    Opt::new("yqu", "yarnqueue", Arg::One),
    Opt::new("ys", "yarnslots", Arg::One),
    Opt::new("yst", "yarnstreaming", Arg::None),
    Opt::new("yt", "yarnship", Arg::One),
    Opt::new("ytm", "yarntaskManagerMemory", Arg::One),
    Opt::new("yz", "yarnzookeeperNamespace", Arg::One),
];

const PROGRAM: &[Opt] = &[
    Opt::new("c", "class", Arg::One),
    Opt::new("C", "classpath", Arg::One),
    Opt::new("p", "parallelism", Arg::One),
    Opt::new("j", "jarfile", Arg::One),
    Opt::new("a", "arguments", Arg::One),
    Opt::new("d", "detached", Arg::None),
    Opt::new("sae", "shutdownOnAttachedExit", Arg::None),
    Opt::new("s", "fromSavepoint", Arg::One),
    Opt::new("n", "allowNonRestoredState", Arg::None),
    Opt::new("cm", "claimMode", Arg::One),
    Opt::new("rm", "restoreMode", Arg::One),
    Opt::new("q", "sysoutLogging", Arg::None),
    Opt::new("py", "python", Arg::One),
    Opt::new("pym", "pyModule", Arg::One),
    Opt::new("pyfs", "pyFiles", Arg::One),
    Opt::new("pyreq", "pyRequirements", Arg::One),
    Opt::new("pyarch", "pyArchives", Arg::One),
    Opt::new("pyexec", "pyExecutable", Arg::One),
    Opt::new("pyclientexec", "pyClientExecutable", Arg::One),
    Opt::new("pypath", "pyPythonPath", Arg::One),
];

/// Options that name the program: no jar follows them.
const NAMING: [&str; 3] = ["jarfile", "python", "pyModule"];

const LIST: &[Opt] = &[
    Opt::new("r", "running", Arg::None),
    Opt::new("s", "scheduled", Arg::None),
    Opt::new("a", "all", Arg::None),
];

/// The form of a savepoint, and whether to wait for it.
const TYPE: Opt = Opt::new("type", "type", Arg::One);
const DETACHED: Opt = Opt::new("detached", "detached", Arg::None);

const CANCEL: &[Opt] = &[Opt::new("s", "withSavepoint", Arg::Optional), TYPE];

const STOP: &[Opt] =
    &[Opt::new("p", "savepointPath", Arg::Optional), Opt::new("d", "drain", Arg::None), TYPE, DETACHED];

const SAVEPOINT: &[Opt] =
    &[Opt::new("d", "dispose", Arg::One), Opt::new("j", "jarfile", Arg::One), TYPE, DETACHED];

const CHECKPOINT: &[Opt] = &[Opt::new("full", "full", Arg::None)];

/// What `flink` can be asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Run,
    RunApplication,
    Info,
    List,
    Stop,
    Cancel,
    Savepoint,
    Checkpoint,
}

impl Action {
    /// All, in the order of the help.
    pub(super) const ALL: [Self; 8] = [
        Self::Run,
        Self::RunApplication,
        Self::Info,
        Self::List,
        Self::Stop,
        Self::Cancel,
        Self::Savepoint,
        Self::Checkpoint,
    ];

    /// As it is typed.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::RunApplication => "run-application",
            Self::Info => "info",
            Self::List => "list",
            Self::Stop => "stop",
            Self::Cancel => "cancel",
            Self::Savepoint => "savepoint",
            Self::Checkpoint => "checkpoint",
        }
    }

    /// The action of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }

    /// Whether what follows the first word that is no option belongs to a program.
    fn has_program(self) -> bool {
        matches!(self, Self::Run | Self::RunApplication | Self::Info)
    }

    fn options(self) -> &'static [Opt] {
        match self {
            Self::Run | Self::RunApplication | Self::Info => PROGRAM,
            Self::List => LIST,
            Self::Stop => STOP,
            Self::Cancel => CANCEL,
            Self::Savepoint => SAVEPOINT,
            Self::Checkpoint => CHECKPOINT,
        }
    }

    /// Reads the action's command line.
    pub(super) fn read(self, args: &[String]) -> Result<Parsed, Failure> {
        let tables = [self.options(), COMMON, YARN];
        let parsed = match self.has_program() {
            true => parse_program(&tables, &NAMING, args),
            false => parse_mixed(&tables, args),
        };
        parsed.map_err(|e| usage(e.to_string()).hint(messages::help_of(self)))
    }

    /// The command line again, as Flink's own `flink` reads it, but for these options.
    pub(super) fn words(self, parsed: &Parsed, without: &[&str]) -> Vec<String> {
        let tables = [self.options(), COMMON, YARN].concat();
        let mut words = vec![self.name().to_string()];
        words.extend(parsed.words(&tables, without));
        words
    }
}

/// Options by which a cluster is chosen or described, and none of the program's.
pub(super) fn of_the_cluster() -> impl Iterator<Item = &'static str> {
    COMMON.iter().chain(YARN).map(Opt::key)
}

/// What makes a program one of Python's.
pub(super) fn python(parsed: &Parsed) -> Option<&'static str> {
    ["python", "pyModule"].into_iter().find(|key| parsed.has(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(String::from).collect()
    }

    #[test]
    fn every_spelling_of_flinks_options_is_read() {
        let run = |line: &str| Action::Run.read(&words(line)).unwrap();
        for (line, key, value) in [
            ("-ytm 800 x.jar", "yarntaskManagerMemory", "800"),
            ("-ytm800 x.jar", "yarntaskManagerMemory", "800"),
            ("--yarntaskManagerMemory=1g x.jar", "yarntaskManagerMemory", "1g"),
            ("-yarnqueue fast x.jar", "yarnqueue", "fast"),
            ("--yarnap application_1_1 x.jar", "", ""),
            ("-yqu fast x.jar", "yarnqueue", "fast"),
            ("-ynm etl x.jar", "yarnname", "etl"),
            ("-yn2 x.jar", "yarncontainer", "2"),
            ("-yDa.b=c x.jar", "yD", "a.b=c"),
            ("-yD a.b=c x.jar", "yD", "a.b=c"),
            ("-pym word_count", "pyModule", "word_count"),
            ("-py job.py", "python", "job.py"),
            ("-p4 x.jar", "parallelism", "4"),
            ("--par 4 x.jar", "parallelism", "4"),
            ("-sae x.jar", "shutdownOnAttachedExit", ""),
        ] {
            if key.is_empty() {
                assert!(Action::Run.read(&words(line)).is_err(), "{line}: ambiguous");
            } else if value.is_empty() {
                assert!(run(line).has(key), "{line}");
            } else {
                assert_eq!(run(line).value(key), Some(value), "{line}");
            }
        }
        assert_eq!(run("-m yarn-cluster -yn 2 x.jar -yn 3").rest, words("x.jar -yn 3"));
    }

    #[test]
    fn behind_a_jobs_id_there_may_be_options() {
        let id = "00112233445566778899aabbccddeeff";
        let parsed = Action::Savepoint.read(&words(&format!("{id} /sp -yid application_1_1"))).unwrap();
        assert_eq!(parsed.rest, [id, "/sp"]);
        assert_eq!(parsed.value("yarnapplicationId"), Some("application_1_1"));
        let parsed = Action::Stop.read(&words(&format!("{id} -d -p"))).unwrap();
        assert!(parsed.has("drain") && parsed.has("savepointPath") && !parsed.has("detached"));
        assert!(Action::Stop.read(&words(&format!("-detached {id}"))).unwrap().has("detached"));
    }

    #[test]
    fn a_command_line_is_said_again_without_what_chose_the_cluster() {
        let line = "-m localhost:1 -c X -p 2 -sae -Da=b -Dc=d -yid application_1_1 -py j.py -- x -p 9";
        let parsed = Action::Run.read(&words(line)).unwrap();
        let without: Vec<_> = of_the_cluster().collect();
        assert_eq!(
            Action::Run.words(&parsed, &without),
            words("run -c X -p 2 -sae -py j.py x -p 9"),
            "{parsed:?}"
        );
        assert_eq!(Action::Run.words(&parsed, &["jobmanager"])[..8], words("run -c X -p 2 -sae -Da=b -Dc=d"));
    }
}
