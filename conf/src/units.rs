//! Sizes and durations as people write them, in Flink's grammar.

use std::{fmt, str::FromStr, time::Duration};

use thiserror::Error;

/// Why a text is not the size or duration it claims to be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UnitError {
    /// There is no number, or something before it.
    #[error("{0:?} does not start with a number")]
    NoNumber(String),
    /// What follows the number is no unit.
    #[error("{0:?} has an unknown unit; {1}")]
    UnknownUnit(String, &'static str),
    /// Where a unit must be, there is none.
    #[error("{0:?} has no unit; {1}")]
    NoUnit(String, &'static str),
    /// More than Flink can count.
    #[error("{0:?} is too large")]
    TooLarge(String),
}

const SIZE_EXAMPLES: &str = "write it as 800m, 1g or 1600mb";
const DURATION_EXAMPLES: &str = "write it as 500ms, 30s, 5m or 2h";

/// Units of sizes by name, as `org.apache.flink.configuration.MemorySize.MemoryUnit` has them.
const SIZE_UNITS: [(&[&str], u64); 5] = [
    (&["b", "bytes"], 1),
    (&["k", "kb", "kibibytes"], 1 << 10),
    (&["m", "mb", "mebibytes"], 1 << 20),
    (&["g", "gb", "gibibytes"], 1 << 30),
    (&["t", "tb", "tebibytes"], 1 << 40),
];

/// Units of durations in nanoseconds, as `org.apache.flink.util.TimeUtils` has them.
const DURATION_UNITS: [(&[&str], u64); 7] = [
    (&["ns", "nano", "nanos", "nanosecond", "nanoseconds"], 1),
    (&["µs", "micro", "micros", "microsecond", "microseconds"], 1_000),
    (&["ms", "milli", "millis", "millisecond", "milliseconds"], MILLISECOND),
    (&["s", "sec", "secs", "second", "seconds"], 1_000 * MILLISECOND),
    (&["m", "min", "minute", "minutes"], 60_000 * MILLISECOND),
    (&["h", "hour", "hours"], 3_600_000 * MILLISECOND),
    (&["d", "day", "days"], 86_400_000 * MILLISECOND),
];

const MILLISECOND: u64 = 1_000_000;

/// An amount of memory in bytes, at most what a Java `long` holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemorySize(u64);

impl MemorySize {
    /// The largest one.
    pub const MAX: MemorySize = MemorySize(i64::MAX as u64);

    /// So many bytes, [`MemorySize::MAX`] at most.
    pub const fn from_bytes(bytes: u64) -> Self {
        if bytes > Self::MAX.0 { Self::MAX } else { Self(bytes) }
    }

    /// So many mebibytes, [`MemorySize::MAX`] at most.
    pub const fn from_mib(mib: u64) -> Self {
        Self::from_bytes(mib.saturating_mul(1 << 20))
    }

    /// In bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// In whole mebibytes, rounded down.
    pub const fn mib(self) -> u64 {
        self.0 >> 20
    }

    /// Parses as Flink's `MemorySize.parse` does: a bare number counts bytes.
    pub fn parse_flink(text: &str) -> Result<Self, UnitError> {
        Self::parse_with(text, Some(1))
    }

    /// Parses as Flink did until 1.6 in `*.heap.size`, and `yarn-session.sh` still does in `-tm` and
    /// `-jm`: a bare number counts mebibytes.
    pub fn parse_bare_mb(text: &str) -> Result<Self, UnitError> {
        Self::parse_with(text, Some(1 << 20))
    }

    fn parse_with(text: &str, bare: Option<u64>) -> Result<Self, UnitError> {
        let (number, unit) = split_number(text)?;
        let multiplier = match find_unit(&SIZE_UNITS, &unit) {
            Some(multiplier) => multiplier,
            None if unit.is_empty() => bare.ok_or_else(|| UnitError::NoUnit(text.into(), SIZE_EXAMPLES))?,
            None => return Err(UnitError::UnknownUnit(text.into(), SIZE_EXAMPLES)),
        };
        let bytes = number.and_then(|n| n.checked_mul(multiplier)).filter(|b| *b <= Self::MAX.0);
        bytes.map(Self).ok_or_else(|| UnitError::TooLarge(text.into()))
    }
}

/// In the largest unit that holds it exactly, which Flink reads back: `1600m`, `1g`, `123b`.
impl fmt::Display for MemorySize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = SIZE_UNITS.iter().rev().find(|(_, unit)| self.0 != 0 && self.0.is_multiple_of(*unit));
        match whole {
            Some((names, unit)) => f.pad(&format!("{}{}", self.0 / unit, names[0])),
            None => f.pad("0b"),
        }
    }
}

/// For the command line, where a unit is required: `800` could mean anything.
impl FromStr for MemorySize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        Self::parse_with(text, None)
    }
}

/// A duration as whole milliseconds, as files and messages carry it.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Parses as Flink's `TimeUtils.parseDuration` does: a bare number counts milliseconds.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    duration_with(text, Some(MILLISECOND))
}

/// Parses a duration whose unit is required, for the command line and kobel's own settings.
pub fn parse_duration_with_unit(text: &str) -> Result<Duration, UnitError> {
    duration_with(text, None)
}

fn duration_with(text: &str, bare: Option<u64>) -> Result<Duration, UnitError> {
    let (number, unit) = split_number(text)?;
    let nanos = match find_unit(&DURATION_UNITS, &unit) {
        Some(nanos) => nanos,
        None if unit.is_empty() => bare.ok_or_else(|| UnitError::NoUnit(text.into(), DURATION_EXAMPLES))?,
        None => return Err(UnitError::UnknownUnit(text.into(), DURATION_EXAMPLES)),
    };
    let number = number.ok_or_else(|| UnitError::TooLarge(text.into()))?;
    let total = u128::from(number) * u128::from(nanos);
    let seconds = u64::try_from(total / 1_000_000_000).ok().filter(|s| *s <= MemorySize::MAX.0);
    let seconds = seconds.ok_or_else(|| UnitError::TooLarge(text.into()))?;
    Ok(Duration::new(seconds, (total % 1_000_000_000) as u32))
}

