//! What an action is about, by its options alone: a session, or a cluster of the job's own.

use std::{fmt, str::FromStr};

use kobel_plan::ProviderKind;
use kobel_session::yarn::ApplicationId;

use super::{super::commons_cli::Parsed, options::Action, usage};
use crate::{compat::yarn_session::application_id, failure::Failure};

/// Flink's option for what `-t` says.
pub(super) const TARGET: &str = "execution.target";
/// Names the session's YARN application.
const APPLICATION: &str = "yarn.application.id";
const HOST: &str = "rest.address";
const PORT: &str = "rest.port";
/// Flink's default of `rest.port`.
const DEFAULT_PORT: u16 = 8081;

/// Whom an action is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Goal {
    /// The session on YARN that `yarn-session.sh` left word of, else the newest one.
    Any,
    /// The newest session; Flink looks up no file for this one.
    Newest,
    /// The session on YARN that `yarn-session.sh` left word of, else the newest one if it is on YARN.
    OnYarn,
    /// What runs as this application of YARN.
    Application(ApplicationId),
    /// Whatever answers there.
    At(Address),
    /// The session of this name in ZooKeeper.
    InZooKeeper(String),
    /// A cluster of the job's own.
    Own(ProviderKind),
}

/// Where a REST API is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

impl Address {
    /// Whether it is this machine's own.
    pub(super) fn is_loopback(&self) -> bool {
        matches!(self.host.as_str(), "localhost" | "127.0.0.1" | "[::1]")
    }

    /// Whether this URL is at the same place.
    pub(super) fn is_of(&self, url: &str) -> bool {
        let Ok(other) = url.parse::<Address>() else { return false };
        let same_host = self.host.eq_ignore_ascii_case(&other.host);
        other.port == self.port && (same_host || self.is_loopback() && other.is_loopback())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl FromStr for Address {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let bare = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
        let parts = bare.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
        // Of an IPv6 address the colons are in brackets.
        let is_host = |host: &str| match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c)),
        };
        match parts {
            Some((host, port)) if port > 0 && is_host(host) => Ok(Self { host: host.into(), port }),
            _ => Err(usage(format!("-m {text}: expected HOST:PORT, or yarn-cluster"))
                .hint("flink list -m localhost:8081")),
        }
    }
}

/// The last value of a `-D` of this key.
fn property<'a>(given: &'a [String], key: &str) -> Option<&'a str> {
    given.iter().rev().find_map(|text| text.strip_prefix(key)?.strip_prefix('='))
}

/// Whether a `-D` only says where the session is.
pub(super) fn says_where(property: &str) -> bool {
    let key = property.split_once('=').map_or(property, |(key, _)| key);
    [TARGET, APPLICATION, HOST, PORT].contains(&key) || key.starts_with("high-availability")
}

/// Reads it off the options; `configured` is Flink's own `execution.target`.
pub(super) fn goal(action: Action, parsed: &Parsed, configured: Option<&str>) -> Result<Goal, Failure> {
    let given = parsed.values("D");
    let application = parsed.value("yarnapplicationId").or_else(|| property(&given, APPLICATION));
    if let Some(id) = application {
        return Ok(Goal::Application(application_id(id)?));
    }
    let master = parsed.value("jobmanager");
    let namespace = parsed.value("zookeeperNamespace").or_else(|| parsed.value("yarnzookeeperNamespace"));
    let typed = parsed.value("target").or_else(|| parsed.value("executor")).or(property(&given, TARGET));
    let address = || match (master, property(&given, HOST)) {
        (Some(master), _) => Some(master.parse()),
        (None, Some(host)) => {
            let port = property(&given, PORT).map_or(DEFAULT_PORT.to_string(), String::from);
            Some(format!("{host}:{port}").parse())
        }
        (None, None) => None,
    };
    match typed {
        Some(target) => of_target(target, address()),
        None if master == Some("yarn-cluster") => Ok(Goal::Own(ProviderKind::Yarn)),
        None => match (address(), namespace, configured) {
            (Some(address), ..) => address.map(Goal::At),
            (None, Some(id), _) => Ok(Goal::InZooKeeper(id.into())),
            (None, None, Some(target)) => of_target(target, None),
            (None, None, None) if action == Action::RunApplication => {
                Err(usage("run-application does not say where to")
                    .hint("flink run-application -t yarn-application …"))
            }
            (None, None, None) => Ok(Goal::Any),
        },
    }
}

