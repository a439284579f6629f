//! Values by their type, as the getters of Hadoop's `Configuration` read them. All are trimmed; one
//! that is empty counts as not set.

use std::{fmt, str::FromStr, time::Duration};

use super::{HadoopConf, HadoopConfError};

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Name or address; IPv6 without its brackets.
    pub host: String,
    /// The port, never 0.
    pub port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            return write!(f, "[{}]:{}", self.host, self.port);
        }
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Units of durations and what they are in nanoseconds, longer names first
/// (`Configuration.ParsedTimeDuration`).
const TIMES: [(&str, u64); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// Letters of sizes, each 1,024 of the one before it (`StringUtils.TraditionalBinaryPrefix`).
const SIZES: [char; 6] = ['k', 'm', 'g', 't', 'p', 'e'];

impl HadoopConf {
    /// A text, its variables replaced.
    pub fn text(&self, name: &str) -> Result<Option<String>, HadoopConfError> {
        let Some(entry) = self.raw(name) else { return Ok(None) };
        let text = self.expand(name, &entry.value)?;
        Ok(Some(text.trim().to_string()).filter(|text| !text.is_empty()))
    }

    /// `true` or `false`.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, HadoopConfError> {
        self.parsed(name, "true or false", |text| text.to_ascii_lowercase().parse().ok())
    }

    /// A whole number, possibly hexadecimal (`0x1f`).
    pub fn number<T: TryFrom<i64>>(&self, name: &str) -> Result<Option<T>, HadoopConfError> {
        self.parsed(name, "a whole number in its range", |text| number(text)?.try_into().ok())
    }

    /// A fraction.
    pub fn fraction(&self, name: &str) -> Result<Option<f64>, HadoopConfError> {
        self.parsed(name, "a number", |text| f64::from_str(text).ok().filter(|n| n.is_finite()))
    }

    /// A time: `30s`, `5m`, or a bare number of this unit.
    pub fn duration(&self, name: &str, unit: Duration) -> Result<Option<Duration>, HadoopConfError> {
        self.parsed(name, "a time such as 500ms, 30s or 5m", |text| duration(text, unit))
    }

    /// A size in bytes: `134217728`, `128m`.
    pub fn bytes(&self, name: &str) -> Result<Option<u64>, HadoopConfError> {
        self.parsed(name, "a size such as 64k, 128m or 1g", bytes)
    }

    /// `host` or `host:port`, possibly behind a scheme.
    pub fn address(&self, name: &str, port: u16) -> Result<Option<Address>, HadoopConfError> {
        self.parsed(name, "a host, or host:port", |text| address(text, port))
    }

    /// A list with commas, or one entry a line.
    pub fn list(&self, name: &str) -> Result<Vec<String>, HadoopConfError> {
        let text = self.text(name)?.unwrap_or_default();
        let parts = text.split([',', '\n']).map(str::trim).filter(|part| !part.is_empty());
        Ok(parts.map(String::from).collect())
    }

    fn parsed<T>(
        &self,
        name: &str,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, HadoopConfError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let origin = || self.raw(name).map(|e| e.origin.clone()).unwrap_or(crate::flink::Origin::Default);
        let wrong = || HadoopConfError::Value { name: name.into(), origin: origin(), expected };
        parse(&text).map(Some).ok_or_else(wrong)
    }
}

/// What Java's `Long.parseLong` takes, and hexadecimal after `0x`.
fn number(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text),
    };
    match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) if !hex.starts_with(['-', '+']) => i64::from_str_radix(&format!("{sign}{hex}"), 16).ok(),
        Some(_) => None,
        None => text.parse().ok(),
    }
}

fn duration(text: &str, bare: Duration) -> Option<Duration> {
    let text = text.to_ascii_lowercase();
    let found = TIMES.iter().find_map(|(suffix, nanos)| Some((text.strip_suffix(suffix)?, *nanos)));
    let (digits, nanos) = found.map_or((text.as_str(), bare.as_nanos()), |(d, nanos)| (d, nanos.into()));
    let count: u64 = digits.trim().parse().ok().filter(|n| *n <= i64::MAX as u64)?;
    let total = u128::from(count).checked_mul(nanos)?;
    let seconds = u64::try_from(total / 1_000_000_000).ok()?;
    Some(Duration::new(seconds, (total % 1_000_000_000) as u32))
}

fn bytes(text: &str) -> Option<u64> {
    let last = text.chars().last()?.to_ascii_lowercase();
    let (digits, power) = match SIZES.iter().position(|letter| *letter == last) {
        Some(at) => (&text[..text.len() - 1], 10 * (at as u32 + 1)),
        None => (text, 0),
    };
    let count: u64 = digits.trim().parse().ok()?;
    count.checked_mul(1 << power).filter(|bytes| *bytes <= i64::MAX as u64)
}

/// `NetUtils.createSocketAddr` with a port to fall back on.
fn address(text: &str, default: u16) -> Option<Address> {
    let authority = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = authority.split('/').next()?;
    let bracketed = authority.strip_prefix('[');
    let (host, tail) = match bracketed {
        Some(rest) => rest.split_once(']')?,
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port = match tail.strip_prefix(':') {
        Some(port) => port.parse().ok().filter(|port| *port != 0)?,
        None if tail.is_empty() => default,
        None => return None,
    };
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let ok = !host.is_empty() && host.chars().all(|c| good(c) || (c == ':' && bracketed.is_some()));
    ok.then(|| Address { host: host.into(), port })
}
