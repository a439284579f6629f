//! Handing over to Flink's own client, for what needs a program's `main` on this machine.

use std::{ffi::OsStr, os::unix::process::CommandExt, path::PathBuf, process::Command};

use kobel_conf::Category;
use kobel_session::{Context, FlinkChoice, java, prepare::configuration, prepare::find_flink};

use super::{
    super::commons_cli::Parsed,
    goal::{Address, says_where},
    options::{Action, of_the_cluster},
};
use crate::{context::Ctx, failure::Failure};

/// Set for Flink's client, so that one that leads back here is seen.
const HANDED_OVER: &str = "KOBEL_HANDED_OVER";

/// Flink's own `flink`, and a Java for it.
#[derive(Debug)]
pub(super) struct Client {
    program: PathBuf,
    version: String,
    /// To be told by `JAVA_HOME`, unless the environment or Flink's configuration names one.
    java: Option<PathBuf>,
}

impl Client {
    /// Looks for a Flink with its client, and a Java that runs it.
    pub(super) fn find(context: &Context) -> Result<Self, Failure> {
        if context.env.get(HANDED_OVER).is_some() {
            let what = "Flink's own client leads back to kobel: the flink in its bin directory is kobel's";
            return Err(Failure::new(Category::Environment, what).hint("kobel flink install 1.20.5"));
        }
        let flink = find_flink(context, &FlinkChoice::Default)?;
        let program = flink.home.join("bin/flink");
        if !program.is_file() {
            let what = format!("{} is not there", program.display());
            return Err(Failure::new(Category::Environment, what).hint("export FLINK_HOME=DIR"));
        }
        let conf = configuration(context, &FlinkChoice::Default);
        let named = conf.get_str("env.java.home").filter(|home| !home.is_empty());
        let search = java::Search {
            flink_conf: named.map(OsStr::new).map(OsStr::as_ref),
            setting: context.settings.java_home.value.as_deref(),
            ..java::Search::new(&context.env)
        };
        let found = java::find(&flink.version, &search)?.java.home;
        let told = named.is_some() || context.env.get("JAVA_HOME").is_some();
        Ok(Self { program, version: flink.version.to_string(), java: (!told).then_some(found) })
    }

    /// The version of its Flink.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// Becomes Flink's client. Returns only when that fails.
    pub(super) fn become_it(self, ctx: &Ctx, why: &str, words: &[String]) -> Failure {
        let program = self.program.display();
        ctx.ui.note(format_args!("note: {why}: handing over to Flink's own client, {program}"));
        let mut command = Command::new(&self.program);
        command.args(words).env(HANDED_OVER, "1");
        if let Some(java) = &self.java {
            command.env("JAVA_HOME", java);
        }
        let error = command.exec();
        Failure::new(Category::Environment, format!("cannot run {program}")).because(&error)
    }
}

/// The command line for Flink's client to do the same in the session at this address.
pub(super) fn words(action: Action, parsed: &Parsed, address: &Address) -> Vec<String> {
    let mut words = without_cluster(action, parsed);
    // The address is the one front of the session, whoever leads it.
    let place = [
        "-t".to_string(),
        "remote".into(),
        format!("-Drest.address={}", address.host),
        format!("-Drest.port={}", address.port),
        "-Dhigh-availability.type=NONE".into(),
    ];
    words.splice(1..1, place);
    words
}

/// The same command line. How many TaskManagers there shall be, its client has not been told since Flink 1.5.
pub(super) fn all_words(action: Action, parsed: &Parsed) -> Vec<String> {
    action.words(parsed, &["yarncontainer"])
}

/// The command line without anything about a cluster.
pub(super) fn without_cluster(action: Action, parsed: &Parsed) -> Vec<String> {
    let mut words = action.words(parsed, &of_the_cluster().collect::<Vec<_>>());
    let of_the_job = parsed.values("D").into_iter().filter(|given| !says_where(given));
    words.splice(1..1, of_the_job.map(|given| format!("-D{given}")));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flinks_client_starts_a_cluster_as_it_was_told_to() {
        let line = "-m yarn-cluster -yn 2 -yqu x -yDk=v -Da=b -pym word_count";
        let line: Vec<_> = line.split(' ').map(String::from).collect();
        let words = all_words(Action::Run, &Action::Run.read(&line).unwrap()).join(" ");
        assert_eq!(words, "run -m yarn-cluster -yqu x -yDk=v -Da=b -pym word_count");
    }

    #[test]
    fn flinks_client_gets_the_program_and_the_place() {
        let line = "-m localhost:9 -yqu x -Dyarn.application.id=a -Dk=v -c X -p 2 -d x.jar -m y";
        let line: Vec<_> = line.split(' ').map(String::from).collect();
        let parsed = Action::Run.read(&line).unwrap();
        let address = "h:7".parse().unwrap();
        assert_eq!(
            words(Action::Run, &parsed, &address).join(" "),
            "run -t remote -Drest.address=h -Drest.port=7 -Dhigh-availability.type=NONE -Dk=v -c X -p 2 -d x.jar -m y"
        );
        let parsed = Action::Info.read(&line).unwrap();
        assert_eq!(without_cluster(Action::Info, &parsed).join(" "), "info -Dk=v -c X -p 2 -d x.jar -m y");
    }
}