/// The leading number, `None` if it is beyond a Java `long`, and the lower-case unit after it.
fn split_number(text: &str) -> Result<(Option<u64>, String), UnitError> {
    let trimmed = java_trim(text);
    let end = trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(trimmed.len());
    let (digits, unit) = trimmed.split_at(end);
    if digits.is_empty() {
        return Err(UnitError::NoNumber(text.into()));
    }
    let number = digits.parse().ok().filter(|n| *n <= MemorySize::MAX.0);
    Ok((number, java_trim(unit).to_lowercase()))
}

/// Java's `String.trim`: every control character counts as space.
pub(crate) fn java_trim(text: &str) -> &str {
    text.trim_matches(|c: char| c <= ' ')
}

/// Java's `Double.toString` of a finite number: always with a decimal point, from 10^7 on and below
/// 10^-3 with an exponent.
pub(crate) fn java_double(number: f64) -> String {
    if number == 0.0 || (1e-3..1e7).contains(&number.abs()) {
        return format!("{number:?}");
    }
    let text = format!("{number:E}");
    match text.split_once('E') {
        Some((mantissa, exponent)) if !mantissa.contains('.') => format!("{mantissa}.0E{exponent}"),
        _ => text,
    }
}

fn find_unit(units: &[(&[&str], u64)], name: &str) -> Option<u64> {
    units.iter().find(|(names, _)| names.contains(&name)).map(|(_, multiplier)| *multiplier)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_what_flink_takes_them_for() {
        let table = [
            ("1", 1),
            (" 1 m ", 1 << 20),
            ("1 Kb", 1 << 10),
            ("2gibibytes", 2 << 30),
            ("1\tmb", 1 << 20),
            ("0", 0),
            ("8388607t", 9_223_370_937_343_148_032),
            ("1bytes", 1),
        ];
        for (text, bytes) in table {
            assert_eq!(MemorySize::parse_flink(text).map(MemorySize::bytes), Ok(bytes), "{text:?}");
        }
        assert_eq!(MemorySize::parse_flink("9223372036854775807"), Ok(MemorySize::MAX));
        for bad in
            ["", "m", "-1g", "1.5g", "1byte", "1p", "1 MiB", "9223372036854775808", "8388608t", "1 m m"]
        {
            assert!(MemorySize::parse_flink(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_bare_number_is_bytes_megabytes_or_an_error() {
        assert_eq!(MemorySize::parse_flink("800").unwrap().bytes(), 800);
        assert_eq!(MemorySize::parse_bare_mb("800").unwrap(), MemorySize::from_mib(800));
        assert_eq!(MemorySize::parse_bare_mb("800b").unwrap().bytes(), 800);
        let error = "10".parse::<MemorySize>().unwrap_err();
        assert_eq!(error.to_string(), "\"10\" has no unit; write it as 800m, 1g or 1600mb");
    }

    #[test]
    fn sizes_are_shown_in_the_largest_whole_unit() {
        let table = [(0, "0b"), (123, "123b"), (1600 << 20, "1600m"), (1 << 30, "1g"), (1 << 50, "1024t")];
        for (bytes, text) in table {
            assert_eq!(MemorySize::from_bytes(bytes).to_string(), text);
        }
    }

    #[test]
    fn durations_are_what_flink_takes_them_for() {
        let table = [
            ("1", 1_000_000),
            ("500 ms", 500_000_000),
            ("30s", 30_000_000_000),
            ("5M", 300_000_000_000),
            ("1 Day", 86_400_000_000_000),
            ("2hours", 7_200_000_000_000),
            ("1\u{b5}s", 1_000),
            ("7nanos", 7),
            ("1secs", 1_000_000_000),
            ("5\tmin", 300_000_000_000),
        ];
        for (text, nanos) in table {
            assert_eq!(parse_duration(text), Ok(Duration::from_nanos(nanos)), "{text:?}");
        }
        for bad in ["", "s", "-1s", "1.5s", "1us", "9223372036854775808", "9223372036854775807 h"] {
            assert!(parse_duration(bad).is_err(), "{bad:?}");
        }
        assert!(matches!(parse_duration_with_unit("30"), Err(UnitError::NoUnit(..))));
        assert_eq!(parse_duration_with_unit("30s"), Ok(Duration::from_secs(30)));
    }

    #[test]
    fn numbers_are_written_as_java_writes_them() {
        for (number, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (-0.5, "-0.5"),
            (0.001, "0.001"),
            (1e-4, "1.0E-4"),
            (1.25e7, "1.25E7"),
            (-1e7, "-1.0E7"),
        ] {
            assert_eq!(java_double(number), text);
        }
    }

    proptest! {
        #[test]
        fn a_number_that_is_written_reads_back(number in -1e12f64..1e12) {
            prop_assert_eq!(java_double(number).parse::<f64>().unwrap(), number);
        }

        #[test]
        fn a_shown_size_reads_back(bytes in any::<u64>()) {
            let size = MemorySize::from_bytes(bytes);
            prop_assert_eq!(size.to_string().parse(), Ok(size));
            prop_assert_eq!(MemorySize::parse_flink(&size.to_string()), Ok(size));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[0-9]{0,25}[ a-zA-Z\\PC]{0,12}") {
            let _ = MemorySize::parse_flink(&text);
            let _ = MemorySize::parse_bare_mb(&text);
            let _ = parse_duration(&text);
        }
    }
}
