//! The options of `yarn-session.sh` (`FlinkYarnSessionCli`), of Flink 1.6 and of 1.20, and what they ask for.

use kobel_conf::Category;
use kobel_plan::ClusterName;
use kobel_session::{ClusterSpec, yarn::ApplicationId};

use super::super::{
    commons_cli::{Arg, Opt, Parsed, parse},
    yarn_options::YarnOptions,
};
use crate::{commands::cluster_spec, failure::Failure};

const OPTIONS: &[Opt] = &[
    Opt::new("at", "applicationType", Arg::One),
    Opt::new("D", "", Arg::Property),
    Opt::new("d", "detached", Arg::None),
    Opt::new("h", "help", Arg::None),
    Opt::new("id", "applicationId", Arg::One),
    Opt::new("j", "jar", Arg::One),
    Opt::new("jm", "jobManagerMemory", Arg::One),
    Opt::new("m", "jobmanager", Arg::One),
    Opt::new("n", "container", Arg::One),
    Opt::new("nl", "nodeLabel", Arg::One),
    Opt::new("nm", "name", Arg::One),
    Opt::new("q", "query", Arg::None),
    Opt::new("qu", "queue", Arg::One),
    Opt::new("s", "slots", Arg::One),
    Opt::new("st", "streaming", Arg::None),
    Opt::new("t", "ship", Arg::One),
    Opt::new("tm", "taskManagerMemory", Arg::One),
    Opt::new("yd", "yarndetached", Arg::None),
    Opt::new("z", "zookeeperNamespace", Arg::One),
];

/// What `-h` prints.
pub(super) const HELP: &str = "\
yarn-session.sh [OPTIONS]: starts a Flink session on YARN, or attaches to one
  -n,  --container N            TaskManagers [default: those that jobs need, as they need them]
  -s,  --slots N                slots of each TaskManager
  -tm, --taskManagerMemory M    memory of a TaskManager's container; a bare number is MB
  -jm, --jobManagerMemory M     memory of the JobManager; a bare number is MB
  -d,  --detached               return when the session is ready, and leave it running
  -t,  --ship PATH              a file or directory for every container, jars on the class path; repeatable
  -nm, --name S                 the application's name
  -qu, --queue Q                YARN's queue
  -nl, --nodeLabel L            YARN's node label
  -at, --applicationType T      YARN's type of the application
  -D KEY=VALUE                  a Flink option
  -j,  --jar P                  a Flink distribution, or the flink-dist jar in its lib directory
  -z,  --zookeeperNamespace S   the session's name in ZooKeeper, with high availability
  -id, --applicationId ID       attach to a session that runs; with -d only show how to reach it
  -q,  --query                  show YARN's nodes and queues, and start nothing
Attached, type help, or stop to end the session; Ctrl-C ends it too.";

/// What `yarn-session.sh` is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request {
    /// Show the options.
    Help,
    /// Show what YARN has.
    Query,
    /// Go to a session that runs.
    Attach { id: ApplicationId, detached: bool },
    /// Start one.
    Start { spec: Box<ClusterSpec>, detached: bool, notes: Vec<&'static str> },
}

/// Reads the command line; `name` is what kobel is to call a session that is started.
pub(super) fn read(args: &[String], name: ClusterName) -> Result<Request, Failure> {
    let parsed = parse(&[OPTIONS], args).map_err(|e| usage(e.to_string()).hint("yarn-session.sh -h"))?;
    if parsed.has("help") {
        return Ok(Request::Help);
    }
    if let Some(word) = parsed.rest.first() {
        return Err(usage(format!("unexpected argument {word}")).hint("yarn-session.sh -h"));
    }
    if let Some(master) = parsed.value("jobmanager").filter(|to| *to != "yarn-cluster") {
        let what = format!(
            "an option cannot be honoured: -m {master}: the JobManager of a session on YARN is where YARN starts it"
        );
        return Err(usage(what).hint("yarn-session.sh -id APPLICATION"));
    }
    let detached = parsed.has("detached") || parsed.has("yarndetached");
    if parsed.has("query") {
        return Ok(Request::Query);
    }
    if let Some(id) = parsed.value("applicationId") {
        return Ok(Request::Attach { id: application_id(id)?, detached });
    }
    Ok(Request::Start { spec: Box::new(spec(&parsed, name)?), detached, notes: notes(&parsed) })
}

/// The id as YARN writes it; that it names something is for others to find out.
pub(in crate::compat) fn application_id(text: &str) -> Result<ApplicationId, Failure> {
    text.trim().parse().map_err(|_| {
        usage(format!("{text:?} is not the id of a YARN application"))
            .hint("yarn-session.sh -id application_1700000000000_0001")
    })
}

fn notes(parsed: &Parsed) -> Vec<&'static str> {
    let st = "-st has no meaning any more: every session runs streaming and batch jobs";
    parsed.has("streaming").then_some(st).into_iter().collect()
}

fn spec(parsed: &Parsed, name: ClusterName) -> Result<ClusterSpec, Failure> {
    cluster_spec(name, YarnOptions::of_session(parsed).cluster()?)
}

