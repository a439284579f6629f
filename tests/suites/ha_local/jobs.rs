//! Row 40, and what people see of their jobs while leaders come and go: whoever follows a job follows it to its end,
//! and a job that is over stays so.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use kobel_kit::{Flink, compile_job, example_jar, wait};
use kobel_tests::Endless;

use super::{Ha, SOON, pid_of, quorum, shared, signal_to};

/// Words of an input whose counts are all different lines.
const WORDS: usize = 2_000;

impl Ha {
    fn job_state(&self, job: &str) -> Result<String, String> {
        let state = self.rest(&format!("/jobs/{job}/status"))?;
        Ok(state["status"].as_str().unwrap_or_default().to_string())
    }

    /// Starts the word count and does not wait for it.
    fn count_words(&self, jar: &Path, output: &Path) -> String {
        let input = self.lab.file("words.txt", &"word\n".repeat(WORDS));
        let class = "org.apache.flink.streaming.examples.wordcount.WordCount";
        let (jar, output) = (jar.to_str().unwrap(), output.to_str().unwrap());
        let args = ["run", "--cluster", "ha", "-d", "-c", class, jar, "--input", input.to_str().unwrap()];
        let run = self.lab.kobel(&[&args[..], &["--output", output]].concat()).ok().stdout;
        run.trim().rsplit_once("JobID ").expect("a job").1.to_string()
    }

    /// Waits for the job's end as a script would, and looks that it does not run again.
    fn is_over(&self, job: &str, code: i32) {
        let condition = format!("job={job}:finished");
        self.lab.kobel(&["wait", "ha", "--for", &condition, "--timeout", "60s"]).expect(code);
        self.running_since(self.checkpoint().unwrap_or_default());
        let state = self.job_state(job);
        let is_over = match &state {
            Ok(state) => ["FINISHED", "CANCELED"].contains(&state.as_str()),
            Err(why) => why.contains("Could not find Flink job"),
        };
        assert!(is_over, "{job} is revived: {state:?}");
    }
}

/// The counts that are in the files that the sink has committed, each as often as it is there.
fn counts(files: Vec<PathBuf>) -> Vec<String> {
    let is_committed = |file: &&PathBuf| {
        let name = file.file_name().unwrap().to_string_lossy();
        !name.starts_with('.') && !name.contains("inprogress")
    };
    let texts = files.iter().filter(is_committed).map(|file| fs::read_to_string(file).unwrap());
    texts.flat_map(|text| text.lines().map(String::from).collect::<Vec<_>>()).collect()
}

/// The leader is killed so long after a job is over.
fn after_the_end(cycle: u64) -> Duration {
    Duration::from_millis(cycle * 370 % 2000)
}

#[test]
fn jobs_are_followed_through_failovers_and_stay_over() {
    let (Some(flink), Some(cluster)) = (Flink::v1(), shared()) else { return };
    let more = ["--masters", "2", "--slots", "2", "-D", "web.refresh-interval=200 ms"];
    let ha = Ha::start(&quorum(&cluster), "ha-jobs", &flink, &more);
    let (sleeping, words) = (compile_job(&flink, "SleepingJob", ha.lab.dir()), example_jar(&flink));

    let run = ha.lab.spawn_kobel(&["run", "--cluster", "ha", sleeping.to_str().unwrap(), "8", "bounded"]);
    wait::until("the job prints", SOON, || match run.stdout() {
        told if told.contains("tick 10") => Ok(()),
        told => Err(told),
    });
    ha.hit("KILL", pid_of(&ha.leader()));
    let run = run.wait().ok();
    for line in ["Job has been submitted with JobID ", "Program execution finished", "Job Runtime: "] {
        assert_eq!(run.stdout.matches(line).count(), 1, "{line}: {}\n{}", run.stdout, run.stderr);
    }
    assert!(run.stdout.contains("tick 80"), "{}", run.stdout);
    println!("row 1: an attached run whose leader was killed ended well after {:?}", run.took);

    let cycles = std::env::var("KOBEL_TEST_CYCLES").map_or(3, |cycles| cycles.parse().expect("a number"));
    for cycle in 0..cycles {
        ha.whole(2);
        let leader = pid_of(&ha.leader());
        if cycle % 3 == 2 {
            let run = ha.lab.kobel(&["run", "--cluster", "ha", "-d", sleeping.to_str().unwrap()]).ok().stdout;
            let job = run.trim().rsplit_once("JobID ").unwrap().1.to_string();
            ha.lab.kobel(&["job", "cancel", &job, "--cluster", "ha"]).ok();
            thread::sleep(after_the_end(cycle / 3));
            signal_to("KILL", leader);
            ha.led_by_another(leader);
            ha.is_over(&job, 7);
            continue;
        }
        let output = ha.lab.path(&format!("counts-{cycle}"));
        let job = ha.count_words(&words, &output);
        wait::until("the job is over", SOON, || match ha.job_state(&job)? {
            state if state == "FINISHED" => Ok(()),
            state => Err(state),
        });
        thread::sleep(after_the_end(cycle));
        signal_to("KILL", leader);
        ha.led_by_another(leader);
        ha.is_over(&job, 0);
        let lines = counts(ha.lab.files(&format!("counts-{cycle}")));
        assert_eq!(
            (lines.len(), lines.iter().collect::<BTreeSet<_>>().len()),
            (WORDS, WORDS),
            "cycle {cycle}"
        );
    }
    println!("row 40: {cycles} leaders killed 0-2 s after a job's end: none revived, every line once");
    ha.lab.kobel(&["stop", "ha"]).ok();
    ha.lab.no_process_left();
}
