//! Hadoop's `Writable`: numbers of 1 to 9 bytes, texts and bytes after their length.

use super::TokenError;

/// Reads from the front of a slice.
#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn take(&mut self, size: usize, what: &'static str) -> Result<&'a [u8], TokenError> {
        let (taken, rest) = self.0.split_at_checked(size).ok_or(TokenError::Short(what))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn byte(&mut self, what: &'static str) -> Result<u8, TokenError> {
        Ok(self.take(1, what)?[0])
    }

    /// `WritableUtils.readVLong`: -112 to 127 as it is; else the first byte tells sign and length.
    pub(crate) fn number(&mut self, what: &'static str) -> Result<i64, TokenError> {
        let first = self.byte(what)? as i8;
        let (negative, size) = match first {
            -112..=127 => return Ok(i64::from(first)),
            -120..=-113 => (false, -112 - i32::from(first)),
            -128..=-121 => (true, -120 - i32::from(first)),
        };
        let bytes = self.take(usize::try_from(size).unwrap_or(8), what)?;
        let value = bytes.iter().fold(0i64, |value, byte| value << 8 | i64::from(*byte));
        Ok(if negative { !value } else { value })
    }

    /// A count or length. It is not more than the bytes that are left, as each thing counted takes one.
    pub(crate) fn length(&mut self, what: &'static str) -> Result<usize, TokenError> {
        let length = usize::try_from(self.number(what)?).map_err(|_| TokenError::Length(what))?;
        if length > self.0.len() { Err(TokenError::Length(what)) } else { Ok(length) }
    }

    pub(crate) fn bytes(&mut self, what: &'static str) -> Result<&'a [u8], TokenError> {
        let length = self.length(what)?;
        self.take(length, what)
    }

    pub(crate) fn text(&mut self, what: &'static str) -> Result<&'a str, TokenError> {
        std::str::from_utf8(self.bytes(what)?).map_err(|_| TokenError::Text(what))
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }
}

pub(crate) fn put_number(value: i64, out: &mut Vec<u8>) {
    if (-112..=127).contains(&value) {
        out.push(value as u8);
        return;
    }
    let (base, magnitude) = if value < 0 { (-120i8, !value) } else { (-112, value) };
    let bytes = magnitude.to_be_bytes();
    let skipped = magnitude.leading_zeros() as usize / 8;
    let significant = &bytes[skipped.min(7)..];
    out.push((base - significant.len() as i8) as u8);
    out.extend_from_slice(significant);
}

pub(crate) fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_number(i64::try_from(bytes.len()).unwrap_or(i64::MAX), out);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(value: i64) -> Vec<u8> {
        let mut out = Vec::new();
        put_number(value, &mut out);
        out
    }

    #[test]
    fn numbers_are_hadoops() {
        for (value, hex) in
            [(127, "7f"), (128, "8f80"), (256, "8e0100"), (-1, "ff"), (-113, "8770"), (65536, "8d010000")]
        {
            assert_eq!(written(value), crate::testing::unhex(hex), "{value}");
        }
    }

    #[test]
    fn a_length_beyond_what_is_there_is_refused_before_anything_is_allocated() {
        let mut huge = written(i64::MAX);
        huge.push(0);
        assert_eq!(Reader::new(&huge).bytes("x"), Err(TokenError::Length("x")));
        assert_eq!(Reader::new(&written(-1)).bytes("x"), Err(TokenError::Length("x")));
        assert_eq!(Reader::new(&[0x8e, 1]).number("x"), Err(TokenError::Short("x")));
    }

    proptest! {
        #[test]
        fn numbers_come_back(value in any::<i64>(), shift in 0u32..64) {
            let value = value >> shift;
            let bytes = written(value);
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.number("x").unwrap(), value);
            prop_assert!(reader.rest().is_empty());
        }

        #[test]
        fn any_bytes_read_or_fail(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = Reader::new(&bytes).number("x");
            let _ = Reader::new(&bytes).bytes("x");
            let _ = Reader::new(&bytes).text("x");
        }
    }
}
