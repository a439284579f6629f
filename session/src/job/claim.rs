//! What may become of the savepoint that a job starts from.

use kobel_conf::{Category, Explain};
use kobel_plan::{FlinkVersion, job::ClaimMode};

/// The first Flink without it.
const GONE: u32 = 2;

/// Flink's oldest claim mode is gone from this Flink.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("--claim-mode legacy is gone from Flink {version}: it was until 1.20")]
pub struct NoLegacy {
    /// The Flink.
    pub version: FlinkVersion,
}

impl Explain for NoLegacy {
    fn category(&self) -> Category {
        Category::Usage
    }

    fn hint(&self) -> Option<String> {
        Some(
            "--claim-mode no-claim   (Flink leaves the savepoint alone; claim: Flink owns and removes it)"
                .into(),
        )
    }
}

/// Makes sure that this Flink has that mode: asked for one that it has not, it fails when its processes run.
pub fn check_claim_mode(mode: Option<ClaimMode>, version: &FlinkVersion) -> Result<(), NoLegacy> {
    match mode {
        Some(ClaimMode::Legacy) if version.at_least(GONE, 0) => Err(NoLegacy { version: version.clone() }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_mode_that_flink_has_no_longer_is_refused_by_name() {
        let check = |mode, version: &str| check_claim_mode(mode, &version.to_string().try_into().unwrap());
        assert_eq!(check(Some(ClaimMode::Legacy), "1.20.5"), Ok(()));
        assert_eq!(check(Some(ClaimMode::NoClaim), "2.3.0"), Ok(()));
        assert_eq!(check(None, "2.3.0"), Ok(()));
        let error = check(Some(ClaimMode::Legacy), "2.0.0").unwrap_err();
        assert!(error.to_string().contains("--claim-mode legacy") && error.to_string().contains("2.0.0"));
    }
}
