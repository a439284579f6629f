//! The language of DIGEST-MD5's messages: `name=token,other="quoted, with a \" in it"`.

use super::SaslError;

/// The longest message that is read. RFC 2831 allows challenges 2048 bytes.
pub(crate) const LIMIT: usize = 8192;

/// A message's directives, in order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Directives(Vec<(String, String)>);

impl Directives {
    pub(crate) fn parse(text: &[u8]) -> Result<Self, SaslError> {
        if text.len() > LIMIT {
            return Err(SaslError::Challenge("it is too long"));
        }
        let text = std::str::from_utf8(text).map_err(|_| SaslError::Challenge("it is not UTF-8"))?;
        let mut rest = text.trim_start_matches([',', ' ', '\t', '\r', '\n', '\0']);
        let mut all = Vec::new();
        while !rest.is_empty() {
            let (name, after) = rest.split_once('=').ok_or(SaslError::Challenge("a word without a value"))?;
            let name = name.trim();
            if name.is_empty() || name.contains(|c: char| !c.is_ascii_graphic() || "\",".contains(c)) {
                return Err(SaslError::Challenge("a value without a name"));
            }
            let (value, after) = value(after.trim_start())?;
            all.push((name.to_ascii_lowercase(), value));
            let after = after.trim_start_matches([' ', '\t', '\r', '\n', '\0']);
            if !after.is_empty() && !after.starts_with(',') {
                return Err(SaslError::Challenge("something after a value"));
            }
            rest = after.trim_start_matches([',', ' ', '\t', '\r', '\n', '\0']);
        }
        Ok(Self(all))
    }

    /// The one value of this name. Twice is an error: two readers could differ in which one counts.
    pub(crate) fn one(&self, name: &str) -> Result<Option<&str>, SaslError> {
        let mut values = self.all(name);
        let first = values.next();
        if values.next().is_some() {
            return Err(SaslError::Challenge("a value that is given twice"));
        }
        Ok(first)
    }

    pub(crate) fn required(&self, name: &str) -> Result<&str, SaslError> {
        self.one(name)?.ok_or(SaslError::Challenge("a required value is missing"))
    }

    /// The values of a name that may be repeated.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// A value, and what follows it.
fn value(text: &str) -> Result<(String, &str), SaslError> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(|c: char| c == ',' || c.is_ascii_whitespace() || c == '\0').unwrap_or(text.len());
        let (token, rest) = text.split_at(end);
        if token.is_empty() || token.contains('"') {
            return Err(SaslError::Challenge("an empty or half quoted value"));
        }
        return Ok((token.to_owned(), rest));
    };
    let mut out = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((out, &quoted[at + 1..])),
            '\\' => match chars.next() {
                Some((_, escaped)) => out.push(escaped),
                None => break,
            },
            c => out.push(c),
        }
    }
    Err(SaslError::Challenge("a quote that does not end"))
}

/// A value in quotes.
pub(crate) fn quote(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for c in value.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists_in_quotes_stay_whole() {
        let text = br#"realm="default",nonce="a=b\"c",qop="auth,auth-int", charset=utf-8,,cipher="3des,rc4""#;
        let directives = Directives::parse(text).unwrap();
        assert_eq!(directives.required("qop"), Ok("auth,auth-int"));
        assert_eq!(directives.required("nonce"), Ok("a=b\"c"));
        assert_eq!(directives.required("charset"), Ok("utf-8"));
        assert_eq!(directives.one("maxbuf"), Ok(None));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for text in ["nonce", "=a", "nonce=\"a", "nonce=\"a\"b", "nonce=\"a\\", "nonce=", "a b=c", "n=a\"b"] {
            assert!(Directives::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Directives::parse(&vec![b','; LIMIT + 1]).is_err());
        assert!(Directives::parse(b"nonce=a,nonce=b").unwrap().one("nonce").is_err());
        assert_eq!(Directives::parse(b" ").unwrap(), Directives(vec![]));
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_fail(text in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Directives::parse(&text);
        }

        #[test]
        fn any_directives_parse_or_fail(text in r#"([a-z]{0,3}=?"?[a-z,\\= ]{0,4}"?,?){0,6}"#) {
            let _ = Directives::parse(text.as_bytes());
        }

        #[test]
        fn quoting_is_undone(value in any::<String>().prop_filter("length", |s| s.len() < 500)) {
            let text = format!("a={},b=c", quote(&value));
            let directives = Directives::parse(text.as_bytes()).unwrap();
            prop_assert_eq!(directives.required("a").unwrap(), value.as_str());
            prop_assert_eq!(directives.required("b").unwrap(), "c");
        }
    }
}