fn usage(what: impl Into<String>) -> Failure {
    Failure::new(Category::Usage, what)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use kobel_plan::ProviderKind;
    use kobel_session::FlinkChoice;

    use super::*;

    fn request(line: &str) -> Result<Request, Failure> {
        let args: Vec<_> = line.split_whitespace().map(String::from).collect();
        read(&args, "session".parse().unwrap())
    }

    fn started(line: &str) -> (ClusterSpec, bool) {
        match request(line).unwrap() {
            Request::Start { spec, detached, .. } => (*spec, detached),
            other => panic!("{line}: {other:?}"),
        }
    }

    fn refused(line: &str) -> String {
        anstream::adapter::strip_str(&request(line).unwrap_err().render(false)).to_string()
    }

    #[test]
    fn the_line_that_everyone_types_means_what_it_always_did() {
        let (spec, detached) = started("-n 2 -tm 800 -s 1 -d");
        assert!(detached);
        assert_eq!((spec.provider, spec.task_managers), (ProviderKind::Yarn, Some(2)));
        assert_eq!((spec.tm_memory, spec.jm_memory), (Some(800 << 20), None));
        assert_eq!((spec.slots, spec.overrides.len()), (NonZeroU32::new(1), 0));
        assert!(!started("").1 && started("-yd").1 && started("--detached").1);
    }

    #[test]
    fn memory_is_megabytes_unless_it_says_otherwise() {
        for (line, bytes) in
            [("-jm 1024", 1 << 30), ("-jm1g", 1 << 30), ("--jobManagerMemory=1600m", 1600 << 20)]
        {
            assert_eq!(started(line).0.jm_memory, Some(bytes), "{line}");
        }
        for bad in ["-tm 0", "-tm x", "-tm 1.5g", "-jm 99999999999999999999"] {
            assert!(refused(bad).contains("800m"), "{bad}");
        }
    }

    #[test]
    fn what_yarn_is_to_know_becomes_its_key_and_a_property_beats_it() {
        let (spec, _) = started("-t a.jar -t lib -Da=b");
        assert_eq!(
            (spec.overrides[0].key.as_str(), spec.overrides[0].value.as_str()),
            ("yarn.ship-files", "a.jar;lib")
        );
        assert_eq!(started("-z ns").0.namespace.as_deref(), Some("ns"));
        let (spec, _) = started("-nm etl -qu fast -nl gpu -at Flink -Dyarn.application.name=other -D a=b=c");
        assert_eq!(spec.queue.as_deref(), Some("fast"));
        assert_eq!(spec.application_name.as_deref(), Some("etl"));
        assert_eq!(spec.node_label.as_deref(), Some("gpu"));
        let pairs: Vec<_> = spec.overrides.iter().map(|o| (o.key.as_str(), o.value.as_str())).collect();
        assert_eq!(
            pairs,
            [("yarn.application.type", "Flink"), ("yarn.application.name", "other"), ("a", "b=c"),]
        );
    }

    #[test]
    fn sessions_are_attached_to_by_their_application() {
        let id = "application_1700000000000_0012".to_string();
        let attach = |detached| Request::Attach { id: id.parse().unwrap(), detached };
        assert_eq!(request(&format!("-id {id}")).unwrap(), attach(false));
        assert_eq!(request(&format!("-d --applicationId={id}")).unwrap(), attach(true));
        assert!(refused("-id 12").contains("not the id of a YARN application"));
        assert!(refused("-id application_1_").contains("not the id"));
    }

    #[test]
    fn queries_and_help_start_nothing() {
        assert_eq!(request("-q -n 2").unwrap(), Request::Query);
        assert_eq!(request("-q -h").unwrap(), Request::Help);
    }

    #[test]
    fn what_cannot_be_honoured_is_named() {
        for (line, word) in [
            ("-m host:8081", "-m host:8081"),
            ("-n -1", "-n -1: expected a number from 0"),
            ("-n two", "-n two"),
            ("-s 0", "-s 0"),
            ("-j no/such.jar", "-j no/such.jar"),
            ("--foo", "unknown option --foo"),
            ("stop", "unexpected argument stop"),
            ("-D a", "has no '='"),
        ] {
            assert!(refused(line).contains(word), "{line}: {}", refused(line));
        }
        started("-m yarn-cluster");
        assert!(matches!(request("-st").unwrap(), Request::Start { notes, .. } if notes.len() == 1));
    }

    #[test]
    fn a_flink_is_named_by_its_directory_or_its_jar() {
        assert_eq!(
            started("-j /opt/flink/lib/flink-dist-1.20.5.jar").0.flink,
            FlinkChoice::Home("/opt/flink".into())
        );
        assert_eq!(started("-j lib/flink-dist.jar").0.flink, FlinkChoice::Home(".".into()));
        assert_eq!(started("-j /tmp").0.flink, FlinkChoice::Home("/tmp".into()));
        assert_eq!(started("").0.flink, FlinkChoice::Default);
    }
}
