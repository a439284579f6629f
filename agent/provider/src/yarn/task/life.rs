//! What shows others that YARN hears a master.

/// Between two that follow each other.
const STEP: f32 = 1.0 / (1 << 23) as f32;
/// So many differ.
const CYCLE: u16 = 1024;

/// The progress to report with this heartbeat. A session's says nothing; that it changes with every heartbeat shows who
/// asks the ResourceManager that this master is heard there, which it tells in no other way. It stays half of all but for
/// a hundredth of a percent.
pub(super) fn sign_of_life(beats: u16) -> f32 {
    0.5 + f32::from(beats % CYCLE) * STEP
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_heartbeats_never_report_the_same_within_a_cycle_and_nobody_sees_a_difference() {
        let all: Vec<f32> = (0..CYCLE).map(sign_of_life).collect();
        assert!(all.is_sorted_by(|a, b| a < b));
        assert!(all.iter().all(|progress| format!("{:.1}%", progress * 100.0) == "50.0%"));
        assert_ne!(sign_of_life(u16::MAX), sign_of_life(0), "nor where the number starts over");
    }
}
