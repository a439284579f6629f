//! Why a Flink distribution could not be found, installed or removed.

use std::{io, path::PathBuf};

use kobel_conf::{Category, Explain};

use super::Wish;

/// An underlying reason, of whatever library.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What went wrong with a Flink distribution. Texts hold no URL's user info or query: they may be
/// secrets.
#[derive(Debug, thiserror::Error)]
pub enum DistError {
    /// The text names no version.
    #[error("{0:?} is not a Flink version such as 1.20.5, or 1.20 for its newest patch")]
    NotAVersion(String),
    /// The text is no SHA-512.
    #[error("{0:?} is not a SHA-512: 128 hexadecimal digits")]
    NotASha512(String),
    /// The text is no URL to download from.
    #[error("{url:?} is not an http or https address")]
    NotAUrl {
        /// What was given, shortened.
        url: String,
    },
    /// It is not installed.
    #[error("Flink {wish} is not installed by kobel{}", have(.installed))]
    NotInstalled {
        /// What was asked for.
        wish: Wish,
        /// What there is.
        installed: Vec<String>,
    },
    /// The file system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was attempted: "write", "unpack into".
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nothing answered there.
    #[error("{site} does not answer")]
    Unreachable {
        /// Scheme, host and port.
        site: String,
        /// Why.
        source: Cause,
    },
    /// It answered with an error.
    #[error("{url} answered with HTTP status {status}")]
    Refused {
        /// The address.
        url: String,
        /// The status.
        status: u16,
    },
    /// A download broke off again and again.
    #[error("the download of {url} broke off {attempts} times; what has come is kept")]
    Cut {
        /// The address.
        url: String,
        /// How often.
        attempts: u32,
        /// Why, the last time.
        source: Cause,
    },
    /// No place has that release.
    #[error("there is no Flink {wish} at {}", looked.join(" or "))]
    NoSuchRelease {
        /// What was asked for.
        wish: Wish,
        /// Where it was looked for.
        looked: Vec<String>,
    },
    /// The published checksum is none.
    #[error("{url} holds no SHA-512")]
    NoChecksum {
        /// The address of the checksum.
        url: String,
    },
    /// The bytes are not those that were published.
    #[error(
        "{what} has SHA-512 {actual}, not {expected}: it is damaged or was tampered with, and was not installed"
    )]
    Checksum {
        /// The file or address.
        what: String,
        /// What it should be.
        expected: String,
        /// What it is.
        actual: String,
    },
    /// The archive tries to do what no Flink distribution does.
    #[error("{archive} was refused for its entry {entry:?}: {why}")]
    Hostile {
        /// The archive.
        archive: String,
        /// The entry's name.
        entry: String,
        /// What is wrong with it.
        why: String,
    },
    /// The archive cannot be read.
    #[error("{archive} is not a whole archive")]
    Broken {
        /// The archive.
        archive: String,
        /// Why.
        source: Cause,
    },
    /// It is no Flink.
    #[error("{place} is not a Flink distribution: {problem}; it holds {}", listing(.found))]
    NotAHome {
        /// Where.
        place: String,
        /// What is missing or too many.
        problem: &'static str,
        /// What is there.
        found: Vec<String>,
    },
    /// It is another Flink than the one asked for.
    #[error("{place} holds Flink {found}, not {wish}")]
    OtherVersion {
        /// Where.
        place: String,
        /// What was asked for.
        wish: Wish,
        /// What it is.
        found: String,
    },
    /// Python or pip is missing.
    #[error("Flink's packages need {what}, which was not found")]
    NoPip {
        /// The missing program.
        what: &'static str,
    },
    /// pip failed.
    #[error("pip could not download {requirement}")]
    Pip {
        /// What it was to download.
        requirement: String,
        /// The last lines it wrote.
        tail: String,
    },
    /// The network is needed, and must not be used.
    #[error("installing Flink {wish} from {source_name} needs the network, and offline was asked for")]
    Offline {
        /// What was asked for.
        wish: Wish,
        /// From where.
        source_name: String,
    },
    /// It took too long.
    #[error("installing Flink {wish} took longer than allowed")]
    TimedOut {
        /// What was asked for.
        wish: Wish,
    },
}

impl DistError {
    /// Wraps an I/O error with what was attempted on what.
    pub(super) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    /// Whether the address exists nowhere on that site.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::Refused { status: 404 | 410, .. })
    }

    /// Whether another source may be tried in its place: the site gave nothing, so nothing is lost.
    pub(super) fn is_site_failure(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Refused { .. })
    }
}

fn have(installed: &[String]) -> String {
    match installed {
        [] => String::new(),
        some => format!(" (installed: {})", some.join(", ")),
    }
}

/// A few names, and how many more.
fn listing(found: &[String]) -> String {
    const SHOWN: usize = 12;
    match found {
        [] => "nothing".into(),
        few if few.len() <= SHOWN => few.join(", "),
        many => format!("{} and {} more", many[..SHOWN].join(", "), many.len() - SHOWN),
    }
}

impl Explain for DistError {
    fn category(&self) -> Category {
        match self {
            Self::NotAVersion(_) | Self::NotASha512(_) | Self::NotAUrl { .. } => Category::Usage,
            Self::TimedOut { .. } => Category::Timeout,
            _ => Category::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotInstalled { wish, .. } => format!("kobel flink install {wish}"),
            Self::Unreachable { .. } | Self::Refused { .. } => {
                "try another source: --source pypi, --mirror URL, or --from FILE.tgz".into()
            }
            Self::Cut { .. } => "run the same command again; it goes on where it stopped".into(),
            Self::TimedOut { .. } => "run the same command again with a longer --timeout".into(),
            Self::Checksum { .. } => "download it again, or from another place".into(),
            Self::NoChecksum { .. } => "give the published checksum with --sha512".into(),
            Self::NoPip { .. } => {
                "sudo apt-get install python3-pip   (or: sudo dnf install python3-pip)".into()
            }
            Self::Pip { .. } => "look at pip's settings: python3 -m pip config list".into(),
            Self::Offline { wish, .. } => format!("kobel flink install {wish} --from FILE.tgz"),
            Self::OtherVersion { found, .. } => format!("kobel flink install {found} --from …"),
            _ => return None,
        })
    }

    fn log_tail(&self) -> Option<String> {
        match self {
            Self::Pip { tail, .. } => Some(tail.clone()),
            _ => None,
        }
    }
}
