//! Many jobs one after the other through one session: what grows, and what gets slower. It takes long,
//! so it runs on request only: `scripts/test.sh --soak [JOBS]`.

use std::{
    env, fs,
    path::Path,
    time::{Duration, Instant},
};

use kobel_kit::{Flink, Lab, example_jar, http};
use serde_json::Value;

const WORD_COUNT: &str = "org.apache.flink.streaming.examples.wordcount.WordCount";
/// So many jobs at the beginning are compared with as many at the end.
const SAMPLE: usize = 20;
/// How much the agent may grow between the first jobs and the last, in KiB.
const FLAT: u64 = 5 << 10;

/// What the processes of a session hold after some jobs.
#[derive(Debug, Clone, Copy)]
struct Held {
    /// Resident memory of the agent in KiB.
    agent: u64,
    /// Open files of the agent.
    files: usize,
    /// Resident memory of the JobManager in KiB.
    job_manager: u64,
    /// Used bytes of its heap and of its metaspace, as Flink counts them.
    heap: u64,
    metaspace: u64,
}

#[test]
fn a_thousand_jobs_one_after_the_other() {
    let Some(jobs) = env::var("KOBEL_TEST_SOAK").ok().map(|n| n.parse::<usize>().expect("a number of jobs"))
    else {
        eprintln!("skipped: it takes long; scripts/test.sh --soak runs it");
        return;
    };
    let Some(flink) = Flink::v1() else { return };
    let lab = Lab::with_flink("soak", &flink);
    let input = lab.file("text", "to be or not to be\nthat is the question\n");
    let jar = example_jar(&flink);
    lab.kobel(&["start"]).ok();

    println!(
        "jobs  agent KiB  open files  JobManager MiB  heap MiB  metaspace MiB  overhead ms, median of the last {SAMPLE}"
    );
    let (mut overheads, mut first, since) = (Vec::new(), None, Instant::now());
    for n in 1..=jobs {
        overheads.push(run(&lab, &jar, &input, n));
        if [10, 100, 500].contains(&n) || n == jobs {
            let held = held(&lab);
            let recent = median(&overheads[n.saturating_sub(SAMPLE)..]);
            println!(
                "{n:4}  {:9}  {:10}  {:14}  {:8}  {:13}  {}",
                held.agent,
                held.files,
                held.job_manager >> 10,
                held.heap >> 20,
                held.metaspace >> 20,
                recent.as_millis()
            );
            first.get_or_insert(held);
        }
    }
    let (start, end) =
        (median(&overheads[..SAMPLE.min(jobs)]), median(&overheads[jobs.saturating_sub(SAMPLE)..]));
    println!(
        "{jobs} jobs in {} s; overhead of a run: {start:?} at first, {end:?} at last",
        since.elapsed().as_secs()
    );
    let (first, last) = (first.expect("at least one job"), held(&lab));
    assert!(last.agent <= first.agent + FLAT, "the agent grew: {first:?}, then {last:?}");
    assert!(last.files <= first.files + 2, "the agent keeps files open: {first:?}, then {last:?}");
    assert!(end <= start * 3 / 2 + Duration::from_millis(50), "{end:?} at last, {start:?} at first");
    lab.kobel(&["stop"]).ok();
    lab.no_process_left();
}

/// Runs a job to its end, and tells how much longer that took than the job itself.
fn run(lab: &Lab, jar: &Path, input: &Path, n: usize) -> Duration {
    let output = lab.path(&format!("counts/{n}"));
    let paths = [jar, input, &output].map(|path| path.to_str().expect("a UTF-8 path"));
    let done =
        lab.kobel(&["run", "-c", WORD_COUNT, paths[0], "--input", paths[1], "--output", paths[2]]).ok();
    assert!(output.is_dir(), "job {n} wrote nothing");
    fs::remove_dir_all(&output).expect("the counts can be removed");
    let runtime =
        done.stdout.lines().find_map(|line| line.strip_prefix("Job Runtime: ")?.strip_suffix(" ms"));
    let runtime = runtime.and_then(|ms| ms.parse().ok()).unwrap_or_else(|| panic!("no runtime: {done:?}"));
    done.took.saturating_sub(Duration::from_millis(runtime))
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times[times.len() / 2]
}

fn held(lab: &Lab) -> Held {
    let status = lab.kobel(&["status", "default", "-o", "json"]).ok().json();
    let pid = |value: &Value| value["pid"].as_i64().expect("a pid");
    let (agent, jm) = (pid(&status["agent"]), pid(&status["masters"][0]));
    let rest = status["restUrl"].as_str().expect("an address");
    Held {
        agent: resident_kib(agent),
        files: fs::read_dir(format!("/proc/{agent}/fd")).expect("the agent's files").count(),
        job_manager: resident_kib(jm),
        heap: metric(rest, "Status.JVM.Memory.Heap.Used"),
        metaspace: metric(rest, "Status.JVM.Memory.Metaspace.Used"),
    }
}

fn resident_kib(pid: i64) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a living process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its resident memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// A metric of the JobManager; Flink gives them as texts in a list.
fn metric(rest: &str, name: &str) -> u64 {
    let reply = http::get(&format!("{rest}/jobmanager/metrics?get={name}")).expect("metrics");
    let metrics: Value = serde_json::from_str(&reply.body).expect("JSON");
    metrics[0]["value"].as_str().and_then(|value| value.parse().ok()).unwrap_or_default()
}
