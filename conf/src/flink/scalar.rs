//! YAML scalars as Flink's parser (snakeyaml-engine, YAML 1.2 core schema) resolves and prints them.
//!
//! Flink turns a plain scalar into a Java object and that into text again, so `08` becomes `8`,
//! `1e3` becomes `1000.0` and `0x1F` becomes `31`, while `1_000` and `yes` stay text. Each rule here
//! was tried on `GlobalConfiguration.loadConfiguration` of Flink 1.20.5 and 2.3.0.

use crate::units::java_double;

/// A scalar, resolved.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Scalar {
    /// No value.
    Null,
    /// A string.
    Text(String),
    /// A number or boolean in the text that Java prints.
    Literal(String),
}

impl Scalar {
    /// What a plain scalar stands for.
    pub(super) fn resolve(text: &str) -> Scalar {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
            _ => {}
        }
        let literal = boolean(text).or_else(|| integer(text)).or_else(|| float(text));
        literal.map_or_else(|| Scalar::Text(text.into()), Scalar::Literal)
    }

    /// What a scalar with an explicit core schema tag stands for.
    pub(super) fn tagged(kind: &str, text: &str) -> Option<Scalar> {
        let literal = match kind {
            "null" => return Some(Scalar::Null),
            "bool" => boolean(text),
            "int" => integer(text),
            _ => float(text),
        };
        literal.map(Scalar::Literal)
    }

    /// As Flink writes it into a list: its own quoting, in YAML's flow style.
    pub(super) fn in_list(&self) -> String {
        match self {
            Scalar::Null => "null".into(),
            Scalar::Literal(text) => text.clone(),
            Scalar::Text(text) if plain_in_list(text) => text.clone(),
            Scalar::Text(text) if text.chars().all(printable) => format!("'{}'", text.replace('\'', "''")),
            Scalar::Text(text) => double_quoted(text),
        }
    }
}

fn boolean(text: &str) -> Option<String> {
    matches!(text, "true" | "True" | "TRUE" | "false" | "False" | "FALSE").then(|| text.to_ascii_lowercase())
}

fn integer(text: &str) -> Option<String> {
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            let valid = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
            // Beyond 128 bits nothing in Flink is a number; its text is as good.
            return valid.then(|| {
                u128::from_str_radix(digits, radix).map_or_else(|_| text.into(), |n| n.to_string())
            });
        }
    }
    let (sign, digits) = split_sign(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    match digits.trim_start_matches('0') {
        "" => Some("0".into()),
        digits => Some(format!("{sign}{digits}")),
    }
}

fn float(text: &str) -> Option<String> {
    let (sign, rest) = split_sign(text);
    match rest {
        ".inf" | ".Inf" | ".INF" => return Some(format!("{sign}.inf")),
        ".nan" | ".NaN" | ".NAN" if rest == text => return Some(".nan".into()),
        _ => {}
    }
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(split_sign(exponent).1)),
        None => (rest, None),
    };
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mantissa_ok = digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty());
    if !mantissa_ok || exponent.is_some_and(|e| e.is_empty() || !digits(e)) {
        return None;
    }
    text.parse().ok().map(yaml_double)
}

fn split_sign(text: &str) -> (&str, &str) {
    match text.as_bytes().first() {
        Some(b'-') => text.split_at(1),
        Some(b'+') => ("", &text[1..]),
        _ => ("", text),
    }
}

/// As Flink prints it; the infinities and what is no number YAML writes its own way.
fn yaml_double(value: f64) -> String {
    match value {
        f64::INFINITY => ".inf".into(),
        f64::NEG_INFINITY => "-.inf".into(),
        value => java_double(value),
    }
}

/// Whether the text in a list needs no quotes: snakeyaml-engine's rules for flow style.
fn plain_in_list(text: &str) -> bool {
    let first = text.chars().next();
    let starts_well = first.is_some_and(|c| !"#,[]{}&*!|>'\"%@`".contains(c))
        && !text.starts_with("---")
        && !text.starts_with("...")
        && text != "-"
        && !text.starts_with("- ");
    starts_well
        && !text.contains([',', '?', '[', ']', '{', '}', ':'])
        && !text.contains(" #")
        && text.trim_matches(' ') == text
        && text.chars().all(printable)
        && matches!(Scalar::resolve(text), Scalar::Text(_))
}

/// Whether YAML takes the character as it is.
pub(super) fn printable(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// The text between double quotes, with escapes for what cannot be printed.
pub(super) fn double_quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if printable(c) => out.push(c),
            c if u32::from(c) < 0x100 => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push_str(&format!("\\u{:04x}", u32::from(c))),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_print_as_flink_prints_them() {
        let table = [
            ("08", "8"),
            ("-012", "-12"),
            ("+12", "12"),
            ("-0", "0"),
            ("0x1F", "31"),
            ("0o17", "15"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
            ("1.0", "1.0"),
            ("1e3", "1000.0"),
            ("1.5e-7", "1.5E-7"),
            (".5", "0.5"),
            ("5.", "5.0"),
            ("100000000.0", "1.0E8"),
            ("12345678.9", "1.23456789E7"),
            ("0.0001", "1.0E-4"),
            ("9999999.0", "9999999.0"),
            ("-0.0", "-0.0"),
            ("1.e3", "1000.0"),
            ("1e-400", "0.0"),
            ("1e400", ".inf"),
            ("-.INF", "-.inf"),
            (".NaN", ".nan"),
            ("TRUE", "true"),
            ("False", "false"),
            ("1.7976931348623157e308", "1.7976931348623157E308"),
        ];
        for (text, printed) in table {
            assert_eq!(Scalar::resolve(text), Scalar::Literal(printed.into()), "{text}");
        }
        for text in ["1_000", "0b11", "-0x1F", "0X1F", "0o8", "yes", "on", "tRue", "1e", ".", "1.2.3", ".e1"]
        {
            assert_eq!(Scalar::resolve(text), Scalar::Text(text.into()), "{text}");
        }
    }
}