/// What Flink calls a deployment target.
fn of_target(target: &str, address: Option<Result<Address, Failure>>) -> Result<Goal, Failure> {
    match (target, address) {
        ("remote", Some(address)) => address.map(Goal::At),
        ("remote", None) => Ok(Goal::Newest),
        ("yarn-session", _) => Ok(Goal::OnYarn),
        // Flink's own `main` would run on the client in yarn-per-job; what comes of it is the same.
        ("yarn-per-job" | "yarn-application", _) => Ok(Goal::Own(ProviderKind::Yarn)),
        ("local", _) => Ok(Goal::Own(ProviderKind::Local)),
        (other, _) if other.starts_with("kubernetes-") => {
            Err(usage(format!("-t {other}: kobel has no provider for Kubernetes"))
                .hint("flink run -t yarn-application …   (or -t local, remote, yarn-session, yarn-per-job)"))
        }
        (other, _) => Err(usage(format!(
            "-t {other}: a target is remote, local, yarn-session, yarn-per-job or yarn-application"
        ))
        .hint("flink run -h")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goal_of(line: &str, configured: Option<&str>) -> Result<Goal, Failure> {
        let words: Vec<_> = line.split_whitespace().map(String::from).collect();
        let (name, rest) = words.split_first().unwrap();
        let action = Action::named(name).unwrap();
        goal(action, &action.read(rest).unwrap(), configured)
    }

    fn at(host: &str, port: u16) -> Goal {
        Goal::At(Address { host: host.into(), port })
    }

    #[test]
    fn the_options_of_every_flink_say_where_to() {
        let app = || Goal::Application("application_1700000000000_0012".parse().unwrap());
        let id = "application_1700000000000_0012";
        for (line, goal) in [
            ("run x.jar", Goal::Any),
            ("run -m yarn-cluster -yn 2 x.jar", Goal::Own(ProviderKind::Yarn)),
            ("run -t yarn-per-job x.jar", Goal::Own(ProviderKind::Yarn)),
            ("run-application -t yarn-application x.jar", Goal::Own(ProviderKind::Yarn)),
            ("run -Dexecution.target=yarn-application x.jar", Goal::Own(ProviderKind::Yarn)),
            ("run -e yarn-per-job x.jar", Goal::Own(ProviderKind::Yarn)),
            ("run -t local x.jar", Goal::Own(ProviderKind::Local)),
            ("run -t remote x.jar", Goal::Newest),
            ("run -t yarn-session x.jar", Goal::OnYarn),
            ("run -m localhost:8081 x.jar", at("localhost", 8081)),
            ("run -m http://h.example:80/ x.jar", at("h.example", 80)),
            ("run -m [::1]:8081 x.jar", at("[::1]", 8081)),
            ("run -t remote -m h:1 x.jar", at("h", 1)),
            ("run -t remote -Drest.address=h -Drest.port=9 x.jar", at("h", 9)),
            ("run -Drest.address=h x.jar", at("h", 8081)),
            ("list -z ns", Goal::InZooKeeper("ns".into())),
            ("list -yz ns", Goal::InZooKeeper("ns".into())),
        ] {
            assert_eq!(goal_of(line, None).unwrap(), goal, "{line}");
        }
        for line in [
            format!("run -yid {id} x.jar"),
            format!("run -m yarn-cluster -yid {id} x.jar"),
            format!("run -t yarn-session -Dyarn.application.id={id} x.jar"),
            format!("cancel -t yarn-application -Dyarn.application.id={id} 12"),
            format!("cancel 12 -yid {id}"),
        ] {
            assert_eq!(goal_of(&line, Some("remote")).unwrap(), app(), "{line}");
        }
    }

    #[test]
    fn what_is_configured_counts_where_nothing_is_said() {
        assert_eq!(goal_of("run x.jar", Some("yarn-per-job")).unwrap(), Goal::Own(ProviderKind::Yarn));
        assert_eq!(goal_of("run -m h:1 x.jar", Some("yarn-per-job")).unwrap(), at("h", 1));
        assert_eq!(goal_of("run -t remote x.jar", Some("yarn-per-job")).unwrap(), Goal::Newest);
    }

    #[test]
    fn what_is_no_target_is_named() {
        for (line, word) in [
            ("run -t kubernetes-session x.jar", "Kubernetes"),
            ("run -t moon x.jar", "-t moon"),
            ("run -m localhost x.jar", "HOST:PORT"),
            ("run -m localhost:0 x.jar", "HOST:PORT"),
            ("run -m h:70000 x.jar", "HOST:PORT"),
            ("run -m ::1:8081 x.jar", "HOST:PORT"),
            ("run -m h/x:1 x.jar", "HOST:PORT"),
            ("list -yid 12", "not the id of a YARN application"),
            ("run-application x.jar", "where to"),
        ] {
            let failure = goal_of(line, None).unwrap_err();
            assert!(failure.what().contains(word), "{line}: {}", failure.what());
        }
    }

    #[test]
    fn an_address_is_known_by_any_name_of_this_machine() {
        let address = |text: &str| text.parse::<Address>().unwrap();
        assert!(address("127.0.0.1:8081").is_of("http://localhost:8081"));
        assert!(address("LOCALHOST:8081").is_of("http://localhost:8081"));
        assert!(address("h:1").is_of("http://H:1/"));
        assert!(!address("h:1").is_of("http://h:2"));
        assert!(!address("localhost:1").is_of("http://h:1"));
    }

    #[test]
    fn properties_that_only_say_where_go_no_further() {
        assert!(says_where("yarn.application.id=x") && says_where("rest.port=1"));
        assert!(says_where("high-availability.type=NONE") && says_where("execution.target=remote"));
        assert!(!says_where("execution.checkpointing.interval=1s") && !says_where("rest.port.x=1"));
    }
}
