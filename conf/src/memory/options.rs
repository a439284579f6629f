//! Reading values as Flink's `Configuration` does: a key, then its deprecated name, then a default.

use crate::{
    memory::{Conf, MemoryError, Term},
    units::{MemorySize, java_trim},
};

/// An option of type `MemorySize`.
#[derive(Debug)]
pub(super) struct SizeOption {
    pub(super) key: &'static str,
    deprecated: Option<&'static str>,
    default: Option<MemorySize>,
}

impl SizeOption {
    /// One without a default.
    pub(super) const fn new(key: &'static str) -> Self {
        Self { key, deprecated: None, default: None }
    }

    /// One with this default.
    pub(super) const fn with_default(key: &'static str, default: MemorySize) -> Self {
        Self { key, deprecated: None, default: Some(default) }
    }

    /// One that defaults to so many mebibytes.
    pub(super) const fn mib(key: &'static str, mib: u64) -> Self {
        Self::with_default(key, MemorySize::from_mib(mib))
    }

    /// The same, also read from an older key.
    pub(super) const fn or(self, deprecated: &'static str) -> Self {
        Self { deprecated: Some(deprecated), ..self }
    }

    /// Whether the configuration names it.
    pub(super) fn is_set(&self, conf: &Conf) -> bool {
        raw(conf, self.key, self.deprecated).is_some()
    }

    /// Its value, or its default; without either it counts as unreadable.
    pub(super) fn get(&self, conf: &Conf) -> Result<MemorySize, MemoryError> {
        const EXPECTED: &str = "a memory size such as 512m";
        let unreadable = |value: &str| unreadable(self.key, value, EXPECTED);
        match raw(conf, self.key, self.deprecated) {
            Some(text) => MemorySize::parse_flink(text).map_err(|_| unreadable(text)),
            None => self.default.ok_or_else(|| unreadable("")),
        }
    }

    /// Its value with its key.
    pub(super) fn term(&self, conf: &Conf) -> Result<Term, MemoryError> {
        Ok(Term { key: self.key, size: self.get(conf)? })
    }

    /// This option's key with a size found otherwise.
    pub(super) fn at(&self, size: MemorySize) -> Term {
        Term { key: self.key, size }
    }
}

/// An option of type `float`.
#[derive(Debug)]
pub(super) struct FloatOption {
    pub(super) key: &'static str,
    deprecated: Option<&'static str>,
    default: f32,
}

impl FloatOption {
    /// One with a default.
    pub(super) const fn new(key: &'static str, default: f32) -> Self {
        Self { key, deprecated: None, default }
    }

    /// The same, also read from an older key.
    pub(super) const fn or(self, deprecated: &'static str) -> Self {
        Self { deprecated: Some(deprecated), ..self }
    }

    /// Whether the configuration names it.
    pub(super) fn is_set(&self, conf: &Conf) -> bool {
        raw(conf, self.key, self.deprecated).is_some()
    }

    /// Its value, or its default.
    pub(super) fn get(&self, conf: &Conf) -> Result<f32, MemoryError> {
        let Some(text) = raw(conf, self.key, self.deprecated) else { return Ok(self.default) };
        java_number(text).and_then(|t| t.parse().ok()).ok_or_else(|| unreadable(self.key, text, "a number"))
    }
}

/// A value of type `double`, if the key is set.
pub(super) fn double(conf: &Conf, key: &str) -> Result<Option<f64>, MemoryError> {
    let Some(text) = conf.get(key) else { return Ok(None) };
    let value = java_number(text).and_then(|t| t.parse().ok());
    value.map(Some).ok_or_else(|| unreadable(key, text, "a number"))
}

/// A value of type `int` or `long`, if the key is set.
pub(super) fn integer<T: std::str::FromStr>(conf: &Conf, key: &str) -> Result<Option<T>, MemoryError> {
    let Some(text) = conf.get(key) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| unreadable(key, text, "a whole number"))
}

/// A value of type `boolean`; false unless set.
pub(super) fn boolean(conf: &Conf, key: &str) -> Result<bool, MemoryError> {
    let Some(text) = conf.get(key) else { return Ok(false) };
    match text.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(unreadable(key, text, "true or false")),
    }
}

fn raw<'a>(conf: &'a Conf, key: &str, deprecated: Option<&str>) -> Option<&'a str> {
    conf.get(key).or_else(|| conf.get(deprecated?)).map(String::as_str)
}

fn unreadable(key: &str, value: &str, expected: &'static str) -> MemoryError {
    MemoryError::Unreadable { key: key.into(), value: value.into(), expected }
}

/// The part of a text that Rust reads as `Float.parseFloat` and `Double.parseDouble` do: those trim,
/// take a type suffix, and call infinity and not-a-number by other names, which no option allows
/// anyway. Hexadecimal floats are left out.
fn java_number(text: &str) -> Option<&str> {
    let trimmed = java_trim(text);
    let number = trimmed.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(trimmed);
    number.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b)).then_some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SIZE: SizeOption = SizeOption::mib("new", 7).or("old");

    fn conf(pairs: &[(&str, &str)]) -> Conf {
        pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
    }

    #[test]
    fn the_key_beats_its_deprecated_name_beats_the_default() {
        assert_eq!(SIZE.get(&conf(&[])).unwrap(), MemorySize::from_mib(7));
        assert_eq!(SIZE.get(&conf(&[("old", "2m")])).unwrap(), MemorySize::from_mib(2));
        assert_eq!(SIZE.get(&conf(&[("old", "2m"), ("new", "3m")])).unwrap(), MemorySize::from_mib(3));
        assert!(SizeOption::new("none").get(&conf(&[])).is_err());
    }

    #[test]
    fn numbers_are_read_as_java_reads_them() {
        let float = FloatOption::new("f", 0.5);
        for (text, value) in [("0.25", 0.25), (" .25f ", 0.25), ("1.", 1.0), ("+2e-1D", 0.2), ("-0", -0.0)] {
            assert_eq!(float.get(&conf(&[("f", text)])).unwrap(), value, "{text}");
        }
        for bad in ["", "f", "0,1", "10%", "inf", "nan", "1ff", "e", "1 2"] {
            assert!(float.get(&conf(&[("f", bad)])).is_err(), "{bad}");
        }
        assert_eq!(integer::<i32>(&conf(&[("i", "+4")]), "i").unwrap(), Some(4));
        for bad in ["", " 4", "4.0", "2147483648"] {
            assert!(integer::<i32>(&conf(&[("i", bad)]), "i").is_err(), "{bad}");
        }
        assert!(boolean(&conf(&[("b", "TRUE")]), "b").unwrap());
        assert!(boolean(&conf(&[("b", "yes")]), "b").is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_a_reader_panic(text in any::<String>()) {
            let conf = conf(&[("new", &text)]);
            let _ = SIZE.get(&conf);
            let _ = FloatOption::new("new", 0.0).get(&conf);
            let _ = (double(&conf, "new"), integer::<i64>(&conf, "new"), boolean(&conf, "new"));
        }
    }
}
