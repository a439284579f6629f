//! What a container runs: files, environment, credentials, command.

use std::{collections::BTreeMap, fmt, str::FromStr};

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::Credentials;

/// What a container runs (`ContainerLaunchContext`). Commands and environment are public: every NodeManager
/// shows its `launch_container.sh`. Secrets go into files or credentials.
#[derive(Debug, Clone, Default)]
pub struct Launch {
    /// The command line. YARN joins the words by blanks and gives them to a shell, twice; nothing is escaped.
    pub commands: Vec<String>,
    /// The environment, expanded by a shell as well.
    pub environment: BTreeMap<String, String>,
    /// Files to bring to the node, by the name of the link in the working directory. One remote file under
    /// two names loses one of the links.
    pub files: BTreeMap<String, LocalResource>,
    /// What the container may do in the cluster; the NodeManager needs it to fetch the files, too.
    pub credentials: Credentials,
    /// Who may see an application, in YARN's form "user1,user2 group1". Only for a master.
    pub view_acl: Option<String>,
    /// Who may change an application. Only for a master.
    pub modify_acl: Option<String>,
}

/// A file for a container. The NodeManager refuses it if the modification time is another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalResource {
    /// Where it lies.
    pub url: ResourceUrl,
    /// Its length in bytes.
    pub size: i64,
    /// Its modification time in milliseconds, as its file system tells it.
    pub modified_ms: i64,
    /// Whether it is unpacked.
    pub kind: ResourceKind,
    /// Who shares the copy that the node keeps.
    pub visibility: Visibility,
}

/// What the node does with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceKind {
    /// Unpacks it into a directory: `.jar`, `.zip`, `.tar`, `.tar.gz` or `.tgz`.
    Archive,
    /// Leaves it as it is.
    File,
}

/// Who shares the copy of a file that a node keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// Everybody: the file and all directories above it are open to others.
    Public,
    /// All applications of the user.
    Private,
    /// This application, with which the copy goes.
    Application,
}

/// The address of a remote file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceUrl {
    /// Such as `hdfs`.
    pub scheme: String,
    /// A host or a name service; empty for `file:`.
    pub host: String,
    /// The port, where the address names one.
    pub port: Option<u16>,
    /// The absolute path, plain, without percent signs in place of letters.
    pub path: String,
}

/// A text is not the address of a remote file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the address of a remote file, such as hdfs://nameservice/path")]
pub struct UrlError(String);

/// What `java.net.URI` wants escaped in a path.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

impl fmt::Display for ResourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        write!(f, "{}", utf8_percent_encode(&self.path, ESCAPED))
    }
}

impl FromStr for ResourceUrl {
    type Err = UrlError;

    /// Reads an address whose path is escaped as in a URI.
    fn from_str(text: &str) -> Result<Self, UrlError> {
        let bad = || UrlError(text.into());
        let (scheme, rest) = text.split_once("://").ok_or_else(bad)?;
        let slash = rest.find('/').ok_or_else(bad)?;
        let (authority, path) = rest.split_at(slash);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => {
                (host, Some(port.parse().map_err(|_| bad())?))
            }
            _ => (authority, None),
        };
        let scheme_ok = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
        if !scheme_ok || host.contains(['@', '?', '#', ' ']) {
            return Err(bad());
        }
        let path = percent_decode_str(path).decode_utf8().map_err(|_| bad())?.into_owned();
        Ok(Self { scheme: scheme.into(), host: host.into(), port, path })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_keep_whether_they_name_a_port() {
        let service: ResourceUrl = "hdfs://ns/user/a/x%20y.tar".parse().unwrap();
        assert_eq!((service.host.as_str(), service.port), ("ns", None));
        assert_eq!(service.path, "/user/a/x y.tar");
        assert_eq!(service.to_string(), "hdfs://ns/user/a/x%20y.tar");
        let local: ResourceUrl = "file:///tmp/a".parse().unwrap();
        assert_eq!((local.host.as_str(), local.path.as_str()), ("", "/tmp/a"));
        let node: ResourceUrl = "hdfs://nn:9000/a".parse().unwrap();
        assert_eq!(node.port, Some(9000));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in
            ["", "/tmp/x", "hdfs://ns", "hdfs://u@ns/x", "hdfs://ns:99999/x", "1x://a/b", "hdfs://ns/%ff"]
        {
            assert!(bad.parse::<ResourceUrl>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn addresses_round_trip(path in "/\\PC{0,20}", port: Option<u16>) {
            let url = ResourceUrl { scheme: "hdfs".into(), host: "ns".into(), port, path };
            prop_assert_eq!(url.to_string().parse(), Ok(url));
        }

        #[test]
        fn no_text_panics(text in ".{0,30}", ours in "hdfs://.{0,20}") {
            let _ = text.parse::<ResourceUrl>();
            let _ = ours.parse::<ResourceUrl>();
        }
    }
}
