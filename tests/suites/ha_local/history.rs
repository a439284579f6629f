//! What the JobManagers' own logs tell afterwards: one leader at every instant, and checkpoints whose numbers only rise.

use std::fs;

use kobel_tests::History;

use super::Ha;

impl Ha {
    /// Looks back over all that has happened to this cluster, and stops it: nobody becomes the leader over that.
    #[track_caller]
    pub(super) fn stop_and_look_back(&self) {
        let count = self.had_one_leader_at_every_instant();
        println!("one leader at every instant, {count} in turn");
        self.lab.kobel(&["stop", "ha"]).ok();
        self.lab.no_process_left();
        let reigns = self.history().reigns();
        assert_eq!(reigns.len(), count, "one led over the end: {reigns:#?}");
    }

    /// How often somebody became the leader. To be asked before the cluster is stopped: a leader that goes in order
    /// hands over first, and has more to say.
    fn had_one_leader_at_every_instant(&self) -> usize {
        let history = self.history();
        let reigns = history.reigns();
        for pair in reigns.windows(2) {
            assert!(pair[0].to <= pair[1].from, "two led at once: {pair:#?}");
        }
        history.checkpoints_only_rise();
        reigns.len()
    }

    /// For how many milliseconds the first leader took itself for it after the second led.
    #[track_caller]
    pub(super) fn two_led(&self) -> u64 {
        let history = self.history();
        history.checkpoints_only_rise();
        let reigns = history.reigns();
        let [first, second, ..] = &reigns[..] else { panic!("two led: {reigns:#?}") };
        history.overlap(first, second)
    }

    fn history(&self) -> History {
        let dir = self.lab.path("state/clusters/ha/log");
        let files = fs::read_dir(&dir).expect("a directory of logs").map(|file| file.expect("a file").path());
        let is_log = |name: &str| name.starts_with("jm-") && name.ends_with(".log");
        let named = files.filter_map(|path| Some((path.file_name()?.to_str()?.to_string(), path)));
        let logs = named
            .filter(|(name, _)| is_log(name))
            .map(|(name, path)| (name, fs::read_to_string(path).expect("a log")))
            .collect();
        History::new(logs, &self.job)
    }
}
