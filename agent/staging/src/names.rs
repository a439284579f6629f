//! Where things lie below a staging directory:
//!
//! ```text
//! blobs/DIGEST.tar             a content, whole; DIGEST-1.tar if that name is taken by a stranger's
//! blobs/DIGEST.SIZE.KIND       what was made of what has the digest, by its length in bytes
//! blobs/.partial-DIGEST-RANDOM an upload on its way, or cut
//! leases/DIGEST.APPLICATION    the application uses the content
//! apps/APPLICATION/            what belongs to one application alone (0700)
//! history/CLUSTER-TIME/        what is kept of a cluster that is over (0700)
//! ```

use std::fmt;

use crate::{Digest, StagingError};

pub(crate) const BLOBS: &str = "blobs";
pub(crate) const LEASES: &str = "leases";
pub(crate) const APPS: &str = "apps";
pub(crate) const HISTORY: &str = "history";
pub(crate) const PARTIAL: &str = ".partial-";
/// Names that a content may have besides the first.
pub(crate) const SPARE_NAMES: u32 = 8;

/// An application's id, as YARN writes it, or any name like one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AppId(String);

impl TryFrom<&str> for AppId {
    type Error = StagingError;

    fn try_from(text: &str) -> Result<Self, StagingError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        if text.is_empty() || text.len() > 100 || !text.bytes().all(plain) {
            return Err(StagingError::Name { name: text.into() });
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// A content's file names, in the order in which they are tried.
pub(crate) fn blob_names(digest: Digest, extension: &str) -> impl Iterator<Item = String> {
    let spare = move |n| format!("{digest}-{n}.{extension}");
    std::iter::once(format!("{digest}.{extension}")).chain((1..=SPARE_NAMES).map(spare))
}

/// Whose content a file's name says that it is.
pub(crate) fn blob_digest(name: &str) -> Option<Digest> {
    let (digest, rest) = name.split_at_checked(64)?;
    digest.parse().ok().filter(|_| rest.starts_with(['.', '-']))
}

/// Length and kind of what was made of what has this digest, as its name tells them.
pub(crate) fn made_of(name: &str, digest: Digest) -> Option<(u64, &str)> {
    let (spare, rest) = name.strip_prefix(&digest.to_string())?.split_once('.')?;
    let (size, kind) = rest.split_once('.')?;
    let is_spare = |text: &str| text.strip_prefix('-').is_some_and(|number| number.parse::<u32>().is_ok());
    (spare.is_empty() || is_spare(spare)).then_some((size.parse().ok()?, kind))
}

pub(crate) fn lease_name(digest: Digest, app: &AppId) -> String {
    format!("{digest}.{app}")
}

/// What a lease's name says, if it is one.
pub(crate) fn parse_lease(name: &str) -> Option<(Digest, AppId)> {
    let (digest, app) = name.split_once('.')?;
    Some((digest.parse().ok()?, AppId::try_from(app).ok()?))
}

/// The name of a file in a directory of ours, which HDFS and YARN must take as it is
/// (`DFSUtil.isValidName` refuses a colon).
pub(crate) fn check_name(name: &str) -> Result<&str, StagingError> {
    let odd = |char: char| char == '/' || char == ':' || char.is_control();
    if name.is_empty() || name.len() > 255 || name == "." || name == ".." || name.contains(odd) {
        return Err(StagingError::Name { name: name.into() });
    }
    Ok(name)
}

/// The last part of a path.
pub(crate) fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A path and all directories above it, the root first.
pub(crate) fn with_ancestors(path: &str) -> Vec<String> {
    let mut all = vec!["/".to_string()];
    for (at, _) in path.match_indices('/').skip(1) {
        all.push(path[..at].into());
    }
    if path != "/" {
        all.push(path.into());
    }
    all
}

/// A path as it stands in a URL.
pub(crate) fn encode_path(path: &str) -> String {
    const KEPT: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
        .remove(b'/')
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'~')
        .remove(b'=');
    percent_encoding::utf8_percent_encode(path, KEPT).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for bad in ["", ".", "..", "a/b", "/", "a:b", "a\nb", "a\0b", &"x".repeat(256)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
        for good in ["job.jar", "a b;c.jar", "ü%#.jar", "...", &"x".repeat(255)] {
            assert_eq!(check_name(good).unwrap(), good);
        }
        for bad in ["", "..", "application/../x", "a.b", "a b", &"x".repeat(101)] {
            assert!(AppId::try_from(bad).is_err(), "{bad:?}");
        }
        assert_eq!(AppId::try_from("application_1_0001").unwrap().to_string(), "application_1_0001");
    }

    #[test]
    fn a_paths_ancestors_begin_with_the_root() {
        assert_eq!(with_ancestors("/"), ["/"]);
        assert_eq!(with_ancestors("/user/ann/.kobel"), ["/", "/user", "/user/ann", "/user/ann/.kobel"]);
    }

    #[test]
    fn a_url_keeps_what_needs_no_escape() {
        assert_eq!(encode_path("/user/a b/x-1_2.tar"), "/user/a%20b/x-1_2.tar");
        assert_eq!(encode_path("/ü%#?;"), "/%C3%BC%25%23%3F%3B");
    }

    #[test]
    fn a_contents_names_tell_its_digest() {
        let digest = Digest::of(b"x");
        let names: Vec<_> = blob_names(digest, "tar").collect();
        assert_eq!(names.len(), 9);
        assert!(names.iter().all(|name| blob_digest(name) == Some(digest)));
        let made: Vec<_> = blob_names(digest, "7.jm-0.jsa").collect();
        assert!(made.iter().all(|name| made_of(name, digest) == Some((7, "jm-0.jsa"))));
        assert!(made.iter().all(|name| made_of(name, Digest::of(b"y")).is_none()));
        for foreign in [".tar", "-x.7.jsa", ".jm-0.jsa", ".7", ".-7.jsa", ""] {
            assert_eq!(made_of(&format!("{digest}{foreign}"), digest), None, "{foreign:?}");
        }
        for foreign in ["", "x.tar", ".partial-x", &digest.to_string(), &format!("{digest}x")] {
            assert_eq!(blob_digest(foreign), None, "{foreign:?}");
        }
    }

    proptest! {
        #[test]
        fn a_lease_reads_what_it_writes(app in "[A-Za-z0-9_-]{1,100}", junk in ".{0,80}") {
            let (digest, app) = (Digest::of(app.as_bytes()), AppId::try_from(app.as_str()).unwrap());
            prop_assert_eq!(parse_lease(&lease_name(digest, &app)), Some((digest, app)));
            let _ = (parse_lease(&junk), blob_digest(&junk), encode_path(&junk));
        }
    }
}
