//! Parts that are a fraction of something, kept within bounds (Flink's `RangeFraction` and the
//! rounding of its `MemorySize.multiply`).

use crate::{
    memory::{
        Conf, MemoryError, Term,
        options::{FloatOption, SizeOption},
    },
    units::MemorySize,
};

/// The three options that bound a part.
#[derive(Debug)]
pub(super) struct RangeOptions {
    pub(super) min: SizeOption,
    pub(super) max: SizeOption,
    pub(super) fraction: FloatOption,
}

impl RangeOptions {
    /// Whether the configuration names any of them.
    pub(super) fn is_set(&self, conf: &Conf) -> bool {
        self.min.is_set(conf) || self.max.is_set(conf) || self.fraction.is_set(conf)
    }
}

/// A fraction at least 0 and below 1, and bounds in order.
#[derive(Debug)]
pub(super) struct RangeFraction {
    min: Term,
    max: Term,
    fraction: f64,
}

impl RangeFraction {
    /// Reads the options and checks them.
    pub(super) fn read(conf: &Conf, options: &RangeOptions) -> Result<Self, MemoryError> {
        Self::new(options.min.term(conf)?, options.max.term(conf)?, &options.fraction, conf)
    }

    /// A fraction without bounds.
    pub(super) fn unbounded(conf: &Conf, option: &FloatOption) -> Result<Self, MemoryError> {
        let bound = |size| Term { key: option.key, size };
        Self::new(bound(MemorySize::default()), bound(MemorySize::MAX), option, conf)
    }

    fn new(min: Term, max: Term, option: &FloatOption, conf: &Conf) -> Result<Self, MemoryError> {
        let fraction = f64::from(option.get(conf)?);
        if min.size > max.size {
            return Err(MemoryError::Range { min, max });
        }
        if !(0.0..1.0).contains(&fraction) {
            let allowed = "at least 0 and less than 1";
            return Err(MemoryError::NotAllowed { key: option.key, value: fraction.to_string(), allowed });
        }
        Ok(Self { min, max, fraction })
    }

    /// The part when the whole is known.
    pub(super) fn of(&self, whole: MemorySize) -> Result<MemorySize, MemoryError> {
        Ok(multiply(whole, self.fraction)?.clamp(self.min.size, self.max.size))
    }

    /// The part when all the others are known: the fraction is of the whole including this part.
    pub(super) fn beside(&self, others: MemorySize) -> Result<MemorySize, MemoryError> {
        let ratio = self.fraction / (1.0 - self.fraction);
        Ok(multiply(others, ratio)?.clamp(self.min.size, self.max.size))
    }

    /// Checks a part that got what was left.
    pub(super) fn check(&self, part: &'static str, rest: MemorySize) -> Result<(), MemoryError> {
        if (self.min.size..=self.max.size).contains(&rest) {
            return Ok(());
        }
        Err(MemoryError::RestOutOfRange { part, rest, min: self.min, max: self.max })
    }
}

/// Exact decimal product, cut off below the byte. `MemorySize.multiply` takes the factor by its
/// shortest decimal form (`BigDecimal.valueOf(double)`), so binary floating point would be off by a
/// byte now and then.
fn multiply(size: MemorySize, factor: f64) -> Result<MemorySize, MemoryError> {
    let overflow = || MemoryError::Overflow { what: "a fraction of the memory" };
    let (digits, exponent) = decimal(factor).ok_or_else(overflow)?;
    let product = u128::from(size.bytes()) * digits;
    let scale = 10u128.checked_pow(exponent.unsigned_abs());
    let bytes = if exponent < 0 {
        Some(scale.map_or(0, |s| product / s))
    } else {
        scale.and_then(|s| product.checked_mul(s))
    };
    let bytes = bytes.and_then(|b| u64::try_from(b).ok()).filter(|b| *b <= MemorySize::MAX.bytes());
    bytes.map(MemorySize::from_bytes).ok_or_else(overflow)
}

/// A number at least 0 as `digits * 10^exponent`, with the fewest digits that mean it: 17 at most.
/// `None` for infinity and not-a-number.
pub(super) fn decimal(number: f64) -> Option<(u128, i32)> {
    let text = format!("{:e}", number.abs());
    let (mantissa, exponent) = text.split_once('e')?;
    let decimals = mantissa.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let digits = mantissa.replace('.', "").parse().ok()?;
    Some((digits, exponent.parse::<i32>().ok()?.checked_sub(i32::try_from(decimals).ok()?)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(size: u64, factor: f64) -> u64 {
        multiply(MemorySize::from_bytes(size), factor).unwrap().bytes()
    }

    #[test]
    fn products_are_exact_and_cut_off() {
        let tenth = f64::from(0.1f32);
        assert_eq!(decimal(tenth), Some((10_000_000_149_011_612, -17)));
        assert_eq!(bytes(1_811_939_328, tenth), 181_193_935);
        assert_eq!(bytes(10, 0.39), 3);
        assert_eq!(bytes(10, 0.0), 0);
        assert_eq!(bytes(i64::MAX as u64, 1e-300), 0);
        assert!(multiply(MemorySize::MAX, 2.0).is_err());
        assert!(multiply(MemorySize::MAX, 1e300).is_err());
        assert_eq!(decimal(f64::INFINITY), None);
    }

    proptest! {
        #[test]
        fn a_fraction_is_never_more_than_the_whole(size in 0..=i64::MAX as u64, factor in 0.0f64..1.0) {
            let size = MemorySize::from_bytes(size);
            prop_assert!(multiply(size, factor).unwrap() <= size);
        }

        #[test]
        fn decimals_mean_the_number(number in proptest::num::f64::POSITIVE) {
            let (digits, exponent) = decimal(number).unwrap();
            prop_assert_eq!(format!("{digits}e{exponent}").parse::<f64>().unwrap(), number);
        }
    }
}
