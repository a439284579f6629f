//! What the JobManagers' own logs tell afterwards: one leader at every instant, and checkpoints whose numbers only rise.

use std::fs;

use super::Ha;

/// Flink's `DefaultDispatcherRunner` on becoming the leader, and on being it no longer.
const GRANTED: &str = "DefaultDispatcherRunner was granted leadership";
const REVOKED: &str = "DefaultDispatcherRunner was revoked";
/// A line of Flink's begins with the time, which sorts as text: `2026-11-21 21:05:09,900`.
const TIME: usize = 23;

/// From when to when a process led, by its own log.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Reign {
    from: String,
    to: String,
    whose: String,
}

impl Ha {
    /// Looks back over all that has happened to this cluster, and stops it: nobody becomes the leader over that.
    #[track_caller]
    pub(super) fn stop_and_look_back(&self) {
        let count = self.had_one_leader_at_every_instant();
        println!("one leader at every instant, {count} in turn");
        self.lab.kobel(&["stop", "ha"]).ok();
        self.lab.no_process_left();
        let reigns = self.reigns();
        assert_eq!(reigns.len(), count, "one led over the end: {reigns:#?}");
    }

    /// How often somebody became the leader. To be asked before the cluster is stopped: a leader that goes in order
    /// hands over first, and has more to say.
    fn had_one_leader_at_every_instant(&self) -> usize {
        let reigns = self.reigns();
        for pair in reigns.windows(2) {
            assert!(pair[0].to <= pair[1].from, "two led at once: {pair:#?}");
        }
        self.checkpoints_only_rise();
        reigns.len()
    }

    /// Who is cut off from ZooKeeper takes itself for the leader until it is killed: for how many milliseconds the
    /// first leader did after the second led. It completes no checkpoint in that time.
    #[track_caller]
    pub(super) fn two_led(&self) -> u64 {
        let (logs, reigns) = (self.job_manager_logs(), self.reigns());
        let [first, second, later @ ..] = &reigns[..] else { panic!("two led: {reigns:#?}") };
        let again = later.first().map(|reign| reign.from.as_str());
        let (_, log) = logs.iter().find(|(name, _)| *name == first.whose).expect("its log");
        let is_late = |at: &String| *at > second.from && again.is_none_or(|again| at.as_str() < again);
        let late = completed(log, &self.job).into_iter().filter(|(at, _)| is_late(at));
        let late: Vec<u64> = late.map(|(_, number)| number).collect();
        assert!(late.is_empty(), "completed by {}, which led no longer: {late:?}", first.whose);
        self.checkpoints_only_rise();
        ms_of_day(&first.to).saturating_sub(ms_of_day(&second.from))
    }

    fn checkpoints_only_rise(&self) {
        let logs = self.job_manager_logs();
        let mut checkpoints: Vec<_> = logs.iter().flat_map(|(_, log)| completed(log, &self.job)).collect();
        checkpoints.sort();
        for pair in checkpoints.windows(2) {
            assert!(pair[0].1 < pair[1].1, "checkpoints do not only rise: {pair:?}");
        }
        assert!(!checkpoints.is_empty(), "nobody ever led");
    }

    fn reigns(&self) -> Vec<Reign> {
        let logs = self.job_manager_logs();
        let mut reigns: Vec<_> = logs.iter().flat_map(|(name, log)| reigns(name, log)).collect();
        reigns.sort();
        reigns
    }

    fn job_manager_logs(&self) -> Vec<(String, String)> {
        let dir = self.lab.path("state/clusters/ha/log");
        let files = fs::read_dir(&dir).expect("a directory of logs").map(|file| file.expect("a file").path());
        let is_log = |name: &str| name.starts_with("jm-") && name.ends_with(".log");
        let named = files.filter_map(|path| Some((path.file_name()?.to_str()?.to_string(), path)));
        named
            .filter(|(name, _)| is_log(name))
            .map(|(name, path)| (name, fs::read_to_string(path).expect("a log")))
            .collect()
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
