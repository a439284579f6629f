//! The `masters` and `workers` files of a Flink configuration directory.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::{
    Category, Explain,
    file::{self, FileError},
};

/// A line of the `masters` file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Master {
    /// Its host.
    pub host: String,
    /// The port of its web UI; none stands for any free one.
    pub web_port: Option<u16>,
}

/// Why a hosts file is of no use.
#[derive(Debug, Error)]
pub enum HostsError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// It names no host.
    #[error("{} names no host", .0.display())]
    Empty(PathBuf),
    /// A line is not a host.
    #[error("{}:{line}: {what}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
}

impl Explain for HostsError {
    fn category(&self) -> Category {
        Category::Environment
    }

    fn hint(&self) -> Option<String> {
        matches!(self, HostsError::Empty(_))
            .then(|| "write one host name a line; localhost is this machine".into())
    }
}

/// The longest host name that DNS allows.
const MAX_HOST: usize = 253;

/// Reads a `masters` file: `host` or `host:webport` a line.
pub fn read_masters(path: &Path) -> Result<Vec<Master>, HostsError> {
    parse_masters(&file::read_text(path)?, path)
}

/// Reads a `workers` file (once called `slaves`): a TaskManager for each line, on the host it names,
/// so a host that is there twice gets two.
pub fn read_workers(path: &Path) -> Result<Vec<String>, HostsError> {
    parse_workers(&file::read_text(path)?, path)
}

/// The masters in the text of the file at `path`.
pub fn parse_masters(text: &str, path: &Path) -> Result<Vec<Master>, HostsError> {
    let mut found: Vec<(usize, Master)> = Vec::new();
    for (line, word) in words(text) {
        let bad = |what| HostsError::Line { path: path.into(), line, what };
        let word = word.map_err(bad)?;
        let (host, web_port) = match word.split_once(':') {
            Some((host, port)) => (host, Some(parse_port(port).map_err(bad)?)),
            None => (word, None),
        };
        let master = Master { host: parse_host(host).map_err(bad)?, web_port };
        if let Some((first, _)) = found.iter().find(|(_, other)| *other == master && web_port.is_some()) {
            return Err(bad(format!("the same host and port as in line {first}")));
        }
        found.push((line, master));
    }
    non_empty(found.into_iter().map(|(_, master)| master).collect(), path)
}

/// The workers' hosts in the text of the file at `path`.
pub fn parse_workers(text: &str, path: &Path) -> Result<Vec<String>, HostsError> {
    let host = |(line, word): (usize, Result<&str, String>)| {
        let host = word.and_then(parse_host);
        host.map_err(|what| HostsError::Line { path: path.into(), line, what })
    };
    non_empty(words(text).map(host).collect::<Result<_, _>>()?, path)
}

/// Whether every host is this machine, by one of the two names that Flink's scripts know.
pub fn all_local<'a>(hosts: impl IntoIterator<Item = &'a str>) -> bool {
    hosts.into_iter().all(|host| host == "localhost" || host == "127.0.0.1")
}

fn non_empty<T>(hosts: Vec<T>, path: &Path) -> Result<Vec<T>, HostsError> {
    if hosts.is_empty() { Err(HostsError::Empty(path.into())) } else { Ok(hosts) }
}

/// The one word of each line that has any, without its comment and without the network hierarchy
/// before it (`/rack/host`), as `extractHostName` of Flink's `config.sh` takes it.
fn words(text: &str) -> impl Iterator<Item = (usize, Result<&str, String>)> {
    text.lines().enumerate().filter_map(|(index, line)| {
        let content = line.split('#').next().unwrap_or_default();
        let mut parts = content.split_whitespace();
        let word = parts.next()?;
        let host = word.rsplit('/').next().unwrap_or(word);
        let one =
            if parts.next().is_none() { Ok(host) } else { Err("more than one word in the line".into()) };
        Some((index + 1, one))
    })
}

/// Host names and IPv4 addresses only: what is accepted here ends up in command lines of ssh.
fn parse_host(text: &str) -> Result<String, String> {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let ok = text.len() <= MAX_HOST
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(inner);
    if ok { Ok(text.into()) } else { Err(format!("{text:?} is not a host name")) }
}

fn parse_port(text: &str) -> Result<u16, String> {
    let number = text.parse().ok().filter(|port| *port != 0 && !text.starts_with('+'));
    number.ok_or_else(|| format!("{text:?} is not a port from 1 to 65535"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn masters(text: &str) -> Result<Vec<(String, Option<u16>)>, String> {
        let found = parse_masters(text, Path::new("masters")).map_err(|e| e.to_string())?;
        Ok(found.into_iter().map(|m| (m.host, m.web_port)).collect())
    }

    fn workers(text: &str) -> Result<Vec<String>, String> {
        parse_workers(text, Path::new("workers")).map_err(|e| e.to_string())
    }

    #[test]
    fn comments_racks_blank_lines_and_crlf_are_taken_as_flinks_scripts_do() {
        let text = "# all\r\n\r\nlocalhost:8081\r\n /dc/rack1/node-2:8082 # second\r\nnode_3";
        let expected = [("localhost", Some(8081)), ("node-2", Some(8082)), ("node_3", None)];
        assert_eq!(masters(text).unwrap(), expected.map(|(host, port)| (host.to_string(), port)));
        assert_eq!(workers("a#x\n/r/b\n\ta \n").unwrap(), ["a", "b", "a"]);
    }

    #[test]
    fn what_is_no_host_is_refused_with_its_line() {
        for bad in ["host name", "host;rm", "$(x)", "a\0b", "-oProxyCommand=touch", "a@b", "h\u{e9}", "..."] {
            let error = workers(&format!("ok\n{bad}\n")).unwrap_err();
            assert!(error.starts_with("workers:2: "), "{error}");
        }
        assert!(workers(&"a".repeat(300)).is_err());
    }

    #[test]
    fn ports_out_of_range_are_refused() {
        for bad in ["h:0", "h:70000", "h:abc", "h:", "h:+1", "h:1:2", ":8081"] {
            assert!(masters(bad).unwrap_err().starts_with("masters:1: "), "{bad}");
        }
    }

    #[test]
    fn a_file_without_hosts_and_a_master_twice_are_errors() {
        assert_eq!(workers("# none\n\n").unwrap_err(), "workers names no host");
        let error = masters("a:1\nb:1\na:1").unwrap_err();
        assert_eq!(error, "masters:3: the same host and port as in line 1");
        assert_eq!(masters("a:1\na:2\na\na").unwrap().len(), 4);
    }

    #[test]
    fn only_flinks_two_names_are_local() {
        assert!(all_local(["localhost", "127.0.0.1"]));
        assert!(!all_local(["localhost", "node"]));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[a-z:/#. \\r\\n\\PC]{0,200}") {
            let _ = masters(&text);
            if let Ok(hosts) = workers(&text) {
                prop_assert!(hosts.iter().all(|h| h.starts_with(|c: char| c.is_ascii_alphanumeric())));
            }
        }
    }
}
