//! Values with a shape: a bad one is refused by clap, exit code 2, with what would be right.

use std::{ffi::OsStr, fmt::Display, str::FromStr, time::Duration};

use clap::ValueEnum;
use kobel_conf::units::{self, MemorySize};
use kobel_plan::{JobId, ProviderKind};

/// Where a cluster's workers shall come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Provider {
    /// Processes on this machine
    #[default]
    Local,
    /// A list of hosts
    Hosts,
    /// Containers of Hadoop YARN
    Yarn,
}

impl From<Provider> for ProviderKind {
    fn from(provider: Provider) -> Self {
        match provider {
            Provider::Local => ProviderKind::Local,
            Provider::Hosts => ProviderKind::Hosts,
            Provider::Yarn => ProviderKind::Yarn,
        }
    }
}

/// How a job treats the savepoint it starts from (Flink's `RestoreMode`, `RecoveryClaimMode` in 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ClaimMode {
    /// Leave it alone, and make the first checkpoint a full one
    NoClaim,
    /// Own it, and delete it when it is no longer needed
    Claim,
    /// Flink 1 only: neither own it nor copy it
    Legacy,
}

/// What a job starts from, where kobel is to find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RestoreFrom {
    /// The newest savepoint or retained checkpoint of the program
    Latest,
}

/// What `kobel wait` waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    /// The cluster is ready.
    Ready,
    /// The cluster is over.
    Stopped,
    /// The job has finished.
    JobFinished(JobId),
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected ready, stopped or job=ID:finished, not {text:?}");
        match text {
            "ready" => Ok(Self::Ready),
            "stopped" => Ok(Self::Stopped),
            _ => {
                let job = text.strip_prefix("job=").ok_or_else(wrong)?;
                let id = job.strip_suffix(":finished").ok_or_else(wrong)?;
                id.parse().map(Self::JobFinished).map_err(|e: kobel_plan::IdError| e.to_string())
            }
        }
    }
}

/// The most that a 64-bit process can address: 128 TiB.
const MAX_MEMORY: u64 = 128 << 40;

/// A worker's memory. A bare number is refused: Flink reads it as bytes, its old scripts as megabytes.
pub(crate) fn memory(text: &str) -> Result<MemorySize, String> {
    let size: MemorySize = text.parse().map_err(|e| with_examples(&e, MEMORY_EXAMPLES))?;
    match size.bytes() {
        0 => Err(with_examples(&"no memory at all", MEMORY_EXAMPLES)),
        bytes if bytes > MAX_MEMORY => {
            Err(with_examples(&"more than a process can address (128t)", MEMORY_EXAMPLES))
        }
        _ => Ok(size),
    }
}

/// A time to wait.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    units::parse_duration_with_unit(text).map_err(|e| with_examples(&e, "30s, 5m or 2h"))
}

const MEMORY_EXAMPLES: &str = "800m, 1g or 1600mb";

/// The reason, and what would be right unless the reason tells that itself.
fn with_examples(why: &dyn Display, examples: &str) -> String {
    let why = why.to_string();
    if why.contains("write it as") { why } else { format!("{why}; write it as {examples}") }
}

/// A text that may hold anything, for a line of a message: what is not printable is escaped.
pub(crate) fn escaped(text: &OsStr) -> String {
    let mut out = String::new();
    for chunk in text.as_encoded_bytes().utf8_chunks() {
        out.extend(chunk.valid().escape_debug());
        out.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    out
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn memory_needs_a_unit_and_a_possible_size() {
        assert_eq!(memory("800m").unwrap(), MemorySize::from_mib(800));
        assert_eq!(memory("1 gb").unwrap(), MemorySize::from_mib(1024));
        for bad in ["", "10", "1.5.g", "1.5g", "-1g", "99999t", "0m", "g", "1x", "99999999999999999999g"] {
            let why = memory(bad).unwrap_err();
            assert!(why.contains("write it as 800m"), "{bad:?}: {why}");
        }
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("5m").unwrap(), Duration::from_secs(300));
        for bad in ["", "5", "m", "-5s", "5 fortnights"] {
            assert!(duration(bad).unwrap_err().contains("30s"), "{bad:?}");
        }
    }

    #[test]
    fn conditions_are_named_or_of_a_job() {
        let id = "00ff10203040506070809000a0b0c0d0";
        let parse = |text: &str| text.parse::<Condition>();
        assert_eq!(parse("ready"), Ok(Condition::Ready));
        assert_eq!(parse("stopped"), Ok(Condition::Stopped));
        assert_eq!(parse(&format!("job={id}:finished")), Ok(Condition::JobFinished(id.parse().unwrap())));
        for bad in ["", "Ready", "job=", "job=12:finished", &format!("job={id}"), &format!("job={id}:failed")]
        {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_typed_gets_an_answer(text in ".*") {
            let _ = (memory(&text), duration(&text), text.parse::<Condition>());
        }

        #[test]
        fn what_is_escaped_is_one_printable_line(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let text = escaped(OsStr::from_bytes(&bytes));
            prop_assert!(!text.chars().any(char::is_control), "{text:?}");
        }
    }
}
