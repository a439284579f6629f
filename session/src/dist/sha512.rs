//! SHA-512 checksums: as people give them, as Apache publishes them, and of a file.

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::Path,
    str::FromStr,
};

use sha2::{Digest, Sha512 as Hasher};

use super::{DistError, progress::Work};

/// A SHA-512 checksum, in lower-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sha512(String);

impl FromStr for Sha512 {
    type Err = DistError;

    fn from_str(text: &str) -> Result<Self, DistError> {
        let text = text.trim();
        if text.len() == 128 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(DistError::NotASha512(text.chars().take(140).collect()))
        }
    }
}

impl fmt::Display for Sha512 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Sha512 {
    /// The checksum in a published `.sha512` file: `HEX  NAME`, as `sha512sum` writes it.
    pub(super) fn published(text: &str) -> Option<Self> {
        text.split_whitespace().find_map(|word| word.parse().ok())
    }

    /// The checksum of a file.
    pub(super) fn of(path: &Path, work: &Work) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let mut hasher = Hasher::new();
        let mut buf = vec![0u8; 1 << 20];
        loop {
            match file.read(&mut buf)? {
                0 => break,
                n => {
                    hasher.update(&buf[..n]);
                    work.done(n as u64)?;
                }
            }
        }
        Ok(Self(hasher.finalize().iter().map(|b| format!("{b:02x}")).collect()))
    }

    /// Refuses a file with another checksum.
    pub(super) fn check(&self, path: &Path, what: &str, work: &Work) -> Result<(), DistError> {
        let actual = Self::of(path, work).map_err(DistError::io("read", path))?;
        if actual == *self {
            return Ok(());
        }
        Err(DistError::Checksum { what: what.into(), expected: self.0.clone(), actual: actual.0 })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Of no bytes at all (FIPS 180-4).
    const EMPTY: &str = "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce\
                         47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e";

    #[test]
    fn an_empty_file_has_the_known_checksum() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let work = Work::default();
        assert_eq!(Sha512::of(file.path(), &work).unwrap().to_string(), EMPTY);
        let expected: Sha512 = EMPTY.to_uppercase().parse().unwrap();
        expected.check(file.path(), "x", &work).unwrap();
        let other: Sha512 = "0".repeat(128).parse().unwrap();
        assert!(matches!(other.check(file.path(), "x", &work), Err(DistError::Checksum { .. })));
    }

    #[test]
    fn published_files_name_the_archive_too() {
        let text = format!("{EMPTY}  flink-1.20.5-bin-scala_2.12.tgz\n");
        assert_eq!(Sha512::published(&text).unwrap().to_string(), EMPTY);
        assert_eq!(Sha512::published("<html>not found</html>"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_judged_without_panic(text in "\\PC*") {
            let _ = Sha512::published(&text);
            let _ = text.parse::<Sha512>();
        }
    }
}
