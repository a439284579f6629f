//! What a deputy concludes from what it sees: pure.
//!
//! ```text
//!                            the front does not answer, and YARN says: this attempt runs, and not heard of since
//! answered, changed, or ┌──────────┐ ─────────────────────────────────────────────────► ┌────────┐
//! YARN does not answer: │ trusting │                                                    │ silent │─ so many times, and
//!                       └──────────┘ ◄───────────────────────────────────────────────── └────────┘  our JobManager leads:
//!                                                 any of the three                               YARN shall fail it
//! ```

use kobel_hadoop_rpc::yarn::AttemptId;

/// The master that YARN names.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Master {
    /// Which attempt it is.
    pub(super) attempt: AttemptId,
    /// Where its front is.
    pub(super) front: (String, u16),
    /// What changes with every heartbeat of its that YARN hears.
    pub(super) progress: Option<f32>,
}

/// What one round of questions told.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Heard {
    /// The master's front answered.
    Front,
    /// It did not, and YARN says that this is the master.
    Master(Master),
    /// It did not, and YARN says that none runs.
    NoMaster,
    /// Neither did YARN: it may be us who is cut off.
    Nothing,
}

/// The watch over one application's masters.
#[derive(Debug)]
pub(super) struct Vigil {
    /// So many rounds without a sign of life make a master lost. Rounds are counted, not time: when this process itself
    /// stood still, it missed nothing.
    patience: u32,
    /// The attempt with which the application would end.
    last_attempt: Option<u32>,
    /// The master as YARN named it last.
    master: Option<Master>,
    /// Rounds in a row without a sign of its life.
    silent: u32,
    /// The attempt that needs no more attention.
    settled: Option<AttemptId>,
}

impl Vigil {
    pub(super) fn new(patience: u32, last_attempt: Option<u32>) -> Self {
        Self { patience, last_attempt, master: None, silent: 0, settled: None }
    }

    /// Where the front is to be asked.
    pub(super) fn front(&self) -> Option<&(String, u16)> {
        self.master.as_ref().map(|master| &master.front)
    }

    /// Rounds in a row without a sign of life.
    pub(super) fn silent(&self) -> u32 {
        self.silent
    }

    /// Takes in a round. The attempt that is lost, if our JobManager leads, which is to be found out then.
    pub(super) fn hear(&mut self, heard: Heard) -> Option<AttemptId> {
        match heard {
            Heard::Master(master) if self.master.as_ref() == Some(&master) => self.silent += 1,
            Heard::Master(master) => (self.master, self.silent) = (Some(master), 0),
            Heard::NoMaster => (self.master, self.silent) = (None, 0),
            Heard::Front | Heard::Nothing => self.silent = 0,
        }
        let attempt = self.master.as_ref()?.attempt;
        let lost = self.silent >= self.patience && self.settled != Some(attempt);
        lost.then_some(attempt)
    }

    /// Whether another attempt follows this one when it fails.
    pub(super) fn is_followed(&self, attempt: AttemptId) -> bool {
        self.last_attempt.is_none_or(|last| i64::from(attempt.number) < i64::from(last))
    }

    /// Nothing more is to be done about this attempt.
    pub(super) fn settle(&mut self, attempt: AttemptId) {
        self.settled = Some(attempt);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: u32 = 3;

    fn attempt(number: i32) -> AttemptId {
        format!("appattempt_1_0001_{number:06}").parse().unwrap()
    }

    fn master(number: i32, progress: f32) -> Heard {
        Heard::Master(Master { attempt: attempt(number), front: ("n".into(), 1), progress: Some(progress) })
    }

    fn quiet() -> Heard {
        master(1, 0.5)
    }

    /// The rounds (from 0) in which the master counts as lost.
    fn lost(rounds: &[Heard]) -> Vec<usize> {
        let mut vigil = Vigil::new(PATIENCE, None);
        let heard = rounds.iter().enumerate();
        heard.filter(|(_, heard)| vigil.hear((*heard).clone()).is_some()).map(|(round, _)| round).collect()
    }

    #[test]
    fn only_a_master_that_is_silent_to_all_is_lost() {
        let table: [(&str, &[Heard], &[usize]); 9] = [
            ("silent to us and to YARN", &[quiet(), quiet(), quiet(), quiet(), quiet()], &[3, 4]),
            ("its front answers", &[quiet(), Heard::Front, Heard::Front, Heard::Front, Heard::Front], &[]),
            ("it answers again in time", &[quiet(), quiet(), quiet(), Heard::Front, quiet(), quiet()], &[]),
            (
                "YARN hears it: only we do not",
                &[master(1, 0.1), master(1, 0.2), master(1, 0.3), master(1, 0.4), master(1, 0.5)],
                &[],
            ),
            ("we are cut off from all", &[quiet(), Heard::Nothing, Heard::Nothing, Heard::Nothing], &[]),
            (
                "cut off from YARN for a moment: we know nothing of the time before",
                &[quiet(), quiet(), quiet(), Heard::Nothing, quiet(), quiet(), quiet()],
                &[6],
            ),
            ("none runs", &[quiet(), quiet(), quiet(), Heard::NoMaster, quiet(), quiet(), quiet()], &[]),
            (
                "another attempt runs",
                &[quiet(), quiet(), quiet(), master(2, 0.5), master(2, 0.5), master(2, 0.5)],
                &[],
            ),
            ("nothing was ever heard", &[Heard::Nothing, Heard::NoMaster, Heard::Front], &[]),
        ];
        for (what, rounds, expected) in table {
            assert_eq!(lost(rounds), expected, "{what}");
        }
    }

    #[test]
    fn what_is_settled_is_left_alone_and_the_next_attempt_is_watched_afresh() {
        let mut vigil = Vigil::new(PATIENCE, None);
        let mut hear = |heard: Heard, settle: bool| {
            let lost = vigil.hear(heard);
            if let Some(attempt) = lost.filter(|_| settle) {
                vigil.settle(attempt);
            }
            lost
        };
        let first: Vec<_> = (0..6).map(|_| hear(quiet(), true)).collect();
        assert_eq!(first, [None, None, None, Some(attempt(1)), None, None], "once");
        let second: Vec<_> = (0..6).map(|_| hear(master(2, 0.5), false)).collect();
        let again = Some(attempt(2));
        assert_eq!(second, [None, None, None, again, again, again], "until it is settled");
    }

    #[test]
    fn the_attempt_with_which_the_application_ends_is_known() {
        let limited = Vigil::new(PATIENCE, Some(2));
        assert_eq!([1, 2, 3].map(|n| limited.is_followed(attempt(n))), [true, false, false]);
        assert!(Vigil::new(PATIENCE, None).is_followed(attempt(100)));
    }
}
