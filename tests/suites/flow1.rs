//! Flow 1 of the mission: `start-cluster.sh`, `flink run`, `stop-cluster.sh` and the single-node scripts,
//! with a configuration directory from the days of Flink 1.6.

use std::fs;

use kobel_kit::{Lab, example_jar, on_each_flink};

fn conf_dir_of_2018(lab: &Lab) -> String {
    let tmp = lab.path("tm-temp");
    fs::create_dir(&tmp).unwrap();
    let conf = format!(
        "# a comment\n\
         jobmanager.rpc.address: localhost\n\
         jobmanager.rpc.port: 6123\n\
         jobmanager.heap.size: 1024\n\
         taskmanager.heap.size: 1024\n\
         taskmanager.numberOfTaskSlots: 2\n\
         taskmanager.memory.preallocate: false\n\
         parallelism.default: 1\n\
         jobmanager.web.port: 8081\n\
         taskmanager.tmp.dirs: {}\n\
         state.backend.fs.checkpointdir: file://{}\n",
        tmp.display(),
        lab.path("checkpoints").display()
    );
    lab.file("conf/flink-conf.yaml", &conf);
    lab.file("conf/masters", "localhost:8081\n");
    lab.file("conf/slaves", "localhost\nlocalhost # the second\n");
    lab.path("conf").to_str().unwrap().to_string()
}

fn task_managers(lab: &Lab) -> u64 {
    let status = lab.kobel(&["status", "default", "-o", "json"]).json();
    status["taskManagers"]["running"].as_u64().unwrap()
}

on_each_flink! {
    fn the_tutorial_works_word_for_word(flink: Flink) {
        let mut lab = Lab::with_flink("flow1", &flink);
        let conf = conf_dir_of_2018(&lab);
        lab.env("FLINK_CONF_DIR", &conf);

        let started = lab.script("start-cluster.sh", &[]).ok();
        assert!(started.stderr.contains("taskmanager.heap.size"), "bare megabytes are noted: {}", started.stderr);
        assert!(started.stderr.contains("taskmanager.memory.preallocate"), "{}", started.stderr);
        assert_eq!(task_managers(&lab), 2);

        let input = lab.file("in.txt", "a b a\n");
        let output = lab.path("out-dir");
        let jar = example_jar(&flink);
        let run = lab
            .script("flink", &[
                "run", "-c", "org.apache.flink.streaming.examples.wordcount.WordCount", jar.to_str().unwrap(),
                "--input", input.to_str().unwrap(), "--output", output.to_str().unwrap(),
            ])
            .ok();
        let lines: Vec<&str> = run.stdout.lines().collect();
        assert!(lines[0].starts_with("Job has been submitted with JobID "), "{lines:?}");
        assert_eq!(lines[1], "Program execution finished");
        assert!(lines[3].starts_with("Job Runtime: "), "{lines:?}");
        let list = lab.script("flink", &["list", "-a"]).ok();
        assert!(list.stdout.contains("(FINISHED)"), "{}", list.stdout);

        lab.script("taskmanager.sh", &["start"]).ok();
        assert_eq!(task_managers(&lab), 3);
        lab.script("taskmanager.sh", &["stop"]).ok();
        assert_eq!(task_managers(&lab), 2);
        lab.script("stop-cluster.sh", &[]).ok();
        lab.no_process_left();
        assert!(lab.files("tm-temp").is_empty(), "the user's temp directory is clean");
    }

    fn single_nodes_come_and_go(flink: Flink) {
        let mut lab = Lab::with_flink("nodes", &flink);
        let conf = conf_dir_of_2018(&lab);
        lab.env("FLINK_CONF_DIR", &conf);
        lab.script("jobmanager.sh", &["start"]).ok();
        assert_eq!(task_managers(&lab), 0);
        lab.script("taskmanager.sh", &["start"]).ok();
        lab.script("taskmanager.sh", &["start"]).ok();
        assert_eq!(task_managers(&lab), 2);
        lab.script("taskmanager.sh", &["stop-all"]).ok();
        lab.script("jobmanager.sh", &["stop"]).ok();
        lab.no_process_left();
        assert_ne!(lab.script("jobmanager.sh", &["sideways"]).code, 0);
    }
}
