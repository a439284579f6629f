//! What JobManagers' own logs tell afterwards: who led when, and checkpoints whose numbers only rise.

/// Flink's `DefaultDispatcherRunner` on becoming the leader, and on being it no longer.
const GRANTED: &str = "DefaultDispatcherRunner was granted leadership";
const REVOKED: &str = "DefaultDispatcherRunner was revoked";
/// A line of Flink's begins with the time, which sorts as text: `2026-11-21 21:05:09,900`.
const TIME: usize = 23;

/// What the JobManagers of one job have logged.
pub struct History {
    logs: Vec<(String, String)>,
    job: String,
}

/// From when to when a process led, by its own log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reign {
    /// When it became the leader.
    pub from: String,
    /// When it was told that it is not any longer, or said its last word.
    pub to: String,
    /// The name of its log.
    pub whose: String,
}

impl History {
    /// Of these logs, each with a name of its own, and this job.
    pub fn new(logs: Vec<(String, String)>, job: &str) -> Self {
        Self { logs, job: job.into() }
    }

    /// Everyone's, in turn.
    pub fn reigns(&self) -> Vec<Reign> {
        let mut reigns: Vec<_> = self.logs.iter().flat_map(|(name, log)| reigns(name, log)).collect();
        reigns.sort();
        reigns
    }

    /// Who is cut off takes itself for the leader until it hears better: for how many milliseconds this one did after
    /// the next one led. It must have completed no checkpoint in that time.
    #[track_caller]
    pub fn overlap(&self, reign: &Reign, next: &Reign) -> u64 {
        let (_, log) = self.logs.iter().find(|(name, _)| *name == reign.whose).expect("its log");
        let again = self.reigns().into_iter().find(|it| it.whose == reign.whose && it.from > next.from);
        let mut late = completed(log, &self.job);
        late.retain(|(at, _)| *at > next.from && again.as_ref().is_none_or(|again| *at < again.from));
        assert!(late.is_empty(), "completed by {}, which led no longer: {late:?}", reign.whose);
        ms_of_day(&reign.to).saturating_sub(ms_of_day(&next.from))
    }

    /// Fails unless no number of a checkpoint was used twice, or after a higher one.
    #[track_caller]
    pub fn checkpoints_only_rise(&self) {
        let mut checkpoints: Vec<_> =
            self.logs.iter().flat_map(|(_, log)| completed(log, &self.job)).collect();
        checkpoints.sort();
        for pair in checkpoints.windows(2) {
            assert!(pair[0].1 < pair[1].1, "checkpoints do not only rise: {pair:?}");
        }
        assert!(!checkpoints.is_empty(), "nobody ever led");
    }
}

/// The time of each line that has one, and the line.
fn lines(log: &str) -> impl Iterator<Item = (&str, &str)> {
    let timed = log.lines().filter_map(|line| Some((line.get(..TIME)?, line)));
    timed.filter(|(time, _)| time.starts_with("20") && time.as_bytes()[TIME - 4] == b',')
}

fn ms_of_day(time: &str) -> u64 {
    let parts = time[TIME - 12..].split([':', ',']).map(|part| part.parse::<u64>().expect("a number"));
    parts.zip([3_600_000, 60_000, 1000, 1]).map(|(part, ms)| part * ms).sum()
}

fn reigns(whose: &str, log: &str) -> Vec<Reign> {
    let (mut all, mut since) = (vec![], None);
    let mut last = "";
    for (time, line) in lines(log) {
        last = time;
        if line.contains(GRANTED) {
            since.get_or_insert(time);
        } else if line.contains(REVOKED) {
            all.extend(since.take().map(|from| (from, time)));
        }
    }
    all.extend(since.map(|from| (from, last)));
    let reign = |(from, to): (&str, &str)| Reign { from: from.into(), to: to.into(), whose: whose.into() };
    all.into_iter().map(reign).collect()
}

fn completed(log: &str, job: &str) -> Vec<(String, u64)> {
    let number = |line: &str| {
        let (_, rest) = line.split_once("Completed checkpoint ")?;
        let (number, rest) = rest.split_once(" for job ")?;
        rest.starts_with(job).then(|| number.parse().ok())?
    };
    lines(log).filter_map(|(time, line)| Some((time.to_string(), number(line)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reigns_end_with_a_word_or_with_the_log() {
        let log = "2026-11-21 10:00:00,000 INFO DefaultDispatcherRunner was granted leadership with leader id a\n\
               no time here\n\
               2026-11-21 10:00:02,000 INFO Completed checkpoint 7 for job 0f (281 bytes)\n\
               2026-11-21 10:00:03,000 INFO DefaultDispatcherRunner was revoked the leadership with a\n\
               2026-11-21 10:00:05,000 INFO DefaultDispatcherRunner was granted leadership with leader id b\n\
               2026-11-21 10:00:06,000 INFO last words\n";
        let told: Vec<_> = reigns("jm-0.1", log).into_iter().map(|reign| (reign.from, reign.to)).collect();
        let at = |second: u32| format!("2026-11-21 10:00:0{second},000");
        assert_eq!(told, [(at(0), at(3)), (at(5), at(6))]);
        assert_eq!(completed(log, "0f"), [(at(2), 7)]);
        assert_eq!(completed(log, "1f"), []);
        assert_eq!(ms_of_day("2026-11-21 10:00:02,345"), 36_002_345);
    }

    #[test]
    fn a_reign_may_reach_into_the_next_one_if_nothing_is_completed_in_it() {
        let first = "2026-11-21 10:00:00,000 DefaultDispatcherRunner was granted leadership with a\n\
               2026-11-21 10:00:02,000 Completed checkpoint 7 for job 0f (281 bytes)\n\
               2026-11-21 10:00:06,500 DefaultDispatcherRunner was revoked the leadership with a\n";
        let second = "2026-11-21 10:00:04,000 DefaultDispatcherRunner was granted leadership with b\n\
               2026-11-21 10:00:05,000 Completed checkpoint 8 for job 0f (281 bytes)\n";
        let late = second.replace("04,000", "01,000");
        let overlap = |second: &str| {
            let history = History::new(vec![("a".into(), first.into()), ("b".into(), second.into())], "0f");
            history.checkpoints_only_rise();
            let reigns = history.reigns();
            history.overlap(&reigns[0], &reigns[1])
        };
        assert_eq!(overlap(second), 2500);
        assert!(std::panic::catch_unwind(|| overlap(&late)).is_err());
    }
}
