use std::fmt;

use thiserror::Error;

use crate::{
    explain::{Category, Explain},
    units::MemorySize,
};

/// Why a configuration describes no process: where Flink throws, one of these.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum MemoryError {
    /// A value is not of the kind its key wants.
    #[error("{key} = {value:?} is not {expected}")]
    Unreadable {
        /// The key that was read.
        key: String,
        /// Its value.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// Nothing says how large the process is.
    #[error("the memory of the {role} is not configured: none of {} is set", keys.join(", "))]
    NotConfigured {
        /// `JobManager` or `TaskManager`.
        role: &'static str,
        /// Any of these would do; those joined by `+` only together.
        keys: Vec<String>,
    },
    /// A value is outside what its key allows.
    #[error("{key} = {value} is not {allowed}")]
    NotAllowed {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What is.
        allowed: &'static str,
    },
    /// A minimum lies above its maximum.
    #[error("{} = {} bytes is more than {} = {} bytes", min.key, min.size.bytes(), max.key, max.size.bytes())]
    Range {
        /// The lower end.
        min: Term,
        /// The upper end.
        max: Term,
    },
    /// The parts need more than the whole has.
    #[error("{parts} is more than {} = {} bytes", total.key, total.size.bytes())]
    SumExceeds {
        /// What is needed.
        parts: Sum,
        /// What there is.
        total: Term,
    },
    /// Parts that are all given do not make up the whole that is given too.
    #[error("{parts} is not {} = {} bytes", total.key, total.size.bytes())]
    SumDiffers {
        /// The parts.
        parts: Sum,
        /// The whole.
        total: Term,
    },
    /// What the other parts leave for this one is not in its range.
    #[error(
        "{} bytes are left for {part}, outside {} = {} to {} = {} bytes",
        rest.bytes(), min.key, min.size.bytes(), max.key, max.size.bytes()
    )]
    RestOutOfRange {
        /// The part that gets the rest.
        part: &'static str,
        /// The rest.
        rest: MemorySize,
        /// Its least size.
        min: Term,
        /// Its largest size.
        max: Term,
    },
    /// Sizes add up to more than Flink can count.
    #[error("{what} is more than {} bytes", MemorySize::MAX.bytes())]
    Overflow {
        /// What was computed.
        what: &'static str,
    },
    /// The process cannot be fitted into its size.
    #[error("a {role} of {total} is too small, the least that works here is {least}: {parts}")]
    BelowFloor {
        /// `JobManager` or `TaskManager`.
        role: &'static str,
        /// What it was to have.
        total: MemorySize,
        /// What it needs, given what the configuration pins.
        least: MemorySize,
        /// What `least` is made of.
        parts: Sum,
    },
}

impl Explain for MemoryError {
    fn category(&self) -> Category {
        Category::Environment
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            MemoryError::Unreadable { key, expected, .. } => format!("set {key} to {expected}"),
            MemoryError::NotAllowed { key, allowed, .. } => format!("set {key} to a value that is {allowed}"),
            MemoryError::NotConfigured { role, .. } => {
                format!("set {}.memory.process.size, for example to 1600m", role.to_lowercase())
            }
            MemoryError::Range { min, max } => format!("lower {} or raise {}", min.key, max.key),
            MemoryError::SumExceeds { total, .. } => format!("raise {} or lower one of the parts", total.key),
            MemoryError::SumDiffers { total, .. } => format!("leave out {} or one of its parts", total.key),
            MemoryError::RestOutOfRange { min, max, .. } => {
                format!("leave out one of the sizes that are set, or change {} and {}", min.key, max.key)
            }
            MemoryError::Overflow { .. } => "lower the memory sizes in the configuration".into(),
            MemoryError::BelowFloor { role, least, .. } => {
                format!("set {}.memory.process.size to {least} or more", role.to_lowercase())
            }
        })
    }
}

/// A size with the key that sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// The key.
    pub key: &'static str,
    /// The size.
    pub size: MemorySize,
}

/// Sizes to be added. Displayed with every key and the total, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum(pub Vec<Term>);

impl Sum {
    /// The total, or an error if a Java `long` cannot hold it.
    pub(super) fn total(&self, what: &'static str) -> Result<MemorySize, MemoryError> {
        let total = u64::try_from(self.exact()).ok().filter(|t| *t <= MemorySize::MAX.bytes());
        total.map(MemorySize::from_bytes).ok_or(MemoryError::Overflow { what })
    }

    fn exact(&self) -> u128 {
        self.0.iter().map(|t| u128::from(t.size.bytes())).sum()
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Term { key, size }) in self.0.iter().enumerate() {
            let plus = if i == 0 { "" } else { " + " };
            write!(f, "{plus}{key} {}", size.bytes())?;
        }
        write!(f, " = {} bytes", self.exact())
    }
}
