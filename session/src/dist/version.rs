//! Versions as people ask for them, and their order.

use std::{cmp::Ordering, fmt, str::FromStr};

use kobel_plan::FlinkVersion;

use super::DistError;

/// A Flink version asked for: one release, or the newest patch of a minor version. Its text is safe
/// in paths, addresses and command lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// `1.20`.
    Newest {
        /// 1 or 2.
        major: u32,
        /// The number after the dot.
        minor: u32,
    },
    /// `1.20.5`.
    Exact(FlinkVersion),
}

impl Wish {
    /// Whether this version fulfils it.
    pub fn is_met_by(&self, version: &FlinkVersion) -> bool {
        match self {
            Wish::Newest { major, minor } => (version.major, version.minor) == (*major, *minor),
            Wish::Exact(exact) => exact == version,
        }
    }

    /// The newest of these that fulfils it.
    pub fn best(&self, versions: impl IntoIterator<Item = FlinkVersion>) -> Option<FlinkVersion> {
        versions.into_iter().filter(|v| self.is_met_by(v)).max_by(by_age)
    }
}

impl FromStr for Wish {
    type Err = DistError;

    fn from_str(text: &str) -> Result<Self, DistError> {
        let bad = || DistError::NotAVersion(text.chars().take(64).collect());
        let version = FlinkVersion::try_from(text.to_string()).map_err(|_| bad())?;
        let bare = !text.contains('-') && text.matches('.').count() == 1;
        Ok(if bare {
            Wish::Newest { major: version.major, minor: version.minor }
        } else {
            Wish::Exact(version)
        })
    }
}

impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wish::Newest { major, minor } => f.pad(&format!("{major}.{minor}")),
            Wish::Exact(version) => version.fmt(f),
        }
    }
}

/// The version that this text names, if it names exactly one.
pub(super) fn exact(text: &str) -> Option<FlinkVersion> {
    match text.parse() {
        Ok(Wish::Exact(version)) => Some(version),
        _ => None,
    }
}

/// Older before newer; a pre-release (`2.0-preview1`) before its release.
pub(super) fn by_age(a: &FlinkVersion, b: &FlinkVersion) -> Ordering {
    let key = |v: &FlinkVersion| {
        let text = v.to_string();
        let (numbers, pre) = text.split_once('-').unwrap_or((&text, ""));
        let numbers: Vec<u32> = numbers.split('.').filter_map(|n| n.parse().ok()).collect();
        (numbers, pre.is_empty(), pre.to_string())
    };
    key(a).cmp(&key(b))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn two_numbers_ask_for_the_newest_patch() {
        let wish: Wish = "1.20".parse().unwrap();
        assert_eq!(wish, Wish::Newest { major: 1, minor: 20 });
        let known = ["1.20.9", "1.20.10", "1.19.11", "1.2.99"].map(|v| exact(v).unwrap());
        assert_eq!(wish.best(known).unwrap().to_string(), "1.20.10");
        assert_eq!("1.20.5".parse::<Wish>().unwrap().to_string(), "1.20.5");
    }

    #[test]
    fn a_release_is_newer_than_its_previews() {
        let mut all = ["2.0.0", "2.0-preview1", "1.20.5", "2.0"]
            .map(|v| FlinkVersion::try_from(v.to_string()).unwrap());
        all.sort_by(by_age);
        assert_eq!(all.map(|v| v.to_string()), ["1.20.5", "2.0-preview1", "2.0", "2.0.0"]);
    }

    #[test]
    fn what_could_leave_a_path_is_no_version() {
        for bad in [
            "",
            "1",
            "x",
            "1.20.5-../../etc",
            "1.20/5",
            "..",
            "-1.2",
            "1.20.5 ",
            "1.20.5;id",
            "1.20.5\n",
            "1.x",
        ] {
            assert!(bad.parse::<Wish>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged_without_panic(text in "\\PC*") {
            if let Ok(wish) = text.parse::<Wish>() {
                prop_assert!(!text.contains(['/', '\\', ' ', '\0']));
                prop_assert!(!text.contains(".."));
                let _ = wish.to_string();
            }
        }

        #[test]
        fn releases_round_trip(a in 1u32..3, b in 0u32..99, c in 0u32..99) {
            let text = format!("{a}.{b}.{c}");
            prop_assert_eq!(text.parse::<Wish>().unwrap().to_string(), text);
        }
    }
}
